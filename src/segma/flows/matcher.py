"""The machine: every listener of a workspace, over the events of one subscriber at a time. Pure.

State in, event in; state and matches out. A :class:`State` is an immutable value: keep any number of them, compare
them, encode them. The rules are SEMANTICS 3 and stand in :mod:`segma.flows.program`; here is what they share: which
listeners an event can touch, the order of simultaneous matches, the identity of a match, the bytes of a state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple

from segma.contracts.codec import Value, msgpack_reader, to_json, to_msgpack, written
from segma.contracts.commands import EventRef
from segma.contracts.events import Event
from segma.flows.language.compile import Test
from segma.flows.language.model import Listener, Reference, Repeat
from segma.flows.program import Program
from segma.flows.runs import Finished, Standing
from segma.flows.sessions import Session
from segma.flows.tables import Facts, Tests
from segma.flows.trace import Tell, tell_nothing

DEFAULT_MAX_RUNS: Final = 64
"""Runs kept per listener and subscriber, counted as SEMANTICS 3 says; past it the oldest is dropped and counted."""


class Match(NamedTuple):
    """A completed sequence.

    ``match_id``: SEMANTICS 5. ``steps``: step name (or its number from 1, as text) → its events. ``events``: all ids in
    the order of the stream. ``completed_by``: the id of the event that completed it; empty where a deadline did.
    ``values``: what the templates of ``then`` refer to; a step without that property is absent.
    """

    listener: str
    version: int
    subscriber: str
    match_id: str
    steps: Mapping[str, tuple[EventRef, ...]]
    events: tuple[str, ...]
    matched_at_ms: int
    completed_by: str
    values: Mapping[Reference, Any]


class StoredMatch(NamedTuple):
    """A match as it is encoded: references are pairs of step number and path."""

    listener: str
    version: int
    subscriber: str
    match_id: str
    steps: dict[str, tuple[EventRef, ...]]
    events: tuple[str, ...]
    matched_at_ms: int
    completed_by: str
    values: tuple[tuple[int, str, Any], ...]


def to_stored(match: Match) -> StoredMatch:
    """A match, ready to be encoded."""
    values = sorted((reference.step, reference.path) for reference in match.values)
    found = tuple((step, path, match.values[Reference(step, path)]) for step, path in values)
    return StoredMatch(*match[:4], dict(match.steps), *match[5:8], found)


def from_stored(stored: StoredMatch) -> Match:
    """The match of what :func:`to_stored` made."""
    return Match(*stored[:8], {Reference(step, path): value for step, path, value in stored.values})


class State(NamedTuple):
    """One subscriber's state. ``standings``: by listener; one without runs or memory is absent.

    ``due_ms``: the earliest deadline of all, None if nothing waits.
    """

    subscriber: str
    standings: Mapping[int, Standing] = {}
    due_ms: int | None = None


class _Stored(Value, frozen=True):
    """The bytes of a state: per listener its name, version, earliest deadline and standing."""

    SCHEMA: ClassVar[int] = 1

    subscriber: str
    standings: tuple[tuple[str, int, Standing], ...]
    schema: int = written(1)


_read_stored = msgpack_reader(_Stored)


Version = tuple[str, int]
"""A listener's name and its version."""
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
        """``listeners``: in any order. ``live_from``: the log time from which a version hears events, if not always."""
        # Simultaneous matches come in order of the listeners' names: their numbers are that order.
        ordered = sorted(listeners, key=lambda listener: (listener.name, listener.version))
        tests = Tests()
        self._programs = tuple(Program(listener, tests, max_runs=max_runs, tell=tell) for listener in ordered)
        self._numbers = {(listener.name, listener.version): number for number, listener in enumerate(ordered)}
        if len(self._numbers) != len(ordered):
            raise ValueError("one version of a listener twice in one machine")
        self._versions: dict[str, list[Version]] = {}
        for version in self._numbers:
            self._versions.setdefault(version[0], []).append(version)
        self._live_from = tuple(live_from.get(version, 0) for version in self._numbers)
        self._all_live_from = max(self._live_from, default=0)
        self._starts = _Index([program.starts for program in self._programs])
        self._hears = _Index([program.tests for program in self._programs])

    def start(self, subscriber: str) -> State:
        """The state of somebody of whom nothing is known."""
        return State(subscriber)

    def apply(self, state: State, event: Event, session: Session) -> tuple[State, tuple[Match, ...]]:
        """Time first: deadlines at or before the event fire. Then the event, after all others in its order.

        ``session``: the session up to and including the event. A provisional click, or one that was a machine's, fits
        nothing (SEMANTICS 7), but time passes with it.
        """
        matches: tuple[Match, ...] = ()
        if state.due_ms is not None and state.due_ms <= event.occurred_at_ms:
            state, matches = self.advance(state, event.occurred_at_ms)
        if event.provisional or event.verdict.startswith("machine"):
            return state, matches
        standings = state.standings
        touched = self._starts.of(event)
        if standings:
            self._hears.among(event, standings, touched)
        if event.log_time_ms < self._all_live_from:
            touched = {number for number in touched if self._live_from[number] <= event.log_time_ms}
        if not touched:
            return state, matches
        found: list[Match] = []
        changed: dict[int, Standing] = {}
        facts = Facts(event, session)
        for number in sorted(touched):
            program = self._programs[number]
            before = standings.get(number, _FRESH)
            if before.last_ms is not None and program.listener.repeat is Repeat.ONCE:
                continue
            after, finished = program.on_event(before, facts)
            if after is not before and after != before:
                changed[number] = after
            found.extend(_match(program, state.subscriber, each) for each in finished)
        if not changed:
            return state, (*matches, *found)
        return self._changed(state, changed), (*matches, *found)

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
            found.extend(_match(program, state.subscriber, each) for each in finished)
        found.sort(key=lambda match: (match.matched_at_ms, match.listener))
        return self._changed(state, changed), tuple(found)

    def next_deadline(self, state: State) -> int | None:
        """When :meth:`advance` has something to do, in ms; None if nothing waits."""
        return state.due_ms

    def dropped(self, state: State) -> int:
        """How many runs were dropped over the bound, so far."""
        return sum(standing.dropped for standing in state.standings.values())

    def encode(self, state: State) -> bytes:
        """The state as bytes; states of equal histories are equal bytes."""
        standings = sorted(state.standings.items())
        rows = tuple(
            (listener.name, listener.version, standing)
            for number, standing in standings
            for listener in (self._programs[number].listener,)
        )
        return to_msgpack(_Stored(state.subscriber, rows))

    def knows(self, match: Match) -> bool:
        """Whether the match is of a version that is at work here."""
        return (match.listener, match.version) in self._numbers

    def decode(self, data: bytes, *, promoted: Collection[Version] = ()) -> State:
        """The state of these bytes.

        What :meth:`encode` wrote, also of a machine with other listeners: the runs of a version that is gone are
        dropped; ``repeat`` counts across versions (SEMANTICS 6 and 8), but for what versions in ``promoted`` matched
        while they were shadows. Raises ``BadRecord``.
        """
        stored: _Stored = _read_stored(data)
        found = {(name, version): standing for name, version, standing in stored.standings}
        for version in promoted:
            if version in found:
                found[version] = found[version]._replace(last_ms=None)
        standings: dict[int, Standing] = {}
        for name in dict.fromkeys(name for name, _ in found):
            for version in self._versions.get(name, ()):
                kept = _inherited(version, {each: found[each] for each in found if each[0] == name}, self._numbers)
                if kept != _FRESH:
                    standings[self._numbers[version]] = kept
        return self._changed(State(stored.subscriber), standings)

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
            dues = (self._programs[number].due(standing) for number, standing in standings.items())
        else:
            # PERF: the earliest deadline of the others stands; only a state whose earliest one changed is searched.
            dues = (self._programs[number].due(standing) for number, standing in changed.items())
        found = [due for due in dues if due is not None]
        if not stale and due_ms is not None:
            found.append(due_ms)
        return State(state.subscriber, standings, min(found, default=None))


_FRESH: Final = Standing()


def _inherited(version: Version, found: Mapping[Version, Standing], here: Collection[Version]) -> Standing:
    """A version's standing: its own, and when versions of its listener that are gone last matched."""
    own = found.get(version, _FRESH)
    gone = [standing for other, standing in found.items() if other not in here]
    if not gone:
        return own
    lasts = [each.last_ms for each in (own, *gone) if each.last_ms is not None]
    dropped = own.dropped + sum(each.dropped for each in gone)
    return own._replace(last_ms=max(lasts, default=None), dropped=dropped)


class _Index:
    """Which listeners an event may touch with one of these conditions.

    By its action, and by one property that must be a given text where the condition says so: a listener on the category
    ``shoes`` costs nothing while people look at hats.
    """

    def __init__(self, tests: Sequence[Sequence[Test]]) -> None:
        self._by_action: dict[str, set[int]] = {}
        self._by_text: dict[str, dict[str, dict[str, set[int]]]] = {}
        self._any: set[int] = set()
        for number, each in enumerate(tests):
            for test in each:
                self._add(number, test)

    def _add(self, number: int, test: Test) -> None:
        if test.actions is None:
            self._any.add(number)
            return
        for action in test.actions:
            if test.text is None:
                self._by_action.setdefault(action, set()).add(number)
            else:
                path, text = test.text
                self._by_text.setdefault(action, {}).setdefault(path, {}).setdefault(text, set()).add(number)

    def _sets(self, event: Event) -> Iterator[set[int]]:
        if self._any:
            yield self._any
        found = self._by_action.get(event.action)
        if found:
            yield found
        for path, texts in self._by_text.get(event.action, _NO_TEXTS).items():
            value = event.properties.get(path)
            if isinstance(value, str) and value in texts:
                yield texts[value]

    def of(self, event: Event) -> set[int]:
        """All listeners that it may touch."""
        return set().union(*self._sets(event))

    def among(self, event: Event, standings: Mapping[int, Standing], found: set[int]) -> None:
        """Add to ``found`` those that it may touch and that have a standing."""
        for numbers in self._sets(event):
            if len(numbers) < len(standings):
                found.update(number for number in numbers if number in standings)
            else:
                found.update(number for number in standings if number in numbers)


_NO_TEXTS: Final[dict[str, dict[str, set[int]]]] = {}


def _match(program: Program, subscriber: str, finished: Finished) -> Match:
    listener, run = program.listener, finished.run
    steps: dict[str, tuple[EventRef, ...]] = {}
    for slot in program.slots:
        taken = tuple(
            EventRef(event.event_id, event.action, event.at_ms)
            for event in run.events
            if event.step == slot.step.number
        )
        if taken:
            steps[slot.step.key] = taken
    events = tuple(event.event_id for event in run.events)
    return Match(
        listener=listener.name,
        version=listener.version,
        subscriber=subscriber,
        match_id=match_id(listener.name, listener.version, subscriber, events),
        steps=steps,
        events=events,
        matched_at_ms=finished.at_ms,
        completed_by=events[-1] if finished.by_event else "",
        values={
            reference: run.noted[note] for reference, note in program.scope.notes.items() if run.noted[note] is not None
        },
    )


def match_id(listener: str, version: int, subscriber: str, events: Sequence[str]) -> str:
    """SEMANTICS 5: the first 32 hexadecimal digits of the SHA-256 of a JSON array without spaces, in UTF-8."""
    return hashlib.sha256(to_json([listener, version, subscriber, list(events)])).hexdigest()[:32]
