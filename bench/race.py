"""Two processes of ours against Apache Flink CEP at its best, on the same events, two cores each, in one run.

``./segma bench race`` copies the peers' harness to ``--built`` (outside the checkout: its virtual environment takes
850 MB; it stays there for the next time), builds it where it is not built, writes the events in both forms, and runs
ours and Flink in turn. Both read JSON from files; each process of ours is given the partition that is its own, as a
broker does. Ours publishes every match as a row and keeps undo log, sessions and recovery; Flink counts its matches and
throws them away, without checkpoints. The matches must be as many.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
from matplotlib.figure import Figure

from bench.detect import RESULTS, ROOT, command, environment
from bench.load import write_events, write_theirs
from cli.output import err
from contracts.topics import partition_of

WANTED: Final = {1: 2, 10: 10, 100: 60}
"""By number of listeners: how many times Flink's speed is asked for."""
Figures = dict[str, Any]


def built(harness: Path, place: Path) -> Path:
    """The harness, copied to ``place`` and built there."""
    if not (place / "flink_cep.py").exists():
        shutil.copytree(harness, place, dirs_exist_ok=True)
        for path in (place, *place.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)
    if not (place / "cepjob.jar").exists():
        err.print("building the harness (a virtual environment of 850 MB) …")
        subprocess.run(["bash", str(place / "build.sh")], cwd=place, check=True)
    return place


def partitioned(events: Path) -> list[Path]:
    """The records in two files, a partition each; how far log time has come stands in both."""
    paths = [events.with_suffix(f".{number}") for number in range(2)]
    with events.open("rb") as source, paths[0].open("wb") as first, paths[1].open("wb") as second:
        files = (first, second)
        for line in source:
            key = line.partition(b"\t")[0]
            for file in (files[partition_of(key, len(files))],) if key else files:
                file.write(line)
    return paths


def ours(partitions: Sequence[Path], count: int, lateness_ms: int, *, plain: bool) -> Figures:
    """A process for each partition: the slowest one's wall time, the CPU time of all."""
    own = environment(plain=plain)
    with tempfile.TemporaryDirectory() as directory:
        options = ("--listeners", count, "--lateness-ms", lateness_ms)
        started = [
            subprocess.Popen(
                command(path, Path(directory) / path.suffix, *options),
                env=own,
                stdout=subprocess.PIPE,
                text=True,
            )
            for path in partitions
        ]
        ended = [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]
    return {
        "wall_s": max(each["wall_s"] for each in ended),
        "cpu_s": sum(each["cpu_s"] for each in ended),
        "peak_mb": sum(each["peak_mb"] for each in ended),
        "matches": sum(each["match"] - each["retraction"] for each in ended),
    }


def theirs(place: Path, events: Path, count: int, memory: str) -> Figures:
    """Flink in its strongest form, warm (the second run in one JVM) where a run is short enough to make two."""
    repeat = 2 if count <= 10 else 1
    arguments = ["--api", "java", "--prefilter", "--chain", "--parallelism", "2", "--repeat", str(repeat)]
    done = subprocess.run(
        [
            str(place / "flink-venv/bin/python"),
            str(place / "flink_cep.py"),
            str(events),
            *arguments,
            "--listeners",
            str(count),
            "--xmx",
            memory,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise click.ClickException(done.stderr[-2_000:])
    found = json.loads(done.stdout.splitlines()[-1])
    last = found["runs"][-1]
    return {
        "wall_s": last["net_runtime_s"],
        "cpu_s": last["cpu_s"],
        "peak_mb": found["rss_peak_mib"],
        "matches": last["matches"],
    }


def row_of(count: int, events: int, own: Figures, flink: Figures) -> Figures:
    """One line of the race."""
    return {
        "listeners": count,
        "events": events,
        "ours": {**own, "events_per_s": round(events / own["wall_s"]), "us_event": own["cpu_s"] / events * 1e6},
        "flink": {**flink, "events_per_s": round(events / flink["wall_s"]), "us_event": flink["cpu_s"] / events * 1e6},
        "times_events_per_s": flink["wall_s"] / own["wall_s"],
        "times_cpu": flink["cpu_s"] / own["cpu_s"],
        "wanted": WANTED.get(count),
        "same_matches": own["matches"] == flink["matches"],
    }


def told(row: Figures) -> None:
    own, flink = row["ours"], row["flink"]
    same = "the same matches" if row["same_matches"] else f"{own['matches']:,} AGAINST {flink['matches']:,} MATCHES"
    wanted = f" (to reach: {row['wanted']})" if row["wanted"] else ""
    click.echo(
        f"{row['listeners']:>4} listeners, {row['events']:,} events: {own['events_per_s']:,} events/s against"
        f" {flink['events_per_s']:,}: {row['times_events_per_s']:.1f} times; CPU {own['us_event']:.1f} µs against"
        f" {flink['us_event']:.1f} µs an event: {row['times_cpu']:.1f} times{wanted};"
        f" {own['peak_mb']:.0f} MB against {flink['peak_mb']:.0f} MB; {own['matches']:,} matches, {same}"
    )


def draw(rows: list[Figures], path: Path) -> None:
    """How many times Flink's speed, and what was asked for."""
    figure = Figure(figsize=(7, 3.2))
    axes = figure.add_subplot()
    places = range(len(rows))
    axes.bar([at - 0.2 for at in places], [row["times_events_per_s"] for row in rows], 0.36, label="events/s")
    axes.bar([at + 0.2 for at in places], [row["times_cpu"] for row in rows], 0.36, label="CPU time an event")
    wanted = [row["wanted"] or float("nan") for row in rows]
    axes.scatter(list(places), wanted, marker="_", s=900, color="black", label="asked for")
    axes.set_xticks(list(places), [f"{row['listeners']} listeners" for row in rows])
    axes.set_yscale("log")
    axes.set_ylabel("times Flink at its best")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


@click.command()
@click.option("--events", default=1_000_000, show_default=True)
@click.option("--subscribers", default=50_000, show_default=True)
@click.option("--listeners", "counts", multiple=True, type=int, default=(1, 10, 100), show_default=True)
@click.option("--lateness-ms", default=600_000, show_default=True)
@click.option(
    "--harness",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=ROOT.parent / "shared" / "peers",
    help="Where the peers' harness is.  [default: ../shared/peers]",
)
@click.option(
    "--built",
    "place",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(tempfile.gettempdir()) / "segma-peers",
    show_default=True,
    help="Where it is built.",
)
@click.option(
    "--xmx", default="8g", show_default=True, help="Flink's heap; 100 listeners on 1,000,000 events need 14g."
)
@click.option("--plain", is_flag=True, help="Run the Python source, also where a compiled machine is there.")
def main(
    events: int,
    subscribers: int,
    counts: tuple[int, ...],
    lateness_ms: int,
    harness: Path,
    place: Path,
    xmx: str,
    plain: bool,
) -> None:
    """Race, print, and write the results."""
    peers, rows = built(harness, place), list[Figures]()
    with tempfile.TemporaryDirectory() as directory:
        own_file, their_file = Path(directory) / "ours.records", Path(directory) / "theirs.ndjson"
        err.print(f"writing {events:,} events, twice …")
        write_events(own_file, events, subscribers, selective=False)
        partitions = partitioned(own_file)
        write_theirs(their_file, events, subscribers)
        for count in counts:
            own = ours(partitions, count, lateness_ms, plain=plain)
            rows.append(row_of(count, events, own, theirs(peers, their_file, count, xmx)))
            told(rows[-1])
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / "race.json"
    # Of other numbers of listeners what was measured before stays: a hundred take Flink minutes.
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    rows = sorted([*(row for row in before if row["listeners"] not in counts), *rows], key=lambda row: row["listeners"])
    path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    draw(rows, RESULTS / "race.png")
    if not all(row["same_matches"] for row in rows):
        raise click.ClickException("the two do not agree on the matches")


if __name__ == "__main__":
    main()
