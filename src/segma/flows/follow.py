"""One subscriber's events to rows and commands: the timeline, then what its matches want. Pure but for the timeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar, Final, NamedTuple

from segma.contracts.codec import Value, msgpack_reader, to_msgpack, written
from segma.contracts.commands import Command
from segma.contracts.events import Event
from segma.contracts.reasons import Reason
from segma.contracts.rows import CommandRow, EventRow, MatchRow, Row
from segma.flows.decide import Moment, decide
from segma.flows.language.model import Listener
from segma.flows.matcher import Machine, Match
from segma.flows.reapply import Applied, Follower, Timeline

KEPT_ORIGINS: Final = 200
"""Amended matches whose first match is remembered per subscriber; a match that old is final."""


class Person:
    """What is known of one subscriber: the timeline, and the matches that stand for others (amendments)."""

    __slots__ = ("origins", "timeline")

    def __init__(self, timeline: Timeline, origins: dict[str, str]) -> None:
        self.timeline = timeline
        self.origins = origins


class _Stored(Value, frozen=True):
    SCHEMA: ClassVar[int] = 1

    timeline: bytes
    origins: dict[str, str]
    schema: int = written(1)


_read: Final[Callable[[bytes], _Stored]] = msgpack_reader(_Stored)


class Followed(NamedTuple):
    """What came of it. ``refused``: wishes that could not be resolved."""

    rows: list[Row]
    commands: list[Command]
    refused: list[tuple[Reason, str, Match]]


class Following:
    """One workspace's listeners at work."""

    def __init__(
        self,
        workspace: str,
        listeners: Iterable[Listener],
        *,
        lateness_ms: int,
        session_gap_ms: int,
        max_delay_ms: int,
        grace_ms: int,
    ) -> None:
        self._workspace = workspace
        self._listeners = {listener.name: listener for listener in listeners}
        self._grace_ms = grace_ms
        self._follower = Follower(
            Machine(self._listeners.values()),
            lateness_ms=lateness_ms,
            session_gap_ms=session_gap_ms,
            max_delay_ms=max_delay_ms,
        )

    def new(self, subscriber: str) -> Person:
        """Somebody of whom nothing is known."""
        return Person(self._follower.new(subscriber), {})

    def take(self, person: Person, event: Event, log_time_ms: int) -> Followed:
        """One event. Deadlines at or before ``log_time_ms`` minus the grace fire first (DESIGN 6)."""
        followed = self.pass_time(person, log_time_ms)
        applied = self._follower.put(person.timeline, event, log_time_ms=max(log_time_ms, event.log_time_ms))
        reason = str(applied.reason) if applied.reason is not None else ""
        session = applied.session.session_id if applied.session is not None else ""
        followed.rows.append(EventRow(event, session, reason))
        self._decide(person, applied, followed, log_time_ms, event.received_at_ms)
        return followed

    def pass_time(self, person: Person, log_time_ms: int) -> Followed:
        """Let log time pass."""
        followed = Followed([], [], [])
        due_ms = self._follower.next_deadline(person.timeline)
        if due_ms is not None and due_ms <= log_time_ms - self._grace_ms:
            applied = self._follower.advance(person.timeline, log_time_ms - self._grace_ms)
            self._decide(person, applied, followed, log_time_ms, 0)
        return followed

    def due_ms(self, person: Person) -> int | None:
        """The log time at which :meth:`pass_time` has something to do."""
        due_ms = self._follower.next_deadline(person.timeline)
        return None if due_ms is None else due_ms + self._grace_ms

    def encode(self, person: Person) -> bytes:
        """Somebody as bytes."""
        return to_msgpack(_Stored(self._follower.encode(person.timeline), person.origins))

    def decode(self, data: bytes) -> Person:
        """Somebody of these bytes. Raises ``BadRecord``."""
        stored = _read(data)
        return Person(self._follower.decode(stored.timeline), dict(stored.origins))

    def _decide(
        self, person: Person, applied: Applied, followed: Followed, log_time_ms: int, received_at_ms: int
    ) -> None:
        if not (applied.retractions or applied.matches or applied.amended):
            return
        moment = Moment(self._workspace, log_time_ms, received_at_ms)
        decision = decide(self._listeners, applied.retractions, applied.matches, person.origins, moment)
        person.origins = dict(list(decision.origins.items())[-KEPT_ORIGINS:])
        followed.rows.extend(decision.rows)
        followed.rows.extend(self._amendments(applied.amended, log_time_ms))
        followed.rows.extend(CommandRow(command) for command in decision.commands)
        followed.commands.extend(decision.commands)
        followed.refused.extend(decision.refused)

    def _amendments(self, matches: Iterable[Match], log_time_ms: int) -> Iterable[MatchRow]:
        for match in matches:
            yield MatchRow(
                kind="amendment",
                workspace=self._workspace,
                subscriber=match.subscriber,
                listener=match.listener,
                version=match.version,
                match_id=match.match_id,
                matched_at_ms=match.matched_at_ms,
                evidence=dict(match.steps),
                replaces=match.match_id,
                log_time_ms=log_time_ms,
            )
