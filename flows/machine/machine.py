"""The machine: every listener of a workspace, over the events of one subscriber at a time. Pure.

State in, event in; state and matches out. A :class:`MachineState` is an immutable value: keep any number, compare
them, encode them. The rules are SEMANTICS 3 and stand in :mod:`flows.machine.program`; here is what they share: which
listeners an event can touch, the order of simultaneous matches, the identity of a match, the bytes of a state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any, Final

from contracts.codec import to_json
from contracts.commands import EventRef
from contracts.events import Event
from flows.derived.sessions import Session
from flows.language.model import Listener, Reference, Repeat
from flows.machine import earlier
from flows.machine.compiled import Facts, Tests, minds_membership, minds_profiles, minds_session_ends, minds_sessions
from flows.machine.index import Index
from flows.machine.matches import Match, match_id
from flows.machine.program import ListenerProgram
from flows.machine.runs import Finished, ListenerRuns, Place, Taken, TreeRun, TreeRuns, Version
from flows.machine.state_codec import StateCodec
from flows.machine.states import MachineState
from flows.machine.trace import Trace, no_trace
from flows.machine.tree import FRESH as NO_TREE_RUNS
from flows.machine.tree import Tree, is_plain, trees_of

__all__ = ["Machine", "MachineState", "Match", "Version", "match_id"]

DEFAULT_MAX_RUNS: Final = 64
"""Runs kept per listener and subscriber, counted as SEMANTICS 3 says; past it the oldest is dropped and counted."""


NEVER_MS: Final = 1 << 60
"""Later than any time."""
InFlight = tuple[int, int, int, int]
"""Of a run: its listener's number, the number of the element that it waits for, when it was opened, and when its window
is over (:data:`NEVER_MS`: it has none, or waits for its deadline)."""
TreeRunPlace = tuple[int, int, int]
"""Of a tree's run: when it was opened, the number of the element that it waits for, and whose it is, as bits."""
_ALWAYS: Final[dict[Version, int]] = {}
_NEVER_TOLD: Final[dict[Version, Collection[Place]]] = {}


class Machine:
    """All listeners, compiled and indexed. Immutable after construction; share it freely."""

    def __init__(
        self,
        listeners: Iterable[Listener],
        *,
        max_runs: int = DEFAULT_MAX_RUNS,
        trace: Trace = no_trace,
        live_from: Mapping[Version, int] = _ALWAYS,
        promoted_at: Mapping[Version, int] = _ALWAYS,
        grace_ms: int = 0,
        zone: tzinfo = UTC,
    ) -> None:
        """``listeners``: in any order. ``live_from``: the log time from which a version hears events, if not always;
        ``promoted_at``: until when it was a shadow. ``grace_ms``: how much later than due deadlines fire, in log time.
        ``zone``: the time zone of hours.

        Whoever listens by ``trace`` hears each listener alone.
        """
        # Simultaneous matches come in order of the listeners' names: their numbers are that order.
        ordered = sorted(listeners, key=lambda listener: (listener.name, listener.version))
        self._numbers = {(listener.name, listener.version): number for number, listener in enumerate(ordered)}
        if len(self._numbers) != len(ordered):
            raise ValueError("one version of a listener twice in one machine")
        self._live_from = tuple(live_from.get(version, 0) for version in self._numbers)
        self._promoted_at = tuple(promoted_at.get(version, 0) for version in self._numbers)
        self._grace_ms = grace_ms
        self._all_live_from = max(self._live_from, default=0)
        self.listeners = tuple(ordered)
        """By their numbers."""
        self._heads = tuple(to_json([listener.name, listener.version])[:-1] + b"," for listener in ordered)
        tests = Tests(zone)
        self._programs = tuple(ListenerProgram(listener, tests, max_runs=max_runs, trace=trace) for listener in ordered)
        plain = [(number, each) for number, each in enumerate(ordered) if trace is no_trace and is_plain(each)]
        self._trees = trees_of(plain, tests, max_runs=max_runs)
        self._codec = StateCodec(self._programs, self._trees)
        self.minds_sessions = any(minds_sessions(listener) for listener in ordered)
        """Whether an answer may depend on the session of an event."""
        self.minds_profiles = any(minds_profiles(listener) for listener in ordered)
        """Whether an answer may depend on what is known of the person at an event."""
        self.minds_membership = any(minds_membership(listener) for listener in ordered)
        """Whether an answer may depend on the lists that a person is in, or on an event that the flow makes."""
        self.minds_session_ends = any(minds_session_ends(listener) for listener in ordered)
        """Whether an answer may depend on the end of a session."""
        trees = {member.number for tree in self._trees for member in tree.members}
        alone = [(number, each) for number, each in enumerate(self._programs) if number not in trees]
        self._starts = Index({number: program.starts for number, program in alone})
        self._hears = Index({number: program.tests for number, program in alone})
        self._tree_starts = Index({index: tree.tests[:1] for index, tree in enumerate(self._trees)})
        self._tree_hears = Index({index: tree.tests for index, tree in enumerate(self._trees)})

    def start(self, subscriber: str) -> MachineState:
        """The state of a subscriber of whom nothing is known."""
        return MachineState(subscriber)

    def apply(self, state: MachineState, event: Event, session: Session) -> tuple[MachineState, tuple[Match, ...]]:
        """Apply one event: deadlines at or before it fire first, then every listener that it touches sees it.

        A provisional click, or one that was a machine's, fits nothing (SEMANTICS 7), but time passes with it.

        ::

            state, matches = machine.apply(machine.start(event.subscriber), event, extended(None, event, gap_ms=gap_ms))

        Args:
            state: of the event's subscriber, after all events that come before it in their order.
            event: with times in milliseconds.
            session: the session up to and including the event.

        Returns:
            The state after it (the very same object where nothing has changed), and the matches in order: those of
            deadlines by their times, then the event's by the listeners' names.
        """
        matches: tuple[Match, ...] = ()
        if state.due_ms is not None and state.due_ms <= event.occurred_at_ms:
            state, matches = self.advance(state, event.occurred_at_ms)
        if event.provisional or (event.verdict and event.verdict.startswith("machine")):
            return state, matches
        touched = self._starts.touched(event, self._hears, state.by_listener)
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
        self, state: MachineState, facts: Facts, touched: Iterable[int], found: list[tuple[int, Match]]
    ) -> MachineState:
        by_listener, changed = state.by_listener, dict[int, ListenerRuns]()
        for number in touched:
            program = self._programs[number]
            before = by_listener.get(number, _FRESH)
            if self._live_from[number] > facts.event.log_time_ms:
                continue
            past = state.earlier.get(number)
            if past is not None:
                after, finished = earlier.on_event(program, before, facts, past, self._promoted_at[number])
            elif before.last_ms is not None and program.listener.repeat is Repeat.ONCE:
                continue
            else:
                after, finished = program.on_event(before, facts)
            if after is not before and after != before:
                changed[number] = after
            for each in finished:
                found.append((number, self._match(number, state.subscriber, each)))
        return self._changed(state, changed) if changed else state

    def _apply_trees(
        self, state: MachineState, facts: Facts, trees: Iterable[int], found: list[tuple[int, Match]]
    ) -> MachineState:
        shared: dict[int, TreeRuns] | None = None
        for index in trees:
            tree, before = self._trees[index], state.shared.get(index, NO_TREE_RUNS)
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
            if after is NO_TREE_RUNS:
                shared.pop(index, None)
            else:
                shared[index] = after
        if shared is None:
            return state
        return MachineState(state.subscriber, state.by_listener, state.due_ms, shared, state.earlier)

    def _hearing(self, tree: Tree, event: Event) -> int:
        """The tree's listeners that were live when the log took the event, as bits."""
        return sum(1 << each.bit for each in tree.members if self._live_from[each.number] <= event.log_time_ms)

    def advance(self, state: MachineState, now_ms: int) -> tuple[MachineState, tuple[Match, ...]]:
        """Fire the deadlines at or before ``now_ms``.

        Returns:
            The state after them, and their matches in order of (deadline, listener's name, version).
        """
        if state.due_ms is None or state.due_ms > now_ms:
            return state, ()
        found: list[Match] = []
        changed: dict[int, ListenerRuns] = {}
        for number, before in state.by_listener.items():
            program = self._programs[number]
            due = program.due(before)
            if due is None or due > now_ms:
                continue
            past = state.earlier.get(number)
            if past is None:
                changed[number], finished = program.on_time(before, now_ms)
            else:
                live_from_ms = self._promoted_at[number] - self._grace_ms + 1
                changed[number], finished = earlier.on_time(program, before, now_ms, past, live_from_ms)
            for each in finished:
                found.append(self._match(number, state.subscriber, each))
        found.sort(key=lambda match: (match.matched_at_ms, match.listener, match.version))
        return self._changed(state, changed), tuple(found)

    def next_deadline(self, state: MachineState) -> int | None:
        """When :meth:`advance` has something to do, in ms; None if nothing waits."""
        return state.due_ms

    def dropped(self, state: MachineState) -> int:
        """How many runs were dropped over the bound, so far."""
        counts = [held.dropped for held in state.by_listener.values()]
        counts += [count for held in state.shared.values() for _, count in held.dropped]
        return sum(counts)

    def in_flight(self, state: MachineState) -> list[InFlight]:
        """Every run of a state. One whose window has passed is listed until the next event drops it."""
        found = self.runs_alone(state)
        for index, runs in self.runs_together(state):
            for opened_ms, waits, who in runs:
                for member in self._trees[index].whose(who):
                    within_ms = member.listener.within_ms
                    over_ms = NEVER_MS if within_ms is None else opened_ms + within_ms
                    found.append((member.number, waits, opened_ms, over_ms))
        return found

    def runs_alone(self, state: MachineState, unlike: MachineState | None = None) -> list[InFlight]:
        """As :meth:`in_flight`, of listeners that are in no tree. ``unlike``: without those that are the same there."""
        found: list[InFlight] = []
        for number, held in state.by_listener.items():
            if unlike is not None and unlike.by_listener.get(number) is held:
                continue
            program = self._programs[number]
            for correlation in held.correlations:
                for run in correlation.runs:
                    waits = program.tail[-1].number if run.slot == program.end else program.slots[run.slot].step.number
                    over_ms = program.over_ms(run)
                    found.append((number, waits, run.events[0].at_ms, NEVER_MS if over_ms is None else over_ms))
        return found

    def runs_together(
        self, state: MachineState, unlike: MachineState | None = None
    ) -> list[tuple[int, list[TreeRunPlace]]]:
        """The runs of each tree, by its number. ``unlike``: without those that are the same there."""
        found: list[tuple[int, list[TreeRunPlace]]] = []
        for index, shared in state.shared.items():
            if unlike is not None and unlike.shared.get(index) is shared:
                continue
            if shared.runs:
                found.append((index, [(run.events[0].at_ms, len(run.events) + 1, run.who) for run in shared.runs]))
        return found

    def trees_windows(self) -> list[list[tuple[int, int]]]:
        """The listeners of each tree, by bit: the number, and the window in ms (:data:`NEVER_MS`: none)."""
        return [
            [(each.number, NEVER_MS if each.listener.within_ms is None else each.listener.within_ms) for each in tree]
            for tree in (tree.members for tree in self._trees)
        ]

    def encode(self, state: MachineState) -> bytes:
        """The state as bytes; states of equal histories are equal bytes."""
        return self._codec.encode([state])

    def encode_all(self, states: Sequence[MachineState]) -> bytes:
        """Several states of one subscriber; together they take less."""
        return self._codec.encode(states)

    def knows(self, match: Match) -> bool:
        """Whether the match is of a version that is at work here."""
        return (match.listener, match.version) in self._numbers

    def decode(self, data: bytes, *, promoted: Collection[Version] = ()) -> MachineState:
        """The state of these bytes.

        What :meth:`encode` wrote, also of a machine with other listeners: the runs of a version that is gone are
        dropped; ``repeat`` counts across versions (SEMANTICS 6 and 8), but for what versions in ``promoted`` matched
        while they were shadows. Raises ``BadRecord``.
        """
        return self.decode_all(data, earlier.VersionChange(promoted))[-1]

    def decode_all(
        self,
        data: bytes,
        change: earlier.VersionChange = earlier.UNCHANGED,
        told: Mapping[Version, Collection[Place]] = _NEVER_TOLD,
    ) -> list[MachineState]:
        """The reverse of :meth:`encode_all`, as :meth:`decode`. ``told``: where the versions of the change matched."""
        found = self._codec.decode(data, change, told)
        return [self._changed(each, each.by_listener) if each.by_listener else each for each in found]

    def _changed(self, state: MachineState, changed: Mapping[int, ListenerRuns]) -> MachineState:
        by_listener = {**state.by_listener, **changed}
        due_ms, stale = state.due_ms, False
        for number, held in changed.items():
            if held == _FRESH:
                del by_listener[number]
            program = self._programs[number]
            if program.tail:
                before = state.by_listener.get(number)
                stale = stale or (before is not None and due_ms is not None and program.due(before) == due_ms)
        if stale:
            dues = [self._programs[number].due(held) for number, held in by_listener.items()]
        else:
            # PERF: the earliest deadline of the others stands; only a state whose earliest one changed is searched.
            dues = [self._programs[number].due(held) for number, held in changed.items()]
        found = [due for due in dues if due is not None]
        if not stale and due_ms is not None:
            found.append(due_ms)
        return MachineState(state.subscriber, by_listener, min(found, default=None), state.shared, state.earlier)

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

    def _matches(self, tree: Tree, who: int, run: TreeRun, subscriber: str, found: list[tuple[int, Match]]) -> None:
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


_FRESH: Final = ListenerRuns()
_NO_VALUES: Final[dict[Reference, Any]] = {}


def _by_number(each: tuple[int, Match]) -> int:
    return each[0]


def _reference(event: Taken) -> EventRef:
    return EventRef(event.event_id, event.action, event.at_ms)


def _tail(subscriber: str, events: Iterable[str]) -> bytes:
    return to_json([subscriber, events])[1:]


def _digest(head: bytes, tail: bytes) -> str:
    return hashlib.sha256(head + tail).hexdigest()[:32]
