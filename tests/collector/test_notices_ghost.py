"""Ghost's webhooks, as Ghost 6.40.0 was seen to send them."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest

from tests.collector.door import NOW_MS, Collector, posted
from tests.collector.hooked import ANNA, HOOK, events, vetoes, with_doors

PATH = "/v1/hooks/shop/ghost"
NEWS = {"id": "6b0df2af1778396456404597", "name": "Shop", "description": None, "status": "active"}


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return with_doors(tmp_path)


def member(**more: Any) -> dict[str, Any]:
    """As it was seen; what a leaving does not change is the time of its last change."""
    return {
        "id": "6b0df3531778396456404921",
        "uuid": "815cf4fe-0bf6-4258-8f86-4c79880e092a",
        "email": "Anna@Example.org",
        "name": None,
        "subscribed": False,
        "created_at": "2026-11-30T22:06:11.000Z",
        "updated_at": "2026-11-30T22:06:11.000Z",
        "labels": [{"id": "6b0df354177839645640492a", "name": "new", "slug": "new"}],
        "status": "free",
        "tiers": [],
        "newsletters": [],
        **more,
    }


def told(collector: Collector, current: dict[str, Any], **previous: Any) -> list[Any]:
    body = json.dumps({"member": {"current": current, "previous": previous}}).encode()
    assert posted(collector, body, path=PATH, headers=signed(body)).status_code == 204
    return events(collector)


def signed(body: bytes, *, at_ms: int = NOW_MS, secret: str = HOOK) -> dict[str, str]:
    made = hmac.new(secret.encode(), body + str(at_ms).encode(), hashlib.sha256).hexdigest()
    return {"X-Ghost-Signature": f"sha256={made}, t={at_ms}"}


def test_who_is_in_no_newsletter_any_more_has_left(collector: Collector) -> None:
    (event,) = told(collector, member(), newsletters=[NEWS])
    assert event.action == "email_unsubscribed"
    (veto,) = vetoes(collector)
    assert veto is not None
    assert (veto.subscriber, veto.list_name) == (ANNA, "")
    assert abs(veto.at_ms - NOW_MS) < 1_000, "Ghost names no time of it: that of the last change is older"


@pytest.mark.parametrize(
    ("current", "previous"),
    [
        (member(newsletters=[NEWS]), {"newsletters": []}),
        (member(newsletters=[NEWS]), {"newsletters": [NEWS, {**NEWS, "id": "2"}]}),
        (member(newsletters=[NEWS]), {"labels": []}),
        (member(), {"name": "Ann", "updated_at": "2026-11-30T22:06:10.000Z"}),
        (member(), {}),
        ({}, member(newsletters=[NEWS])),
    ],
    ids=["joined", "left one of two", "labelled", "renamed long after", "made", "deleted"],
)
def test_what_is_no_leaving_is_none(collector: Collector, current: dict[str, Any], previous: dict[str, Any]) -> None:
    assert told(collector, current, **previous) == []
    assert vetoes(collector) == []


def test_a_leaving_counts_once_however_often_it_is_sent(collector: Collector) -> None:
    first = told(collector, member(), newsletters=[NEWS])
    again = told(collector, member(), newsletters=[NEWS])
    assert len({each.event_id for each in (*first, *again)}) == 1


def test_what_is_not_signed_or_old_is_refused(collector: Collector) -> None:
    body = json.dumps({"member": {"current": member(), "previous": {"newsletters": [NEWS]}}}).encode()
    good = signed(body)["X-Ghost-Signature"]
    refused = {
        "other secret": (signed(body, secret="x" * 30), "bad_signature"),
        "other body": (signed(body + b" "), "bad_signature"),
        "other time": ({"X-Ghost-Signature": good.replace(f"t={NOW_MS}", f"t={NOW_MS + 1}")}, "bad_signature"),
        "no time": ({"X-Ghost-Signature": good.partition(",")[0]}, "bad_signature"),
        "nothing": ({"X-Ghost-Signature": ""}, "bad_signature"),
        "old": (signed(body, at_ms=NOW_MS - 301_000), "replayed"),
        "to come": (signed(body, at_ms=NOW_MS + 301_000), "replayed"),
    }
    for headers, reason in refused.values():
        answer = posted(collector, body, path=PATH, headers=headers)
        assert (answer.status_code, answer.json["reason"]) == (401, reason)
    assert vetoes(collector) == []


def test_a_member_without_an_address_is_refused(collector: Collector) -> None:
    body = json.dumps({"member": {"current": member(email=None), "previous": {"newsletters": [NEWS]}}}).encode()
    assert posted(collector, body, path=PATH, headers=signed(body)).status_code == 422
