"""The log: topics, publish with confirmation, consume with positions. :func:`open_log` opens it.

Beside it the traces: :func:`open_tracer`.
"""

from __future__ import annotations

from collections.abc import Callable

from contracts.log import Log
from contracts.traces import Tracer
from transport.config import Settings, Surroundings, wall_clock_ms, wall_clock_ns
from transport.embedded.log import EmbeddedLog
from transport.private import LOG, open_data


def open_log(settings: Settings, *, clock: Callable[[], int] = wall_clock_ms) -> Log:
    """The log that the settings choose. ``clock``: milliseconds since the epoch, to stamp records with (Kafka's broker
    has its own). Raises :class:`ConfigError` where the data folder is open to others.
    """
    open_data(settings.data)
    if settings.log == "kafka":
        from transport.kafka.log import KafkaLog  # noqa: PLC0415 - librdkafka is loaded by those who use it

        return KafkaLog(settings, Surroundings(now_ms=clock))
    return EmbeddedLog(settings.data / LOG, Surroundings(now_ms=clock))


def open_tracer(settings: Settings, service: str) -> Tracer | None:
    """The tracer of a process; None where the settings name no endpoint. ``service``: which process it is."""
    if not settings.traces_endpoint:
        return None
    from transport.traces import OtlpTracer  # noqa: PLC0415 - OpenTelemetry is loaded by those who use it

    return OtlpTracer(settings.traces_endpoint, settings.traces_share, service, wall_clock_ns)
