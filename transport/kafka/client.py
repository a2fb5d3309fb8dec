"""The configuration of every Kafka client of ours, and librdkafka's errors as ours (ADR 0004)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError

from contracts.errors import (
    ConfigError,
    LogError,
    LogUnavailable,
    PositionGone,
    Problem,
    RecordRefused,
    UnknownTopic,
)
from transport.config import Settings
from transport.kafka.topic_settings import MAX_RECORD_BYTES

_UNKNOWN: Final = {
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_EXCEPTION,
}
_GONE: Final = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}
_PASSING: Final = {
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.NOT_CONTROLLER,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.THROTTLING_QUOTA_EXCEEDED,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.UNKNOWN_PRODUCER_ID,
    KafkaError.UNKNOWN_TOPIC_ID,
    KafkaError.UNKNOWN_TOPIC_OR_PART,  # also said by a broker that is starting: whoever asks for the topic learns it
}
"""What brokers say of a write that may succeed later, or with a new producer. Whatever else they say is for good."""
REFUSALS: Final = {KafkaError._AUTHENTICATION, KafkaError._SSL}
"""What a broker says to a client that may not in; librdkafka goes on trying and tells its callback alone."""
log_line = structlog.get_logger("transport")


def base_config(settings: Settings) -> dict[str, Any]:
    """Return the settings of every client. Raises :class:`ConfigError` where the password cannot be read."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_servers,
        "client.id": "segma",
        "security.protocol": settings.kafka_security,
        # Measured: with librdkafka's defaults a flush that was under way when the broker died hung for 50 s.
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,
        "retry.backoff.max.ms": 500,
        "socket.timeout.ms": 10_000,
        "socket.keepalive.enable": True,
        "topic.metadata.refresh.interval.ms": 30_000,
        # NOTE: librdkafka would print a line for every failed connection; what matters comes by the callback.
        "log_level": 2,
        "error_cb": note,
    }
    if settings.kafka_security.startswith("sasl"):
        config["sasl.mechanism"] = settings.kafka_sasl_mechanism
        config["sasl.username"] = settings.kafka_username
        config["sasl.password"] = _password(settings.kafka_password_file)
    files = {
        "ssl.ca.location": settings.kafka_ca_file,
        "ssl.certificate.location": settings.kafka_certificate_file,
        "ssl.key.location": settings.kafka_key_file,
    }
    return config | {name: str(path) for name, path in files.items() if path is not None}


def producer_config(settings: Settings) -> dict[str, Any]:
    """Idempotent, ``acks=all``: a record confirmed is on every copy in sync, once and in order."""
    return base_config(settings) | {
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 1,
        "compression.type": "lz4",
        "message.timeout.ms": settings.kafka_timeout_ms,
        "message.max.bytes": MAX_RECORD_BYTES,
        "queue.buffering.max.messages": 500_000,
        "queue.buffering.max.kbytes": 256 * 1024,
        "allow.auto.create.topics": False,
    }


def consumer_config(settings: Settings, group: str) -> dict[str, Any]:
    """Assigned partitions, positions of our own; an offset that is gone is an error, never a silent jump."""
    return base_config(settings) | {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "isolation.level": "read_uncommitted",
        "fetch.message.max.bytes": MAX_RECORD_BYTES,
        # PERF: each partition of a flow has a consumer of its own; at librdkafka's 64 MB each, a backlog would cost
        # gigabytes. The next fetch must then not wait the default second when the queue has just been emptied.
        "queued.max.messages.kbytes": 16 * 1024,
        "queued.min.messages": 20_000,
        "fetch.queue.backoff.ms": 10,
        "fetch.error.backoff.ms": 100,
        "allow.auto.create.topics": False,
    }


def mapped(error: KafkaError, what: str) -> LogError:
    """An error of librdkafka's as one of ours. ``what`` names the topic or the deed."""
    if error.code() in _UNKNOWN:
        return UnknownTopic(f"{what}: no such topic or partition ({error.name()})")
    if error.code() in _GONE:
        return PositionGone(f"{what}: {error.str()}")
    return LogUnavailable(f"{what}: {error.str()}")


def write_fault(error: KafkaError, what: str) -> LogError:
    """Return the outcome of a record that was not confirmed: try again, or never again as it is."""
    if error.code() > 0 and error.code() not in _PASSING:
        return RecordRefused(f"{what}: {error.str()}")
    return LogUnavailable(f"{what}: {error.str()}")


def _password(path: Path | None) -> str:
    try:
        password = path.read_text(encoding="utf-8").strip() if path else ""
    except OSError:
        password = ""
    if not password:
        wanted = "put the password into that file, readable by its owner alone"
        raise ConfigError([Problem("environment", "SEGMA_KAFKA_PASSWORD_FILE", "holds no password", wanted)])
    return password


def note(error: KafkaError) -> None:
    """Log what librdkafka says of its connections."""
    if error.code() in {KafkaError._TRANSPORT, KafkaError._RESOLVE}:
        return  # one connection of many; that all are down is told as well
    log_line.warning("kafka", error=error.name(), detail=error.str(), fatal=error.fatal())
