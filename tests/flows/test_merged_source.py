"""All partitions of a process are one to Bytewax: none waits for another's epoch (ADR 0009)."""

from __future__ import annotations

import pickle
import pickletools
from datetime import UTC, datetime, timedelta

import pytest
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from contracts.codec import msgpack_reader, to_msgpack
from contracts.errors import BadRecord
from contracts.log import Record
from flows.operators.former_names import know_former_names
from flows.operators.source import MergedSource, Position, Positions, SourceItem
from flows.operators.watermark import Clock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Counting(StatefulSourcePartition[SourceItem, Position]):
    """A partition of so many records, one a batch; ends when it is asked for more."""

    def __init__(self, part: str, length: int, resumed: Position | None) -> None:
        self.part, self.length = part, length
        self.offset = resumed.offset if resumed else 0
        self.closed = False

    def next_batch(self) -> list[SourceItem]:
        if self.offset == self.length:
            raise StopIteration
        self.offset += 1
        return [(self.part, [Record("t", 0, self.offset - 1, 0, b"k", b"v")])]

    def next_awake(self) -> datetime | None:
        return NOW + timedelta(milliseconds=self.length)

    def snapshot(self) -> Position:
        return Position(self.part, self.offset)

    def close(self) -> None:
        self.closed = True


class Some(FixedPartitionedSource[SourceItem, Position]):
    """Partitions of these lengths."""

    def __init__(self, *lengths: int) -> None:
        self.lengths = lengths
        self.built: list[Counting] = []

    def list_parts(self) -> list[str]:
        return [str(number) for number in range(len(self.lengths))]

    def build_part(self, step_id: str, for_part: str, resume_state: Position | None) -> Counting:
        self.built.append(Counting(for_part, self.lengths[int(for_part)], resume_state))
        return self.built[-1]


def read(source: MergedSource, stood: bytes | dict[str, Position] | None) -> tuple[list[tuple[str, int]], bytes]:
    """What is read to the end, and where it stands then."""
    lanes, found = source.build_part("s", "log", stood), list[tuple[str, int]]()
    while True:
        try:
            batch = lanes.next_batch()
        except StopIteration:
            return found, lanes.snapshot()
        for part, records in batch:
            assert isinstance(records, list)
            found += [(part, record.offset) for record in records]


def by_lane(stood: bytes) -> dict[str, Position]:
    found: Positions = msgpack_reader(Positions)(stood)
    return found.by_lane


def test_one_process_has_one_partition() -> None:
    assert MergedSource(Some(1, 1), Some(1, 1)).list_parts() == ["log"]


def test_what_was_taken_when_another_ended_goes_out_first() -> None:
    # The first partition has given a record when the second ends: its position counts it, so it must not be lost.
    found, stood = read(MergedSource(Some(3, 1), Some(2)), None)
    positions = by_lane(stood)
    for name, position in positions.items():
        part = name.rpartition(".")[2]
        assert sum(each == part for each, _ in found) >= position.offset
    assert sorted(found) == sorted(
        (position.topic_id, offset) for position in positions.values() for offset in range(position.offset)
    )


def test_each_goes_on_from_where_it_stood() -> None:
    whole, _ = read(MergedSource(Some(2, 2), Some(2)), None)
    first, stood = read(MergedSource(Some(1, 1), Some(1)), None)
    rest, _ = read(MergedSource(Some(2, 2), Some(2)), stood)
    assert sorted(first + rest) == sorted(whole)


def test_what_bytewax_pickles_names_no_class() -> None:
    lanes = MergedSource(Some(1)).build_part("s", "log", None)
    assert {
        each.arg for each, *_ in pickletools.genops(pickle.dumps(lanes.snapshot())) if "GLOBAL" in each.name
    } == set()


# What Bytewax kept of a source on the build 12064ba: positions under the names of its modules then.
OF_12064BA = (
    b"\x80\x04\x95d\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x030.0\x94\x8c\x12segma.flows.source\x94\x8c\x08Position\x94\x93\x94"
    b"\x8c\x010\x94K\x02K\x00\x8c\x14segma.flows.settling\x94\x8c\x05Clock\x94\x93\x94K\x07)\x86\x94\x81\x94\x86\x94\x85\x94\x87\x94\x81\x94s."
)


def test_positions_of_an_older_release_are_read_under_their_former_names() -> None:
    know_former_names()
    stood = pickle.loads(OF_12064BA)
    assert stood == {"0.0": Position("0", 2, ((0, Clock(7)),))}
    rest, _ = read(MergedSource(Some(3)), stood)
    assert rest == [("0", 2)]


def test_positions_of_a_newer_release_are_refused() -> None:
    newer = to_msgpack({"by_lane": {}, "schema": 2})
    with pytest.raises(BadRecord, match="newer"):
        MergedSource(Some(1)).build_part("s", "log", newer)


def test_the_first_to_be_due_wakes_it() -> None:
    lanes = MergedSource(Some(5, 2), Some(7)).build_part("s", "log", None)
    assert lanes.next_awake() == NOW + timedelta(milliseconds=2)


def test_all_are_let_go() -> None:
    sources = Some(1, 1), Some(1)
    MergedSource(*sources).build_part("s", "log", None).close()
    assert all(part.closed for source in sources for part in source.built)
