"""The loader: everything arrives once, whatever dies; what cannot be loaded is set aside and told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from tests.analytics.embedded import Embedded
from tests.analytics.story import at, baseline, event, put, the_story
from tests.analytics.streaming import Killing, contents, load_in_peace, outgoing, stream, write_home

from segma.analytics.clickhouse import ClickHouse
from segma.analytics.erase import erase
from segma.analytics.loader import Loader
from segma.analytics.tables import OF_A_PERSON
from segma.contracts.log import Log, Outgoing
from segma.contracts.topics import DEAD_LETTERS, OUTCOMES, ROWS


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

        def insert(self, table: str, lines: Sequence[bytes], token: str = "") -> None:
            if table == "event_rows":
                erase(history, ("demo", "ann"), at(20))
            super().insert(table, lines, token)

    assert loader_of(log, Interrupted(**_options(history))).round() > 0
    assert history.rows("SELECT count() FROM event_rows WHERE subscriber = 'ann'") == [(0,)]


def _options(history: ClickHouse) -> dict[str, str]:
    options = history._options
    return {
        "url": f"{options['interface']}://{options['host']}:{options['port']}",
        "user": options["username"],
        "password": options["password"],
        "database": history._database,
    }


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
