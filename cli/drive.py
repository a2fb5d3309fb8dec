"""``segma demo --drive``: a headless Chromium makes the three people's trips, and the log shows the results."""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, sync_playwright
from rich.table import Table

from cli.output import Exit, err, out, print_json
from cli.tail import read_outcome, read_row
from cli.up import LocalAddresses
from contracts.codec import json_reader
from contracts.commands import Command, Outcome
from contracts.events import Event
from contracts.log import Log
from contracts.plurals import counted
from contracts.rows import CommandRow, DirectoryEntry, EventRow
from contracts.topics import OUTCOMES, ROWS, SUBSCRIBERS
from transport import open_log
from transport.config import settings_at

PATIENCE_S: Final = 75.0
"""Above the longest wait of the demo's listeners (15 s and the grace) with room for a slow machine."""

_read_entry = json_reader(DirectoryEntry)

Trip = tuple[str, Sequence[tuple[str, str]]]
"""A person, and what to do in the shop: (``go``, path) or (``press``, selector)."""

SHOES: Final = (("go", "/products/runner"), ("go", "/products/trail"))
TRIPS: Final[tuple[Trip, ...]] = (
    ("Ada", SHOES),
    ("Ben", (("go", "/products/rain-jacket"), ("press", ".add"))),
    ("Cleo", tuple(("go", f"/products/{slug}") for slug in ("daypack", "runner", "wool-coat")) * 7),
)
EXPECTED: Final = (
    ("Ada", "viewed-shoes"),
    ("Ada", "interested"),
    ("Ben", "viewed-jackets"),
    ("Ben", "basket-abandoned"),
    ("Cleo", "viewed-bags"),
    ("Cleo", "viewed-shoes"),
    ("Cleo", "viewed-jackets"),
)


@dataclass
class TripLog:
    """The records of the log since the drive began."""

    names: dict[str, str]
    events: dict[str, Event] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    decided_ms: dict[str, int] = field(default_factory=dict)
    """Command id → when the log took the match's command: the flow was done with it."""

    def add(self, item: object, log_time_ms: int) -> None:
        """Keep one row or outcome, and when the log took it."""
        match item:
            case EventRow(event=event):
                self.events[event.event_id] = event
            case CommandRow(command=command):
                self.commands[command.command_id] = command
                self.decided_ms.setdefault(command.command_id, log_time_ms)
            case Outcome():
                self.outcomes.setdefault(item.command_id, item)

    def missing(self) -> list[tuple[str, str]]:
        """The expected moves that have not been applied (or found done already)."""
        done = {
            (self.names.get(outcome.subscriber, ""), outcome.to_list)
            for outcome in self.outcomes.values()
            if outcome.result in ("applied", "already") and outcome.command_id in self.commands
        }
        return [each for each in EXPECTED if each not in done]

    def moves(self) -> list[dict[str, Any]]:
        """Every outcome with its command, its evidence and the milliseconds of each hop, in order."""
        known = [(self.commands.get(key), outcome) for key, outcome in self.outcomes.items()]
        return [self._move(command, outcome) for command, outcome in known if command is not None]

    def _move(self, command: Command, outcome: Outcome) -> dict[str, Any]:
        refs = [ref for step in command.evidence.values() for ref in step]
        last = self.events.get(max(refs, key=lambda ref: ref.occurred_at_ms).event_id) if refs else None
        by_event = command.received_at_ms > 0 and last is not None
        return {
            "person": self.names.get(command.subscriber, command.subscriber),
            "listener": command.listener,
            "result": outcome.result,
            "changed": outcome.changed,
            "to_list": outcome.to_list,
            "completed_by": "event" if by_event else "deadline",
            "evidence": {step: [ref.action for ref in found] for step, found in command.evidence.items()},
            "received_after_ms": last.received_at_ms - last.occurred_at_ms if by_event and last else None,
            "log_after_ms": last.log_time_ms - last.received_at_ms if by_event and last else None,
            "match_after_ms": self.decided_ms[command.command_id] - last.log_time_ms if by_event and last else None,
            "outcome_after_ms": outcome.at_ms - self.decided_ms[command.command_id],
            "total_ms": outcome.at_ms - command.received_at_ms if by_event else None,
        }


def drive_demo(home: Path, addresses: LocalAddresses, executable: str, *, as_json: bool) -> None:
    """Make the trips with this browser, wait for every expected move, print the trips; exit 1 where one is missing."""
    log = open_log(settings_at(home))
    started = time.monotonic()
    try:
        trips = TripLog(_names(log))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
            for name, steps in TRIPS:
                _walk(browser, addresses, name, steps)
            browser.close()
        _follow(log, trips, until_s=started + PATIENCE_S)
    finally:
        log.close()
    _report(home, trips, time.monotonic() - started, as_json=as_json)


def _names(log: Log) -> dict[str, str]:
    reader = log.reader(SUBSCRIBERS)
    entries = [_read_entry(record.value) for record in reader.poll(100, 5.0) if record.value is not None]
    reader.close()
    return {entry.subscriber: entry.name for entry in entries}


def _walk(browser: Browser, addresses: LocalAddresses, name: str, steps: Sequence[tuple[str, str]]) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{addresses.console}/inbox")
    page.click("#enter")
    # NOTE: the landing's beacon says that the SDK runs; to ask the page would need `eval`, and its policy forbids that.
    with page.expect_response("**/v1/beacons"):
        page.click(f"a[data-person={name}]")
    for verb, target in steps:
        if verb == "go":
            with page.expect_response("**/v1/beacons"):
                page.goto(f"{addresses.shop}{target}")
        else:
            with page.expect_response("**/v1/beacons"):
                page.click(target)
    context.close()


def _follow(log: Log, trips: TripLog, *, until_s: float) -> None:
    readers = [(log.reader(ROWS), read_row), (log.reader(OUTCOMES), read_outcome)]
    while trips.missing() and time.monotonic() < until_s:
        for reader, read in readers:
            for record in reader.poll(500, 0.1):
                if record.value is not None:
                    trips.add(read(record.value), record.log_time_ms)
    for reader, _ in readers:
        reader.close()


def _report(home: Path, trips: TripLog, took_s: float, *, as_json: bool) -> None:
    moves, missing = trips.moves(), trips.missing()
    samples = [move["total_ms"] for move in moves if move["total_ms"] is not None]
    p50_ms = round(statistics.median(samples)) if samples else None
    if as_json:
        summary = {"moves": moves, "missing": missing, "p50_ms": p50_ms, "samples": len(samples)}
        print_json({**summary, "events": len(trips.events), "took_s": round(took_s, 1)})
    else:
        _print(trips, moves)
        changing = [move["total_ms"] for move in moves if move["total_ms"] is not None and move["changed"]]
        median = round(statistics.median(changing)) if changing else 0
        among = f", {median} ms over the {len(changing)} that changed one" if changing else ""
        out.print(
            f"beacon to list move: p50 {p50_ms} ms over {counted(len(samples), 'move')} completed by an event{among}; "
            f"the trip took {took_s:.0f} s"
        )
    for person, list_name in missing:
        err.print(f"missing: {person} → {list_name}", markup=False)
    if missing:
        _print_logs(home)
    sys.exit(Exit.PROBLEMS if missing else Exit.OK)


def _print(trips: TripLog, moves: Sequence[dict[str, Any]]) -> None:
    events = Table("person", "event", "occurred → received → log, ms", title="Events")
    for event in sorted(trips.events.values(), key=lambda each: each.place):
        hops = f"{event.received_at_ms - event.occurred_at_ms} → {event.log_time_ms - event.received_at_ms}"
        events.add_row(trips.names.get(event.subscriber, "(not known yet)"), event.action, hops)
    table = Table("person", "listener", "change", "evidence", "by", title="Moves")
    table.add_column("received → log → match → moved, ms")
    table.add_column("total ms", justify="right")
    for move in moves:
        evidence = "; ".join(f"{step}: {_counted(actions)}" for step, actions in move["evidence"].items())
        change = " ".join(move["changed"]) or str(move["result"])
        moments = [move[key] for key in ("log_after_ms", "match_after_ms", "outcome_after_ms") if move[key] is not None]
        total = "" if move["total_ms"] is None else str(move["total_ms"])
        way = " → ".join(map(str, moments))
        table.add_row(move["person"], move["listener"], change, evidence, move["completed_by"], way, total)
    out.print(events)
    out.print(table)


def _counted(actions: Sequence[str]) -> str:
    return ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in Counter(actions).items())


def _print_logs(home: Path) -> None:
    for path in sorted((home / "logs").glob("*.log")):
        tail = path.read_text(encoding="utf-8", errors="replace").splitlines()[-10:]
        err.print(f"--- {path.name}", *tail, sep="\n", markup=False)
