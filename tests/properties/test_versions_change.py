"""Versions of a listener come and go, and a late event lies before the change: what was matched before it stays as it
was (SEMANTICS 4, 6 and 8). Of each random installation two are run: one hears an event more, late, that no listener
describes. It has the time before the change applied again, and must change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest

from contracts.codec import replaced
from contracts.errors import ListenerError
from contracts.events import Event
from contracts.rows import MatchRow
from flows.language.model import Listener
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms
from tests.properties.generate import GAP_MS, listener_data, parsed, stream

LATENESS_MS = 60_000
NOTHING = "segment_switched"
"""An action of which no listener speaks."""
Told = tuple[list[tuple[str, int, str, int, str]], list[tuple[int, str, str]]]


def repeating(random: Random, version: int) -> Listener:
    """A listener that does not match every time, and asks nothing of sessions: any event extends one."""
    while True:
        data = _short(random) if random.random() < 0.5 else listener_data(random)
        data |= {"listener": "l", "version": version, "repeat": random.choice(("once", {"cooldown": "5s"}))}
        data["then"] = [{"add": {"to": "x", "at": "a"}}]
        text = repr(data)
        # It holds of every event, and makes the machine apply all events behind a late one again.
        data["sequence"][-1]["session"] = {"events": {"at_least": 1}}
        try:
            if "session" not in text and "'*'" not in text:
                return parsed(data)
        except ListenerError:
            continue


def _short(random: Random) -> dict[str, Any]:
    actions = random.choices(("page_viewed", "product_added"), k=random.choice((1, 2)))
    last = [{"not": "product_bought", "for": "1s"}] if random.random() < 0.4 else []
    return {"sequence": [*({"action": each} for each in actions), *last]}


def versions(random: Random) -> list[Deployed]:
    """Up to three of them, each a shadow first, and the log time at which the next one is live in its stead."""
    found, shadow_ms = list[Deployed](), 0
    for number in range(1, random.choice((2, 2, 3)) + 1):
        live_ms = 0 if number == 1 else shadow_ms + random.choice((2_000, 5_000, 9_000))
        if found:
            found[-1] = found[-1]._replace(until_ms=live_ms)
        found.append(Deployed(repeating(random, number), shadow_ms, live_ms))
        shadow_ms = live_ms + random.choice((0, 3_000))
    return found


def arrivals(random: Random) -> list[Event]:
    """A person's events in the order of the log, some late."""
    events = [
        replaced(
            each, log_time_ms=each.occurred_at_ms + random.choice((0, 0, 300, 4_000)), provisional=False, verdict=""
        )
        for each in (*stream(random), *stream(random))
    ]
    named = [replaced(each, event_id=f"e{number}") for number, each in enumerate(events)]
    return sorted(named, key=lambda each: each.log_time_ms)


def with_nothing(random: Random, events: Sequence[Event]) -> Iterator[Event]:
    """The arrivals, with one among them that came late and means nothing. Time passes with the others as before."""
    late = random.randrange(1, len(events))
    for number, event in enumerate(events):
        if number == late:
            log_ms = event.log_time_ms
            at_ms = random.randrange(min(log_ms, events[late - 1].occurred_at_ms) + 1)
            yield Event("w", "s", "nothing", NOTHING, at_ms, log_time_ms=log_ms)
        yield event


def told(deployed: list[Deployed], events: Sequence[Event], *, restarts: bool) -> Told:
    """What is said of matches, in order, and what is commanded."""
    engine = WorkspaceEngine("w", terms=Terms(LATENESS_MS, GAP_MS, LATENESS_MS * 10, 200))
    engine.deploy(deployed)
    person, rows, commands = engine.new("s", 0), [], []
    for event in events:
        if restarts:
            person = engine.decode(engine.encode(person))
        emitted = engine.apply(person, event, event.log_time_ms)
        rows += [
            (row.kind, row.version, row.match_id, row.matched_at_ms, row.reason)
            for row in emitted.rows
            if isinstance(row, MatchRow)
        ]
        commands += [(each.version, each.command_id, each.undoes) for each in emitted.commands]
    return rows, commands


@pytest.mark.parametrize("block", [0, *(pytest.param(block, marks=pytest.mark.slow) for block in range(1, 20))])
def test_a_late_event_that_means_nothing_changes_nothing(block: int) -> None:
    matches = counting = 0
    for seed in range(block * 120, (block + 1) * 120):
        random = Random(seed)
        deployed, events = versions(random), arrivals(random)
        more = list(with_nothing(random, events))
        rows, commands = told(deployed, events, restarts=False)
        assert told(deployed, more, restarts=bool(seed % 2)) == (rows, commands), seed
        matches += len(rows)
        counting += len({version for kind, version, *_, reason in rows if kind == "match" and not reason}) > 1
    assert matches > 150
    assert counting > 5
