"""The states of one subscriber as bytes, and back, also by a machine with other listeners (SEMANTICS 6).

Several states at once, because the undo log holds many that differ by little: names stand once for all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from contracts.codec import replaced, to_msgpack
from flows.machine.earlier import VersionChange, earlier_of, place_of
from flows.machine.program import ListenerProgram
from flows.machine.runs import Earlier, ListenerRuns, Place, Taken, TreeRun, TreeRuns, Version, inherited
from flows.machine.states import MachineState, StoredRun, StoredState, StoredStates, read_states
from flows.machine.tree import FRESH as NO_TREE_RUNS
from flows.machine.tree import Tree, TreeMember

Own = tuple[int, Tree, TreeMember]
"""The number of a listener's tree, the tree, and the listener in it."""
Runs = dict[tuple[int, int, tuple[Taken, ...]], TreeRun]
Told = Mapping[Version, Collection[Place]]
"""Where versions matched."""
_FRESH: Final = ListenerRuns()
_NO_STATE: Final = StoredState()


class StateCodec:
    """Encodes and decodes the states of one machine."""

    def __init__(self, programs: Sequence[ListenerProgram], trees: Sequence[Tree]) -> None:
        self._programs, self._trees = programs, trees
        self._numbers = {(each.listener.name, each.listener.version): number for number, each in enumerate(programs)}
        self._versions: dict[str, list[Version]] = {}
        for version in self._numbers:
            self._versions.setdefault(version[0], []).append(version)
        self._members: dict[int, Own] = {
            member.number: (index, tree, member) for index, tree in enumerate(trees) for member in tree.members
        }

    def encode(self, states: Sequence[MachineState]) -> bytes:
        """States of one subscriber as bytes; those of equal histories are equal bytes."""
        places: dict[int, int] = {}
        rosters: list[int] = []
        found = [self._stored(state, places, rosters) for state in states]
        together = tuple([self._roster(index, rosters[place]) for index, place in places.items()])
        listeners = [(number, self._programs[number].listener) for number in sorted(states[0].earlier)]
        earlier = [(each.name, each.version, states[0].earlier[number]) for number, each in listeners]
        return to_msgpack(StoredStates(states[0].subscriber, tuple(found), together, tuple(earlier)))

    def _stored(self, state: MachineState, places: dict[int, int], rosters: list[int]) -> StoredState:
        if not state.by_listener and not state.shared:
            return _NO_STATE
        rows: list[tuple[str, int, ListenerRuns]] = []
        for number, own in sorted(state.by_listener.items()):
            listener = self._programs[number].listener
            rows.append((listener.name, listener.version, own))
        runs: list[StoredRun] = []
        dropped: list[tuple[int, int, int]] = []
        for index, held in sorted(state.shared.items()):
            tree, place = self._trees[index], places.setdefault(index, len(places))
            if place == len(rosters):
                rosters.append(0)
            for run in held.runs:
                rosters[place] |= run.who
                who = run.who.to_bytes((run.who.bit_length() + 7) // 8, "little")
                runs.append(StoredRun(place, who, run.events, tree.noted(run) if run.noted else ()))
            for bit, count in held.dropped:
                rosters[place] |= 1 << bit
                dropped.append((place, bit, count))
        return StoredState(tuple(rows), tuple(runs), tuple(dropped))

    def _roster(self, index: int, who: int) -> tuple[tuple[int, str, int], ...]:
        members = self._trees[index].whose(who)
        return tuple([(each.bit, each.listener.name, each.listener.version) for each in members])

    def decode(
        self, data: bytes, change: VersionChange, told: Mapping[Version, Collection[Place]]
    ) -> list[MachineState]:
        """The states of these bytes, without what is due. Raises ``BadRecord``."""
        stored, promoted = read_states(data), change.promoted
        earlier = self._earlier(stored, change, told)
        rosters = [
            [(bit, self._members.get(self._numbers.get((name, version), -1))) for bit, name, version in roster]
            for roster in stored.together
        ]
        found: list[MachineState] = []
        for each in stored.states:
            by_listener, loose = self._standings(each, promoted) if each.by_listener else ({}, {})
            shared = self._shared(each, rosters, loose) if each.runs or each.dropped or loose else {}
            found.append(MachineState(stored.subscriber, by_listener, None, shared, earlier))
        return found

    def _earlier(self, stored: StoredStates, change: VersionChange, told: Told) -> dict[int, Earlier]:
        if not (stored.earlier or change.promoted or change.ended):
            return {}
        listeners = [program.listener for program in self._programs]
        known = {(name, version): each for name, version, each in stored.earlier}
        before = {
            (name, version): [place_of(held.last_ms)]
            for name, version, held in stored.states[0].by_listener
            if held.last_ms is not None
        }
        matched = {each: [*told.get(each, ()), *before.get(each, ())] for each in (*change.promoted, *change.ended)}
        found = earlier_of(listeners, known, change, matched)
        return {self._numbers[version]: each for version, each in found.items()}

    def _standings(
        self, stored: StoredState, promoted: Collection[Version]
    ) -> tuple[dict[int, ListenerRuns], dict[int, ListenerRuns]]:
        """What is kept of listeners that run alone; and what was stored of listeners that no longer do."""
        known = {(name, version): held for name, version, held in stored.by_listener}
        for version in promoted:
            if version in known:
                known[version] = replaced(known[version], last_ms=None)
        by_listener: dict[int, ListenerRuns] = {}
        loose: dict[int, ListenerRuns] = {}
        for name in dict.fromkeys([name for name, _ in known]):
            for version in self._versions.get(name, ()):
                kept = inherited(version, {each: known[each] for each in known if each[0] == name}, self._numbers)
                number = self._numbers[version]
                if number in self._members:
                    # What it remembers of `repeat` waits for a later version.
                    loose[number] = kept
                    kept = ListenerRuns((), kept.last_ms)
                if kept != _FRESH:
                    by_listener[number] = kept
        return by_listener, loose

    def _shared(
        self,
        stored: StoredState,
        rosters: Sequence[Sequence[tuple[int, Own | None]]],
        loose: Mapping[int, ListenerRuns],
    ) -> dict[int, TreeRuns]:
        """What is stored of listeners that begin alike. ``loose``: what was stored of one of them alone."""
        runs: Runs = {}
        dropped: list[tuple[Own | None, int]] = []
        for each in stored.runs:
            who = int.from_bytes(each.who, "little")
            for bit, own in rosters[each.tree]:
                if who >> bit & 1 and own is not None:
                    _put(runs, own, each.events, each.noted)
        for place, bit, count in stored.dropped:
            dropped.append((dict(rosters[place])[bit], count))
        for number, held in loose.items():
            member = self._members[number]
            references = self._programs[number].scope.notes
            for run in [run for correlation in held.correlations for run in correlation.runs]:
                noted = [(each.step, each.path, value) for each, value in zip(references, run.noted, strict=True)]
                _put(runs, member, run.events, noted)
            if held.dropped:
                dropped.append((member, held.dropped))
        return _gathered(list(runs.items()), dropped, in_order=not loose)


def _gathered(
    runs: list[tuple[tuple[int, int, tuple[Taken, ...]], TreeRun]],
    dropped: Iterable[tuple[Own | None, int]],
    *,
    in_order: bool,
) -> dict[int, TreeRuns]:
    """By tree. ``in_order``: whether the runs come by their first event."""
    if not in_order:
        runs.sort(key=lambda each: each[1].events[0].place)
    found: dict[int, list[TreeRun]] = {}
    for (index, _, _), shared in runs:
        found.setdefault(index, []).append(shared)
    counts: dict[int, dict[int, int]] = {}
    for own, count in dropped:
        if own is not None:
            of_tree = counts.setdefault(own[0], {})
            of_tree[own[2].bit] = of_tree.get(own[2].bit, 0) + count
    by_listener = {
        index: TreeRuns(tuple(found.get(index, ())), tuple(sorted(counts.get(index, {}).items())))
        for index in sorted(found.keys() | counts.keys())
    }
    return {index: held for index, held in by_listener.items() if held != NO_TREE_RUNS}


def _put(runs: Runs, own: Own, events: tuple[Taken, ...], noted: Iterable[tuple[int, str, Any]]) -> None:
    """Add a listener to the run of these events."""
    index, tree, member = own
    node = member.way[len(events) - 1]
    key = (index, node.number, events)
    before = runs.get(key)
    if before is None:
        runs[key] = TreeRun(1 << member.bit, node.number, events, tree.noting(node, noted))
    else:
        runs[key] = TreeRun(before.who | 1 << member.bit, node.number, events, before.noted)
