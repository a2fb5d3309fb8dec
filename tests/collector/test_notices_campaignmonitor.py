"""Campaign Monitor's webhooks, as its page and its forum show their forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.collector.door import Collector, posted
from tests.collector.hooked import ANNA, HOOK, events, vetoes, with_doors

PATH = f"/v1/hooks/shop/campaignmonitor/{HOOK}"
LIST = "96c0bbdaa54760c8d9e62a2b7ffa2e13"


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return with_doors(tmp_path)


def event(kind: str, **more: Any) -> dict[str, Any]:
    told = {"CustomFields": [], "Date": "2027-01-15 07:00:00", "EmailAddress": "Anna@Example.org", "Name": "Anna"}
    return {"Type": kind, **told, **more}


def batch(*told: Any) -> bytes:
    return json.dumps({"Events": list(told), "ListID": LIST}).encode()


def test_who_unsubscribed_is_vetoed_at_once_and_counts_once(collector: Collector) -> None:
    """Its time is of a time zone that it does not name: it counts when it arrives."""
    body = batch(event("Deactivate", State="Unsubscribed"))
    for _ in range(2):
        assert posted(collector, body, path=PATH).status_code == 204
    assert {each.action for each in events(collector)} == {"email_unsubscribed"}
    assert len({each.event_id for each in events(collector)}) == 1
    assert {(each.subscriber, each.list_name) for each in vetoes(collector) if each is not None} == {(ANNA, "")}


def test_who_was_deleted_or_bounced_has_not_left(collector: Collector) -> None:
    """Segma's own taking out is told as a deactivation too."""
    body = batch(event("Deactivate", State="Deleted"), event("Deactivate", State="Bounced"))
    assert posted(collector, body, path=PATH).status_code == 204
    (bounced,) = events(collector)
    assert (bounced.action, bounced.properties["kind"]) == ("email_bounced", "hard")
    assert vetoes(collector) == []


@pytest.mark.parametrize("address", ["53.78.123.243", "TypeManual"])
def test_who_subscribed_lifts_nothing_for_it_may_be_segmas_own_import(collector: Collector, address: str) -> None:
    assert posted(collector, batch(event("Subscribe", SignupIPAddress=address)), path=PATH).status_code == 204
    assert (events(collector), vetoes(collector)) == ([], [])


def test_of_a_batch_the_readable_events_count(collector: Collector) -> None:
    body = batch(None, 7, event("Deactivate", State="Unsubscribed"), event("Somewhat"))
    reply = posted(collector, body, path=PATH)
    assert (reply.status_code, reply.json["reason"]) == (422, "missing_field")
    assert [each.action for each in events(collector)] == ["email_unsubscribed"]


@pytest.mark.parametrize("body", [b"{}", b'{"Events": {}}', b'{"Events": null, "ListID": 7}'])
def test_a_body_without_events_is_told_as_one(collector: Collector, body: bytes) -> None:
    assert posted(collector, body, path=PATH).status_code == 422
    assert events(collector) == []
