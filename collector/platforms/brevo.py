"""Brevo's webhooks: JSON, unsigned, one event or (batched) a list of them.

Marketing and transactional mails have words of their own for the same thing; both are read. ``id`` is the webhook's own
and tells no event from the next; of the times ``ts_event`` (seconds) and ``ts_epoch`` (milliseconds)
alone are of no time zone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from collector.notices import UNREADABLE, Notice, Told, check_count, instant_ms, mapping, read_json, words
from collector.platforms.base import Platform

_ACTIONS: Final = {
    "delivered": "email_delivered",
    "opened": "email_opened",
    "first_opening": "email_opened",
    "unique_opened": "email_opened",
    "proxy_open": "email_opened",
    "unique_proxy_open": "email_opened",
    "click": "email_clicked",
    "clicked": "email_clicked",
    "hard_bounce": "email_bounced",
    "soft_bounce": "email_bounced",
    "spam": "email_complained",
    "complaint": "email_complained",
    "unsubscribe": "email_unsubscribed",
    "unsubscribed": "email_unsubscribed",
}
_BY_MACHINES: Final = frozenset({"proxy_open", "unique_proxy_open"})
"""What a mail program's own proxy loads, whether or not anybody looks."""
_TELLS_APART: Final = ("event", "email", "ts_event", "ts", "camp_id", "message-id", "URL", "link")
_KEPT: Final = {"campaign name": "campaign", "URL": "url", "link": "url"}


def notices(told: Told) -> list[Notice] | None:
    """What its events say; None: the body is in our words."""
    said = read_json(told.body)
    events = said if isinstance(said, list) else [said]
    if not any("event" in mapping(each) for each in events):
        return None
    check_count(events)
    found = [_of_event(mapping(each)) for each in events]
    return [each for each in found if each is not None]


def _of_event(event: Mapping[str, Any]) -> Notice | None:
    """One event; None: it means nothing to us. Who was put into a list is passed over: it does not say by whom."""
    kind, address = event.get("event"), event.get("email")
    if not isinstance(kind, str) or not isinstance(address, str):
        return Notice(UNREADABLE, "", "")
    # NOTE: a webhook is made with the names in one spelling (`hardBounce`), and told of in the other.
    kind = re.sub("(?<=[a-z])(?=[A-Z])", "_", kind).lower()
    action = _ACTIONS.get(kind)
    if action is None:
        return None
    kept: dict[str, Any] = {name: words(event[key]) for key, name in _KEPT.items() if event.get(key)}
    if action == "email_bounced":
        kept["kind"] = kind.partition("_")[0]
    machine = {"machine": True} if kind in _BY_MACHINES else {}
    at = hashlib.sha256(repr([str(event.get(name, "")) for name in _TELLS_APART]).encode()).hexdigest()[:40]
    at_ms = instant_ms(event.get("ts_event")) or instant_ms(event.get("ts_epoch"))
    return Notice(action, address, at, "", kept | machine, at_ms=at_ms)


PLATFORM = Platform(notices)
