"""How fast one process detects, beside decoding alone in the same run.

``./segma bench detect`` writes the events of the peers' harness (1,000,000, seeded), and runs ``bench.detector`` over
them in a process of its own for each load, number of listeners and lateness: JSON in, undo log, sessions and recovery
on, all matches published. Decoding alone is measured between all of them, so that a slow moment meets all alike. The
compiled machine is used where ``./segma compile`` has made one (``--plain``: the source).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import click
from matplotlib.figure import Figure

from bench.load import write_events
from cli.output import err

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "bench" / "results"
LATENESSES_MS: Final = (600_000, 1_000)
CASES: Final = (("dense", (1, 10, 100, 1_000)), ("selective", (10, 1_000)))
Figures = dict[str, Any]


def environment(*, plain: bool) -> dict[str, str]:
    """The environment of a process that detects: with the compiled machine, unless ``plain`` or there is none."""
    native = Path(os.environ.get("SEGMA_VENV", ROOT / ".venv")) / "native"
    code = str(ROOT) if plain or not (native / ".stamp").exists() else str(native)
    return {**os.environ, "PYTHONPATH": f"{code}:{ROOT}"}


def command(events: Path, out: Path, *options: object) -> list[str]:
    """A detector's command line."""
    return [sys.executable, "-m", "bench.detector", str(events), str(out), *map(str, options)]


def detected(events: Path, out: Path, own: dict[str, str], *options: object) -> Figures:
    """Run one detector to its end."""
    done = subprocess.run(command(events, out, *options), env=own, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(done.stderr[-2_000:])
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def figures_of(found: Figures, events: int, decoding: Figures) -> Figures:
    """What is told of one run: by its own CPU time, which other processes disturb least, and on the wall."""
    matches = found["match"] + found["amendment"]
    decode_us = decoding["cpu_s"] / decoding["events"] * 1e6
    us = found["cpu_s"] / events * 1e6
    return {
        "events_per_s": round(events / found["wall_s"]),
        "us_event": round(us, 2),
        "us_match": round(found["cpu_s"] / matches * 1e6, 1) if matches else None,
        "of_decoding": round(decode_us / us, 3),
        "peak_mb": round(found["peak_mb"]),
        "matches": found["match"] - found["retraction"],
    }


def draw(rows: list[Figures], path: Path) -> None:
    """Bars: the part of decoding's speed that each case has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(8, 0.4 * len(rows) + 1.4))
    axes = figure.add_subplot()
    names = [f"{row['load']}, {row['listeners']:,} listeners, lateness {row['lateness_ms'] // 1000} s" for row in rows]
    bars = axes.barh(names, [row["of_decoding"] for row in rows], color="#2a7")
    axes.bar_label(bars, [f"{row['us_event']} µs, {row['peak_mb']} MB" for row in rows], padding=4)
    axes.axvline(0.18, color="#888", linestyle="--")
    axes.set_xlim(0, max(0.2, *(row["of_decoding"] for row in rows)) * 1.4)
    axes.set_xlabel("of the speed of decoding alone; labels: CPU time an event, peak memory")
    axes.invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


@click.command()
@click.option("--events", default=1_000_000, show_default=True)
@click.option("--subscribers", default=50_000, show_default=True)
@click.option(
    "--load", "loads", multiple=True, type=click.Choice(["dense", "selective"]), help="Only this; repeatable."
)
@click.option("--listeners", "counts", multiple=True, type=int, help="Only so many; repeatable.")
@click.option("--lateness-ms", "latenesses", multiple=True, type=int, help="Only this; repeatable.")
@click.option("--plain", is_flag=True, help="Run the Python source, also where a compiled machine is there.")
@click.option("--rows", is_flag=True, help="Publish a row for each event too.")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, show_default=True)
def main(
    events: int,
    subscribers: int,
    loads: tuple[str, ...],
    counts: tuple[int, ...],
    latenesses: tuple[int, ...],
    plain: bool,
    rows: bool,
    out: Path,
) -> None:
    """Measure, print, and write the results."""
    own, found = environment(plain=plain), list[Figures]()
    with tempfile.TemporaryDirectory() as directory:
        for load, all_counts in CASES:
            if loads and load not in loads:
                continue
            path = Path(directory) / f"{load}.records"
            err.print(f"writing {events:,} events, {load} …")
            write_events(path, events, subscribers, selective=load == "selective")
            for lateness_ms in latenesses or LATENESSES_MS:
                for count in counts or all_counts:
                    decoding = detected(path, path.with_suffix(".out"), own, "--load", "none")
                    options = ("--load", load, "--listeners", count, "--lateness-ms", lateness_ms)
                    run = detected(path, path.with_suffix(".out"), own, *options, *(["--rows"] if rows else []))
                    head = {"load": load, "listeners": count, "lateness_ms": lateness_ms}
                    found.append({**head, **figures_of(run, events, decoding)})
                    told(found[-1])
    out.mkdir(parents=True, exist_ok=True)
    (out / "detect.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    draw(found, out / "detect.png")
    err.print(f"drawn in {out / 'detect.png'}", markup=False)


def told(row: Figures) -> None:
    match = "" if row["us_match"] is None else f"  {row['us_match']:>8} µs/match"
    click.echo(
        f"{row['load']:<9} {row['listeners']:>5} listeners  lateness {row['lateness_ms'] // 1000:>3} s  "
        f"{row['events_per_s']:>8,} events/s  {row['us_event']:>6} µs/event{match}  "
        f"{row['of_decoding']:.3f} of decoding  {row['peak_mb']:>5} MB  {row['matches']:>8,} matches"
    )


if __name__ == "__main__":
    main()
