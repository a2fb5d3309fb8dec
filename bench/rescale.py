"""Another number of flow processes for a million subscribers: how long no flow is at work, and the memory it takes.

``./segma bench rescale`` writes the store of one process (64 partitions, 16 key groups each) whose subscribers have the
states that three open runs make, moves it to 3 processes and then to 2 by the command, and opens the largest new store
as a flow does at its start. A flow stands still for both together.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, pairwise
from pathlib import Path
from typing import Final

import click
from rich.progress import Progress

from bench.state import LISTENERS, Groups, filled, shared
from cli.output import err
from contracts.codec import to_msgpack
from contracts.topics import BEACONS, EVENTS, group_of, partition_of, subscriber_key
from flows.operators.logic import FollowLogic, GroupSnapshot
from flows.operators.source import Position, Positions
from flows.rescale import bytewax_store
from flows.rescale.copying import SOURCE, STATES
from flows.state.changelog import PEOPLE, Changelog, latest
from flows.state.recovery_dir import LAYOUT, StoreShape, directory_of, write_shape
from flows.state.rows import SnapshotAndTail, disassembled

PARTITIONS: Final = 64
GROUPS: Final = 16
SAMPLE: Final = 2_000
NUMBERS: Final = (1, 3, 2)
COMMAND: Final = """
from cli.__main__ import cli
cli(standalone_mode=False)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
"""NOTE: what a parent can ask of its children counts its own memory at their start as theirs."""
Place = tuple[int, int]


def samples(directory: Path, progress: Progress) -> list[SnapshotAndTail]:
    """States that real events make."""
    groups = Groups(directory, None)
    list(filled(groups, SAMPLE, 20_000, progress))
    groups.changelog.close()
    return [chain for _, chain in latest(directory, PEOPLE)]


def people_by_place(subscribers: int) -> dict[Place, list[str]]:
    """The keys of so many subscribers, by partition and key group."""
    found: dict[Place, list[str]] = {}
    for number in range(subscribers):
        key = subscriber_key("w", f"s_{number:032x}")
        place = partition_of(key, PARTITIONS), group_of(key, PARTITIONS, GROUPS)
        found.setdefault(place, []).append(key.decode())
    return found


def fill(data: Path, subscribers: int, states: list[SnapshotAndTail], progress: Progress) -> None:
    """Write the store of one process in which everybody has one of the states."""
    store, given = directory_of(data, 0, 1), cycle(states)
    store.mkdir(parents=True)
    people, changelog = people_by_place(subscribers), Changelog(store / STATES)

    def snapshots() -> Iterator[tuple[str, str, bytes]]:
        for (partition, group), keys in progress.track(people.items(), description="a store of one process"):
            opened, _ = changelog.group(None, PEOPLE)
            changelog.append(opened, list(disassembled(((key, next(given)) for key in keys), {})))
            yield "segma.follow", f"{partition}-{group}", to_msgpack(GroupSnapshot(opened.position))

    lanes = {f"{number}.{each}": Position("t", 0) for number in (0, 1) for each in range(PARTITIONS)}
    bytewax_store.write(store, [(*SOURCE, to_msgpack(Positions(lanes))), *snapshots()])
    changelog.settle()
    changelog.close()
    topics, secrets = {BEACONS: "t", EVENTS: "t"}, {"w": "0"}
    write_shape(store, StoreShape(PARTITIONS, GROUPS, 0, 1, topics, secrets, LAYOUT))


def moved(home: Path, before: int, after: int) -> dict[str, float]:
    """What the command says, and how long it took with its start."""
    words = ["flow", "rescale", "--home", str(home), "--from", str(before), "--to", str(after), "--json"]
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", COMMAND, *words], stdout=subprocess.PIPE, check=True)
    said, peak = done.stdout.splitlines()
    figures: dict[str, float] = json.loads(said)
    return figures | {"took": time.perf_counter() - began, "peak_mb": int(peak.split()[1]) / 1_024}


def opened(store: Path) -> float:
    """Seconds until a flow has what it needs of its store."""
    began = time.perf_counter()
    common, changelog = shared(LISTENERS), Changelog(store / STATES)
    logics = [
        FollowLogic(common, changelog, state)
        for step, _, state in bytewax_store.resumed(store)
        if step == "segma.follow"
    ]
    changelog.close()
    assert logics
    return time.perf_counter() - began


@click.command()
@click.option("--subscribers", default=1_000_000, show_default=True)
def main(subscribers: int) -> None:
    """Rescale so many subscribers."""
    with tempfile.TemporaryDirectory() as directory, Progress(console=err, transient=True) as progress:
        home = Path(directory)
        fill(home / "data", subscribers, samples(home / "samples", progress), progress)
        size = sum(path.stat().st_size for path in home.rglob("data/**/*.log"))
        click.echo(f"{subscribers:,} subscribers, {size / 1e6:,.0f} MB of states, {PARTITIONS} partitions")
        for before, after in pairwise(NUMBERS):
            said = moved(home, before, after)
            start, peak = opened(directory_of(home / "data", 0, after)), said["peak_mb"]
            click.echo(
                f"from {before} to {after}: {said['took']:.1f} s, peak {peak:,.0f} MB; the largest new process is up"
                f" after another {start:.1f} s: {said['took'] + start:.1f} s without a flow"
            )
            assert said["keys"] == subscribers


if __name__ == "__main__":
    main()
