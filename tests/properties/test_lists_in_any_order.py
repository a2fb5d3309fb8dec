"""Lists are as independent of the order of arrival as matches are (SEMANTICS 9): engine, plan and ledger as they are.

``python -m tests.properties.test_lists_in_any_order`` runs 2,000 histories; the test fewer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from contracts.codec import replaced
from contracts.commands import Command
from contracts.errors import ListenerError
from contracts.events import Event
from contracts.topics import account_topics, fixed_topics
from flows.language.model import Listener
from flows.subscriber.engine import Emitted, WorkspaceEngine
from flows.subscriber.pinned_terms import Terms
from sinks.base import Done, Traits
from sinks.delivery.leavings import Leavings
from sinks.delivery.ledger import Ledger
from sinks.delivery.outcomes import outcome_of
from sinks.delivery.places import mark_of
from sinks.delivery.plan import Known, wish_of
from tests.properties.generate import GAP_MS, listener_data, parsed, stream
from tests.properties.oracle import brute_force
from transport import open_log
from transport.config import Settings

COUNT = 120
ENOUGH_MS = 1 << 50
LISTS = ("h", "g")


class History(NamedTuple):
    """``at_first``: the lists in which the person is before all."""

    listeners: list[Listener]
    events: list[Event]
    end_ms: int
    at_first: set[str]


def histories(random: Random, count: int) -> Iterator[History]:
    made = 0
    while made < count:
        listeners: list[Listener] = []
        while len(listeners) < random.choice((2, 3, 3)):
            data = {**listener_data(random), "listener": f"l{len(listeners)}", "then": [_response(random)]}
            try:
                listeners.append(parsed(data))
            except ListenerError:
                continue
        events = stream(random)
        end_ms = events[-1].occurred_at_ms + 20_000
        made += 1
        yield History(listeners, events, end_ms, {name for name in LISTS if random.random() < 0.4})


def _response(random: Random) -> dict[str, dict[str, str]]:
    one, other = random.sample(LISTS, k=2)
    return random.choice(
        (
            {"add": {"to": one, "at": "mail"}},
            {"remove": {"from": one, "at": "mail"}},
            {"move": {"from": one, "to": other, "at": "mail"}},
        )
    )


def wanted(history: History) -> set[str]:
    """The naive answer: the brute force's matches in their places, one after another."""
    matches = [
        (at_ms, each.name, each)
        for each in history.listeners
        for _, _, _, at_ms in brute_force(each, history.events, gap_ms=GAP_MS, end_ms=history.end_ms)
    ]
    now = dict.fromkeys(history.at_first, True)
    for _, _, each in sorted(matches, key=lambda match: match[:2]):
        for response in each.then:
            now |= {response.from_list.text: False} if response.from_list else {}
            now |= {response.to_list.text: True} if response.to_list else {}
    return {name for name, into in now.items() if into}


class Platform:
    """People and their lists, kept as the ledger and the plan say; nobody leaves by themselves."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.lists: dict[str, set[str]] = {}

    def deliver(self, emitted: Emitted) -> None:
        for command in (*emitted.commands, *emitted.restated):
            self._carry_out(command)

    def _carry_out(self, command: Command) -> None:
        wish = wish_of(command, Known(self._ledger, Leavings(), Traits(), "mail"))
        changed = []
        now = self.lists[command.subscriber]
        for name, into in (wish.places if wish else {}).items():
            if (name[1:] in now) is not into:
                changed.append(mark_of(name, into))
                (now.add if into else now.discard)(name[1:])
        outcome = outcome_of(command, Done(tuple(changed)), calls=1, at_ms=0)
        if wish is None:
            outcome = replaced(outcome, result="skipped", reason="superseded")
        self._ledger.add(outcome)


def lists_after(
    history: History, order: Sequence[Event], person: str, platform: Platform, engine: WorkspaceEngine
) -> set[str]:
    """The lists after these events arrived so, and time passed."""
    platform.lists[person] = set(history.at_first)
    known = engine.new(person)
    for log_time_ms, event in enumerate(order, start=-len(order) - ENOUGH_MS // 2):
        platform.deliver(engine.apply(known, replaced(event, subscriber=person), log_time_ms))
    platform.deliver(engine.pass_time(known, history.end_ms))
    return platform.lists[person]


def compare(seed: int, count: int) -> int:
    """Compare so many histories in three orders of arrival; in how many the lists are others than at first."""
    random, moved = Random(seed), 0
    with tempfile.TemporaryDirectory() as directory:
        log = open_log(Settings(data=Path(directory)))
        log.ensure([*fixed_topics(1), *account_topics("w", "mail")])
        ledger = Ledger(log, "w", "mail")
        platform = Platform(ledger)
        for number, history in enumerate(histories(random, count)):
            expected = wanted(history)
            moved += expected != history.at_first
            events = history.events
            for turn, order in enumerate((events, random.sample(events, k=len(events)), events[::-1])):
                engine = WorkspaceEngine("w", history.listeners, terms=Terms(ENOUGH_MS, GAP_MS, ENOUGH_MS, 0))
                found = lists_after(history, order, f"s_{number}_{turn}", platform, engine)
                assert found == expected, (number, turn, history, order)
        ledger.close()
        log.close()
    return moved


@pytest.mark.slow
def test_the_lists_are_as_the_matches_that_stand_want_them_in_any_order() -> None:
    assert compare(31, COUNT) > COUNT // 8


if __name__ == "__main__":
    print(compare(32, 2_000), "of 2,000 histories changed a list")
