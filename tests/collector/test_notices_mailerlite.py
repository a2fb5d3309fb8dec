"""MailerLite's webhooks, as its page of webhooks shows them; an open and a click in the form that is guessed."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from tests.collector.door import Collector, posted
from tests.collector.hooked import ANNA, HOOK, events, vetoes, with_doors

PATH, SIGNED = f"/v1/hooks/shop/mailerlite/{HOOK}", "/v1/hooks/shop/mailerlite"
AT, AT_MS = "2027-01-15 07:00:00", 1_799_996_400_000
SUBSCRIBER = {"id": "100000000000000000", "email": "Anna@Example.org", "status": "active", "updated_at": AT}


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return with_doors(tmp_path)


def flat(kind: str, **more: Any) -> dict[str, Any]:
    return {**SUBSCRIBER, "event": kind, "account_id": 0, **more}


def told(collector: Collector, body: object) -> list[Any]:
    assert posted(collector, json.dumps(body).encode(), path=PATH, headers={}).status_code == 204
    return events(collector)


def signature(body: bytes, secret: str = HOOK) -> dict[str, str]:
    return {"Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("subscriber.unsubscribed", "email_unsubscribed"),
        ("subscriber.spam_reported", "email_complained"),
        ("subscriber.bounced", "email_bounced"),
    ],
)
def test_each_event_of_a_subscriber_is_an_action_at_its_own_time(collector: Collector, kind: str, action: str) -> None:
    (found,) = told(collector, flat(kind))
    assert (found.action, found.occurred_at_ms) == (action, AT_MS)


def test_a_bundle_of_opens_and_clicks_names_people_in_either_form(collector: Collector) -> None:
    campaign = {"campaign": {"id": "1", "name": "Spring"}}
    nested = {"type": "campaign.click", "subscriber": SUBSCRIBER, "url": "https://shop.example/", **campaign}
    found = told(collector, {"events": [flat("campaign.open", **campaign), nested], "total": 2})
    assert [each.action for each in found] == ["email_opened", "email_clicked"]
    assert {each.properties["campaign"] for each in found} == {"Spring"}


def test_who_left_is_vetoed_from_when_they_left(collector: Collector) -> None:
    told(collector, flat("subscriber.unsubscribed", unsubscribed_at="2027-01-15 06:00:00"))
    (veto,) = vetoes(collector)
    assert veto is not None
    assert (veto.subscriber, veto.list_name, veto.at_ms) == (ANNA, "", AT_MS - 3_600_000)


@pytest.mark.parametrize("kind", ["subscriber.active", "subscriber.updated", "subscriber.created"])
def test_what_anybody_may_have_done_lifts_no_veto(collector: Collector, kind: str) -> None:
    told(collector, flat("subscriber.unsubscribed"))
    told(collector, flat(kind))
    group = {"id": "1", "name": "News"}
    told(collector, {"type": "subscriber.added_to_group", "subscriber": SUBSCRIBER, "group": group, "account_id": 0})
    assert len(vetoes(collector)) == 1


def test_a_repetition_of_a_call_counts_once(collector: Collector) -> None:
    body = json.dumps(flat("subscriber.unsubscribed")).encode()
    for _ in range(2):
        assert posted(collector, body, path=SIGNED, headers=signature(body)).status_code == 204
    assert len({each.event_id for each in events(collector)}) == 1


def test_what_the_secret_did_not_sign_is_refused(collector: Collector) -> None:
    body = json.dumps(flat("subscriber.unsubscribed")).encode()
    for headers in (signature(body, "x" * 30), signature(body + b" "), {"Signature": ""}):
        answer = posted(collector, body, path=SIGNED, headers=headers)
        assert (answer.status_code, answer.json["reason"]) == (401, "bad_signature")
    assert vetoes(collector) == []


def test_an_event_that_names_nothing_is_refused_and_those_beside_it_are_kept(collector: Collector) -> None:
    body = json.dumps({"events": [flat("subscriber.bounced"), {"a": 1}], "total": 2}).encode()
    assert posted(collector, body, path=PATH, headers={}).status_code == 422
    assert [each.action for each in events(collector)] == ["email_bounced"]
