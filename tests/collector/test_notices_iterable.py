"""Iterable's system webhooks, as its page of them shows their forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.collector.door import Collector, posted
from tests.collector.hooked import ANNA, HOOK, events, vetoes, with_doors

PATH = f"/v1/hooks/shop/iterable/{HOOK}"
AT, AT_MS = "2027-01-15 07:00:00 +00:00", 1_799_996_400_000


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return with_doors(tmp_path)


def event(name: str, **data: Any) -> bytes:
    told = {"email": "anna@example.org", "createdAt": AT, "campaignId": 1074721, "campaignName": "spring", **data}
    return json.dumps({"email": "Anna@Example.org", "userId": "1", "eventName": name, "dataFields": told}).encode()


def told(collector: Collector, *bodies: bytes) -> list[Any]:
    for body in bodies:
        assert posted(collector, body, path=PATH).status_code == 204
    return events(collector)


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("emailOpen", "email_opened"),
        ("emailClick", "email_clicked"),
        ("emailBounce", "email_bounced"),
        ("emailComplaint", "email_complained"),
    ],
)
def test_each_system_event_is_an_action_at_its_own_time(collector: Collector, name: str, action: str) -> None:
    found = told(collector, event(name), event(name))
    assert {(each.action, each.occurred_at_ms) for each in found} == {(action, AT_MS)}
    assert len({each.event_id for each in found}) == 1, "a repetition is the same event"
    assert found[0].properties["campaign"] == "spring"


def test_who_leaves_a_channel_is_vetoed_at_once(collector: Collector) -> None:
    told(collector, event("emailUnSubscribe", channelIds=[5676], emailListIds=[], unsubSource="EmailLink"))
    (veto,) = vetoes(collector)
    assert veto is not None
    assert (veto.subscriber, veto.list_name, veto.at_ms) == (ANNA, "", AT_MS)


@pytest.mark.parametrize(
    "data",
    [
        {"channelIds": [], "emailListIds": [7], "unsubSource": "ListAPI"},
        {"emailListIds": [7], "unsubSource": "Workflow"},
        {"channelIds": [], "messageTypeIds": [9], "unsubSource": "EmailLink"},
        {"channelIds": [73], "unsubSource": "SMS"},
        {"channelIds": [71], "unsubSource": "HardBounce"},
    ],
)
def test_who_is_taken_off_a_list_has_not_left(collector: Collector, data: dict[str, Any]) -> None:
    """Segma's own moves are told so."""
    assert told(collector, event("emailUnSubscribe", **data)) == []
    assert vetoes(collector) == []


def test_who_is_put_on_a_list_or_a_channel_lifts_nothing(collector: Collector) -> None:
    told(collector, event("emailUnSubscribe", channelIds=[5676], unsubSource="EmailLink"))
    told(collector, event("emailSubscribe", channelIds=[5676], signupSource="API"), event("emailSend"))
    assert len(vetoes(collector)) == 1


def test_an_event_that_names_nobody_is_refused(collector: Collector) -> None:
    body = json.dumps({"eventName": "emailOpen", "dataFields": {"createdAt": AT}}).encode()
    answer = posted(collector, body, path=PATH)
    assert (answer.status_code, answer.json["reason"]) == (422, "missing_field")
