"""The records of a log on Kafka that nobody could make again, as a backup's parts.

What else Kafka holds (beacons, events, rows, commands that wait) is of its own time: a record that is written anew gets
another log time, and deadlines, lateness and retention rest on it. Kafka's own means copy it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from contracts.codec import Packed, msgpack_reader, to_msgpack
from contracts.errors import LogError
from contracts.log import Log, Outgoing, Publisher
from contracts.reading import all_of
from contracts.topics import ACCOUNTS, CAPTURES, DEAD_LETTERS, INTENTS, LISTENERS, OUTCOMES, SUBSCRIBERS, VETOES

KEPT: Final = (SUBSCRIBERS, VETOES, OUTCOMES, INTENTS, ACCOUNTS, LISTENERS, CAPTURES, DEAD_LETTERS)
"""Who is known at which address, who left, what was done, what was about to be done, what is stopped, what is live."""
AT_ONCE: Final = 1_000


class Saved(Packed, frozen=True):
    """A record. ``value`` None deletes its key."""

    key: bytes
    value: bytes | None


_read: Final = msgpack_reader(list[Saved])


def batches(log: Log, topic: str) -> Iterator[tuple[int, bytes]]:
    """Yield a topic's records, oldest first, some at a time: how many, and their part."""
    batch = list[Saved]()
    for record in all_of(log, topic):
        if record.is_tick:
            continue
        batch.append(Saved(record.key, record.value))
        if len(batch) == AT_ONCE:
            yield len(batch), to_msgpack(batch)
            batch = []
    if batch:
        yield len(batch), to_msgpack(batch)


def put_back(publisher: Publisher, topic: str, part: bytes) -> int:
    """Store the records of one part; how many. Raises :class:`LogError` where the log refuses one."""
    outcomes = publisher.publish([Outgoing(topic, each.key, each.value) for each in _read(part)])
    for outcome in outcomes:
        if isinstance(outcome, LogError):
            raise outcome
    return len(outcomes)


def has_others(log: Log, topic: str, parts: Iterator[bytes]) -> bool:
    """Whether a topic holds a record that is not in these parts: a log that lives, not one half restored."""
    there = {_digest(record.key, record.value) for record in all_of(log, topic) if not record.is_tick}
    if there:
        for part in parts:
            there -= {_digest(each.key, each.value) for each in _read(part)}
    return bool(there)


def _digest(key: bytes, value: bytes | None) -> bytes:
    return hashlib.blake2b(len(key).to_bytes(8, "big") + key + (value or b""), digest_size=16).digest()
