"""Many links followed from one network at once: what one person's clicks do not show, those of a network may. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final, NamedTuple

from contracts.log import Outgoing

BURST_MS: Final = 3_000
BURST_LINKS: Final = 10
"""So many different links (of a person, a link each) from one network within :data:`BURST_MS`: a gateway looks."""
MAX_NETWORKS: Final = 10_000


class NetworkClick(NamedTuple):
    """A click as it is remembered for a moment. ``again``: the record that says a burst speaks against it."""

    at_ms: int
    link: tuple[str, str]
    again: Outgoing


class Bursts:
    """The clicks of the last moments by network; of those that clicked longest ago nothing is kept."""

    def __init__(self) -> None:
        self._networks: OrderedDict[str, deque[NetworkClick]] = OrderedDict()

    def found(self, network: str, click: NetworkClick) -> list[Outgoing]:
        """The records that a click brings to light: of every click of a burst that was not told of yet."""
        if not network:
            return []
        clicks = self._networks.setdefault(network, deque(maxlen=4 * BURST_LINKS))
        self._networks.move_to_end(network)
        if len(self._networks) > MAX_NETWORKS:
            self._networks.popitem(last=False)
        clicks.append(click)
        near = [each for each in clicks if click.at_ms - each.at_ms <= BURST_MS]
        return [each.again for each in near] if len({each.link for each in near}) >= BURST_LINKS else []
