"""Where moves cause moves the lists are as the matches that stand want them, in any order of arrival (SEMANTICS 9).

``python -m tests.properties.test_moves_and_lists`` runs 2,000 histories; the test fewer.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from contracts.codec import replaced
from contracts.topics import account_topics, fixed_topics
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.pinned_terms import Terms
from sinks.delivery.ledger import Ledger
from tests.properties import test_lists_in_any_order as lists
from tests.properties.generate import GAP_MS
from tests.properties.naive_membership import all_matches, changes
from tests.properties.test_moves_as_events import ENOUGH_MS, LISTS, History, histories
from transport import open_log
from transport.config import Settings

COUNT = 15


def wanted(history: History, at_first: set[str]) -> set[str]:
    """The naive answer: the matches in their places, one after another, but for those past the eighth move in a row."""
    now = {name: name in at_first for name in LISTS}
    by_name = {each.name: each for each in history.listeners}
    found = all_matches(history.listeners, history.events, gap_ms=GAP_MS, end_ms=history.end_ms)
    for match in sorted(found, key=lambda each: each[:3]):
        for _, action, _, kind, name in changes(by_name[match.listener]):
            if match.depth <= 8 and kind == "list":
                now[name] = action == "list_joined"
    return {name for name, into in now.items() if into}


def compare(seed: int, count: int) -> int:
    """Compare so many histories in three orders of arrival; in how many the lists are others than at first."""
    moved = 0
    with tempfile.TemporaryDirectory() as directory:
        log = open_log(Settings(data=Path(directory)))
        log.ensure([*fixed_topics(1), *account_topics("w", "mail")])
        ledger = Ledger(log, "w", "mail")
        platform = lists.Platform(ledger)
        for number, (history, random) in enumerate(histories(seed, count)):
            at_first = {name for name in LISTS if random.random() < 0.4}
            every = history.events
            for turn, order in enumerate((every, random.sample(every, k=len(every)), every[::-1])):
                person = f"s_{number}_{turn}"
                own = history._replace(events=[replaced(each, subscriber=person) for each in every])
                expected = wanted(own, at_first)
                engine = WorkspaceEngine("w", history.listeners, terms=Terms(ENOUGH_MS, GAP_MS, ENOUGH_MS, 0))
                lived = lists.History(history.listeners, every, history.end_ms, set(at_first))
                found = lists.lists_after(lived, order, person, platform, engine) & set(LISTS)
                assert found == expected, (number, turn, history, order)
            moved += expected != at_first
        ledger.close()
        log.close()
    return moved


def test_the_lists_are_as_the_matches_that_stand_want_them_in_any_order() -> None:
    assert compare(91, COUNT) > COUNT // 8


if __name__ == "__main__":
    print(compare(92, 2_000), "of 2,000 histories changed a list")
