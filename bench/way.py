"""What an event costs on its way, by stage, in processor time; beside another checkout's build where one is named.

``./segma bench way`` fills an embedded log and has the build's own flow process work it off (``first-touch``: each
event another person; ``sessions``: twelve events a visit in four beacons; ``bot``: all of one person, a million an
hour), or its own loader bring rows into its own ClickHouse (``loader``). ``--against DIR`` does the same with the
checkout in DIR, by turns, and prints the ratios. What comes live costs what ``./segma bench latency`` says.

Counted is user and system time of the process from the first batch recognised (the loader's: from a third of the rows)
to the last row, so that starting counts for nothing; stages are shares of it, by sampling. Both builds run from their
source, or as they are deployed: where ``--compiled DIR`` and ``--against DIR`` name what ``segma compile DIR`` made of
them.
"""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import click
import requests
from matplotlib import pyplot
from rich.progress import Progress
from rich.table import Table

from analytics.config import OWNER, AnalyticsSettings, password_file
from bench.builds import Build, process, spent_s
from bench.flow import ACTIONS, BATCH, write_installation
from bench.history import event_of
from cli.output import err, out
from contracts.beacons import BeaconRecord, Source
from contracts.codec import to_json, to_msgpack
from contracts.log import Outgoing
from contracts.topics import BEACONS, EVENTS, ROWS, account_topics, fixed_topics, subscriber_key
from transport import open_log
from transport.config import Settings

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "bench" / "results"
LOADS: Final = ("first-touch", "sessions", "bot", "loader")
VISITORS, EVENTS_A_BEACON, BEACONS_A_VISIT, VISITS_AT_ONCE = 50_000, 3, 4, 200
BOT_PER_S = 278
"""A million an hour."""
STARTED: Final = 1 / 3
"""The share of the rows behind which measuring of the loader begins."""
PLACES: Final[Sequence[tuple[str, str]]] = (
    ("importlib", ""),
    ("store.py:read", "read"),
    ("reader.py", "read"),
    ("source.py", "read"),
    ("store.py:append", "write"),
    ("writer.py", "write"),
    ("publisher.py", "write"),
    ("sink.py", "write"),
    ("codec.py:to_", "encode"),
    ("codec.py", "decode"),
    ("recognise.py", "recognise"),
    ("beacons.py", "recognise"),
    ("regroup.py", "regroup"),
    ("changelog.py", "epoch"),
    ("recovery_dir.py", "epoch"),
    ("flows/state/", "state"),
    ("keeper.py", "state"),
    ("kept.py", "state"),
    ("shelf.py", "state"),
    ("chains.py", "state"),
    ("sessions.py", "sessions"),
    ("flows/derived/", "sessions"),
    ("flows/machine/", "machine"),
    ("matcher.py", "machine"),
    ("program.py", "machine"),
    ("tree.py", "machine"),
    ("language/", "machine"),
    ("decide.py", "decide"),
    ("evidence.py", "decide"),
    ("wishes.py", "decide"),
    ("rows.py", "rows"),
    ("tables.py", "rows"),
    ("columns.py", "rows"),
    ("noting.py", "rows"),
    ("key_group.py", "regroup"),
    ("crowd.py", "regroup"),
    ("flows/", "follow"),
    ("http", "send"),
    ("clickhouse", "send"),
    ("urllib3", "send"),
    ("loader.py", "check"),
    ("erase.py", "check"),
)
"""The stage of a place: the first line whose words stand in it. No stage: starting, which counts for nothing."""


class Cost(NamedTuple):
    """Microseconds of processor time an event, by stage; of the server beside the loader, in all."""

    total: float
    stages: dict[str, float]
    server: float = 0.0


def beacons(load: str, count: int) -> Iterator[Outgoing]:
    """The beacons of a load with so many events, in order of time, seeded."""
    random, at_ms = Random(5), time.time_ns() // 1_000_000 - 3_600_000
    if load == "first-touch":
        for number in range(count):
            yield beacon(random, number, number, 1, at_ms + number // 4)
        return
    if load == "bot":
        for number in range(count):
            yield beacon(random, 0, number, 1, at_ms + number * 1_000 // BOT_PER_S)
        return
    for number in range(count // EVENTS_A_BEACON):
        turn, which = divmod(number, VISITS_AT_ONCE)
        round_of, step = divmod(turn, BEACONS_A_VISIT)
        person = (round_of * VISITS_AT_ONCE + which) % VISITORS
        yield beacon(random, person, number * EVENTS_A_BEACON, EVENTS_A_BEACON, at_ms + 20_000 * turn // 50 + step)


def beacon(random: Random, person: int, first: int, events: int, at_ms: int) -> Outgoing:
    """A beacon of a person with so many events."""
    device = f"d{person:015}"
    told = [
        {
            "event_id": f"e{number}",
            "action": random.choice(ACTIONS),
            "occurred_at_ms": at_ms + number - first - events,
            "order": number,
            "properties": {"path": f"/products/{number % 97}", "category": f"c{random.randrange(20)}", "value": 12.5},
        }
        for number in range(first, first + events)
    ]
    body = to_json({"site": "shop-key", "device": device, "sent_at_ms": at_ms, "events": told})
    record = BeaconRecord(
        "demo", "shop", Source.SDK, at_ms, body, device=device, subscriber=f"s_{person}", ip="127.0.0.0"
    )
    return Outgoing(BEACONS, f"demo/{device}".encode(), to_msgpack(record))


def event_rows(count: int) -> Iterator[Outgoing]:
    """So many rows of events, as the flow writes them."""
    random = Random(4)
    for number in range(count):
        row = event_of(number, random, VISITORS, 10**7)
        yield Outgoing(ROWS, subscriber_key("demo", row.event.subscriber), to_json(row))


def fill(home: Path, load: str, count: int) -> None:
    """An installation whose log holds the load."""
    home.mkdir()
    write_installation(home)
    log = open_log(Settings(data=home / "data"))
    log.ensure([*fixed_topics(4), *account_topics("demo", "mailbox")])
    publisher, batch = log.publisher(), list[Outgoing]()
    for record in event_rows(count) if load == "loader" else beacons(load, count):
        batch.append(record)
        if len(batch) == BATCH:
            publisher.publish(batch)
            batch = []
    publisher.publish(batch)
    publisher.close()
    log.close()


def watched(
    count: int, seen: Callable[[], int], begun: Callable[[int], bool], pids: Sequence[int], patience_s: float
) -> list[float]:
    """Microseconds an event of each process, from when it has ``begun``, asked with what is ``seen``, to the last.

    Raises :class:`click.ClickException` where nothing comes for ``patience_s``.
    """
    began: tuple[int, list[float]] | tuple[()] = ()
    last, until = -1, time.monotonic() + patience_s
    while True:
        found, spent = seen(), [spent_s(pid) for pid in pids]
        if found > last:
            last, until = found, time.monotonic() + patience_s
        if not began and begun(found):
            began = (found, spent)
        if began and found >= count:
            first, before = began
            if first == found:
                raise click.ClickException("all events came at one look: more --events are needed")
            return [1e6 * (now - then) / (found - first) for now, then in zip(spent, before, strict=True)]
        if time.monotonic() > until:
            raise click.ClickException(f"nothing came for {patience_s:.0f} s: {found} of {count} events")
        time.sleep(0.05)  # no call waits for a count of rows


def flow_cost(build: Build, home: Path, count: int, patience_s: float) -> Cost:
    """What the flow process takes for the load in a home's log."""
    log = open_log(Settings(data=home / "data"))
    rows, seen = log.reader(ROWS), Counter[bool]()

    def look() -> int:
        while records := rows.poll(5_000):
            seen.update(b'"row":"event"' in (record.value or b"") for record in records)
        return seen[True]

    places = home / "places.json"
    try:
        with process(build, "flows", home, {}, places) as pid:
            # NOTE: `recognise` runs ahead of `follow`: behind a share of the rows it would count for nothing.
            (total,) = watched(count, look, lambda _: any(log.end(EVENTS).values()), [pid], patience_s)
    finally:
        rows.close()
        log.close()
    return Cost(total, stages(total, places))


def loader_cost(build: Build, home: Path, count: int, patience_s: float) -> Cost:
    """What the loader, and its ClickHouse, take for the rows in a home's log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    at = {"SEGMA_CLICKHOUSE_PORT": str(port)}
    secret = password_file(AnalyticsSettings(data=home / "data"), OWNER)

    def look() -> int:
        try:
            login = (OWNER, secret.read_text("ascii").strip())
            sql = "SELECT count() FROM segma.event_rows"
            answer = requests.post(f"http://127.0.0.1:{port}/", data=sql, auth=login, timeout=30)
        except (OSError, requests.RequestException):
            return 0
        return int(answer.text) if answer.ok else 0

    places = home / "places.json"
    with (
        process(build, "analytics server", home, at) as server,
        process(build, "analytics loader", home, at, places) as loader,
    ):
        total, beside = watched(count, look, lambda found: found >= count * STARTED, [loader, server], patience_s)
    return Cost(total, stages(total, places), beside)


def stages(total: float, places: Path) -> dict[str, float]:
    """Microseconds an event by stage."""
    found: Counter[str] = Counter()
    for place, seconds in json.loads(places.read_text("utf-8")).items():
        stage = next((stage for words, stage in PLACES if words in place), "other")
        if stage:
            found[stage] += seconds
    whole = sum(found.values()) or 1.0
    return {stage: total * seconds / whole for stage, seconds in found.most_common()}


def measure(
    builds: Sequence[Build], loads: Sequence[str], count: int, rounds: int, patience_s: float
) -> dict[str, dict[str, Cost]]:
    """Load → build → its median cost. Builds take turns, so that a slow moment of the machine meets all alike."""
    found: dict[str, dict[str, Cost]] = {}
    with tempfile.TemporaryDirectory() as directory, Progress(console=err, transient=True) as progress:
        task = progress.add_task("measuring", total=len(loads) * rounds * len(builds))
        for load in loads:
            filled = Path(directory) / load
            fill(filled, load, count)
            costs: dict[str, list[Cost]] = {build.name: [] for build in builds}
            for _ in range(rounds):
                for build in builds:
                    home = Path(directory) / "home"
                    shutil.copytree(filled, home)
                    cost = loader_cost if load == "loader" else flow_cost
                    costs[build.name].append(cost(build, home, count, patience_s))
                    shutil.rmtree(home)
                    progress.advance(task)
            found[load] = {name: median(each) for name, each in costs.items()}
            shutil.rmtree(filled)
    return found


def median(costs: Sequence[Cost]) -> Cost:
    """The cost in the middle."""
    return sorted(costs, key=lambda cost: cost.total)[len(costs) // 2]


def draw(found: Mapping[str, Mapping[str, Cost]]) -> Path:
    """A bar a load and build, in pieces by stage."""
    figure, axes = pyplot.subplots(figsize=(11, 1.6 + 0.6 * sum(map(len, found.values()))), layout="constrained")
    names = sorted({stage for costs in found.values() for cost in costs.values() for stage in cost.stages})
    bars = [(f"{load}: {name}", cost) for load, costs in found.items() for name, cost in costs.items()]
    left = [0.0] * len(bars)
    for place, name in enumerate(names):
        widths = [cost.stages.get(name, 0.0) for _, cost in bars]
        color = pyplot.get_cmap("tab20")(place % 20)
        axes.barh([title for title, _ in bars], widths, left=left, label=name, color=color)
        left = [one + two for one, two in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("microseconds of processor time an event")
    axes.legend(ncols=6, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / "way.png"
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path


def table_of(found: Mapping[str, Mapping[str, Cost]]) -> Table:
    """The same in words: the ratio is of the first build by the second."""
    table = Table("load", "build", "µs an event", "ratio", "server", "by stage", box=None)
    for load, costs in found.items():
        for name, cost in costs.items():
            beside = [other.total for each, other in costs.items() if each != name]
            ratio = f"{cost.total / beside[0]:.2f}" if beside and name == "now" else ""
            parts = ", ".join(f"{stage} {spent:.1f}" for stage, spent in cost.stages.items())
            table.add_row(load, name, f"{cost.total:.1f}", ratio, f"{cost.server:.1f}" if cost.server else "", parts)
    return table


@click.command(help=__doc__)
@click.option("--load", "loads", multiple=True, type=click.Choice(LOADS), help="Only this one; may be given again.")
@click.option("--events", "count", default=120_000, show_default=True, type=click.IntRange(min=1_000))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1), help="The median one is told.")
@click.option("--against", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Another checkout.")
@click.option("--compiled", type=click.Path(path_type=Path, exists=True, file_okay=False), help="This build, compiled.")
@click.option("--patience-s", default=120.0, show_default=True, help="Give up when nothing comes for so long.")
@click.option("--json", "as_json", is_flag=True, help="One object instead of a table.")
def main(
    loads: Sequence[str],
    count: int,
    rounds: int,
    against: Path | None,
    compiled: Path | None,
    patience_s: float,
    *,
    as_json: bool,
) -> None:
    builds = [Build.at("now", compiled or ROOT)]
    if against is not None:
        builds.append(Build.at("against", against))
    count -= count % (EVENTS_A_BEACON * BEACONS_A_VISIT)
    found = measure(builds, loads or LOADS, count, rounds, patience_s)
    path = draw(found)
    if as_json:
        plain = {load: {name: cost._asdict() for name, cost in costs.items()} for load, costs in found.items()}
        click.echo(json.dumps(plain))
    else:
        out.print(table_of(found))
    click.echo(f"drawn in {path.relative_to(ROOT)}", err=True)


if __name__ == "__main__":
    main()
