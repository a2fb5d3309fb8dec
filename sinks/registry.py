"""Which sinks there are, and how one is made from an account of ``segma.yaml``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from contracts.errors import ConfigError, Problem
from contracts.installation import Account, Installation, SecretAt
from contracts.log import Log
from sinks.base import Sink
from sinks.toolkit.options import Around, Kind
from sinks.toolkit.rate_limit import RateLimit
from transport.config import read_secret, wall_clock_ms

NAMES: Final = (
    "file",
    "mailman",
    "mailchimp",
    "klaviyo",
    "activecampaign",
    "hubspot",
    "listmonk",
    "brevo",
    "mailerlite",
    "kit",
    "mautic",
    "sendgrid",
    "sympa",
    "customerio",
    "iterable",
    "dotdigital",
    "campaignmonitor",
    "constantcontact",
    "ghost",
    "kafka",
    "webhook",
)
"""The modules of ``sinks/platforms``, each of which has its ``KIND``."""

SINKS: Final[Mapping[str, Kind]] = {name: import_module(f"sinks.platforms.{name}").KIND for name in NAMES}


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
    paces: list[RateLimit] | None = None,
) -> Sink:
    """The sink of an account. Raises :class:`ConfigError` with every problem of its options.

    ``config``: the installation's file, beside which the secrets are. ``log``: for a sink that publishes. ``paces``:
    takes in the limits on its calls.
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
        own = settings.strangers, settings.known
        return kind.make(options, Around(name, data, pause, now_ms, secret, log, *own, paces))
    except ValueError as error:
        raise ConfigError([Problem(where, "options", str(error), "see docs/sinks.md")]) from None
