"""Which platforms' webhooks are read in their own words, by the kind of their sink."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from collector.notices import Notice, Told, ours, read_json
from collector.platforms import activecampaign, brevo, hubspot, kit, klaviyo, mailchimp, mailerlite, mautic
from collector.platforms.base import Platform
from collector.signatures import Call, check_standard
from contracts.errors import BadInput
from contracts.reasons import Reason

PLATFORMS: Final[Mapping[str, Platform]] = {
    "activecampaign": activecampaign.PLATFORM,
    "brevo": brevo.PLATFORM,
    "hubspot": hubspot.PLATFORM,
    "kit": kit.PLATFORM,
    "klaviyo": klaviyo.PLATFORM,
    "mailchimp": mailchimp.PLATFORM,
    "mailerlite": mailerlite.PLATFORM,
    "mautic": mautic.PLATFORM,
}
"""Any other kind of sink has a door too: it takes our words, signed as Standard Webhooks."""


def notices_of(sink: str, told: Told) -> list[Notice]:
    """What a body tells, in the platform's own words or in ours. Raises :class:`BadInput`."""
    platform = PLATFORMS.get(sink)
    found = platform.notices(told) if platform is not None else None
    return ours(read_json(told.body)) if found is None else found


def check_signed(call: Call, secret: str, *, now_s: int) -> None:
    """By whichever scheme the call says it is signed with. Unsigned is ``bad_signature``."""
    try:
        call.body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput(Reason.NOT_UTF8) from None
    for platform in PLATFORMS.values():
        if platform.signature is not None and platform.signature.header in call.headers:
            platform.signature.check(call, secret, now_s)
            return
    check_standard(call, secret, now_s)
