"""A match past the depth of loops makes nothing, and one within it moves people, whatever the order in which the events
came that make it so (SEMANTICS 9): the lists and the marks are as the brute force's matches say.

``python -m tests.properties.test_loops_in_any_order`` runs 2,000 histories; the test fewer.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Final

import pytest

from contracts.codec import replaced
from contracts.reasons import Reason
from contracts.topics import account_topics, fixed_topics
from flows.language.model import Listener
from flows.subscriber import weaving, wishes
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.pinned_terms import Terms
from sinks.delivery.ledger import Ledger
from tests.properties import test_lists_in_any_order as lists
from tests.properties.generate import GAP_MS
from tests.properties.naive_membership import all_matches, changes
from tests.properties.test_moves_as_events import ENOUGH_MS, LISTS, any_kind, histories, listener, opener, short
from tests.properties.test_pauses_in_any_order import Outcome, Platform
from transport import open_log
from transport.config import Settings

COUNT = 60
MOST: Final = (1, 2, 3)
"""Random histories seldom go round eight times: the depth is set to where many of them come to it, and past it."""


def going_round(random: Random) -> list[Listener]:
    """Listeners that move people on and on, and one or two that begin it."""
    makes = [opener, short, short, random.choice((opener, short, any_kind))]
    return [listener(random, f"l{number}", make) for number, make in enumerate(random.sample(makes, k=len(makes)))]


def wanted(history: lists.History, most: int) -> Outcome:
    now = {name: name in history.at_first for name in LISTS}
    by_name, marks = {each.name: each for each in history.listeners}, {}
    found = all_matches(history.listeners, history.events, gap_ms=GAP_MS, end_ms=history.end_ms, most=most)
    for match in sorted(found, key=lambda each: each[:3]):
        marks[match.answer[0]] = match.depth > most
        for _, action, _, kind, name in changes(by_name[match.listener]):
            if match.depth <= most and kind == "list":
                now[name] = action == "list_joined"
    return Outcome({name for name, into in now.items() if into}, marks)


def orders(history: lists.History, random: Random) -> list[list[int]]:
    """The order given, a random one, the one backwards, and all but one event in order, which comes last."""
    count = len(history.events)
    in_order = sorted(range(count), key=lambda number: history.events[number].place)
    last = random.choice(in_order)
    late = [*(number for number in in_order if number != last), last]
    return [list(range(count)), random.sample(range(count), k=count), in_order[::-1], late]


def compare(seed: int, count: int, most: int) -> int:
    """Compare so many histories in four orders of arrival; how many matches were past the depth."""
    found = 0
    with tempfile.TemporaryDirectory() as directory:
        log = open_log(Settings(data=Path(directory)))
        log.ensure([*fixed_topics(1), *account_topics("w", "mail")])
        ledger = Ledger(log, "w", "mail")
        platform = Platform(ledger, Reason.LOOP)
        for number, (other, random) in enumerate(histories(seed, count)):
            at_first = {name for name in LISTS if random.random() < 0.4}
            history = lists.History(going_round(random), other.events, other.end_ms, at_first)
            for turn, order in enumerate(orders(history, random)):
                person = f"s_{number}_{turn}"
                every = [replaced(each, subscriber=person) for each in history.events]
                told = wanted(history._replace(events=every), most)
                engine = WorkspaceEngine("w", history.listeners, terms=Terms(ENOUGH_MS, GAP_MS, ENOUGH_MS, 0))
                platform.marks = {}
                arrived = [every[each] for each in order]
                known = lists.lists_after(history, arrived, person, platform, engine) & set(LISTS)
                assert (known, platform.marks) == told, (number, turn, history, order)
            found += sum(told.marks.values())
        ledger.close()
        log.close()
    return found


def bound_to(patched: pytest.MonkeyPatch, most: int) -> None:
    for module in (wishes, weaving):
        patched.setattr(module, "MAX_DEPTH", most)


@pytest.mark.parametrize("most", MOST)
def test_what_is_past_the_depth_is_the_same_in_any_order(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    bound_to(monkeypatch, most)
    assert compare(110 + most, COUNT // len(MOST), most) > COUNT // 12


if __name__ == "__main__":
    for bound in MOST:
        with pytest.MonkeyPatch.context() as context:
            bound_to(context, bound)
            print(f"{compare(120 + bound, 2_000, bound)} matches of 2,000 histories were past {bound} moves in a row")
