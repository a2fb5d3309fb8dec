"""What ``segma listeners promote`` says of one, and of more."""

from __future__ import annotations

from collections import Counter

import pytest

from cli.backfilling.asked import Tally
from cli.backfilling.since import PastTally
from cli.promote import WORDS, past_lines, tally_lines


def said(count: int) -> list[str]:
    """The lines about a back-fill with so many of each kind."""
    tally = Tally()
    tally.counts["mailbox"] = Counter(dict.fromkeys(WORDS, count))
    tally.theirs = tally.held_out = tally.paused = count
    return [line.strip() for line in tally_lines("left@2", 0, tally, {}, count)][1:-1]


def test_a_back_fill_of_one() -> None:
    assert said(1) == [
        "mailbox: 1 to be moved",
        "mailbox: 1 has left: vetoed",
        "mailbox: 1 stays: Segma has changed the list since",
        "mailbox: 1 was asked for before",
        "mailbox: 1 is nobody in the directory",
        "1 stays as it is: the person has joined or left the list since",
        "1 person is held out",
        "1 person completed it while it was paused: that is not made good",
        "1 command was given, behind the live ones",
    ]


def test_a_back_fill_of_more() -> None:
    assert said(1_200)[1::7] == ["mailbox: 1,200 have left: vetoed", "1,200 commands were given, behind the live ones"]
    assert said(2)[5:7] == [
        "2 stay as they are: the person has joined or left the list since",
        "2 people are held out",
    ]


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, ["1 person has a past, with 1 run in flight", "1 has matched by now", "1 person has too much"]),
        (2, ["2 people have a past, with 2 runs in flight", "2 have matched by now", "2 people have too much"]),
    ],
)
def test_pasts(count: int, words: list[str]) -> None:
    lines = list(past_lines(PastTally(count, count, count, count), once=False))
    assert [line.strip().startswith(each) for line, each in zip(lines, words, strict=True)] == [True] * 3
