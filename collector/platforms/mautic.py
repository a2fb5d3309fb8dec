"""Mautic's webhooks: JSON, a list of events under the name of each type, signed without a time.

A signature covers the body alone, in the header whose name Standard Webhooks use too; what tells it from theirs is that
Mautic names its own address beside it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from collector.notices import UNREADABLE, Notice, Told, check_count, instant_ms, listed, mapping, read_json, words
from collector.platforms.base import Platform, Signature
from collector.signatures import Call, same
from contracts.codec import to_json
from contracts.errors import BadInput
from contracts.reasons import Reason

_CHANGED: Final = "mautic.lead_channel_subscription_changed"
_OPENED: Final = "mautic.email_on_open"
_STATUSES: Final = {"unsubscribed": "email_unsubscribed", "manual": "email_unsubscribed", "bounced": "email_bounced"}
"""``manual``: entered by hand, which no listener is to overrule."""


def notices(told: Told) -> list[Notice] | None:
    """What its events say; None: the body is in our words."""
    said = read_json(told.body)
    if not isinstance(said, dict) or not any(name.startswith("mautic.") for name in said):
        return None
    events = [(name, mapping(each)) for name, found in said.items() for each in listed(found)]
    check_count(events)
    found = [_of_event(name, event) for name, event in events]
    return [each for each in found if each is not None]


def _of_event(name: str, event: Mapping[str, Any]) -> Notice | None:
    """One event; None: it means nothing to us. Who is contactable again became so by anybody's hand."""
    stat = mapping(event.get("stat"))
    if name == _CHANGED and event.get("channel") == "email":
        action, address = _STATUSES.get(str(event.get("new_status", ""))), _address(mapping(event.get("contact")))
    elif name == _OPENED:
        action, address = "email_opened", str(stat.get("emailAddress") or "")
    else:
        return None
    if action is None:
        return None if event.get("new_status") == "contactable" else Notice(UNREADABLE, "", "")
    campaign = mapping(stat.get("email")).get("name")
    kept = {"campaign": words(campaign)} if isinstance(campaign, str) else {}
    at = hashlib.sha256(to_json([name, event])).hexdigest()[:40]
    return Notice(action, address, at, "", kept, at_ms=instant_ms(event.get("timestamp")))


def _address(contact: Mapping[str, Any]) -> str:
    """A contact's address: among its core fields, each with a value."""
    found = mapping(mapping(mapping(contact.get("fields")).get("core")).get("email")).get("value")
    return found if isinstance(found, str) else ""


def _check_mautic(call: Call, secret: str, now_s: int) -> None:
    """HMAC-SHA256, base64, of the body alone."""
    expected = base64.b64encode(hmac.new(secret.encode(), call.body, hashlib.sha256).digest()).decode()
    if not same(call.headers.get("webhook-signature", ""), expected):
        raise BadInput(Reason.BAD_SIGNATURE)


PLATFORM = Platform(notices, Signature("x-origin-base-url", _check_mautic))
