"""Other ways to lay out the table of events, side by side: bytes a row on disk, seconds to copy, seconds of questions.

``./segma bench history_layout`` fills the table as the loader does, copies the same rows into tables that differ in one
thing each, merges all of them, and asks each the named queries that read events, through the same view. It prints every
figure as a ratio to the table as it is, and draws ``bench/results/history_layout.png``.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from matplotlib import pyplot
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analytics.clickhouse import ClickHouse
from analytics.migrate import read_migrations
from analytics.named_queries import named_queries
from bench.history import PARAMETERS, RESULTS, SPAN_MS, START, fill
from cli.output import err, out
from tests.analytics.embedded import Embedded

AS_IT_IS = "as it is"
KEY = "ORDER BY (workspace, subscriber, occurred_at, event_id, copy)"
NAMED = ("timeline", "funnel", "conversion")
"""The named queries that read events."""
BY_DAY = (
    "SELECT action, count() FROM events WHERE workspace = 'demo' AND toDate(occurred_at) = '2026-09-25' GROUP BY action"
)
"""What an analyst asks beside them: one day of everybody."""
DISK = (
    "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts "
    "WHERE active AND database = currentDatabase() AND table = {table:String}"
)


def variants(ddl: str) -> dict[str, str]:
    """The table's DDL changed in one thing each."""
    return {
        "no codecs": re.sub(r" CODEC\([^\n]*?\)(?=,?\n)", "", ddl),
        "ZSTD(3) everywhere": ddl.replace("ZSTD(1)", "ZSTD(3)"),
        "no dictionaries": ddl.replace("LowCardinality(String)", "String"),
        "key: time first": ddl.replace(KEY, "ORDER BY (workspace, occurred_at, subscriber, event_id, copy)"),
        "key: action first": ddl.replace(KEY, "ORDER BY (workspace, action, subscriber, occurred_at, event_id, copy)"),
        "partition: none": ddl.replace("PARTITION BY toYYYYMM(occurred_at)\n", ""),
        "partition: day": ddl.replace("toYYYYMM(occurred_at)", "toDate(occurred_at)"),
    }


def seconds(clickhouse: ClickHouse) -> dict[str, float]:
    """The best of three of each question."""
    questions: dict[str, tuple[str, dict[str, Any] | None]] = {"a day": (BY_DAY, None)}
    for name in NAMED:
        query = named_queries()[name]
        given = {each.name: PARAMETERS[each.name] for each in query.parameters if each.name in PARAMETERS}
        questions[name] = (query.sql, query.bound(given, workspace="demo", now_ms=START + SPAN_MS + 86_400_000))
    found = {}
    for name, (sql, params) in questions.items():
        times = []
        for _ in range(3):
            began = time.perf_counter()
            clickhouse.rows(sql, params)
            times.append(time.perf_counter() - began)
        found[name] = min(times)
    return found


def measured(clickhouse: ClickHouse, view: str, table: str) -> dict[str, float]:
    """Bytes a row and the questions' times, with the view ``events`` over this table, merged."""
    clickhouse.command(f"OPTIMIZE TABLE {table} FINAL")
    clickhouse.command(view.replace("event_rows", table))
    return {"bytes a row": float(clickhouse.rows(DISK, {"table": table})[0][0]), **seconds(clickhouse)}


def compared(clickhouse: ClickHouse, statements: list[str]) -> dict[str, dict[str, float]]:
    """Every layout's figures."""
    ddl = next(each for each in statements if "EXISTS event_rows" in each)
    view = next(each for each in statements if "VIEW events" in each)
    seconds(clickhouse)  # the first questions of a server are slower than all others
    results: dict[str, dict[str, float]] = {}
    for number, (title, text) in enumerate({AS_IT_IS + ", copied": ddl, **variants(ddl)}.items()):
        assert number == 0 or text != ddl, title
        table = f"variant_{number}"
        clickhouse.command(text.replace("EXISTS event_rows", f"EXISTS {table}"))
        began = time.perf_counter()
        clickhouse.command(f"INSERT INTO {table} SELECT * FROM event_rows")
        copied = time.perf_counter() - began
        results[title] = {"copying": copied, **measured(clickhouse, view, table)}
        err.print(title, results[title])
        clickhouse.command(f"DROP TABLE {table} SYNC")
    return results


def draw(results: dict[str, dict[str, float]], events: int) -> Path:
    """Every layout's figures as ratios to the table as it is."""
    base, titles = next(iter(results.values())), list(results)
    figure, axes = pyplot.subplots(1, len(base), figsize=(3 * len(base), 4), sharey=True, layout="constrained")
    for axis, name in zip(axes, base, strict=True):
        ratios = [results[title][name] / base[name] for title in titles]
        axis.barh(titles, ratios, color=["#888888"] + ["#3b6ea8"] * (len(titles) - 1))
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_title(name)
        axis.set_xlabel("times")
    axes[0].invert_yaxis()
    figure.suptitle(f"Layouts of the table of events, {events:,} events, against the table as it is (less is better)")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "history_layout.png"
    figure.savefig(path, dpi=110)
    return path


@click.command(help=__doc__)
@click.option("--events", default=5_000_000, show_default=True)
@click.option("--people", default=50_000, show_default=True)
def main(events: int, people: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        embedded = Embedded(Path(name))
        embedded.start()
        clickhouse = embedded.history("segma")
        statements = [text for each in read_migrations(embedded.settings.migrations) for text in each.statements]
        try:
            took = fill(clickhouse, events, people)
            err.print(f"{events / took:,.0f} rows a second inserted")
            clickhouse.command("OPTIMIZE TABLE event_rows FINAL")
            results = compared(clickhouse, statements)
        finally:
            clickhouse.close()
            embedded.stop()
    base = next(iter(results.values()))
    table = Table("layout", *base, box=None)
    for title, each in results.items():
        ratios = (f"{value / base[name]:.2f} times" for name, value in each.items())
        table.add_row(title, *((f"{value:.4g}" for value in each.values()) if each is base else ratios))
    out.print(table)
    err.print(f"drawn: {draw(results, events)}", markup=False)
    (RESULTS / "history_layout.json").write_text(json.dumps({"events": events, "layouts": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
