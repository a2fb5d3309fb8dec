"""Rows that stream into the log while loader and server are killed, and the same rows loaded in peace."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

from analytics.clickhouse import ClickHouse, HistoryError
from analytics.loader import Loader
from contracts.codec import to_json, to_msgpack
from contracts.commands import Outcome
from contracts.log import Log, Outgoing
from contracts.rows import DeadLetter
from contracts.topics import DEAD_LETTERS, OUTCOMES, ROWS, fixed_topics, subscriber_key
from tests.analytics.embedded import PATIENCE_S, Embedded
from tests.analytics.story import Written, at, baseline, event, moved, session
from transport import open_log
from transport.config import Settings

VIEWS: Final = ("events", "sessions", "matches", "moves", "memberships", "dead_letters")
CONFIG: Final = """
token_keys: {file: keys}
workspaces:
  demo:
    secret: {file: secret}
    accounts: {mailbox: {sink: file}}
"""


def write_home(home: Path) -> Log:
    """A home with an empty log."""
    (home / "segma.yaml").write_text(CONFIG)
    (home / "secret").write_text("s" * 40)
    (home / "keys").write_text(f"k1 {'ab' * 64}\n")
    log = open_log(Settings(data=home / "data"))
    log.ensure(fixed_topics())
    return log


def life(person: str, random: Random) -> list[Written]:
    """Some days of one person: events, a session that grows, perhaps a move, perhaps a dead letter."""
    rows: list[Written] = [baseline(person, "newsletter", at(0, random.randrange(1_000)))]
    steps = [
        event(person, number, random.choice(("page_viewed", "product_added")), at(1, number * 1_000 + 1), path="/ä'\\")
        for number in range(random.randint(2, 6))
    ]
    for number, step in enumerate(steps, start=1):
        rows += [step, session(person, at(1, 1), number, "spring", number * 1_000)]
    if random.random() < 0.5:
        rows += moved(person, steps[:2], answered_ms=2_000 + random.randrange(100))
    if random.random() < 0.1:
        rows.append(
            DeadLetter("not_json", "beacons", 1, random.randrange(10**9), at(1), "x", "demo", "", b"k", b"\xff", 1)
        )
    return rows


def outgoing(row: Written) -> Outgoing:
    """The record of a row, in its own topic."""
    if isinstance(row, DeadLetter):
        return Outgoing(DEAD_LETTERS, b"beacons", to_msgpack(row))
    if isinstance(row, Outcome):
        return Outgoing(OUTCOMES, b"demo/mailbox", to_json(row))
    subscriber = getattr(row, "subscriber", "") or getattr(getattr(row, "command", None) or row.event, "subscriber", "")  # type: ignore[union-attr]
    return Outgoing(ROWS, subscriber_key("demo", subscriber), to_json(row))


def stream(seed: int) -> Iterator[list[Outgoing]]:
    """People's rows without end, five people at a time; now and then the flow repeats some, as after its own crash."""
    random = Random(seed)
    for first in count(step=5):
        rows = [row for number in range(first, first + 5) for row in life(f"p{number}", random)]
        records = [outgoing(row) for row in rows]
        if random.random() < 0.2:
            records += records[-7:]
        yield records


class Killing:
    """Loader and server as processes that die, while rows stream."""

    def __init__(self, embedded: Embedded, log: Log) -> None:
        self.embedded, self.log = embedded, log
        self.loader: subprocess.Popen[bytes] | None = None

    def start_loader(self) -> None:
        with (self.embedded.home / "loader.log").open("ab") as output:
            self.loader = subprocess.Popen(
                [sys.executable, "-m", "analytics", "loader"],
                env=self.embedded.environment(),
                stdout=output,
                stderr=output,
            )

    def kill_loader(self) -> None:
        assert self.loader is not None
        self.loader.kill()
        self.loader.wait(30)

    def stop_loader(self) -> None:
        assert self.loader is not None
        self.loader.terminate()
        self.loader.wait(60)

    def run(self, seed: int, kills: int, told: Callable[[str], None] = lambda _: None) -> int:
        """Kill so many times, by turns the server and the loader, while rows stream; how many were written.

        Before each kill some more rows have arrived, and after that it comes at any moment of the next half second.
        """
        written, done, random = [0], threading.Event(), Random(seed)

        def write() -> None:
            publisher = self.log.publisher()
            for records in stream(seed):
                written[0] += len(publisher.publish(records))
                if done.wait(0.05):
                    return

        thread = threading.Thread(target=write)
        self.embedded.start()
        self.start_loader()
        thread.start()
        arrived = 0
        for number in range(kills):
            arrived = self.await_more(arrived)
            told(f"kill {number + 1}: {arrived} events have arrived")
            threading.Event().wait(random.uniform(0.0, 0.5))
            if number % 2:
                self.kill_loader()
                self.start_loader()
            else:
                self.embedded.kill()
                self.embedded.start()
        done.set()
        thread.join()
        self.stop_loader()
        return written[0]

    def await_more(self, than: int) -> int:
        """Wait until more event rows than so many are there; how many."""
        until = time.monotonic() + PATIENCE_S
        clickhouse = ClickHouse(self.embedded.url, "segma", self.embedded.passwords["segma"], "segma")
        while True:
            try:
                arrived = int(clickhouse.rows("SELECT count() FROM events")[0][0])
            except HistoryError:
                arrived = 0
            if arrived > than:
                clickhouse.close()
                return arrived
            assert time.monotonic() < until, (self.embedded.home / "loader.log").read_text()[-2_000:]
            threading.Event().wait(0.05)


def load_in_peace(log: Log, clickhouse: ClickHouse, *, name_again: bool = False) -> None:
    """Everything in the log, by a loader in this process that nothing disturbs."""
    loader = Loader(log, clickhouse, now_ms=lambda: at(0), pause=lambda _: None, stopping=lambda: False, most=1_000)
    if name_again:
        for consumer in loader._consumers:
            for partition in consumer.positions():
                consumer.seek(partition, 0)
    while loader.round():
        pass
    for consumer in loader._consumers:
        consumer.close()


def contents(clickhouse: ClickHouse) -> dict[str, list[tuple[object, ...]]]:
    """Every view's rows, in an order of their own."""
    return {view: sorted(clickhouse.rows(f"SELECT * FROM {view}"), key=repr) for view in VIEWS}
