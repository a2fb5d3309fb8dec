"""Ten million events in the embedded ClickHouse: how fast in, how big, how fast each named query, how far behind.

``./segma bench history`` fills a database with the loader's own rows and inserts, lets the engine make the rest of
them from these, asks every named query, and then streams rows through log and loader while an analyst's question takes
all it can get for 30 s. The limit beside the insert rate is what the engine does by itself.
"""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import click
from matplotlib import pyplot
from rich.progress import Progress
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analytics.clickhouse import ClickHouse, HistoryError
from analytics.columns import Inserts
from analytics.loader import Loader
from analytics.named_queries import named_queries
from analytics.tables import TableRow, rows_of
from cli.output import err, out
from contracts.codec import to_json
from contracts.commands import Command, EventRef, Outcome, Result, Verb
from contracts.events import Event
from contracts.log import Log, Outgoing, Record
from contracts.rows import CommandRow, EventRow, MatchRow, MembershipRow, Row, SessionRow
from contracts.topics import ROWS, subscriber_key
from tests.analytics.embedded import Embedded
from tests.analytics.streaming import write_home

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
START = 1_790_000_000_000
SPAN_MS = 30 * 86_400_000
BATCH = 20_000
CATCH_UP_S, CAUGHT_UP_S = 120.0, 2.0
ACTIONS = ("page_viewed",) * 6 + ("product_added", "product_bought", "email_clicked", "button_clicked")
SIZE = "SELECT sum(bytes_on_disk), sum(rows) FROM system.parts WHERE active AND database = currentDatabase()"
PARAMETERS = {"list": "hot", "person": "s_4", "listener": "keen", "action": "product_bought", "since": "2026-09-21"}


def event_of(number: int, random: Random, people: int, total: int) -> EventRow:
    """One event: people come back through the month, pages and products at random."""
    at_ms = START + number * SPAN_MS // total
    person = random.randrange(people)
    told = Event(
        workspace="demo",
        subscriber=f"s_{person}",
        event_id=f"{number:012x}{random.getrandbits(40):010x}",
        action=random.choice(ACTIONS),
        occurred_at_ms=at_ms,
        order=number % 7,
        properties={
            "path": f"/products/{random.randrange(500)}",
            "category": f"c{person % 20}",
            "sku": f"sku-{random.randrange(2_000)}",
            "value": random.randrange(20_000) / 100,
            "title": "A product of the shop",
        },
        site="shop",
        device=f"d{person}",
        received_at_ms=at_ms + random.randrange(300),
        log_time_ms=at_ms + 300,
        partition=number % 4,
        offset=number // 4,
    )
    return EventRow(told, f"{person:08x}{at_ms // 1_800_000:024x}")


def rest_of(person: int) -> Iterator[Row | Outcome]:
    """Of every person a baseline and four sessions; of every second one a match, its command and its outcome."""
    who, at_ms = f"s_{person}", START + person * 997 % (SPAN_MS // 2)
    yield MembershipRow("demo", "mailbox", "newsletter", who, True, START)
    for number in range(4):
        begun = at_ms + number * 86_400_000
        yield SessionRow("demo", who, f"{who}.{number}", begun, begun + 300_000, 8, "/", f"mail-{number}")
    if person % 2:
        return
    evidence: dict[str, tuple[EventRef, ...]] = {
        "clicked": (EventRef(f"a{person}", "email_clicked", at_ms - 60_000),),
        "looked": (EventRef(f"b{person}", "page_viewed", at_ms),),
    }
    yield MatchRow("match", "demo", who, "keen", 1, f"m{person}", at_ms, evidence, log_time_ms=at_ms + 30)
    command = Command(
        command_id=f"c{person}",
        workspace="demo",
        account="mailbox",
        subscriber=who,
        verb=Verb.MOVE,
        listener="keen",
        version=1,
        match_id=f"m{person}",
        position=0,
        matched_at_ms=at_ms,
        to_list="hot",
        from_list="newsletter",
        evidence=evidence,
        log_time_ms=at_ms + 30,
        received_at_ms=at_ms + 20,
    )
    yield CommandRow(command)
    yield Outcome(
        command_id=f"c{person}",
        workspace="demo",
        account="mailbox",
        subscriber=who,
        result=Result.APPLIED,
        at_ms=at_ms + 150 + person % 100,
        changed=("+hot", "-newsletter"),
    )


def insert(inserts: Inserts, rows: list[TableRow]) -> None:
    """As the loader: one insert a table."""
    tables: dict[str, list[TableRow]] = {}
    for row in rows:
        tables.setdefault(row.table, []).append(row)
    for some in tables.values():
        inserts.insert(some)


def batch_of(task: tuple[int, int, int]) -> list[TableRow]:
    """The rows of one insert, ready for it. ``task``: which batch, how many people and events there are."""
    which, people, events = task
    random, found = Random(which), list[TableRow]()
    for number in range(which * BATCH, min((which + 1) * BATCH, events)):
        record = Record(ROWS, number % 4, number // 4, START + number, b"", b"")
        found += rows_of(event_of(number, random, people, events), record)
    return found


def fill(clickhouse: ClickHouse, events: int, people: int) -> float:
    """Seconds for the events; they are made by another process, so that the engine is what is measured."""
    inserts = Inserts(clickhouse)
    tasks = [(which, people, events) for which in range(-(-events // BATCH))]
    with multiprocessing.get_context("spawn").Pool(1) as pool, Progress(console=err, transient=True) as progress:
        shown = progress.add_task("inserting events", total=events)
        batches = pool.imap(batch_of, tasks)
        inserts.insert(next(batches))
        began = time.perf_counter()
        for rows in batches:
            inserts.insert(rows)
            progress.advance(shown, BATCH)
        took = time.perf_counter() - began
    waiting = list[TableRow]()
    for person in range(people):
        record = Record(ROWS, 0, person, START + person, b"", b"")
        waiting += [each for row in rest_of(person) for each in rows_of(row, record)]
        if len(waiting) >= BATCH:
            insert(inserts, waiting)
            waiting = []
    insert(inserts, waiting)
    return took


def loaded_in(clickhouse: ClickHouse, log: Log, events: int) -> float:
    """Seconds for the loader to read, check and insert so many events that are in the log already."""
    random, publisher = Random(4), log.publisher()
    for first in range(0, events, BATCH):
        rows = [event_of(number, random, 50_000, 10**7) for number in range(first, min(first + BATCH, events))]
        publisher.publish([Outgoing(ROWS, subscriber_key("demo", row.event.subscriber), to_json(row)) for row in rows])
    loader = Loader(log, clickhouse, now_ms=lambda: START, pause=time.sleep, stopping=lambda: False)
    began = time.perf_counter()
    while loader.round():
        pass
    took = time.perf_counter() - began
    for consumer in loader._consumers:
        consumer.close()
    return took


def grow(clickhouse: ClickHouse, inserted: int, events: int) -> float:
    """Seconds for the engine to bring the table to so many events by itself, from those that were inserted: the limit.

    The further ones are of other people, under other ids.
    """
    times = events // inserted - 1
    if times < 1:
        return float("nan")
    began = time.perf_counter()
    clickhouse.command(
        "INSERT INTO event_rows SELECT e.* REPLACE (concat(e.subscriber, '-', toString(n.number)) AS subscriber, "
        "concat(e.event_id, '-', toString(n.number)) AS event_id) "
        f"FROM event_rows AS e CROSS JOIN numbers({times}) AS n"
    )
    return time.perf_counter() - began


def sizes(clickhouse: ClickHouse) -> dict[str, float]:
    """Bytes a row on disk after merging, of each table."""
    found = {}
    for (table,) in clickhouse.rows("SELECT DISTINCT table FROM system.parts WHERE active AND table LIKE '%_rows'"):
        clickhouse.command(f"OPTIMIZE TABLE {table} FINAL")
        size, rows = clickhouse.rows(f"{SIZE} AND table = {{table:String}}", {"table": table})[0]
        found[str(table)] = size / max(rows, 1)
    return found


def query_times(clickhouse: ClickHouse) -> dict[str, float]:
    """Seconds of every named query, the best of three."""
    found = {}
    for name, query in named_queries().items():
        given = {each.name: PARAMETERS[each.name] for each in query.parameters if each.name in PARAMETERS}
        bound = query.bound(given, workspace="demo", now_ms=START + SPAN_MS + 86_400_000)
        times = []
        for _ in range(3):
            began = time.perf_counter()
            clickhouse.rows(query.sql, bound)
            times.append(time.perf_counter() - began)
        found[name] = min(times)
        err.print(f"{name}: {found[name]:.2f} s")
    return found


class Lag:
    """Rows stream through log and loader; how old the newest one in ClickHouse is, sampled."""

    def __init__(self, embedded: Embedded, log: Log, rate: int) -> None:
        self._embedded, self._log, self._rate = embedded, log, rate
        self.samples: list[tuple[float, float]] = []
        self._done = threading.Event()

    def write(self) -> None:
        """So many rows a second, in tenths."""
        publisher, random, number = self._log.publisher(), Random(9), 0
        while not self._done.wait(0.1):
            rows = [event_of(number + each, random, 50_000, 10**7) for each in range(self._rate // 10)]
            number += len(rows)
            publisher.publish(
                [Outgoing(ROWS, subscriber_key("demo", row.event.subscriber), to_json(row)) for row in rows]
            )

    def sample(self, began: float) -> None:
        """Four times a second."""
        clickhouse = ClickHouse(self._embedded.url, "segma", self._embedded.passwords["segma"], "segma")
        while not self._done.wait(0.25):
            newest = clickhouse.rows("SELECT max(intDiv(version, 4194304)) FROM event_rows WHERE workspace = 'demo'")[
                0
            ][0]
            self.samples.append((time.perf_counter() - began, time.time() - newest / 1_000))
        clickhouse.close()

    def measure(self, quiet_s: float, busy_s: float) -> tuple[float, float, float]:
        """Quiet, then with an analyst's question, then quiet: since when it kept up, and when the question ran."""
        loader = subprocess.Popen([sys.executable, "-m", "analytics", "loader"], env=self._embedded.environment())
        began = time.perf_counter()
        threads = [threading.Thread(target=self.write), threading.Thread(target=self.sample, args=(began,))]
        for thread in threads:
            thread.start()
        # The loader has to come up first, and to take what had gathered by then.
        while time.perf_counter() - began < CATCH_UP_S and not (self.samples and self.samples[-1][1] < CAUGHT_UP_S):
            time.sleep(0.25)
        caught_up = time.perf_counter() - began
        time.sleep(quiet_s)
        asked = time.perf_counter() - began
        analyst = ClickHouse(self._embedded.url, "analyst", self._embedded.passwords["analyst"], "segma")
        until = time.perf_counter() + busy_s
        while time.perf_counter() < until:
            try:
                analyst.rows(
                    "SELECT uniqExact(sipHash64(properties, number)) FROM event_rows CROSS JOIN numbers(40) AS n"
                )
            except HistoryError as error:
                err.print(f"the analyst's question ended: {str(error)[:80]}")
        answered = time.perf_counter() - began
        time.sleep(quiet_s)
        self._done.set()
        for thread in threads:
            thread.join()
        loader.terminate()
        loader.wait(60)
        analyst.close()
        return caught_up, asked, answered


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else float("nan")


def draw(found: dict[str, Any], lag: Lag, busy: Sequence[float]) -> Path:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    times = dict(sorted(found["queries_s"].items(), key=lambda each: each[1]))
    left.barh(list(times), list(times.values()), color="#3b6ea8")
    left.set_xlabel("seconds, best of three")
    left.set_title(f"Named queries over {found['events']:,} events")
    right.axvspan(*busy, color="#f0d9b5", label="an analyst's question runs")
    right.plot(*zip(*lag.samples, strict=True), color="#3b6ea8")
    right.set_xlabel("seconds")
    right.set_ylabel("age of the newest row, seconds")
    right.set_ylim(bottom=0)
    right.set_title("How far the loader lags")
    right.legend()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "history.png"
    figure.savefig(path, dpi=110)
    return path


@click.command(help=__doc__)
@click.option("--events", default=10_000_000, show_default=True)
@click.option(
    "--inserted", default=1_000_000, show_default=True, help="Of them as the loader does it; the rest in SQL."
)
@click.option("--people", default=100_000, show_default=True)
@click.option("--rate", default=2_000, show_default=True, help="Rows a second while the lag is measured.")
@click.option("--busy-s", default=30.0, show_default=True, help="How long the analyst's question runs.")
def main(events: int, inserted: int, people: int, rate: int, busy_s: float) -> None:
    loadable = min(inserted, 100_000)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        embedded, log = Embedded(home), write_home(home)
        embedded.start()
        clickhouse = embedded.history("segma")
        try:
            took = fill(clickhouse, inserted, people)
            per_row = sizes(clickhouse)  # before the engine multiplies them: repetitions would pack too well
            grown = grow(clickhouse, inserted, events)
            clickhouse.command("OPTIMIZE TABLE event_rows FINAL")
            found: dict[str, Any] = {
                "events": events,
                "inserted_per_s": (inserted - BATCH) / took,
                "grown_by_the_engine_per_s": (events - inserted) / grown,
                "inserted_against_grown": (inserted - BATCH) / took * grown / max(events - inserted, 1),
                "loaded_from_the_log_per_s": loadable / loaded_in(clickhouse, log, loadable),
                "bytes_a_row": per_row,
                "queries_s": query_times(clickhouse),
            }
            lag = Lag(embedded, log, rate)
            caught_up, *busy = lag.measure(8.0, busy_s)
        finally:
            clickhouse.close()
            embedded.stop()
            log.close()
    quiet = [age for at, age in lag.samples if caught_up <= at < busy[0]]
    loaded = [age for at, age in lag.samples if busy[0] <= at <= busy[1]]
    for title, ages in (("quiet", quiet), ("while an analyst asks", loaded)):
        found[f"lag_s {title}"] = {"p50": percentile(ages, 0.5), "p99": percentile(ages, 0.99), "samples": len(ages)}
    table = Table("what", "found", box=None)
    for key, value in found.items():
        table.add_row(key, json.dumps(value) if isinstance(value, dict) else f"{value:,.2f}")
    out.print(table)
    path = draw(found, lag, busy)
    (RESULTS / "history.json").write_text(json.dumps(found, indent=2) + "\n")
    out.print(f"drawn in {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
