"""Customer.io's reporting webhooks: JSON, one event a call, signed with its time.

A call that is refused holds up all that come after it, for up to seven days. So an event that names nobody, as one of a
person who was deleted does, is passed over and not refused.
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
    is_yes,
    listed,
    mapping,
    read_json,
    words,
)
from collector.platforms.base import Platform, Signature
from collector.signatures import DIGITS, Call, check_age, same
from contracts.errors import BadInput
from contracts.reasons import Reason

_OF_EMAILS: Final = {
    "delivered": "email_delivered",
    "opened": "email_opened",
    "clicked": "email_clicked",
    "bounced": "email_bounced",
    "spammed": "email_complained",
}
_MACHINE: Final = {"opened": "prefetched", "clicked": "machine"}
_MAILINGS: Final = ("campaign_id", "newsletter_id", "broadcast_id")


def notices(told: Told) -> list[Notice] | None:
    """What its events say; None: the body is in our words."""
    said = read_json(told.body)
    events = [mapping(each) for each in listed(said)]
    if not any(isinstance(each.get("metric"), str) for each in events):
        return None
    check_count(events)
    found = [_of_event(each, mapping(each.get("data"))) for each in events]
    return [each for each in found if each is not None]


def _of_event(event: Mapping[str, Any], data: Mapping[str, Any]) -> Notice | None:
    """One event; None: it means nothing to us. Who is subscribed, or changed a topic, is so by anybody's hand.

    ``unsubscribed`` is the person's, whichever channel it came by; the others are an email's.
    """
    metric, is_email = event.get("metric"), event.get("object_type") == "email"
    if not isinstance(metric, str):
        return Notice(UNREADABLE, "", "")
    action = "email_unsubscribed" if metric == "unsubscribed" else _OF_EMAILS.get(metric) if is_email else None
    addresses = (data.get("email_address"), mapping(data.get("identifiers")).get("email"))
    found = (data.get("recipient") if is_email else None, *addresses)
    address = next((each for each in found if isinstance(each, str) and each), "")
    if action is None or not address:
        return None
    kept: dict[str, Any] = {"url": words(data["href"])} if isinstance(data.get("href"), str) else {}
    mailing = next((data[name] for name in _MAILINGS if isinstance(data.get(name), int)), None)
    kept |= {"campaign": str(mailing)} if mailing is not None else {}
    kept |= {"machine": True} if is_yes(data.get(_MACHINE.get(metric, ""))) else {}
    return Notice(
        action, address, str(event.get("event_id", ""))[:40], "", kept, at_ms=instant_ms(event.get("timestamp"))
    )


def _check_customerio(call: Call, secret: str, now_s: int) -> None:
    """HMAC-SHA256, hexadecimal, of ``v0``, the time of the other header and the body, with colons between."""
    sent_at = call.headers.get("x-cio-timestamp", "")
    if not DIGITS.fullmatch(sent_at):
        raise BadInput(Reason.BAD_SIGNATURE)
    expected = hmac.new(secret.encode(), f"v0:{sent_at}:".encode() + call.body, hashlib.sha256).hexdigest()
    if not same(call.headers["x-cio-signature"].lower(), expected):
        raise BadInput(Reason.BAD_SIGNATURE)
    check_age(now_s - int(sent_at))


PLATFORM = Platform(notices, Signature("x-cio-signature", _check_customerio))
