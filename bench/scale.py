"""One flow process against two that share nothing but the log, on a Kafka topic that was filled before.

``./segma bench scale`` starts a broker by the project's script, fills ``beacons``, lets one process
and then two work it off (rounds alternate, so that a slow moment meets both alike), prints events per second
and their ratio, and draws them. Time is taken from the first row that comes out to the last.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import click
import psutil
from matplotlib import pyplot
from rich.progress import Progress

from bench.flow import BATCH, RESULTS, ROOT, beacons, write_installation
from cli.output import err
from contracts.installation import Installation
from contracts.log import Log, Outgoing
from contracts.topics import ROWS, topics_of
from tests.broker import Broker
from transport import open_log
from transport.config import Settings, environment_of, load_installation

PARTITIONS = 8
QUIET_S = 5.0
"""Each event is a row; no more rows for so long: the matches are told as well."""


def filled(settings: Settings, installation: Installation, count: int) -> Log:
    """A log with so many beacons."""
    log = open_log(settings)
    log.ensure(topics_of(installation))
    publisher, batch = log.publisher(), list[Outgoing]()
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("filling the topic", total=count)
        for record in beacons(count):
            batch.append(record)
            if len(batch) == BATCH:
                publisher.publish(batch)
                progress.advance(task, BATCH)
                batch = []
        publisher.publish(batch)
    return log


class Took(NamedTuple):
    """From the first row to the last: seconds of the clock, and seconds of processor of all flow processes."""

    clock_s: float
    processor_s: float


def processor_s(running: list[subprocess.Popen[bytes]]) -> float:
    """What these have used so far."""
    times = [psutil.Process(process.pid).cpu_times() for process in running]
    return sum(each.user + each.system for each in times)


def worked_off(home: Path, settings: Settings, log: Log, count: int, processes: int, epoch_ms: int) -> Took:
    """Let so many processes work the topic off."""
    environment = {
        **os.environ,
        **environment_of(settings),
        "PYTHONPATH": str(ROOT),
        "SEGMA_CONFIG": str(home / "segma.yaml"),
        "SEGMA_EPOCH_MS": str(epoch_ms),
        "SEGMA_FLOW_OF": str(processes),
    }
    running = [
        subprocess.Popen([sys.executable, "-m", "flows"], env={**environment, "SEGMA_FLOW_INDEX": str(index)})
        for index in range(processes)
    ]
    began = ended = first_s = last_s = 0.0
    before = 0
    try:
        while before < count or time.perf_counter() - ended < QUIET_S:
            rows = sum(log.end(ROWS).values())
            if rows > before:
                before, ended, last_s = rows, time.perf_counter(), processor_s(running)
                began, first_s = (began, first_s) if began else (ended, last_s)
            time.sleep(0.05)
            if any(process.poll() is not None for process in running):
                raise RuntimeError("a flow process ended")
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)
    return Took(ended - began, last_s - first_s)


def draw(figures: dict[str, float]) -> Path:
    """Two bars."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(figsize=(7, 2.4))
    values = (figures["one_per_s"], figures["two_per_s"])
    bars = axes.barh(("one process", "two processes"), values, color=["#888", "#2a7"])
    axes.bar_label(bars, [f"{value:,.0f}/s" for value in values], padding=4)
    axes.set_xlim(0, max(values) * 1.25)
    axes.set_title(f"{figures['events']:,.0f} beacons from Kafka: {figures['ratio']:.2f} times")
    axes.set_xlabel("events per second, recognise and follow, two cores with the broker on them")
    figure.tight_layout()
    path = RESULTS / "scale.png"
    figure.savefig(path, dpi=120)
    return path


@click.command()
@click.option("--events", "count", default=300_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--epoch-ms", default=10_000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(count: int, rounds: int, epoch_ms: int, as_json: bool) -> None:
    """Measure one process against two."""
    taken: dict[int, list[Took]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as directory, Broker(Path(directory) / "broker") as broker:
        for number in range(rounds):
            for processes in (1, 2) if number % 2 == 0 else (2, 1):
                home = Path(directory) / f"{number}-{processes}"
                home.mkdir()
                write_installation(home, PARTITIONS)
                settings = broker.settings(home / "data")
                log = filled(settings, load_installation(home / "segma.yaml"), count)
                took = worked_off(home, settings, log, count, processes, epoch_ms)
                log.close()
                taken[processes].append(took)
                err.print(f"round {number + 1}, {processes} process(es): {count / took.clock_s:,.0f} events/s")
    one, two = (count / statistics.median(took.clock_s for took in taken[processes]) for processes in (1, 2))
    cost = [1e6 * statistics.median(took.processor_s for took in taken[each]) / count for each in (1, 2)]
    figures = {
        "events": float(count),
        "one_per_s": round(one),
        "two_per_s": round(two),
        "ratio": round(two / one, 3),
        "one_us_per_event": round(cost[0], 1),
        "two_us_per_event": round(cost[1], 1),
    }
    path = draw(figures)
    if as_json:
        click.echo(json.dumps(figures))
        return
    click.echo(f"one process    {one:>9,.0f} events/s")
    click.echo(f"two processes  {two:>9,.0f} events/s  {two / one:.2f} times (median of {rounds} rounds)")
    click.echo(f"processor time an event: {cost[0]:.1f} µs by one, {cost[1]:.1f} µs by two together")
    click.echo(f"drawn in {path.relative_to(ROOT)}", err=True)


if __name__ == "__main__":
    main()
