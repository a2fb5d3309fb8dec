"""No row that an analyst can read names a device: its id is all that a stranger needs to act for who uses it."""

from __future__ import annotations

from analytics.clickhouse import ClickHouse
from contracts.dead_letters import letter_of
from contracts.log import Record
from contracts.tokens import anonymous_id
from tests.analytics.embedded import Embedded
from tests.analytics.story import at, put

DEVICE = "d-ann"
"""As the story's events have it."""


def test_no_row_names_a_device(embedded: Embedded, story: ClickHouse) -> None:
    record = Record("beacons", 0, 9, 1, f"demo/{DEVICE}".encode(), f'{{"device":"{DEVICE}","events":7}}'.encode())
    put(story, [letter_of(record, "bad_event", "", at_ms=at(0), workspace="demo")])
    with embedded.client("analyst", database="segma") as analyst:
        tables = [
            name for (name,) in analyst.query("SELECT name FROM system.tables WHERE database = 'segma'").result_rows
        ]
        texts = {name: analyst.raw_query(f"SELECT * FROM {name}", fmt="JSONEachRow").decode() for name in tables}
        hashed = anonymous_id("demo", DEVICE)
        assert analyst.query("SELECT DISTINCT device FROM events WHERE subscriber = 'ann'").result_rows == [(hashed,)]
    assert {"events", "event_rows", "dead_letters", "dead_letter_rows"} <= set(tables)
    assert [name for name, text in texts.items() if DEVICE in text] == []
    assert f"demo/{hashed}" in texts["dead_letters"].replace("\\/", "/")
