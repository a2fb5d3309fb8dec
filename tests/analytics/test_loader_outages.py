"""The loader while ClickHouse is away, and under kills: nothing is lost, nothing grows, and it says so in time."""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY

from analytics.clickhouse import ClickHouse
from analytics.loader import Loader, watch_history
from contracts.log import Log
from contracts.topics import ROWS
from tests.analytics.embedded import Embedded
from tests.analytics.story import at, baseline, event, the_story
from tests.analytics.streaming import Killing, contents, load_in_peace, outgoing, write_home


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = write_home(tmp_path)
    try:
        yield made
    finally:
        made.close()


def loader_of(log: Log, history: ClickHouse, **more: Any) -> Loader:
    given: dict[str, Any] = {"now_ms": lambda: at(9), "pause": lambda _: None, "stopping": lambda: False, **more}
    return Loader(log, history, **given)


@pytest.mark.slow
def test_clickhouse_away_is_waited_for_and_nothing_is_lost(log: Log, tmp_path: Path) -> None:
    away = Embedded(tmp_path)
    clickhouse = ClickHouse(away.url, "segma", away.passwords["segma"], "segma")
    log.publisher().publish([outgoing(row) for row in the_story()])
    attempts = list[float]()

    def pause(seconds: float) -> None:
        """The fourth wait brings ClickHouse back."""
        attempts.append(seconds)
        if len(attempts) == 4:
            away.start()
            away.history("segma").close()

    try:
        assert loader_of(log, clickhouse, pause=pause).round() > 0
        assert len(attempts) >= 4
        assert attempts[0] < attempts[3] <= 16
        assert len(contents(clickhouse)["events"]) == 10
    finally:
        away.stop()


class Hour:
    """An hour of a clock of its own without ClickHouse, in which rows keep coming: whoever waits lets it pass."""

    def __init__(self, log: Log, back: Callable[[], None]) -> None:
        self._publisher, self._back = log.publisher(), back
        self.start_ms = self.now_ms = at(0)
        self._publisher.publish([outgoing(baseline("first", "newsletter", at(0)))])
        self.waits = list[float]()
        self.written = 1
        self.held = list[int]()
        self.away = True

    def pause(self, seconds: float) -> None:
        """Ten rows come in each wait; after an hour ClickHouse is there again."""
        self.now_ms += int(seconds * 1_000)
        if not self.away:
            return
        self.waits.append(seconds)
        rows = [event(f"p{self.written + each}", 1, "page_viewed", at(0), text="x" * 4_000) for each in range(10)]
        results = self._publisher.publish([outgoing(row) for row in rows])
        assert not any(isinstance(each, Exception) for each in results)
        self.written += len(rows)
        self.held.append(tracemalloc.get_traced_memory()[0])
        if self.now_ms - self.start_ms >= 3_600_000:
            self.away = False
            self._back()


@pytest.mark.slow
def test_an_hour_without_clickhouse_costs_nobody_anything(
    log: Log, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # What is captured of each attempt would be what grows.
    caplog.set_level(logging.CRITICAL, "urllib3")
    server = Embedded(tmp_path)

    def back() -> None:
        server.start()
        server.history("segma").close()

    hour = Hour(log, back)
    half_ms = hour.start_ms + 1_800_000
    clickhouse = ClickHouse(server.url, "segma", server.passwords["segma"], "segma")
    tracemalloc.start()
    try:
        # Half of it, and a restart: nothing was committed, so the next one begins where this one began.
        first = loader_of(log, clickhouse, pause=hour.pause, stopping=lambda: hour.now_ms >= half_ms)
        first.run()
        first.close()
        in_the_first = len(hour.waits)
        second = loader_of(log, clickhouse, now_ms=lambda: hour.now_ms, pause=hour.pause)
        while second.round():
            pass
        count, people = clickhouse.rows("SELECT count(), uniqExact(subscriber) FROM event_rows")[0]
        second.close()
    finally:
        tracemalloc.stop()
        server.stop()
    assert count == people == hour.written - 1
    # The waits grow to a quarter of a minute (and a second of jitter), so an hour is some hundreds of attempts.
    assert max(hour.waits) <= 16
    assert 2 * 1_800 / 16 < len(hour.waits) < 400
    # What came meanwhile (40 kB a wait) stayed in the log: the loader held what it held at its first attempt.
    grown = max(hour.held[in_the_first:]) - hour.held[in_the_first + 2]
    assert grown < 2_000_000 < 40_000 * (len(hour.waits) - in_the_first)


def test_how_long_the_history_has_lacked_something_grows_until_it_has_it(log: Log) -> None:
    log.publisher().publish([outgoing(row) for row in the_story()])
    oldest_ms = min(record.log_time_ms for record in log.reader(ROWS).poll(1_000))
    now = {"ms": oldest_ms}
    seen = list[float]()
    loader: Loader = loader_of(
        log,
        ClickHouse("http://127.0.0.1:9", "segma", "x", "segma"),
        now_ms=lambda: now["ms"],
        pause=lambda _: seen.append(loader.behind_s()),
        stopping=lambda: now["ms"] > oldest_ms + 800_000,
    )
    assert loader.behind_s() == 0
    watch_history(loader.behind_s)
    for waited_ms in (300_000, 700_000):
        now["ms"] = oldest_ms + waited_ms
        assert REGISTRY.get_sample_value("segma_history_lag_seconds") == waited_ms / 1_000
    now["ms"] += 200_000
    assert loader.round() == 0, "it is stopped"
    assert loader.behind_s() == 900
    loader.close()


def test_it_is_told_in_time_that_the_log_will_not_keep_what_waits(log: Log) -> None:
    log.publisher().publish([outgoing(row) for row in the_story()])
    kept_ms = {topic.name: topic.retention_ms for topic in log.topics()}[ROWS]
    now = {"ms": min(record.log_time_ms for record in log.reader(ROWS).poll(1_000)) + kept_ms // 2 - 5_000_000}
    nowhere = ClickHouse("http://127.0.0.1:9", "segma", "x", "segma")
    waited = list[float]()

    def pause(seconds: float) -> None:
        waited.append(seconds)
        now["ms"] += 4_000_000

    with structlog.testing.capture_logs() as lines:
        loader_of(log, nowhere, now_ms=lambda: now["ms"], pause=pause, stopping=lambda: len(waited) > 2).round()
    told = [line for line in lines if line["event"] == "history_will_be_lost"]
    assert len([line for line in lines if line["event"] == "clickhouse_unavailable"]) == 3
    assert [(line["log_level"], line["topic"], line["kept_h"]) for line in told] == [
        ("error", ROWS, kept_ms / 3_600_000)
    ]
    assert told[0]["waited_h"] > kept_ms / 3_600_000 / 2


def test_told_to_stop_while_clickhouse_is_away_it_commits_nothing(
    log: Log, tmp_path: Path, history: ClickHouse
) -> None:
    log.publisher().publish([outgoing(row) for row in the_story()])
    nowhere = ClickHouse("http://127.0.0.1:9", "segma", "x", "segma")
    waited = list[float]()
    stopped = loader_of(log, nowhere, pause=waited.append, stopping=lambda: len(waited) > 2)
    assert stopped.round() == 0
    stopped.close()
    load_in_peace(log, history)
    assert len(contents(history)["events"]) == 10


@pytest.mark.slow
def test_kills_of_loader_and_server_leave_exactly_what_peace_leaves(tmp_path: Path, embedded: Embedded) -> None:
    log = write_home(tmp_path)
    world = Killing(Embedded(tmp_path), log)
    try:
        written = world.run(seed=11, kills=8)
        killed = world.embedded.history("segma")
        load_in_peace(log, killed)
        after = contents(killed)
        killed.close()
    finally:
        world.embedded.stop()
    peace = embedded.history("peace")
    load_in_peace(log, peace, name_again=True)
    assert contents(peace) == after
    assert written >= sum(len(rows) for rows in after.values()) - len(after["memberships"]) > 500
    peace.command("DROP DATABASE peace", database=False)
    log.close()
