"""What counting the runs that wait costs a flow after a restart: the longest stop, and when the first row comes.

``./segma bench waits`` lets everybody come once, one after the other as a site's visitors do, saves, starts anew and
passes log time in steps of 200 ms, as the source does. Before anything is said of a group everybody in it must be
counted anew; it prints what that takes at once at most, beside the limit on a pause at an epoch's end.
"""

from __future__ import annotations

import gc
import json
import tempfile
import time
from pathlib import Path
from random import Random

import click
from rich.progress import Progress

from bench.memory import LISTENERS
from bench.state import ACTIONS, BATCH, LIMIT_PAUSE_S, RESULTS, START_MS, Groups, record
from cli.output import err
from contracts.log import Record
from contracts.topics import ROWS
from flows.__main__ import COLLECT_EVERY
from flows.operators.logic import FollowBatch
from flows.operators.source import SPREAD_MS

A_SECOND = 1_000
"""People who come in a second, before the restart."""
PATIENCE_MS = 3_600_000


@click.command()
@click.option("--subscribers", default=200_000, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(subscribers: int, as_json: bool) -> None:
    """Measure the recount after a restart."""
    gc.set_threshold(*COLLECT_EVERY)
    random, number, now_ms = Random(8), 0, START_MS
    with tempfile.TemporaryDirectory() as directory, Progress(console=err, transient=True) as progress:
        task = progress.add_task("everybody comes", total=subscribers)
        groups = Groups(Path(directory), None, LISTENERS)
        batch = list[Record]()
        for person in range(subscribers):
            number += 1
            now_ms = START_MS + person * 1_000 // A_SECOND
            batch.append(record(number, person, random.choice(ACTIONS), now_ms))
            if len(batch) == BATCH:
                groups.take(batch, now_ms)
                groups.pass_time(now_ms)
                progress.advance(task, len(batch))
                batch = []
        groups.take(batch, now_ms)
        snapshots, _ = groups.snapshot()
        groups.changelog.close()
        del groups
        again = Groups(Path(directory), snapshots, LISTENERS)
        longest_s, total_s, first_ms, since_ms = 0.0, 0.0, 0, now_ms
        while not first_ms and now_ms - since_ms < PATIENCE_MS:
            now_ms += SPREAD_MS
            began = time.process_time()
            said = [each.topic for logic in again.logics for each in logic.on_batch([FollowBatch((), now_ms)])[0]]
            took_s = time.process_time() - began
            longest_s, total_s = max(longest_s, took_s), total_s + took_s
            first_ms = now_ms - since_ms if ROWS in said and not any(_uncounted(again)) else 0
        again.changelog.close()
    figures = {
        "subscribers": subscribers,
        "longest_stop_s": round(longest_s, 3),
        "cpu_s": round(total_s, 2),
        "cpu_us_each": round(total_s / subscribers * 1e6, 1),
        "said_after_s": first_ms / 1_000,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "waits.json").write_text(json.dumps(figures, indent=2) + "\n")
    if as_json:
        click.echo(json.dumps(figures))
        return
    click.echo(f"{subscribers:,} subscribers after a restart, {len(snapshots)} groups, nobody comes")
    click.echo(f"longest stop     {longest_s * 1_000:>8,.0f} ms of CPU; a pause may be {LIMIT_PAUSE_S * 1_000:.0f}")
    click.echo(f"all counted      {first_ms / 1_000:>8,.0f} s of log time after it; {total_s:.1f} s of CPU")


def _uncounted(groups: Groups) -> list[bool]:
    return [bool(logic._group._gauges._uncounted) for logic in groups.logics]


if __name__ == "__main__":
    main()
