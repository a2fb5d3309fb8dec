"""Following a topic: from its oldest record, and from there again after an error of the log."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from contracts.errors import LogError, LogUnavailable
from contracts.log import Bookmark, Consumer, Outgoing, Record
from contracts.reading import FOLLOWED_AT_ONCE, follow
from contracts.topics import Topic
from transport import open_log
from transport.config import Settings

TOPIC = Topic("plain", 1)


class Failing:
    """A reader that says after some polls that the log is away."""

    def __init__(self, reader: Consumer, polls: int) -> None:
        self._reader, self._polls, self.closed = reader, polls, False

    def poll(self, max_records: int, timeout_s: float = 0.0) -> list[Record]:
        if self._polls == 0:
            raise LogUnavailable("away")
        self._polls -= 1
        return self._reader.poll(max_records, timeout_s)

    def positions(self) -> dict[int, int]:
        return self._reader.positions()

    def commit(self, positions: Mapping[int, int]) -> None:
        self._reader.commit(positions)

    def seek(self, partition: int, offset: int, epoch: int = -1) -> None:
        self._reader.seek(partition, offset, epoch)

    def bookmark(self, partition: int) -> Bookmark:
        return self._reader.bookmark(partition)

    def close(self) -> None:
        self.closed = True
        self._reader.close()


def test_after_an_error_a_followed_topic_is_read_again_from_its_oldest_record(tmp_path: Path) -> None:
    log = open_log(Settings(data=tmp_path))
    log.ensure([TOPIC])
    total = FOLLOWED_AT_ONCE + 1
    publisher = log.publisher()
    publisher.publish([Outgoing(TOPIC.name, b"k", b"%d" % number) for number in range(total)])
    readers: list[Failing] = []
    taken: list[bytes | None] = []
    faults: list[LogError] = []

    def open_reader() -> Consumer:
        readers.append(Failing(log.reader(TOPIC.name), polls=10 if readers else 1))
        return readers[-1]

    follow(
        open_reader,
        lambda records: taken.extend(record.value for record in records),
        stopping=lambda: len(taken) == FOLLOWED_AT_ONCE + total,
        away=faults.append,
    )
    first = [b"%d" % number for number in range(FOLLOWED_AT_ONCE)]
    assert taken == [*first, *first, b"%d" % FOLLOWED_AT_ONCE]
    assert [str(each) for each in faults] == ["away"]
    assert [each.closed for each in readers] == [True, True]
    publisher.close()
    log.close()
