"""What is known of one subscriber, as values, and as it is stored. Nothing here decides anything.

NOTE: these classes stay Python where the rules around them are compiled: msgspec reads their annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from contracts.codec import Packed, Value, msgpack_reader, written
from flows.machine.runs import Earlier, ListenerRuns, Taken, TreeRuns


class MachineState(Packed, frozen=True):
    """One subscriber's state. ``by_listener``: by listener; one without runs or memory is absent.

    ``due_ms``: the earliest deadline of all, None if nothing waits. ``shared``: by tree, of listeners that begin alike.
    ``earlier``: by listener, where its versions changed; the same in all states of a timeline.
    """

    subscriber: str
    by_listener: Mapping[int, ListenerRuns] = {}
    due_ms: int | None = None
    shared: Mapping[int, TreeRuns] = {}
    earlier: Mapping[int, Earlier] = {}


class StoredRun(Packed, frozen=True):
    """A run of a tree. ``tree``: its place among ``together``; ``who``: the least byte first; ``noted``: step, path,
    value.
    """

    tree: int
    who: bytes
    events: tuple[Taken, ...]
    noted: tuple[tuple[int, str, Any], ...] = ()


class StoredState(Packed, frozen=True):
    """One state: per listener its name, version and standing; the trees' runs; tree, bit and count of dropped runs."""

    by_listener: tuple[tuple[str, int, ListenerRuns], ...] = ()
    runs: tuple[StoredRun, ...] = ()
    dropped: tuple[tuple[int, int, int], ...] = ()


class StoredStates(Value, frozen=True):
    """States of one subscriber. ``together``: per tree the bits, names and versions of its listeners that are in it.
    ``earlier``: of a listener's name and version.
    """

    SCHEMA: ClassVar[int] = 1

    subscriber: str
    states: tuple[StoredState, ...]
    together: tuple[tuple[tuple[int, str, int], ...], ...] = ()
    earlier: tuple[tuple[str, int, Earlier], ...] = ()
    schema: int = written(1)


read_states: Final[Callable[[bytes], StoredStates]] = msgpack_reader(StoredStates)
