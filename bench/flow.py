"""A million one-event beacons through ``recognise`` and ``follow``, against decoding alone in the same run.

``./segma bench flow`` writes the beacons into an embedded log, starts the flow (the real process) and takes the time
from its first event row to its last; then it reads and decodes the same records and does nothing else.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import click
from matplotlib import pyplot
from rich.progress import Progress

from bench.builds import deployed, process
from cli.output import err
from contracts.beacons import Beacon, BeaconRecord, SentEvent, Source
from contracts.codec import json_reader, msgpack_reader, to_json, to_msgpack
from contracts.log import Log, Outgoing
from contracts.topics import BEACONS, ROWS, account_topics, fixed_topics
from transport import open_log
from transport.config import Settings

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
BATCH = 1_000
PEOPLE = 50_000
ACTIONS = ("page_viewed",) * 6 + ("product_added", "product_bought", "email_clicked", "button_clicked")
LISTENERS = {
    "engaged": "sequence: [{action: email_clicked}, {action: page_viewed, times: 2}, {action: product_added}]\n"
    "then: [{move: {from: newsletter, to: engaged, at: mailbox}}]\n",
    "abandoned": "sequence: [{action: product_added}, {not: product_bought, for: 30m}]\n"
    "then: [{add: {to: abandoned, at: mailbox}}]\n",
    "bought": "sequence: [{step: looked, action: page_viewed}, {action: product_bought, "
    "where: {category: {same_as: looked.category}}}]\nwithin: 2h\n"
    'then: [{add: {to: "bought-{looked.category}", at: mailbox}}]\n',
}


def beacons(count: int) -> Iterator[Outgoing]:
    """So many beacons with one event each, seeded: people, actions and categories at random, in order of time."""
    random, at_ms = Random(5), time.time_ns() // 1_000_000 - 3_600_000
    for number in range(count):
        at_ms += 3 if number % 10 == 0 else 0
        person = random.randrange(PEOPLE)
        event = {
            "event_id": f"e{number}",
            "action": random.choice(ACTIONS),
            "occurred_at_ms": at_ms,
            "order": number,
            "properties": {"path": f"/products/{person % 97}", "category": f"c{random.randrange(20)}"},
        }
        body = to_json({"site": "shop-key", "device": f"d{person}", "sent_at_ms": at_ms, "events": [event]})
        record = BeaconRecord(
            "demo", "shop", Source.SDK, at_ms, body, device=f"d{person}", subscriber=f"s_{person}", ip="127.0.0.0"
        )
        yield Outgoing(BEACONS, f"demo/d{person}".encode(), to_msgpack(record))


def write_installation(home: Path, partitions: int = 4) -> None:
    """The files of an installation whose listeners are :data:`LISTENERS`."""
    (home / "secret").write_text("s" * 40)
    (home / "keys").write_text(f"k1 {'ab' * 64}\n")
    (home / "listeners").mkdir()
    for name, text in LISTENERS.items():
        (home / "listeners" / f"{name}.yaml").write_text(f"listener: {name}\n{text}")
    (home / "segma.yaml").write_text(
        "token_keys: {file: keys}\nworkspaces:\n  demo:\n    secret: {file: secret}\n"
        "    sites: {shop: {key: shop-key}}\n    accounts: {mailbox: {sink: file}}\n"
        f"partitions: {partitions}\n"
    )


def prepare(home: Path, count: int) -> Log:
    """An installation with its beacons."""
    write_installation(home)
    log = open_log(Settings(data=home / "data"))
    log.ensure([*fixed_topics(), *account_topics("demo", "mailbox")])
    publisher, batch = log.publisher(), list[Outgoing]()
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("writing beacons", total=count)
        for record in beacons(count):
            batch.append(record)
            if len(batch) == BATCH:
                publisher.publish(batch)
                progress.advance(task, BATCH)
                batch = []
        publisher.publish(batch)
    return log


def flowed(home: Path, log: Log, count: int, patience_s: float) -> float:
    """Seconds from the first event row to the last, of the flow as it is deployed."""
    rows = log.reader(ROWS)
    seen, began, ended = 0, 0.0, 0.0
    try:
        with process(deployed(), "flows", home, {}), Progress(console=err, transient=True) as progress:
            task = progress.add_task("recognise and follow", total=count)
            while seen < count:
                records = rows.poll(10_000, timeout_s=patience_s)
                if not records:
                    raise RuntimeError(f"the flow stopped after {seen} of {count} events")
                ended = time.perf_counter()
                began = began or ended
                seen += sum(1 for record in records if b'"row":"event"' in (record.value or b""))
                progress.update(task, completed=seen)
    finally:
        rows.close()
    return ended - began


def decoded(log: Log, count: int) -> float:
    """Seconds to read the same records and decode them, and nothing else."""
    read_record, read_beacon = msgpack_reader(BeaconRecord), json_reader(Beacon)
    read_event = json_reader(SentEvent)
    reader, seen = log.reader(BEACONS), 0
    began = time.perf_counter()
    while seen < count:
        for record in reader.poll(4 * BATCH):
            if record.is_tick or record.value is None:
                continue
            for raw in read_beacon(read_record(record.value).body).events:
                read_event(bytes(raw))
                seen += 1
    took = time.perf_counter() - began
    reader.close()
    return took


def draw(figures: dict[str, float]) -> Path:
    """Two bars: events per second."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(figsize=(7, 2.4))
    names = ("decode only", "recognise and follow")
    bars = axes.barh(names, [figures["decode_per_s"], figures["flow_per_s"]], color=["#888", "#2a7"])
    axes.bar_label(bars, [f"{value:,.0f}/s" for value in (figures["decode_per_s"], figures["flow_per_s"])], padding=4)
    axes.set_xlim(0, figures["decode_per_s"] * 1.25)
    axes.set_title(f"{figures['events']:,.0f} beacons: {figures['ratio']:.3f} of decoding alone")
    axes.set_xlabel("events per second, one process")
    figure.tight_layout()
    path = RESULTS / "flow.png"
    figure.savefig(path, dpi=120)
    return path


@click.command()
@click.option("--events", "count", default=1_000_000, show_default=True)
@click.option("--patience-s", default=60.0, show_default=True, help="Give up when no row comes for so long.")
@click.option("--json", "as_json", is_flag=True)
def main(count: int, patience_s: float, as_json: bool) -> None:
    """Measure recognise and follow against decoding alone."""
    with tempfile.TemporaryDirectory() as directory:
        log = prepare(Path(directory), count)
        alone = decoded(log, count)
        flow = flowed(Path(directory), log, count, patience_s)
        log.close()
    figures = {
        "events": float(count),
        "decode_per_s": round(count / alone),
        "flow_per_s": round(count / flow),
        "ratio": round(alone / flow, 4),
    }
    path = draw(figures)
    if as_json:
        click.echo(json.dumps(figures))
        return
    click.echo(f"decode only           {figures['decode_per_s']:>9,.0f} events/s")
    click.echo(f"recognise and follow  {figures['flow_per_s']:>9,.0f} events/s  {figures['ratio']:.3f} of it")
    click.echo(f"drawn in {path.relative_to(ROOT)}", err=True)


if __name__ == "__main__":
    main()
