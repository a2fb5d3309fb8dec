"""What happens to a beacon at the door, step by step. Read the two lists at the end aloud.

``check_*`` steps only reject, ``put_*`` steps add. A rejection is a :class:`BadInput` with a closed reason; the one
table :data:`STATUS` says which answer that is. The events themselves stay bytes: ``recognise`` reads them.
"""

from __future__ import annotations

import functools
import hmac
import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from collector.event_texts import parts_of
from collector.sites import ServedSite, Sites
from contracts.beacons import Beacon, BeaconRecord, ServerBeacon, Source, read_event
from contracts.codec import Raw, depth_exceeds, json_reader, replaced, to_json
from contracts.errors import BadInput, BadRecord, BadToken
from contracts.installation import MAX_BODY_BYTES
from contracts.masking import masked, masked_text
from contracts.reasons import Reason
from contracts.tokens import is_address, stored_device, subscriber_id
from contracts.urls import fits_origin

T = TypeVar("T")

STATUS: Final = {
    Reason.TOO_LARGE: 413,
    Reason.TOO_MANY_EVENTS: 413,
    Reason.TOO_DEEP: 400,
    Reason.NOT_UTF8: 400,
    Reason.NOT_JSON: 400,
    Reason.WRONG_TYPE: 422,
    Reason.MISSING_FIELD: 422,
    Reason.NEWER_SCHEMA: 422,
    Reason.UNSUPPORTED_MEDIA: 415,
    Reason.UNKNOWN_SITE: 404,
    Reason.WRONG_ORIGIN: 403,
    Reason.BAD_KEY: 401,
    Reason.RATE_LIMITED: 429,
    Reason.BAD_DESTINATION: 400,
    Reason.UNKNOWN_HOOK: 404,
    Reason.BAD_SIGNATURE: 401,
    Reason.REPLAYED: 401,
    Reason.UNKNOWN_ACTION: 422,
    Reason.LOG_UNAVAILABLE: 503,
    Reason.SPOOL_FULL: 503,
}

MAX_PARTED_BYTES: Final = 262_144
"""Above it a body with an unreadable event is refused as a whole: parting it would hold the worker up."""
MIN_DEVICE: Final = 16
"""Characters of an id that is looked for in the events too: the SDK's have 24, and a short one may be any word."""

_EVENTS: Final = re.compile(rb'"events"\s*:')
_read_any: Final[Callable[[bytes], Raw]] = json_reader(Raw)
_read_beacon: Final[Callable[[bytes], Beacon]] = json_reader(Beacon)
_read_server: Final[Callable[[bytes], ServerBeacon]] = json_reader(ServerBeacon)


@dataclass(slots=True)
class Arrival:
    """One request on its way through the steps."""

    body: bytes
    received_at_ms: int
    origin: str = ""
    authorization: str = ""
    client: str = ""
    user_agent: str = ""
    served: ServedSite | None = None
    beacon: Beacon | None = None
    server: ServerBeacon | None = None
    subscriber: str = ""
    token_issued_at_s: int = 0
    token_problem: str = ""
    set_aside: tuple[tuple[bytes, str], ...] = ()
    """Events whose text no reader takes, each with what is wrong with it."""
    is_emptied: bool = False
    """All of its events were set aside."""
    record: BeaconRecord | None = None
    key: bytes = b""

    def at(self) -> ServedSite:
        """The site; every step behind ``put_site`` has it."""
        if self.served is None:
            raise BadInput(Reason.UNKNOWN_SITE)
        return self.served


@dataclass(frozen=True, slots=True)
class Door:
    """What the steps need: the sites, and whether a client may send one more (True takes one of its share)."""

    sites: Sites
    admit: Callable[[ServedSite, str], bool]
    current: Callable[[str, str], str] = lambda workspace, subscriber: subscriber
    """(workspace, any id of a person) → the one by which every door names them."""


DoorStep = Callable[[Arrival, Door], None]


def check_size(arrival: Arrival, door: Door) -> None:
    """No larger than anything that any site takes."""
    if len(arrival.body) > MAX_BODY_BYTES:
        raise BadInput(Reason.TOO_LARGE, f"{len(arrival.body)} bytes")


def drop_unreadable_events(arrival: Arrival, door: Door) -> None:
    """Set aside each event whose text no reader takes; the others are the beacon."""
    if is_readable(arrival.body) or len(arrival.body) > MAX_PARTED_BYTES:
        return
    parts = parts_of(arrival.body)
    if parts is None:
        return
    good, bad = [], []
    for text in parts.events:
        try:
            read_event(text)
        except BadInput as error:
            bad.append((text, error.detail))
        else:
            good.append(text)
    # An empty event stands in for all: the envelope is looked at, whatever becomes of its events.
    rest = parts.holding(good or [b"{}"])
    # NOTE: another list of the same name may stand behind the one that was parted; then nothing stands in.
    if is_readable(rest):
        arrival.body, arrival.set_aside = rest, tuple(bad)
        arrival.is_emptied = not good and _EVENTS.search(parts.tail) is None


def is_readable(body: bytes) -> bool:
    """Whether a text is JSON as UTF-8 within the depth that readers follow."""
    try:
        body.decode("utf-8")
        _read_any(body)
    except (UnicodeDecodeError, BadRecord):
        return False
    return not depth_exceeds(body)


def check_utf8(arrival: Arrival, door: Door) -> None:
    """JSON on a wire is UTF-8 (RFC 8259, section 8.1)."""
    try:
        arrival.body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(Reason.NOT_UTF8, f"at byte {error.start}") from None


def check_depth(arrival: Arrival, door: Door) -> None:
    """Not nested deeper than any reader should follow."""
    if depth_exceeds(arrival.body):
        raise BadInput(Reason.TOO_DEEP)


def put_envelope(arrival: Arrival, door: Door) -> None:
    """Read the SDK's envelope; its events stay bytes, without those that no reader takes."""
    arrival.beacon = _envelope(arrival, door, _read_beacon)


def put_server_envelope(arrival: Arrival, door: Door) -> None:
    """Read the envelope of a server-side call; its events stay bytes, without those that no reader takes."""
    arrival.server = _envelope(arrival, door, _read_server)


def _envelope(arrival: Arrival, door: Door, read: Callable[[bytes], T]) -> T:
    # PERF: a body without a fault is read once; what is wrong with one that has any is looked for step by step.
    if (whole := _whole(arrival.body, read)) is not None:
        return whole
    for step in (drop_unreadable_events, check_utf8, check_depth):
        step(arrival, door)
    try:
        return read(arrival.body)
    except BadRecord as error:
        raise envelope_fault(error) from None


def _whole(body: bytes, read: Callable[[bytes], T]) -> T | None:
    try:
        body.decode("utf-8")
        found = read(body)
    except (UnicodeDecodeError, BadRecord):
        return None
    return None if depth_exceeds(body) else found


def envelope_fault(error: BadRecord) -> BadInput:
    """What is wrong with an envelope, as a closed reason."""
    if error.reason is Reason.NEWER_SCHEMA:
        return BadInput(Reason.NEWER_SCHEMA, error.detail)
    if "missing required field" in error.detail:
        return BadInput(Reason.MISSING_FIELD, error.detail)
    if error.detail.startswith("Expected") or " - at `$" in error.detail:
        return BadInput(Reason.WRONG_TYPE, error.detail)
    return BadInput(Reason.NOT_JSON, error.detail)


def put_site(arrival: Arrival, door: Door) -> None:
    """Whose it is: the site of this public key."""
    envelope = arrival.beacon or arrival.server
    arrival.served = door.sites.by_key.get(envelope.site) if envelope is not None else None
    if arrival.served is None:
        raise BadInput(Reason.UNKNOWN_SITE)


def check_origin(arrival: Arrival, door: Door) -> None:
    """Only from the site's own pages."""
    if not fits_origin(arrival.origin, arrival.at().origins):
        raise BadInput(Reason.WRONG_ORIGIN, masked_text(arrival.origin)[:100])


def check_key(arrival: Arrival, door: Door) -> None:
    """Only with the site's secret key; compared in constant time."""
    key = arrival.at().server_key
    scheme, _, given = arrival.authorization.partition(" ")
    if key is None or scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), key):
        raise BadInput(Reason.BAD_KEY)


def check_rate(arrival: Arrival, door: Door) -> None:
    """No more than one client's share."""
    if not door.admit(arrival.at(), arrival.client):
        raise BadInput(Reason.RATE_LIMITED)


def check_body(arrival: Arrival, door: Door) -> None:
    """Within the site's own limits of bytes and events."""
    site = arrival.at().site
    envelope = arrival.beacon or arrival.server
    if len(arrival.body) > site.max_body_bytes:
        raise BadInput(Reason.TOO_LARGE, f"{len(arrival.body)} bytes, {site.max_body_bytes} at most")
    events = len(arrival.set_aside) + (len(envelope.events) if envelope is not None else 0) - arrival.is_emptied
    if events > site.max_events:
        raise BadInput(Reason.TOO_MANY_EVENTS, f"{events} events, {site.max_events} at most")


def put_identity(arrival: Arrival, door: Door) -> None:
    """Who the token says it is. A token that is not believed is no refusal: the events count without it."""
    token = arrival.beacon.token if arrival.beacon is not None else ""
    if not token:
        return
    try:
        claims = door.sites.keyring.open(token, workspace=arrival.at().workspace, now_s=arrival.received_at_ms // 1_000)
    except BadToken as error:
        arrival.token_problem = str(error.reason)
    else:
        arrival.subscriber = door.current(claims.workspace, claims.subscriber)
        arrival.token_issued_at_s = claims.issued_at_s


def put_subscriber(arrival: Arrival, door: Door) -> None:
    """Who the calling server says it is; an address becomes an id here and is not kept."""
    server = arrival.server
    if server is None or bool(server.address) == bool(server.subscriber):
        raise BadInput(Reason.MISSING_FIELD, "give either `subscriber` or `address`")
    if server.address and not is_address(server.address):
        raise BadInput(Reason.WRONG_TYPE, "`address` is no email address")
    workspace = arrival.at().workspace
    named = server.subscriber or subscriber_id(door.sites.secrets[workspace], server.address)
    arrival.subscriber = door.current(workspace, named)
    arrival.server = replaced(server, address="", subscriber=arrival.subscriber)
    arrival.body = to_json(arrival.server)


def put_record(arrival: Arrival, door: Door) -> None:
    """The record of the SDK's beacon: its bytes without what proves who sent it, and what only the server knows."""
    served, beacon = arrival.at(), arrival.beacon
    if beacon is None:
        raise BadInput(Reason.NOT_JSON)
    device = stored_device(door.sites.secrets[served.workspace], beacon.device)
    arrival.key = f"{served.workspace}/{device}".encode()
    arrival.record = BeaconRecord(
        workspace=served.workspace,
        site=served.name,
        source=Source.SDK,
        received_at_ms=arrival.received_at_ms,
        body=masked(without_secrets(arrival.body, beacon, device)),
        device=device,
        subscriber=arrival.subscriber,
        token_issued_at_s=arrival.token_issued_at_s,
        token_problem=arrival.token_problem,
        click=masked_text(beacon.click),
        skew_ms=0 if beacon.deferred else arrival.received_at_ms - beacon.sent_at_ms,
        ip=truncated(arrival.client),
        user_agent=masked_text(arrival.user_agent)[:256],
        origin=arrival.origin,
    )


def without_secrets(body: bytes, beacon: Beacon, device: str) -> bytes:
    """The body of a beacon without its token and what it asks for, and with the device's stored id for its own.

    What the token said stands in the record; one that was damaged could not be known again among other text.
    """
    # PERF: as `JSON.stringify` writes them; any other spelling, an escape or a blank, is written anew.
    sent, token = beacon.device.encode(), beacon.token.encode()
    is_plain = body.count(b'"device":"%b"' % sent) == 1 == body.count(sent)
    if is_plain and not beacon.asked and (not token or body.count(b'"token":"%b"' % token) == 1 == body.count(token)):
        found = body.replace(b'"device":"%b"' % sent, b'"device":"%b"' % device.encode())
        return found.replace(b'"token":"%b"' % token, b'"token":""') if token else found
    written = to_json(replaced(beacon, device=device, token="", asked=()))
    if len(sent) >= MIN_DEVICE:
        written = written.replace(b'"%b"' % sent, b'"%b"' % device.encode())
    return written


def put_server_record(arrival: Arrival, door: Door) -> None:
    """The record of a server-side call."""
    served, server = arrival.at(), arrival.server
    if server is None:
        raise BadInput(Reason.NOT_JSON)
    arrival.key = f"{served.workspace}/{arrival.subscriber}".encode()
    arrival.record = BeaconRecord(
        workspace=served.workspace,
        site=served.name,
        source=Source.SERVER,
        received_at_ms=arrival.received_at_ms,
        body=masked(arrival.body),
        subscriber=arrival.subscriber,
        skew_ms=0 if server.sent_at_ms is None else arrival.received_at_ms - server.sent_at_ms,
    )


@functools.lru_cache(maxsize=4_096)
def truncated(client: str) -> str:
    """A client's address as it may be kept: IPv4 to /24, IPv6 to /48; empty where it is none."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return ""
    length = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, length), strict=False).network_address)


SDK_STEPS: Final[Sequence[DoorStep]] = (
    check_size,
    put_envelope,
    put_site,
    check_origin,
    check_rate,
    check_body,
    put_identity,
    put_record,
)

SERVER_STEPS: Final[Sequence[DoorStep]] = (
    check_size,
    put_server_envelope,
    put_site,
    check_key,
    check_body,
    put_subscriber,
    put_server_record,
)


def passed(arrival: Arrival, door: Door, steps: Sequence[DoorStep]) -> BeaconRecord | None:
    """Take an arrival through the steps; None where every event of it was set aside.

    Raises :class:`BadInput` at the step that refuses it.
    """
    for step in steps:
        step(arrival, door)
    if arrival.record is None:
        raise BadInput(Reason.NOT_JSON)
    return None if arrival.is_emptied else arrival.record
