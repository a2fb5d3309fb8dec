"""SendGrid's event webhook: JSON, a list of events, signed with a key of SendGrid's own (ECDSA).

What is held here is the public half, which is no secret: it opens no door by itself, neither as a part of the path nor
as the key of another scheme. Leaving an unsubscribe group is a leaving like any other; who comes back to one does so
for that group alone, and lifts nothing.
"""

from __future__ import annotations

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
from collector.signatures import DIGITS, Call, check_age
from contracts.errors import BadInput
from contracts.public_keys import is_signed
from contracts.reasons import Reason

SIGNATURE: Final = "x-twilio-email-event-webhook-signature"
TIMESTAMP: Final = "x-twilio-email-event-webhook-timestamp"
_ACTIONS: Final = {
    "delivered": "email_delivered",
    "open": "email_opened",
    "click": "email_clicked",
    "bounce": "email_bounced",
    "spamreport": "email_complained",
    "unsubscribe": "email_unsubscribed",
    "group_unsubscribe": "email_unsubscribed",
}
_CAMPAIGN: Final = ("singlesend_name", "mc_auto_name", "category")
"""Where the mail's name may stand, the first that does."""
_BOUNCES: Final = {"bounce": "hard", "blocked": "soft"}


def notices(told: Told) -> list[Notice] | None:
    """What its events say; None: the body is in our words."""
    said = read_json(told.body)
    if not isinstance(said, list) and "event" not in mapping(said):
        return None
    events = listed(said)
    check_count(events)
    found = [_of_event(mapping(each)) for each in events]
    return [each for each in found if each is not None]


def _of_event(event: Mapping[str, Any]) -> Notice | None:
    """One event; None: it means nothing to us."""
    kind, address = event.get("event"), event.get("email")
    if not isinstance(kind, str):
        return Notice(UNREADABLE, "", "")
    action = _ACTIONS.get(kind)
    if action is None:
        return None
    campaign = next((event[name] for name in _CAMPAIGN if isinstance(event.get(name), str) and event[name]), None)
    kept: dict[str, Any] = {"campaign": campaign, "url": event.get("url") if action == "email_clicked" else None}
    if action == "email_bounced":
        kept["kind"] = _BOUNCES.get(str(event.get("type", "bounce")), "hard")
    found = {name: words(value) for name, value in kept.items() if isinstance(value, str)}
    machine = {"machine": True} if is_yes(event.get("sg_machine_open")) else {}
    return Notice(
        action,
        address if isinstance(address, str) else "",
        str(event.get("sg_event_id", ""))[:100],
        "",
        found | machine,
        at_ms=instant_ms(event.get("timestamp")),
    )


def _check_sendgrid(call: Call, secret: str, now_s: int) -> None:
    """``secret``: the public key. Signed are the time, as it stands in its header, and the body after it."""
    sent_at = call.headers.get(TIMESTAMP, "")
    if not DIGITS.fullmatch(sent_at):
        raise BadInput(Reason.BAD_SIGNATURE)
    if not is_signed(sent_at.encode() + call.body, call.headers.get(SIGNATURE, ""), secret):
        raise BadInput(Reason.BAD_SIGNATURE)
    check_age(now_s - int(sent_at))


PLATFORM = Platform(notices, Signature(SIGNATURE, _check_sendgrid, public=True))
