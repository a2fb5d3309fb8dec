"""Mautic's webhooks, as its developers' documentation and its source show them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from tests.collector.door import Collector, posted
from tests.collector.hooked import ANNA, HOOK, events, signed, vetoes, with_doors

PATH = "/v1/hooks/shop/mautic"
AT, AT_MS = "2027-01-15T08:00:00+01:00", 1_799_996_400_000
CHANGED, OPENED = "mautic.lead_channel_subscription_changed", "mautic.email_on_open"
CONTACT = {"id": 47, "fields": {"core": {"email": {"alias": "email", "value": "Anna@Example.org"}}}}


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return with_doors(tmp_path)


def changed(status: str, *, channel: str = "email", **more: Any) -> dict[str, Any]:
    event = {"contact": CONTACT, "channel": channel, "old_status": "contactable", "new_status": status}
    return {**event, "timestamp": AT, **more}


def by_mautic(body: bytes, secret: str = HOOK) -> dict[str, str]:
    signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {"Webhook-Signature": signature, "X-Origin-Base-URL": "https://mautic.example"}


def told(collector: Collector, **given: list[Any]) -> list[Any]:
    body = json.dumps({f"mautic.{name}": found for name, found in given.items()}).encode()
    assert posted(collector, body, path=PATH, headers=by_mautic(body)).status_code == 204
    return events(collector)


@pytest.mark.parametrize(
    ("status", "action"),
    [("unsubscribed", "email_unsubscribed"), ("manual", "email_unsubscribed"), ("bounced", "email_bounced")],
)
def test_a_changed_subscription_is_an_action_at_its_own_time(collector: Collector, status: str, action: str) -> None:
    (found,) = told(collector, lead_channel_subscription_changed=[changed(status)])
    assert (found.action, found.occurred_at_ms) == (action, AT_MS)


def test_opens_and_changes_come_together_in_one_call(collector: Collector) -> None:
    stat = {"id": 3, "emailAddress": "anna@example.org", "email": {"id": 9, "name": "Spring"}}
    found = told(
        collector,
        email_on_open=[{"stat": stat, "timestamp": AT}],
        lead_channel_subscription_changed=[changed("bounced")],
    )
    assert [each.action for each in found] == ["email_opened", "email_bounced"]
    assert found[0].properties["campaign"] == "Spring"


def test_who_left_is_vetoed_and_who_is_contactable_again_by_anybody_stays_so(collector: Collector) -> None:
    told(collector, lead_channel_subscription_changed=[changed("unsubscribed")])
    told(collector, lead_channel_subscription_changed=[changed("contactable", timestamp="2027-01-15T08:10:00+01:00")])
    (veto,) = vetoes(collector)
    assert veto is not None
    assert (veto.subscriber, veto.list_name, veto.at_ms) == (ANNA, "", AT_MS)


def test_another_channel_and_another_event_mean_nothing(collector: Collector) -> None:
    changes = [changed("unsubscribed", channel="sms")]
    assert told(collector, lead_channel_subscription_changed=changes, lead_points_change=[{}]) == []


def test_what_the_secret_did_not_sign_is_refused(collector: Collector) -> None:
    body = json.dumps({CHANGED: [changed("unsubscribed")]}).encode()
    for headers in (by_mautic(body, "x" * 30), by_mautic(body + b" "), {"X-Origin-Base-URL": "https://mautic.example"}):
        answer = posted(collector, body, path=PATH, headers=headers)
        assert (answer.status_code, answer.json["reason"]) == (401, "bad_signature")
    assert vetoes(collector) == []


def test_our_own_words_go_signed_as_standard_webhooks_all_the_same(collector: Collector) -> None:
    ours = json.dumps({"action": "email_opened", "address": "anna@example.org", "at": "1"}).encode()
    assert posted(collector, ours, path=PATH, headers=signed(ours)).status_code == 204
    assert [each.action for each in events(collector)] == ["email_opened"]


def test_a_status_that_is_not_known_is_refused_and_those_beside_it_are_kept(collector: Collector) -> None:
    body = json.dumps({CHANGED: [changed("bounced"), changed("resting")]}).encode()
    assert posted(collector, body, path=PATH, headers=by_mautic(body)).status_code == 422
    assert [each.action for each in events(collector)] == ["email_bounced"]
