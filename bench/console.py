"""The console's pages beside a large installation: each one's time, bytes and requests, its parts' times, its memory.

``./segma bench console`` makes a home with so many people, listeners and days of history, starts ClickHouse and the
console as ``segma up`` does, signs in as an engineer and asks every page of the table, and each part that comes into
it afterwards, again and again. A time is what somebody on loopback waits until the last byte. It prints each beside
its limit, draws them, and ends with 1 where one is missed. ``--home`` keeps what was made for the next time.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from html import unescape
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import urlopen

import click
from matplotlib.figure import Figure
from rich.table import Table

from analytics.config import analytics_settings_at, connect
from analytics.migrate import migrate, read_migrations
from bench.console_home import WORKSPACE, Sizes, apply, enrol, fill, person
from cli.output import err, out
from cli.supervise import ManagedProcess
from cli.up import LocalAddresses, programs_of
from console.access.table import PAGES, Role
from console.access.users import Users
from console.history import AWAY, SLOW, TIMEOUT_S, WRONG
from contracts.topics import topics_of
from tests.ports import free_port
from transport import open_log
from transport.config import load_installation, settings_at, wall_clock_ms

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "bench" / "results"
PAGE_MS: Final = 100
PART_MS: Final = 1_000 * TIMEOUT_S
MEMORY_MB: Final = 300
PATIENCE_S: Final = 120.0
MADE: Final = "made.json"
USER: Final = "bench"
ASKED: Final = {
    "listener": ("",),
    "confirm": ("?change=end",),
    "trial": ("", "?goal=product_bought&within=7d"),
    "write": ("", "?listener=l-1"),
    "person": ("", "?list=newsletter", "?listener=l-1"),
    "person_confirm": ("?change=export",),
    "list_sizes": ("", "?list=newsletter&at=-7d"),
}
"""Queries with which a page is asked for; every other one without."""
LEFT: Final = frozenset({"inbox", "recording", *(each.name for each in PAGES if each.least is None)})
"""Pages that are not asked: of the demo alone, of what one browser does, or without a login."""


def addresses() -> dict[str, str]:
    """Every page of the table that is read, by its name and query."""
    given = {"workspace": WORKSPACE, "listener": "l-1", "person": person(7)}
    wanted = [each for each in PAGES if each.method == "GET" and each.name not in LEFT and "/live/" not in each.path]
    return {
        f"{page.name}{query}": page.path.format(**given) + query
        for page in wanted
        for query in ASKED.get(page.name, ("",))
    }


class Visitor:
    """Somebody who is signed in, on one connection that stays open."""

    def __init__(self, address: str, password: str, console: int, history: int) -> None:
        """``console``, ``history``: the processes whose time is measured."""
        self._processes = console, history
        self._connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=6 * TIMEOUT_S)
        self._cookie = ""
        form = urlencode({"name": USER, "password": password, "next": "/"})
        kind = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
        self._connection.request("POST", "/login", form, kind)
        answer = self._connection.getresponse()
        answer.read()
        self._cookie = (answer.headers["set-cookie"] or "").partition(";")[0]

    def cpu_ms(self) -> float:
        """Milliseconds of processor time that the console and ClickHouse have had."""
        return sum(on_processor_ms(each) for each in self._processes)

    def ask(self, path: str) -> tuple[float, str]:
        """Milliseconds until the last byte, and the text."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers={"cookie": self._cookie})
        answer = self._connection.getresponse()
        body = answer.read()
        took = 1_000 * (time.perf_counter() - began)
        if answer.status != http.HTTPStatus.OK:
            raise click.ClickException(f"{path}: {answer.status}")
        return took, body.decode()


def make(home: Path, sizes: Sizes, now_ms: int) -> None:
    """The files and the log of the installation, all but its history."""
    words = ["init", "--home", str(home), "--workspace", WORKSPACE, "--origin", "https://shop.example"]
    subprocess.run([sys.executable, "-m", "cli", *words], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    (home / "listeners" / "looked-twice.yaml").unlink()
    log = open_log(settings_at(home))
    try:
        log.ensure(topics_of(load_installation(home / "segma.yaml")))
        err.print(f"{sizes.people:,} people in the directory")
        enrol(log, sizes.people)
        apply(home, log, sizes.listeners, now_ms)
    finally:
        log.close()
    (home / MADE).write_text(json.dumps({"now_ms": now_ms, "done": {}}))


def make_history(home: Path, sizes: Sizes) -> None:
    """What is not there yet of the month; ClickHouse runs."""
    made = json.loads((home / MADE).read_text())
    settings = analytics_settings_at(home)
    clickhouse = connect(settings)
    try:
        migrate(clickhouse, settings.clickhouse_database, read_migrations(settings.migrations))
        for table in fill(clickhouse, sizes, made["now_ms"], made["done"]):
            (home / MADE).write_text(json.dumps(made))
            err.print(f"{made['done'][table]:,} {table}")
    finally:
        clickhouse.close()


@contextmanager
def running(program: ManagedProcess, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One of the installation's processes, ready."""
    with (home / f"{program.name}.log").open("ab") as output:
        environment = {**os.environ, **program.environment}
        process = subprocess.Popen(program.command, env=environment, stdout=output, stderr=output, cwd=ROOT)
    try:
        until = time.monotonic() + PATIENCE_S
        while not answers(str(program.ready)):
            if process.poll() is not None or time.monotonic() > until:
                raise click.ClickException(f"{program.name} did not start: see {home / program.name}.log")
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def answers(url: str) -> bool:
    """Whether this address answers."""
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == http.HTTPStatus.OK)
    except OSError:
        return False


def on_processor_ms(pid: int) -> float:
    """Milliseconds of processor time that a process has had."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text("ascii").split()[0]) for each in threads) / 1e6


def memory_mb(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Megabytes that a process holds now, and held at most."""
    text = Path(f"/proc/{process.pid}/status").read_text("ascii")
    return {name: int(re.findall(rf"{key}:\s+(\d+)", text)[0]) / 1_024 for name, key in _MEMORY.items()}


_MEMORY: Final = {"now": "VmRSS", "most": "VmHWM"}


def p95(values: Sequence[float]) -> float:
    """The 95th percentile."""
    return sorted(values)[min(int(len(values) * 0.95), len(values) - 1)]


def timed(visitor: Visitor, path: str, rounds: int) -> dict[str, Any]:
    """One address's figures."""
    since_ms = visitor.cpu_ms()
    asked = [visitor.ask(path) for _ in range(rounds)]
    cpu_ms = (visitor.cpu_ms() - since_ms) / rounds
    times, text = [took for took, _ in asked], asked[-1][1]
    said = next((each for each in (SLOW, AWAY, WRONG) if any(each in unescape(text) for _, text in asked)), "")
    return {
        "path": path,
        "p50_ms": round(sorted(times)[len(times) // 2], 1),
        "p95_ms": round(p95(times), 1),
        "cpu_ms": round(cpu_ms, 1),
        "bytes": len(text.encode()),
        "said": said,
        "text": text,
    }


def measure(visitor: Visitor, rounds: int, part_rounds: int, only: str) -> list[dict[str, Any]]:
    """Every page's figures, with those of its parts. The first look at a page warms the console and counts not."""
    found = []
    known = dict[str, dict[str, Any]]()
    for name, path in addresses().items():
        if only not in name:
            continue
        visitor.ask(path)
        page = {"name": name, **timed(visitor, path, rounds)}
        text = page.pop("text")
        inside = list(dict.fromkeys(unescape(each) for each in re.findall(r'data-part="([^"]+)"', text)))
        static = re.findall(r'(?:src|href)="(/static/[^"]+)"', text)
        for each in inside:
            if each not in known:
                err.print(f"  {each}", markup=False)
                target = each if each.startswith("/") else path.partition("?")[0] + each
                known[each] = timed(visitor, target, part_rounds)
                del known[each]["text"]
        # NOTE: a live page keeps one request open.
        live = path in {"/lists", "/events"} or path.endswith("/sites")
        page["requests"] = 1 + len(static) + len(inside) + live
        page["static_bytes"] = sum(len(visitor.ask(each)[1].encode()) for each in static)
        page["parts"] = [known[each] for each in inside]
        err.print(f"{name}: {page['p95_ms']} ms", markup=False)
        found.append(page)
    return found


def judged(figures: dict[str, Any]) -> list[str]:
    """What is over its limit, or had no answer."""
    missed = [f"{page['name']}: {page['p95_ms']} ms" for page in figures["pages"] if page["p95_ms"] > PAGE_MS]
    parts = {part["path"]: part for page in figures["pages"] for part in page["parts"]}
    missed += [f"{path}: {part['said'] or part['p95_ms']}" for path, part in parts.items() if part["said"]]
    if figures["memory_mb"]["most"] > MEMORY_MB:
        missed.append(f"memory: {figures['memory_mb']['most']:.0f} MB")
    return missed


def draw(figures: dict[str, Any]) -> Path:
    """Pages beside their limit, and the parts that come in afterwards."""
    figure = Figure(figsize=(13, 7), layout="constrained")
    left, right = figure.subplots(1, 2)
    pages = figures["pages"]
    left.barh([each["name"] for each in pages], [each["p95_ms"] for each in pages], color="#3b6ea8")
    left.axvline(PAGE_MS, color="#c0392b")
    left.set_xlabel("ms until the last byte, p95; red: the limit")
    left.set_title("Pages")
    parts = {part["path"].rpartition("/")[2]: part["p95_ms"] for page in pages for part in page["parts"]}
    right.barh(list(parts), list(parts.values()), color="#888888")
    right.axvline(PART_MS, color="#c0392b")
    right.set_xlabel("ms, p95; red: given up, and said so")
    right.set_title("What comes in afterwards")
    for axis in (left, right):
        axis.invert_yaxis()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "console.png"
    figure.savefig(path, dpi=110)
    return path


_TOLD: Final = ("p50_ms", "p95_ms", "cpu_ms", "bytes")


def show(figures: dict[str, Any]) -> None:
    """Print the figures."""
    table = Table("page or part", "p50 ms", "p95 ms", "cpu ms", "bytes", "requests", box=None)
    for page in figures["pages"]:
        table.add_row(page["name"], *(f"{page[key]:,}" for key in (*_TOLD, "requests")))
        for part in page["parts"]:
            table.add_row(f"  {part['path'].rpartition('/')[2]}", *(f"{part[key]:,}" for key in _TOLD), part["said"])
    out.print(table)
    out.print("memory of the console, MB: " + json.dumps(figures["memory_mb"]), markup=False)
    for each in figures["missed"]:
        out.print(f"missed  {each}", markup=False)


@click.command(help=__doc__)
@click.option("--people", default=1_000_000, show_default=True)
@click.option("--listeners", default=500, show_default=True)
@click.option("--days", default=30, show_default=True)
@click.option("--events", default=12_000_000, show_default=True)
@click.option("--matches", default=2_000_000, show_default=True, help="Most with a command and its outcome.")
@click.option("--rounds", default=40, show_default=True, help="How often each page is asked.")
@click.option("--part-rounds", default=5, show_default=True, help="How often each part of one is.")
@click.option("--only", default="", help="Only pages with this in their name.")
@click.option("--home", "kept", type=click.Path(path_type=Path), help="Where to keep what is made, or find it.")
@click.option("--json", "as_json", is_flag=True)
def main(
    people: int, listeners: int, days: int, events: int, matches: int, rounds: int, part_rounds: int, only: str,
    kept: Path | None, as_json: bool,
) -> None:  # fmt: skip
    sizes = Sizes(people, listeners, days, events, matches)
    with ExitStack() as stack:
        home = (kept or Path(stack.enter_context(tempfile.TemporaryDirectory()))).resolve()
        if not (home / MADE).exists():
            make(home, sizes, wall_clock_ms())
        installation = load_installation(home / "segma.yaml")
        at = LocalAddresses.at(free_port((0, 1, 2, 3, 4)), shop=False)
        programs = {each.name: each for each in programs_of(home, installation, at)}
        history = stack.enter_context(running(programs["clickhouse"], home))
        make_history(home, sizes)
        password = secrets.token_urlsafe(16)
        Users(home / "segma.yaml").put(USER, password, {WORKSPACE: Role.ENGINEER.word})
        console = stack.enter_context(running(programs["console"], home))
        idle = memory_mb(console)["now"]
        visitor = Visitor(at.console, password, console.pid, history.pid)
        pages = measure(visitor, rounds, part_rounds, only)
        figures = {"sizes": sizes.rows(), "pages": pages, "memory_mb": {"idle": idle, **memory_mb(console)}}
    figures["missed"] = judged(figures)
    path = draw(figures)
    (RESULTS / "console.json").write_text(json.dumps(figures, indent=1) + "\n")
    if as_json:
        out.print_json(json.dumps(figures))
    else:
        show(figures)
        out.print(f"drawn in {path.relative_to(ROOT)}")
    sys.exit(bool(figures["missed"]))


if __name__ == "__main__":
    main()
