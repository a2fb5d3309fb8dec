"""How far the flow has come, as the log of events tells it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from contracts.codec import to_json
from contracts.events import LogTime
from contracts.log import Log, Outgoing
from contracts.topics import EVENTS, fixed_topics
from flows.operators.lag import log_times
from transport import open_log
from transport.config import Settings


def say(log: Log, source: int, at_ms: int, partitions: tuple[int, ...] = (0, 1)) -> None:
    """What ``recognise`` says of one partition of ``beacons``, in each of ``events``."""
    value = to_json(LogTime(source, at_ms))
    log.publisher().publish([Outgoing(EVENTS, b"", value, each) for each in partitions])


def test_a_flow_that_was_killed_is_where_it_reads_again(tmp_path: Path) -> None:
    with closing(open_log(Settings(data=tmp_path))) as log:
        log.ensure(fixed_topics(2))
        for source, at_ms in ((0, 1_000), (1, 1_000), (0, 9_000), (1, 8_000)):
            say(log, source, at_ms)
        assert log_times(log) == {0: 9_000, 1: 8_000}
        say(log, 0, 2_000)
        assert log_times(log) == {0: 2_000, 1: 8_000}
        say(log, 0, 9_000, (1,))
        assert log_times(log) == {0: 2_000, 1: 8_000}, "killed between one partition and the next"
        say(log, 0, 9_000)
        assert log_times(log) == {0: 9_000, 1: 8_000}
