"""One subscriber with 1,000,000 events in an hour (a bot): what the others' latency is with it and without.

``./segma bench bot`` takes an hour of everybody else's events through the logic that runs inside Bytewax (JSON in,
undo log, sessions, a snapshot every second), once without the bot and once with it, in turns. A batch is what comes in
50 ms; it waits for the one before it, so a batch that takes long delays those behind it. An event's latency is from its
arrival to the end of its batch. It prints both p99, their ratio, and, looked at every ten minutes in the files of the
changelog, how large the bot's undo log and all that is kept of it became.
"""

from __future__ import annotations

import gc
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from statistics import quantiles
from typing import Any, Final, NamedTuple

import click
from rich.progress import Progress

from bench.memory import LISTENERS
from bench.state import RESULTS, START_MS, Groups, record
from cli.output import err
from contracts.log import Record
from flows.__main__ import COLLECT_EVERY
from flows.state.changelog import PEOPLE, latest
from flows.state.compression import unpacked
from flows.subscriber.limits import Limit
from flows.subscriber.stored import read_subscriber, read_timeline

BATCH_MS: Final = 50
EPOCH_MS: Final = 1_000
LOOK_MS: Final = 600_000
LIMIT: Final = 2.0
ACTIONS: Final = ("page_viewed", "page_viewed", "email_clicked", "product_added", "product_bought")
BOT: Final = -1


class Own(NamedTuple):
    """What is kept of the bot: events of the undo log as written whole last, bytes of that and of what came since."""

    events: int
    state_bytes: int
    input_bytes: int


def own(directory: Path) -> Own:
    """As it stands in the changelog's files."""
    name = record(0, BOT, ACTIONS[0], 0).key.decode()
    chain = next(chain for key, chain in latest(directory, PEOPLE) if key == name)
    whole = b"" if chain.whole is None else unpacked(chain.whole)
    events = len(read_timeline(read_subscriber(whole).timeline).entries) if whole else 0
    return Own(events, len(whole), sum(len(each.data) for each in chain.inputs))


class Line:
    """The work of one process, batch after batch, on the clock of the simulated hour."""

    def __init__(self, directory: Path) -> None:
        self.groups = Groups(directory, None, LISTENERS)
        self._wall, self._cpu = Clock(time.perf_counter), Clock(time.process_time)

    def batch(self, records: list[Record], others: int, now_ms: int, *, epoch: bool) -> None:
        """What came until now, and at an epoch's end the snapshot."""
        for clock in (self._wall, self._cpu):
            clock.start()
        self.groups.take(records, now_ms)
        self.groups.pass_time(now_ms)
        for clock in (self._wall, self._cpu):
            clock.arrived(now_ms, others)
        if epoch:
            _, pause = self.groups.snapshot()
            self._wall.busy(pause.wall_s)
            self._cpu.busy(pause.cpu_s)

    def p99_ms(self) -> tuple[float, float]:
        """Of the others' events: on the clock, and counting CPU alone."""
        return self._wall.p99_ms(), self._cpu.p99_ms()


class Clock:
    """When the line is free again, by one way of telling time."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._began_s = self._free_ms = 0.0
        self._latencies: list[float] = []

    def start(self) -> None:
        """A batch begins."""
        self._began_s = self._now_s()

    def arrived(self, now_ms: int, others: int) -> None:
        """It is done; it came at ``now_ms`` and had so many events of the others."""
        self._free_ms = max(self._free_ms, now_ms) + (self._now_s() - self._began_s) * 1_000
        self._latencies += [self._free_ms - now_ms + BATCH_MS / 2] * others

    def busy(self, for_s: float) -> None:
        """Something else takes this long."""
        self._free_ms += for_s * 1_000

    def p99_ms(self) -> float:
        """Of the others' events."""
        return quantiles(self._latencies, n=100)[98]


def arrivals(
    batches: int, subscribers: int, others: int, each_batch: float
) -> Iterator[tuple[int, list[Record], list[Record]]]:
    """Batch after batch: the time, what everybody else sends, and what the bot does."""
    random, number, due = Random(6), 0, 0.0
    for index in range(batches):
        now_ms = START_MS + (index + 1) * BATCH_MS
        came: list[Record] = []
        for _ in range(others * BATCH_MS // 1_000):
            number += 1
            at_ms = now_ms - random.randrange(BATCH_MS)
            came.append(record(number, random.randrange(subscribers), random.choice(ACTIONS), at_ms))
        due += each_batch
        bot: list[Record] = []
        while due >= 1:
            due, number = due - 1, number + 1
            bot.append(record(number, BOT, random.choice(ACTIONS[:4]), now_ms - random.randrange(BATCH_MS)))
        yield now_ms, came, bot


@click.command()
@click.option("--subscribers", default=50_000, show_default=True)
@click.option("--others", default=100, show_default=True, help="Events a second of everybody else.")
@click.option("--bot", "bot_events", default=1_000_000, show_default=True, help="Events of the bot in its hour.")
@click.option("--minutes", default=60, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(subscribers: int, others: int, bot_events: int, minutes: int, as_json: bool) -> None:
    """Measure what a bot does to the others."""
    gc.set_threshold(*COLLECT_EVERY)
    batches, found = minutes * 60_000 // BATCH_MS, list[Own]()
    each_batch = bot_events * minutes // 60 / batches
    with tempfile.TemporaryDirectory() as directory, Progress(console=err, transient=True) as progress:
        task = progress.add_task("an hour, without and with the bot", total=batches)
        alone, beside = Line(Path(directory) / "alone"), Line(Path(directory) / "beside")
        for index, (now_ms, came, bot) in enumerate(arrivals(batches, subscribers, others, each_batch), 1):
            epoch = index * BATCH_MS % EPOCH_MS == 0
            # In turns, so that whatever else the machine does falls on both.
            alone.batch(came, len(came), now_ms, epoch=epoch)
            beside.batch([*bot, *came], len(came), now_ms, epoch=epoch)
            progress.advance(task)
            if index * BATCH_MS % LOOK_MS == 0 or index == batches:
                found.append(own(Path(directory) / "beside"))
        overflowed = sum(each.total[Limit.UNDO_LOG] for each in beside.groups.bounds)
        files = beside.groups.changelog.total_bytes
        for line in (alone, beside):
            line.groups.changelog.close()
    (alone_ms, alone_cpu_ms), (beside_ms, beside_cpu_ms) = alone.p99_ms(), beside.p99_ms()
    figures = {
        "bot_events": round(each_batch * batches),
        "p99_ms_alone": round(alone_ms, 2),
        "p99_ms_beside": round(beside_ms, 2),
        "ratio": round(beside_ms / alone_ms, 3),
        "cpu_p99_ms_alone": round(alone_cpu_ms, 2),
        "cpu_p99_ms_beside": round(beside_cpu_ms, 2),
        "cpu_ratio": round(beside_cpu_ms / alone_cpu_ms, 3),
        "bot_undo_log_events": [each.events for each in found],
        "bot_state_bytes": [each.state_bytes for each in found],
        "bot_input_bytes": [each.input_bytes for each in found],
        "undo_log_bit": overflowed,
        "file_mb": round(files / 1e6, 1),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "bot.json").write_text(json.dumps(figures, indent=2) + "\n")
    if as_json:
        click.echo(json.dumps(figures))
    else:
        told(figures, found, minutes, others)


def told(figures: dict[str, Any], found: list[Own], minutes: int, others: int) -> None:
    """Print what was measured."""
    click.echo(f"{figures['bot_events']:,} events of one subscriber in {minutes} min, {others} a second of all others")
    click.echo(
        f"others' p99       {figures['p99_ms_alone']:>8.2f} ms without it, {figures['p99_ms_beside']:.2f} ms with it"
    )
    click.echo(f"                  {figures['ratio']:.2f} times; the limit is {LIMIT:.0f}")
    alone_cpu_ms, beside_cpu_ms = figures["cpu_p99_ms_alone"], figures["cpu_p99_ms_beside"]
    click.echo(f"counting CPU      {alone_cpu_ms:>8.2f} ms without it, {beside_cpu_ms:.2f} ms with it")
    click.echo(f"                  {figures['cpu_ratio']:.2f} times")
    most = max(each.state_bytes + each.input_bytes for each in found) / 1e6
    events, let_go = max(each.events for each in found), figures["undo_log_bit"]
    click.echo(f"its undo log      {events:>8,} events at most; let go: {let_go:,}")
    click.echo(f"all kept of it    {most:>8.2f} MB at most, every ten minutes: {_every(found)}")
    click.echo(f"changelog         {figures['file_mb']:>8.1f} MB")


def _every(found: list[Own]) -> str:
    return ", ".join(f"{(each.state_bytes + each.input_bytes) / 1e6:.2f}" for each in found)


if __name__ == "__main__":
    main()
