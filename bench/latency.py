"""From a beacon at the collector's door to the list move in the log, at 2,000 events a second, on Kafka, hop by hop.

``./segma bench latency`` starts a broker by the project's script, a collector and a flow, sends
beacons of one event at a steady pace (whatever the answers take), and reads the way of each completed match from the
log's own stamps. It prints p50, p99 and the largest of each hop and draws the histogram.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import uvloop
from matplotlib import pyplot

from bench.collector import await_answer, free_port
from bench.flow import RESULTS, ROOT
from cli.output import err
from contracts.codec import json_reader
from contracts.commands import Command
from contracts.events import Event
from contracts.log import Log
from contracts.topics import EVENTS, moves_topic
from tests.broker import Broker
from transport import open_log
from transport.config import environment_of

CONNECTIONS = 32
SLICES = 8
STEPS = 5
"""Events of a visit; the last completes the sequence."""
ORIGIN = "https://shop.example"
HOPS: Final = ("received → beacons", "beacons → events", "events → moves", "received → moves")
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
    began = time.perf_counter() + 0.5
    await asyncio.gather(*(_client(port, first, count, per_s, began) for first in range(CONNECTIONS)))
    return time.perf_counter() - began


def _send(port: int, count: int, per_s: float, answers: Any) -> None:
    answers.put(uvloop.run(_sent(port, count, per_s)))


@contextmanager
def running(home: Path, environment: dict[str, str], port: int) -> Iterator[None]:
    """Collector and flow."""
    commands = ([sys.executable, "-m", "collector"], [sys.executable, "-m", "flows"])
    processes = [subprocess.Popen(command, env=environment) for command in commands]
    try:
        await_answer(f"http://127.0.0.1:{port}/ready")
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)


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


def share(values: list[int], part: float) -> int:
    """The value below which that part lies."""
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]


def in_turn(values: list[int]) -> list[int]:
    """The median of each of some slices, in the order of time: what gets slower while it runs shows here."""
    size = max(len(values) // SLICES, 1)
    return [share(values[start : start + size], 0.5) for start in range(0, len(values) - size + 1, size)]


def draw(hops: dict[str, list[int]], per_s: float) -> Path:
    """A histogram a hop, on one scale."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(len(HOPS), 1, figsize=(8, 7), sharex=True)
    edges = [1.15**power for power in range(55)]
    for axis, name in zip(axes, HOPS, strict=True):
        values = [max(value, 1) for value in hops[name]]
        axis.hist(values, bins=edges, color="#2a7" if name == HOPS[-1] else "#888")
        for part, colour in ((0.5, "#06c"), (0.99, "#c30")):
            axis.axvline(max(share(values, part), 1), color=colour, linewidth=1)
        axis.set_title(f"{name}: p50 {share(values, 0.5)} ms, p99 {share(values, 0.99)} ms", fontsize=10, loc="left")
        axis.set_xscale("log")
        axis.set_yscale("log")
    axes[-1].set_xlabel(f"milliseconds, {per_s:,.0f} events/s, {len(hops[HOPS[-1]]):,} moves")
    figure.tight_layout()
    path = RESULTS / "latency.png"
    figure.savefig(path, dpi=120)
    return path


@click.command()
@click.option("--per-s", default=2_000.0, show_default=True, help="Events a second.")
@click.option("--seconds", default=30.0, show_default=True)
@click.option("--epoch-ms", default=10_000, show_default=True, help="How often the flow saves its state.")
@click.option("--json", "as_json", is_flag=True)
def main(per_s: float, seconds: float, epoch_ms: int, as_json: bool) -> None:
    """Measure from the collector's door to the list move."""
    whole = STEPS * CONNECTIONS
    count, port = int(per_s * (seconds + WARM_S)) // whole * whole, free_port()
    with tempfile.TemporaryDirectory() as directory, Broker(Path(directory) / "broker") as broker:
        home = Path(directory) / "home"
        home.mkdir()
        write_installation(home)
        settings = broker.settings(home / "data")
        environment = {
            **os.environ,
            **environment_of(settings),
            "PYTHONPATH": str(ROOT),
            "SEGMA_CONFIG": str(home / "segma.yaml"),
            "SEGMA_SDK": str(home / "sdk.js"),
            "SEGMA_COLLECTOR_PORT": str(port),
            "SEGMA_EPOCH_MS": str(epoch_ms),
        }
        with running(home, environment, port):
            answers: Any = multiprocessing.get_context("fork").Queue()
            sender = multiprocessing.get_context("fork").Process(target=_send, args=(port, count, per_s, answers))
            began_ms = time.time_ns() // 1_000_000
            sender.start()
            took = answers.get(timeout=seconds * 4 + 60)
            sender.join()
            log = open_log(settings)
            await_moves(log, count // STEPS, patience_s=60)
            found = ways(log, int(count // STEPS * seconds / (seconds + WARM_S) * 0.9), began_ms + int(WARM_S * 1_000))
            log.close()
    hops = {name: [way[place] for way in found] for place, name in enumerate(HOPS)}
    figures = {
        name: {"p50_ms": share(values, 0.5), "p99_ms": share(values, 0.99), "max_ms": max(values)}
        for name, values in hops.items()
    }
    path = draw(hops, count / took)
    if as_json:
        medians = in_turn(hops[HOPS[-1]])
        click.echo(
            json.dumps({"events_per_s": round(count / took), "moves": len(found), "p50_in_turn_ms": medians, **figures})
        )
        return
    click.echo(f"{count / took:,.0f} events/s sent, {len(found):,} moves")
    for name, each in figures.items():
        click.echo(f"{name:<20} p50 {each['p50_ms']:>5} ms   p99 {each['p99_ms']:>5} ms   max {each['max_ms']:>5} ms")
    click.echo(f"p50 in turn, ms     {' '.join(f'{each:>4}' for each in in_turn(hops[HOPS[-1]]))}")
    err.print(f"drawn in {path.relative_to(ROOT)}", markup=False)


if __name__ == "__main__":
    main()
