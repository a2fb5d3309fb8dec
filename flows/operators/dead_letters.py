"""What is set aside: records, or events in them, with where they came from."""

from __future__ import annotations

from contracts.beacons import BeaconRecord
from contracts.codec import to_msgpack
from contracts.log import Outgoing, Record
from contracts.reasons import Reason
from contracts.rows import DeadLetter
from contracts.topics import BEACONS, DEAD_LETTERS


def dead_letter(
    record: Record, reason: Reason, detail: str, data: bytes | None = None, beacon: BeaconRecord | None = None
) -> Outgoing:
    """A record, or an event in it, set aside with where it came from."""
    value = data if data is not None else record.value or b""
    letter = DeadLetter(
        reason=str(reason),
        topic=record.topic or BEACONS,
        partition=record.partition,
        offset=record.offset,
        at_ms=record.log_time_ms,
        detail=detail,
        workspace=beacon.workspace if beacon is not None else "",
        site=beacon.site if beacon is not None else "",
        key=record.key,
        value=value[: DeadLetter.MAX_SAMPLE_BYTES],
        size=len(value),
    )
    return Outgoing(DEAD_LETTERS, record.topic.encode(), to_msgpack(letter))
