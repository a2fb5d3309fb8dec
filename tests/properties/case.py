"""One generated case: a listener, a stream, a last log time; and what the machine makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from contracts.errors import ListenerError
from contracts.events import Event
from flows.derived.sessions import Session, extended
from flows.language.model import Listener
from flows.machine.machine import Machine, MachineState, Match
from tests.properties.generate import GAP_MS, Data, listener_data, parsed, stream
from tests.properties.oracle import Answer

STREAMS_EACH = 4
"""Streams per listener: making and reading a listener costs more than running it."""


class Case(NamedTuple):
    """``data``: the listener's YAML as data; ``end_ms``: the log time at the end."""

    data: Data
    listener: Listener
    events: list[Event]
    end_ms: int


def cases(seed: int, count: int) -> Iterator[Case]:
    """``count`` cases; the same seed gives the same."""
    random, made = Random(seed), 0
    while made < count:
        data = listener_data(random)
        try:
            listener = parsed(data)
        except ListenerError:
            continue
        for _ in range(STREAMS_EACH):
            events = stream(random)
            yield Case(data, listener, events, events[-1].occurred_at_ms + random.choice((0, 1_000, 5_000, 20_000)))
            made += 1


def answer(match: Match) -> Answer:
    """A match as the oracle gives it."""
    steps = {name: [event.event_id for event in events] for name, events in match.steps.items()}
    return match.match_id, steps, list(match.events), match.matched_at_ms


def by_machine(listener: Listener, events: Sequence[Event], end_ms: int | None) -> list[Answer]:
    """The machine's matches of an ordered stream."""
    machine = Machine([listener])
    state, session, found = machine.start("s"), None, list[Answer]()
    for event in events:
        state, session, matches = step(machine, state, session, event)
        found.extend(map(answer, matches))
    if end_ms is not None:
        found.extend(map(answer, machine.advance(state, end_ms)[1]))
    return found


def step(
    machine: Machine, state: MachineState, session: Session | None, event: Event
) -> tuple[MachineState, Session, tuple[Match, ...]]:
    """Apply one event with its session."""
    session = extended(session, event, gap_ms=GAP_MS)
    state, matches = machine.apply(state, event, session)
    return state, session, matches
