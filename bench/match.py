"""How fast ``segma match`` is, and how little that depends on the number of listeners.

``./segma bench match`` makes a shop's events and listeners (seeded), runs ``segma match`` over them in a process of
its own, and the machine alone with 1 to 5,000 listeners against decoding alone. It prints what it measured and writes
``bench/results/match.json`` and ``match.png``.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import click
from matplotlib.figure import Figure

from cli.match import event_of
from contracts.actions import VOCABULARY
from contracts.events import Event
from flows.derived.sessions import Session, extended
from flows.language.model import Listener
from flows.language.parse import parse_listeners
from flows.machine.machine import Machine, MachineState

RESULTS: Final = Path(__file__).resolve().parent / "results"
COUNTS: Final = (1, 10, 100, 1_000, 5_000)
CAMPAIGNS, CATEGORIES, PRODUCTS, TERMS = 500, 300, 3_000, 400
START_MS: Final = 1_767_225_600_000
DAY_MS: Final = 86_400_000
GAP_MS: Final = 30 * 60_000


def listener_of(number: int, random: Random) -> str:
    """One listener's sequence: mostly one campaign, category, product or term each, as marketing writes them."""
    campaign, category = random.randrange(CAMPAIGNS), random.randrange(CATEGORIES)
    product, term = random.randrange(PRODUCTS), random.randrange(TERMS)
    kind = random.random()
    if kind < 0.35:
        return f"""within: 2h
sequence:
  - {{step: clicked, action: email_clicked, where: {{campaign: campaign-{campaign}}}}}
  - {{step: looked, action: page_viewed, where: {{category: category-{category}}}, times: {{at_least: 2}}}}
  - {{not: product_bought, where: {{category: {{same_as: looked.category}}}}, for: 30m}}
"""
    if kind < 0.6:
        return f"""repeat: {{cooldown: 7d}}
sequence:
  - {{step: basket, action: product_added, where: {{product: product-{product}, value: {{at_least: 50}}}}}}
  - {{not: product_bought, for: 30m}}
"""
    if kind < 0.8:
        return f"""within: 1d
sequence:
  - {{step: looked, action: page_viewed, where: {{product: product-{product}}}, times: {{at_least: 2}}}}
  - {{action: product_added, where: {{product: product-{product}}}, within: 1h}}
"""
    if kind < 0.95:
        return f"""scope: session
sequence:
  - {{action: searched, where: {{term: term-{term}}}}}
  - {{step: looked, action: page_viewed, where: {{category: category-{category}}}}}
  - {{action: [product_added, product_bought][{number % 2}]}}
""".replace("[product_added, product_bought][0]", "product_added").replace(
            "[product_added, product_bought][1]", "product_bought"
        )
    return f"""within: 6h
sequence:
  - {{action: email_opened, where: {{campaign: campaign-{campaign}}}}}
  - {{any_of: [{{action: file_downloaded}}, {{action: form_submitted}}], where: {{path: "/category-{category}/*"}}}}
"""


def documents(count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Listener files: name and bytes."""
    random = Random(seed)
    for number in range(count):
        yield f"l-{number}.yaml", f"listener: l-{number}\n{listener_of(number, random)}".encode()


def event_lines(count: int, seed: int) -> Iterator[bytes]:
    """NDJSON of a shop: visits of a few minutes, a subscriber at a time, spread over a day, sorted by nothing."""
    random = Random(seed)
    subscribers = max(count // 20, 1)
    number = 0
    while number < count:
        subscriber, at_ms = random.randrange(subscribers), START_MS + random.randrange(DAY_MS)
        category, campaign = random.randrange(CATEGORIES), random.randrange(CAMPAIGNS)
        for action in _visit(random):
            if number == count:
                return
            number += 1
            at_ms += random.randrange(500, 60_000)
            properties = _properties(random, action, category, campaign)
            yield to_line(number, subscriber, action, at_ms, properties)


def to_line(number: int, subscriber: int, action: str, at_ms: int, properties: dict[str, Any]) -> bytes:
    line = {
        "event_id": f"01hx{number:012x}",
        "subscriber": f"subscriber-{subscriber:08x}",
        "action": action,
        "occurred_at": at_ms,
        "properties": properties,
    }
    return json.dumps(line).encode() + b"\n"


def _visit(random: Random) -> list[str]:
    visit = (
        ["email_opened", "email_clicked"] if random.random() < 0.3 else ["searched"] if random.random() < 0.2 else []
    )
    visit += ["page_viewed"] * random.randint(1, 8)
    if random.random() < 0.25:
        visit.append("product_added")
        visit += ["page_viewed"] * random.randint(0, 2)
        if random.random() < 0.4:
            visit.append("product_bought")
    if random.random() < 0.1:
        visit.append(random.choice(("file_downloaded", "form_submitted")))
    return visit


def _properties(random: Random, action: str, category: int, campaign: int) -> dict[str, Any]:
    if action in {"email_opened", "email_clicked"}:
        return {"campaign": f"campaign-{campaign}"}
    if action == "searched":
        return {"term": f"term-{random.randrange(TERMS)}", "results": random.randrange(90)}
    category = category if random.random() < 0.7 else random.randrange(CATEGORIES)
    product = category * (PRODUCTS // CATEGORIES) + random.randrange(PRODUCTS // CATEGORIES)
    found: dict[str, Any] = {"path": f"/category-{category}/product-{product}", "category": f"category-{category}"}
    found["product"] = f"product-{product}"
    if action.startswith("product_"):
        found["value"] = random.randrange(5, 300)
    return found


def rate(count: int, work: Callable[[], object]) -> float:
    """Events a second of CPU time: other processes on the machine count less than in wall time."""
    begin = time.process_time()
    work()
    return count / (time.process_time() - begin)


def decode_only(lines: Sequence[bytes]) -> None:
    for number, line in enumerate(lines):
        event_of(line, number)


def decode_and_match(lines: Sequence[bytes], machine: Machine) -> None:
    states: dict[str, tuple[MachineState, Session]] = {}
    for number, line in enumerate(lines):
        event: Event = event_of(line, number)
        known = states.get(event.subscriber)
        state, session = known or (machine.start(event.subscriber), None)
        session = extended(session, event, gap_ms=GAP_MS)
        state, _ = machine.apply(state, event, session)
        states[event.subscriber] = state, session


def ratios(listeners: Sequence[Listener], events: int, seed: int) -> dict[str, Any]:
    """Events a second, decoding included, by number of listeners; and of decoding alone, in the same run."""
    # In order of time, as the live flow sees them.
    lines = sorted(event_lines(events, seed), key=lambda line: json.loads(line)["occurred_at"])
    found: dict[str, Any] = {"events": events, "decode_only": rate(events, lambda: decode_only(lines)), "match": {}}
    for count in COUNTS:
        if count <= len(listeners):
            machine = Machine(listeners[:count])
            gc.freeze()  # as the command does
            gc.set_threshold(100_000, 20, 100)
            found["match"][count] = rate(events, lambda machine=machine: decode_and_match(lines, machine))  # type: ignore[misc]
            click.echo(
                f"{count:6,} listeners: {found['match'][count]:10,.0f} events/s, "
                f"{found['decode_only'] / found['match'][count]:.2f} times decoding alone"
            )
    return found


def command(files: Sequence[tuple[str, bytes]], events: int, seed: int) -> dict[str, Any]:
    """The real command in a process of its own, from files to its last line."""
    with tempfile.TemporaryDirectory(prefix="segma-bench-") as scratch:
        directory, source, answer = Path(scratch, "listeners"), Path(scratch, "events.ndjson"), Path(scratch, "out")
        directory.mkdir()
        for name, data in files:
            (directory / name).write_bytes(data)
        with source.open("wb") as file:
            file.writelines(event_lines(events, seed))
        arguments = ["match", "--listeners", str(directory), "--events", str(source)]
        begin = time.monotonic()
        with answer.open("wb") as file:
            subprocess.run([sys.executable, "-m", "cli", *arguments], stdout=file, check=True, preexec_fn=_on_one_core)
        seconds = time.monotonic() - begin
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        with answer.open("rb") as lines:
            matches = sum(1 for _ in lines)
        return {
            "listeners": len(files),
            "events": events,
            "input_bytes": source.stat().st_size,
            "matches": matches,
            "seconds": seconds,
            "cpu_seconds": used.ru_utime + used.ru_stime,
            "events_per_s": events / seconds,
            "peak_rss_mb": used.ru_maxrss / 1024,
        }


def _on_one_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def draw(ratio: dict[str, Any], path: Path) -> None:
    """Events a second by number of listeners."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    counts = [int(count) for count in ratio["match"]]
    axes.plot(counts, list(ratio["match"].values()), marker="o", label="decode, sessions and match")
    axes.axhline(ratio["decode_only"], linestyle="--", color="grey", label="decode only")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("listeners")
    axes.set_ylabel("events/s on one core")
    axes.set_title("Events a second by number of listeners")
    axes.legend()
    figure.savefig(path, dpi=120)


@click.command()
@click.option("--events", default=1_000_000, show_default=True)
@click.option("--listeners", "count", default=5_000, show_default=True)
@click.option("--ratio-events", default=100_000, show_default=True, help="Events of the comparison by listeners.")
@click.option("--seed", default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, show_default=True)
def main(events: int, count: int, ratio_events: int, seed: int, out: Path) -> None:
    """Measure, print, and write the results."""
    files = list(documents(count, seed))
    listeners = parse_listeners(files, known_actions=VOCABULARY)
    ratio = ratios(listeners, ratio_events, seed)
    whole = command(files, events, seed)
    click.echo(
        f"segma match, {whole['listeners']:,} listeners, {events:,} events ({whole['input_bytes'] >> 20} MB): "
        f"{whole['seconds']:.0f} s, {whole['events_per_s']:,.0f} events/s, {whole['matches']:,} matches, "
        f"peak {whole['peak_rss_mb']:.0f} MB"
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / "match.json").write_text(json.dumps({"ratio": ratio, "command": whole}, indent=2) + "\n", encoding="utf-8")
    draw(ratio, out / "match.png")


if __name__ == "__main__":
    main()
