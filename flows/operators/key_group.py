"""The subscribers of one key group: their events in order, and the deadlines that log time brings.

Nothing is raised; bad records are set aside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from contracts.codec import json_reader, to_json
from contracts.dead_letters import letter_from, set_aside
from contracts.errors import BadRecord
from contracts.events import Event
from contracts.log import Outgoing, Record
from contracts.reasons import Reason
from contracts.tokens import is_anonymous
from contracts.topics import ROWS, moves_topic
from flows.counts.counts_snapshot import CountsSnapshot
from flows.counts.run_counts import MOST_NOTED, RunGauges
from flows.operators.dead_letters import dead_letter
from flows.state.changelog import PEOPLE, Changelog, GroupPosition, StateDamaged
from flows.state.rows import Input
from flows.state.store import MAX_ANONYMOUS, LeastRecentlyUsed, StateStore
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.limits import Limit, LimitHits
from flows.subscriber.pinned_terms import read_pinned_terms
from flows.subscriber.subscriber import Emitted, Subscriber

_read_event: Final[Callable[[bytes], Event]] = json_reader(Event)
log_line = structlog.get_logger("flows")


class SubscriberStates:
    """Subscribers as the states of a store, each by the engine of its workspace. Keys: ``workspace/subscriber``."""

    def __init__(self, engines: Mapping[str, WorkspaceEngine]) -> None:
        self._engines = engines

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


class KeyGroup:
    """The subscribers of one key group, by workspace and id."""

    def __init__(
        self,
        engines: Mapping[str, WorkspaceEngine],
        bounds: LimitHits,
        changelog: Changelog,
        resumed: GroupPosition | None,
        counted: CountsSnapshot,
    ) -> None:
        """``engines``: by workspace; ``counted``: what was said of the runs. Raises :class:`StateDamaged`."""
        self._engines, self._bounds, self._changelog = engines, bounds, changelog
        self._people: StateStore[Subscriber] = StateStore(
            changelog,
            resumed,
            SubscriberStates(engines),
            kind=PEOPLE,
        )
        self._remember()
        self._gauges = RunGauges(engines, self._people, counted, lambda: changelog.share(MOST_NOTED))
        self._anonymous = LeastRecentlyUsed(
            [key for key in self._people.known() if is_anonymous(key.partition("/")[2])]
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
        """Records, with the log time at each, and the log time after them. ``place``: partition and group."""
        for record, at_ms in records:
            self._count(at_ms, place, out)
            self._process(record, at_ms, out)
        self._count(log_time_ms, place, out)
        self._pass_time(log_time_ms, out)
        self._gauges.count_some()

    def _pass_time(self, log_time_ms: int, out: list[Outgoing]) -> None:
        """What is due at a log time."""
        # NOTE: of a workspace that was taken out of the installation nobody is moved.
        for key in self._people.due(log_time_ms, lambda key: key.partition("/")[0] in self._engines):
            person, engine = self._people.get(key), self._engines[key.partition("/")[0]]
            self._gauges.note(key, person, log_time_ms)
            emitted = engine.pass_time(person, log_time_ms)
            self._keep(key, person, engine, emitted, log_time_ms, b"")
            self._say(key, emitted, out)

    def _count(self, log_time_ms: int, place: tuple[int, int], out: list[Outgoing]) -> None:
        """Say how many runs waited at each whole minute before a log time."""
        while (at_ms := self._gauges.next_ms(log_time_ms)) is not None:
            self._pass_time(at_ms, out)
            for row in self._gauges.rows(at_ms, place):
                key = f"{row.workspace}/{row.partition}-{row.group}".encode()
                out.append(Outgoing(ROWS, key, to_json(row)))

    def counted(self) -> CountsSnapshot:
        """What was said of the runs."""
        return self._gauges.snapshot()

    def snapshot(self) -> GroupPosition:
        """Where its states are found again: on the disk when this returns."""
        return self._people.snapshot()

    def _process(self, record: Record, log_time_ms: int, out: list[Outgoing]) -> None:
        try:
            source = record.value or b""
            event = _read_event(source)
            workspace = event.workspace
            engine = self._engines.get(workspace)
            if engine is None:
                raise BadRecord(Reason.UNDECODABLE, f"no workspace {workspace!r}")
            key = f"{workspace}/{event.subscriber}"
            person = self._people.get(key)
            self._gauges.note(key, person, event.log_time_ms)
            emitted = engine.apply(person, event, log_time_ms, source)
        except BadRecord as error:
            out.append(dead_letter(record, error.reason, error.detail))
            return
        except Exception as error:
            log_line.error("processing_failed", topic=record.topic, partition=record.partition, offset=record.offset)
            out.append(dead_letter(record, Reason.PROCESSING_FAILED, type(error).__name__))
            return
        self._keep(key, person, engine, emitted, log_time_ms, source)
        self._say(key, emitted, out)

    def _keep(  # noqa: PLR0917
        self,
        key: str,
        person: Subscriber,
        engine: WorkspaceEngine,
        emitted: Emitted,
        log_time_ms: int,
        source: bytes,
    ) -> None:
        """Keep somebody for as long as anything of them counts; of those that are nobody only so many.

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
            self._anonymous.use(key)
            for gone in self._anonymous.over(self._changelog.share(MAX_ANONYMOUS)):
                self._gauges.leave(gone)
                self._people.let_go(gone)
                self._bounds.hit(Limit.ANONYMOUS)

    def _say(self, key: str, emitted: Emitted, out: list[Outgoing]) -> None:
        if emitted.is_silent:
            return
        name = key.encode()
        for row in emitted.rows:
            out.append(Outgoing(ROWS, name, to_json(row)))
        for command in emitted.commands:
            out.append(Outgoing(moves_topic(command.workspace, command.account), name, to_json(command)))
        for reason, detail, match in emitted.refused:
            what = f"{match.listener}: {detail}"
            out.append(set_aside(letter_from("match", reason, what, at_ms=match.matched_at_ms)))
