"""Whose address a connection comes from, where proxies that the settings name stand in front of the collector."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Header = Literal["x-forwarded-for", "forwarded"]
MAX_HOPS: Final = 32
"""Entries of a header that are looked at, from the right."""
LONGEST: Final = 120
"""Characters of an address as proxies write it, with brackets, a zone and a port; what is longer is none."""
_WIDEST: Final = {4: 8, 6: 16}
"""Shortest prefixes of public networks: more of the internet than this is nobody's proxies."""
_PAIR: Final = re.compile(r"\s*+([\w!#$%&'*+.^`|~-]++)\s*+=\s*+(\"(?:[^\"\\]|\\.)*+\"|[^\s\";,\\]*+)\s*+")
_ELEMENT: Final = re.compile(rf"{_PAIR.pattern}(?:;{_PAIR.pattern})*+;?\s*+")
"""Of ``Forwarded`` (RFC 7239), whole: a quoted value may hold commas, semicolons and what looks like another pair."""


def trusted_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks that texts name, addresses among them. Raises ``ValueError`` with a sentence.

    A network that takes in anybody is refused, also where several of them together do.
    """
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            raise ValueError(f"{text.strip()!r} is no network: write 10.0.0.0/8 or 192.0.2.7") from None
    four = ipaddress.collapse_addresses(each for each in found if isinstance(each, ipaddress.IPv4Network))
    six = ipaddress.collapse_addresses(each for each in found if isinstance(each, ipaddress.IPv6Network))
    networks: list[Network] = [*four, *six]
    for each in networks:
        if each.prefixlen < _WIDEST[each.version] and not (each.is_private and each.prefixlen):
            raise ValueError(f"{each} would believe anybody: name the proxies' own networks")
    return tuple(networks)


class Proxies:
    """The proxies that are believed, and the one header in which they say whom they speak for."""

    def __init__(self, networks: Sequence[Network] = (), header: Header = "x-forwarded-for") -> None:
        self._networks = networks
        self.header = header
        """The name of the header."""

    def trusts(self, client: str) -> bool:
        """Whether an address is a proxy's."""
        address = address_of(client)
        return address is not None and any(
            address.version == each.version and address in each for each in self._networks
        )

    def client(self, peer: str, said: str) -> str:
        """Who speaks: the peer, or behind proxies the last address in front of them. ``said``: what the header says.

        Read from the right: what stands left of the first address that is no proxy's anybody may have written. An
        entry that is no address ends the reading, at the last proxy that is known.
        """
        client = _plain(peer)
        if not self._networks or not self.trusts(client):
            return client
        for entry in self._entries(said):
            address = address_of(entry)
            if address is None:
                break
            client = str(address)
            if not self.trusts(client):
                break
        return client

    def _entries(self, said: str) -> Iterator[str]:
        """Who stands in the header, from the right; empty for an element that names nobody, or is none."""
        values = said.split(",")[-MAX_HOPS:]
        if self.header == "x-forwarded-for":
            yield from reversed(values)
            return
        held = ""
        for value in reversed(values):
            held = f"{value},{held}" if held else value.strip()
            if _ELEMENT.fullmatch(held):
                yield _forwarded_for(held)
                held = ""
        if held:
            yield ""


def _forwarded_for(element: str) -> str:
    """Who an element of ``Forwarded`` speaks for; empty where it says nobody, or two."""
    told = [value for name, value in _PAIR.findall(element) if name.lower() == "for"]
    if len(told) != 1:
        return ""
    return re.sub(r"\\(.)", r"\1", told[0][1:-1]) if told[0].startswith('"') else told[0]


def address_of(text: str) -> Address | None:
    """An address as proxies write it: alone, with a port, in brackets; an IPv4 one in IPv6's clothes as itself.

    The zone of a link-local one is left out: it names an interface of the host that wrote it.
    """
    bare = text.strip()
    return _read(bare) if len(bare) <= LONGEST else None


@functools.lru_cache(maxsize=4_096)  # PERF: asked twice a beacon, mostly of the same
def _read(text: str) -> Address | None:
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+)(?:%[^\]]*)?\](?::\d{1,5})?", text)
    if bracketed:
        text = bracketed[1]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address


@functools.lru_cache(maxsize=4_096)
def _plain(peer: str) -> str:
    """A socket's address in its plain form; what is no address as it is."""
    address = address_of(peer)
    return peer if address is None else str(address)


@functools.lru_cache(maxsize=4_096)
def client_key(host: str) -> str:
    """Who shares a bound: an IPv4 address, or an IPv6 network of 64 bits, for a client has one of its own."""
    address = address_of(host)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host
