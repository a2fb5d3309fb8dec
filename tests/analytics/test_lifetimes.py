"""What is older than its lifetime goes, what is younger stays; a lifetime that somebody changed stays changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analytics.clickhouse import ClickHouse
from analytics.config import AnalyticsSettings
from analytics.migrate import migrate, read_migrations

MIGRATIONS = read_migrations(AnalyticsSettings().migrations)
LIFETIMES = {
    "event_rows": ("occurred_at", 25),
    "session_rows": ("started_at", 25),
    "audit_rows": ("at", 25),
    "run_rows": ("at", 13),
    "dead_letter_rows": ("at", 13),
}
"""By which column, and months."""
KEYS = {
    "event_rows": "subscriber",
    "session_rows": "subscriber",
    "audit_rows": "audit_id",
    "run_rows": "listener",
    "dead_letter_rows": "reason",
}
"""A column of each table's key, to name a row by."""


def put(history: ClickHouse, table: str, *named: tuple[str, str]) -> None:
    """Rows with nothing but a name and an instant: a ClickHouse expression."""
    column, _ = LIFETIMES[table]
    for name, instant in named:
        history.command(f"INSERT INTO {table} (workspace, {KEYS[table]}, {column}) SELECT 'w', '{name}', {instant}")


def left(history: ClickHouse, table: str) -> set[str]:
    """The names left once everything has been merged."""
    history.command(f"OPTIMIZE TABLE {table} FINAL")
    return {str(row[0]) for row in history.rows(f"SELECT {KEYS[table]} FROM {table}")}


@pytest.mark.parametrize("table", LIFETIMES)
def test_what_is_older_than_its_lifetime_goes(table: str, history: ClickHouse) -> None:
    _, months = LIFETIMES[table]
    history.command(f"SYSTEM STOP MERGES {table}")
    younger, older = (f"now64(3) - INTERVAL {months} MONTH {sign} INTERVAL 3 DAY" for sign in "+-")
    put(history, table, ("younger", younger), ("older", older))
    history.command(f"SYSTEM START MERGES {table}")
    assert left(history, table) == {"younger"}


def test_every_table_but_these_keeps_its_rows_for_ever(history: ClickHouse) -> None:
    sql = "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() AND engine != 'View'"
    found = {
        str(name): int(months[1])
        for name, text in history.rows(sql)
        if (months := re.search(r"TTL .*?toIntervalMonth\((\d+)\)", str(text)))
    }
    assert found == {table: months for table, (_, months) in LIFETIMES.items()}
    document = (Path(__file__).resolve().parents[2] / "docs" / "analytics.md").read_text("utf-8")
    told = dict(re.findall(r"^\| `(\w+_rows)` \| (\d+) months", document, re.MULTILINE))
    assert {table: int(months) for table, months in told.items()} == found


def test_a_lifetime_that_was_changed_stays_changed(history: ClickHouse) -> None:
    history.command("ALTER TABLE event_rows MODIFY TTL toDateTime(occurred_at) + INTERVAL 1 MONTH")
    assert migrate(history, history._database, MIGRATIONS) == []
    put(history, "event_rows", ("old", "now64(3) - INTERVAL 2 MONTH"), ("new", "now64(3)"))
    assert left(history, "event_rows") == {"new"}
    history.command("ALTER TABLE event_rows REMOVE TTL")
    put(history, "event_rows", ("old", "now64(3) - INTERVAL 40 MONTH"))
    assert left(history, "event_rows") == {"old", "new"}
