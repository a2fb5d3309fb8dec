"""The sites by their public keys, and which destinations a link may have."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from contracts.installation import Site
from contracts.tokens import Keyring
from contracts.urls import fits_origin, hosts_of, plain_url

MAX_URL_CHARS: Final = 2_048
MAX_ENCODINGS: Final = 3
"""How often an address is decoded that was encoded again by who passed it on."""
_ENCODED: Final = re.compile(rb"(?i)[\s\"'<=]*(?:3D)?https?%(?:25)*3a")


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
        return fits_origin(origin, self.origins)

    @functools.cached_property
    def origins(self) -> frozenset[str]:
        """Every site's origins."""
        return frozenset().union(*(served.origins for served in self.by_key.values()))

    def of_page(self, url: str) -> ServedSite | None:
        """The site to which the page at an address belongs, by its origin."""
        origin = "/".join(url.split("/", 3)[:3])
        return next((served for served in self.by_key.values() if fits_origin(origin, served.origins)), None)

    def leading_to(self, url: str, workspace: str | None) -> ServedSite | None:
        """The site on whose allow-list a plain address's host is; of this workspace, if it is known."""
        hosts = hosts_of(url)
        for served in self.by_key.values():
            if (workspace is None or served.workspace == workspace) and not hosts.isdisjoint(
                served.site.redirect_hosts
            ):
                return served
        return None

    def first_of(self, workspace: str) -> ServedSite | None:
        """Some site of a workspace: for the names of its parameters."""
        return next((served for served in self.by_key.values() if served.workspace == workspace), None)


def destination(query: bytes) -> str | None:
    """The address that a redirect's query names with ``u``, if it is a plain one; its bytes as they were given.

    An address that was put there as it stands, not percent-encoded, is known by its ``://``; one that was encoded again
    on its way by the want of it. What mails put around an address, and an ``&amp;`` for ``&``, do no harm.
    """
    for each in query.split(b"&"):
        name, _, value = each.partition(b"=")
        if value and re.fullmatch(rb"(?:amp;)*u", name):
            is_encoded = not re.match(rb"(?i)https?://", value) or b"%25" in value
            for _ in range(MAX_ENCODINGS if is_encoded else 0):
                value = unquote_to_bytes(value)
                if not _ENCODED.match(value):
                    break
            url = _without_wrapping(value.decode("utf-8", "surrogateescape"))
            return plain_url(url) if len(url) <= MAX_URL_CHARS else None
    return None


def _without_wrapping(text: str) -> str:
    """An address without blanks, quotes and brackets around it, and without the ``3D`` of quoted-printable."""
    url = text.lstrip("= \t\r\n\"'<")
    closing = {'"': '"', "'": "'", "<": ">"}.get(text[len(text) - len(url) - 1 : len(text) - len(url)], "")
    return re.sub("^3D(?=http)", "", url).rstrip(f" \t\r\n{closing}")
