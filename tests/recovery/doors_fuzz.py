"""What one process makes of the tries of :mod:`tests.recovery.door_tries`: the collector's application alone, with
``recognise`` over what it stores. Seconds for thousands of tries; the log is a list, and no other process runs.
:mod:`tests.recovery.doors_trial` sends the same tries to a running installation.
"""

from __future__ import annotations

import collections
import json
from pathlib import Path
from typing import Any

import click
import falcon.testing

from contracts.codec import to_json, to_msgpack
from contracts.log import Record
from contracts.rows import EventRow
from contracts.topics import BEACONS
from flows.recognise import Device, recognise
from tests.collector.door import NOW_MS, Collector
from tests.collector.hooked import RULES, with_doors
from tests.recovery.door_tries import Moment, Tries


class Judge:
    """Looks at answers and at what was stored; counts what must not be."""

    def __init__(self, counts: collections.Counter[str]) -> None:
        self.counts = counts
        self._canaries = Moment().canaries()

    def look(self, collector: Collector, request: dict[str, Any], status: int, reason: str) -> None:
        """One request's answer, and the records that came of it."""
        self.counts["tried"] += 1
        if status >= 500:
            self.counts["5xx"] += 1
        elif status >= 400:
            self.counts[f"refused {reason}"] += 1
        made = len(collector.letters())
        for record in collector.beacons():
            device, events, refused = recognise(Device(), record, Record(BEACONS, 0, 0, NOW_MS, b"k", b""), RULES)
            made += len(events) + len(refused)
            try:
                to_msgpack(device)
                [to_json(EventRow(event)) for event in events]
            except Exception:  # any at all is what is looked for
                self.counts["states not written"] += 1
        sent = _sent_events(request)
        if status == 204 and made < sent:
            self.counts["lost"] += sent - made
        kept = b"".join(each.key + (each.value or b"") for each in collector.log.records if each.topic != "subscribers")
        self.counts["canaries"] += any(each in kept.lower() for each in self._canaries)


def _sent_events(request: dict[str, Any]) -> int:
    """How many events a request holds, where it is JSON that says so."""
    if request["path"] not in {"/v1/beacons", "/v1/events"}:
        return 0
    try:
        events = json.loads(request["body"])["events"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0
    return len(events) if isinstance(events, list) else 0


async def run(home: Path, seed: int, first: int, tries: int, counts: collections.Counter[str]) -> None:
    """Run tries from ``first`` on; ``counts`` takes what was seen."""
    collector = with_doors(home, max_events=20)
    drawn, judge = Tries(seed), Judge(counts)
    async with falcon.testing.ASGIConductor(collector.app) as conductor:
        for number in range(first, first + tries):
            request = drawn.request(number)
            try:
                answer: Any = await conductor.simulate_request(**request)
            except (UnicodeError, ValueError):
                counts["not sent"] += 1  # no client can send this
                continue
            reason = str(json.loads(answer.content).get("reason")) if answer.content[:1] == b"{" else ""
            judge.look(collector, request, answer.status_code, reason)
            if counts["5xx"] or counts["lost"] or counts["states not written"] or counts["canaries"]:
                click.echo(f"try {number}: {answer.status_code} {reason} {str(request)[:2000]}", err=True)
                return
            collector.log.records.clear()
