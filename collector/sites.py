"""The sites by their public keys, and which destinations a link may have."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from contracts.installation import Site
from contracts.tokens import Keyring


@dataclass(frozen=True, slots=True)
class ServedSite:
    """A site in its workspace; ``server_key`` None: no server-side events."""

    workspace: str
    name: str
    site: Site
    origins: frozenset[str]
    server_key: bytes | None


@dataclass(frozen=True)
class Sites:
    """All sites; the workspaces' secrets (for ids); the keyring (for tokens)."""

    by_key: Mapping[str, ServedSite]
    secrets: Mapping[str, bytes]
    keyring: Keyring

    def allows_origin(self, origin: str) -> bool:
        """Whether any site's pages have this origin."""
        return origin in self.origins

    @functools.cached_property
    def origins(self) -> frozenset[str]:
        """Every site's origins."""
        return frozenset().union(*(served.origins for served in self.by_key.values()))

    def leading_to(self, url: str, workspace: str | None) -> ServedSite | None:
        """The site on whose allow-list a destination's host is; of this workspace, if it is known."""
        parts = destination(url)
        if parts is None:
            return None
        host = parts.netloc.lower()
        for served in self.by_key.values():
            if (workspace is None or served.workspace == workspace) and host in served.site.redirect_hosts:
                return served
        return None

    def first_of(self, workspace: str) -> ServedSite | None:
        """Some site of a workspace: for the names of its parameters."""
        return next((served for served in self.by_key.values() if served.workspace == workspace), None)


def destination(url: str) -> SplitResult | None:
    """A destination's parts, if it is a plain http(s) address: no user name, no backslash, no blank, no control."""
    if len(url) > 2_048 or not url.isprintable() or any(sign in url for sign in "\\ \t\r\n"):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc or port == 0:
        return None
    return parts


def with_parameters(parts: SplitResult, parameters: Mapping[str, str]) -> str:
    """The address with parameters set, in the place of those of the same name."""
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in parameters]
    query = urlencode([*kept, *((name, value) for name, value in parameters.items() if value)])
    return urlunsplit(parts._replace(query=query))
