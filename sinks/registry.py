"""Which sinks there are, and how one is made from an account of ``segma.yaml``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError

from contracts.errors import ConfigError, Problem
from contracts.installation import Account, Installation, SecretAt
from contracts.log import Log
from sinks.base import Sink
from sinks.platforms import (
    activecampaign,
    brevo,
    file,
    hubspot,
    kafka,
    kit,
    klaviyo,
    listmonk,
    mailchimp,
    mailerlite,
    mailman,
    mautic,
    sympa,
    webhook,
)
from sinks.toolkit.options import Around
from transport.config import read_secret, wall_clock_ms


class Kind(NamedTuple):
    """A kind of account: the model of its options, how its sink is made, whether the platform has tags, and the quotas
    that it publishes: kind of call → calls in a window of ms.
    """

    options: type[BaseModel]
    make: Callable[[Any, Around], Sink]
    tags: bool = False
    quotas: Mapping[str, Sequence[tuple[int, int]]] = {}


SINKS: Final[dict[str, Kind]] = {
    "file": Kind(file.FileOptions, file.make),
    "mailman": Kind(mailman.MailmanOptions, mailman.make),
    "mailchimp": Kind(mailchimp.MailchimpOptions, mailchimp.make, tags=True),
    "klaviyo": Kind(klaviyo.KlaviyoOptions, klaviyo.make, tags=True, quotas=klaviyo.QUOTAS),
    "activecampaign": Kind(
        activecampaign.ActivecampaignOptions, activecampaign.make, tags=True, quotas=activecampaign.QUOTAS
    ),
    "hubspot": Kind(hubspot.HubspotOptions, hubspot.make, quotas=hubspot.QUOTAS),
    "listmonk": Kind(listmonk.ListmonkOptions, listmonk.make),
    "brevo": Kind(brevo.BrevoOptions, brevo.make, quotas=brevo.QUOTAS),
    "mailerlite": Kind(mailerlite.MailerliteOptions, mailerlite.make, tags=True, quotas=mailerlite.QUOTAS),
    "kit": Kind(kit.KitOptions, kit.make, tags=True, quotas=kit.QUOTAS),
    "mautic": Kind(mautic.MauticOptions, mautic.make, tags=True),
    "sympa": Kind(sympa.SympaOptions, sympa.make),
    "kafka": Kind(kafka.KafkaOptions, kafka.make, tags=True),
    "webhook": Kind(webhook.WebhookOptions, webhook.make, tags=True),
}


def account_of(installation: Installation, name: str) -> tuple[str, str, Account]:
    """Workspace, account and its settings of ``workspace/account``. Raises :class:`ConfigError`."""
    workspace, _, account = name.partition("/")
    found = installation.workspaces.get(workspace)
    if found is None or account not in found.accounts:
        known = ", ".join(f"{each}/{own}" for each, of in installation.workspaces.items() for own in of.accounts)
        raise ConfigError([Problem("account", name, "no such account", f"known: {known or 'none'}")])
    return workspace, account, found.accounts[account]


def sink_of(
    installation: Installation,
    name: str,
    *,
    data: Path,
    pause: Callable[[float], None],
    config: Path = Path("segma.yaml"),
    log: Log | None = None,
    now_ms: Callable[[], int] = wall_clock_ms,
) -> Sink:
    """The sink of an account. Raises :class:`ConfigError` with every problem of its options.

    ``config``: the installation's file, beside which the secrets are. ``log``: for a sink that publishes.
    """
    workspace, account, settings = account_of(installation, name)
    where = f"workspaces.{workspace}.accounts.{account}"
    if settings.sink not in SINKS:
        raise ConfigError([Problem(where, "sink", f"`{settings.sink}`", f"one of {', '.join(SINKS)}")])
    kind = SINKS[settings.sink]
    try:
        options = kind.options.model_validate(settings.options)
    except ValidationError as error:
        raise ConfigError(
            [
                Problem(where, ".".join(map(str, fault["loc"])), fault["msg"], "see docs/sinks.md")
                for fault in error.errors(include_input=False)
            ]
        ) from None

    def secret(at: SecretAt, field: str) -> str:
        return read_secret(at, beside=config, field=f"{where}.options.{field}").decode("utf-8", "replace")

    try:
        return kind.make(options, Around(name, data, pause, now_ms, secret, log, settings.strangers, settings.known))
    except ValueError as error:
        raise ConfigError([Problem(where, "options", str(error), "see docs/sinks.md")]) from None
