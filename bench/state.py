"""A million subscribers with state: bytes each, the pause at an epoch's end, the changelog, the time to resume.

``./segma bench state`` gives every subscriber a click, a view and a product in the basket, so that three runs are
open (of ten listeners), through the logic that runs inside Bytewax: JSON in, undo log, sessions, 64 key groups. Then it
goes on with random subscribers for some epochs, takes the time of each group's snapshot, and starts anew from the
positions. It prints what it measured and draws ``bench/results/state.png``.
"""

from __future__ import annotations

import gc
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import click
import psutil
from matplotlib.figure import Figure
from rich.progress import Progress

from cli.output import err
from contracts.actions import VOCABULARY
from contracts.codec import to_json
from contracts.events import Event
from contracts.log import Outgoing, Record
from contracts.topics import EVENTS, group_of, subscriber_key
from flows.__main__ import COLLECT_EVERY
from flows.language.parse import parse_listeners
from flows.operators.logic import FollowBatch, FollowLogic, Shared
from flows.state.changelog import Changelog
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.pinned_terms import Terms

RESULTS: Final = Path(__file__).resolve().parent / "results"
GROUPS: Final = 64
BATCH: Final = 2_000
START_MS: Final = 1_767_225_600_000
MINUTE_MS: Final = 60_000
LIMIT_BYTES, LIMIT_PAUSE_S = 1_000, 0.2
ACTIONS: Final = ("email_clicked", "page_viewed", "product_added")
LISTENERS: Final = "\n---\n".join(
    f"listener: l{number}\nwithin: {number + 2}d\nsequence:\n{steps}\nthen: [{{add: {{to: x, at: a}}}}]"
    for number, steps in enumerate(
        [
            "  - action: email_clicked\n  - action: form_submitted",
            "  - action: page_viewed\n  - action: searched\n  - action: product_bought",
            "  - action: product_added\n  - not: product_bought\n    for: 2d",
            *(
                f"  - {{action: searched, where: {{term: t{number}}}}}\n  - action: product_bought"
                for number in range(7)
            ),
        ]
    )
)


def shared(text: str) -> Shared:
    """One workspace with these listeners."""
    listeners = parse_listeners([("bench.yaml", text.encode())], known_actions=VOCABULARY)
    engine = WorkspaceEngine(
        "w",
        listeners,
        terms=Terms(10 * MINUTE_MS, 30 * MINUTE_MS, 1_440 * MINUTE_MS, 2_000),
    )
    return Shared({}, {"w": engine}, 1)


def _hex(number: int, length: int) -> str:
    """Digits as random as those of real ids: what is packed gains nothing from them."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:length]


def record(number: int, person: int, action: str, at_ms: int) -> Record:
    """One event as it stands in ``events``."""
    subscriber = f"s_{_hex(person, 32)}"
    event = Event(
        workspace="w",
        subscriber=subscriber,
        event_id=_hex(number, 24),
        action=action,
        occurred_at_ms=at_ms,
        order=number,
        properties={"path": f"/products/{person % 97}", "category": f"c{person % 20}", "campaign": "spring"},
        site="shop",
        device=f"d{_hex(person, 24)}",
        received_at_ms=at_ms + 40,
        log_time_ms=at_ms + 60,
        offset=number,
    )
    return Record(EVENTS, 0, number, at_ms + 60, subscriber_key("w", subscriber), to_json(event))


class Pause(NamedTuple):
    """Seconds on the clock, and seconds of CPU: other work on the machine makes the first longer."""

    wall_s: float
    cpu_s: float


class Groups:
    """All key groups of a process, and what came out."""

    def __init__(self, directory: Path, snapshots: list[bytes] | None, listeners: str = LISTENERS) -> None:
        self.changelog = Changelog(directory)
        common = shared(listeners)
        self.bounds = [common.bounds, common.engines["w"].bounds]
        positions: list[bytes | None] = [None] * GROUPS if snapshots is None else list(snapshots)
        self.logics = [FollowLogic(common, self.changelog, position) for position in positions]
        self.out = 0

    def take(self, records: list[Record], now_ms: int) -> None:
        """One batch, grouped as the source does."""
        found: dict[int, list[tuple[Record, int]]] = {}
        for each in records:
            found.setdefault(group_of(each.key, 1, GROUPS), []).append((each, now_ms))
        for group, own in found.items():
            batch: list[Outgoing] = list(self.logics[group].on_batch([FollowBatch(tuple(own), now_ms)])[0])
            self.out += len(batch)

    def pass_time(self, now_ms: int) -> None:
        """Every group hears of the time."""
        for logic in self.logics:
            self.out += len(list(logic.on_batch([FollowBatch((), now_ms)])[0]))

    def snapshot(self) -> tuple[list[bytes], Pause]:
        """Every group's snapshot, and what they took together: the pause at an epoch's end."""
        began, cpu = time.perf_counter(), time.process_time()
        snapshots = [logic.snapshot() for logic in self.logics]
        return snapshots, Pause(time.perf_counter() - began, time.process_time() - cpu)


def filled(groups: Groups, people: int, epoch_events: int, progress: Progress) -> Iterator[Pause]:
    """Give everybody three open runs; the pauses."""
    task = progress.add_task("three open runs each", total=people * len(ACTIONS))
    batch, number, since = list[Record](), 0, 0
    for person in range(people):
        for step, action in enumerate(ACTIONS):
            number += 1
            batch.append(record(number, person, action, START_MS + person // 10 + step * 2_000))
        if len(batch) >= BATCH:
            groups.take(batch, START_MS + person // 10)
            progress.advance(task, len(batch))
            since += len(batch)
            batch = []
        if since >= epoch_events:
            since = 0
            yield groups.snapshot()[1]
    groups.take(batch, START_MS + people // 10)
    yield groups.snapshot()[1]


@click.command()
@click.option("--subscribers", default=1_000_000, show_default=True)
@click.option("--epochs", default=30, show_default=True, help="Epochs measured once everybody has state.")
@click.option("--epoch-events", default=20_000, show_default=True, help="Events of an epoch.")
@click.option("--json", "as_json", is_flag=True)
def main(subscribers: int, epochs: int, epoch_events: int, as_json: bool) -> None:
    """Measure the state of so many subscribers."""
    gc.freeze()
    gc.set_threshold(*COLLECT_EVERY)
    process, random = psutil.Process(), Random(4)
    with tempfile.TemporaryDirectory() as directory, Progress(console=err, transient=True) as progress:
        before = process.memory_info().rss
        groups = Groups(Path(directory), None)
        fill_pauses = list(filled(groups, subscribers, epoch_events, progress))
        resident = process.memory_info().rss - before
        live, base_files = groups.changelog.live_bytes, groups.changelog.total_bytes
        task = progress.add_task("epochs", total=epochs)
        pauses, sizes, grown, number = list[Pause](), list[int](), list[int](), 10 * subscribers
        at_ms = START_MS + subscribers // 10 + 5 * MINUTE_MS
        for _ in range(epochs):
            size = groups.changelog.total_bytes
            for _ in range(epoch_events // BATCH):
                at_ms += 100
                people = [random.randrange(subscribers) for _ in range(BATCH)]
                batch = [record(number + each, who, "page_viewed", at_ms) for each, who in enumerate(people)]
                number += BATCH
                groups.take(batch, at_ms)
            snapshots, pause = groups.snapshot()
            pauses.append(pause)
            sizes.append(groups.changelog.total_bytes)
            grown.append(max(groups.changelog.total_bytes - size, 0))
            progress.advance(task)
        groups.changelog.close()
        keys = groups.changelog.keys
        del groups
        gc.collect()
        began = time.perf_counter()
        again = Groups(Path(directory), snapshots)
        again.pass_time(at_ms)  # who is due when is put in order with the first of it
        resumed = time.perf_counter() - began
        assert again.changelog.keys == keys
        people = [random.randrange(subscribers) for _ in range(BATCH)]
        batch = [record(number + each, who, "page_viewed", at_ms) for each, who in enumerate(people)]
        began = time.perf_counter()
        again.take(batch, at_ms)
        asked = (time.perf_counter() - began) / BATCH
        again.changelog.close()
    figures = {
        "subscribers": subscribers,
        "state_bytes_each": round(live / subscribers),
        "resident_bytes_each": round(resident / subscribers),
        "longest_pause_s": round(max(each.wall_s for each in pauses), 4),
        "longest_pause_cpu_s": round(max(each.cpu_s for each in pauses), 4),
        "longest_pause_while_filling_s": round(max(each.wall_s for each in fill_pauses), 4),
        "file_bytes": base_files,
        "file_to_live": round(base_files / live, 2),
        "grown_bytes_an_epoch": round(sum(grown) / len(grown)),
        "grown_bytes_an_event": round(sum(grown) / (epochs * epoch_events)),
        "resume_s": round(resumed, 2),
        "first_event_after_resume_us": round(asked * 1e6),
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "state.json").write_text(json.dumps(figures, indent=2) + "\n")
    draw(figures, fill_pauses, pauses, sizes)
    if as_json:
        click.echo(json.dumps(figures))
        return
    click.echo(f"{subscribers:,} subscribers, three open runs each, {GROUPS} groups, {epoch_events:,} events an epoch")
    each, longest = figures["state_bytes_each"], figures["longest_pause_s"]
    click.echo(f"state of one         {each:>8,.0f} bytes   limit {LIMIT_BYTES:,}: {each / LIMIT_BYTES:.2f} of it")
    click.echo(f"resident memory      {figures['resident_bytes_each']:>8,.0f} bytes each")
    limit = f"limit {LIMIT_PAUSE_S * 1_000:.0f}: {longest / LIMIT_PAUSE_S:.2f} of it"
    click.echo(f"longest pause        {longest * 1_000:>8,.0f} ms      {limit}")
    click.echo(f"  of it CPU          {figures['longest_pause_cpu_s'] * 1_000:>8,.0f} ms")
    click.echo(f"while filling        {figures['longest_pause_while_filling_s'] * 1_000:>8,.0f} ms")
    click.echo(f"files                {base_files / 1e6:>8,.0f} MB      {figures['file_to_live']:.2f} of what lives")
    click.echo(f"growth               {figures['grown_bytes_an_event']:>8,.0f} bytes an event")
    click.echo(
        f"resume               {resumed:>8.1f} s      then {asked * 1e6:,.0f} µs for the first event of somebody"
    )
    click.echo("drawn in bench/results/state.png", err=True)


def draw(figures: dict[str, float], filling: list[Pause], pauses: list[Pause], sizes: list[int]) -> None:
    """The pauses of all epochs against the limit, and the files' size afterwards."""
    figure = Figure(figsize=(9, 5))
    above, below = figure.subplots(2)
    above.plot([each.wall_s * 1_000 for each in (*filling, *pauses)], color="#2a7", linewidth=1, label="on the clock")
    above.plot([each.cpu_s * 1_000 for each in (*filling, *pauses)], color="#27a", linewidth=1, label="CPU")
    above.axhline(LIMIT_PAUSE_S * 1_000, color="#a33", linestyle="--", label="limit")
    above.axvline(len(filling), color="#888", linewidth=1, label="everybody has state")
    above.set_ylabel("pause at an epoch's end, ms")
    above.legend(frameon=False)
    above.set_title(f"{figures['subscribers']:,.0f} subscribers, {figures['state_bytes_each']:.0f} bytes of state each")
    below.plot([size / 1e6 for size in sizes], color="#27a")
    below.set_ylabel("files of the changelog, MB")
    below.set_xlabel("epochs once everybody has state")
    below.set_ylim(bottom=0)
    figure.tight_layout()
    figure.savefig(RESULTS / "state.png", dpi=120)


if __name__ == "__main__":
    main()
