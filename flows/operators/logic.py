"""What runs inside Bytewax: the two flows over the states of a group. Nothing is raised; bad records are set aside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Generic, NamedTuple, TypeVar

from bytewax.operators import StatefulBatchLogic

from contracts.codec import Value, msgpack_reader, to_msgpack, written
from contracts.log import Outgoing, Record
from contracts.traces import Tracer
from flows.counts.counts_snapshot import CountsSnapshot
from flows.devices import Rules
from flows.operators.device_group import DeviceGroup
from flows.operators.key_group import KeyGroup
from flows.state.changelog import Changelog, GroupPosition
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.limits import LimitHits


class GroupSnapshot(Value, frozen=True):
    """What Bytewax keeps of a group, as MessagePack. ``passed_on_ms``: what ``recognise`` last said of the log time;
    ``counted``: what ``follow`` last said of the runs.
    """

    SCHEMA: ClassVar[int] = 1

    position: GroupPosition
    passed_on_ms: int = 0
    counted: CountsSnapshot = CountsSnapshot()
    schema: int = written(1)


V = TypeVar("V")
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


class RecogniseLogic(StatefulBatchLogic[list[Record], Outgoing, bytes]):
    """``recognise`` for one partition of ``beacons``: its records in order, then how far the log time has come."""

    def __init__(self, shared: Shared, changelog: Changelog, resumed: bytes | None) -> None:
        snapshot = None if resumed is None else _read_snapshot(resumed)
        position, passed_on_ms = (None, 0) if snapshot is None else (snapshot.position, snapshot.passed_on_ms)
        self._group = DeviceGroup(
            shared.rules, shared.bounds, shared.partitions, changelog, position, passed_on_ms, shared.tracer
        )

    def on_batch(self, values: list[list[Record]]) -> tuple[Iterable[Outgoing], bool]:
        """Each value is a batch of records."""
        out: list[Outgoing] = []
        for records in values:
            self._group.process(records, out)
        return out, False

    def on_notify(self) -> tuple[Iterable[Outgoing], bool]:
        """Nothing is timed by the engine's clock."""
        return (), False

    def on_eof(self) -> tuple[Iterable[Outgoing], bool]:
        """The state stays."""
        return (), False

    def snapshot(self) -> bytes:
        """The position at which a resume finds all states; they are on the disk when this returns."""
        return to_msgpack(GroupSnapshot(self._group.snapshot(), self._group.passed_on_ms))


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


class InOne(StatefulBatchLogic[V, list[Outgoing], bytes], Generic[V]):
    """A logic all of whose records of a batch are one item of the dataflow.

    PERF: Bytewax takes more than 1 µs to make an item of a record and to route it to the sink; of a batch it does so
    once.
    """

    def __init__(self, logic: StatefulBatchLogic[V, Outgoing, bytes]) -> None:
        self._logic = logic

    def on_batch(self, values: list[V]) -> tuple[Iterable[list[Outgoing]], bool]:
        """What the logic says of them, together; nothing where it says nothing."""
        out = list(self._logic.on_batch(values)[0])
        return ((out,) if out else ()), False

    def snapshot(self) -> bytes:
        """The logic's."""
        return self._logic.snapshot()
