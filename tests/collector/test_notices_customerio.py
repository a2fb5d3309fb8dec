"""Customer.io's reporting webhooks, as its description of them shows their forms and their signature."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from tests.collector.door import NOW_MS, Collector, posted
from tests.collector.hooked import ANNA, HOOK, events, vetoes, with_doors

PATH = "/v1/hooks/shop/customerio"
NOW_S = NOW_MS // 1_000
AT_S = NOW_S - 3_600
IDENTIFIERS = {"id": "42", "email": "anna@example.org", "cio_id": "d9c106000001"}


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return with_doors(tmp_path)


def event(metric: str, kind: str = "email", **data: Any) -> bytes:
    said = {"recipient": "Anna@Example.org"} if kind == "email" else {"email_address": "anna@example.org"}
    told = {"customer_id": "42", "identifiers": IDENTIFIERS, "delivery_id": "RPIL", "campaign_id": 7, **said, **data}
    return json.dumps(
        {"event_id": f"01E4{metric}", "object_type": kind, "metric": metric, "timestamp": AT_S, "data": told}
    ).encode()


def signed(body: bytes, *, at_s: int = NOW_S, secret: str = HOOK) -> dict[str, str]:
    made = hmac.new(secret.encode(), f"v0:{at_s}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-CIO-Signature": made, "X-CIO-Timestamp": str(at_s)}


def told(collector: Collector, *bodies: bytes) -> list[Any]:
    for body in bodies:
        assert posted(collector, body, path=PATH, headers=signed(body)).status_code == 204
    return events(collector)


@pytest.mark.parametrize(
    ("metric", "action"),
    [
        ("delivered", "email_delivered"),
        ("opened", "email_opened"),
        ("clicked", "email_clicked"),
        ("bounced", "email_bounced"),
        ("spammed", "email_complained"),
        ("unsubscribed", "email_unsubscribed"),
    ],
)
def test_each_metric_of_an_email_is_an_action_at_its_own_time(collector: Collector, metric: str, action: str) -> None:
    found = told(collector, event(metric), event(metric))
    assert {(each.action, each.occurred_at_ms) for each in found} == {(action, AT_S * 1_000)}
    assert len({each.event_id for each in found}) == 1, "an event counts once, by its own id"
    assert found[0].properties["campaign"] == "7"


def test_what_a_machine_opened_or_clicked_says_so(collector: Collector) -> None:
    found = told(
        collector,
        event("opened", prefetched=True),
        event("clicked", machine=True, href="https://shop.example/a"),
    )
    assert [each.properties.get("machine") for each in found] == [True, True]
    assert found[1].properties["url"] == "https://shop.example/a"


@pytest.mark.parametrize("kind", ["customer", "sms"])
def test_whoever_unsubscribes_by_any_channel_is_vetoed_at_once(collector: Collector, kind: str) -> None:
    told(collector, event("unsubscribed", kind))
    (veto,) = vetoes(collector)
    assert veto is not None
    assert (veto.subscriber, veto.list_name, veto.at_ms) == (ANNA, "", AT_S * 1_000)


def test_who_was_subscribed_again_does_not_say_by_whom_and_lifts_nothing(collector: Collector) -> None:
    told(collector, event("unsubscribed", "customer"), event("subscribed", "customer"))
    told(collector, event("cio_subscription_preferences_changed", "customer"), event("delivered", "sms"))
    assert len(vetoes(collector)) == 1


def test_an_event_that_names_nobody_is_passed_over_since_a_refusal_would_hold_up_all_others(
    collector: Collector,
) -> None:
    body = event(
        "unsubscribed", "customer", email_address=None, identifiers={"id": None, "email": None}, customer_id=""
    )
    assert posted(collector, body, path=PATH, headers=signed(body)).status_code == 204
    assert (events(collector), vetoes(collector)) == ([], [])


def test_what_is_not_signed_or_old_is_refused(collector: Collector) -> None:
    body = event("unsubscribed")
    good = signed(body)
    refused = {
        "other secret": (signed(body, secret="x" * 30), "bad_signature"),
        "other body": (signed(body + b" "), "bad_signature"),
        "other time": ({**good, "X-CIO-Timestamp": str(NOW_S + 1)}, "bad_signature"),
        "no time": ({"X-CIO-Signature": good["X-CIO-Signature"]}, "bad_signature"),
        "nothing": ({"X-CIO-Signature": "", "X-CIO-Timestamp": str(NOW_S)}, "bad_signature"),
        "old": (signed(body, at_s=NOW_S - 301), "replayed"),
        "to come": (signed(body, at_s=NOW_S + 301), "replayed"),
    }
    for headers, reason in refused.values():
        answer = posted(collector, body, path=PATH, headers=headers)
        assert (answer.status_code, answer.json["reason"]) == (401, reason)
    assert vetoes(collector) == []
