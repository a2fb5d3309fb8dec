"""24 simulated hours of 200,000 subscribers, ten listeners with windows and absences: the memory must stay flat.

``./segma bench memory`` lets everybody come by four times a day, at hours of their own, with a few events each time,
through the logic that runs inside Bytewax (JSON in, undo log, sessions, deadlines, snapshots). Every simulated quarter
of an hour it writes down the resident memory, the states' bytes and the files' size; at the end it compares what is
there when the first windows have passed with the end of the day. One crawler is among them, so that a bound bites and
is counted. It prints what it measured and draws ``bench/results/memory.png``.
"""

from __future__ import annotations

import gc
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import click
import psutil
from matplotlib.figure import Figure
from prometheus_client.registry import CollectorRegistry
from rich.progress import Progress

from bench.state import RESULTS, START_MS, Groups, record
from cli.output import err
from contracts.log import Record
from flows.__main__ import COLLECT_EVERY
from flows.operators.meters import watch_state
from flows.subscriber.limits import Limit

HOUR_MS: Final = 3_600_000
QUARTER_MS: Final = HOUR_MS // 4
VISITS: Final = 4
"""A day, each at the same time of its six hours; so everybody has been there after six hours."""
SETTLED_H: Final = 9
"""When everybody has been there and the first windows (two hours) have passed since."""
CRAWLER_EVENTS: Final = 12
"""A second, while it is there: for ten minutes in every hour."""
LISTENERS: Final = "\n---\n".join(
    [
        *(
            f"listener: window-{number}\nwithin: {30 * (number + 1)}m\n"
            f"sequence: [{{action: email_clicked}}, {{action: page_viewed, where: {{category: c{number}}}}},"
            " {action: product_bought}]\nthen: [{add: {to: x, at: a}}]"
            for number in range(4)
        ),
        *(
            f"listener: absence-{number}\nsequence:\n"
            f"  - {{action: product_added, where: {{category: [c{number}, c{number + 4}, c{number + 8}]}}}}\n"
            f"  - {{not: product_bought, for: {20 * (number + 1)}m}}\nthen: [{{add: {{to: x, at: a}}}}]"
            for number in range(4)
        ),
        "listener: engaged\nwithin: 1h\nsequence: [{action: page_viewed, times: 2}, {action: product_added}]\n"
        "repeat: {cooldown: 1h}\nthen: [{add: {to: x, at: a}}]",
        "listener: same\nwithin: 2h\nsequence: [{step: s, action: page_viewed}, {action: product_bought, where:"
        " {category: {same_as: s.category}}}]\nthen: [{add: {to: x, at: a}}]",
    ]
)


class Sample(NamedTuple):
    """At an hour of the simulated day."""

    hour: float
    resident_mb: float
    live_mb: float
    file_mb: float


def days(people: int, hours: int, crawler: int, seed: int) -> Iterator[list[Record]]:
    """The events of each simulated second, in order. ``crawler``: its events a second, while it is there."""
    random, number = Random(seed), 0
    period_s = 24 * 3_600 // VISITS
    phases: list[list[int]] = [[] for _ in range(period_s)]
    for person in range(people):
        phases[random.randrange(period_s)].append(person)
    for second in range(hours * 3_600):
        at_ms = START_MS + second * 1_000
        found = []
        for person in phases[second % period_s]:
            first = random.choice(("email_clicked", "page_viewed", "page_viewed"))
            last = random.choice(("page_viewed", "product_added", "product_added", "product_bought"))
            for action, after_ms in ((first, 0), (last, 400)):
                number += 1
                found.append(record(number, person, action, at_ms + after_ms))
        if second % 3_600 < 600:
            for _ in range(crawler):
                number += 1
                found.append(record(number, people, "page_viewed", at_ms + 500))
        yield found


def simulated(groups: Groups, seconds: Iterator[list[Record]], hours: int, progress: Progress) -> Iterator[Sample]:
    """The hours; a sample every quarter of one. Snapshots every ten simulated seconds."""
    task = progress.add_task(f"{hours} hours", total=hours * 3_600)
    process = psutil.Process()
    waiting: list[Record] = []
    for second, records in enumerate(seconds, 1):
        waiting += records
        progress.advance(task)
        if second % 10:
            continue
        now_ms = START_MS + second * 1_000
        groups.take(waiting, now_ms)
        groups.pass_time(now_ms)
        groups.snapshot()
        waiting = []
        if second * 1_000 % QUARTER_MS == 0:
            gc.collect()
            rss, log = process.memory_info().rss, groups.changelog
            yield Sample(second / 3_600, rss / 1e6, log.live_bytes / 1e6, log.total_bytes / 1e6)


@click.command()
@click.option("--subscribers", default=200_000, show_default=True)
@click.option("--hours", default=24, show_default=True, type=click.IntRange(SETTLED_H + 1), help="Simulated hours.")
@click.option(
    "--crawler", default=CRAWLER_EVENTS, show_default=True, help="Events of a crawler a second, ten minutes an hour."
)
@click.option("--json", "as_json", is_flag=True)
def main(subscribers: int, hours: int, crawler: int, as_json: bool) -> None:
    """Measure the memory over a day, or longer."""
    gc.set_threshold(*COLLECT_EVERY)
    empty_mb = psutil.Process().memory_info().rss / 1e6
    registry = CollectorRegistry()
    with tempfile.TemporaryDirectory() as directory, Progress(console=err, transient=True) as progress:
        groups = Groups(Path(directory), None, LISTENERS)
        watch_state(groups.changelog, groups.bounds, registry)
        samples = list(simulated(groups, days(subscribers, hours, crawler, 24), hours, progress))
        groups.changelog.close()
    settled = [each for each in samples if each.hour >= SETTLED_H]
    bit = {bound.value: _metric(registry, bound) for bound in Limit}
    figures = {
        "subscribers": subscribers,
        "hours": hours,
        "resident_mb_empty": round(empty_mb, 1),
        "resident_mb_settled": round(settled[0].resident_mb, 1),
        "resident_mb_end": round(settled[-1].resident_mb, 1),
        "resident_growth": round(settled[-1].resident_mb / settled[0].resident_mb, 3),
        "resident_growth_of_the_last_day": round(samples[-1].resident_mb / _a_day_before(samples).resident_mb, 3),
        "live_bytes_each": round(samples[-1].live_mb * 1e6 / subscribers),
        "resident_bytes_each": round((samples[-1].resident_mb - empty_mb) * 1e6 / subscribers),
        "live_growth": round(settled[-1].live_mb / settled[0].live_mb, 3),
        "file_growth": round(settled[-1].file_mb / max(each.file_mb for each in settled[:4]), 3),
        "bounds": bit,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "memory.json").write_text(json.dumps(figures, indent=2) + "\n")
    draw(samples, figures["resident_growth"])
    if as_json:
        click.echo(json.dumps(figures))
        return
    click.echo(f"{subscribers:,} subscribers, {VISITS} visits a day each, {hours} simulated hours, ten listeners")
    first, last = settled[0].resident_mb, settled[-1].resident_mb
    click.echo(
        f"resident memory  {first:>6,.0f} MB at {SETTLED_H} h, {last:,.0f} MB at the end, {empty_mb:,.0f} MB before"
    )
    click.echo(f"                 {figures['resident_growth']:.3f} times; 1 is flat")
    click.echo(f"                 {figures['resident_growth_of_the_last_day']:.3f} times in the last day")
    each, resident = figures["live_bytes_each"], figures["resident_bytes_each"]
    click.echo(f"a subscriber     {each:>6,} bytes of state, {resident:,} of resident memory")
    click.echo(f"states           {figures['live_growth']:.3f} times; files {figures['file_growth']:.3f} times")
    click.echo(
        f"bounds that bit  {', '.join(f'{name} {count:,.0f}' for name, count in bit.items() if count) or 'none'}"
    )
    click.echo("drawn in bench/results/memory.png", err=True)


def _a_day_before(samples: list[Sample]) -> Sample:
    """The sample a day before the last, or of the time at which the first windows have passed."""
    return next(each for each in samples if each.hour >= max(samples[-1].hour - 24, SETTLED_H))


def _metric(registry: CollectorRegistry, bound: Limit) -> float:
    """As the metrics page has it."""
    return registry.get_sample_value("segma_state_bounds_total", {"bound": bound.value}) or 0.0


def draw(samples: list[Sample], growth: object) -> None:
    """Memory, states and files over the day."""
    figure = Figure(figsize=(9, 4))
    axes = figure.subplots()
    hours = [each.hour for each in samples]
    axes.plot(hours, [each.resident_mb for each in samples], color="#2a7", label="resident memory")
    axes.plot(hours, [each.live_mb for each in samples], color="#27a", label="bytes of all states")
    axes.plot(hours, [each.file_mb for each in samples], color="#a73", label="files of the changelog")
    axes.axvline(SETTLED_H, color="#888", linewidth=1, label="everybody has been there, first windows have passed")
    axes.set_xlabel("simulated hours")
    axes.set_ylabel("MB")
    axes.set_ylim(bottom=0)
    axes.set_title(f"{samples[-1].hour:.0f} h; resident memory at the end: {growth} times that at {SETTLED_H} h")
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    figure.savefig(RESULTS / "memory.png", dpi=120)


if __name__ == "__main__":
    main()
