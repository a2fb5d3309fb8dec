"""``segma doctor`` on the history: away, older or newer than the release, behind the log, and with rows refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from analytics.clickhouse import ClickHouse
from analytics.config import AnalyticsSettings
from analytics.erase import erase
from analytics.migrate import migrate, read_migrations
from cli.history_findings import ASKED_AT_ONCE, SAMPLES, Finding, history_findings, loading_findings
from contracts.codec import to_json
from contracts.dead_letters import letter_of, set_aside
from contracts.log import Log, Outgoing
from contracts.reasons import Reason
from contracts.rows import EventRow
from contracts.topics import DAY_MS, ROWS, fixed_topics, subscriber_key
from tests.analytics.embedded import Embedded
from tests.analytics.flow_history import event
from tests.analytics.story import put
from transport import open_log
from transport.config import settings_at, wall_clock_ms

MIGRATIONS = read_migrations(AnalyticsSettings().migrations)


@pytest.fixture
def home(embedded: Embedded, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGMA_CLICKHOUSE_URL", embedded.url)
    monkeypatch.setenv("SEGMA_CLICKHOUSE_DATABASE", database)
    monkeypatch.setenv("SEGMA_CLICKHOUSE_PASSWORD_FILE", str(embedded.home / "data" / "clickhouse-segma.password"))
    (tmp_path / "data").mkdir()
    return tmp_path


@pytest.fixture
def log(home: Path) -> Iterator[Log]:
    with closing(open_log(settings_at(home))) as made:
        made.ensure(fixed_topics(2))
        yield made


def rows_for(log: Log, count: int) -> list[EventRow]:
    """Rows that the log has taken."""
    now_ms = wall_clock_ms()
    rows = [EventRow(event(f"e-{each}", f"s_{each:03}", "page_viewed", now_ms, now_ms, {})) for each in range(count)]
    log.publisher().publish(
        [Outgoing(ROWS, subscriber_key("w", each.event.subscriber), to_json(each)) for each in rows]
    )
    return rows


def behind(home: Path, log: Log, after_s: float = 0.0) -> Finding:
    (found,) = loading_findings(home, log, wall_clock_ms() + int(after_s * 1_000))
    return found


def test_a_history_of_this_release_is_well(home: Path, history: ClickHouse) -> None:
    count = len(MIGRATIONS)
    assert history_findings(home, running=False) == [("history", True, f"127.0.0.1, {count} migrations", "")]


def test_one_of_an_older_or_a_newer_release_is_told(
    home: Path, embedded: Embedded, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((_, ok, found, remedy),) = history_findings(home, running=False)
    assert (ok, found) == (False, f"127.0.0.1, 0 of {len(MIGRATIONS)} migrations")
    assert "segma migrate" in remedy
    clickhouse = ClickHouse(embedded.url, "segma", embedded.passwords["segma"], database)
    migrate(clickhouse, database, MIGRATIONS[:3])
    ((_, ok, found, _),) = history_findings(home, running=False)
    assert (ok, found) == (False, f"127.0.0.1, 3 of {len(MIGRATIONS)} migrations")
    monkeypatch.setattr("cli.history_findings.read_migrations", lambda directory: MIGRATIONS[:2])
    ((_, ok, _, remedy),) = history_findings(home, running=False)
    assert ok is False
    assert "was applied by a newer release" in remedy
    clickhouse.command(f"DROP DATABASE {database}", database=False)
    clickhouse.close()


def test_one_that_is_away_or_lets_nobody_in_is_told(home: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "password").write_text("guessed")
    with monkeypatch.context() as guessed:
        guessed.setenv("SEGMA_CLICKHOUSE_PASSWORD_FILE", str(home / "password"))
        ((_, ok, found, remedy),) = history_findings(home, running=False)
        assert (ok, found) == (False, "127.0.0.1, refuses the question")
        assert "guessed" not in remedy
    monkeypatch.setenv("SEGMA_CLICKHOUSE_URL", "http://127.0.0.1:9")
    assert [each[1:3] for each in history_findings(home, running=False)] == [(False, "127.0.0.1, not reachable")]
    rows_for(log, 1)
    assert list(loading_findings(home, log, wall_clock_ms())) == [], "it is told once"
    monkeypatch.setenv("SEGMA_CLICKHOUSE_PASSWORD_FILE", str(home / "none"))
    assert [each[1:3] for each in history_findings(home, running=False)] == [(False, "1 problem")]


def test_the_embedded_one_may_stand_still_with_its_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "PASSWORD_FILE"):
        monkeypatch.delenv(f"SEGMA_CLICKHOUSE_{name}")
    monkeypatch.setenv("SEGMA_CLICKHOUSE_PORT", "9")
    assert history_findings(home, running=True) == [("history", None, "embedded, nothing in it yet", "")]
    (home / "data" / "clickhouse").mkdir()
    for running, ok in ((False, None), (True, False)):
        ((_, told, found, _),) = history_findings(home, running=running)
        assert (told, found) == (ok, "embedded, not reachable")


def test_how_far_the_loader_is_behind_is_told_by_the_rows_that_are_lacking(
    home: Path, history: ClickHouse, log: Log
) -> None:
    assert list(loading_findings(home, log, wall_clock_ms())) == [], "there are no rows"
    rows = rows_for(log, 3 * SAMPLES + ASKED_AT_ONCE)
    assert behind(home, log)[1] is True
    late = behind(home, log, 600)
    assert late[:2] == ("history's rows", False)
    assert 600 <= int(late[2].partition(" ")[0]) < 700
    put(history, rows[:-1])
    assert behind(home, log, 600)[1] is False, "of each partition the newest is asked for"
    erase(history, ("w", rows[-1].event.subscriber), wall_clock_ms())
    assert behind(home, log, 600)[1:3] == (True, "holds the newest rows")


def test_rows_that_clickhouse_refused_are_told_for_a_day_and_awaited_no_more(
    home: Path, history: ClickHouse, log: Log
) -> None:
    row, _ = rows_for(log, 2)
    put(history, [row])
    (record,) = [each for each in log.reader(ROWS).poll(10) if b"s_001" in each.key]
    assert behind(home, log, 3_600)[1] is False
    letter = letter_of(record, Reason.REFUSED_BY_HISTORY, "of ClickHouse's", at_ms=wall_clock_ms())
    log.publisher().publish([set_aside(letter)])
    refused, held = loading_findings(home, log, wall_clock_ms() + 3_600_000)
    assert refused[:3] == ("rows refused", False, "1 row in a day that the history does not hold")
    assert held[1:3] == (True, "holds the newest rows")
    assert behind(home, log, DAY_MS / 1_000 + 1)[:2] == ("history's rows", True)
