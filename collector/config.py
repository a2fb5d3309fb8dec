"""Settings of the collector, and the sites that it serves."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import Field

from collector.proxies import Header, Proxies, trusted_networks
from collector.sites import ServedSite, Sites
from contracts.errors import ConfigError, Problem
from contracts.installation import Installation
from transport.config import Settings, load_keyring, read_secret


class CollectorSettings(Settings):
    """Beside the shared ones: where it listens and what it may keep while the log is away."""

    collector_host: str = "127.0.0.1"
    collector_port: int = Field(default=8400, ge=0, le=65_535)
    collector_workers: int = Field(default=1, ge=1, le=64)
    collector_metrics_port: int = Field(default=0, ge=0, le=65_535)
    """Where a worker serves its metrics on loopback; 0: nowhere. Each further worker takes the next free port."""
    collector_max_connections: int = Field(default=4_096, ge=16)
    """Connections that one worker holds; past it the one that has waited longest for a request is closed."""
    collector_max_connections_each: int = Field(default=2_560, ge=4)
    """Of them one client's; trusted proxies have no such bound."""
    collector_remembered_events: int = Field(default=50_000, ge=0)
    """Events, each some 150 bytes, of which one worker can tell the next page of their device that they have come."""
    proxy_protocol: bool = False
    """The trusted proxies begin each connection with a PROXY header; nobody else may connect then."""
    trusted_proxies: str = ""
    """Networks of the proxies in front, separated by commas: what they say of the client's address is believed."""
    forwarded_header: Header = "x-forwarded-for"
    """The one header in which they say it."""
    sdk: Path = Path("js-sdk/dist/segma.js")
    """The built browser SDK."""
    spool_max_bytes: int = Field(default=256 * 1024 * 1024, ge=1_024)
    """What one worker keeps on its own disk while the log is away; then it answers 503."""


def load_proxies(settings: CollectorSettings) -> Proxies:
    """The proxies that are believed. Raises :class:`ConfigError`."""
    try:
        networks = trusted_networks(each for each in settings.trusted_proxies.split(",") if each.strip())
    except ValueError as error:
        wanted = "networks separated by commas, such as 10.0.0.0/8"
        raise ConfigError([Problem("environment", "SEGMA_TRUSTED_PROXIES", str(error), wanted)]) from None
    if settings.proxy_protocol and not networks:
        found = "proxy_protocol is on and no proxy is trusted, so nobody may connect"
        raise ConfigError([Problem("environment", "SEGMA_TRUSTED_PROXIES", found, "the networks of the proxies")])
    return Proxies(networks, settings.forwarded_header)


@dataclass(frozen=True)
class Script:
    """One file of the SDK: its bytes, the hash that stands in its immutable path, and its bytes by content coding."""

    data: bytes
    packed: Mapping[str, bytes] = field(default_factory=dict)
    """Of the codings `br` and `gzip`, those that the build wrote."""

    @functools.cached_property
    def digest(self) -> str:
        """16 hexadecimal digits of the SHA-256."""
        return hashlib.sha256(self.data).hexdigest()[:16]

    @functools.cached_property
    def integrity(self) -> str:
        """What a script tag's ``integrity`` attribute says."""
        return f"sha384-{base64.b64encode(hashlib.sha384(self.data).digest()).decode()}"


@dataclass(frozen=True)
class Bundle:
    """The SDK as it was built: with every feature, and each set of features (names in order, joined by ``+``)."""

    full: Script
    sets: Mapping[str, Script]

    @functools.cached_property
    def by_digest(self) -> Mapping[str, Script]:
        """Every file by its hash."""
        return {script.digest: script for script in (self.full, *self.sets.values())}

    def with_features(self, features: Sequence[str] | None) -> Script | None:
        """The file with exactly these features (clicks are in each, unless it is ``core`` alone); None: all of them."""
        if features is None:
            return self.full
        return self.sets.get("+".join(sorted({name for name in features if name != "clicks"})) or "clicks")


_ENDINGS: Final[Mapping[str, str]] = {"br": "br", "gzip": "gz"}
"""Content coding → how the build's file in it ends."""


def _script(path: Path, beside: Path) -> Script:
    """A file with what the build packed of these bytes. Raises :class:`OSError`."""
    plain = Script(path.read_bytes())
    # NOTE: a packed file has its script's hash for a name, so a script never goes out as another one's.
    files = {coding: beside / f"{plain.digest}.{ending}" for coding, ending in _ENDINGS.items()}
    return Script(plain.data, {coding: file.read_bytes() for coding, file in files.items() if file.exists()})


def load_bundle(path: Path) -> Bundle:
    """Read the SDK, and the sets of features beside it. Raises :class:`ConfigError` where it was not built."""
    try:
        full = _script(path, path.parent / "packed")
        sets = {each.stem: _script(each, path.parent / "packed") for each in (path.parent / "sets").glob("*.js")}
    except OSError as error:
        wanted = "build it: npm ci && npm run build in js-sdk"
        raise ConfigError([Problem("environment", "SEGMA_SDK", f"{path}: {error.strerror}", wanted)]) from None
    return Bundle(full, sets)


def load_sites(installation: Installation, *, beside: Path) -> Sites:
    """Every site with its secrets. Raises :class:`ConfigError`."""
    served = {}
    secrets = {}
    for name, workspace in installation.workspaces.items():
        secrets[name] = read_secret(workspace.secret, beside=beside, field=f"workspaces.{name}.secret")
        for site_name, site in workspace.sites.items():
            field = f"workspaces.{name}.sites.{site_name}.server_key"
            key = read_secret(site.server_key, beside=beside, field=field) if site.server_key else None
            served[site.key] = ServedSite(name, site_name, site, frozenset(site.origins), key)
    return Sites(served, secrets, load_keyring(installation, beside=beside))
