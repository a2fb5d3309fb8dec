"""Campaign Monitor's webhooks: JSON, up to a thousand events of one list a call, not signed.

``Deactivate`` is told of whoever unsubscribed, bounced, and was deleted, as by Segma's own moves: the state says which.
Its times are of the client's time zone, which it does not name, so they are no times; each event counts once, by what
it says. ``Subscribe`` is told of a form, a confirmation, an import and a call alike: it lifts nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from collector.notices import (
    ADDRESS_CHANGED,
    UNREADABLE,
    Notice,
    Told,
    check_count,
    is_ours,
    listed,
    mapping,
    read_json,
)
from collector.platforms.base import Platform
from contracts.codec import to_json

_STATES: Final = {"Unsubscribed": "email_unsubscribed", "Bounced": "email_bounced"}
_KEPT: Final = {"email_bounced": {"kind": "hard"}}


def notices(told: Told) -> list[Notice] | None:
    """What its events say; None: the body is in our words."""
    said = read_json(told.body)
    if is_ours(said) or not isinstance(said, dict):
        return None
    events, number = said.get("Events"), said.get("ListID")
    if not isinstance(events, list | dict):
        return [Notice(UNREADABLE, "", "")]
    events = listed(events)
    check_count(events)
    found = [_of_event(mapping(each), number if isinstance(number, str) else "") for each in events]
    return [each for each in found if each is not None]


def _of_event(event: Mapping[str, Any], list_id: str) -> Notice | None:
    """One event; None: it means nothing to us."""
    kind = event.get("Type")
    at = hashlib.sha256(to_json([event, list_id])).hexdigest()[:40]
    if kind == "Update":
        former, now = _text(event, "OldEmailAddress"), _text(event, "EmailAddress")
        changed = bool(former and now) and former.lower() != now.lower()
        return Notice(ADDRESS_CHANGED, former, at, new_address=now) if changed else None
    if not isinstance(kind, str):
        return Notice(UNREADABLE, "", "")
    action = _STATES.get(_text(event, "State")) if kind == "Deactivate" else None
    if action is None:
        return None
    return Notice(action, _text(event, "EmailAddress"), at, properties=_KEPT.get(action, {}), list_id=list_id[:40])


def _text(event: Mapping[str, Any], name: str) -> str:
    found = event.get(name)
    return found if isinstance(found, str) else ""


PLATFORM = Platform(notices)
