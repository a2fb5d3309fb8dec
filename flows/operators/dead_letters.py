"""What is set aside: records, or events in them, with where they came from."""

from __future__ import annotations

from contracts.beacons import BeaconRecord
from contracts.dead_letters import letter_of, set_aside
from contracts.log import Outgoing, Record
from contracts.reasons import Reason


def dead_letter(
    record: Record, reason: Reason, detail: str, data: bytes | None = None, beacon: BeaconRecord | None = None
) -> Outgoing:
    """A record, or an event in it, set aside with where it came from."""
    workspace, site = (beacon.workspace, beacon.site) if beacon is not None else ("", "")
    at_ms = record.log_time_ms
    return set_aside(letter_of(record, reason, detail, at_ms=at_ms, value=data, workspace=workspace, site=site))
