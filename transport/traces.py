"""Sends spans by OpenTelemetry's protocol (OTLP over HTTP), behind the work that they tell of and never before it.

What waits is bounded, and dropped where the receiver is away or slow. Off, nothing of OpenTelemetry is loaded.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from contracts.traces import Span, Stage, is_sampled, trace_id

MAX_WAITING: Final = 2_048
"""Spans, each some 600 bytes."""
SEND_EVERY_MS: Final = 1_000
REQUEST_S: Final = 5.0
"""How long one request may take, its repetitions included."""
CLOSE_S: Final = 1.0
"""How long a stop waits for what is left to be sent."""
_KINDS: Final = {Stage.ACCEPT: SpanKind.SERVER, Stage.PUBLISH: SpanKind.PRODUCER, Stage.REQUEST: SpanKind.CLIENT}
log_line = structlog.get_logger("traces")


class OtlpTracer:
    """The tracer of one process. Safe to share between threads."""

    def __init__(self, endpoint: str, share: float, service: str, now_ns: Callable[[], int]) -> None:
        """``endpoint``: the URL that takes spans; ``share``: of events, 0 to 1; ``service``: the process's name."""
        # NOTE: the library's own lines are plain text, and name the endpoint; what has to be said is said below.
        logging.getLogger("opentelemetry").propagate = False
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        self.now_ns, self._share, self._ids = now_ns, share, _GivenIds()
        exporter = _Exporter(OTLPSpanExporter(endpoint, timeout=REQUEST_S))
        processor = BatchSpanProcessor(exporter, MAX_WAITING, SEND_EVERY_MS)
        resource = Resource.create({"service.name": service, "service.namespace": "segma"})
        self._provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=self._ids)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("segma")

    def trace_of(self, workspace: str, event_id: str) -> int:
        """As :meth:`contracts.traces.Tracer.trace_of`."""
        trace = trace_id(workspace, event_id)
        return trace if is_sampled(trace, self._share) else 0

    def tell(self, span: Span) -> None:
        """As :meth:`contracts.traces.Tracer.tell`."""
        self._ids.give(span.trace, span.span)
        parent = SpanContext(span.trace, span.parent, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        started = self._tracer.start_span(
            span.stage,
            set_span_in_context(NonRecordingSpan(parent)),
            _KINDS.get(span.stage, SpanKind.INTERNAL),
            span.attributes,
            start_time=span.start_ns,
        )
        if span.fault:
            started.set_status(Status(StatusCode.ERROR, span.fault))
        started.end(max(span.end_ns, span.start_ns))

    def close(self) -> None:
        """As :meth:`contracts.traces.Tracer.close`."""
        # NOTE: a shutdown of the library's waits for as long as its last request does.
        ending = threading.Thread(target=self._provider.shutdown, name="segma-traces-end", daemon=True)
        ending.start()
        ending.join(CLOSE_S)


class _GivenIds(IdGenerator):
    """Hands out the ids that were given to it on this thread."""

    def __init__(self) -> None:
        self._given = threading.local()

    def give(self, trace: int, span: int) -> None:
        """The ids of the next span."""
        self._given.ids = trace, span

    def generate_trace_id(self) -> int:
        """Of a span without a parent."""
        return int(self._given.ids[0])

    def generate_span_id(self) -> int:
        """Of any span."""
        return int(self._given.ids[1])


class _Exporter(SpanExporter):
    """Sends; says once for a batch that it could not, without what was sent and where to."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        found = self._inner.export(spans)
        if found is not SpanExportResult.SUCCESS:
            log_line.warning("traces_not_sent", spans=len(spans))
        return found

    def shutdown(self) -> None:
        """Release the connection."""
        self._inner.shutdown()
