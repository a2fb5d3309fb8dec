"""The loader: everything arrives once, whatever dies; what cannot be loaded is set aside and told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import pytest

from analytics.clickhouse import ClickHouse
from analytics.columns import Inserts
from analytics.erase import erase
from analytics.loader import CHUNK, Loader, holds_nothing
from analytics.tables import OF_A_PERSON, TABLES, HistoryTable, rows_of
from contracts.codec import Value, written
from contracts.errors import LogUnavailable
from contracts.log import Log, Outgoing, Record
from contracts.topics import DEAD_LETTERS, OUTCOMES, ROWS
from tests.analytics.story import at, baseline, event, put, the_story
from tests.analytics.streaming import contents, load_in_peace, outgoing, stream, write_home


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


def test_rows_of_every_kind_arrive(log: Log, history: ClickHouse) -> None:
    log.publisher().publish([outgoing(row) for row in the_story()])
    load_in_peace(log, history)
    counts = {name: len(rows) for name, rows in contents(history).items()}
    assert counts == {"events": 10, "sessions": 3, "matches": 2, "moves": 2, "memberships": 5, "dead_letters": 3}


def test_a_history_that_was_lost_is_read_again_as_far_as_the_log_goes(log: Log, history: ClickHouse) -> None:
    log.publisher().publish([outgoing(row) for row in the_story()])
    assert holds_nothing(history)
    load_in_peace(log, history)
    assert not holds_nothing(history)
    before = contents(history)
    for table in {each.name for each in TABLES.values()}:
        history.command(f"TRUNCATE TABLE {table}")
    assert holds_nothing(history)
    loader = loader_of(log, history, from_start=True)
    while loader.round():
        pass
    loader.close()
    assert contents(history) == before


def test_a_batch_is_bounded_in_bytes(log: Log, history: ClickHouse) -> None:
    large = [
        outgoing(event("p", number, "page_viewed", at(0, number), text="x" * 10_000)) for number in range(3 * CHUNK)
    ]
    log.publisher().publish(large)
    loader = loader_of(log, history, most_bytes=CHUNK * 10_000)
    assert [loader.round() for _ in range(4)] == [CHUNK, CHUNK, CHUNK, 0]
    loader.close()
    assert len(contents(history)["events"]) == 3 * CHUNK


@pytest.mark.parametrize("call", ["poll", "commit"])
def test_a_log_that_is_away_for_a_moment_ends_no_loader_and_loses_no_row(
    log: Log, history: ClickHouse, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    log.publisher().publish([outgoing(row) for row in the_story()])
    pauses: list[float] = []
    loader = loader_of(log, history, pause=pauses.append, stopping=lambda: len(pauses) > 3)
    consumer = loader._consumers[1]
    real, failures = getattr(consumer, call), iter([LogUnavailable("busy"), LogUnavailable("busy")])

    def failing(*words: Any, **named: Any) -> Any:
        if (error := next(failures, None)) is not None:
            raise error
        return real(*words, **named)

    monkeypatch.setattr(consumer, call, failing)
    loader.run()
    loader.close()
    counts = {name: len(rows) for name, rows in contents(history).items()}
    assert counts == {"events": 10, "sessions": 3, "matches": 2, "moves": 2, "memberships": 5, "dead_letters": 3}


def test_overlapping_ranges_change_nothing(log: Log, history: ClickHouse) -> None:
    for records in islice(stream(7), 12):
        log.publisher().publish(records)
    load_in_peace(log, history)
    before = contents(history)
    for most in (1_000, 37, 400):
        loader = loader_of(log, history, most=most)
        for consumer in loader._consumers:
            for partition in consumer.positions():
                consumer.seek(partition, 0)
        while loader.round():
            pass
        assert contents(history) == before
    assert len(before["events"]) > 100


def test_an_older_row_never_replaces_a_newer_one(history: ClickHouse) -> None:
    old, new = event("ann", 1, "email_clicked", at(0)), event("ann", 1, "email_clicked", at(0), campaign="spring")
    put(history, [new], first_offset=50)
    put(history, [old], first_offset=10)
    assert history.rows("SELECT campaign FROM events") == [("spring",)]


def test_a_repetition_stays_beside_what_counts(log: Log, history: ClickHouse) -> None:
    first, again = event("ann", 1, "page_viewed", at(0)), event("ann", 1, "page_viewed", at(0), reason="duplicate")
    log.publisher().publish([outgoing(first), outgoing(again)])
    load_in_peace(log, history)
    assert history.rows("SELECT reason, session FROM events") == [("", "s-ann")]
    assert history.rows("SELECT count() FROM event_rows") == [(2,)]


def test_what_does_not_decode_becomes_a_dead_letter_and_is_loaded_as_one(log: Log, history: ClickHouse) -> None:
    bad = [b"\xff\xfe", b'{"row":"event"}', b'{"row":"session","schema":99}', b'{"row":"nothing"}', b"[]"]
    log.publisher().publish([Outgoing(ROWS, b"demo/x", value) for value in bad])
    log.publisher().publish([Outgoing(OUTCOMES, b"demo/mailbox", b"?"), Outgoing(DEAD_LETTERS, b"x", b"\xc1")])
    load_in_peace(log, history)
    rows = history.rows("SELECT topic, reason, count() FROM dead_letters GROUP BY ALL ORDER BY ALL")
    assert sum(count for _, _, count in rows) == 7
    assert {reason for _, reason, _ in rows} <= {"undecodable", "newer_schema"}
    assert history.rows("SELECT sample, size FROM dead_letters WHERE sample LIKE '%xff%'") == [("\\xff\\xfe", 2)]


def test_a_row_that_clickhouse_refuses_is_found_and_set_aside(log: Log, history: ClickHouse) -> None:
    rows = [event(f"p{number}", 1, "page_viewed", at(0)) for number in range(40)]
    rows[17] = event("odd", 1, "page_viewed", 10**17)
    log.publisher().publish([outgoing(row) for row in rows])
    load_in_peace(log, history)
    assert history.rows("SELECT count(), countIf(subscriber = 'odd') FROM events") == [(39, 0)]
    assert history.rows("SELECT reason, key FROM dead_letters") == [("refused_by_history", "demo/odd")]


def test_a_property_of_ten_megabytes_and_odd_texts_are_kept_whole(log: Log, history: ClickHouse) -> None:
    long = "é'\\\n" * 2_500_000
    odd: dict[str, Any] = {
        "a'b\\": "\0\u2028😀",
        "path": 5,
        "value": "no number",
        "sku": None,
        "campaign": ["x"],
        "category": "'; --",
    }
    rows = [event("big", 1, "page_viewed", at(0), text=long), event("odd", 1, "page_viewed", at(0), **odd)]
    log.publisher().publish([outgoing(row) for row in rows])
    load_in_peace(log, history)
    sql = "SELECT length(JSONExtractString(properties, 'text')) FROM events WHERE subscriber = 'big'"
    assert history.rows(sql) == [(len(long.encode()),)]
    columns = "path, value, sku, campaign, category, JSONExtractString(properties, 'a\\'b\\\\')"
    (row,) = history.rows(f"SELECT {columns} FROM events WHERE subscriber = 'odd'")
    assert row == ("", None, "", "", "'; --", "\0\u2028😀")


def test_erased_people_do_not_come_back_by_a_replay_but_by_an_import(log: Log, history: ClickHouse) -> None:
    log.publisher().publish([outgoing(row) for row in the_story()])
    load_in_peace(log, history)
    now_ms = max(record.log_time_ms for record in log.reader(ROWS).poll(1_000))
    removed = erase(history, ("demo", "ann"), now_ms)
    assert removed == dict.fromkeys(OF_A_PERSON, 1) | {"event_rows": 4, "dead_letter_rows": 0}
    kept = contents(history)
    load_in_peace(log, history, name_again=True)
    assert contents(history) == kept
    assert "ann" not in repr(kept)
    assert history.rows("SELECT subscriber, removed['event_rows'] FROM erasures FINAL WHERE subscriber = 'ann'") == [
        ("ann", 4)
    ]
    later = baseline("ann", "newsletter", now_ms + 1_000)
    log.publisher().publish([outgoing(later)])
    load_in_peace(log, history)
    assert history.rows("SELECT toUnixTimestamp64Milli(until) FROM erasures FINAL WHERE subscriber = 'ann'") == [
        (now_ms,)
    ]


def test_an_erasure_during_an_insert_is_repeated_after_it(log: Log, history: ClickHouse) -> None:
    log.publisher().publish([outgoing(row) for row in the_story()])

    class Interrupted(ClickHouse):
        """Erases Ann between the loader's look at the erasures and its insert."""

        def insert_arrow(self, table: str, columns: Sequence[str], stream: bytes, token: str) -> None:
            if table == "event_rows":
                erase(history, ("demo", "ann"), at(20))
            super().insert_arrow(table, columns, stream, token)

    assert loader_of(log, Interrupted(**_options(history))).round() > 0
    assert history.rows("SELECT count() FROM event_rows WHERE subscriber = 'ann'") == [(0,)]


def _options(history: ClickHouse) -> dict[str, Any]:
    options = history._options
    return {
        "url": f"{options['interface']}://{options['host']}:{options['port']}",
        "user": options["username"],
        "password": options["password"],
        "database": history._database,
    }


HOSTILE: dict[str, Any] = {
    "a number of 310 digits": {"value": 10**310},
    "a number that Int64 cannot hold": {"value": 10**25},
    "numbers of every size": {"a": [2**64, -(2**70), 1e308, 5e-324, 10**400]},
    "deep": {"a": [[[[[[[[[[1]]]]]]]]]]},
    "controls": {"path": "\0\x01\x7f\u2028", "sku": "\ufeff", "campaign": "😀" * 5_000},
    "types": {"path": {"a": 1}, "sku": True, "campaign": None, "category": 1.5, "value": [1]},
}


def test_no_value_of_a_row_stops_the_loader_and_all_else_is_written(log: Log, history: ClickHouse) -> None:
    rows = [event(f"p{number}", 1, "page_viewed", at(0)) for number in range(100)]
    for number, properties in enumerate(HOSTILE.values()):
        rows[7 * number] = event(f"h{number}", 1, "page_viewed", at(0), **properties)
    instants = {50: 10**17, 60: -(10**17), 70: 2**62, 80: -5_000_000_000_000}
    for place, instant in instants.items():
        rows[place] = event(f"i{place}", 1, "page_viewed", instant)
    raw = [outgoing(row) for row in rows]
    raw.append(Outgoing(ROWS, b"demo/x", raw[1].value.replace(b'"offset":1,', b'"offset":' + b"9" * 30 + b",")))  # type: ignore[union-attr]
    log.publisher().publish(raw)
    load_in_peace(log, history)
    written = {str(name) for (name,) in history.rows("SELECT subscriber FROM events")}
    letters = history.rows("SELECT reason, key FROM dead_letters ORDER BY key")
    set_aside = {str(key).removeprefix("demo/") for _, key in letters}
    assert {reason for reason, _ in letters} <= {"refused_by_history", "undecodable"}
    assert {"h0", "i50", "i60", "i70", "i80"} <= set_aside
    assert len(written) + len(letters) == len(raw), "each is a row or a dead letter"
    assert not written & set_aside
    assert len(written) >= 94


def test_every_column_of_every_table_is_found_in_its_row(history: ClickHouse) -> None:
    inserts = Inserts(history)
    for table in TABLES.values():
        made = set(inserts.columns_of(table.name))
        assert made == set(history.columns(table.name)), table.name


class ToyRow(Value, frozen=True, tag="toy", tag_field="row"):
    """A row that is not there: one type, its SQL, and one line of ``TABLES``."""

    SCHEMA: ClassVar[int] = 1

    workspace: str
    subscriber: str
    at_ms: int
    words: tuple[str, ...] = ()
    weight: float | None = None
    schema: int = written(1)


TOY_SQL = """
CREATE TABLE toy_rows (workspace LowCardinality(String), subscriber String, at DateTime64(3, 'UTC'),
    words Array(String), weight Nullable(Float64), version UInt64, added_by_hand UInt8 DEFAULT 7)
ENGINE = ReplacingMergeTree(version) ORDER BY (workspace, subscriber, at)
"""


def test_one_more_row_is_its_type_its_sql_and_one_line(history: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {**TABLES, ToyRow: HistoryTable("toy_rows")}
    monkeypatch.setattr("analytics.tables.TABLES", tables)
    history.command(TOY_SQL)
    record = Record(ROWS, 0, 3, at(0), b"", b"")
    rows = rows_of(ToyRow("demo", "ann", at(0), ("a", "b")), record)
    Inserts(history, tables).insert(rows)
    assert history.rows("SELECT subscriber, words, weight, added_by_hand FROM toy_rows") == [
        ("ann", ["a", "b"], None, 7)
    ]
