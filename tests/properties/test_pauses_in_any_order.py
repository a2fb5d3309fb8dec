"""A pause swallows the matches whose own time lies in it, whatever the order of arrival (SEMANTICS 9): the lists and
the marks are as the brute force's matches say, those that a pause swallowed moving nobody and making no joining.

``python -m tests.properties.test_pauses_in_any_order`` runs 2,000 histories; the test fewer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from contracts.codec import replaced
from contracts.reasons import Reason
from contracts.rows import MatchRow
from contracts.topics import account_topics, fixed_topics
from flows.subscriber.engine import Emitted, WorkspaceEngine
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms
from sinks.delivery.ledger import Ledger
from tests.properties import test_lists_in_any_order as lists
from tests.properties.generate import GAP_MS
from tests.properties.naive_membership import Told, all_matches, changes, swallowed
from tests.properties.test_moves_as_events import ENOUGH_MS, histories
from transport import open_log
from transport.config import Settings

COUNT = 60
Pauses = dict[str, tuple[int, int]]


class Outcome(NamedTuple):
    """The lists that somebody is in at the end, and of each match that stands whether a pause swallowed it."""

    lists: set[str]
    marks: dict[str, bool]


class Platform(lists.Platform):
    """As it is; and of each match that stands whether it has a mark."""

    def __init__(self, ledger: Ledger, mark: Reason) -> None:
        super().__init__(ledger)
        self._mark = mark
        self.marks: dict[str, bool] = {}

    def deliver(self, emitted: Emitted) -> None:
        super().deliver(emitted)
        for row in emitted.rows:
            if isinstance(row, MatchRow):
                self.marks.pop(row.match_id if row.kind == "retraction" else row.replaces, None)
                if row.kind != "retraction":
                    self.marks[row.match_id] = row.reason == self._mark


def cases(seed: int, count: int) -> Iterator[tuple[lists.History, Random]]:
    """Listeners that hear each other's moves, and listeners that do not, in turn."""
    woven, plain = histories(seed, count), Random(seed)
    for number, own in enumerate(lists.histories(plain, count)):
        other, random = next(woven)
        at_first = {name for name in lists.LISTS if random.random() < 0.4}
        yield lists.History(*other, at_first) if number % 2 else own, random


def pauses_of(random: Random, history: lists.History) -> Pauses:
    """Of most listeners one, around what they match where they match: some begin or end with it."""
    found = {}
    matched = {each.listener: each.at_ms for each in matches_of(history, {})}
    for each in history.listeners:
        if random.random() < 0.8:
            near_ms = matched.get(each.name, random.randint(0, history.end_ms))
            from_ms = near_ms - random.choice((0, 1, 500, 3_000))
            found[each.name] = from_ms, max(near_ms + random.choice((0, 1, 500, 3_000)), from_ms + 1)
    return found


def matches_of(history: lists.History, pauses: Pauses) -> list[Told]:
    found = all_matches(history.listeners, history.events, gap_ms=GAP_MS, end_ms=history.end_ms, pauses=pauses)
    return sorted(found, key=lambda each: each[:3])


def wanted(history: lists.History, pauses: Pauses) -> Outcome:
    now = {name: name in history.at_first for name in lists.LISTS}
    by_name, marks = {each.name: each for each in history.listeners}, {}
    for match in matches_of(history, pauses):
        is_swallowed = match.depth <= 8 and swallowed(match, pauses)
        marks[match.answer[0]] = is_swallowed
        for _, action, _, kind, name in changes(by_name[match.listener]):
            if match.depth <= 8 and kind == "list" and not is_swallowed:
                now[name] = action == "list_joined"
    return Outcome({name for name, into in now.items() if into}, marks)


def compare(seed: int, count: int) -> tuple[int, int]:
    """Compare so many histories in three orders of arrival; how many matches pauses swallowed, and in how many
    histories the lists are others than without a pause.
    """
    found = otherwise = 0
    with tempfile.TemporaryDirectory() as directory:
        log = open_log(Settings(data=Path(directory)))
        log.ensure([*fixed_topics(1), *account_topics("w", "mail")])
        ledger = Ledger(log, "w", "mail")
        platform = Platform(ledger, Reason.LISTENER_PAUSED)
        for number, (history, random) in enumerate(cases(seed, count)):
            pauses = pauses_of(random, history)
            expected, every = wanted(history, pauses), history.events
            for turn, order in enumerate((every, random.sample(every, k=len(every)), every[::-1])):
                person = f"s_{number}_{turn}"
                own = history._replace(events=[replaced(each, subscriber=person) for each in every])
                told = wanted(own, pauses)
                engine = WorkspaceEngine("w", terms=Terms(ENOUGH_MS, GAP_MS, ENOUGH_MS, 0))
                engine.deploy(
                    [
                        Deployed(each, pauses=(pauses[each.name],) if each.name in pauses else ())
                        for each in history.listeners
                    ]
                )
                platform.marks = {}
                known = lists.lists_after(history, order, person, platform, engine) & set(lists.LISTS)
                assert (known, platform.marks) == told, (number, turn, history, pauses, order)
            found += sum(expected.marks.values())
            otherwise += expected.lists != wanted(history, {}).lists
        ledger.close()
        log.close()
    return found, otherwise


def test_what_a_pause_swallows_is_the_same_in_any_order() -> None:
    found, otherwise = compare(101, COUNT)
    assert found > COUNT // 4
    assert otherwise > COUNT // 15


if __name__ == "__main__":
    matches, others = compare(102, 2_000)
    print(f"{matches} matches of 2,000 histories were swallowed; in {others} of them the lists are others for it")
