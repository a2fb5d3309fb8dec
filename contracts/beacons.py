"""The beacons that clients send over HTTP, and the records that the collector makes of them.

The collector reads the envelope (:class:`Beacon`) and leaves the events as the bytes they came as; ``recognise``
decodes those (:class:`SentEvent`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

import msgspec

from contracts.codec import Raw, Value, json_reader, written
from contracts.errors import BadInput, BadRecord
from contracts.properties import MAX_EVENT_BYTES, check_properties
from contracts.reasons import Reason

# NOTE: not `$`, which in Python also fits before a line's end that closes the text.
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+(?![\s\S])")]
ActionField = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*(?![\s\S])")]
Millis = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
"""Milliseconds since the epoch, up to the end of the year 9999."""
Count = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]


class Beacon(Value, frozen=True):
    """The envelope that the SDK sends to ``POST /v1/beacons``.

    ``site`` is the site's public key; ``token`` the link token, whenever the SDK has one; ``click`` the click id that
    the redirect endpoint gave to the landing page; ``sent_at_ms`` the client's clock when this beacon left, from which
    its skew is known; ``deferred``: it was laid into the browser's hands then, and left nobody knows when (the skew is
    not known). ``device`` is chosen by the browser and trusted for nothing but telling browsers apart. ``asked``: ids
    of events that a former page of the device sent without hearing an answer; the collector says which it has.
    """

    SCHEMA: ClassVar[int] = 1

    site: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    device: Id
    sent_at_ms: Millis
    events: Annotated[list[Raw], msgspec.Meta(min_length=1)]
    token: Annotated[str, msgspec.Meta(max_length=2_048)] = ""
    click: Annotated[str, msgspec.Meta(max_length=64)] = ""
    deferred: bool = False
    asked: tuple[str, ...] = ()
    schema: int = written(1)


class ServerBeacon(Value, frozen=True):
    """The envelope of server-side events, ``POST /v1/events`` with a secret key.

    ``subscriber`` is Segma's id or, where the caller has none, ``address`` (made an id at the door, never stored).
    """

    SCHEMA: ClassVar[int] = 1

    site: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    events: Annotated[list[Raw], msgspec.Meta(min_length=1)]
    subscriber: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[A-Za-z0-9._:-]*(?![\s\S])")] = ""
    address: Annotated[str, msgspec.Meta(max_length=320)] = ""
    sent_at_ms: Millis | None = None
    schema: int = written(1)


class SentEvent(Value, frozen=True):
    """One event as a client sends it. ``order`` is the device's running number, breaks ties."""

    event_id: Id
    action: ActionField
    occurred_at_ms: Millis
    order: Count = 0
    properties: dict[str, Any] = {}


_decode_event: Final[Callable[[bytes], SentEvent]] = json_reader(SentEvent)


def read_event(data: bytes) -> SentEvent:
    """The event that a client's JSON text says, if it may be one: its fields, and :mod:`contracts.properties`.

    Raises :class:`BadInput` (``bad_event``) with the place of the fault, never with what stands there.
    """
    if len(data) > MAX_EVENT_BYTES:
        raise BadInput(Reason.BAD_EVENT, f"{len(data)} bytes, {MAX_EVENT_BYTES} at most")
    try:
        sent = _decode_event(data)
    except BadRecord as error:
        raise BadInput(Reason.BAD_EVENT, error.detail) from None
    check_properties(sent.properties)
    return sent


class _QuickEvent(SentEvent, frozen=True):
    event_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    action: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class _ToldBeacon(Beacon, frozen=True):
    device: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    events: Annotated[list[_QuickEvent], msgspec.Meta(min_length=1)]  # type: ignore[assignment]


class _ToldServerBeacon(ServerBeacon, frozen=True):
    events: Annotated[list[_QuickEvent], msgspec.Meta(min_length=1)]  # type: ignore[assignment]


decode_told: Final[Callable[[bytes], _ToldBeacon]] = json_reader(_ToldBeacon)
"""PERF: envelope and events in one reading, the patterns of ids and actions aside, which are two thirds of the time:
:mod:`contracts.bodies` looks at those."""
decode_told_by_server: Final[Callable[[bytes], _ToldServerBeacon]] = json_reader(_ToldServerBeacon)


class _Named(Value, frozen=True):
    event_id: str


_decode_named: Final[Callable[[bytes], _Named]] = json_reader(_Named)
_decode_all_named: Final[Callable[[bytes], list[_Named]]] = json_reader(list[_Named])


def event_ids_of(events: Sequence[bytes]) -> list[str]:
    """The ids that clients' JSON texts give their events, without those that have none to be read."""
    # PERF: all in one reading; one by one only where one of them has no id.
    try:
        named = _decode_all_named(b"[%b]" % b",".join(events))
    except BadRecord:
        return [event_id for each in events if (event_id := _event_id_of(each))]
    return [each.event_id for each in named if each.event_id]


def _event_id_of(data: bytes) -> str:
    try:
        return _decode_named(data).event_id
    except BadRecord:
        return ""


class Source(StrEnum):
    """Through which door a record came."""

    SDK = "sdk"
    SERVER = "server"
    PIXEL = "pixel"
    REDIRECT = "redirect"
    WEBHOOK = "webhook"


class BeaconRecord(Value, frozen=True):
    """A record of the topic ``beacons``: the original bytes and what only the server knows.

    ``subscriber`` is set where the server is sure: a verified token, a secret key, a redirect's or pixel's token.
    ``token_problem`` is the reason why a token that was sent is not believed (the events count all the same, without
    it). ``skew_ms`` is ``received_at_ms - sent_at_ms``: added to the client's times. ``address`` never stands here:
    ``ip`` is truncated (IPv4 to /24, IPv6 to /48).
    """

    SCHEMA: ClassVar[int] = 1

    workspace: str
    site: str
    source: Source
    received_at_ms: int
    body: bytes
    device: str = ""
    subscriber: str = ""
    token_issued_at_s: int = 0
    token_problem: str = ""
    click: str = ""
    skew_ms: int = 0
    ip: str = ""
    user_agent: str = ""
    origin: str = ""
    properties: dict[str, str] = {}
    """Of a redirect or a pixel, whose body is empty: campaign, destination, what the scanner check saw."""
    schema: int = written(1)
