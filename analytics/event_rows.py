"""Rows of events on their way into the history: by far the most rows, so they are read and taken apart in bulk."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from contracts.codec import Raw, Value, json_reader, to_json
from contracts.errors import BadRecord
from contracts.events import Event
from contracts.reasons import Reason
from contracts.rows import EventRow
from contracts.tokens import anonymous_id

DEVICES: Final = 20_000
"""Hashes of devices that are remembered: a visit's events come close to one another."""


class LoadedEvent(Event, frozen=True, tag="event", tag_field="type"):
    """An event whose properties stay the JSON text that they came as: the history keeps them as text."""

    properties: Raw = Raw(b"{}")  # type: ignore[assignment]


class LoadedEventRow(EventRow, frozen=True, tag="event", tag_field="row"):
    """An :class:`EventRow` as the loader reads it."""

    event: LoadedEvent


class ClickArrival(NamedTuple):
    """The row of a click, or of a verdict on one, once more under a key of its own: the next verdict takes the place of
    the other.
    """

    event: Event
    session: str
    reason: str
    watermark_ms: int


class _NamedProperties(Value, frozen=True):
    """The properties that have columns."""

    path: str = ""
    campaign: str = ""
    sku: str = ""
    category: str = ""
    value: float | None = None


PROPERTY_COLUMNS: Final = _NamedProperties.__struct_fields__
_columns: Final[Sequence[Callable[[Any], Any]]] = [attrgetter(name) for name in PROPERTY_COLUMNS]
_read_all: Final = json_reader(list[_NamedProperties])
_read_any: Final = json_reader(dict[str, Any])


def click_arrivals(row: EventRow) -> Sequence[ClickArrival]:
    """Return what a click, or a verdict on one, makes beside its row."""
    event = row.event
    if not (event.provisional or event.verdict) or row.reason == Reason.DUPLICATE:
        return ()
    return (ClickArrival(event, row.session, row.reason, row.watermark_ms),)


def copies(rows: Sequence[EventRow | ClickArrival]) -> tuple[list[int]]:
    """Return of each row 0, or of a repetition a number made of where it came from: it must not replace what counts."""
    return ([_copy(row) if row.reason or isinstance(row, ClickArrival) else 0 for row in rows],)


def _copy(row: EventRow | ClickArrival) -> int:
    if row.reason != Reason.DUPLICATE and not isinstance(row, ClickArrival):
        return 0
    verdict = f"/{row.event.verdict}" if row.event.verdict else ""
    place = f"{row.event.partition}/{row.event.offset}{verdict}".encode()
    return int.from_bytes(hashlib.sha256(place).digest()[:8], "big") | 1


def devices(rows: Sequence[EventRow | ClickArrival]) -> tuple[list[str]]:
    """Return a hash of each row's device, the id that its events go under before anybody is known: who reads the
    history cannot act as the device.
    """
    return ([_device(event.workspace, event.device) if event.device else "" for event in map(_event, rows)],)


_event: Final[Callable[[Any], Event]] = attrgetter("event")
_properties: Final[Callable[[Any], Any]] = attrgetter("event.properties")
_device: Final = functools.lru_cache(DEVICES)(anonymous_id)


def property_columns(rows: Sequence[EventRow | ClickArrival]) -> Sequence[Sequence[Any]]:
    """Return the columns :data:`PROPERTY_COLUMNS`, and one of all properties as JSON.

    A property of another type than its column stands in the JSON alone. Raises :class:`BadRecord` where properties are
    not a JSON object, and :class:`OverflowError` where a value is beyond every float.
    """
    texts = list(map(_text, map(_properties, rows)))
    joined = b"[%b]" % b",".join(texts)
    if not joined.isascii():
        # NOTE: what is taken as raw JSON was parsed, but not decoded.
        _check_utf8(joined)
    try:
        # PERF: each is one whole JSON value, so that they can be read as one array.
        named = _read_all(joined)
    except BadRecord:
        named = list(map(_one_by_one, texts))
    return [*(list(map(read, named)) for read in _columns), texts]


def _text(properties: Raw | dict[str, Any]) -> bytes:
    return to_json(properties) if isinstance(properties, dict) else bytes(properties)


def _check_utf8(text: bytes) -> None:
    try:
        text.decode()
    except UnicodeDecodeError:
        raise BadRecord(Reason.UNDECODABLE, "text that is no UTF-8") from None


def _one_by_one(text: bytes) -> _NamedProperties:
    """Return the properties that have columns where some are of another type."""
    properties = _read_any(text)
    words = {name: word for name in PROPERTY_COLUMNS[:-1] if isinstance(word := properties.get(name), str)}
    value = properties.get("value")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return _NamedProperties(**words, value=float(value) if is_number else None)
