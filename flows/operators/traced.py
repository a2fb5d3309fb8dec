"""What the flows tell of an event that is traced. Times are those of the work; what an event waited lies between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from contracts.beacons import BeaconRecord, Source
from contracts.commands import Command
from contracts.events import Event
from contracts.rows import MatchRow
from contracts.traces import Span, Stage, Tracer, completing_event, span_id
from flows.subscriber.subscriber import Emitted

TRACED_DOORS: Final = frozenset({Source.SDK, Source.SERVER, Source.REDIRECT})
"""The doors at which a trace begins; of what came by another it begins with ``recognise``."""
Times = tuple[int, int]
"""When the work began and ended, in nanoseconds since the epoch."""


def tell_recognised(tracer: Tracer, beacon: BeaconRecord, events: Iterable[Event], started_ns: int) -> None:
    """Tell what ``recognise`` made of a record. History that is handed over with it was told when it came."""
    now_ns, of = tracer.now_ns(), str(beacon.received_at_ms)
    # NOTE: a platform's webhook stores a server's record, without a site; the trace of what it tells begins here.
    is_from_door = beacon.source in TRACED_DOORS and bool(beacon.site)
    for event in events:
        trace = 0 if event.stitched else tracer.trace_of(event.workspace, event.event_id)
        if trace:
            door = span_id(trace, Stage.ACCEPT, of) if is_from_door else 0
            about = {"segma.workspace": event.workspace, "segma.action": event.action}
            span = span_id(trace, Stage.RECOGNISE, of)
            tracer.tell(Span(trace, span, door, Stage.RECOGNISE, started_ns, now_ns, about))


def tell_followed(tracer: Tracer, event: Event | None, emitted: Emitted, started_ns: int) -> None:
    """Tell what ``follow`` made of an event, or of time that passed: that, then the matches and their commands.

    A match whose trace is another event's, for a deadline or an event that came late completed it, has no span above.
    """
    times = started_ns, tracer.now_ns()
    trace, followed = _tell_event(tracer, event, times) if event is not None else (0, 0)
    for row in emitted.rows:
        if isinstance(row, MatchRow):
            _tell_match(tracer, row, times, {trace: followed})
    for command in (*emitted.commands, *emitted.restated):
        _tell_command(tracer, command, times)


def _tell_event(tracer: Tracer, event: Event, times: Times) -> tuple[int, int]:
    trace = tracer.trace_of(event.workspace, event.event_id)
    if not trace:
        return 0, 0
    # NOTE: an event comes again: sent twice, with its verdict, or handed over to a person.
    of = str(event.received_at_ms)
    span = span_id(trace, Stage.FOLLOW, f"{of}/{event.verdict}/{event.stitched}")
    about = {"segma.workspace": event.workspace, "segma.action": event.action}
    tracer.tell(Span(trace, span, span_id(trace, Stage.RECOGNISE, of), Stage.FOLLOW, *times, about))
    return trace, span


def _tell_match(tracer: Tracer, row: MatchRow, times: Times, followed: Mapping[int, int]) -> None:
    if trace := tracer.trace_of(row.workspace, completing_event(row.evidence)):
        about = {"segma.listener": row.listener, "segma.version": str(row.version), "segma.kind": row.kind}
        about |= {"segma.reason": row.reason} if row.reason else {}
        span = span_id(trace, Stage.MATCH, row.match_id)
        tracer.tell(Span(trace, span, followed.get(trace, 0), Stage.MATCH, *times, about))


def _tell_command(tracer: Tracer, command: Command, times: Times) -> None:
    if trace := tracer.trace_of(command.workspace, completing_event(command.evidence)):
        about = {"segma.listener": command.listener, "segma.account": command.account, "segma.verb": command.verb.value}
        span = span_id(trace, Stage.COMMAND, command.command_id)
        before = span_id(trace, Stage.MATCH, command.match_id)
        tracer.tell(Span(trace, span, before, Stage.COMMAND, *times, about))
