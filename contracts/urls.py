"""Web addresses: origins and hosts in their one spelling, and links that leave as they came. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import quote, unquote, unquote_plus

import idna

PORTS: Final = {"http": 80, "https": 443}
_AUTHORITY: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(?P<port>[0-9]{0,5}))?")
_ORIGIN: Final = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#@\\]+)/?", re.IGNORECASE)
_URL: Final = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#\\]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_DOTTED: Final = re.compile(r"(?P<name>https?://[a-z0-9_.-]*[a-z0-9_-])\.(?P<port>(?::[0-9]{1,5})?)")
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_WILDCARD: Final = "*."
MAX_ORIGIN_CHARS: Final = 300
"""A scheme, the 253 characters that a host may have, a port. PERF: each label of a longer one would be tried."""


def normalised_origin(text: str) -> str:
    """The origin as browsers write it: lower case, IDNA, without default port and trailing slash.

    ``https://*.shop.example`` stands for every sub-domain, at any depth, and not for the domain itself.
    Raises ``ValueError`` with a sentence that says what would be right.

    >>> normalised_origin("HTTPS://Müller.example:443/")
    'https://xn--mller-kva.example'
    """
    found = _ORIGIN.fullmatch(text.strip())
    if found is None:
        raise ValueError("write a scheme (http or https), a host and a port, and nothing else: https://shop.example")
    scheme, authority = found["scheme"].lower(), found["authority"]
    wildcard = _WILDCARD if authority.startswith(_WILDCARD) else ""
    host = normalised_host(authority.removeprefix(wildcard), scheme)
    if wildcard and ("." not in host or host[0] == "[" or host.rpartition(".")[2].partition(":")[0].isdigit()):
        raise ValueError("a wildcard needs a domain of its own behind it: https://*.shop.example")
    return f"{scheme}://{wildcard}{host}"


def normalised_host(text: str, scheme: str = "") -> str:
    """``host`` or ``host:port`` in its one spelling; the scheme's default port is left out.

    Raises ``ValueError`` with a sentence that says what would be right.
    """
    found = _AUTHORITY.fullmatch(text.strip())
    if found is None:
        raise ValueError("write a host, or host:port, such as shop.example:8443")
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 0 < port <= 65_535:
        raise ValueError("a port is a number from 1 to 65535")
    name = _name(found["host"])
    return name if port is None or port == PORTS.get(scheme) else f"{name}:{port}"


def _name(host: str) -> str:
    if host.startswith("["):
        return f"[{ipaddress.IPv6Address(host[1:-1])}]"
    name = host.removesuffix(".").lower()
    if name.isascii():
        labels = name.split(".")
        if len(name) > 253 or not all(_LABEL.fullmatch(each) for each in labels):
            raise ValueError("this is no host name")
        # NOTE: browsers take a name that ends in a number for an IPv4 address, and write it as such.
        return _ipv4(name) if _NUMBER.fullmatch(labels[-1]) else name
    try:
        return idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        raise ValueError("this is no host name") from None


def _ipv4(name: str) -> str:
    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError:
        raise ValueError("a host that ends in a number is an IPv4 address, such as 192.0.2.7") from None


def fits_origin(origin: str, allowed: Collection[str]) -> bool:
    """Return whether an ``Origin`` header is among the allowed, wildcards included. ``allowed``: normalised.

    A page under a host with a dot behind it (``https://shop.example.``) is the same server's; browsers keep the dot.
    """
    if origin in allowed:
        return "*" not in origin
    if len(origin) > MAX_ORIGIN_CHARS:
        return False
    if found := _DOTTED.fullmatch(origin):
        return fits_origin(f"{found['name']}{found['port']}", allowed)
    scheme, sign, host = origin.partition("://")
    labels = host.split(".") if sign else []
    for at in range(1, len(labels)):
        # NOTE: in front of the domain only labels: a path, a port or a user's name there is no sub-domain.
        if not _LABEL.fullmatch(labels[at - 1]):
            return False
        if f"{scheme}://{_WILDCARD}{'.'.join(labels[at:])}" in allowed:
            return True
    return False


def plain_url(text: str) -> str | None:
    """An http(s) address as ASCII, every byte of it that is ASCII already as it came; None where it is none.

    Other letters become what browsers send for them: IDNA in the host, percent-encoded there or not, and
    percent-encoded UTF-8 behind it (bytes that are no UTF-8, held as surrogate escapes, become those bytes). No user
    name, backslash or control character is taken.
    """
    found = _URL.fullmatch(text)
    if found is None or "\\" in text or any(sign < " " or sign == "\x7f" for sign in text):
        return None
    try:
        host = found["authority"]
        if "%" in host or not host.isascii():
            host = normalised_host(unquote(host, errors="strict"))
        normalised_host(host)
    except ValueError:
        return None
    rest = re.sub(r"[^!-~]+", lambda other: quote(other[0].encode("utf-8", "surrogateescape")), found["rest"])
    return f"{found['scheme']}://{host}{rest}"


def hosts_of(url: str) -> frozenset[str]:
    """The normalised host of what :func:`plain_url` has let pass: ``host:port``, and ``host`` for the default port."""
    found = _URL.fullmatch(url)
    if found is None:
        return frozenset()
    scheme = found["scheme"].lower()
    host = normalised_host(found["authority"], scheme)
    return frozenset({host} if re.search(":[0-9]+$", host) else {host, f"{host}:{PORTS[scheme]}"})


def landing_url(url: str, shown: Mapping[str, str], own: Mapping[str, str], *, fragment: bool) -> str:
    """The address that a link lands at: with ``shown`` in its query, and ``own`` there or behind ``#``.

    What browsers scroll to (``#:~:text=…``) ends a fragment, and no page sees it: it stays behind what is added.
    """
    base, sharp, last = url.partition("#")
    last, directive, scroll_to = last.partition(":~:")
    page = with_parameters(f"{base}{'' if directive and not last else sharp}{last}", shown)
    link = with_parameters(page, own, fragment=fragment)
    mark = "#" if directive and "#" not in link else ""
    return f"{link}{mark}{directive}{scroll_to}"


def with_parameters(url: str, parameters: Mapping[str, str], *, fragment: bool = False) -> str:
    """The address with parameters added, in the place of those of the same name; every other byte stays.

    ``fragment``: behind ``#``, where no server's log sees them. A parameter without value is not added; bytes that
    are no UTF-8 are held as surrogate escapes.
    """
    base, sharp, last = url.partition("#")
    pairs = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in parameters.items() if value)
    path, mark, query = base.partition("?")
    kept = _without_names(query, parameters)
    if kept != query:
        query, mark = kept, "?" if kept else ""
    if not pairs:
        return f"{path}{mark}{query}{sharp}{last}"
    if fragment:
        route, question, held = last.rpartition("?")
        kept = _without_names(held, parameters)
        last = last if kept == held else f"{route}{question if kept else ''}{kept}"
        # A route of a page that keeps its routes there takes parameters behind a question mark, as a path does.
        sign = "?" if last.startswith(("/", "!/")) and "?" not in last else "&"
        return f"{path}{mark}{query}#{last}{sign if last else ''}{pairs}"
    return f"{path}?{query}{'&' if query else ''}{pairs}{sharp}{last}"


def _without_names(query: str, names: Collection[str]) -> str:
    """The parameters of a query whose names are none of these, each as it was written."""
    return "&".join(each for each in query.split("&") if unquote_plus(each.partition("=")[0]) not in names)


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe="")
