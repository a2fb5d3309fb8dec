"""How the platforms sign their webhooks, each as its vendor has published it (docs/sinks.md names the pages).

Each check raises :class:`BadInput`: ``bad_signature`` for what this secret did not sign, ``replayed`` for what it
signed longer ago (or further ahead) than :data:`TOLERANCE_S`. The age is looked at after the signature, so that nobody
without the secret learns anything from the answer.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from standardwebhooks import Webhook

from contracts.errors import BadInput
from contracts.reasons import Reason

TOLERANCE_S: Final = 300
"""Both ways, as Standard Webhooks and HubSpot advise."""
DIGITS: Final = re.compile(r"[0-9]{1,15}")
HUBSPOT_PLAIN: Final = {f"%{ord(sign):02X}": sign for sign in ":/?@!$'()*,;"}
"""What HubSpot writes out in the address before it signs."""


class Call(NamedTuple):
    """A webhook as it came. ``headers``: names in lower case. ``addresses``: what the caller may have called us by."""

    method: str
    addresses: Sequence[str]
    headers: Mapping[str, str]
    body: bytes


def same(one: str, other: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def check_signed(call: Call, secret: str, *, now_s: int) -> None:
    """By whichever scheme the call says it is signed with. Unsigned is ``bad_signature``."""
    try:
        call.body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput(Reason.NOT_UTF8) from None
    if "x-hubspot-signature-v3" in call.headers:
        _check_hubspot(call, secret, now_s)
    elif "klaviyo-signature" in call.headers:
        _check_klaviyo(call, secret, now_s)
    else:
        _check_standard(call, secret, now_s)


def _check_standard(call: Call, secret: str, now_s: int) -> None:
    """Standard Webhooks: HMAC-SHA256, base64, of id, time and body."""
    message, sent_at = call.headers.get("webhook-id", ""), call.headers.get("webhook-timestamp", "")
    signature = call.headers.get("webhook-signature", "")
    if not re.fullmatch(r"[0-9]{1,12}", sent_at) or not message or not signature:
        raise BadInput(Reason.BAD_SIGNATURE)
    expected = Webhook(secret.encode()).sign(message, datetime.fromtimestamp(int(sent_at), UTC), call.body.decode())
    if not any(same(each, expected) for each in signature.split(" ")):
        raise BadInput(Reason.BAD_SIGNATURE)
    _check_age(now_s - int(sent_at))


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
    _check_age(now_s - int(sent_at) / 1_000)


def _written_out(address: str) -> str:
    return re.sub("%[0-9a-fA-F]{2}", lambda found: HUBSPOT_PLAIN.get(found[0].upper(), found[0]), address)


def _check_klaviyo(call: Call, secret: str, now_s: int) -> None:
    """Klaviyo's: HMAC-SHA256, hexadecimal, of the body and its time as it stands in the header."""
    given, sent_at = call.headers["klaviyo-signature"], call.headers.get("klaviyo-timestamp", "")
    expected = hmac.new(secret.encode(), call.body + sent_at.encode(), hashlib.sha256).hexdigest()
    if not sent_at or not same(given.lower(), expected):
        raise BadInput(Reason.BAD_SIGNATURE)
    at_s = _instant_s(sent_at)
    if at_s is None:
        raise BadInput(Reason.BAD_SIGNATURE)
    _check_age(now_s - at_s)


def _instant_s(text: str) -> float | None:
    """An instant as ISO 8601, as HTTP dates are written, or in seconds since the epoch."""
    if DIGITS.fullmatch(text):
        return float(text)
    readers: tuple[Any, ...] = (datetime.fromisoformat, email.utils.parsedate_to_datetime)
    for read in readers:
        try:
            found: datetime = read(text)
        except (ValueError, TypeError):
            continue
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    return None


def _check_age(age_s: float) -> None:
    if abs(age_s) > TOLERANCE_S:
        raise BadInput(Reason.REPLAYED)
