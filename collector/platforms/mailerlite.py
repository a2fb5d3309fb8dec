"""MailerLite's webhooks: JSON, one event or a bundle of them, signed without a time.

What has a group or an automation in it names its person under ``subscriber``, everything else is the subscriber itself.
The form of an open and of a click is on no page: either is read. A signature covers no time, so an old call cannot be
told from a new one; each event counts once, by what it says.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from collector.notices import (
    UNREADABLE,
    Notice,
    Told,
    check_count,
    instant_ms,
    is_ours,
    listed,
    mapping,
    read_json,
    words,
)
from collector.platforms.base import Platform, Signature
from collector.signatures import Call, same
from contracts.codec import to_json
from contracts.errors import BadInput
from contracts.reasons import Reason

_ACTIONS: Final = {
    "subscriber.unsubscribed": "email_unsubscribed",
    "subscriber.spam_reported": "email_complained",
    "subscriber.bounced": "email_bounced",
    "campaign.open": "email_opened",
    "campaign.click": "email_clicked",
}
_TIMES: Final = {"email_unsubscribed": ("unsubscribed_at", "updated_at")}
_OTHER_TIMES: Final = ("date", "timestamp", "updated_at")


def notices(told: Told) -> list[Notice] | None:
    """What its events say; None: the body is in our words."""
    said = read_json(told.body)
    if is_ours(said) or not isinstance(said, dict | list):
        return None
    inside = mapping(said).get("events")
    events = inside if isinstance(inside, list) else listed(said)
    check_count(events)
    found = [_of_event(mapping(each)) for each in events]
    return [each for each in found if each is not None]


def _of_event(event: Mapping[str, Any]) -> Notice | None:
    """One event; None: it means nothing to us. Who was put into a group or set active was so by anybody."""
    kind = event.get("event", event.get("type"))
    if not isinstance(kind, str):
        return Notice(UNREADABLE, "", "")
    action = _ACTIONS.get(kind)
    if action is None:
        return None
    person = {**event, **mapping(event.get("subscriber"))}
    address = person.get("email")
    campaign, url = mapping(event.get("campaign")).get("name"), event.get("url", event.get("link"))
    kept = {"campaign": campaign, "url": url, "kind": "hard" if action == "email_bounced" else None}
    times = (instant_ms(person.get(name)) for name in _TIMES.get(action, _OTHER_TIMES))
    return Notice(
        action,
        address if isinstance(address, str) else "",
        hashlib.sha256(to_json(event)).hexdigest()[:40],
        properties={name: words(value) for name, value in kept.items() if isinstance(value, str)},
        at_ms=next((each for each in times if each is not None), None),
    )


def _check_mailerlite(call: Call, secret: str, now_s: int) -> None:
    """HMAC-SHA256, hexadecimal, of the body alone."""
    expected = hmac.new(secret.encode(), call.body, hashlib.sha256).hexdigest()
    if not same(call.headers["signature"].lower(), expected):
        raise BadInput(Reason.BAD_SIGNATURE)


PLATFORM = Platform(notices, Signature("signature", _check_mailerlite))
