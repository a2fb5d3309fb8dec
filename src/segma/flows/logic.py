"""What runs inside Bytewax: the two flows over the states of a group. Nothing is raised; bad records are set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, NamedTuple

import structlog
from bytewax.operators import StatefulBatchLogic

from segma.contracts.beacons import BeaconRecord
from segma.contracts.codec import Value, json_reader, msgpack_reader, to_json, to_msgpack, written
from segma.contracts.errors import BadRecord
from segma.contracts.events import Event, LogTime
from segma.contracts.log import Outgoing, Record
from segma.contracts.reasons import Reason
from segma.contracts.rows import DeadLetter
from segma.contracts.tokens import is_anonymous
from segma.contracts.topics import BEACONS, DEAD_LETTERS, EVENTS, ROWS, moves_topic, subscriber_key
from segma.flows.bounds import Bound, Bounds
from segma.flows.changelog import Changelog, Position, StateDamaged
from segma.flows.follow import Followed, Following, Person
from segma.flows.keeper import MAX_ANONYMOUS, Fleeting, Keeper
from segma.flows.pins import read_pin
from segma.flows.recognise import Device, Rules, recognise, released

DEVICES: Final = "devices-"
PEOPLE: Final = "people-"
"""How the changelog's groups of either flow are called."""
LOG_TIME_EVERY_MS: Final = 100
"""How far the log time moves before ``recognise`` passes it on: deadlines are that much later, at most."""

_read_beacon: Final[Callable[[bytes], BeaconRecord]] = msgpack_reader(BeaconRecord)
_read_device: Final[Callable[[bytes], Device]] = msgpack_reader(Device)
_read_event: Final[Callable[[bytes], Event]] = json_reader(Event)
log_line = structlog.get_logger("flows")

Item = tuple[str, Any]


class Snapshot(Value, frozen=True):
    """What Bytewax keeps of a group, as MessagePack. ``passed_on_ms``: what ``recognise`` last said of the log time."""

    SCHEMA: ClassVar[int] = 1

    position: Position
    passed_on_ms: int = 0
    schema: int = written(1)


_read_snapshot: Final[Callable[[bytes], Snapshot]] = msgpack_reader(Snapshot)


class FollowBatch(NamedTuple):
    """What ``follow``'s source hands to a group: records with the log time at each, and the log time after them."""

    records: tuple[tuple[Record, int], ...]
    log_time_ms: int


@dataclass(frozen=True, slots=True)
class Shared:
    """What every group of a process uses. Immutable after start."""

    rules: Mapping[str, Rules]
    following: Mapping[str, Following]
    partitions: int
    bounds: Bounds = field(default_factory=Bounds)
    refresh: Callable[[int], None] = lambda log_time_ms: None
    """Takes over listeners that were applied since; whoever follows events calls it with a batch's log time before."""


class RecogniseLogic(StatefulBatchLogic[list[Record], Outgoing, bytes]):
    """``recognise`` for one partition of ``beacons``: its records in order, then how far the log time has come."""

    def __init__(self, shared: Shared, changelog: Changelog, resumed: bytes | None) -> None:
        self._shared = shared
        snapshot = None if resumed is None else _read_snapshot(resumed)
        self._passed_on_ms = 0 if snapshot is None else snapshot.passed_on_ms
        self._devices: Keeper[Device] = Keeper(
            changelog,
            None if snapshot is None else snapshot.position,
            new=lambda key: Device(),
            encode=lambda key, device: to_msgpack(device),
            decode=lambda key, data: _read_device(data),
            due_ms=lambda key, device: device.due_ms,
            kind=DEVICES,
        )
        self._changelog = changelog
        self._nobodys = Fleeting(())

    def on_batch(self, values: list[list[Record]]) -> tuple[Iterable[Outgoing], bool]:
        """Each value is a batch of records."""
        out: list[Outgoing] = []
        for records in values:
            for record in records:
                self._release(record.log_time_ms, out)
                if not record.is_tick:
                    self._take(record, out)
                self._pass_on(record, out)
        return out, False

    def _take(self, record: Record, out: list[Outgoing]) -> None:
        try:
            beacon = _read_beacon(record.value or b"")
            rules = self._shared.rules.get(beacon.workspace)
            if rules is None:
                raise BadRecord(Reason.UNDECODABLE, f"no workspace {beacon.workspace!r}")
            key = record.key.decode("utf-8", "replace")
            device, events, refused = recognise(self._devices.get(key), beacon, record, rules)
        except BadRecord as error:
            out.append(dead_letter(record, error.reason, error.detail))
            return
        except Exception as error:
            log_line.error("processing_failed", topic=record.topic, partition=record.partition, offset=record.offset)
            out.append(dead_letter(record, Reason.PROCESSING_FAILED, type(error).__name__))
            return
        self._keep(key, device, record.log_time_ms)
        out.extend(map(event_record, events))
        out.extend(dead_letter(record, each.reason, each.detail, each.data, beacon) for each in refused)

    def _keep(self, key: str, device: Device, log_time_ms: int) -> None:
        """Keep a device, if anything of it is worth keeping; of those that are nobody's only so many."""
        if device.is_nobody or device.expires_ms <= log_time_ms:
            self._devices.let_go(key)
            self._nobodys.forget(key)
            return
        self._devices.put(key, device)
        if device.person:
            self._nobodys.forget(key)
            return
        self._nobodys.use(key)
        for gone in self._nobodys.over(self._changelog.share(MAX_ANONYMOUS)):
            self._devices.let_go(gone)
            self._shared.bounds.bit(Bound.ANONYMOUS)

    def _release(self, log_time_ms: int, out: list[Outgoing]) -> None:
        for key in self._devices.due(log_time_ms):
            device, events = released(self._devices.get(key), log_time_ms)
            self._keep(key, device, log_time_ms)
            out.extend(map(event_record, events))

    def _pass_on(self, record: Record, out: list[Outgoing]) -> None:
        if record.log_time_ms - self._passed_on_ms >= LOG_TIME_EVERY_MS:
            self._passed_on_ms = record.log_time_ms
            value = to_json(LogTime(record.partition, record.log_time_ms))
            out.extend(Outgoing(EVENTS, b"", value, number) for number in range(self._shared.partitions))

    def on_notify(self) -> tuple[Iterable[Outgoing], bool]:
        """Nothing is timed by the engine's clock."""
        return (), False

    def on_eof(self) -> tuple[Iterable[Outgoing], bool]:
        """The state stays."""
        return (), False

    def snapshot(self) -> bytes:
        """Where its states are found again: on the disk when this returns."""
        return to_msgpack(Snapshot(self._devices.snapshot(), self._passed_on_ms))


class FollowLogic(StatefulBatchLogic[FollowBatch, Outgoing, bytes]):
    """``follow`` for one key group: its subscribers' events in order, and the deadlines that log time brings."""

    def __init__(self, shared: Shared, changelog: Changelog, resumed: bytes | None) -> None:
        self._shared = shared
        snapshot = None if resumed is None else _read_snapshot(resumed)
        self._people: Keeper[Person] = Keeper(
            changelog,
            None if snapshot is None else snapshot.position,
            new=lambda key: self._of(key).new(key.partition("/")[2]),
            encode=lambda key, person: self._of(key).encode(person),
            decode=lambda key, data: self._of(key).decode(data),
            due_ms=lambda key, person: self._of(key).due_ms(person),
            again=lambda key, data, inputs: self._of(key).again(key.partition("/")[2], data, inputs),
            kind=PEOPLE,
        )
        self._remember()
        self._changelog = changelog
        self._nobodys = Fleeting(key for key in self._people.known() if is_anonymous(key.partition("/")[2]))

    def _remember(self) -> None:
        """Make ready what was applied since it was written whole. Raises :class:`StateDamaged` where that is gone."""
        for under in self._people.unders():
            pin = read_pin(under)
            following = self._shared.following.get(pin.workspace)
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
        return self._shared.following[key.partition("/")[0]]

    def on_batch(self, values: list[FollowBatch]) -> tuple[Iterable[Outgoing], bool]:
        """Each value is a batch of records and the log time after it."""
        out: list[Outgoing] = []
        for batch in values:
            self._shared.refresh(batch.log_time_ms)
            for record, log_time_ms in batch.records:
                self._take(record, log_time_ms, out)
            # NOTE: of a workspace that was taken out of the installation nobody is moved.
            for key in self._people.due(batch.log_time_ms, lambda key: key.partition("/")[0] in self._shared.following):
                person = self._people.get(key)
                following = self._of(key)
                followed = following.pass_time(person, batch.log_time_ms)
                self._keep(key, person, following, followed, batch.log_time_ms, b"")
                self._say(key, followed, out)
        return out, False

    def _keep(  # noqa: PLR0917
        self, key: str, person: Person, following: Following, followed: Followed, log_time_ms: int, source: bytes
    ) -> None:
        """Keep somebody for as long as anything of them counts; of those that are nobody only so many.

        ``source``: what came (empty: time passed).
        """
        if following.is_forgotten(person, log_time_ms):
            self._people.let_go(key)
            self._nobodys.forget(key)
            return
        due_ms = following.due_ms(person)
        if followed.moved:
            self._people.put_due(key, person, due_ms)
        else:
            self._people.add(key, person, due_ms, source, log_time_ms, person.generation.pin)
        if is_anonymous(key.partition("/")[2]):
            self._nobodys.use(key)
            for gone in self._nobodys.over(self._changelog.share(MAX_ANONYMOUS)):
                self._people.let_go(gone)
                self._shared.bounds.bit(Bound.ANONYMOUS)

    def _take(self, record: Record, log_time_ms: int, out: list[Outgoing]) -> None:
        try:
            source = record.value or b""
            event = _read_event(source)
            following = self._shared.following.get(event.workspace)
            if following is None:
                raise BadRecord(Reason.UNDECODABLE, f"no workspace {event.workspace!r}")
            key = f"{event.workspace}/{event.subscriber}"
            person = self._people.get(key)
            followed = following.take(person, event, log_time_ms, source)
        except BadRecord as error:
            out.append(dead_letter(record, error.reason, error.detail))
            return
        except Exception as error:
            log_line.error("processing_failed", topic=record.topic, partition=record.partition, offset=record.offset)
            out.append(dead_letter(record, Reason.PROCESSING_FAILED, type(error).__name__))
            return
        self._keep(key, person, following, followed, log_time_ms, source)
        if followed.rows or followed.refused:
            self._say(key, followed, out)

    def _say(self, key: str, followed: Followed, out: list[Outgoing]) -> None:
        name = key.encode()
        out.extend(Outgoing(ROWS, name, to_json(row)) for row in followed.rows)
        for command in followed.commands:
            out.append(Outgoing(moves_topic(command.workspace, command.account), name, to_json(command)))
        for reason, detail, match in followed.refused:
            letter = DeadLetter(str(reason), "match", -1, -1, match.matched_at_ms, f"{match.listener}: {detail}")
            out.append(Outgoing(DEAD_LETTERS, b"match", to_msgpack(letter)))

    def on_notify(self) -> tuple[Iterable[Outgoing], bool]:
        """Nothing is timed by the engine's clock."""
        return (), False

    def on_eof(self) -> tuple[Iterable[Outgoing], bool]:
        """The state stays."""
        return (), False

    def snapshot(self) -> bytes:
        """Where its states are found again: on the disk when this returns."""
        return to_msgpack(Snapshot(self._people.snapshot()))


def event_record(event: Event) -> Outgoing:
    """An event as a record of ``events``."""
    return Outgoing(EVENTS, subscriber_key(event.workspace, event.subscriber), to_json(event))


def dead_letter(
    record: Record, reason: Reason, detail: str, data: bytes | None = None, beacon: BeaconRecord | None = None
) -> Outgoing:
    """A record, or an event in it, set aside with where it came from."""
    value = data if data is not None else record.value or b""
    letter = DeadLetter(
        reason=str(reason),
        topic=record.topic or BEACONS,
        partition=record.partition,
        offset=record.offset,
        at_ms=record.log_time_ms,
        detail=detail,
        workspace=beacon.workspace if beacon is not None else "",
        site=beacon.site if beacon is not None else "",
        key=record.key,
        value=value[: DeadLetter.MAX_SAMPLE_BYTES],
        size=len(value),
    )
    return Outgoing(DEAD_LETTERS, record.topic.encode(), to_msgpack(letter))
