"""Whose address a connection comes from, where proxies that the settings name stand in front of the collector."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Header = Literal["x-forwarded-for", "forwarded"]
MAX_HOPS: Final = 32
"""Entries of a header that are looked at, from the right."""
_WIDEST: Final = {4: 8, 6: 16}
"""Shortest prefixes of public networks: more of the internet than this is nobody's proxies."""
_FOR: Final = re.compile(r"(?:^|;)\s*for\s*=\s*(\"[^\"]*\"|[^;\s]*)", re.IGNORECASE)


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
        if not self._networks or not self.trusts(peer):
            return peer
        client = peer
        for entry in reversed(self._entries(said)):
            address = address_of(entry)
            if address is None:
                break
            client = str(address)
            if not self.trusts(client):
                break
        return client

    def _entries(self, said: str) -> list[str]:
        values = said.split(",")[-MAX_HOPS:]
        if self.header == "x-forwarded-for":
            return values
        found = (_FOR.search(each) for each in values)
        return [each[1].strip('"') if each is not None else "" for each in found]


def address_of(text: str) -> Address | None:
    """An address as proxies write it: alone, with a port, in brackets; an IPv4 one in IPv6's clothes as itself."""
    text = text.strip()
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?", text)
    if bracketed:
        text = bracketed[1]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address
