"""The embedded ClickHouse's HTTP interface beside the same query by the engine in a process of its own, in one run.

``./segma bench analytics`` asks both for a million rows in several formats, inserts them, asks small questions on new
connections, and lets twenty clients ask at once. Rounds alternate, so that a slow moment of the machine meets both
alike. A ratio is the engine's best time by the server's: 1 is as fast as the engine itself. It prints each beside its
limit, draws them, and ends with 1 where one is missed.
"""

from __future__ import annotations

import json
import multiprocessing
import socket
import statistics
import sys
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import chdb
import click
from matplotlib import pyplot
from rich.table import Table

from analytics.embedded.encodings import Framer, Unframer
from cli.output import out
from tests.analytics.embedded import Embedded

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "bench" / "results"
COLUMNS: Final = (
    "id UInt64, at DateTime64(3, 'UTC'), action LowCardinality(String), path String, value Nullable(Float64)"
)
MADE: Final = (
    "SELECT number, toDateTime64(1790000000, 3, 'UTC') + number, "
    "['page_viewed', 'product_added', 'searched'][number % 3 + 1], concat('/products/', toString(number % 500)), "
    "if(number % 7 = 0, NULL, number / 7) FROM numbers({rows})"
)
TABLES: Final = ("source", "sink", "small")
SELECT: Final = "SELECT * FROM bench.source"
SMALL: Final = "SELECT action, count() FROM bench.small GROUP BY action ORDER BY action"
PIECE: Final = 1024 * 1024
LIMITS: Final[Mapping[str, float]] = {
    "SELECT Native": 0.95,
    "SELECT ArrowStream": 0.95,
    "SELECT JSONEachRow": 0.9,
    "SELECT Native, compress=1": 0.7,
    "INSERT Native": 0.85,
    "INSERT JSONEachRow": 0.85,
    "INSERT Native, decompress=1": 0.7,
}
NONE: Final[Mapping[str, str]] = {}
FIRST_BYTE_MS: Final = 2.0
MANY: Final = 20
MANY_TIMES: Final = 3.0


# NOTE: whether mypy sees types in chDB hangs on what else is installed; so it is told here.
_connect: Final[Callable[[str], Any]] = chdb.connect


class OwnEngine:
    """The engine without a server: what is asked of it runs here, in a process that does nothing else."""

    def __init__(self, path: Path, rows: int) -> None:
        self._path = str(path)
        self._connection = _connect(self._path)
        for statement in prepared(rows):
            self._connection.query(statement)

    def select(self, fmt: str) -> float:
        """Seconds for the whole answer, as bytes."""
        began = time.perf_counter()
        result: Any = self._connection.send_query(SELECT, fmt)
        while (block := result.fetch()) is not None:
            block.bytes()
        result.cancel()
        return time.perf_counter() - began

    def whole(self, fmt: str) -> float:
        """Seconds for the whole answer in one piece."""
        began = time.perf_counter()
        result: Any = self._connection.query(SELECT, fmt)
        result.bytes()
        return time.perf_counter() - began

    def data(self, fmt: str) -> bytes:
        """The rows, for an insert."""
        result: Any = self._connection.query(SELECT, fmt)
        return bytes(result.bytes())

    def insert(self, fmt: str, data: bytes) -> float:
        """Seconds for an insert of these bytes."""
        self._connection.query("TRUNCATE TABLE bench.sink")
        began = time.perf_counter()
        insert: Any = self._connection.send_insert("INSERT INTO bench.sink", fmt)
        for at in range(0, len(data), PIECE):
            insert.append(data[at : at + PIECE])
        insert.finish()
        return time.perf_counter() - began

    def small(self) -> float:
        """Seconds until a small answer's first bytes are there, on a new connection."""
        began = time.perf_counter()
        connection = _connect(self._path)
        result: Any = connection.query(SMALL, "TSV")
        result.bytes()
        took = time.perf_counter() - began
        connection.close()
        return took


def prepared(rows: int) -> tuple[str, ...]:
    """The statements that make the tables."""
    made = MADE.format(rows=rows)
    return (
        "CREATE DATABASE bench",
        *(f"CREATE TABLE bench.{name} ({COLUMNS}) ENGINE = MergeTree ORDER BY id" for name in TABLES),
        f"INSERT INTO bench.source {made}",
        f"INSERT INTO bench.small {MADE.format(rows=1_000)}",
        "OPTIMIZE TABLE bench.source FINAL",
    )


def serve_engine(pipe: Pipe, path: Path, rows: int) -> None:
    """Answer what comes through the pipe, until it says no more."""
    engine = OwnEngine(path, rows)
    pipe.send(True)
    while asked := pipe.recv():
        name, *arguments = asked
        pipe.send(getattr(engine, name)(*arguments))


class Door:
    """A client that does as little as it can: a socket, bytes counted and forgotten."""

    def __init__(self, embedded: Embedded) -> None:
        self._port = embedded.port
        self._login = b64encode(f"segma:{embedded.passwords['segma']}".encode()).decode()

    def ask(
        self, sql: str, body: bytes = b"", *, keep: bool = False, options: Mapping[str, str] = NONE
    ) -> tuple[float, float, bytes]:
        """Seconds until the first byte and the last on a new connection; the answer where it is kept.

        Raises :class:`RuntimeError` where the answer is no success.
        """
        head = (
            f"POST /?{urlencode({'query': sql, **options})} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
            f"Authorization: Basic {self._login}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        into, answer = bytearray(4 * PIECE), bytearray()
        began = time.perf_counter()
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            connection.sendall(head.encode())
            connection.sendall(body)
            size = connection.recv_into(into)
            first = time.perf_counter() - began
            if not into.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(into[:size].decode(errors="replace"))
            answer += into[:size]
            while size := connection.recv_into(into):
                answer = answer + into[:size] if keep else answer[-8:] + into[:size][-8:]
        return first, time.perf_counter() - began, bytes(answer)


@contextmanager
def own_engine(rows: int) -> Iterator[Callable[..., Any]]:
    """A process with an engine of its own; call what is yielded with the name of what it shall do."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with tempfile.TemporaryDirectory() as directory:
        process = context.Process(target=serve_engine, args=(there, Path(directory) / "engine", rows), daemon=True)
        process.start()
        here.recv()

        def call(*asked: Any) -> Any:
            here.send(asked)
            return here.recv()

        yield call
        here.send(())
        process.join()


def pairs(door: Door, engine: Callable[..., Any]) -> dict[str, tuple[Callable[[], float], Callable[[], float]]]:
    """What is measured → (the engine's seconds, the server's)."""
    found: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {}
    sink = "INSERT INTO bench.sink FORMAT"

    def select(fmt: str, options: Mapping[str, str] = NONE) -> tuple[Callable[[], float], Callable[[], float]]:
        return (
            lambda: min(engine("select", fmt), engine("whole", fmt)),
            lambda: door.ask(f"{SELECT} FORMAT {fmt}", options=options)[1],
        )

    def insert(
        fmt: str, data: bytes, body: bytes, options: Mapping[str, str] = NONE
    ) -> tuple[Callable[[], float], Callable[[], float]]:
        def by_server() -> float:
            door.ask("TRUNCATE TABLE bench.sink")
            return door.ask(f"{sink} {fmt}", body, options=options)[1]

        return lambda: engine("insert", fmt, data), by_server

    for fmt in ("Native", "ArrowStream", "JSONEachRow"):
        found[f"SELECT {fmt}"] = select(fmt)
    found["SELECT Native, compress=1"] = select("Native", {"compress": "1"})
    native, lines = engine("data", "Native"), engine("data", "JSONEachRow")
    found["INSERT Native"] = insert("Native", native, native)
    found["INSERT JSONEachRow"] = insert("JSONEachRow", lines, lines)
    found["INSERT Native, decompress=1"] = insert("Native", native, Framer().compress(native), {"decompress": "1"})
    return found


def check(door: Door, engine: Callable[..., Any]) -> None:
    """Raise where the server's answer is not the engine's, byte for byte, in any order of its rows."""
    whole = engine("data", "JSONEachRow")
    _, _, answer = door.ask(f"{SELECT} FORMAT JSONEachRow", keep=True, options={"compress": "1"})
    framed, reader = bytearray(), Unframer()
    rest = answer.partition(b"\r\n\r\n")[2]
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        framed += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    lines = b"".join(reader.pieces(bytes(framed)))
    reader.finish()
    if sorted(lines.splitlines()) != sorted(whole.splitlines()):
        raise RuntimeError("the server's rows are not the engine's")


def small_ms(door: Door, count: int) -> list[float]:
    """Milliseconds of small questions one after another, each on a new connection, until their first byte."""
    return [1_000 * door.ask(SMALL)[0] for _ in range(count)]


def many_ms(door: Door, clients: int, each: int, pause_s: float) -> list[float]:
    """The same by so many clients at once; each pauses between two questions as a person's dashboard does."""
    found = list[float]()

    def run(number: int) -> None:
        time.sleep(pause_s * number / clients)
        for _ in range(each):
            took = 1_000 * door.ask(SMALL)[1]
            found.append(took)
            time.sleep(max(0.0, pause_s - took / 1_000))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def percentile(values: list[float], share: float) -> float:
    """A quantile of these values."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def measure(door: Door, engine: Callable[..., Any], rounds: int, only: str) -> dict[str, Any]:
    """All figures."""
    times: dict[str, tuple[list[float], list[float]]] = {}
    measured = {name: pair for name, pair in pairs(door, engine).items() if only in name}
    for name, (by_engine, by_server) in measured.items():
        times[name] = ([], [])
        for _ in range(rounds + 1):
            times[name][0].append(by_engine())
            times[name][1].append(by_server())
    # NOTE: the first round of each warms caches.
    best = {name: (min(one[1:]), min(two[1:])) for name, (one, two) in times.items()}
    typical = {name: (statistics.median(one[1:]), statistics.median(two[1:])) for name, (one, two) in times.items()}
    small_ms(door, 20)
    own, ours = list[float](), list[float]()
    for _ in range(10 * rounds):
        own += [1_000 * engine("small") for _ in range(4)]
        ours += small_ms(door, 4)
    single = many_ms(door, 1, 20 * rounds, 0.25)
    many = many_ms(door, MANY, 4 * rounds, 0.25)
    return {
        "ratios": {name: one / two for name, (one, two) in best.items()},
        "ratios_of_medians": {name: one / two for name, (one, two) in typical.items()},
        "seconds": {name: {"engine": one, "server": two} for name, (one, two) in best.items()},
        "first_byte_ms": {"engine": percentile(own, 0.5), "server": percentile(ours, 0.5)},
        "p99_ms": {"one client": percentile(single, 0.99), f"{MANY} clients": percentile(many, 0.99)},
    }


def judged(found: Mapping[str, Any]) -> list[tuple[str, float, str, bool]]:
    """(What, what was found, its limit, whether that was met)."""
    rows = [(name, ratio, f"≥ {LIMITS[name]}", ratio >= LIMITS[name]) for name, ratio in found["ratios"].items()]
    later = found["first_byte_ms"]["server"] - found["first_byte_ms"]["engine"]
    rows.append(("first byte, ms later than the engine's", later, f"≤ {FIRST_BYTE_MS}", later <= FIRST_BYTE_MS))
    one, many = found["p99_ms"].values()
    rows.append((f"p99 of {MANY} clients by one client's", many / one, f"≤ {MANY_TIMES}", many / one <= MANY_TIMES))
    return rows


def draw(found: Mapping[str, Any]) -> Path:
    """Draw ratios beside limits, and the milliseconds of small questions."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    names = list(found["ratios"])
    left.barh(names, list(found["ratios"].values()), color="#3b6ea8")
    for place, name in enumerate(names):
        left.plot([LIMITS[name]] * 2, [place - 0.4, place + 0.4], color="#c0392b")
    left.axvline(1, color="#888", linewidth=0.8)
    left.set_xlabel("engine's seconds by the server's; red: the limit")
    left.set_title("A million rows")
    bars = {
        **{f"first byte, p50: {name}": value for name, value in found["first_byte_ms"].items()},
        **{f"p99: {name}": value for name, value in found["p99_ms"].items()},
    }
    right.barh(list(bars), list(bars.values()), color="#3b6ea8")
    right.set_xlabel("milliseconds")
    right.set_title("Small questions, a new connection each")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "analytics.png"
    figure.savefig(path, dpi=110)
    return path


@click.command(help=__doc__)
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--rounds", default=7, show_default=True)
@click.option("--only", default="", help="Measure only what has this in its name, beside the small questions.")
def main(rows: int, rounds: int, only: str) -> None:
    with tempfile.TemporaryDirectory() as home, own_engine(rows) as engine:
        embedded = Embedded(Path(home))
        embedded.start()
        try:
            door = Door(embedded)
            for statement in prepared(rows):
                door.ask(statement)
            check(door, engine)
            found = measure(door, engine, rounds, only)
        finally:
            embedded.stop()
    table = Table("what", "found", "limit", box=None)
    rated = judged(found)
    for name, value, limit, met in rated:
        table.add_row(name, f"{value:.2f}", f"{limit}{'' if met else '  missed'}")
    out.print(table)
    out.print(json.dumps(found, indent=2))
    path = draw(found)
    (RESULTS / "analytics.json").write_text(json.dumps(found, indent=2) + "\n")
    out.print(f"drawn in {path.relative_to(ROOT)}")
    sys.exit(not all(met for *_, met in rated))


if __name__ == "__main__":
    main()
