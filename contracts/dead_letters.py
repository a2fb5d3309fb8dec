"""Making a dead letter: of a record of the log, or of what came in at a door and never reached it."""

from __future__ import annotations

from contracts.codec import to_msgpack
from contracts.log import Outgoing, Record
from contracts.rows import DeadLetter
from contracts.topics import DEAD_LETTERS


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
        detail=detail,
        workspace=workspace,
        site=site,
        key=record.key,
        value=kept[: DeadLetter.MAX_SAMPLE_BYTES],
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
        detail=detail,
        workspace=workspace,
        site=site,
        value=value[: DeadLetter.MAX_SAMPLE_BYTES],
        size=len(value) if size is None else size,
    )


def set_aside(letter: DeadLetter) -> Outgoing:
    """The record that puts a letter into ``dead_letters``."""
    return Outgoing(DEAD_LETTERS, letter.topic.encode(), to_msgpack(letter))
