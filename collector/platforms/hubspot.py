"""HubSpot's webhooks: an app's subscriptions and a workflow's, signed in a way of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final

from collector.notices import (
    ACTIONS,
    ADDRESS_CHANGED,
    SUBSCRIBED,
    UNREADABLE,
    Notice,
    Told,
    check_count,
    instant_ms,
    is_ours,
    mapping,
    read_json,
    words,
)
from collector.platforms.base import Platform, Signature
from collector.signatures import DIGITS, Call, check_age, same
from contracts.errors import BadInput
from contracts.reasons import Reason

PLAIN: Final = {f"%{ord(sign):02X}": sign for sign in ":/?@!$'()*,;"}
"""What HubSpot writes out in the address before it signs."""
_ACTIONS: Final = {
    "hs_email_optout": "email_unsubscribed",
    "hs_email_last_open_date": "email_opened",
    "hs_email_last_click_date": "email_clicked",
    "hs_email_bounce": "email_bounced",
    "hs_email_delivered": "email_delivered",
    "email": ADDRESS_CHANGED,
}
"""The contact's properties that change when it happens."""
CONTACTS: Final = "0-1"
"""HubSpot's number for the kind of record that a contact is."""
BY_THEMSELVES: Final = frozenset({"", "EMAIL", "FORM", "SUBSCRIPTION_PREFERENCES", "PREFERENCE_CENTER"})
"""``changeSource`` of what a person did; imports, the API and colleagues are none, and bring nobody back."""


def notices(told: Told) -> list[Notice] | None:
    """What its contact or its changes say; None: the body is in our words."""
    said = read_json(told.body)
    return None if is_ours(said) else _of_workflow(said, told.body, told.action)


def _of_workflow(told: object, body: bytes, action: str) -> list[Notice]:
    """A HubSpot workflow's webhook: a contact's properties, plain or each with a ``value``.

    It does not say what happened, so the address it was sent to does (``?action=email_opened``); a contact that has
    opted out tells that by itself.
    """
    if isinstance(told, list):
        return _of_subscriptions(told)
    if "propertyName" in mapping(told):
        return _of_subscriptions([told])
    if not isinstance(told, dict):
        raise BadInput(Reason.MISSING_FIELD, "neither a contact nor a list of events")
    contact = {**told, **mapping(told.get("properties"))}
    values = {name: each.get("value") if isinstance(each, dict) else each for name, each in contact.items()}
    if not action and str(values.get("hs_email_optout", "")).lower() == "true":
        action = "email_unsubscribed"
    if action not in {*ACTIONS, SUBSCRIBED}:
        raise BadInput(Reason.UNKNOWN_ACTION, "?action= one of the email actions")
    address = values.get("email")
    kept = {"campaign": words(values["campaign"])} if values.get("campaign") else {}
    # NOTE: a repetition has the same body, and another time of sending.
    at = hashlib.sha256(body).hexdigest()[:40]
    return [Notice(action, address if isinstance(address, str) else "", at, "", kept)]


def _of_subscriptions(events: list[Any]) -> list[Notice]:
    """What an app has subscribed to: changed properties of contacts, each named by its record's id.

    A property that means nothing to us, or that was emptied, is passed over; who opted in again has come back.
    """
    check_count(events)
    found = []
    for event in events:
        change = mapping(event)
        action, value = _ACTIONS.get(str(change.get("propertyName", ""))), str(change.get("propertyValue") or "")
        if not change:
            found.append(Notice(UNREADABLE, "", ""))
        elif action is not None and _is_of_contact(change):
            found += _of_change(action, value, change)
    return found


def _is_of_contact(change: Mapping[str, Any]) -> bool:
    """Whether a change is one of a contact: records of other kinds have properties of the same names, and ids too."""
    kind = str(change.get("subscriptionType", "contact.")).partition(".")[0]
    return kind == "contact" or (kind == "object" and str(change.get("objectTypeId", "")) == CONTACTS)


def _of_change(action: str, value: str, change: Mapping[str, Any]) -> list[Notice]:
    """What one changed property says. Its id is made of all that tells it apart: an ``eventId`` may come twice."""
    person = str(change.get("objectId", ""))[:40]
    parts = ("eventId", "subscriptionId", "portalId", "objectId", "propertyName", "propertyValue", "occurredAt")
    at = hashlib.sha256(repr([str(change.get(name, "")) for name in parts]).encode()).hexdigest()[:40]
    if action == ADDRESS_CHANGED:
        return [Notice(action, "", at, person=person, new_address=value)]
    at_ms = instant_ms(change.get("occurredAt"))
    if action == "email_unsubscribed" and value.lower() in {"false", ""}:
        came_back = bool(value) and str(change.get("changeSource", "")) in BY_THEMSELVES
        return [Notice(SUBSCRIBED, "", at, person=person, at_ms=at_ms)] if came_back else []
    return [Notice(action, "", at, person=person, at_ms=at_ms)] if value else []


def _check_hubspot(call: Call, secret: str, now_s: int) -> None:
    """HubSpot's version 3: HMAC-SHA256, base64, of method, address, body and the time in milliseconds.

    HubSpot signs the address that it called, which a proxy in front of us may have changed: any of those that it may
    have been is tried. None of them is believed for anything else.
    """
    given, sent_at = call.headers["x-hubspot-signature-v3"], call.headers.get("x-hubspot-request-timestamp", "")
    if not DIGITS.fullmatch(sent_at):
        raise BadInput(Reason.BAD_SIGNATURE)
    found = False
    for address in call.addresses:
        signed = f"{call.method}{_written_out(address)}".encode() + call.body + sent_at.encode()
        expected = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
        found |= same(given, expected)
    if not found:
        raise BadInput(Reason.BAD_SIGNATURE)
    check_age(now_s - int(sent_at) / 1_000)


def _written_out(address: str) -> str:
    return re.sub("%[0-9a-fA-F]{2}", lambda found: PLAIN.get(found[0].upper(), found[0]), address)


PLATFORM = Platform(notices, Signature("x-hubspot-signature-v3", _check_hubspot))
