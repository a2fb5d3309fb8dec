"""Requests per second of one collector worker, answer after the log's confirmation, against nginx answering 204.

``./segma bench collector`` prints requests/s, p50 and p99 of one-event and ten-event beacons, and their ratio to
nginx in the same run (rounds alternate, so that a slow moment of the machine meets all alike), and draws them. What
runs is what is deployed, compiled where a compiled machine is there; ``--against DIR`` has another checkout's build
beside it.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
import requests
import uvloop
from matplotlib import pyplot

from bench.builds import Build, deployed, process

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
CONNECTIONS = 64
ORIGIN = "https://shop.example"
COLOURS = ("#888", "#2a7", "#27a", "#9c9", "#9ac")


class Round(NamedTuple):
    """One round's requests per second and latencies in ms."""

    per_s: float
    p50_ms: float
    p99_ms: float


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def request(port: int, events: int, device: int) -> bytes:
    """A whole HTTP request: a beacon with so many events, as the SDK sends it."""
    now_ms = time.time_ns() // 1_000_000
    sent = [
        {
            "event_id": f"d{device}.{number}",
            "action": "page_viewed",
            "occurred_at_ms": now_ms,
            "order": number,
            "properties": {"path": "/products/runner", "title": "Runner", "category": "shoes"},
        }
        for number in range(events)
    ]
    beacon = {"site": "shop-key", "device": f"d{device}", "sent_at_ms": now_ms, "events": sent}
    body = json.dumps(beacon, separators=(",", ":")).encode()
    head = (
        f"POST /v1/beacons HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {ORIGIN}\r\nUser-Agent: Mozilla/5.0\r\n"
        f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _client(port: int, data: bytes, until: float, latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (began := time.perf_counter()) < until:
        writer.write(data)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 204"):
            raise RuntimeError(answer[:200].decode("latin-1"))
        latencies.append(time.perf_counter() - began)
    writer.close()


async def _load(port: int, events: int, seconds: float) -> Round:
    latencies: list[float] = []
    began = time.perf_counter()
    clients = [_client(port, request(port, events, each), began + seconds, latencies) for each in range(CONNECTIONS)]
    await asyncio.gather(*clients)
    took = time.perf_counter() - began
    ranked = sorted(latencies)
    return Round(len(ranked) / took, 1_000 * ranked[len(ranked) // 2], 1_000 * ranked[len(ranked) * 99 // 100])


def _loaded(port: int, events: int, seconds: float, answers: Any) -> None:
    answers.put(uvloop.run(_load(port, events, seconds)))


def load(port: int, events: int, seconds: float) -> Round:
    """Drive a server for some seconds, from a process of its own."""
    answers: Any = multiprocessing.get_context("fork").Queue()
    process = multiprocessing.get_context("fork").Process(target=_loaded, args=(port, events, seconds, answers))
    process.start()
    found: Round = answers.get(timeout=seconds + 60)
    process.join()
    return found


@contextmanager
def collector(home: Path, build: Build | None = None) -> Iterator[int]:
    """One collector worker on the embedded log; of what is deployed, where no other build is given."""
    port = free_port()
    (home / "secret").write_text("s" * 40)
    (home / "keys").write_text(f"k1 {'ab' * 64}\n")
    (home / "sdk.js").write_text("/* sdk */\n")
    (home / "segma.yaml").write_text(
        "token_keys: {file: keys}\nworkspaces:\n  demo:\n    secret: {file: secret}\n"
        f"    sites: {{shop: {{key: shop-key, origins: ['{ORIGIN}'], rate_per_s: 1000000, rate_burst: 1000000}}}}\n"
    )
    more = {"SEGMA_SDK": str(home / "sdk.js"), "SEGMA_COLLECTOR_PORT": str(port)}
    with process(build or deployed(), "collector", home, more):
        await_answer(f"http://127.0.0.1:{port}/ready")
        yield port


@contextmanager
def nginx(home: Path) -> Iterator[int]:
    """Nginx with one worker that answers 204 to everything."""
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        raise click.ClickException("no nginx here, beside which this is measured: sudo apt install nginx-light")
    port = free_port()
    (home / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log;\n"
        "events { worker_connections 512; }\n"
        f"http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {home}/body;\n"
        f"  server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }} }}\n"
    )
    process = subprocess.Popen([binary, "-p", str(home), "-c", str(home / "nginx.conf")], stderr=subprocess.DEVNULL)
    try:
        await_answer(f"http://127.0.0.1:{port}/")
        yield port
    finally:
        process.terminate()
        process.wait(20)


def await_answer(url: str) -> None:
    for _ in range(400):
        try:
            if requests.get(url, timeout=1).status_code < 300:
                return
        except requests.RequestException:
            time.sleep(0.05)
    raise RuntimeError(f"{url} does not answer")


def summary(rounds: dict[str, list[Round]]) -> dict[str, dict[str, float]]:
    """The medians, and each name's ratio to nginx: the median over the rounds' own ratios."""
    found = {}
    for name, each in rounds.items():
        ratios = [own.per_s / limit.per_s for own, limit in zip(each, rounds["nginx 204"], strict=True)]
        found[name] = {
            "requests_per_s": round(statistics.median(one.per_s for one in each)),
            "p50_ms": round(statistics.median(one.p50_ms for one in each), 2),
            "p99_ms": round(statistics.median(one.p99_ms for one in each), 2),
            "ratio_to_nginx": round(statistics.median(ratios), 3),
        }
    return found


def draw(figures: dict[str, dict[str, float]]) -> Path:
    """Bars of requests per second, with the ratios."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(figsize=(7, 1.2 + 0.6 * len(figures)))
    names = list(figures)
    bars = axes.barh(
        names, [figures[name]["requests_per_s"] for name in names], color=["#888", "#2a7", "#27a", "#9c9", "#9ac"]
    )
    labels = [f"{figures[name]['ratio_to_nginx']:.2f} of nginx, p99 {figures[name]['p99_ms']} ms" for name in names]
    axes.bar_label(bars, labels, padding=4)
    axes.set_xlim(0, max(figures[name]["requests_per_s"] for name in names) * 1.5)
    axes.set_xlabel("requests per second, one worker, 64 connections")
    axes.set_title("Collector: answer after the log's confirmation")
    figure.tight_layout()
    path = RESULTS / "collector.png"
    figure.savefig(path, dpi=120)
    return path


def measured(builds: Sequence[Build], seconds: float, count: int) -> dict[str, list[Round]]:
    """The rounds of nginx and of each build, by turns."""
    rounds: dict[str, list[Round]] = {}
    with ExitStack() as stack:
        homes = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(len(builds) + 1)]
        limit, *own = homes
        doors = [("nginx 204", stack.enter_context(nginx(limit)), 1)]
        for home, build in zip(own, builds, strict=True):
            port = stack.enter_context(collector(home, build))
            beside = "" if build is builds[0] else f" ({build.name})"
            doors += [(f"one-event beacons{beside}", port, 1), (f"ten-event beacons{beside}", port, 10)]
            load(port, 1, 1.0)
        for number in range(count):
            click.echo(f"round {number + 1} of {count} …", err=True)
            for name, port, events in doors:
                rounds.setdefault(name, []).append(load(port, events, seconds))
    return rounds


@click.command(help=__doc__)
@click.option("--seconds", default=4.0, show_default=True, help="Length of one round.")
@click.option("--rounds", "count", default=3, show_default=True)
@click.option("--against", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Another checkout.")
@click.option("--compiled", type=click.Path(path_type=Path, exists=True, file_okay=False), help="This build, compiled.")
@click.option("--json", "as_json", is_flag=True)
def main(seconds: float, count: int, against: Path | None, compiled: Path | None, *, as_json: bool) -> None:
    builds = [Build.at("now", compiled) if compiled else deployed()]
    if against is not None:
        builds.append(Build.at("against", against))
    figures = summary(measured(builds, seconds, count))
    path = draw(figures)
    if as_json:
        click.echo(json.dumps(figures))
        return
    for name, each in figures.items():
        click.echo(
            f"{name:<28} {each['requests_per_s']:>8} requests/s  p50 {each['p50_ms']} ms  p99 {each['p99_ms']} ms  "
            f"{each['ratio_to_nginx']:.3f} of nginx"
        )
    click.echo(f"drawn in {path.relative_to(ROOT)}", err=True)


if __name__ == "__main__":
    main()
