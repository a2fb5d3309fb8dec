"""The collector's spool: what was acknowledged survives a crash at any byte, in order."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import LogUnavailable, RecordRefused, SpoolFull
from contracts.log import Outgoing, PublishOutcome, Stored
from transport.spool import Spool


class Publisher:
    """Takes so many records, then is away."""

    def __init__(self, takes: int = 10**9) -> None:
        self.takes, self.taken = takes, list[Outgoing]()

    def publish(self, records: Sequence[Outgoing]) -> list[PublishOutcome]:
        outcomes: list[PublishOutcome] = []
        for record in records:
            if len(self.taken) < self.takes:
                self.taken.append(record)
                outcomes.append(Stored(0, len(self.taken), 0))
            else:
                outcomes.append(LogUnavailable("away"))
        return outcomes

    def submit(self, records: Sequence[Outgoing], done: Any) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


def record(number: int) -> Outgoing:
    return Outgoing("t", b"k", b"v%d" % number)


def drained(path: Path) -> list[Outgoing]:
    spool, publisher = Spool(path, 1_000_000), Publisher()
    spool.drain(publisher)
    assert spool.is_empty
    spool.close()
    return publisher.taken


def test_what_is_appended_comes_out_in_order_after_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", 1_000_000)
    for number in range(10):
        spool.append([record(number), Outgoing("t", b"", None, 3)])
    assert spool.pending_bytes > 0
    spool.close()
    expected = [each for number in range(10) for each in (record(number), Outgoing("t", b"", None, 3))]
    assert drained(tmp_path / "s") == expected
    assert drained(tmp_path / "s") == []


def test_a_crash_at_every_byte_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "s"
    spool, ends = Spool(path, 1_000_000), [0]
    for number in range(4):
        spool.append([record(number)])
        ends.append(path.stat().st_size)
    spool.close()
    data = path.read_bytes()
    for cut in range(len(data) + 1):
        torn = tmp_path / f"cut{cut}"
        torn.write_bytes(data[:cut])
        whole = sum(end <= cut for end in ends[1:])
        assert drained(torn) == [record(number) for number in range(whole)]


def test_a_changed_byte_ends_what_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    spool = Spool(path, 1_000_000)
    spool.append([record(0)])
    first = path.stat().st_size
    spool.append([record(1)])
    spool.close()
    data = bytearray(path.read_bytes())
    data[first + 10] ^= 1
    path.write_bytes(bytes(data))
    assert drained(path) == [record(0)]


def test_a_full_spool_takes_nothing_of_what_does_not_fit(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", 100)
    spool.append([record(0)])
    with pytest.raises(SpoolFull):
        spool.append([record(1), Outgoing("t", b"k", b"x" * 200)])
    publisher = Publisher()
    assert spool.drain(publisher) == 1
    assert publisher.taken == [record(0)]
    spool.append([record(2)])  # there is room again
    spool.close()


@pytest.mark.parametrize("takes", range(8))
def test_draining_stops_where_the_log_is_away_and_goes_on_there(tmp_path: Path, takes: int) -> None:
    path = tmp_path / "s"
    spool = Spool(path, 1_000_000)
    spool.append([record(number) for number in range(7)])
    first = Publisher(takes)
    assert spool.drain(first, batch=2) == takes
    spool.append([record(7)])
    spool.close()
    assert first.taken + drained(path) == [record(number) for number in range(8)]


def test_a_lost_position_repeats_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s"
    spool = Spool(path, 1_000_000)
    spool.append([record(number) for number in range(4)])
    spool.drain(Publisher(2))
    spool.close()
    (tmp_path / "s.drained").unlink()
    assert drained(path) == [record(number) for number in range(4)]


def test_a_position_of_a_file_that_was_emptied_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s"
    spool = Spool(path, 1_000_000)
    spool.append([record(0)])
    spool.close()
    # A crash between emptying the file and writing the position leaves an old position behind.
    (tmp_path / "s.drained").write_bytes(b"%d" % path.stat().st_size)
    path.write_bytes(b"")
    spool = Spool(path, 1_000_000)
    spool.append([record(1)])
    spool.close()
    assert drained(path) == [record(1)]


@pytest.mark.parametrize("off", [-1, 1, 1_000])
def test_a_position_of_a_file_that_has_grown_again_since_hides_nothing(tmp_path: Path, off: int) -> None:
    path = tmp_path / "s"
    spool = Spool(path, 1_000_000)
    spool.append([record(0), record(1)])
    spool.close()
    # A power cut has kept the file that was emptied and has grown again, and the position of before.
    (tmp_path / "s.drained").write_bytes(b"%d" % (path.stat().st_size + off))
    assert drained(path) == [record(0), record(1)]


def test_a_position_that_cannot_be_written_holds_up_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s"
    spool = Spool(path, 1_000_000)
    spool.append([record(number) for number in range(4)])
    spool.drain(Publisher(2), batch=2)
    spool.close()
    # As a disk that is full: what is new cannot be written.
    (tmp_path / "s.new").mkdir()
    assert drained(path) == [record(2), record(3)]
    spool = Spool(path, 1_000_000)
    spool.append([record(4)])
    spool.close()
    assert drained(path) == [record(4)]


def test_a_disk_that_takes_half_a_frame_and_then_nothing_spoils_no_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s"
    spool = Spool(path, 1_000_000)
    spool.append([record(0)])

    def refused(*_: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    with monkeypatch.context() as disk:
        write = os.write
        disk.setattr("transport.spool.os.write", lambda fd, data: write(fd, data[: len(data) // 2]))
        disk.setattr("transport.spool.os.ftruncate", refused)
        with pytest.raises(SpoolFull):
            spool.append([record(1)])
        with pytest.raises(SpoolFull):
            spool.append([record(2)])
    spool.append([record(3)])
    spool.close()
    assert drained(path) == [record(0), record(3)]


class Choosy(Publisher):
    """Takes what it is told to take; refuses some for good, and is away for some."""

    def __init__(self, refuses: set[bytes], away: set[bytes]) -> None:
        super().__init__()
        self.refuses, self.away = refuses, away

    def publish(self, records: Sequence[Outgoing]) -> list[PublishOutcome]:
        return [self._one(each) for each in records]

    def _one(self, each: Outgoing) -> PublishOutcome:
        if each.value in self.refuses:
            return RecordRefused("too large")
        if each.key in self.away:
            return LogUnavailable("no leader")
        self.taken.append(each)
        return Stored(0, len(self.taken), 0)


def keyed(number: int) -> Outgoing:
    return Outgoing("t", b"k%d" % (number % 3), b"v%d" % number)


def test_what_is_refused_is_set_aside_and_tried_again_at_the_next_start(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", 1_000_000)
    spool.append([keyed(number) for number in range(9)])
    publisher = Choosy({b"v0", b"v4", b"v8"}, set())
    assert spool.drain(publisher, batch=2) == 9
    assert spool.is_empty
    assert spool.set_aside_records == 3
    assert publisher.taken == [keyed(number) for number in (1, 2, 3, 5, 6, 7)], "each once, in order"
    spool.close()
    spool = Spool(tmp_path / "s", 1_000_000)
    assert spool.set_aside_records == 0
    again = Choosy({b"v4"}, set())
    spool.drain(again)
    assert again.taken == [keyed(0), keyed(8)]
    assert spool.set_aside_records == 1, "what is refused again is kept again"
    spool.close()


def test_a_key_that_waits_holds_up_no_other_and_nothing_is_published_twice(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", 1_000_000)
    spool.append([keyed(number) for number in range(9)])
    publisher = Choosy(set(), {b"k0"})
    for _ in range(5):
        spool.drain(publisher, batch=4)
    assert publisher.taken == [keyed(number) for number in range(9) if number % 3]
    spool.append([keyed(9), keyed(10)])
    spool.drain(publisher)
    assert publisher.taken[6:] == [keyed(10)]
    publisher.away.clear()
    spool.drain(publisher)
    assert publisher.taken[7:] == [keyed(0), keyed(3), keyed(6), keyed(9)], "in the order of its own"
    assert spool.is_empty
    spool.close()
    assert drained(tmp_path / "s") == []


def test_where_there_is_no_room_to_set_aside_a_record_waits(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", 45)
    publisher = Choosy({b"v0", b"v1"}, set())
    for number in range(2):
        spool.append([Outgoing("t", b"k", b"v%d" % number)])
        for _ in range(3):
            spool.drain(publisher)
    spool.append([Outgoing("t", b"k", b"v1")])
    spool.drain(publisher)
    waiting = spool.pending_bytes
    assert spool.set_aside_records == 2
    assert waiting > 0, "nothing is dropped"
    spool.close()
