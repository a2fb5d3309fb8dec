"""How webhooks are signed: Standard Webhooks, and what the platforms' own ways (docs/sinks.md names their pages) share.

Each check raises :class:`BadInput`: ``bad_signature`` for what this secret did not sign, ``replayed`` for what it
signed longer ago (or further ahead) than :data:`TOLERANCE_S`. The age is looked at after the signature, so that nobody
without the secret learns anything from the answer.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
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
STANDARD_FORM: Final = "whsec_"
"""In front of base64, in which the standard's libraries hold a secret."""
MIN_STANDARD_KEY: Final = 24
"""Bytes, as the standard asks."""
DIGITS: Final = re.compile(r"[0-9]{1,15}")


class Call(NamedTuple):
    """A webhook as it came. ``headers``: names in lower case. ``addresses``: what the caller may have called us by."""

    method: str
    addresses: Sequence[str]
    headers: Mapping[str, str]
    body: bytes


def same(one: str, other: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def check_standard(call: Call, secret: str, now_s: int) -> None:
    """Standard Webhooks: HMAC-SHA256, base64, of id, time and body."""
    message, sent_at = call.headers.get("webhook-id", ""), call.headers.get("webhook-timestamp", "")
    signature = call.headers.get("webhook-signature", "")
    if not re.fullmatch(r"[0-9]{1,11}", sent_at) or not message or not signature:
        raise BadInput(Reason.BAD_SIGNATURE)
    sent = datetime.fromtimestamp(int(sent_at), UTC)
    expected = [Webhook(key).sign(message, sent, call.body.decode()) for key in _standard_keys(secret)]
    if not any(same(given, each) for given in signature.split(" ") for each in expected):
        raise BadInput(Reason.BAD_SIGNATURE)
    check_age(now_s - int(sent_at))


def _standard_keys(secret: str) -> list[bytes]:
    """The keys that a secret may stand for: its own bytes, and what the standard's own form of a secret holds."""
    keys = [secret.encode()]
    if secret.startswith(STANDARD_FORM):
        text = secret.removeprefix(STANDARD_FORM).rstrip("=")
        with contextlib.suppress(ValueError):
            key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
            keys += [key] if len(key) >= MIN_STANDARD_KEY else []
    return keys


def instant_s(text: str) -> float | None:
    """An instant as ISO 8601, as HTTP dates are written, or in seconds since the epoch."""
    if DIGITS.fullmatch(text):
        return float(text)
    readers: tuple[Any, ...] = (datetime.fromisoformat, email.utils.parsedate_to_datetime)
    for read in readers:
        try:
            found: datetime = read(text)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
        try:
            return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    return None


def check_age(age_s: float) -> None:
    """Refuse what was signed too long ago, or for a time to come (``replayed``)."""
    if abs(age_s) > TOLERANCE_S:
        raise BadInput(Reason.REPLAYED)
