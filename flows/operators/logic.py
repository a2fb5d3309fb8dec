"""What runs inside Bytewax: the two flows over the states of a group. Nothing is raised; bad records are set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final, NamedTuple

import structlog
from bytewax.operators import StatefulBatchLogic

from contracts.accounts import Veto
from contracts.beacons import BeaconRecord, Source
from contracts.codec import Value, msgpack_reader, to_json, to_msgpack, written
from contracts.errors import BadRecord
from contracts.events import Event, LogTime
from contracts.log import Outgoing, Record
from contracts.reasons import Reason
from contracts.topics import EVENTS, VETOES, fact_key, subscriber_key
from contracts.traces import Tracer
from flows.counts.counts_snapshot import CountsSnapshot
from flows.derived.joinings import joining_of
from flows.operators.dead_letters import dead_letter, failed, lost_state
from flows.operators.key_group import KeyGroup
from flows.operators.traced import tell_recognised
from flows.recognise import Device, Rules, recognise, released
from flows.state.changelog import Changelog, GroupPosition
from flows.state.recency import MAX_ANONYMOUS, MAX_ANONYMOUS_BYTES, LeastRecentlyUsed
from flows.state.rows import Input
from flows.state.store import StateStore
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.limits import Limit, LimitHits

DEVICES: Final = "devices-"
"""How the changelog's groups of devices are called."""
LOG_TIME_EVERY_MS: Final = 100
"""How far the log time moves before ``recognise`` passes it on: deadlines are that much later, at most."""

_read_beacon: Final[Callable[[bytes], BeaconRecord]] = msgpack_reader(BeaconRecord)
_read_device: Final[Callable[[bytes], Device]] = msgpack_reader(Device)
log_line = structlog.get_logger("flows")


class GroupSnapshot(Value, frozen=True):
    """What Bytewax keeps of a group, as MessagePack. ``passed_on_ms``: what ``recognise`` last said of the log time;
    ``counted``: what ``follow`` last said of the runs.
    """

    SCHEMA: ClassVar[int] = 1

    position: GroupPosition
    passed_on_ms: int = 0
    counted: CountsSnapshot = CountsSnapshot()
    schema: int = written(1)


_read_snapshot: Final[Callable[[bytes], GroupSnapshot]] = msgpack_reader(GroupSnapshot)


class FollowBatch(NamedTuple):
    """What ``follow``'s source hands to a group: records with the log time at each, and the log time after them.

    ``place``: the partition, and the group's number in it.
    """

    records: tuple[tuple[Record, int], ...]
    log_time_ms: int
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Shared:
    """What every group of a process uses. Immutable after start."""

    rules: Mapping[str, Rules]
    engines: Mapping[str, WorkspaceEngine]
    partitions: int
    bounds: LimitHits = field(default_factory=LimitHits)
    refresh: Callable[[int], None] = lambda log_time_ms: None
    """Takes over listeners that were applied since; whoever follows events calls it with a batch's log time before."""
    tracer: Tracer | None = None


class DeviceStates:
    """Devices as the states of a store, by the key of ``beacons``."""

    def __init__(self) -> None:
        self.dropped: list[tuple[str, Exception]] = []
        """States that could not be written, since somebody last looked."""

    def new(self, key: str) -> Device:
        """A device of which nothing is known."""
        return Device()

    def encode(self, key: str, state: Device) -> bytes:
        """A device as bytes."""
        return to_msgpack(state)

    def decode(self, key: str, data: bytes) -> Device:
        """The device of these bytes."""
        device: Device = _read_device(data)
        return device

    def due_ms(self, key: str, state: Device) -> int | None:
        """When a quarantine is over, or all of it expires."""
        return state.due_ms

    def replay(self, key: str, snapshot: bytes | None, inputs: Sequence[Input]) -> Device:
        """Refuse: devices are always written whole."""
        raise NotImplementedError(f"device {key!r} has {len(inputs)} inputs")

    def lost(self, key: str, state: Device, error: Exception) -> None:
        """Remember a state that could not be written, for the next batch to tell."""
        self.dropped.append((key, error))


class RecogniseLogic(StatefulBatchLogic[list[Record], Outgoing, bytes]):
    """``recognise`` for one partition of ``beacons``: its records in order, then how far the log time has come."""

    def __init__(self, shared: Shared, changelog: Changelog, resumed: bytes | None) -> None:
        self._shared = shared
        snapshot = None if resumed is None else _read_snapshot(resumed)
        self._passed_on_ms = 0 if snapshot is None else snapshot.passed_on_ms
        self._states = DeviceStates()
        self._devices: StateStore[Device] = StateStore(
            changelog,
            None if snapshot is None else snapshot.position,
            self._states,
            kind=DEVICES,
        )
        self._anonymous = LeastRecentlyUsed({})

    def on_batch(self, values: list[list[Record]]) -> tuple[Iterable[Outgoing], bool]:
        """Each value is a batch of records."""
        out: list[Outgoing] = []
        for records in values:
            for record in records:
                if self._states.dropped:
                    self._tell_dropped(record.log_time_ms, out)
                self._release(record.log_time_ms, out)
                if not record.is_tick:
                    self._process(record, out)
                self._pass_on(record, out)
        return out, False

    def _tell_dropped(self, log_time_ms: int, out: list[Outgoing]) -> None:
        """Set aside what the last epoch could not write: a letter each."""
        dropped, self._states.dropped = self._states.dropped, []
        for key, error in dropped:
            self._anonymous.forget(key)
            self._shared.bounds.hit(Limit.UNWRITABLE)
            out.append(lost_state("device", key, error, log_time_ms))

    def _process(self, record: Record, out: list[Outgoing]) -> None:
        tracer = self._shared.tracer
        started_ns = tracer.now_ns() if tracer is not None else 0
        try:
            beacon = _read_beacon(record.value or b"")
            rules = self._shared.rules.get(beacon.workspace)
            if rules is None:
                raise BadRecord(Reason.UNDECODABLE, f"no workspace {beacon.workspace!r}")
            key = record.key.decode("utf-8", "replace")
            device, events, refused = recognise(self._devices.get(key), beacon, record, rules)
            # Whatever raises, nothing of the record has been kept or said by then.
            recognised = [event_record(event) for event in events]
            joinings = _joinings(beacon, events)
        except BadRecord as error:
            out.append(dead_letter(record, error.reason, error.detail))
            return
        except Exception as error:
            out.append(failed(record, error))
            return
        if tracer is not None:
            tell_recognised(tracer, beacon, events, started_ns)
        self._keep(key, device, record.log_time_ms)
        out.extend(recognised)
        out.extend(Outgoing(VETOES, fact_key(each), to_json(each)) for each in joinings)
        out.extend(dead_letter(record, each.reason, each.detail, each.data, beacon) for each in refused)

    def _keep(self, key: str, device: Device, log_time_ms: int) -> None:
        """Store a device, or forget it where nothing in it counts any more; nobody's are bounded in number and size."""
        if device.is_nobody or device.expires_ms <= log_time_ms:
            self._devices.let_go(key)
            self._anonymous.forget(key)
            return
        self._devices.put(key, device)
        if device.person:
            self._anonymous.forget(key)
            return
        self._anonymous.use(key, len(key) + sum(device.sizes))
        share = self._devices.share_of_kind
        for gone in self._anonymous.over(share(MAX_ANONYMOUS), share(MAX_ANONYMOUS_BYTES)):
            self._devices.let_go(gone)
            self._shared.bounds.hit(Limit.ANONYMOUS)

    def _release(self, log_time_ms: int, out: list[Outgoing]) -> None:
        """Tell the verdicts whose quarantine is over. A device for which that fails is dropped."""
        for key in self._devices.due(log_time_ms):
            try:
                device, events = released(self._devices.get(key), log_time_ms)
                verdicts = [event_record(event) for event in events]
            except Exception as error:
                self._devices.let_go(key)
                self._anonymous.forget(key)
                self._shared.bounds.hit(Limit.UNWRITABLE)
                out.append(lost_state("device", key, error, log_time_ms))
                continue
            self._keep(key, device, log_time_ms)
            out.extend(verdicts)

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
        """The position at which a resume finds all states; they are on the disk when this returns."""
        return to_msgpack(GroupSnapshot(self._devices.snapshot(), self._passed_on_ms))


class FollowLogic(StatefulBatchLogic[FollowBatch, Outgoing, bytes]):
    """``follow`` for one key group: its subscribers' events in order, and the deadlines that log time brings."""

    def __init__(self, shared: Shared, changelog: Changelog, resumed: bytes | None) -> None:
        self._refresh = shared.refresh
        snapshot = None if resumed is None else _read_snapshot(resumed)
        position, counted = (None, CountsSnapshot()) if snapshot is None else (snapshot.position, snapshot.counted)
        self._group = KeyGroup(shared.engines, shared.bounds, changelog, position, counted, shared.tracer)

    def on_batch(self, values: list[FollowBatch]) -> tuple[Iterable[Outgoing], bool]:
        """Each value is a batch of records and the log time after it."""
        out: list[Outgoing] = []
        for records, log_time_ms, place in values:
            self._refresh(log_time_ms)
            self._group.process(records, log_time_ms, place, out)
        return out, False

    def on_notify(self) -> tuple[Iterable[Outgoing], bool]:
        """Nothing is timed by the engine's clock."""
        return (), False

    def on_eof(self) -> tuple[Iterable[Outgoing], bool]:
        """The state stays."""
        return (), False

    def snapshot(self) -> bytes:
        """The position at which a resume finds all states; they are on the disk when this returns."""
        return to_msgpack(GroupSnapshot(self._group.snapshot(), counted=self._group.counted()))


def _joinings(beacon: BeaconRecord, events: Iterable[Event]) -> list[Veto]:
    """The joinings that lift a veto, of those that events tell. Of a webhook the door has told them with the veto."""
    if beacon.source is Source.WEBHOOK:
        return []
    return [joining for event in events if (joining := joining_of(event)) is not None]


def event_record(event: Event) -> Outgoing:
    """An event as a record of ``events``."""
    return Outgoing(EVENTS, subscriber_key(event.workspace, event.subscriber), to_json(event))
