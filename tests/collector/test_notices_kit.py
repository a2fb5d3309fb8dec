"""Kit's webhook endpoints, as its pages of the delivery's form and of signatures show them."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from tests.collector.door import NOW_MS, Collector, posted
from tests.collector.hooked import ANNA, HOOK, events, vetoes, with_doors

PATH = "/v1/hooks/shop/kit"
NOW_S = NOW_MS // 1_000
AT, AT_MS = "2027-01-15T07:00:00Z", 1_799_996_400_000


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return with_doors(tmp_path)


def event(kind: str, number: int = 1, **more: Any) -> dict[str, Any]:
    subscriber = {"id": 987654, "email_address": "Anna@Example.org", "state": "active", "created_at": AT, "fields": {}}
    return {
        "id": f"9c2e1f3a-6b7d-4e8f-a1b2-c3d4e5f6{number:04}",
        "type": kind,
        "created": AT,
        "data": {"subscriber": subscriber},
        **more,
    }


def delivery(*given: dict[str, Any]) -> bytes:
    return json.dumps({"delivery_id": 123456, "events": list(given)}).encode()


def signed(body: bytes, *, at_s: int = NOW_S, secret: str = HOOK, before: str = "") -> dict[str, str]:
    """``before``: the signature of a secret that is being replaced."""
    made = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Kit-Signature": f"t={at_s},{before}v1={made}"}


def told(collector: Collector, *given: dict[str, Any]) -> list[Any]:
    body = delivery(*given)
    assert posted(collector, body, path=PATH, headers=signed(body)).status_code == 204
    return events(collector)


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("subscriber.unsubscribed", "email_unsubscribed"),
        ("subscriber.complained", "email_complained"),
        ("subscriber.bounced", "email_bounced"),
    ],
)
def test_each_event_of_a_delivery_is_an_action_at_its_own_time(collector: Collector, kind: str, action: str) -> None:
    found = told(collector, event(kind), event(kind, 2), event(kind))
    assert {(each.action, each.occurred_at_ms) for each in found} == {(action, AT_MS)}
    assert len({each.event_id for each in found}) == 2, "an event counts once, by its own id"


def test_who_left_is_vetoed_at_once_and_who_was_made_active_stays_so(collector: Collector) -> None:
    told(collector, event("subscriber.unsubscribed"))
    told(collector, event("subscriber.activated", 2), event("subscriber.created", 3))
    (veto,) = vetoes(collector)
    assert veto is not None
    assert (veto.subscriber, veto.list_name, veto.at_ms) == (ANNA, "", AT_MS)


def test_while_a_secret_is_replaced_either_signature_will_do(collector: Collector) -> None:
    body = delivery(event("subscriber.bounced"))
    headers = signed(body, before=f"v1={'0' * 64},")
    assert posted(collector, body, path=PATH, headers=headers).status_code == 204


def test_what_is_not_signed_or_old_is_refused(collector: Collector) -> None:
    body = delivery(event("subscriber.unsubscribed"))
    good = signed(body)["X-Kit-Signature"]
    refused = {
        "other secret": (signed(body, secret="x" * 30), "bad_signature"),
        "other body": (signed(body + b" "), "bad_signature"),
        "other time": ({"X-Kit-Signature": good.replace(f"t={NOW_S}", f"t={NOW_S + 1}")}, "bad_signature"),
        "two times": ({"X-Kit-Signature": f"t=1,{good}"}, "bad_signature"),
        "no time": ({"X-Kit-Signature": good.partition(",")[2]}, "bad_signature"),
        "nothing": ({"X-Kit-Signature": ""}, "bad_signature"),
        "old": (signed(body, at_s=NOW_S - 301), "replayed"),
        "to come": (signed(body, at_s=NOW_S + 301), "replayed"),
    }
    for headers, reason in refused.values():
        answer = posted(collector, body, path=PATH, headers=headers)
        assert (answer.status_code, answer.json["reason"]) == (401, reason)
    assert vetoes(collector) == []


def test_an_event_that_names_nothing_is_refused_and_those_beside_it_are_kept(collector: Collector) -> None:
    body = delivery(event("subscriber.bounced"), {"a": 1})
    assert posted(collector, body, path=PATH, headers=signed(body)).status_code == 422
    assert [each.action for each in events(collector)] == ["email_bounced"]
