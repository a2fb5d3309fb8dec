"""From a beacon at the collector's door to the list move in the log, at 2,000 events a second, hop by hop.

``./segma bench latency`` starts a broker by the project's script (``--log embedded``: none), a collector and a flow as
they are deployed, compiled where a compiled machine is there, and sends beacons of one event at a steady pace,
whatever the answers take. It reads the way of each completed match from the log's own stamps: p50, p99 and the largest
of each hop, what came while the processes were warming up left out. Beside it stand who used the processor meanwhile,
what an event cost flow and collector, and a floor: as many records of the same size, from a bare producer over two bare
consumers that hand on, through as many topics of the same broker. ``--against DIR`` does the same with another
checkout's build.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import psutil
import uvloop
from matplotlib import pyplot
from rich.table import Table

from bench.builds import Build, deployed, process, spent_s
from bench.collector import await_answer, free_port
from bench.floor import floor
from bench.flow import RESULTS, ROOT
from cli.output import err, out
from contracts.codec import json_reader
from contracts.commands import Command
from contracts.events import Event
from contracts.log import Log
from contracts.topics import EVENTS, moves_topic
from tests.broker import Broker
from transport import open_log
from transport.config import Settings, environment_of

CONNECTIONS = 32
SLICES = 8
STEPS = 5
"""Events of a visit; the last completes the sequence."""
ORIGIN = "https://shop.example"
LOGS: Final = ("kafka", "embedded")
HOPS: Final = ("received → beacons", "beacons → events", "events → moves", "received → moves")
REST: Final = "sender and all else"
LEAD_S = 0.5
"""How long the sender connects before it begins."""
BROKER_WARM_S = 20.0
"""How long a new broker works before anything is measured."""
WARM_S = 5.0
"""What comes first finds processes that have just started: not counted."""

_read_event = json_reader(Event)
_read_command = json_reader(Command)


def write_installation(home: Path) -> None:
    """An installation in which every view of a product moves somebody, and some do after three steps."""
    (home / "secret").write_text("s" * 40)
    (home / "keys").write_text(f"k1 {'ab' * 64}\n")
    (home / "sdk.js").write_text("/* sdk */\n")
    (home / "listeners").mkdir()
    (home / "listeners" / "looked.yaml").write_text(
        "listener: looked\nsequence: [{action: page_viewed}, {action: product_added}]\n"
        "then: [{add: {to: looked, at: mailbox}}]\n"
    )
    (home / "segma.yaml").write_text(
        "token_keys: {file: keys}\nworkspaces:\n  demo:\n    secret: {file: secret}\n"
        f"    sites: {{shop: {{key: shop-key, origins: ['{ORIGIN}'], server_key: {{file: secret}}, "
        "rate_per_s: 1000000, rate_burst: 1000000}}\n"
        "    accounts: {mailbox: {sink: file}}\npartitions: 8\n"
    )


def request(port: int, number: int) -> bytes:
    """A server-side event: every fifth of somebody is a product in the basket, the others are views.

    All of one person come over one connection, one after the other, as they would from a shop.
    """
    turn, connection = divmod(number, CONNECTIONS)
    visit, step = divmod(turn, STEPS)
    action = "product_added" if step == STEPS - 1 else "page_viewed"
    subscriber = (visit * CONNECTIONS + connection) % 20_000
    now_ms = time.time_ns() // 1_000_000
    event = {"event_id": f"e{number}", "action": action, "occurred_at_ms": now_ms, "order": number}
    sent = {"subscriber": f"s_{subscriber}", "sent_at_ms": now_ms, "events": [event]}
    body = json.dumps({"site": "shop-key", **sent}, separators=(",", ":")).encode()
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {'s' * 40}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _client(port: int, first: int, count: int, per_s: float, began: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(first, count, CONNECTIONS):
        await asyncio.sleep(max(began + number / per_s - time.perf_counter(), 0))
        writer.write(request(port, number))
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith((b"HTTP/1.1 204", b"HTTP/1.1 202", b"HTTP/1.1 200")):
            raise RuntimeError(answer[:300].decode("latin-1"))
    writer.close()


async def _sent(port: int, count: int, per_s: float) -> float:
    began = time.perf_counter() + LEAD_S
    await asyncio.gather(*(_client(port, first, count, per_s, began) for first in range(CONNECTIONS)))
    return time.perf_counter() - began


def _send(port: int, count: int, per_s: float, answers: Any) -> None:
    answers.put(uvloop.run(_sent(port, count, per_s)))


def ways(log: Log, wanted: int, from_ms: int) -> list[tuple[int, int, int, int]]:
    """The milliseconds of each hop, of every command whose event was received from then on, in the order of the log."""
    events: dict[str, tuple[Event, int]] = {}
    reader = log.reader(EVENTS)
    while records := reader.poll(10_000):
        for record in records:
            if record.key and record.value is not None:
                event = _read_event(record.value)
                events.setdefault(event.event_id, (event, record.log_time_ms))
    reader.close()
    found = []
    reader = log.reader(moves_topic("demo", "mailbox"))
    while records := reader.poll(10_000):
        for record in records:
            command = _read_command(record.value or b"")
            event, said_ms = events[[ref.event_id for refs in command.evidence.values() for ref in refs][-1]]
            if command.received_at_ms >= from_ms:
                marks = (event.received_at_ms, event.log_time_ms, said_ms, record.log_time_ms)
                hops = [later - earlier for earlier, later in itertools.pairwise(marks)]
                found.append((hops[0], hops[1], hops[2], marks[3] - marks[0]))
    reader.close()
    if len(found) < wanted:
        raise RuntimeError(f"{len(found)} commands, {wanted} expected")
    return found


def await_moves(log: Log, wanted: int, patience_s: float) -> None:
    """Wait until so many commands are in the log."""
    until = time.perf_counter() + patience_s
    while (there := sum(log.end(moves_topic("demo", "mailbox")).values())) < wanted:
        if time.perf_counter() > until:
            raise RuntimeError(f"the flow did not keep up: {there:,} of {wanted:,} moves")
        time.sleep(0.2)


def share(values: Sequence[int], part: float) -> int:
    """The value below which that part lies."""
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]


def in_turn(values: Sequence[int]) -> list[int]:
    """The median of each of some slices, in the order of time: what gets slower while it runs shows here."""
    size = max(len(values) // SLICES, 1)
    return [share(values[start : start + size], 0.5) for start in range(0, len(values) - size + 1, size)]


class Pace(NamedTuple):
    """How fast, and how long it counts; how often the flow saves its state."""

    per_s: float
    seconds: float
    epoch_ms: int


class Lived(NamedTuple):
    """What a build did at a steady rate. ``hops``: ms of each move. ``micros``: of processor time an event, by whom."""

    hops: dict[str, list[int]]
    micros: dict[str, float]
    per_s: float

    def figures(self) -> dict[str, dict[str, int]]:
        """Of each hop."""
        return {
            name: {"p50_ms": share(values, 0.5), "p99_ms": share(values, 0.99), "max_ms": max(values)}
            for name, values in self.hops.items()
        }


def processor_s(pids: Mapping[str, int]) -> dict[str, float]:
    """Seconds of processor time so far of each, and of all else on this machine, the sender above all."""
    own = {name: spent_s(pid) for name, pid in pids.items()}
    times = psutil.cpu_times()
    return own | {REST: times.user + times.nice + times.system + times.irq + times.softirq - sum(own.values())}


def lived(build: Build, settings: Settings, home: Path, pace: Pace, brokers: Mapping[str, int]) -> Lived:
    """Send to collector and flow of a build, on an installation of its own. ``brokers``: the log's processes."""
    whole, port = STEPS * CONNECTIONS, free_port()
    count = int(pace.per_s * (pace.seconds + WARM_S)) // whole * whole
    home.mkdir()
    write_installation(home)
    more = environment_of(settings) | {
        "SEGMA_SDK": str(home / "sdk.js"),
        "SEGMA_COLLECTOR_PORT": str(port),
        "SEGMA_EPOCH_MS": str(pace.epoch_ms),
    }
    answers: Any = multiprocessing.get_context("fork").Queue()
    sender = multiprocessing.get_context("fork").Process(target=_send, args=(port, count, pace.per_s, answers))
    with process(build, "collector", home, more) as collector, process(build, "flows", home, more) as flow:
        await_answer(f"http://127.0.0.1:{port}/ready")
        began_ms, pids = time.time_ns() // 1_000_000, {"collector": collector, "flow": flow, **brokers}
        sender.start()
        time.sleep(LEAD_S + WARM_S)  # the sender goes by the clock, whatever it is answered
        before = processor_s(pids)
        took_s = answers.get(timeout=pace.seconds * 4 + 60)
        with contextlib.closing(open_log(settings)) as log:
            await_moves(log, count // STEPS, patience_s=60)
            after = processor_s(pids)
            wanted = int(count // STEPS * pace.seconds / (pace.seconds + WARM_S) * 0.9)
            found = ways(log, wanted, began_ms + int(WARM_S * 1_000))
        sender.join()
    hops = {name: [way[place] for way in found] for place, name in enumerate(HOPS)}
    events = count - int(pace.per_s * WARM_S)
    return Lived(hops, {name: 1e6 * (after[name] - before[name]) / events for name in after}, count / took_s)


def rounds(builds: Sequence[Build], log: str, pace: Pace) -> tuple[dict[str, Lived], list[int]]:
    """What each build did, by name, and the floor's milliseconds; the floor of an embedded log is nothing."""
    found: dict[str, Lived] = {}
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = Broker(directory / "broker") if log == "kafka" else None
        if broker is not None:
            broker.environment = {}  # as users run it; the tests' own is quick to start, and slow
            stack.enter_context(broker)
        brokers = {} if broker is None else {"broker": broker.pid}
        if broker is not None:
            # What a broker's machine code is made of comes with work; the first build would be measured without it.
            floor(broker.servers, pace.per_s, 0.0, BROKER_WARM_S)
        for build in builds:
            home = directory / build.name
            settings = Settings(data=home / "data") if broker is None else broker.settings(home / "data")
            err.print(f"{build.name}: {pace.per_s:,.0f} events/s for {WARM_S + pace.seconds:.0f} s", markup=False)
            found[build.name] = lived(build, settings, home, pace, brokers)
        bare = [] if broker is None else floor(broker.servers, pace.per_s, WARM_S, pace.seconds)
    return found, bare


def draw(found: Mapping[str, Lived], bare: Sequence[int], per_s: float) -> Path:
    """A histogram a hop and build, on one scale, and the floor's."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    lines = [(f"{name}: {hop}", values) for name, each in found.items() for hop, values in each.hops.items()]
    lines += [("the floor: as many topics of the same broker", list(bare))] if bare else []
    figure, axes = pyplot.subplots(len(lines), 1, figsize=(8, 1.7 * len(lines)), sharex=True)
    edges = [1.15**power for power in range(55)]
    for axis, (title, values) in zip(axes, lines, strict=True):
        axis.hist([max(value, 1) for value in values], bins=edges, color="#2a7" if title.endswith(HOPS[-1]) else "#888")
        for part, colour in ((0.5, "#06c"), (0.99, "#c30")):
            axis.axvline(max(share(values, part), 1), color=colour, linewidth=1)
        axis.set_title(f"{title}: p50 {share(values, 0.5)} ms, p99 {share(values, 0.99)} ms", fontsize=10, loc="left")
        axis.set_xscale("log")
        axis.set_yscale("log")
    axes[-1].set_xlabel(f"milliseconds, {per_s:,.0f} events/s")
    figure.tight_layout()
    path = RESULTS / "latency.png"
    figure.savefig(path, dpi=120)
    return path


def table_of(found: Mapping[str, Lived], bare: Sequence[int]) -> Table:
    """Milliseconds by hop, then what an event cost."""
    table = Table("build", "from → to", "p50 ms", "p99 ms", "largest", box=None)
    if bare:
        table.add_row("floor", "two hops", str(share(bare, 0.5)), str(share(bare, 0.99)), str(max(bare)))
    for name, each in found.items():
        for hop, figures in each.figures().items():
            table.add_row(name, hop, *map(str, figures.values()))
        table.add_row(name, "p50 in turn", " ".join(map(str, in_turn(each.hops[HOPS[-1]]))))
        costs = ", ".join(f"{who} {micros:.0f}" for who, micros in each.micros.items())
        table.add_row(name, f"processor, µs an event: {costs}")
    return table


@click.command(help=__doc__)
@click.option("--per-s", default=2_000.0, show_default=True, help="Events a second.")
@click.option("--seconds", default=30.0, show_default=True, help="How long it counts.")
@click.option("--log", default=LOGS[0], show_default=True, type=click.Choice(LOGS))
@click.option("--epoch-ms", default=10_000, show_default=True, help="How often the flow saves its state.")
@click.option("--against", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Another checkout.")
@click.option("--compiled", type=click.Path(path_type=Path, exists=True, file_okay=False), help="This build, compiled.")
@click.option("--json", "as_json", is_flag=True, help="One object instead of a table.")
def main(
    per_s: float, seconds: float, log: str, epoch_ms: int, against: Path | None, compiled: Path | None, *, as_json: bool
) -> None:
    builds = [Build.at("now", compiled) if compiled else deployed()]
    if against is not None:
        builds.append(Build.at("against", against))
    found, bare = rounds(builds, log, Pace(per_s, seconds, epoch_ms))
    path = draw(found, bare, per_s)
    if as_json:
        told = {name: {**each.figures(), "micros": each.micros, "per_s": each.per_s} for name, each in found.items()}
        click.echo(
            json.dumps(told | {"floor": {"p50_ms": share(bare, 0.5), "p99_ms": share(bare, 0.99)} if bare else {}})
        )
    else:
        out.print(table_of(found, bare))
    err.print(f"drawn in {path.relative_to(ROOT)}", markup=False)


if __name__ == "__main__":
    main()
