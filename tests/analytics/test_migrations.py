"""Migrations: from nothing and from every earlier state to the newest; repeated, changed, and of the future."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analytics.clickhouse import ClickHouse
from analytics.config import AnalyticsSettings
from analytics.migrate import Migration, migrate, read_migrations
from contracts.beacons import BeaconRecord, Source
from contracts.codec import to_json, to_msgpack
from contracts.errors import ConfigError
from contracts.tokens import anonymous_id
from tests.analytics.embedded import Embedded
from tests.analytics.story import at, put, the_story

DEVICE = "0f8b3c55-6f5e-4f0e-9d1a-1c2b3a4d5e6f"
MIGRATIONS = read_migrations(AnalyticsSettings().migrations)


@pytest.fixture
def bare(embedded: Embedded, database: str) -> Iterator[ClickHouse]:
    clickhouse = ClickHouse(embedded.url, "segma", embedded.passwords["segma"], database)
    yield clickhouse
    clickhouse.command(f"DROP DATABASE IF EXISTS {database}", database=False)
    clickhouse.close()


@pytest.mark.parametrize("earlier", range(1, len(MIGRATIONS)))
def test_from_an_earlier_state_forward_data_are_kept(earlier: int, bare: ClickHouse, database: str) -> None:
    migrate(bare, database, MIGRATIONS[:earlier])
    put(bare, the_story())
    kept = f"SELECT {', '.join(bare.columns('event_rows'))} FROM event_rows ORDER BY event_id"
    before = bare.rows(kept)
    assert [each.number for each in migrate(bare, database, MIGRATIONS)] == list(
        range(earlier + 1, len(MIGRATIONS) + 1)
    )
    assert bare.rows(kept) == before
    assert bare.rows("SELECT count() FROM memberships") == [(5,)]
    assert migrate(bare, database, MIGRATIONS) == []


def test_a_crash_in_the_middle_of_a_file_is_gone_over_again(bare: ClickHouse, database: str) -> None:
    """Every statement bears repetition, which is what a start after a crash does."""
    migrate(bare, database, MIGRATIONS)
    put(bare, the_story())
    bare.command("TRUNCATE TABLE migrations")
    assert len(migrate(bare, database, MIGRATIONS)) == len(MIGRATIONS)
    assert bare.rows("SELECT count() FROM events") == [(10,)]


def test_a_file_that_changed_since_is_refused(bare: ClickHouse, database: str) -> None:
    migrate(bare, database, MIGRATIONS)
    changed = [*MIGRATIONS[:1], replace(MIGRATIONS[1], text="-- another\n"), *MIGRATIONS[2:]]
    with pytest.raises(ConfigError, match="another text"):
        migrate(bare, database, changed)


def test_a_database_of_a_newer_release_is_refused(bare: ClickHouse, database: str) -> None:
    migrate(bare, database, MIGRATIONS)
    bare.insert("migrations", [to_json({"number": 99, "name": "later", "digest": "x"})])
    with pytest.raises(ConfigError, match="newer release"):
        migrate(bare, database, MIGRATIONS)


def test_every_table_and_column_has_a_comment(history: ClickHouse) -> None:
    tables = "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''"
    assert history.rows(tables) == []
    columns = (
        "SELECT table, c.name FROM system.columns AS c INNER JOIN system.tables AS t "
        "ON c.database = t.database AND c.table = t.name "
        "WHERE c.database = currentDatabase() AND c.comment = ''"
    )
    assert history.rows(columns) == []
    described = {name: comment for name, _, _, _, comment, *_ in history.rows("DESCRIBE TABLE moves")}
    assert described["result"] == "applied, already, skipped or failed; waiting until the platform has answered"


def test_every_key_begins_with_the_workspace_but_that_of_what_has_none(history: ClickHouse) -> None:
    sql = (
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine != 'View' "
        "AND sorting_key NOT LIKE 'workspace,%'"
    )
    assert {name for (name,) in history.rows(sql)} == {"migrations", "dead_letter_rows"}


@pytest.mark.parametrize(
    "names", [("0001_a.sql", "0003_b.sql"), ("0002_a.sql",), ("first.sql",), (), ("0001_a.sql", "0001_b.sql")]
)
def test_a_directory_with_wrong_numbers_is_refused(names: tuple[str, ...], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1;\n")
    with pytest.raises(ConfigError):
        read_migrations(tmp_path)


def test_statements_end_at_a_semicolon_at_the_end_of_a_line() -> None:
    text = "-- a; comment;\nSELECT ';' AS x, 1;\n\nSELECT 2;\n"
    assert Migration(1, "x", text).statements == ["SELECT ';' AS x, 1", "SELECT 2"]


def test_ids_of_devices_from_before_become_hashes(bare: ClickHouse, database: str) -> None:
    migrate(bare, database, MIGRATIONS[:5])
    put(bare, the_story())
    told = {"workspace": "demo", "at": at(0) / 1_000}
    event = {"occurred_at": at(0) / 1_000, "received_at": at(0) / 1_000, "logged_at": at(0) / 1_000}
    for number, device in enumerate((DEVICE, "", anonymous_id("demo", DEVICE))):
        bare.insert("event_rows", [to_json({**event, "workspace": "demo", "event_id": f"e{number}", "device": device})])
    record = to_msgpack(BeaconRecord("demo", "shop", Source.SDK, 1, b'{"device":"%b"}' % DEVICE.encode(), DEVICE))
    letters = [
        ("beacons", f"demo/{DEVICE}", record.decode("utf-8", "backslashreplace")),
        ("http", "", f'{{"device" : "{DEVICE}", "events": ['),
        ("beacons", "demo/s_ben", ""),
        ("rows", "demo/s_ben", f'{{"device": "a_{DEVICE}"}}'),
    ]
    for offset, (topic, key, sample) in enumerate(letters, start=100):
        line = {**told, "topic": topic, "key": key, "sample": sample, "offset": offset, "letter_offset": offset}
        bare.insert("dead_letter_rows", [to_json(line)])
    migrate(bare, database, MIGRATIONS)
    hashed = anonymous_id("demo", DEVICE)
    found = bare.rows("SELECT event_id, device FROM events WHERE match(event_id, '^e[0-9]$') ORDER BY event_id")
    assert found == [("e0", hashed), ("e1", ""), ("e2", hashed)]
    rows = bare.rows("SELECT key, sample FROM dead_letters WHERE offset >= 100 ORDER BY offset")
    assert [key for key, _ in rows] == [f"demo/{hashed}", "", "demo/s_ben", "demo/s_ben"]
    assert [DEVICE in sample for _, sample in rows] == [False, False, False, True]
    assert rows[1][1] == '{"device" : "***", "events": ['
