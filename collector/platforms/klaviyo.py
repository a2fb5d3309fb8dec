"""Klaviyo's system webhooks: JSON, signed in a way of its own."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from collector.notices import (
    SUBSCRIBED,
    UNREADABLE,
    Notice,
    Told,
    check_count,
    instant_ms,
    is_yes,
    listed,
    mapping,
    read_json,
    words,
)
from collector.platforms.base import Platform, Signature
from collector.signatures import Call, check_age, instant_s, same
from contracts.errors import BadInput
from contracts.reasons import Reason

_ACTIONS: Final = {
    "received_email": "email_delivered",
    "opened_email": "email_opened",
    "clicked_email": "email_clicked",
    "bounced_email": "email_bounced",
    "marked_email_as_spam": "email_complained",
    "unsubscribed_from_email_marketing": "email_unsubscribed",
    "subscribed_to_email_marketing": SUBSCRIBED,
}
_ADDRESSES: Final = ("email_address", "Recipient Email Address", "email")
_KEPT: Final = {"campaign": "Campaign Name", "url": "URL", "kind": "Bounce Type"}


def notices(told: Told) -> list[Notice] | None:
    """What its events say; None: the body is in our words.

    Who is subscribed again may be so by an import or a call: by themselves only where the address says so.
    """
    said = read_json(told.body)
    if not isinstance(said, dict) or not isinstance(said.get("data"), list | dict):
        return None
    return [each for each in _of_events(listed(said["data"])) if each.action != SUBSCRIBED or told.is_of_the_people]


def _of_events(events: list[Any]) -> list[Notice]:
    """Klaviyo's system webhooks: ``data`` of events, each with ``topic``, ``external_id`` and the event itself.

    A topic that means nothing to us is passed over.
    """
    check_count(events)
    found = []
    for event in events:
        topic = event.get("topic") if isinstance(event, dict) else None
        if not isinstance(topic, str):
            found.append(Notice(UNREADABLE, "", ""))
            continue
        action = _ACTIONS.get(topic.rpartition("klaviyo.")[2])
        if action is not None:
            found.append(_of_event(action, event))
    return found


def _of_event(action: str, event: Mapping[str, Any]) -> Notice:
    payload = mapping(event.get("payload"))
    attributes = mapping(mapping(payload.get("data")).get("attributes"))
    properties = mapping(attributes.get("event_properties"))
    at_ms = instant_ms(attributes.get("timestamp")) or instant_ms(attributes.get("datetime"))
    profiles = payload.get("included")
    known = [
        mapping(mapping(each).get("attributes")).get("email")
        for each in listed(profiles)
        if mapping(each).get("type") == "profile"
    ]
    addresses = [*(properties.get(name) for name in _ADDRESSES), *known]
    address = next((each for each in addresses if isinstance(each, str) and "@" in each), "")
    kept: dict[str, Any] = {name: words(properties[key]) for name, key in _KEPT.items() if properties.get(key)}
    machine = {"machine": True} if is_yes(properties.get("machine_open")) else {}
    return Notice(action, address, str(event.get("external_id", ""))[:40], "", kept | machine, at_ms=at_ms)


def _check_klaviyo(call: Call, secret: str, now_s: int) -> None:
    """Klaviyo's: HMAC-SHA256, hexadecimal, of the body and its time as it stands in the header."""
    given, sent_at = call.headers["klaviyo-signature"], call.headers.get("klaviyo-timestamp", "")
    expected = hmac.new(secret.encode(), call.body + sent_at.encode(), hashlib.sha256).hexdigest()
    if not sent_at or not same(given.lower(), expected):
        raise BadInput(Reason.BAD_SIGNATURE)
    at_s = instant_s(sent_at)
    if at_s is None:
        raise BadInput(Reason.BAD_SIGNATURE)
    check_age(now_s - at_s)


PLATFORM = Platform(notices, Signature("klaviyo-signature", _check_klaviyo))
