"""Kit's webhook endpoints: JSON, up to a hundred events of one type, signed with their time in one header."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from collector.notices import UNREADABLE, Notice, Told, check_count, instant_ms, listed, mapping, read_json
from collector.platforms.base import Platform, Signature
from collector.signatures import DIGITS, Call, check_age, same
from contracts.errors import BadInput
from contracts.reasons import Reason

_ACTIONS: Final = {
    "subscriber.unsubscribed": "email_unsubscribed",
    "subscriber.complained": "email_complained",
    "subscriber.bounced": "email_bounced",
}


def notices(told: Told) -> list[Notice] | None:
    """What its events say; None: the body is in our words."""
    said = read_json(told.body)
    events = said.get("events") if isinstance(said, dict) else None
    if not isinstance(events, list | dict):
        return None
    events = listed(events)
    check_count(events)
    found = [_of_event(mapping(each)) for each in events]
    return [each for each in found if each is not None]


def _of_event(event: Mapping[str, Any]) -> Notice | None:
    """One event; None: it means nothing to us. Who became active or got a tag did so by anybody's hand."""
    kind = event.get("type")
    if not isinstance(kind, str):
        return Notice(UNREADABLE, "", "")
    action = _ACTIONS.get(kind)
    if action is None:
        return None
    address = mapping(mapping(event.get("data")).get("subscriber")).get("email_address")
    kept = {"kind": "hard"} if action == "email_bounced" else {}
    said = str(event.get("id", ""))[:40]
    at_ms = instant_ms(event.get("created"))
    return Notice(action, address if isinstance(address, str) else "", said, "", kept, at_ms=at_ms)


def _check_kit(call: Call, secret: str, now_s: int) -> None:
    """``t=…,v1=…``: HMAC-SHA256, hexadecimal, of time, a point and body; one ``v1`` for each secret that is valid."""
    parts = [part.partition("=") for part in call.headers["x-kit-signature"].split(",")]
    times = [value for name, _, value in parts if name.strip() == "t"]
    if len(times) != 1 or not DIGITS.fullmatch(times[0]):
        raise BadInput(Reason.BAD_SIGNATURE)
    expected = hmac.new(secret.encode(), f"{times[0]}.".encode() + call.body, hashlib.sha256).hexdigest()
    if not any(same(value.strip().lower(), expected) for name, _, value in parts if name.strip() == "v1"):
        raise BadInput(Reason.BAD_SIGNATURE)
    check_age(now_s - int(times[0]))


PLATFORM = Platform(notices, Signature("x-kit-signature", _check_kit))
