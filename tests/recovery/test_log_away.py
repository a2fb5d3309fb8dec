"""The log cannot be written for 20 s: every beacon answered 2xx arrives, in the device's order; redirects answer."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from contracts.beacons import Beacon, BeaconRecord, SentEvent, Source
from contracts.codec import json_reader, msgpack_reader
from contracts.tokens import stored_device
from contracts.topics import BEACONS
from tests.recovery.people import People
from tests.recovery.world import ORIGIN, PEOPLE, SECRET, World

pytestmark = pytest.mark.alone

AWAY_S = 20.0
_read_record = msgpack_reader(BeaconRecord)
_read_beacon = json_reader(Beacon)
_read_event = json_reader(SentEvent)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "home")
    made.start("collector")
    yield made
    made.stop()


def arrived(world: World) -> dict[str, list[str]]:
    """Device → event ids in the log's order, each at its first place."""
    found: dict[str, list[str]] = {}
    for record in world.records(BEACONS):
        if record.value is None:
            continue
        beacon = _read_record(record.value)
        if beacon.source is not Source.SDK:
            continue
        ids = found.setdefault(beacon.device, [])
        ids += [
            event_id
            for raw in _read_beacon(beacon.body).events
            if (event_id := _read_event(bytes(raw)).event_id) not in ids
        ]
    return found


@pytest.mark.slow
def test_nothing_is_lost_and_redirects_answer_while_the_log_cannot_be_written(world: World) -> None:
    people = [People(world, person) for person in range(PEOPLE)]
    imported = world.count(BEACONS)
    for each in people:
        each.start()
    lock = sqlite3.connect(world.home / "data" / "log" / "beacons.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    slowest_s, redirects, rounds = 0.0, 0, 0
    while time.monotonic() - began < AWAY_S:
        for each in people:
            each.rounds.put(rounds)
        rounds += 1
        asked = time.monotonic()
        answer = requests.get(
            f"{world.url}/r/{world.tokens[0]}?u=http://shop.test/shoes",
            headers={"User-Agent": "Mozilla/5.0"},
            allow_redirects=False,
            timeout=10,
        )
        slowest_s = max(slowest_s, time.monotonic() - asked)
        assert answer.status_code == 302
        assert answer.headers["location"].startswith("http://shop.test/shoes?")
        redirects += 1
        threading.Event().wait(0.1)
    before = world.count(BEACONS)
    assert sum(len(each.acknowledged) for each in people) > PEOPLE * 50, "beacons were not taken meanwhile"
    lock.execute("ROLLBACK")
    lock.close()
    assert before == imported, "the log was written although it could not be"
    for each in people:
        each.rounds.put(None)
        each.join(60)
        assert each.failure is None
    until = time.monotonic() + 30
    wanted = {stored_device(SECRET, f"device{each.person}"): each.acknowledged for each in people}
    while (found := arrived(world)) != wanted and time.monotonic() < until:
        threading.Event().wait(0.2)
    assert found == wanted
    assert redirects > 50
    assert slowest_s < 5, "a redirect hung on the log"
    assert (
        requests.post(f"{world.url}/v1/beacons", data=b"{}", headers={"Origin": ORIGIN}, timeout=5).status_code == 422
    )
