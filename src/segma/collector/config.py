"""Settings of the collector, and the sites that it serves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from segma.collector.sites import Place, Sites
from segma.contracts.errors import ConfigError, Problem
from segma.contracts.installation import Installation
from segma.transport.config import Settings, load_keyring, read_secret


class CollectorSettings(Settings):
    """Beside the shared ones: where it listens and what it may keep while the log is away."""

    collector_host: str = "127.0.0.1"
    collector_port: int = Field(default=8400, ge=0, le=65_535)
    collector_workers: int = Field(default=1, ge=1, le=64)
    sdk: Path = Path("js-sdk/dist/segma.js")
    """The built browser SDK."""
    spool_max_bytes: int = Field(default=256 * 1024 * 1024, ge=1_024)
    """What one worker keeps on its own disk while the log is away; then it answers 503."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The SDK's bytes and the hash that stands in its immutable path."""

    data: bytes
    digest: str


def load_bundle(path: Path) -> Bundle:
    """Read the SDK. Raises :class:`ConfigError` where it was not built."""
    try:
        data = path.read_bytes()
    except OSError as error:
        wanted = "build it: npm ci && npm run build in js-sdk"
        raise ConfigError([Problem("environment", "SEGMA_SDK", f"{path}: {error.strerror}", wanted)]) from None
    return Bundle(data, hashlib.sha256(data).hexdigest()[:16])


def load_sites(installation: Installation, *, beside: Path) -> Sites:
    """Every site with its secrets. Raises :class:`ConfigError`."""
    places = {}
    secrets = {}
    for name, workspace in installation.workspaces.items():
        secrets[name] = read_secret(workspace.secret, beside=beside, field=f"workspaces.{name}.secret")
        for site_name, site in workspace.sites.items():
            field = f"workspaces.{name}.sites.{site_name}.server_key"
            key = read_secret(site.server_key, beside=beside, field=field) if site.server_key else None
            places[site.key] = Place(name, site_name, site, frozenset(site.origins), key)
    return Sites(places, secrets, load_keyring(installation, beside=beside))
