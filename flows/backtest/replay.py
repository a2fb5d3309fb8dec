"""One person's recorded arrivals through the steps that run live (SEMANTICS 9, the past). Pure.

Each event is applied at the log time to which everything had come when the flow applied it, so deadlines fire between
the same two events as they did then. What was recorded as late, or as a repetition, is not matched again: it does not
matter any more whose deadline or whose event made it late.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from contracts.commands import Command
from contracts.events import Event
from contracts.rows import MatchRow
from flows.backtest.subject import Subject
from flows.machine.machine import Version
from flows.subscriber.cap import CapState
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.subscriber import Emitted, Subscriber

Arrival = tuple[Event, int, str]
"""An event, the log time that was believed at it, and why it was not matched (empty: it was)."""

Capped = tuple[int, str]
"""The log time at which a match was capped, and its id."""


class Waiting(NamedTuple):
    """A run in flight: it waits for ``element`` of ``elements``, counted from 1."""

    version: Version
    element: int
    elements: int
    opened_ms: int


class Replayed(NamedTuple):
    """What the flow emits of a person's matches, in order, and what is in flight at the end.

    ``failed``: events that raised; the flow sets them aside.
    """

    rows: list[MatchRow]
    commands: list[Command]
    waiting: list[Waiting]
    failed: int


def replay(subject: Subject, arrivals: Sequence[Arrival], until_ms: int, *, capped: Sequence[Capped] = ()) -> Replayed:
    """Apply one person's arrivals (there is one at least), then let log time pass up to ``until_ms``.

    ``capped``: the matches that were given no place under the cap, in order of the log time: whose other moves had
    taken the places, the versions that are tested cannot know.
    """
    return replayed(subject, arrivals, until_ms, capped=capped)[0]


def replayed(
    subject: Subject, arrivals: Sequence[Arrival], until_ms: int, *, capped: Sequence[Capped] = ()
) -> tuple[Replayed, Subscriber]:
    """As :func:`replay`, and the person then."""
    engine = subject.engine
    person = engine.new(arrivals[0][0].subscriber, 0)
    found, waiting = Replayed([], [], [], 0), deque(capped)
    for event, watermark_ms, reason in arrivals:
        emitted = Emitted()
        _mark(person, waiting, watermark_ms)
        try:
            engine.hear(person, event, watermark_ms, matched=not reason, emitted=emitted)
        except Exception:
            # As the flow does: the event is set aside, what was changed before it failed stands.
            found = found._replace(failed=found.failed + 1)
        _take(found, emitted)
    _mark(person, waiting, until_ms)
    _take(found, engine.pass_time(person, until_ms))
    return found._replace(waiting=waiting_runs(subject.engine, person, until_ms)), person


def _mark(person: Subscriber, waiting: deque[Capped], log_time_ms: int) -> None:
    while waiting and waiting[0][0] <= log_time_ms:
        person.timeline.cap = CapState((), (*person.timeline.cap.capped, waiting.popleft()[1]))


def _take(found: Replayed, emitted: Emitted) -> None:
    if not emitted.is_silent:
        found.rows.extend(row for row in emitted.rows if isinstance(row, MatchRow))
        found.commands.extend(emitted.commands)
        found.commands.extend(emitted.restated)


def waiting_runs(engine: WorkspaceEngine, person: Subscriber, until_ms: int) -> list[Waiting]:
    """Return a person's runs in flight, in order; one that forked is told once, where it is furthest."""
    furthest: dict[tuple[Version, int], Waiting] = {}
    for listener, element, opened_ms in engine.in_flight(person, until_ms):
        version = (listener.name, listener.version)
        known = furthest.get((version, opened_ms))
        if known is None or known.element < element:
            furthest[version, opened_ms] = Waiting(version, element, len(listener.sequence), opened_ms)
    return sorted(furthest.values())
