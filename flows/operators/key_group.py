"""The subscribers of one key group: their events in order, and the deadlines that log time brings.

Nothing is raised; bad records are set aside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from contracts.codec import json_reader, to_json
from contracts.commands import Command
from contracts.dead_letters import letter_from, set_aside
from contracts.errors import BadInput, BadRecord
from contracts.events import Event
from contracts.log import Outgoing, Record
from contracts.past import PAST_PREFIX, PastState
from contracts.properties import check_properties
from contracts.reasons import Reason
from contracts.rows import Row
from contracts.tokens import is_anonymous
from contracts.topics import ROWS, moves_topic
from contracts.traces import Tracer
from flows.counts.counts_snapshot import CountsSnapshot
from flows.counts.run_counts import MOST_NOTED, RunGauges
from flows.operators.dead_letters import dead_letter, failed, lost_state
from flows.operators.traced import tell_followed
from flows.state.changelog import PEOPLE, Changelog, GroupPosition, StateDamaged
from flows.state.recency import MAX_ANONYMOUS, MAX_ANONYMOUS_BYTES, LeastRecentlyUsed
from flows.state.rows import Input
from flows.state.store import StateStore
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.limits import Limit, LimitHits
from flows.subscriber.pinned_terms import read_pinned_terms
from flows.subscriber.subscriber import Emitted, Subscriber

_DIGITS: Final = bytes(ord("0") if each in b"0123456789" else each for each in range(256))
_LONG_NUMBER: Final = b"0" * 19
"""PERF: `recognise` holds every event to the rule; what an older release wrote may hold an integer that no state can,
and that takes as many digits. Two passes in C over the bytes take 0.7 µs, a regular expression took 5."""
_read_past: Final[Callable[[bytes], PastState]] = json_reader(PastState)
_read_event: Final[Callable[[bytes], Event]] = json_reader(Event)
log_line = structlog.get_logger("flows")


class SubscriberStates:
    """Subscribers as the states of a store, each by the engine of its workspace. Keys: ``workspace/subscriber``."""

    def __init__(self, engines: Mapping[str, WorkspaceEngine]) -> None:
        self._engines = engines
        self.dropped: list[tuple[str, Subscriber, Exception]] = []
        """States that could not be written, since somebody last looked."""

    def engine(self, key: str) -> WorkspaceEngine:
        """The engine of a key's workspace."""
        return self._engines[key.partition("/")[0]]

    def new(self, key: str) -> Subscriber:
        """A subscriber of whom nothing is known."""
        return self.engine(key).new(key.partition("/")[2])

    def encode(self, key: str, state: Subscriber) -> bytes:
        """A subscriber as bytes."""
        return self.engine(key).encode(state)

    def decode(self, key: str, data: bytes) -> Subscriber:
        """The subscriber of these bytes."""
        return self.engine(key).decode(data)

    def due_ms(self, key: str, state: Subscriber) -> int | None:
        """When the subscriber has something to do without an event."""
        return self.engine(key).due_ms(state)

    def replay(self, key: str, snapshot: bytes | None, inputs: Sequence[Input]) -> Subscriber:
        """The subscriber of a snapshot after the inputs behind it."""
        return self.engine(key).replay(key.partition("/")[2], snapshot, inputs)

    def lost(self, key: str, state: Subscriber, error: Exception) -> None:
        """Remember a state that could not be written, for the next batch to tell."""
        self.dropped.append((key, state, error))


class KeyGroup:
    """The subscribers of one key group, by workspace and id."""

    def __init__(  # noqa: PLR0917
        self,
        engines: Mapping[str, WorkspaceEngine],
        bounds: LimitHits,
        changelog: Changelog,
        resumed: GroupPosition | None,
        counted: CountsSnapshot,
        tracer: Tracer | None = None,
    ) -> None:
        """``engines``: by workspace; ``counted``: the last counts of runs. Raises :class:`StateDamaged`."""
        self._tracer = tracer
        self._engines, self._bounds = engines, bounds
        self._states = SubscriberStates(engines)
        self._people: StateStore[Subscriber] = StateStore(changelog, resumed, self._states, kind=PEOPLE)
        self._remember()
        self._gauges = RunGauges(engines, self._people, counted, lambda: self._people.share_of_kind(MOST_NOTED))
        self._anonymous = LeastRecentlyUsed(
            {key: self._people.size(key) for key in self._people.known() if is_anonymous(key.partition("/")[2])}
        )

    def _remember(self) -> None:
        """Make ready what was applied since it was written whole. Raises :class:`StateDamaged` where that is gone."""
        for under in self._people.all_terms():
            pin = read_pinned_terms(under)
            engine = self._engines.get(pin.workspace)
            if engine is None:
                continue
            try:
                engine.prepare(under)
            except KeyError as error:
                raise StateDamaged(
                    f"the state of {pin.workspace} rests on listener {error}, which the log does not hold any more: put"
                    " it back, or remove the whole recovery directory and let the flow read the log again"
                ) from None

    def process(
        self,
        records: Sequence[tuple[Record, int]],
        log_time_ms: int,
        place: tuple[int, int],
        out: list[Outgoing],
    ) -> None:
        """Process records in order, each at its log time, then pass time on. ``place``: partition and group."""
        if self._states.dropped:
            self._tell_dropped(log_time_ms, out)
        for record, at_ms in records:
            self._count(at_ms, place, out)
            self._process(record, at_ms, out)
        self._count(log_time_ms, place, out)
        self._pass_time(log_time_ms, out)
        self._gauges.count_some()

    def _tell_dropped(self, log_time_ms: int, out: list[Outgoing]) -> None:
        """Set aside what the last epoch could not write: a letter each, and off the gauges."""
        dropped, self._states.dropped = self._states.dropped, []
        for key, person, error in dropped:
            self._gauges.lose(key, person)
            self._anonymous.forget(key)
            self._bounds.hit(Limit.UNWRITABLE)
            out.append(lost_state("subscriber", key, error, log_time_ms))

    def _pass_time(self, log_time_ms: int, out: list[Outgoing]) -> None:
        """Fire what is due at a log time. Where that fails for one subscriber, what is known of them is dropped."""
        # NOTE: of a workspace that was taken out of the installation nobody is moved.
        for key in self._people.due(log_time_ms, lambda key: key.partition("/")[0] in self._engines):
            person, engine = self._people.get(key), self._engines[key.partition("/")[0]]
            self._gauges.note(key, person, log_time_ms)
            emitted, started_ns = Emitted(), self._now_ns()
            try:
                engine.pass_time(person, log_time_ms, emitted=emitted)
            except Exception as error:
                self._drop(key, error, log_time_ms, out)
            else:
                self._keep(key, person, engine, emitted, log_time_ms, b"")
            self._say(key, emitted, log_time_ms, out)
            if self._tracer is not None:
                tell_followed(self._tracer, None, emitted, started_ns)

    def _now_ns(self) -> int:
        return self._tracer.now_ns() if self._tracer is not None else 0

    def _drop(self, key: str, error: Exception, log_time_ms: int, out: list[Outgoing]) -> None:
        """Drop what is known of a subscriber whom nothing can be done for: a deadline would fail again and again."""
        self._gauges.leave(key)
        self._people.let_go(key)
        self._anonymous.forget(key)
        self._bounds.hit(Limit.UNWRITABLE)
        out.append(lost_state("subscriber", key, error, log_time_ms))

    def _count(self, log_time_ms: int, place: tuple[int, int], out: list[Outgoing]) -> None:
        """Write the counts of waiting runs at each whole minute before a log time."""
        while (at_ms := self._gauges.next_ms(log_time_ms)) is not None:
            self._pass_time(at_ms, out)
            for row in self._gauges.rows(at_ms, place):
                key = f"{row.workspace}/{row.partition}-{row.group}".encode()
                out.append(Outgoing(ROWS, key, to_json(row)))

    def counted(self) -> CountsSnapshot:
        """The last counts of runs, for the snapshot."""
        return self._gauges.snapshot()

    def snapshot(self) -> GroupPosition:
        """The position at which a resume finds all states; they are on the disk when this returns."""
        return self._people.snapshot()

    def _process(self, record: Record, log_time_ms: int, out: list[Outgoing]) -> None:
        source = record.value or b""
        if source.startswith(PAST_PREFIX):
            self._take_over(record, source, log_time_ms, out)
            return
        try:
            event = _read_event(source)
            if _LONG_NUMBER in source.translate(_DIGITS):
                check_properties(event.properties)
            engine = self._engines.get(event.workspace)
            if engine is None:
                raise BadRecord(Reason.UNDECODABLE, f"no workspace {event.workspace!r}")
            key = f"{event.workspace}/{event.subscriber}"
            person = self._people.get(key)
        except BadInput as error:
            out.append(dead_letter(record, error.reason, error.detail))
            return
        except Exception as error:
            out.append(failed(record, error))
            return
        self._gauges.note(key, person, event.log_time_ms)
        emitted, started_ns = Emitted(), self._now_ns()
        try:
            engine.apply(person, event, log_time_ms, source, emitted=emitted)
        except Exception as error:
            out.append(failed(record, error))
            # What was changed before it failed stands: written whole, it is the same after a restart.
            emitted.moved = True
        self._keep(key, person, engine, emitted, log_time_ms, source)
        self._say(key, emitted, log_time_ms, out)
        if self._tracer is not None:
            tell_followed(self._tracer, event, emitted, started_ns)

    def _take_over(self, record: Record, source: bytes, log_time_ms: int, out: list[Outgoing]) -> None:
        """Let a version take over what came to a person before it was at work. Of whom nothing is known, nothing is."""
        try:
            past = _read_past(source)
            engine = self._engines.get(past.workspace)
            if engine is None:
                raise BadRecord(Reason.UNDECODABLE, f"no workspace {past.workspace!r}")
            key = f"{past.workspace}/{past.subscriber}"
            person = self._people.get(key)
        except BadInput as error:
            out.append(dead_letter(record, error.reason, error.detail))
            return
        self._gauges.note(key, person, log_time_ms)
        emitted = Emitted()
        try:
            engine.take_over(person, past, log_time_ms, emitted=emitted)
        except Exception as error:
            out.append(failed(record, error))
            emitted.moved = True
        self._keep(key, person, engine, emitted, log_time_ms, b"")
        self._say(key, emitted, log_time_ms, out)

    def _keep(  # noqa: PLR0917
        self,
        key: str,
        person: Subscriber,
        engine: WorkspaceEngine,
        emitted: Emitted,
        log_time_ms: int,
        source: bytes,
    ) -> None:
        """Store a subscriber's state, or forget it where nothing in it counts any more; bound the anonymous ones.

        ``source``: what came (empty: time passed).
        """
        if engine.is_forgotten(person, log_time_ms):
            self._gauges.leave(key)
            self._people.let_go(key)
            self._anonymous.forget(key)
            return
        due_ms = person.due_ms = engine.due_ms(person)
        if emitted.moved:
            self._people.put_due(key, person, due_ms)
        else:
            self._people.add(key, person, due_ms, source, log_time_ms, person.generation.pin)
        if person.is_nobody:
            self._anonymous.use(key, self._people.size(key))
            share = self._people.share_of_kind
            for gone in self._anonymous.over(share(MAX_ANONYMOUS), share(MAX_ANONYMOUS_BYTES)):
                self._gauges.leave(gone)
                self._people.let_go(gone)
                self._bounds.hit(Limit.ANONYMOUS)

    def _say(self, key: str, emitted: Emitted, log_time_ms: int, out: list[Outgoing]) -> None:
        if emitted.is_silent:
            return
        name = key.encode()
        for row in emitted.rows:
            self._add(ROWS, name, row, log_time_ms, out)
        for command in (*emitted.commands, *emitted.restated):
            self._add(moves_topic(command.workspace, command.account), name, command, log_time_ms, out)
        for reason, detail, match in emitted.refused:
            what = f"{match.listener}: {detail}"
            out.append(set_aside(letter_from("match", reason, what, at_ms=match.matched_at_ms)))

    def _add(self, topic: str, name: bytes, value: Row | Command, log_time_ms: int, out: list[Outgoing]) -> None:
        """Add a record, or the letter of one that cannot be written."""
        try:
            out.append(Outgoing(topic, name, to_json(value)))
        except Exception as error:
            log_line.error("not_written", topic=topic, error=type(error).__name__)
            what = f"{type(value).__name__}: {type(error).__name__}"
            out.append(set_aside(letter_from("flow", Reason.PROCESSING_FAILED, what, at_ms=log_time_ms)))
