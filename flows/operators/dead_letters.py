"""What is set aside: records, or events in them, with where they came from."""

from __future__ import annotations

import structlog

from contracts.beacons import BeaconRecord
from contracts.codec import replaced
from contracts.dead_letters import key_without_device, letter_from, letter_of, set_aside
from contracts.log import Outgoing, Record
from contracts.reasons import Reason

log_line = structlog.get_logger("flows")


def dead_letter(
    record: Record, reason: Reason, detail: str, data: bytes | None = None, beacon: BeaconRecord | None = None
) -> Outgoing:
    """A record, or an event in it, set aside with where it came from."""
    workspace, site = (beacon.workspace, beacon.site) if beacon is not None else ("", "")
    at_ms = record.log_time_ms
    return set_aside(letter_of(record, reason, detail, at_ms=at_ms, value=data, workspace=workspace, site=site))


def failed(record: Record, error: Exception) -> Outgoing:
    """A record that the flow itself failed on. The letter names the kind of error and nothing that it holds."""
    log_line.error("processing_failed", topic=record.topic, partition=record.partition, offset=record.offset)
    return dead_letter(record, Reason.PROCESSING_FAILED, type(error).__name__)


def lost_state(kind: str, key: str, error: Exception, at_ms: int) -> Outgoing:
    """The letter of a state that was dropped. ``kind``: ``device`` or ``subscriber``; ``at_ms``: log time."""
    log_line.error("state_lost", kind=kind, error=type(error).__name__)
    letter = letter_from("state", Reason.STATE_LOST, f"{kind}: {type(error).__name__}", at_ms=at_ms)
    stored = key.encode("utf-8", "replace")
    return set_aside(replaced(letter, key=key_without_device(stored) if kind == "device" else stored))
