"""What a platform's file says of its webhooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from collector.notices import Notice, Told
from collector.signatures import Call


class Signature(NamedTuple):
    """A platform's own way to sign. ``header``: the one by which it is known, in lower case.

    ``check`` takes the call, the secret and now (seconds since the epoch), and raises :class:`BadInput`:
    ``bad_signature`` or ``replayed``. ``public``: the secret that is held here is a public key and lets nobody in by
    itself: such an account takes calls that are signed in this way, and no others.
    """

    header: str
    check: Callable[[Call, str, int], None]
    public: bool = False


class Platform(NamedTuple):
    """One platform's webhooks.

    ``notices`` reads a body in the platform's own words, or answers None where it is in ours; it raises
    :class:`BadInput`. ``signature`` None: it signs as Standard Webhooks do, or not at all.
    """

    notices: Callable[[Told], list[Notice] | None]
    signature: Signature | None = None
