"""Other ways to lay out the table of events, side by side: bytes a row on disk, and the time of three usual questions.

``./segma bench history_layout`` fills the table as it is, copies the same rows into tables that differ in one thing
each, merges all of them, and prints every figure as a ratio to the table as it is.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.history import BATCH, batch_of
from tests.analytics.embedded import Embedded

from segma.analytics.clickhouse import ClickHouse
from segma.analytics.migrate import read_migrations
from segma.cli.output import out

AS_IT_IS = "as it is"
KEY = "ORDER BY (workspace, subscriber, occurred_at, event_id, copy)"
QUESTIONS = {
    "one person": "SELECT count() FROM {} FINAL WHERE workspace = 'demo' AND subscriber = 's_4' AND copy = 0",
    "a day's actions": "SELECT action, count() FROM {} FINAL WHERE workspace = 'demo' AND copy = 0 "
    "AND toDate(occurred_at) = '2026-09-25' GROUP BY action",
    "all actions": "SELECT action, uniqExact(subscriber) FROM {} FINAL WHERE workspace = 'demo' AND copy = 0 "
    "GROUP BY action",
}


def variants(ddl: str) -> dict[str, str]:
    """The table's DDL as it is, and changed in one thing each."""
    return {
        AS_IT_IS: ddl,
        "no codecs": re.sub(r" CODEC\([^\n]*?\)(?=,?\n)", "", ddl),
        "ZSTD(3) everywhere": ddl.replace("ZSTD(1)", "ZSTD(3)"),
        "no dictionaries": ddl.replace("LowCardinality(String)", "String"),
        "key: time first": ddl.replace(KEY, "ORDER BY (workspace, occurred_at, subscriber, event_id, copy)"),
        "key: action first": ddl.replace(KEY, "ORDER BY (workspace, action, subscriber, occurred_at, event_id, copy)"),
        "partition: none": ddl.replace("PARTITION BY toYYYYMM(occurred_at)\n", ""),
        "partition: day": ddl.replace("toYYYYMM(occurred_at)", "toDate(occurred_at)"),
    }


def measured(clickhouse: ClickHouse, table: str) -> dict[str, float]:
    """Bytes a row, and the best of three of each question."""
    clickhouse.command(f"OPTIMIZE TABLE {table} FINAL")
    sql = (
        "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts "
        "WHERE active AND database = currentDatabase() AND table = {table:String}"
    )
    found = {"bytes a row": float(clickhouse.rows(sql, {"table": table})[0][0])}
    for name, question in QUESTIONS.items():
        times = []
        for _ in range(3):
            began = time.perf_counter()
            clickhouse.rows(question.format(table))
            times.append(time.perf_counter() - began)
        found[name] = min(times)
    return found


@click.command(help=__doc__)
@click.option("--events", default=500_000, show_default=True)
def main(events: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        embedded = Embedded(Path(name))
        embedded.start()
        clickhouse = embedded.history("segma")
        ddl = next(each for each in read_migrations(embedded.settings.migrations)[0].statements if "event_rows" in each)
        try:
            for which in range(-(-events // BATCH)):
                clickhouse.insert("event_rows", batch_of((which, 50_000, events)))
            measured(clickhouse, "event_rows")  # the first questions of a server are slower than all others
            results = {AS_IT_IS: measured(clickhouse, "event_rows")}
            for number, (title, text) in enumerate(variants(ddl).items()):
                if title == AS_IT_IS:
                    continue
                assert text != ddl, title
                clickhouse.command(text.replace("EXISTS event_rows", f"EXISTS variant_{number}"))
                clickhouse.command(f"INSERT INTO variant_{number} SELECT * FROM event_rows")
                results[title] = measured(clickhouse, f"variant_{number}")
                clickhouse.command(f"DROP TABLE variant_{number} SYNC")
        finally:
            clickhouse.close()
            embedded.stop()
    base = results[AS_IT_IS]
    table = Table("layout", *base, box=None)
    for title, each in results.items():
        if title == AS_IT_IS:
            table.add_row(title, *(f"{value:.4g}" for value in each.values()))
        else:
            table.add_row(title, *(f"{value / base[name]:.2f} times" for name, value in each.items()))
    out.print(table)


if __name__ == "__main__":
    main()
