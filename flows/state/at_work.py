"""How many flow processes have been at work, wherever their stores are: what a new store on a new disk cannot see."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

from contracts.at_work import FlowsAtWork
from contracts.codec import json_reader, to_json
from contracts.errors import LogError
from contracts.log import Log, Outgoing
from contracts.reading import CompactedTable
from contracts.topics import BEACONS, EVENTS, FLOWS
from flows.state.recovery_dir import StoreShape, check_store

KEY: Final = b"of"
_read: Final = json_reader(FlowsAtWork)


def claim_store(log: Log, store: Path, shape: StoreShape) -> None:
    """Hold a store against what is to run on it and against the log, and tell later processes how many there are.

    Raises :class:`ConfigError`, a line each, and :class:`LogError`.
    """
    beacons = shape.topics[BEACONS]
    at_work = _at_work(log, beacons)
    check_store(store, shape, at_work)
    if at_work != shape.of:
        with closing(log.publisher()) as publisher:
            (outcome,) = publisher.publish([Outgoing(FLOWS, KEY, to_json(FlowsAtWork(shape.of, beacons)))])
        if isinstance(outcome, LogError):
            raise outcome


def _at_work(log: Log, beacons: str) -> int | None:
    """How many have shared the log; 0: nobody has; None: somebody has, of a release that did not tell how many."""
    with closing(CompactedTable(log, FLOWS, _read)) as table:
        found = table.values.get(KEY)
    if found is None:
        return None if any(log.end(EVENTS).values()) else 0
    return found.of if found.beacons == beacons else 0
