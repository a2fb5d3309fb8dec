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
from flows.counts.run_counts import MOST_NOTED, Waits
from flows.counts.told import Counted
from flows.operators.dead_letters import dead_letter
from flows.state.changelog import PEOPLE, Changelog, Position, StateDamaged
from flows.state.store import MAX_ANONYMOUS, Fleeting, Keeper
from flows.subscriber.bounds import Bound, Bounds
from flows.subscriber.follow import Following
from flows.subscriber.person import Followed, Person
from flows.subscriber.pinned_terms import read_pin

_read_event: Final[Callable[[bytes], Event]] = json_reader(Event)
log_line = structlog.get_logger("flows")


class Crowd:
    """The subscribers of one key group, by workspace and id."""

    def __init__(
        self,
        following: Mapping[str, Following],
        bounds: Bounds,
        changelog: Changelog,
        resumed: Position | None,
        counted: Counted,
    ) -> None:
        """``following``: by workspace; ``counted``: what was said of the runs. Raises :class:`StateDamaged`."""
        self._following, self._bounds, self._changelog = following, bounds, changelog
        self._people: Keeper[Person] = Keeper(
            changelog,
            resumed,
            new=lambda key: self._of(key).new(key.partition("/")[2]),
            encode=lambda key, person: self._of(key).encode(person),
            decode=lambda key, data: self._of(key).decode(data),
            due_ms=lambda key, person: self._of(key).due_ms(person),
            again=lambda key, data, inputs: self._of(key).again(key.partition("/")[2], data, inputs),
            kind=PEOPLE,
        )
        self._remember()
        self._waits = Waits(following, self._people, counted, lambda: changelog.share(MOST_NOTED))
        self._nobodys = Fleeting([key for key in self._people.known() if is_anonymous(key.partition("/")[2])])

    def _remember(self) -> None:
        """Make ready what was applied since it was written whole. Raises :class:`StateDamaged` where that is gone."""
        for under in self._people.unders():
            pin = read_pin(under)
            following = self._following.get(pin.workspace)
            if following is None:
                continue
            try:
                following.remembers(under)
            except KeyError as error:
                raise StateDamaged(
                    f"the state of {pin.workspace} rests on listener {error}, which the log does not hold any more: put"
                    " it back, or remove the whole recovery directory and let the flow read the log again"
                ) from None

    def _of(self, key: str) -> Following:
        return self._following[key.partition("/")[0]]

    def take(
        self,
        records: Sequence[tuple[Record, int]],
        log_time_ms: int,
        place: tuple[int, int],
        out: list[Outgoing],
    ) -> None:
        """Records, with the log time at each, and the log time after them. ``place``: partition and group."""
        for record, at_ms in records:
            self._count(at_ms, place, out)
            self._take(record, at_ms, out)
        self._count(log_time_ms, place, out)
        self._pass_time(log_time_ms, out)
        self._waits.count_some()

    def _pass_time(self, log_time_ms: int, out: list[Outgoing]) -> None:
        """What is due at a log time."""
        # NOTE: of a workspace that was taken out of the installation nobody is moved.
        for key in self._people.due(log_time_ms, lambda key: key.partition("/")[0] in self._following):
            person, following = self._people.get(key), self._of(key)
            self._waits.note(key, person, log_time_ms)
            followed = following.pass_time(person, log_time_ms)
            self._keep(key, person, following, followed, log_time_ms, b"")
            self._say(key, followed, out)

    def _count(self, log_time_ms: int, place: tuple[int, int], out: list[Outgoing]) -> None:
        """Say how many runs waited at each whole minute before a log time."""
        while (at_ms := self._waits.next_ms(log_time_ms)) is not None:
            self._pass_time(at_ms, out)
            for row in self._waits.rows(at_ms, place):
                key = f"{row.workspace}/{row.partition}-{row.group}".encode()
                out.append(Outgoing(ROWS, key, to_json(row)))

    def counted(self) -> Counted:
        """What was said of the runs."""
        return self._waits.snapshot()

    def snapshot(self) -> Position:
        """Where its states are found again: on the disk when this returns."""
        return self._people.snapshot()

    def _take(self, record: Record, log_time_ms: int, out: list[Outgoing]) -> None:
        try:
            source = record.value or b""
            event = _read_event(source)
            workspace = event.workspace
            following = self._following.get(workspace)
            if following is None:
                raise BadRecord(Reason.UNDECODABLE, f"no workspace {workspace!r}")
            key = f"{workspace}/{event.subscriber}"
            person = self._people.get(key)
            self._waits.note(key, person, event.log_time_ms)
            followed = following.take(person, event, log_time_ms, source)
        except BadRecord as error:
            out.append(dead_letter(record, error.reason, error.detail))
            return
        except Exception as error:
            log_line.error("processing_failed", topic=record.topic, partition=record.partition, offset=record.offset)
            out.append(dead_letter(record, Reason.PROCESSING_FAILED, type(error).__name__))
            return
        self._keep(key, person, following, followed, log_time_ms, source)
        self._say(key, followed, out)

    def _keep(  # noqa: PLR0917
        self, key: str, person: Person, following: Following, followed: Followed, log_time_ms: int, source: bytes
    ) -> None:
        """Keep somebody for as long as anything of them counts; of those that are nobody only so many.

        ``source``: what came (empty: time passed).
        """
        if following.is_forgotten(person, log_time_ms):
            self._waits.leave(key)
            self._people.let_go(key)
            self._nobodys.forget(key)
            return
        due_ms = following.due_ms(person)
        if followed.moved:
            self._people.put_due(key, person, due_ms)
        else:
            self._people.add(key, person, due_ms, source, log_time_ms, person.generation.pin)
        if person.is_nobody:
            self._nobodys.use(key)
            for gone in self._nobodys.over(self._changelog.share(MAX_ANONYMOUS)):
                self._waits.leave(gone)
                self._people.let_go(gone)
                self._bounds.bit(Bound.ANONYMOUS)

    def _say(self, key: str, followed: Followed, out: list[Outgoing]) -> None:
        if followed.is_silent:
            return
        name = key.encode()
        for row in followed.rows:
            out.append(Outgoing(ROWS, name, to_json(row)))
        for command in followed.commands:
            out.append(Outgoing(moves_topic(command.workspace, command.account), name, to_json(command)))
        for reason, detail, match in followed.refused:
            what = f"{match.listener}: {detail}"
            out.append(set_aside(letter_from("match", reason, what, at_ms=match.matched_at_ms)))
