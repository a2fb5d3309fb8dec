"""Makes a dead letter of a record of the log, or of a request that was refused before it became one."""

from __future__ import annotations

from typing import Final

from contracts.codec import to_msgpack
from contracts.log import Outgoing, Record
from contracts.masking import masked, masked_text, without_devices
from contracts.rows import DeadLetter
from contracts.tokens import anonymous_id
from contracts.topics import BEACONS, DEAD_LETTERS

COMMANDS: Final = ("moves.", "backfill.")
"""How the names of the topics with commands begin."""
LONGEST: Final = 4_096
"""Bytes behind the sample that a token or an address on its edge may reach into."""
LONGEST_SAMPLE: Final = DeadLetter.MAX_SAMPLE_BYTES + LONGEST
"""Bytes of a value that are looked at."""


def letter_of(
    record: Record,
    reason: str,
    detail: str,
    *,
    at_ms: int,
    value: bytes | None = None,
    workspace: str = "",
    site: str = "",
) -> DeadLetter:
    """The dead letter of a record. ``value``: the part of it that is set aside; None: the record's whole value."""
    kept = (record.value or b"") if value is None else value
    return DeadLetter(
        reason=str(reason),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at_ms=at_ms,
        detail=masked_text(detail),
        workspace=workspace,
        site=site,
        key=key_without_device(record.key) if record.topic == BEACONS else record.key,
        value=_sample(record.topic, kept),
        size=len(kept),
    )


def letter_from(
    door: str,
    reason: str,
    detail: str,
    *,
    at_ms: int,
    value: bytes = b"",
    size: int | None = None,
    workspace: str = "",
    site: str = "",
) -> DeadLetter:
    """The dead letter of what is in no topic: ``door`` says where it came from. ``size``: of the whole, if cut."""
    return DeadLetter(
        reason=str(reason),
        topic=door,
        partition=-1,
        offset=-1,
        at_ms=at_ms,
        detail=masked_text(detail),
        workspace=workspace,
        site=site,
        value=_sample(door, value),
        size=len(value) if size is None else size,
    )


def key_without_device(key: bytes) -> bytes:
    """The key of a beacon, ``workspace/device``, with a hash for the device's id: what its events go under while nobody
    knows whose it is. A subscriber's id stays.
    """
    workspace, slash, device = key.decode("utf-8", "replace").partition("/")
    known = not slash or device.startswith(("s_", "a_"))
    return key if known else f"{workspace}/{anonymous_id(workspace, device)}".encode()


def _sample(topic: str, value: bytes) -> bytes:
    """As much of a value as a letter keeps, without tokens, addresses and the ids of devices.

    A command stays as it is: the flow wrote it, it names people by their ids, and it is delivered from its letter.
    """
    if topic.startswith(COMMANDS):
        return value[: DeadLetter.MAX_SAMPLE_BYTES]
    # NOTE: masked before it is cut, so that no half of an address or a token is left at the end.
    return without_devices(masked(value[:LONGEST_SAMPLE]))[: DeadLetter.MAX_SAMPLE_BYTES]


def set_aside(letter: DeadLetter) -> Outgoing:
    """The record that puts a letter into ``dead_letters``."""
    return Outgoing(DEAD_LETTERS, letter.topic.encode(), to_msgpack(letter))
