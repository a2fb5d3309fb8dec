"""Whether any input at any door ends a process, loses an event or leaks: mutated requests against an installation.

``./segma bench doors_fuzz --tries 1000000 --state fuzz.json`` starts what ``segma up`` starts in a home of its own
(with ``--kafka`` on a local Kafka), sends beacons, server calls, webhooks, links and pictures that are mutated by a
seed, and asks the history for every event of every 2xx. It prints what was tried, what was refused by reason, and what
must be 0: answers 5xx, events lost, processes restarted, tracebacks in logs, and canaries (tokens, addresses) found in
topics, rows, dead letters, pages, metrics and files. The state file says where to go on; each 100,000 tries have a new
home.
"""

from __future__ import annotations

import collections
import json
import sys
import tempfile
from pathlib import Path

import click
from rich.progress import Progress

from cli.output import err
from tests.recovery.doors_trial import MUST_BE_NONE, Counts, Trial, installation


def one_home(first: int, tries: int, batch: int, seed: int, counts: Counts, *, kafka: bool, progress: Progress) -> None:
    """Send tries from ``first`` on to an installation of their own. ``counts`` takes what was seen."""

    def say(text: str) -> None:
        progress.console.print(text, markup=False)

    task = progress.add_task(f"from {first}", total=tries)
    with (
        tempfile.TemporaryDirectory(prefix="segma-doors-") as directory,
        installation(Path(directory), kafka=kafka, say=say) as running,
    ):
        trial = Trial(running, seed, counts, say)
        for start in range(first, first + tries, batch):
            size = min(batch, first + tries - start)
            if lost := trial.batch(start, size):
                say(f"lost of tries {lost[:20]}")
            progress.advance(task, size)
        for place, found in trial.search().items():
            say(f"{found} canaries in {place}")
            counts["canaries"] += found
        trial.close()
    progress.remove_task(task)


@click.command()
@click.option("--seed", default=1, show_default=True)
@click.option("--tries", default=10_000, show_default=True, help="How many in all, those of the state file among them.")
@click.option("--batch", default=2_000, show_default=True, help="Tries between two looks at the history.")
@click.option("--home-tries", default=100_000, show_default=True, help="Tries of one installation.")
@click.option("--state", type=click.Path(dir_okay=False, path_type=Path), help="Where to go on from, and to write to.")
@click.option("--kafka", is_flag=True, help="On a local Kafka instead of the embedded log.")
def main(seed: int, tries: int, batch: int, home_tries: int, state: Path | None, kafka: bool) -> None:
    """Try the doors; ends with 1 where anything was seen that must not be."""
    counts: Counts = collections.Counter()
    if state is not None and state.exists():
        counts.update(json.loads(state.read_text())[str(seed)])
    with Progress(console=err) as progress:
        while counts["tried"] < tries:
            size = min(home_tries, tries - counts["tried"])
            one_home(counts["tried"], size, batch, seed, counts, kafka=kafka, progress=progress)
            if state is not None:
                state.write_text(json.dumps({seed: counts}))
    for name in MUST_BE_NONE:
        counts[name] += 0
    for name, count in sorted(counts.items()):
        click.echo(f"{count:>9}  {name}")
    sys.exit(any(counts[name] for name in MUST_BE_NONE))


if __name__ == "__main__":
    main()
