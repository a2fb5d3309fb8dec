"""What is kept and what waits is bounded in bytes too, not in numbers alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.codec import to_json
from contracts.log import Record
from contracts.topics import BEACONS
from flows.operators.logic import RecogniseLogic
from flows.recognise import HISTORY_BYTES
from flows.state.changelog import PEOPLE, Changelog
from flows.state.recency import LeastRecentlyUsed
from flows.subscriber.limits import Limit
from tests.flows.test_changelog import all_of, store_of, unsynced
from tests.flows.test_logic_crashes import beacon, shared


def test_who_was_used_longest_ago_goes_until_number_and_bytes_fit() -> None:
    keys = LeastRecentlyUsed({"a": 5, "b": 5, "c": 5})
    keys.use("a", 50)
    assert keys.over(9, 59) == ["b"]
    assert keys.over(9, 54) == ["c"]
    keys.use("d", 5)
    keys.use("d", 6)
    assert keys.over(1, 999) == ["a"]
    assert keys.over(1, 1) == [], "the newest stays, whatever it takes"
    keys.forget("d")
    keys.forget("never there")
    assert keys.over(0, 0) == []


@pytest.mark.parametrize("of_people", [0, 3])
def test_devices_that_are_nobodys_are_bounded_in_bytes_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_people: int
) -> None:
    monkeypatch.setattr("flows.operators.device_group.MAX_ANONYMOUS_BYTES", 4 * HISTORY_BYTES)
    common, changelog = shared(), Changelog(tmp_path, sync=unsynced)
    for _ in range(of_people):  # whose groups, though in the same files, have no share of it
        changelog.group(None, PEOPLE)
    logic = RecogniseLogic(common, changelog, None)
    large = [
        {"event_id": f"e{part}", "action": "page_viewed", "occurred_at_ms": 1, "properties": {"text": "x" * 8_000}}
        for part in range(9)
    ]
    for offset in range(20):
        body = to_json({"site": "k", "device": f"d{offset}", "sent_at_ms": 1, "events": large})
        data = beacon(f"d{offset}", at_ms=1, body=body)
        logic.on_batch([[Record(BEACONS, 0, offset, offset, f"w/d{offset}".encode(), data)]])
    logic.snapshot()
    assert changelog.keys == 4
    assert common.bounds.total[Limit.ANONYMOUS] == 16
    assert changelog.live_bytes < 5 * HISTORY_BYTES


def test_what_came_waits_for_the_epochs_end_within_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.state.store.MAX_INPUT_BYTES", 1_000)
    changelog = Changelog(tmp_path, sync=unsynced)
    found = store_of(changelog)
    for number in range(300):
        found.add(f"k{number % 12}", [number], None, b"%050d" % number, number, b"1")
        waiting = 50 * (number + 1) - changelog.total_bytes
        assert waiting < 1_500, "more waits than may"
    assert changelog.total_bytes > 0
    position = found.snapshot()
    assert all_of(store_of(Changelog(tmp_path, sync=unsynced), position)) == {
        f"k{number % 12}": [number] for number in range(288, 300)
    }


def test_states_wait_for_the_epochs_end_within_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.state.store.MAX_PENDING_BYTES", 1_000)
    changelog = Changelog(tmp_path, sync=unsynced)
    found = store_of(changelog)
    large = list(range(200))
    for number in range(12):
        found.put(f"k{number}", large)
    found.snapshot()
    before = changelog.total_bytes
    for number in range(12):
        found.put(f"k{number}", [*large, 7])
    assert changelog.total_bytes > before, "written before the epoch's end"
    position = found.snapshot()
    for _ in range(50):
        found.put("k1", large)
    assert changelog.total_bytes < before * 3, "one large state is not written at each touch"
    assert set(all_of(store_of(Changelog(tmp_path, sync=unsynced), position))) == {f"k{number}" for number in range(12)}
