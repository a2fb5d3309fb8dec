"""Simulated days of everything in one process, with faults every hour: is anything lost, misplaced or growing.

    ./segma bench month [--people 100000] [--days 30] [--visits 0.1] [--seed 1]

The rooms' own parts run on one simulated clock: the collector's door with its spool, the log, both flows with their
stores, delivery to an imitated listmonk, the loader into an imitated history. Beside the people who come by there are
two releases, five rescales, every day a broker that is away for an hour (some processes die with it) and
a ClickHouse that is away for an hour, and a platform in trouble for every third hour. Retentions are a fifteenth of
the defaults (2 days for 30, 6 for 90), so that the days are past them. At the end every accepted event must be a row or
a dead letter, the platform's lists must be what the flow's commands say, and of memory, disk and open files the last
third of the days may have a tenth more than the middle one. Writes ``month`` in ``bench/results``, as JSON and drawn.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import structlog
from matplotlib.figure import Figure
from rich.progress import Progress

from bench.month_faults import HOUR_MS, Incident, incidents
from bench.month_installation import START_MS, Installation
from bench.month_judge import FLAT, LEAST_DAYS, Commands, Sample, conservation, drift, growth, sample
from bench.month_people import LISTENERS, People
from cli.output import err
from flows.__main__ import COLLECT_EVERY

RESULTS: Final = Path(__file__).resolve().parent / "results"
DAY_MS: Final = 24 * HOUR_MS
REST_H: Final = 4
"""Behind the last day nobody comes and nothing fails; the longest absence is two hours."""


class Month(NamedTuple):
    """What came of a run."""

    figures: dict[str, Any]
    samples: list[Sample]
    lists: dict[str, set[str]]


def steps(days: int, step_ms: int) -> Iterator[tuple[int, bool]]:
    """The ends of the stretches of time, and whether people come in them."""
    yield from ((at_ms, True) for at_ms in range(START_MS + step_ms, START_MS + days * DAY_MS + 1, step_ms))
    end_ms = START_MS + days * DAY_MS
    yield from ((at_ms, False) for at_ms in range(end_ms + step_ms, end_ms + REST_H * HOUR_MS + 1, step_ms))


def simulated(
    world: Installation, people: People, days: int, step_ms: int, due: list[Incident], progress: Progress
) -> Iterator[Sample]:
    """Let the days pass; a sample at the end of each. What happened is counted in the installation."""
    task = progress.add_task(f"{days} days", total=days * DAY_MS + REST_H * HOUR_MS)
    commands = Commands(world.home / "commands")
    for number, (at_ms, come) in enumerate(steps(days, step_ms), 1):
        while due and due[0].at_ms < at_ms:
            incident = due.pop(0)
            incident.happen(world)
            if incident.name:
                world.counts.incidents[incident.name.partition(":")[0]] += 1
        world.step(at_ms, list(people.arriving(at_ms - step_ms, at_ms)) if come else people.left())
        if number % 2:
            world.save()
        progress.update(task, completed=at_ms - START_MS)
        if (at_ms - START_MS) % DAY_MS == 0:
            commands.follow(world)
            yield sample(world, (at_ms - START_MS) // DAY_MS)
    commands.follow(world)
    world.counts.drift = drift(world, commands)


def month(
    home: Path, people: int, days: int, visits: float, seed: int, *, step_s: int, faults: bool, progress: Progress
) -> Month:
    """Run it."""
    began = time.process_time()
    world, visitors = Installation(home, people), People(people, visits, seed)
    try:
        due = incidents(days, seed) if faults else []
        samples = list(simulated(world, visitors, days, step_s * 1_000, due, progress))
        counts = world.counts
        figures: dict[str, Any] = {
            "people": people,
            "days": days,
            "visits_a_day": visits,
            "events": visitors.made,
            "beacons": counts.beacons,
            "beacons_refused": counts.refused,
            "incidents": dict(counts.incidents),
            "processes_ended": dict(counts.ended),
            "beacons_spooled": counts.spooled,
            "calls_in_trouble": counts.troubled_calls,
            "states_moved_by_rescales": counts.moved_people,
            "events_kept": conservation(world),
            "rows_of_nobody": world.books.strangers,
            "commands": dict(world.books.results),
            "drift": counts.drift,
            "cpu_s": round(time.process_time() - began, 1),
        }
        lists = {each.name: world.platform.world.members(each.name) for each in world.platform.world.lists.values()}
    finally:
        world.close()
    return Month(figures, samples, lists)


def judged(found: Month) -> list[str]:
    """What is wrong with it, in sentences."""
    figures, wrong = found.figures, list[str]()
    if figures["events_kept"]["lost"] or figures["rows_of_nobody"]:
        wrong.append(f"events are lost, or came from nowhere: {figures['events_kept']}, {figures['rows_of_nobody']}")
    if any(figures["drift"].values()):
        wrong.append(f"lists have drifted: {figures['drift']}")
    if figures["days"] >= LEAST_DAYS:
        grown = {name: growth([getattr(each, name) for each in found.samples]) for name in MEASURED}
        figures["growth"] = {name: round(each, 3) for name, each in grown.items()}
        wrong += [
            f"{name} grows: {each:.2f} times in a third of the days" for name, each in grown.items() if each > FLAT
        ]
    return wrong


MEASURED: Final = {"resident_mb": "resident memory, MB", "disk_mb": "disk, MB", "files": "open files"}


def drawn(found: Month) -> None:
    """Memory, disk and open files by day."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    days = [each.day for each in found.samples]
    for axes, (name, label), color in zip(
        figure.subplots(3, sharex=True), MEASURED.items(), ("#2a7", "#27a", "#a73"), strict=True
    ):
        axes.plot(days, [getattr(each, name) for each in found.samples], color=color)
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
    axes.set_xlabel("simulated days")
    figures = found.figures
    figure.suptitle(f"{figures['people']:,} people, {figures['events']:,} events, a fault an hour", fontsize=10)
    RESULTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(RESULTS / "month.png", dpi=120)


@click.command()
@click.option("--people", default=100_000, show_default=True)
@click.option("--days", default=30, show_default=True, type=click.IntRange(1))
@click.option("--visits", default=0.1, show_default=True, help="Of one person in a day, on average.")
@click.option("--seed", default=1, show_default=True)
@click.option("--step-s", default=600, show_default=True, help="Simulated seconds between two looks.")
@click.option("--no-faults", is_flag=True, help="The same month in peace.")
@click.option("--json", "as_json", is_flag=True)
def main(people: int, days: int, visits: float, seed: int, step_s: int, no_faults: bool, as_json: bool) -> None:
    """Run a month; end with 1 where something is wrong."""
    gc.set_threshold(*COLLECT_EVERY)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    memory = Path("/dev/shm")  # the log syncs after every step
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as home,
        Progress(console=err, transient=True) as progress,
    ):
        found = month(
            Path(home) / "home", people, days, visits, seed, step_s=step_s, faults=not no_faults, progress=progress
        )
    wrong = judged(found)
    RESULTS.mkdir(parents=True, exist_ok=True)
    figures = {**found.figures, "samples": [each._asdict() for each in found.samples]}
    (RESULTS / "month.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    drawn(found)
    click.echo(json.dumps(figures) if as_json else report(found))
    for each in wrong:
        click.echo(f"WRONG: {each}", err=True)
    sys.exit(bool(wrong))


def report(found: Month) -> str:
    """The figures, for a reader."""
    listeners = LISTENERS.count("listener:")
    lines = [f"{found.figures['people']:,} people, {listeners} listeners, {found.figures['days']} simulated days"]
    for name, value in found.figures.items():
        words = (
            ", ".join(f"{each} {count:,}" for each, count in value.items()) if isinstance(value, dict) else f"{value:,}"
        )
        lines.append(f"{name.replace('_', ' '):<28}{words}")
    return "\n".join([*lines, "drawn in bench/results/month.png"])


if __name__ == "__main__":
    main()
