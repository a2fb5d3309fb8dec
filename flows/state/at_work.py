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
from contracts.topics import BEACONS, FLOWS
from flows.state.recovery_dir import StoreShape, check_store

KEY: Final = b"of"
_read: Final = json_reader(FlowsAtWork)


def claim_store(log: Log, store: Path, shape: StoreShape) -> None:
    """Hold a store against what is to run on it and against the log, and tell later processes how many there are.

    Raises :class:`ConfigError`, a line each, and :class:`LogError`.
    """
    beacons = shape.topics[BEACONS]
    with closing(CompactedTable(log, FLOWS, _read)) as table:
        found = table.values.get(KEY)
    at_work = found.of if found is not None and found.beacons == beacons else 0
    check_store(store, shape, at_work)
    if at_work != shape.of:
        with closing(log.publisher()) as publisher:
            (outcome,) = publisher.publish([Outgoing(FLOWS, KEY, to_json(FlowsAtWork(shape.of, beacons)))])
        if isinstance(outcome, LogError):
            raise outcome
