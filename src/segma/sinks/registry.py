"""Which sinks there are, and how one is made from an account of ``segma.yaml``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from segma.contracts.errors import ConfigError, Problem
from segma.contracts.installation import Account, Installation
from segma.sinks.base import Sink
from segma.sinks.file import FileOptions, FileSink

SINKS: Final = ("file",)


def account_of(installation: Installation, name: str) -> tuple[str, str, Account]:
    """Workspace, account and its settings of ``workspace/account``. Raises :class:`ConfigError`."""
    workspace, _, account = name.partition("/")
    found = installation.workspaces.get(workspace)
    if found is None or account not in found.accounts:
        known = ", ".join(f"{each}/{own}" for each, of in installation.workspaces.items() for own in of.accounts)
        raise ConfigError([Problem("account", name, "no such account", f"known: {known or 'none'}")])
    return workspace, account, found.accounts[account]


def sink_of(installation: Installation, name: str, *, data: Path, pause: Callable[[float], None]) -> Sink:
    """The sink of an account. Raises :class:`ConfigError` with every problem of its options."""
    workspace, account, settings = account_of(installation, name)
    where = f"workspaces.{workspace}.accounts.{account}"
    if settings.sink not in SINKS:
        raise ConfigError([Problem(where, "sink", f"`{settings.sink}`", f"one of {', '.join(SINKS)}")])
    try:
        options = FileOptions.model_validate(settings.options)
    except ValidationError as error:
        raise ConfigError(
            [
                Problem(where, ".".join(map(str, fault["loc"])), fault["msg"], "see docs/sinks.md")
                for fault in error.errors(include_input=False)
            ]
        ) from None
    directory = Path(options.directory) if options.directory else data / "lists" / workspace / account
    return FileSink(directory, delay_ms=options.delay_ms, pause=pause)
