"""Ghost's webhooks: JSON, one member a call, as they are and what of them was otherwise; signed with the time.

A call does not say which event it is: who was deleted is nothing now, of who was made nothing was otherwise. Nor does
it say when: what a member's newsletters are does not change the time of their last change.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from collector.notices import ADDRESS_CHANGED, UNREADABLE, Notice, Told, mapping, read_json
from collector.platforms.base import Platform, Signature
from collector.signatures import DIGITS, Call, check_age, same
from contracts.errors import BadInput
from contracts.reasons import Reason

_SIGNED: Final = "sha256="


def notices(told: Told) -> list[Notice] | None:
    """What its event says; None: the body is in our words."""
    said = read_json(told.body)
    if not isinstance(said, dict) or not isinstance(said.get("member"), dict):
        return None
    current, previous = mapping(said["member"].get("current")), mapping(said["member"].get("previous"))
    at = hashlib.sha256(told.body).hexdigest()[:40]
    return _of_member(current, previous, at) if current else []


def _of_member(current: Mapping[str, Any], previous: Mapping[str, Any], at: str) -> list[Notice]:
    """A new address, and a leaving: who is in no newsletter any more. Who is in one came there by anybody's hand."""
    address, before, newsletters = current.get("email"), previous.get("email"), current.get("newsletters")
    if not isinstance(address, str) or not isinstance(newsletters, list):
        return [Notice(UNREADABLE, "", "")]
    found = []
    if isinstance(before, str) and before != address:
        found.append(Notice(ADDRESS_CHANGED, before, at, new_address=address))
    if previous.get("newsletters") and not newsletters:
        found.append(Notice("email_unsubscribed", address, at))
    return found


def _check_ghost(call: Call, secret: str, now_s: int) -> None:
    """``sha256=…, t=…``: HMAC-SHA256, hexadecimal, of the body and the time in milliseconds."""
    signature, _, sent = call.headers["x-ghost-signature"].partition(",")
    sent = sent.strip().removeprefix("t=")
    if not signature.startswith(_SIGNED) or not DIGITS.fullmatch(sent):
        raise BadInput(Reason.BAD_SIGNATURE)
    expected = hmac.new(secret.encode(), call.body + sent.encode(), hashlib.sha256).hexdigest()
    if not same(signature.removeprefix(_SIGNED), expected):
        raise BadInput(Reason.BAD_SIGNATURE)
    check_age(now_s - int(sent) // 1_000)


PLATFORM = Platform(notices, Signature("x-ghost-signature", _check_ghost))
