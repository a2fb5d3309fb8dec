"""The next page of a device hears which of the events that it asks for have come, and nobody else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from collector.stored_events import MOST_ASKED, StoredEvents
from contracts.beacons import Beacon
from contracts.codec import Raw, json_reader
from tests.collector.door import NOW_MS, Collector, beacon, posted

HEADER = "Segma-Stored"
DEVICE = "dvc-0123456789abcdefghij"


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return Collector(tmp_path)


def event(event_id: str, **changes: Any) -> dict[str, Any]:
    return {"event_id": event_id, "action": "page_closed", "occurred_at_ms": NOW_MS, **changes}


def asking(*asked: str, **changes: Any) -> dict[str, Any]:
    return beacon(device=DEVICE, asked=list(asked), **changes)


def sent(*ids: str, site: str = "k", device: str = "d", asked: tuple[str, ...] = ()) -> Beacon:
    events = [Raw(b'{"event_id":"%b"}' % each.encode()) for each in ids]
    return Beacon(site, device, NOW_MS, events, asked=asked)


def test_a_page_hears_which_of_the_events_of_the_page_before_are_stored(collector: Collector) -> None:
    posted(collector, beacon(device=DEVICE, events=[event("end-1"), event("end-2")]))
    answer = posted(collector, asking("end-1", "never-came", "end-2"))
    assert (answer.status_code, answer.headers[HEADER]) == (204, "101")


def test_what_the_log_did_not_take_is_not_known(collector: Collector) -> None:
    collector.spool_bytes, collector.log.away = 0, True
    assert posted(collector, beacon(device=DEVICE, events=[event("end-1")])).status_code == 503
    collector.log.away = False
    assert posted(collector, asking("end-1")).headers[HEADER] == "0"


@pytest.mark.parametrize("changes", [{"device": "another-device-of-24-sign"}, {"device": DEVICE.upper()}])
def test_another_device_hears_nothing_of_it(collector: Collector, changes: dict[str, Any]) -> None:
    posted(collector, beacon(device=DEVICE, events=[event("end-1")]))
    assert posted(collector, {**asking("end-1"), **changes}).headers[HEADER] == "0"


def test_who_asks_for_nothing_is_answered_as_ever_and_a_refusal_tells_nothing(collector: Collector) -> None:
    assert HEADER not in posted(collector, beacon(device=DEVICE)).headers
    refused = posted(collector, {**asking("e1"), "site": "unknown"})
    assert refused.status_code == 404
    assert HEADER not in refused.headers


def test_what_was_asked_for_does_not_stand_in_the_log(collector: Collector) -> None:
    posted(collector, asking("asked-for-1", token="x" * 40))
    (record,) = collector.beacons()
    assert b"asked" not in record.body
    read: Beacon = json_reader(Beacon)(record.body)
    assert (len(read.events), read.device, read.token) == (1, record.device, "")


def test_an_event_that_cannot_be_read_costs_the_others_nothing(collector: Collector) -> None:
    posted(collector, beacon(device=DEVICE, events=[{"event_id": 7}, event("end-1")]))
    assert posted(collector, asking("7", "end-1")).headers[HEADER] == "01"


def test_the_memory_holds_the_newest_and_is_bounded() -> None:
    known = StoredEvents(most=3)
    for each in ("a", "b", "c", "d"):
        known.remember(sent(each))
    assert known.answer(sent(asked=("a", "b", "c", "d"))) == "0111"
    assert known.answer(sent(asked=("d",), site="other")) == "0"
    assert len(known.answer(sent(asked=("d",) * 1_000))) == MOST_ASKED


def test_with_no_memory_everything_is_sent_again() -> None:
    known = StoredEvents(most=0)
    known.remember(sent("a"))
    assert known.answer(sent(asked=("a",))) == "0"
