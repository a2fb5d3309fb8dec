"""The events that this worker stored lately, so that a page hears which of those that it asks for have come.

A page that ends sends what waits and hears no answer. The next page of the device asks for these events by their ids,
and sends only those that are not known here. What another worker stored, or what was long ago, is not known: it is
sent again and set aside by its event id, as ever.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from contracts.beacons import Beacon, event_ids_of

HEADER: Final = "Segma-Stored"
"""A digit for each event that was asked for, in their order: 1 where it is stored, 0 where that is not known."""
MOST_ASKED: Final = 300
"""Events of which one answer tells: as many as a browser keeps over a page's end."""
LONGEST_ID: Final = 64


class StoredEvents:
    """The newest ``most`` events, each its id behind 16 bytes of its site and its device: some 170 bytes each."""

    def __init__(self, most: int = 50_000) -> None:
        self._most = most
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def remember(self, beacon: Beacon) -> None:
        """Know the events of a beacon that is stored."""
        if not self._most:
            return
        device = _device(beacon)
        for event_id in event_ids_of(beacon.events):
            self._known[_key(device, event_id)] = None
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def answer(self, beacon: Beacon) -> str:
        """A digit for each event that the beacon asks for, of 300 at most; empty where it asks for none."""
        device = _device(beacon)
        return "".join("01"[_key(device, event_id) in self._known] for event_id in beacon.asked[:MOST_ASKED])


def _device(beacon: Beacon) -> bytes:
    # NOTE: a device's id is known to its browser alone, so nobody else can ask for what it did.
    return blake2b(f"{beacon.site}\n{beacon.device}".encode(), digest_size=16).digest()


def _key(device: bytes, event_id: str) -> bytes:
    # NOTE: at the door an id may still have any length; one that no event may have takes no more room than others.
    name = event_id.encode()
    return device + (name if len(name) <= LONGEST_ID else blake2b(name, digest_size=LONGEST_ID).digest())
