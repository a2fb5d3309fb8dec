"""Who joined or left a named list, as webhooks tell it: events for listeners, beside the facts of consent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.codec import to_msgpack
from contracts.events import Event, Trust
from contracts.log import Outgoing, Record
from contracts.membership import MEMBERSHIP
from contracts.topics import BEACONS, EVENTS
from flows.operators.logic import RecogniseLogic, Shared
from flows.state.changelog import Changelog
from tests.collector.door import NOW_MS, Collector, posted
from tests.collector.hooked import ANNA, FORM, HOOK, RULES, events, mailchimp, signed, vetoes, with_doors

SAID = {"account": "klaviyo", "list": "news", "by": "person"}


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return with_doors(tmp_path)


def hears(collector: Collector, action: str, **more: Any) -> None:
    """Our own words, which name a list."""
    body = json.dumps({"action": action, "address": "anna@example.org", "list": "news", **more}).encode()
    assert posted(collector, body, path="/v1/hooks/shop/klaviyo", headers=signed(body)).status_code == 204


def told(collector: Collector) -> list[Event]:
    return [event for event in events(collector) if event.action in MEMBERSHIP]


def recognised(collector: Collector, data: Path) -> list[Outgoing]:
    """What the flow's first stage makes of all that the door stored."""
    stage = RecogniseLogic(Shared({"shop": RULES}, {}, 1), Changelog(data, segment_bytes=10_000, slack_bytes=0), None)
    beacons = [
        Record(BEACONS, 0, number, NOW_MS, b"k", to_msgpack(beacon))
        for number, beacon in enumerate(collector.beacons())
    ]
    return list(stage.on_batch([beacons])[0])


@pytest.mark.parametrize(
    ("action", "expected"),
    [("subscribed", "list_joined"), ("email_unsubscribed", "list_left"), ("email_complained", "list_left")],
)
def test_a_named_list_joined_or_left_is_an_event_at_the_platforms_time(
    collector: Collector, action: str, expected: str
) -> None:
    hears(collector, action, at="2025-06-01T10:00:00Z")
    (event,) = told(collector)
    assert (event.action, event.subscriber, event.trust) == (expected, ANNA, Trust.SERVER)
    assert (event.properties, event.occurred_at_ms) == (SAID, 1_748_772_000_000)


@pytest.mark.parametrize("at", ["2025-06-01T10:00:00Z", "no time, but a mark"])
def test_a_repetition_is_the_same_event_and_another_report_is_another(collector: Collector, at: str) -> None:
    for _ in range(2):
        hears(collector, "subscribed", at=at)
    hears(collector, "subscribed", at=f"{at}#2"[-40:])
    hears(collector, "email_unsubscribed", at=at)
    first, second, third, fourth = (event.event_id for event in told(collector))
    assert first == second
    assert len({first, third, fourth}) == 3


def test_no_platform_s_leaving_of_an_unnamed_list_is_one(collector: Collector) -> None:
    posted(collector, mailchimp("unsubscribe"), path=f"/v1/hooks/shop/mailchimp/{HOOK}", headers=FORM)
    assert [event.action for event in events(collector)] == ["email_unsubscribed"]


@pytest.mark.parametrize("more", [{}, {"at": "2025-06-01T10:00:00Z"}])
def test_the_flow_lifts_nothing_by_it_the_door_has_said_what_it_knows(
    collector: Collector, tmp_path: Path, more: dict[str, str]
) -> None:
    """An untimed joining lifts only once a look confirms it (docs/semantics.md 8.1, 6)."""
    hears(collector, "subscribed", **more)
    assert [record.topic for record in recognised(collector, tmp_path / "state") if record.key] == [EVENTS]
    (veto,) = vetoes(collector)
    assert veto is not None
    assert veto.timed is bool(more)
