"""The trace of an event, from the door to the platform: ids that each process makes of what records say anyway.

Nothing is carried along: the same event has the same trace in every process, the same work the same span, and a
repetition after a crash tells the same span again. A trace's context is written as W3C says, as 32 and 16 hexadecimal
digits. Spans say where and when, never who: no address, no token, no property of an event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from contracts.codec import to_json
from contracts.commands import EventRef

_SAMPLED_BITS: Final = 64


class Stage(StrEnum):
    """What was done for an event; the name of the span."""

    ACCEPT = "collector.accept"
    PUBLISH = "collector.publish"
    SPOOL = "collector.spool"
    RECOGNISE = "flow.recognise"
    FOLLOW = "flow.follow"
    MATCH = "flow.match"
    COMMAND = "flow.command"
    REQUEST = "sink.request"


class Span(NamedTuple):
    """One stage of an event's trace.

    ``trace``: 128 bits; ``span``, ``parent``: 64 bits, a parent of 0 is none. Times are nanoseconds since the epoch.
    ``fault``: the closed reason why it did not succeed; empty where it did.
    """

    trace: int
    span: int
    parent: int
    stage: Stage
    start_ns: int
    end_ns: int
    attributes: Mapping[str, str] = {}
    fault: str = ""


class Tracer(Protocol):
    """Takes the spans of the events that are sampled."""

    def trace_of(self, workspace: str, event_id: str) -> int:
        """Return the trace of an event; 0 where it is not one of those sampled."""

    def now_ns(self) -> int:
        """Return nanoseconds since the epoch."""

    def tell(self, span: Span) -> None:
        """Take a span. Neither waits nor raises; what there is no room for is dropped."""

    def close(self) -> None:
        """Send what waits, within a second, and release everything."""


def trace_id(workspace: str, event_id: str) -> int:
    """Return the trace of an event: never 0."""
    return _digest("trace", workspace, event_id, size=16)


def span_id(trace: int, stage: Stage, of: str = "") -> int:
    """Return the span of a stage: never 0. ``of``: which, where a trace may have several, such as a command's id."""
    return _digest(f"{trace:032x}", stage, of, size=8)


def is_sampled(trace: int, share: float) -> bool:
    """Return whether a trace is among a share of all: every process decides alike, as OpenTelemetry's samplers do."""
    return trace & ((1 << _SAMPLED_BITS) - 1) < round(share * (1 << _SAMPLED_BITS))


def completing_event(evidence: Mapping[str, Sequence[EventRef]]) -> str:
    """Return the id of the newest event that a match rests on, whose trace the match belongs to; empty of no evidence.

    Where a deadline completed the match, that is the event which the deadline ran from, or one after it.
    """
    events = [event for each in evidence.values() for event in each]
    return max(((event.occurred_at_ms, event.event_id) for event in events), default=(0, ""))[1]


def _digest(*parts: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(to_json(parts)).digest()[:size]) or 1
