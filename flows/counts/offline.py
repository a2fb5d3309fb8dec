"""How many runs wait where, read from the state stores of the flows while they work (``segma runs``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from flows.counts.run_counts import name_of
from flows.language.model import Listener, Not
from flows.machine.machine import Version
from flows.state.changelog import PEOPLE, latest
from flows.state.compression import unpacked
from flows.state.rows import SnapshotAndTail
from flows.subscriber.engine import Subscriber, WorkspaceEngine


class Waiting(NamedTuple):
    """Runs of a version that wait for one element of its sequence (a step, or a last ``not`` and its deadline).

    ``element``: its number from 1, of ``elements``; ``name``: the step's name, or what it waits for.
    """

    workspace: str
    listener: str
    version: int
    element: int
    elements: int
    name: str
    runs: int
    subscribers: int


def stores(data: Path) -> list[Path]:
    """The state stores of all flows whose data lie here."""
    return sorted(data.glob("recovery/*/states"))


def waiting(
    directories: Iterable[Path], engines: Mapping[str, WorkspaceEngine], now_ms: int, looked_at: Counter[str]
) -> list[Waiting]:
    """Where the runs wait, of every version at work, in the order of the sequences.

    ``looked_at``: counts the subscribers as they are read. A run that forked is counted once, where it is furthest.
    Raises ``StateDamaged``.
    """
    runs: Counter[tuple[str, Version, int]] = Counter()
    people: Counter[tuple[str, Version, int]] = Counter()
    versions: dict[tuple[str, Version], Listener] = {}
    for directory in directories:
        for key, chain in latest(directory, PEOPLE):
            workspace, _, subscriber = key.partition("/")
            engine = engines.get(workspace)
            if engine is None:
                continue
            looked_at["subscribers"] += 1
            furthest: dict[tuple[Version, int], int] = {}
            for listener, waits, opened_ms in engine.in_flight(_person(engine, subscriber, chain), now_ms):
                version = (listener.name, listener.version)
                versions[workspace, version] = listener
                furthest[version, opened_ms] = max(waits, furthest.get((version, opened_ms), 0))
            found = [(workspace, version, waits) for (version, _), waits in furthest.items()]
            runs.update(found)
            people.update(set(found))
    for workspace, engine in engines.items():
        versions |= {(workspace, (each.name, each.version)): each for each in engine.listeners_at(now_ms)}
    return [each for key in sorted(versions) for each in _rows(*key, versions[key], runs, people)]


def _person(engine: WorkspaceEngine, subscriber: str, chain: SnapshotAndTail) -> Subscriber:
    whole = None if chain.whole is None else unpacked(chain.whole)
    if chain.inputs:
        return engine.replay(subscriber, whole, chain.inputs)
    return engine.new(subscriber) if whole is None else engine.decode(whole)


def _rows(
    workspace: str,
    version: Version,
    listener: Listener,
    runs: Mapping[tuple[str, Version, int], int],
    people: Mapping[tuple[str, Version, int], int],
) -> Iterator[Waiting]:
    for number in _awaited(listener.sequence):
        key = (workspace, version, number)
        name = name_of(listener, number)
        yield Waiting(workspace, *version, number, len(listener.sequence), name, runs.get(key, 0), people.get(key, 0))


def _awaited(sequence: Sequence[object]) -> list[int]:
    """The elements that a run may wait for: every step but the first, which opens it, and a last ``not``."""
    first = next(number for number, element in enumerate(sequence, 1) if not isinstance(element, Not))
    return [
        number
        for number, element in enumerate(sequence, 1)
        if number > first and (not isinstance(element, Not) or number == len(sequence))
    ]
