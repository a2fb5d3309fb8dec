"""The imitated platforms of the random histories: their options, what each shows, what people do there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tests.sinks.consent_bed import Elsewhere
from tests.sinks.consent_files import FileDialect
from tests.sinks.consent_knowledge import Shows
from tests.sinks.consent_sympa import SympaDialect
from tests.sinks.simulator import (
    activecampaign,
    brevo,
    hubspot,
    kit,
    klaviyo,
    listmonk,
    mailchimp,
    mailerlite,
    mautic,
    rosters,
)


class Platform(NamedTuple):
    """An imitation, the options of its sink, what it shows, and what people and reports do there."""

    dialect: Callable[[], Any]
    options: dict[str, Any]
    shows: Shows
    tokens: str = "segma_token"
    stands_for_all: bool = True
    """Somebody can be there and have left altogether."""


WHOLE = Shows(lists_are_left=False, leavings=True, removals=True, other_lists=False, numbers=True)
PLATFORMS: dict[str, Platform] = {
    "listmonk": Platform(
        listmonk.Listmonk,
        listmonk.OPTIONS,
        Shows(
            lists_are_left=True,
            leavings=True,
            removals=True,
            other_lists=True,
            numbers=True,
            because="blocked",
            asks="list",
        ),
    ),
    "mailchimp": Platform(
        mailchimp.Mailchimp, mailchimp.OPTIONS, WHOLE._replace(numbers=False, asks="all"), "SEGMATOK"
    ),
    "klaviyo": Platform(klaviyo.Klaviyo, klaviyo.OPTIONS, WHOLE._replace(removals=False)),
    "hubspot": Platform(hubspot.Hubspot, hubspot.OPTIONS, WHOLE),
    "brevo": Platform(brevo.Brevo, brevo.OPTIONS, WHOLE, "SEGMA_TOKEN"),
    "mautic": Platform(mautic.Mautic, mautic.OPTIONS, WHOLE._replace(numbers=False)),
    "kit": Platform(kit.Kit, kit.OPTIONS, WHOLE),
    "mailerlite": Platform(mailerlite.Mailerlite, mailerlite.OPTIONS, WHOLE),
    "activecampaign": Platform(activecampaign.Activecampaign, activecampaign.OPTIONS, WHOLE, "SEGMA_TOKEN"),
    "activecampaign-lists": Platform(
        lambda: activecampaign.Activecampaign(as_tags=False),
        {**activecampaign.OPTIONS, "lists_are": "lists"},
        Shows(lists_are_left=True, leavings=True, removals=True, other_lists=True, numbers=True),
        "SEGMA_TOKEN",
    ),
    "mailman": Platform(
        rosters.Mailman,
        rosters.OPTIONS,
        Shows(
            lists_are_left=True,
            leavings=False,
            removals=False,
            other_lists=True,
            numbers=False,
            people=False,
            pending=False,
            asks="list",
        ),
        stands_for_all=False,
    ),
    "file": Platform(
        FileDialect,
        {},
        Shows(lists_are_left=True, leavings=False, removals=False, other_lists=True, numbers=False, people=False),
        stands_for_all=False,
    ),
    "sympa": Platform(
        SympaDialect,
        {},
        Shows(lists_are_left=True, leavings=True, removals=False, other_lists=True, numbers=False, people=False),
        stands_for_all=False,
    ),
    **{
        name: Platform(
            Elsewhere,
            {},
            Shows(True, leavings=False, removals=False, other_lists=False, numbers=False, anything=False),
            stands_for_all=False,
        )
        for name in ("webhook", "kafka")
    },
}
READ: Sequence[str] = tuple(name for name, each in PLATFORMS.items() if each.shows.anything)
"""Those of which anything can be read."""
