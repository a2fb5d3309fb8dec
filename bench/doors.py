"""What an honest visitor feels while others abuse the collector's door: idle, slow and refused connections beside them.

``./segma bench doors`` holds connections that say nothing, connections that send a byte now and then, and clients whose
requests are refused, and beside them sends honest beacons at a steady rate. It prints their latencies without and
with the others, how many were refused, how often a worker was restarted, and the memory over time, and draws them.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import psutil
import uvloop
from matplotlib import pyplot

from bench.collector import RESULTS, ROOT, collector, request

SLOW_BYTE_S = 1.0
"""A slow client's next byte comes after so long."""
REFUSED = (
    b"POST /v1/beacons HTTP/1.1\r\nHost: a\r\nOrigin: https://elsewhere.example\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /v1/beacons HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nnot json!",
    b"GET /nothing/here HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /ready HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 900) for n in range(200)) + b"\r\n",
)
"""What is refused: a wrong origin, no JSON, no such page, more headers than a browser sends."""
HONEST_CONNECTIONS = 32


@dataclass
class Seen:
    """What the honest clients met, and the worker processes with their memory, second by second."""

    latencies_ms: list[float] = field(default_factory=list)
    refused: int = 0
    workers: set[int] = field(default_factory=set)
    memory_mb: list[float] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        """A quantile of the latencies, in ms."""
        ranked = sorted(self.latencies_ms)
        return ranked[min(len(ranked) - 1, int(len(ranked) * share))] if ranked else float("inf")


async def _abuser(port: int, speak: Callable[[asyncio.StreamWriter], Any], until: float) -> None:
    """Connect, speak, and connect again where the door has hung up, until the end. At most one connection a second."""
    while time.perf_counter() < until:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(1)
            continue
        listening = asyncio.ensure_future(reader.read())
        speaking = asyncio.ensure_future(speak(writer))
        left = max(0.0, until - time.perf_counter())
        await asyncio.wait({listening, speaking}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        for task in (listening, speaking):
            task.cancel()
        await asyncio.gather(listening, speaking, return_exceptions=True)
        writer.close()
        await asyncio.sleep(1)


async def _say_nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def _say_it_slowly(writer: asyncio.StreamWriter) -> None:
    writer.write(b"POST /v1/beacons HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\nX-Slow: ")
    while True:
        writer.write(b"y")
        await writer.drain()
        await asyncio.sleep(SLOW_BYTE_S)


def _say_what_is_refused(number: int) -> Callable[[asyncio.StreamWriter], Any]:
    async def speak(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(REFUSED[number % len(REFUSED)])
            await writer.drain()
            await asyncio.sleep(0.1)

    return speak


async def _honest(port: int, number: int, per_s: float, until: float, seen: Seen) -> None:
    """Send beacons at a steady rate; a time is counted from when it should have been sent."""
    body = request(port, 1, number)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = time.perf_counter()
    while due < until:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        try:
            writer.write(body)
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            seen.refused += not answer.startswith(b"HTTP/1.1 204")
        except (OSError, EOFError, TimeoutError):
            seen.refused += 1
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        seen.latencies_ms.append((time.perf_counter() - due) * 1_000)
        due += 1 / per_s
    writer.close()


async def _watch(master: psutil.Process, until: float, seen: Seen) -> None:
    """Once a second: which worker processes there are, and what they hold in memory together."""
    while time.perf_counter() < until:
        workers = master.children()
        seen.workers |= {each.pid for each in workers}
        held = [each.memory_info().rss for each in workers if each.is_running()]
        seen.memory_mb.append(sum(held) / 1e6)
        await asyncio.sleep(1)


@dataclass(frozen=True)
class Load:
    """How many abusers of each kind stand beside the honest beacons."""

    idle: int = 0
    slow: int = 0
    refused: int = 0


async def _abusers(port: int, load: Load, until: float) -> None:
    abusers = [_abuser(port, _say_nothing, until) for _ in range(load.idle)]
    abusers += [_abuser(port, _say_it_slowly, until) for _ in range(load.slow)]
    abusers += [_abuser(port, _say_what_is_refused(number), until) for number in range(load.refused)]
    await asyncio.gather(*abusers)


def _abuse(port: int, load: Load, seconds: float) -> None:
    """Be all the abusers, in a process of their own, which leaves the processor to those who would have their own."""
    os.nice(19)
    _allow_connections()
    uvloop.run(_abusers(port, load, time.perf_counter() + seconds))


@contextmanager
def _abused(port: int, load: Load, seconds: float) -> Iterator[None]:
    """Have the abusers beside the block: in another process, for the time that they need is not the door's."""
    process = multiprocessing.get_context("spawn").Process(target=_abuse, args=(port, load, seconds), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.join(seconds)
        process.kill()


async def _run(port: int, master: psutil.Process, per_s: float, seconds: float) -> Seen:
    seen, until = Seen(), time.perf_counter() + seconds
    honest = [_honest(port, number, per_s / HONEST_CONNECTIONS, until, seen) for number in range(HONEST_CONNECTIONS)]
    await asyncio.gather(_watch(master, until, seen), *honest)
    return seen


def _allow_connections() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def draw(quiet: Seen, abused: Seen) -> Path:
    """The latencies' distribution without and with the abusers, and the memory over time."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.4))
    for name, seen in (("alone", quiet), ("beside the others", abused)):
        ranked = sorted(seen.latencies_ms)
        left.plot(ranked, [(place + 1) / len(ranked) for place in range(len(ranked))], label=name)
    left.set_xscale("log")
    left.set_xlabel("ms from when a beacon was due to its answer")
    left.set_ylabel("share of beacons")
    left.axvline(100, color="#c33", linestyle=":", label="limit of the 99th percentile")
    left.legend()
    right.plot(abused.memory_mb)
    right.set_ylim(bottom=0)
    right.set_xlabel("s")
    right.set_ylabel("MB of the collector's workers")
    figure.tight_layout()
    path = RESULTS / "doors.png"
    figure.savefig(path, dpi=120)
    return path


def figures_of(seen: Seen) -> dict[str, Any]:
    """What is printed of one part."""
    half = len(seen.memory_mb) // 2
    return {
        "beacons": len(seen.latencies_ms),
        "refused": seen.refused,
        "p50_ms": round(seen.quantile(0.5), 1),
        "p99_ms": round(seen.quantile(0.99), 1),
        "restarts": max(0, len(seen.workers) - 1),
        "memory_mb_first_half": round(max(seen.memory_mb[:half] or [0.0]), 1),
        "memory_mb_second_half": round(max(seen.memory_mb[half:] or [0.0]), 1),
    }


@click.command()
@click.option("--seconds", default=300.0, show_default=True, help="Length of the part with abusers.")
@click.option("--per-s", default=500.0, show_default=True, help="Honest beacons a second.")
@click.option("--idle", default=2_000, show_default=True)
@click.option("--slow", default=200, show_default=True)
@click.option("--refused", default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(seconds: float, per_s: float, idle: int, slow: int, refused: int, as_json: bool) -> None:
    """Send honest beacons, alone and beside idle, slow and refused connections."""
    _allow_connections()
    with tempfile.TemporaryDirectory() as directory, collector(Path(directory)) as port:
        master = next(each for each in psutil.Process().children() if "collector" in " ".join(each.cmdline()))
        click.echo("honest beacons alone …", err=True)
        quiet = uvloop.run(_run(port, master, per_s, min(20.0, seconds)))
        click.echo(f"beside {idle} idle, {slow} slow and {refused} refused connections …", err=True)
        with _abused(port, Load(idle, slow, refused), seconds):
            abused = uvloop.run(_run(port, master, per_s, seconds))
    figures = {"alone": figures_of(quiet), "beside": figures_of(abused)}
    path = draw(quiet, abused)
    if as_json:
        click.echo(json.dumps(figures))
        return
    for name, each in figures.items():
        click.echo(f"{name:<7} " + "  ".join(f"{key} {value}" for key, value in each.items()))
    click.echo(f"drawn in {path.relative_to(ROOT)}", err=True)


if __name__ == "__main__":
    main()
