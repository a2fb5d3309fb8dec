"""A source's partition while the log cannot be read: it waits, and ends with the log's own words where that goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.errors import LogUnavailable
from contracts.log import Outgoing, Record
from contracts.topics import BEACONS, fixed_topics
from flows.operators.source import PATIENCE, BeaconsPartition, Opened, ProcessContext
from transport import open_log
from transport.config import Settings
from transport.embedded.reader import EmbeddedConsumer

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_log_that_cannot_be_read_is_awaited_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, away = [START], [True]
    log = open_log(Settings(data=tmp_path))
    log.ensure(fixed_topics(1))
    log.publisher().publish([Outgoing(BEACONS, b"k", b"v")])
    context = ProcessContext(lambda: False, lambda: now[0], lambda _: None)
    partition = BeaconsPartition(Opened(log, BEACONS, "recognise", 1, context), "0", None)
    poll = EmbeddedConsumer.poll

    def polled(consumer: EmbeddedConsumer, max_records: int, timeout_s: float = 0.0) -> list[Record]:
        if away[0]:
            raise LogUnavailable("database is locked")
        return poll(consumer, max_records, timeout_s)

    monkeypatch.setattr(EmbeddedConsumer, "poll", polled)
    for _ in range(2):
        assert partition.next_batch() == []
        assert partition.next_awake() is not None
        now[0] += PATIENCE
    away[0] = False
    ((part, records),) = partition.next_batch()
    assert (part, [each.value for each in records]) == ("0", [b"v"])
    away[0] = True
    assert partition.next_batch() == [], "the patience begins anew"
    now[0] += PATIENCE + timedelta(seconds=1)
    with pytest.raises(LogUnavailable, match="locked"):
        partition.next_batch()
    partition.close()
    log.close()
