"""One person on two devices, through ``recognise`` and ``follow``: live is replay, and both are the ordered stream.

Beacons of a device known by a token, of one that tells who it is later (its history is handed over, stitched), and
redirects' clicks on trial: landed on, confirmed by the quarantine, or a scanner's.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from contracts.actions import VOCABULARY
from contracts.beacons import BeaconRecord, Source
from contracts.codec import json_reader, msgpack_reader, replaced, to_json, to_msgpack
from contracts.events import Event, LogTime
from contracts.log import Outgoing, Record
from contracts.rows import EventRow, MatchRow, Row
from contracts.topics import BEACONS, EVENTS, ROWS
from flows.language.model import Listener
from flows.language.parse import parse_listeners
from flows.operators.logic import FollowBatch, FollowLogic, RecogniseLogic, Shared
from flows.recognise import Rules
from flows.state.changelog import Changelog
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.pinned_terms import Terms
from tests.flows.test_changelog import unsynced
from tests.flows.test_logic_crashes import beacon
from tests.properties.case import Case, cases
from tests.properties.generate import GAP_MS
from tests.properties.oracle import Answer, brute_force

COUNT = 1_500
T0_MS = 1_800_000_000_000
ENOUGH_MS = 3_600_000
QUARANTINE_MS = 2_000
PERSON = "s_anna"
_read_row = json_reader(Row)
_read_time = json_reader(LogTime)
_read_beacon = msgpack_reader(BeaconRecord)
Arrival = tuple[int, bytes, bytes]
"""The log's time, the key, and the collector's record."""


def listener_of(case: Case) -> Listener:
    """The case's listener, about clicks in emails where it was about buttons."""
    text = json.dumps(case.data).replace("button_clicked", "email_clicked")
    data = yaml.safe_dump(json.loads(text)).encode()
    return parse_listeners([("l.yaml", data)], known_actions=VOCABULARY)[0]


class Told:
    """A device that is nobody's until its third beacon."""

    def __init__(self, after: int) -> None:
        self.left = after

    def subscriber(self) -> str:
        self.left -= 1
        return PERSON if self.left < 0 else ""


def arrivals(case: Case, random: Random) -> list[Record]:
    """What the collector stores, and ticks: in order of the log's time."""
    devices = {"phone": Told(0), "laptop": Told(random.randint(0, 4))}
    found: list[Arrival] = []
    for number, event in enumerate(case.events):
        at_ms = T0_MS + event.occurred_at_ms
        came_ms = at_ms + random.choice((0, 0, 0, 500, 4_000))
        if event.action == "button_clicked":
            found += _clicked(number, at_ms, random)
            continue
        name = random.choice(list(devices))
        sent = {
            "event_id": event.event_id,
            "action": event.action,
            "occurred_at_ms": at_ms,
            "order": event.order,
            "properties": event.properties,
        }
        body = to_json({"site": "k", "device": name, "sent_at_ms": came_ms, "events": [sent]})
        found.append((came_ms, f"w/{name}".encode(), _record(name, body, came_ms)))
    found.sort(key=lambda each: each[0])
    return _in_the_log(found, devices, case.end_ms)


def _record(device: str, body: bytes, at_ms: int) -> bytes:
    """Without a subscriber yet: who it is stands in the order of arrival."""
    return beacon(device, "page_viewed", at_ms=at_ms, body=body)


def _clicked(number: int, at_ms: int, random: Random) -> list[Arrival]:
    click = f"k{number}"
    scanner = {"scanner": "agent"} if random.random() < 0.3 else {}
    key = f"w/{PERSON}".encode()
    value = beacon("", at_ms=at_ms, subscriber=PERSON, source=Source.REDIRECT, click=click, properties=scanner)
    found: list[Arrival] = [(at_ms, key, value)]
    if random.random() < 0.4:
        landed_ms = at_ms + random.choice((100, 1_500, 5_000))
        sent = {"event_id": f"c-{click}", "action": "email_clicked", "occurred_at_ms": landed_ms, "order": 0}
        body = to_json({"site": "k", "device": "phone", "sent_at_ms": landed_ms, "events": [sent]})
        landed = beacon("phone", "x", at_ms=landed_ms, body=body, subscriber=PERSON, click=click)
        found.append((landed_ms, b"w/phone", landed))
    return found


def _in_the_log(found: Sequence[Arrival], devices: dict[str, Told], end_ms: int) -> list[Record]:
    """Offsets, tokens in the order of arrival, and ticks in between."""
    records: list[Record] = []
    now_ms = T0_MS
    for at_ms, key, value in found:
        while now_ms + 700 < at_ms:
            now_ms += 700
            records.append(Record(BEACONS, 0, len(records), now_ms, b"", None))
        now_ms = max(now_ms, at_ms)
        stored: BeaconRecord = _read_beacon(value)
        if not stored.subscriber and stored.device in devices:
            stored = replaced(stored, subscriber=devices[stored.device].subscriber())
        records.append(Record(BEACONS, 0, len(records), now_ms, key, to_msgpack(stored)))
    for after_ms in (100, 3_000, 6_000, end_ms + 10_000):
        records.append(Record(BEACONS, 0, len(records), now_ms + after_ms, b"", None))
    return records


class Flow:
    """Both flows over one store, fed in pieces; a restart opens the store anew at the last snapshots."""

    def __init__(self, listener: Listener, directory: Path) -> None:
        self._listener, self._directory = listener, directory
        self._snapshots: tuple[bytes | None, bytes | None] = (None, None)
        self._now_ms = self._offset = 0
        self.events: list[Outgoing] = []
        self.out: list[Outgoing] = []
        self._start()

    def _start(self) -> None:
        engine = WorkspaceEngine("w", [self._listener], terms=Terms(ENOUGH_MS, GAP_MS, ENOUGH_MS, 0))
        shared = Shared({"w": Rules(VOCABULARY, QUARANTINE_MS)}, {"w": engine}, 1)
        changelog = Changelog(self._directory, segment_bytes=3_000, slack_bytes=0, sync=unsynced)
        self._recognise = RecogniseLogic(shared, changelog, self._snapshots[0])
        self._follow = FollowLogic(shared, changelog, self._snapshots[1])

    def restart(self) -> None:
        self._snapshots = (self._recognise.snapshot(), self._follow.snapshot())
        self._start()

    def feed(self, records: Sequence[Record]) -> None:
        said = list(self._recognise.on_batch([list(records)])[0])
        self.events += said
        batch: list[tuple[Record, int]] = []
        for each in said:
            assert each.topic == EVENTS, each
            if each.key:
                batch.append((Record(EVENTS, 0, self._offset, self._now_ms, each.key, each.value), self._now_ms))
                self._offset += 1
            else:
                self._now_ms = _read_time(each.value or b"").log_time_ms
        self.out += self._follow.on_batch([FollowBatch(tuple(batch), self._now_ms)])[0]


def rows(out: Sequence[Outgoing]) -> list[Row]:
    return [_read_row(each.value) for each in out if each.topic == ROWS and each.value and each.key == b"w/s_anna"]


def held(found: Sequence[Row]) -> list[Answer]:
    """The matches that were not taken back."""
    matches: dict[str, Answer] = {}
    for row in found:
        if isinstance(row, MatchRow) and row.kind == "retraction":
            del matches[row.match_id]
        elif isinstance(row, MatchRow):
            matches.pop(row.replaces, None)
            steps = {name: [ref.event_id for ref in refs] for name, refs in row.evidence.items()}
            refs = {(ref.occurred_at_ms, ref.event_id) for each in row.evidence.values() for ref in each}
            matches[row.match_id] = (row.match_id, steps, [name for _, name in sorted(refs)], row.matched_at_ms)
    return sorted(matches.values(), key=lambda each: (each[3], each[0]))


def stream(found: Sequence[Row]) -> list[Event]:
    """The events that counted, each with its verdict, in its first place."""
    events: dict[str, Event] = {}
    for row in found:
        if isinstance(row, EventRow) and not row.reason:
            before = events.get(row.event.event_id)
            if before is None:
                events[row.event.event_id] = row.event
                continue
            both: dict[str, Any] = {**before.properties, **row.event.properties}
            events[row.event.event_id] = replaced(before, provisional=False, verdict=row.event.verdict, properties=both)
    return sorted(events.values(), key=lambda event: event.place)


@pytest.mark.slow
def test_two_devices_end_with_the_ordered_answer_and_live_is_replay(tmp_path: Path) -> None:
    random, seen = Random(51), Counter[str]()
    for number, case in enumerate(cases(51, COUNT)):
        listener = listener_of(case)
        records = arrivals(case, random)
        live, replay = (Flow(listener, tmp_path / f"{name}-{number}") for name in ("live", "replay"))
        start = 0
        while start < len(records):
            size = random.choice((1, 1, 2, 5))
            live.feed(records[start : start + size])
            start += size
            if random.random() < 0.3:
                live.restart()
        replay.feed(records)
        assert live.events == replay.events, case
        for key in {each.key for each in replay.out}:
            mine, theirs = ([each for each in flow.out if each.key == key] for flow in (live, replay))
            assert mine == theirs, case
        found = rows(replay.out)
        ordered = stream(found)
        end_ms = records[-1].log_time_ms
        expected = brute_force(listener, ordered, gap_ms=GAP_MS, end_ms=end_ms) if ordered else []
        assert [(each[0], each[3]) for each in held(found)] == sorted(
            ((each[0], each[3]) for each in expected), key=lambda each: (each[1], each[0])
        ), case
        seen["stitched"] += any(event.stitched for event in ordered)
        seen["machine"] += any(event.verdict.startswith("machine") for event in ordered)
        seen["landed"] += any(event.verdict == "confirmed:landed" for event in ordered)
        seen["matched"] += bool(expected)
        seen["retracted"] += any(isinstance(row, MatchRow) and row.kind == "retraction" for row in found)
    assert min(seen.values()) > 1, seen
