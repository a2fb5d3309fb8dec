"""Who is it? Beacons of a device become events of a person (DESIGN 5). Pure: a state and a record in, events out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from contracts.actions import PROFILE_CHANGED
from contracts.beacons import Beacon, BeaconRecord, SentEvent, ServerBeacon, Source, read_event
from contracts.bodies import read_events
from contracts.codec import json_reader, replaced, to_json
from contracts.errors import BadInput
from contracts.events import Event, Trust
from contracts.log import Record
from contracts.membership import COMMAND_UNCHANGED, LIST_JOINED, MEMBERSHIP, SESSION_ENDED
from contracts.reasons import Reason
from contracts.tokens import anonymous_id
from flows.derived.clicks import MAX_CLICKS, Click, judged, verdict_of
from flows.derived.joinings import joining_fault
from flows.derived.membership import is_membership
from flows.devices import HISTORY_MS, Device, Refused, Rules

__all__ = ["HISTORY_MS", "Device", "Refused", "Rules", "recognise", "released"]

OLDEST_MS: Final = 730 * 86_400_000
"""How long before it came an event may claim to have happened: the history keeps events for 25 months by their own
time, and an older one would be no row and no dead letter."""
HISTORY_EVENTS: Final = 200
HISTORY_BYTES: Final = 65_536
"""Of a device that is nobody's the last 200 events within 24 hours, and no more than 64 KiB of JSON, are kept, to be
handed over."""
TOKEN_PROBLEM: Final = "token_problem"  # noqa: S105
"""The property of an event that says why the token that came with it was not believed."""
SIGNS: Final = frozenset({"scanner", "link"})
"""What a redirect's record says for the verdict alone: no property of the event."""
SERVERS: Final = frozenset({Source.SERVER, Source.WEBHOOK})
"""The doors whose bodies are a server's, and whose people are sure."""
MAILED: Final = frozenset({Source.REDIRECT, Source.PIXEL})
"""The doors that a mail leads to."""
TOLD: Final = frozenset({PROFILE_CHANGED, LIST_JOINED})
TOLD_BY_SERVERS: Final = TOLD | {COMMAND_UNCHANGED}
"""Actions that every workspace knows."""
MADE: Final = (MEMBERSHIP - {LIST_JOINED}) | {SESSION_ENDED}
"""Actions that the flow makes: nobody tells them, or servers alone."""

# PERF: a name of a module is found in a sixth of the time that an enumeration takes to find its member.
_SDK: Final = Source.SDK
_BY_SERVER: Final = Trust.SERVER
_BY_TOKEN: Final = Trust.TOKEN
_BY_BROWSER: Final = Trust.BROWSER
_read_beacon: Final[Callable[[bytes], Beacon]] = json_reader(Beacon)
_read_server: Final[Callable[[bytes], ServerBeacon]] = json_reader(ServerBeacon)


Recognised = tuple[Device, list[Event], list[Refused]]


def recognise(
    device: Device, beacon: BeaconRecord, record: Record, rules: Rules, encoded: list[bytes] | None = None
) -> Recognised:
    """Make the events of one record: first the history that is handed over to a person, then the record's own.

    A beacon's skew has its way through the network in it, so two beacons of one device may be corrected by different
    amounts, by up to what a connection takes to be made. What the device numbered later therefore never occurred before
    what it numbered earlier and was heard of (ADR 0011); with the same time the numbers decide.

    ``encoded``: takes the JSON of the events, where finding the device's new state made it anyway.

    Raises :class:`BadRecord` where the body is not what its door stores.
    """
    source = beacon.source
    is_sdk = source is _SDK
    if not is_sdk and source in MAILED:
        return _from_mail(device, beacon, record, rules)
    by_server = not is_sdk and source in SERVERS
    trust = _BY_SERVER if by_server else _BY_TOKEN if is_sdk and beacon.subscriber else _BY_BROWSER
    before = device
    device, new_device, handed_over = _identified(device, beacon, by_server=by_server)
    person = device.person or anonymous_id(beacon.workspace, beacon.device)
    order, order_ms = device.order, device.order_ms
    events: list[Event] = []
    refused: list[Refused] = []
    for sent in _told(beacon, rules, by_server=by_server):
        if isinstance(sent, Refused):
            refused.append(sent)
            continue
        at_ms = sent.occurred_at_ms + beacon.skew_ms
        if is_sdk and sent.order > order:
            at_ms = max(at_ms, order_ms)
            order, order_ms = sent.order, min(at_ms, beacon.received_at_ms)
        events.append(_event(sent, beacon, record, person, trust, at_ms=at_ms, new_device=new_device))
    if by_server:
        # The server names the person each time: nothing is worth keeping but what speaks for or against clicks.
        return _delivered(before, events, record.log_time_ms), events, refused
    if not device.person:
        # PERF: their sizes are part of what is known of the device, so here they are encoded, once for all who ask.
        data = [to_json(event) for event in events]
        if encoded is not None:
            encoded.extend(data)
        device = _with_history(device, events, data)
    device = _seen(device, record.log_time_ms, order, order_ms)
    return device, [*handed_over, *events] if handed_over else events, refused


def _seen(device: Device, at_ms: int, order: int, order_ms: int) -> Device:
    """The device after a record. PERF: made anew in 0.15 µs, where `replaced` takes 0.36."""
    return Device(
        person=device.person,
        history=device.history,
        clicks=device.clicks,
        seen_ms=at_ms,
        order=order,
        order_ms=order_ms,
        delivered_ms=device.delivered_ms,
        sizes=device.sizes,
    )


def _identified(device: Device, beacon: BeaconRecord, *, by_server: bool) -> tuple[Device, bool, list[Event]]:
    """The device with its person; whether another person's token came; history handed over to a new person."""
    if by_server:
        return Device(person=beacon.subscriber), False, []
    if not beacon.subscriber or beacon.subscriber == device.person:
        return device, False, []
    if device.person:
        # DESIGN 5: two known people are never merged. A forwarded mail starts a new device.
        return replaced(device, person=beacon.subscriber, history=(), sizes=()), True, []
    handed_over = [
        replaced(event, subscriber=beacon.subscriber, stitched=True)
        for event in _recent(device.history, until_ms=beacon.received_at_ms)
    ]
    return replaced(device, person=beacon.subscriber, history=(), sizes=()), False, handed_over


def _recent(events: tuple[Event, ...], until_ms: int | None = None) -> tuple[Event, ...]:
    if not events:
        return ()
    newest = events[-1].received_at_ms if until_ms is None else until_ms
    return tuple(event for event in events if newest - event.received_at_ms <= HISTORY_MS)[-HISTORY_EVENTS:]


def _with_history(device: Device, events: list[Event], encoded: list[bytes]) -> Device:
    """The device with these events (and their JSON) in its history, without the oldest that are more than is kept."""
    known = device.sizes
    if len(known) != len(device.history):
        known = tuple([len(to_json(event)) for event in device.history])
    newest_ms = events[-1].received_at_ms if events else 0
    found = [
        (event, size)
        for event, size in zip((*device.history, *events), (*known, *map(len, encoded)), strict=True)
        if newest_ms - event.received_at_ms <= HISTORY_MS
    ][-HISTORY_EVENTS:]
    left = sum(size for _, size in found)
    first = 0
    while left > HISTORY_BYTES:
        left -= found[first][1]
        first += 1
    kept = found[first:]
    return replaced(device, history=tuple(event for event, _ in kept), sizes=tuple(size for _, size in kept))


def _told(beacon: BeaconRecord, rules: Rules, *, by_server: bool) -> Sequence[SentEvent | Refused]:
    """The events of a body in order, each as it is believed or refused. Raises :class:`BadRecord` of the body."""
    # PERF: almost every body holds nothing to refuse, and is read once; only else event by event, each with its bytes.
    try:
        told = read_events(beacon.body, by_server=by_server)
        for each in told:
            _check(each, beacon, rules, by_server=by_server)
    except BadInput:
        pass
    else:
        return told
    envelope: Any = (_read_server if by_server else _read_beacon)(beacon.body)
    return [_sent(bytes(raw), beacon, rules, by_server=by_server) for raw in envelope.events]


def _sent(raw: bytes, beacon: BeaconRecord, rules: Rules, *, by_server: bool) -> SentEvent | Refused:
    try:
        sent = read_event(raw)
        _check(sent, beacon, rules, by_server=by_server)
    except BadInput as error:
        return Refused(error.reason, error.detail, raw)
    return sent


def _check(sent: SentEvent, beacon: BeaconRecord, rules: Rules, *, by_server: bool) -> None:
    """Pass an event that this beacon may tell. Raises :class:`BadInput`."""
    action = sent.action
    if action not in rules.actions and action not in (TOLD_BY_SERVERS if by_server else TOLD):
        raise BadInput(Reason.UNKNOWN_ACTION, action)
    if action == LIST_JOINED and (fault := joining_fault(sent.properties)):
        raise BadInput(Reason.BAD_EVENT, fault)
    if action in MADE:
        _check_made(action, sent.properties, by_server=by_server)
    if sent.occurred_at_ms + beacon.skew_ms < max(0, beacon.received_at_ms - OLDEST_MS):
        raise BadInput(Reason.CLOCK_OFF, "more than two years before it came")


def _check_made(action: str, properties: Mapping[str, Any], *, by_server: bool) -> None:
    """Pass what the flow makes itself where a server tells it of others. Raises :class:`BadInput`."""
    if action == SESSION_ENDED:
        raise BadInput(Reason.BAD_EVENT, "session_ended is made by the flow")
    if not by_server:
        raise BadInput(Reason.BAD_EVENT, f"{action} is told by a server")
    if not is_membership(action, properties):
        raise BadInput(Reason.BAD_EVENT, f"{action} names its `account` and its list or tag as texts")


def _event(
    sent: SentEvent, beacon: BeaconRecord, record: Record, person: str, trust: Trust, *, at_ms: int, new_device: bool
) -> Event:
    clicked = sent.action == "email_clicked"
    # The SDK ran for the redirect's click: a real browser landed. A server may know better, whenever it finds out.
    landed = clicked and bool(beacon.click) and sent.event_id == f"c-{beacon.click}"
    reported = clicked and trust is _BY_SERVER and sent.properties.get("machine") is True
    return Event(
        workspace=beacon.workspace,
        subscriber=person,
        event_id=sent.event_id,
        action=sent.action,
        occurred_at_ms=min(at_ms, beacon.received_at_ms),
        order=sent.order,
        properties={**sent.properties, TOKEN_PROBLEM: beacon.token_problem}
        if beacon.token_problem
        else sent.properties,
        trust=trust,
        verdict="confirmed:landed" if landed else "machine:reported" if reported else "",
        new_device=new_device,
        site=beacon.site,
        device=beacon.device,
        received_at_ms=beacon.received_at_ms,
        log_time_ms=record.log_time_ms,
        partition=record.partition,
        offset=record.offset,
    )


def _from_mail(device: Device, beacon: BeaconRecord, record: Record, rules: Rules) -> Recognised:
    """A redirect's click (provisional) or a pixel's open; without a person there is nothing to tell."""
    is_click = beacon.source is Source.REDIRECT
    if not beacon.subscriber:
        return device, [_of_nobody(beacon, record)] if is_click and beacon.token_problem else [], []
    if is_click and any(click.event.event_id == f"c-{beacon.click}" for click in device.clicks):
        return _told_more(device, beacon), [], []
    properties: dict[str, Any] = {name: value for name, value in beacon.properties.items() if name not in SIGNS}
    if not is_click:
        properties["machine"] = beacon.properties.get("machine") == "true"
    event = Event(
        workspace=beacon.workspace,
        subscriber=beacon.subscriber,
        event_id=f"c-{beacon.click}" if is_click else f"o-{record.partition}-{record.offset}",
        action="email_clicked" if is_click else "email_opened",
        occurred_at_ms=beacon.received_at_ms,
        properties=properties,
        trust=Trust.TOKEN,
        provisional=is_click,
        site=beacon.site,
        received_at_ms=beacon.received_at_ms,
        log_time_ms=record.log_time_ms,
        partition=record.partition,
        offset=record.offset,
    )
    if is_click and len(device.clicks) >= MAX_CLICKS:
        return device, [replaced(event, provisional=False, verdict="machine:burst")], []
    if is_click:
        due_ms = record.log_time_ms + rules.quarantine_ms
        link = beacon.properties.get("link") or beacon.properties.get("destination", "")
        click = Click(event, due_ms, beacon.properties.get("scanner", ""), link)
        clicks = judged((*device.clicks, click), device.delivered_ms)
        device = replaced(device, clicks=clicks, seen_ms=record.log_time_ms)
    return device, [event], []


def _of_nobody(beacon: BeaconRecord, record: Record) -> Event:
    """A click whose token is not believed: a row of the history that tells a broken campaign, and fits no step.

    It stays provisional: nobody will ever know whose it was.
    """
    properties = {name: value for name, value in beacon.properties.items() if name not in SIGNS}
    return Event(
        workspace=beacon.workspace,
        subscriber=anonymous_id(beacon.workspace, f"c-{beacon.click}"),
        event_id=f"c-{beacon.click}",
        action="email_clicked",
        occurred_at_ms=beacon.received_at_ms,
        properties={**properties, TOKEN_PROBLEM: beacon.token_problem},
        provisional=True,
        site=beacon.site,
        received_at_ms=beacon.received_at_ms,
        log_time_ms=record.log_time_ms,
        partition=record.partition,
        offset=record.offset,
    )


def _told_more(device: Device, beacon: BeaconRecord) -> Device:
    """A click that came again: what the collector has found out about it since speaks against it."""
    clicks = tuple(
        replaced(click, scanner=click.scanner or beacon.properties.get("scanner", ""))
        if click.event.event_id == f"c-{beacon.click}"
        else click
        for click in device.clicks
    )
    return replaced(device, clicks=clicks)


def _delivered(device: Device, events: list[Event], log_time_ms: int) -> Device:
    """The device with its newest delivery, which may speak against clicks on trial."""
    at_ms = max((event.occurred_at_ms for event in events if event.action == "email_delivered"), default=0)
    if at_ms <= device.delivered_ms:
        return device
    return replaced(device, delivered_ms=at_ms, seen_ms=log_time_ms, clicks=judged(device.clicks, at_ms))


def released(device: Device, log_time_ms: int) -> tuple[Device, list[Event]]:
    """The verdicts on clicks whose quarantine is over: a machine's, where something speaks against them."""
    over = [click for click in device.clicks if click.due_ms <= log_time_ms]
    kept = tuple(click for click in device.clicks if click.due_ms > log_time_ms)
    events = [replaced(click.event, provisional=False, verdict=verdict_of(click)) for click in over]
    return replaced(device, clicks=kept), events
