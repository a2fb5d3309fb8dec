"""Which platforms' webhooks are read in their own words, by the kind of their sink."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from collector.notices import Notice, Told, ours, read_json
from collector.platforms.base import Platform
from collector.signatures import Call, check_standard
from contracts.errors import BadInput
from contracts.reasons import Reason

NAMES: Final = (
    "activecampaign",
    "brevo",
    "campaignmonitor",
    "customerio",
    "ghost",
    "hubspot",
    "iterable",
    "kit",
    "klaviyo",
    "mailchimp",
    "mailerlite",
    "mautic",
    "sendgrid",
)
"""The modules of ``collector/platforms``, each of which has its ``PLATFORM``."""

PLATFORMS: Final[Mapping[str, Platform]] = {
    name: import_module(f"collector.platforms.{name}").PLATFORM for name in NAMES
}
"""Any other kind of sink has a door too: it takes our words, signed as Standard Webhooks."""


def notices_of(sink: str, told: Told) -> list[Notice]:
    """What a body tells, in the platform's own words or in ours. Raises :class:`BadInput`."""
    platform = PLATFORMS.get(sink)
    found = platform.notices(told) if platform is not None else None
    return ours(read_json(told.body)) if found is None else found


def holds_public_key(sink: str) -> bool:
    """Return whether what is held of an account's webhooks is a public key, which lets nobody in by itself."""
    platform = PLATFORMS.get(sink)
    return platform is not None and platform.signature is not None and platform.signature.public


def check_signed(call: Call, secret: str, *, now_s: int, sink: str) -> None:
    """By whichever scheme the call says it is signed with. Unsigned is ``bad_signature``.

    Of an account that holds a public key by its platform's scheme alone: by another, the key would be the secret.
    """
    try:
        call.body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput(Reason.NOT_UTF8) from None
    own = PLATFORMS[sink].signature if holds_public_key(sink) else None
    if own is not None:
        own.check(call, secret, now_s)
        return
    for platform in PLATFORMS.values():
        signature = platform.signature
        if signature is not None and not signature.public and signature.header in call.headers:
            signature.check(call, secret, now_s)
            return
    check_standard(call, secret, now_s)
