"""The machine: every listener of a workspace, over the events of one subscriber at a time. Pure.

State in, event in; state and matches out. A :class:`State` is an immutable value: keep any number of them, compare
them, encode them. The rules are SEMANTICS 3 and stand in :mod:`segma.flows.program`; here is what they share: which
listeners an event can touch, the order of simultaneous matches, the identity of a match, the bytes of a state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final

from segma.contracts.codec import replaced, to_json, to_msgpack
from segma.contracts.commands import EventRef
from segma.contracts.events import Event
from segma.flows.index import Index
from segma.flows.language.model import Listener, Reference, Repeat
from segma.flows.matches import Match, StoredMatch, from_stored, match_id, to_stored
from segma.flows.program import Program
from segma.flows.runs import Finished, SharedRun, SharedStanding, Standing, Taken, Version, inherited
from segma.flows.sessions import Session
from segma.flows.states import State, StoredRun, StoredState, read_state
from segma.flows.tables import Facts, Tests, minds_sessions
from segma.flows.trace import Tell, tell_nothing
from segma.flows.tree import FRESH as NONE_SHARED
from segma.flows.tree import Member, Tree, is_plain, trees_of

__all__ = ["Machine", "Match", "State", "StoredMatch", "Version", "from_stored", "match_id", "to_stored"]

DEFAULT_MAX_RUNS: Final = 64
"""Runs kept per listener and subscriber, counted as SEMANTICS 3 says; past it the oldest is dropped and counted."""


_ALWAYS: Final[dict[Version, int]] = {}


class Machine:
    """All listeners, compiled and indexed. Immutable after construction; share it freely."""

    def __init__(
        self,
        listeners: Iterable[Listener],
        *,
        max_runs: int = DEFAULT_MAX_RUNS,
        tell: Tell = tell_nothing,
        live_from: Mapping[Version, int] = _ALWAYS,
    ) -> None:
        """``listeners``: in any order. ``live_from``: the log time from which a version hears events, if not always.

        Whoever listens by ``tell`` hears each listener alone.
        """
        # Simultaneous matches come in order of the listeners' names: their numbers are that order.
        ordered = sorted(listeners, key=lambda listener: (listener.name, listener.version))
        self._numbers = {(listener.name, listener.version): number for number, listener in enumerate(ordered)}
        if len(self._numbers) != len(ordered):
            raise ValueError("one version of a listener twice in one machine")
        self._versions: dict[str, list[Version]] = {}
        for version in self._numbers:
            self._versions.setdefault(version[0], []).append(version)
        self._live_from = tuple(live_from.get(version, 0) for version in self._numbers)
        self._all_live_from = max(self._live_from, default=0)
        self._heads = tuple(to_json([listener.name, listener.version])[:-1] + b"," for listener in ordered)
        tests = Tests()
        self._programs = tuple(Program(listener, tests, max_runs=max_runs, tell=tell) for listener in ordered)
        plain = [(number, each) for number, each in enumerate(ordered) if tell is tell_nothing and is_plain(each)]
        self._trees = trees_of(plain, tests, max_runs=max_runs)
        self._members = {
            member.number: (index, tree, member) for index, tree in enumerate(self._trees) for member in tree.members
        }
        self.minds_sessions = any(minds_sessions(listener) for listener in ordered)
        """Whether an answer may depend on the session of an event."""
        alone = [(number, each) for number, each in enumerate(self._programs) if number not in self._members]
        self._starts = Index({number: program.starts for number, program in alone})
        self._hears = Index({number: program.tests for number, program in alone})
        self._tree_starts = Index({index: tree.tests[:1] for index, tree in enumerate(self._trees)})
        self._tree_hears = Index({index: tree.tests for index, tree in enumerate(self._trees)})

    def start(self, subscriber: str) -> State:
        """The state of somebody of whom nothing is known."""
        return State(subscriber)

    def apply(self, state: State, event: Event, session: Session) -> tuple[State, tuple[Match, ...]]:
        """Time first: deadlines at or before the event fire. Then the event, after all others in its order.

        ``session``: the session up to and including the event. A provisional click, or one that was a machine's, fits
        nothing (SEMANTICS 7), but time passes with it. The very same state comes back where nothing has changed.
        """
        matches: tuple[Match, ...] = ()
        if state.due_ms is not None and state.due_ms <= event.occurred_at_ms:
            state, matches = self.advance(state, event.occurred_at_ms)
        if event.provisional or (event.verdict and event.verdict.startswith("machine")):
            return state, matches
        touched = self._starts.touched(event, self._hears, state.standings)
        trees = self._tree_starts.touched(event, self._tree_hears, state.shared)
        if not touched and not trees:
            return state, matches
        facts = Facts(event, session)
        found: list[tuple[int, Match]] = []
        if touched:
            state = self._apply_programs(state, facts, touched, found)
        if trees:
            state = self._apply_trees(state, facts, trees, found)
        if not found:
            return state, matches
        if len(found) > 1:
            found.sort(key=_by_number)
        return state, (*matches, *(match for _, match in found))

    def _apply_programs(
        self, state: State, facts: Facts, touched: Iterable[int], found: list[tuple[int, Match]]
    ) -> State:
        standings, changed = state.standings, dict[int, Standing]()
        for number in touched:
            program = self._programs[number]
            before = standings.get(number, _FRESH)
            if self._live_from[number] > facts.event.log_time_ms:
                continue
            if before.last_ms is not None and program.listener.repeat is Repeat.ONCE:
                continue
            after, finished = program.on_event(before, facts)
            if after is not before and after != before:
                changed[number] = after
            for each in finished:
                found.append((number, self._match(number, state.subscriber, each)))
        return self._changed(state, changed) if changed else state

    def _apply_trees(self, state: State, facts: Facts, trees: Iterable[int], found: list[tuple[int, Match]]) -> State:
        shared: dict[int, SharedStanding] | None = None
        for index in trees:
            tree, before = self._trees[index], state.shared.get(index, NONE_SHARED)
            if facts.event.log_time_ms >= self._all_live_from:
                after, won = tree.on_event(before, facts)
            else:
                after, won = tree.on_event_of(self._hearing(tree, facts.event), before, facts)
            for who, run in won:
                self._matches(tree, who, run, state.subscriber, found)
            if after is before:
                continue
            if shared is None:
                shared = dict(state.shared)
            if after is NONE_SHARED:
                shared.pop(index, None)
            else:
                shared[index] = after
        return state if shared is None else State(state.subscriber, state.standings, state.due_ms, shared)

    def _hearing(self, tree: Tree, event: Event) -> int:
        """The tree's listeners that were live when the log took the event, as bits."""
        return sum(1 << each.bit for each in tree.members if self._live_from[each.number] <= event.log_time_ms)

    def advance(self, state: State, now_ms: int) -> tuple[State, tuple[Match, ...]]:
        """Fire the deadlines at or before ``now_ms``."""
        if state.due_ms is None or state.due_ms > now_ms:
            return state, ()
        found: list[Match] = []
        changed: dict[int, Standing] = {}
        for number, before in state.standings.items():
            program = self._programs[number]
            due = program.due(before)
            if due is None or due > now_ms:
                continue
            changed[number], finished = program.on_time(before, now_ms)
            for each in finished:
                found.append(self._match(number, state.subscriber, each))
        found.sort(key=lambda match: (match.matched_at_ms, match.listener))
        return self._changed(state, changed), tuple(found)

    def next_deadline(self, state: State) -> int | None:
        """When :meth:`advance` has something to do, in ms; None if nothing waits."""
        return state.due_ms

    def dropped(self, state: State) -> int:
        """How many runs were dropped over the bound, so far."""
        counts = [standing.dropped for standing in state.standings.values()]
        counts += [count for standing in state.shared.values() for _, count in standing.dropped]
        return sum(counts)

    def in_flight(self, state: State) -> Iterator[tuple[Listener, int, int]]:
        """Each run: its listener, the number of the element that it waits for, and when it was opened, in ms.

        A run whose window has passed is dropped when the next event looks at it, and until then it is told too.
        """
        for number, standing in state.standings.items():
            program = self._programs[number]
            for run in (run for box in standing.boxes for run in box.runs):
                waits = program.tail[-1].number if run.slot == program.end else program.slots[run.slot].step.number
                yield program.listener, waits, run.events[0].at_ms
        for index, shared in state.shared.items():
            tree = self._trees[index]
            for shared_run in shared.runs:
                for member in tree.whose(shared_run.who):
                    yield member.listener, len(shared_run.events) + 1, shared_run.events[0].at_ms

    def encode(self, state: State) -> bytes:
        """The state as bytes; states of equal histories are equal bytes."""
        rows = tuple(
            (listener.name, listener.version, standing)
            for number, standing in sorted(state.standings.items())
            for listener in (self._programs[number].listener,)
        )
        if not state.shared:
            return to_msgpack(StoredState(state.subscriber, rows))
        places: dict[int, int] = {}
        runs: list[StoredRun] = []
        dropped: list[tuple[int, int]] = []
        for index, standing in sorted(state.shared.items()):
            tree = self._trees[index]
            for run in standing.runs:
                own = [places.setdefault(member.number, len(places)) for member in tree.whose(run.who)]
                runs.append(StoredRun(_bits(own), run.events, tree.noted(run)))
            for bit, count in standing.dropped:
                dropped.append((places.setdefault(tree.members[bit].number, len(places)), count))
        listeners = [self._programs[number].listener for number in places]
        together = tuple((listener.name, listener.version) for listener in listeners)
        return to_msgpack(StoredState(state.subscriber, rows, together, tuple(runs), tuple(dropped)))

    def knows(self, match: Match) -> bool:
        """Whether the match is of a version that is at work here."""
        return (match.listener, match.version) in self._numbers

    def decode(self, data: bytes, *, promoted: Collection[Version] = ()) -> State:
        """The state of these bytes.

        What :meth:`encode` wrote, also of a machine with other listeners: the runs of a version that is gone are
        dropped; ``repeat`` counts across versions (SEMANTICS 6 and 8), but for what versions in ``promoted`` matched
        while they were shadows. Raises ``BadRecord``.
        """
        stored = read_state(data)
        found = {(name, version): standing for name, version, standing in stored.standings}
        for version in promoted:
            if version in found:
                found[version] = replaced(found[version], last_ms=None)
        standings: dict[int, Standing] = {}
        loose: dict[int, Standing] = {}
        for name in dict.fromkeys(name for name, _ in found):
            for version in self._versions.get(name, ()):
                kept = inherited(version, {each: found[each] for each in found if each[0] == name}, self._numbers)
                number = self._numbers[version]
                if number in self._members:
                    # Stored when this listener was in no tree; what it remembers of `repeat` waits for a later version.
                    loose[number] = kept
                    kept = Standing((), kept.last_ms)
                if kept != _FRESH:
                    standings[number] = kept
        shared = self._shared(stored, loose)
        return self._changed(State(stored.subscriber, {}, None, shared), standings)

    def _changed(self, state: State, changed: Mapping[int, Standing]) -> State:
        standings = {**state.standings, **changed}
        due_ms, stale = state.due_ms, False
        for number, standing in changed.items():
            if standing == _FRESH:
                del standings[number]
            program = self._programs[number]
            if program.tail:
                before = state.standings.get(number)
                stale = stale or (before is not None and due_ms is not None and program.due(before) == due_ms)
        if stale:
            dues = [self._programs[number].due(standing) for number, standing in standings.items()]
        else:
            # PERF: the earliest deadline of the others stands; only a state whose earliest one changed is searched.
            dues = [self._programs[number].due(standing) for number, standing in changed.items()]
        found = [due for due in dues if due is not None]
        if not stale and due_ms is not None:
            found.append(due_ms)
        return State(state.subscriber, standings, min(found) if found else None, state.shared)

    def _shared(self, stored: StoredState, loose: Mapping[int, Standing]) -> dict[int, SharedStanding]:
        """What is stored of listeners that begin alike. ``loose``: what was stored of one of them alone."""
        known = [self._members.get(self._numbers.get(version, -1)) for version in stored.together]
        runs: dict[tuple[int, int, tuple[Taken, ...]], SharedRun] = {}
        dropped = [(known[place], count) for place, count in stored.dropped]
        for each in stored.runs:
            who = int.from_bytes(each.who, "little")
            for place, own in enumerate(known):
                if who >> place & 1 and own is not None:
                    _put(runs, own, each.events, each.noted)
        for number, standing in loose.items():
            member = self._members[number]
            for run in (run for box in standing.boxes for run in box.runs):
                references = self._programs[number].scope.notes
                noted = [(each.step, each.path, value) for each, value in zip(references, run.noted, strict=True)]
                _put(runs, member, run.events, noted)
            if standing.dropped:
                dropped.append((member, standing.dropped))
        ordered = sorted(runs.items(), key=lambda each: each[1].events[0].place) if loose else list(runs.items())
        found: dict[int, list[SharedRun]] = {}
        for (index, _, _), shared in ordered:
            found.setdefault(index, []).append(shared)
        counts: dict[int, dict[int, int]] = {}
        for own, count in dropped:
            if own is not None:
                of_tree = counts.setdefault(own[0], {})
                of_tree[own[2].bit] = of_tree.get(own[2].bit, 0) + count
        return {
            index: SharedStanding(tuple(found.get(index, ())), tuple(sorted(counts.get(index, {}).items())))
            for index in sorted(found.keys() | counts.keys())
        }

    def _match(self, number: int, subscriber: str, finished: Finished) -> Match:
        """The match of a listener that runs alone."""
        program, run = self._programs[number], finished.run
        listener = program.listener
        steps: dict[str, tuple[EventRef, ...]] = {}
        for slot in program.slots:
            taken = tuple(_reference(event) for event in run.events if event.step == slot.step.number)
            if taken:
                steps[slot.step.key] = taken
        events = tuple(event.event_id for event in run.events)
        return Match(
            listener.name,
            listener.version,
            subscriber,
            _digest(self._heads[number], _tail(subscriber, events)),
            steps,
            events,
            finished.at_ms,
            events[-1] if finished.by_event else "",
            {
                reference: run.noted[note]
                for reference, note in program.scope.notes.items()
                if run.noted[note] is not None
            },
        )

    def _matches(self, tree: Tree, who: int, run: SharedRun, subscriber: str, found: list[tuple[int, Match]]) -> None:
        """The matches of listeners that end with one run. PERF: what does not differ is made once."""
        events = tuple([event.event_id for event in run.events])
        references = [(_reference(event),) for event in run.events]
        tail, at_ms, last = _tail(subscriber, events), run.events[-1].at_ms, events[-1]
        shown: dict[tuple[str, ...], dict[str, tuple[EventRef, ...]]] = {}
        for member in tree.whose(who):
            steps = shown.get(member.keys)
            if steps is None:
                steps = shown[member.keys] = dict(zip(member.keys, references, strict=True))
            values = _NO_VALUES
            if member.noted:
                values = {ref: run.noted[at] for ref, at in member.noted.items() if run.noted[at] is not None}
            listener, number = member.listener, member.number
            match_id = _digest(self._heads[number], tail)
            match = Match(listener.name, listener.version, subscriber, match_id, steps, events, at_ms, last, values)
            found.append((number, match))


_FRESH: Final = Standing()
_NO_VALUES: Final[dict[Reference, Any]] = {}


def _by_number(each: tuple[int, Match]) -> int:
    return each[0]


def _reference(event: Taken) -> EventRef:
    return EventRef(event.event_id, event.action, event.at_ms)


def _bits(places: Iterable[int]) -> bytes:
    who = 0
    for place in places:
        who |= 1 << place
    return who.to_bytes((who.bit_length() + 7) // 8, "little")


def _put(
    runs: dict[tuple[int, int, tuple[Taken, ...]], SharedRun],
    own: tuple[int, Tree, Member],
    events: tuple[Taken, ...],
    noted: Iterable[tuple[int, str, Any]],
) -> None:
    """Add a listener to the run of these events."""
    index, tree, member = own
    node = member.way[len(events) - 1]
    key = (index, node.number, events)
    before = runs.get(key)
    if before is None:
        runs[key] = SharedRun(1 << member.bit, node.number, events, tree.noting(node, noted))
    else:
        runs[key] = SharedRun(before.who | 1 << member.bit, node.number, events, before.noted)


def _tail(subscriber: str, events: Iterable[str]) -> bytes:
    return to_json([subscriber, events])[1:]


def _digest(head: bytes, tail: bytes) -> str:
    return hashlib.sha256(head + tail).hexdigest()[:32]
