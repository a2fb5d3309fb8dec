"""The events that this worker stored lately, so that a page hears which of those that it asks for have come.

A page that ends sends what waits and hears no answer. The next page of the device asks for these events by their ids,
and sends only those that are not known here. What another worker stored, or what was long ago, is not known: it is
sent again and set aside by its event id, as ever.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from contracts.beacons import Beacon, event_id_of

HEADER: Final = "Segma-Stored"
"""A digit for each event that was asked for, in their order: 1 where it is stored, 0 where that is not known."""
MOST_ASKED: Final = 300
"""Events of which one answer tells: as many as a browser keeps over a page's end."""


class StoredEvents:
    """The newest ``most`` events, each as 16 bytes made of its site, its device and its id: some 150 bytes each."""

    def __init__(self, most: int = 50_000) -> None:
        self._most = most
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def remember(self, beacon: Beacon) -> None:
        """Know the events of a beacon that is stored."""
        if not self._most:
            return
        for event in beacon.events:
            if event_id := event_id_of(event):
                self._known[_digest(beacon, event_id)] = None
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def answer(self, beacon: Beacon) -> str:
        """A digit for each event that the beacon asks for, of 300 at most; empty where it asks for none."""
        return "".join("01"[_digest(beacon, event_id) in self._known] for event_id in beacon.asked[:MOST_ASKED])


def _digest(beacon: Beacon, event_id: str) -> bytes:
    # NOTE: a device's id is known to its browser alone, so nobody else can ask for what it did.
    whole = "\n".join((beacon.site, beacon.device, event_id))
    return blake2b(whole.encode(), digest_size=16).digest()
