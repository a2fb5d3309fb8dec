"""Settings of a delivery process, and what it reads of the installation's secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import Field

from contracts.installation import Account, Installation
from contracts.rows import DirectoryEntry
from contracts.tokens import Claims
from sinks.registry import SINKS
from transport.config import Settings, load_keyring


class SinkSettings(Settings):
    """A delivery process needs the shared ones, and this."""

    sink_metrics_port: int = Field(default=0, ge=0, le=65_535)
    """Where its metrics are served; 0: nowhere. Each process needs a port of its own."""


def tokens_of(
    installation: Installation, config: Path, account: Account
) -> Callable[[DirectoryEntry], Mapping[str, str]]:
    """Return the fields that a ``token`` command writes for a person: the account's token field and their token."""
    keyring = load_keyring(installation, beside=config)
    options = SINKS[account.sink].options.model_validate(account.options)
    field = str(getattr(options, "token_field", "segma_token"))

    def fields(entry: DirectoryEntry) -> Mapping[str, str]:
        return {field: keyring.seal(Claims(entry.workspace, entry.subscriber, entry.imported_at_s))}

    return fields
