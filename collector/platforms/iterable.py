"""Iterable's system webhooks: JSON, one event a call, not signed.

``emailUnSubscribe`` is also told of whoever is taken off a list by a call, an import or a journey, so of Segma's own
moves. Only one that names a channel is a leaving; text messages and hard bounces are told as one too.
"""

from __future__ import annotations

import hashlib
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
from collector.platforms.base import Platform
from contracts.codec import to_json

_ACTIONS: Final = {
    "emailUnSubscribe": "email_unsubscribed",
    "emailComplaint": "email_complained",
    "emailBounce": "email_bounced",
    "emailOpen": "email_opened",
    "emailClick": "email_clicked",
}
_NO_LEAVING: Final = frozenset({"SMS", "HardBounce"})
"""``unsubSource``: of text messages, and of a bounce, which is told by itself."""
_KEPT: Final = {"campaignName": "campaign", "url": "url"}


def notices(told: Told) -> list[Notice] | None:
    """What its events say; None: the body is in our words."""
    said = read_json(told.body)
    events = [mapping(each) for each in listed(said)]
    if not any(isinstance(each.get("eventName"), str) for each in events):
        return None
    check_count(events)
    found = [_of_event(each, mapping(each.get("dataFields"))) for each in events]
    return [each for each in found if each is not None]


def _of_event(event: Mapping[str, Any], data: Mapping[str, Any]) -> Notice | None:
    """One event; None: it means nothing to us. Who was put on a list or a channel was so by anybody."""
    name = event.get("eventName")
    if not isinstance(name, str):
        return Notice(UNREADABLE, "", "")
    action = _ACTIONS.get(name)
    if action is None or (action == "email_unsubscribed" and not _is_leaving(data)):
        return None
    found = (event.get("email"), data.get("email"))
    address = next((each for each in found if isinstance(each, str) and each), "")
    kept: dict[str, Any] = {ours: words(data[name]) for name, ours in _KEPT.items() if isinstance(data.get(name), str)}
    kept |= {"machine": True} if is_yes(data.get("isBot")) else {}
    said = hashlib.sha256(to_json(event)).hexdigest()[:40]
    return Notice(action, address, said, "", kept, at_ms=instant_ms(data.get("createdAt")))


def _is_leaving(data: Mapping[str, Any]) -> bool:
    channels = data.get("channelIds")
    return isinstance(channels, list | int) and bool(channels) and str(data.get("unsubSource")) not in _NO_LEAVING


PLATFORM = Platform(notices)
