"""What is told of a stored event that is traced: when it was taken, and when and where it was stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from contracts.traces import Span, Stage, Tracer, span_id


class Storing(NamedTuple):
    """One store of a request's records. ``in_log`` False: they wait on the collector's own disk."""

    workspace: str
    site: str
    door: str
    received_at_ms: int
    started_ns: int
    in_log: bool


def tell_stored(tracer: Tracer, event_ids: Iterable[str], storing: Storing) -> None:
    """Tell the spans of a request's events, now that it is answered."""
    now_ns = tracer.now_ns()
    about = {"segma.workspace": storing.workspace, "segma.site": storing.site, "segma.door": storing.door}
    stage = Stage.PUBLISH if storing.in_log else Stage.SPOOL
    for event_id in event_ids:
        if trace := tracer.trace_of(storing.workspace, event_id):
            of = str(storing.received_at_ms)
            accepted = span_id(trace, Stage.ACCEPT, of)
            began_ns = storing.received_at_ms * 1_000_000
            tracer.tell(Span(trace, accepted, 0, Stage.ACCEPT, began_ns, now_ns, about))
            tracer.tell(Span(trace, span_id(trace, stage, of), accepted, stage, storing.started_ns, now_ns))
