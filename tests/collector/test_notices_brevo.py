"""Brevo's webhooks, as its page of marketing webhooks shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.collector.door import NOW_MS, Collector, posted
from tests.collector.hooked import ANNA, HOOK, events, vetoes, with_doors

PATH = f"/v1/hooks/shop/brevo/{HOOK}"
AT_S = NOW_MS // 1_000 - 3_600


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return with_doors(tmp_path)


def event(kind: str, **more: Any) -> dict[str, Any]:
    """``id`` is the webhook's, ``date_event`` of the account's own time zone, ``date`` of Paris."""
    return {
        "id": 4711,
        "camp_id": 12,
        "email": "Anna@Example.org",
        "campaign name": "Spring",
        "date_sent": "2020-10-09 00:00:00",
        "date_event": "2020-10-09 00:00:00",
        "event": kind,
        "tag": "",
        "ts_sent": AT_S - 60,
        "ts_event": AT_S,
        "ts": AT_S + 7_200,
        **more,
    }


def told(collector: Collector, *given: dict[str, Any]) -> list[Any]:
    body = json.dumps(given[0] if len(given) == 1 else list(given)).encode()
    assert posted(collector, body, path=PATH, headers={}).status_code == 204
    return events(collector)


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("delivered", "email_delivered"),
        ("opened", "email_opened"),
        ("click", "email_clicked"),
        ("hard_bounce", "email_bounced"),
        ("soft_bounce", "email_bounced"),
        ("spam", "email_complained"),
        ("unsubscribe", "email_unsubscribed"),
    ],
)
def test_each_event_of_a_campaign_is_an_action_at_its_own_time(collector: Collector, kind: str, action: str) -> None:
    (found,) = told(collector, event(kind))
    assert (found.action, found.occurred_at_ms) == (action, AT_S * 1_000)
    assert found.properties["campaign"] == "Spring"


def test_two_opens_of_one_webhook_are_two_and_a_repetition_is_none(collector: Collector) -> None:
    first, second = event("opened"), event("opened", ts_event=AT_S + 9)
    found = told(collector, first, second, first)
    assert len({each.event_id for each in found}) == 2


def test_what_a_proxy_opens_is_marked_as_a_machines(collector: Collector) -> None:
    (found,) = told(collector, event("proxy_open"))
    assert found.properties["machine"] is True


@pytest.mark.parametrize(("kind", "reason"), [("unsubscribe", "email_unsubscribed"), ("spam", "email_complained")])
def test_who_left_is_vetoed_at_once_whatever_list_it_names(collector: Collector, kind: str, reason: str) -> None:
    told(collector, event(kind, list_id=[3, 42]))
    (veto,) = vetoes(collector)
    assert veto is not None
    assert (veto.subscriber, veto.list_name, veto.reason, veto.at_ms) == (ANNA, "", reason, AT_S * 1_000)


def test_who_was_put_into_a_list_by_anybody_lifts_no_veto(collector: Collector) -> None:
    told(collector, event("unsubscribe"))
    told(collector, event("list_addition", list_id=[3], ts_event=AT_S + 60))
    assert len(vetoes(collector)) == 1


def test_an_event_without_an_address_is_refused_and_those_beside_it_are_kept(collector: Collector) -> None:
    body = json.dumps([event("opened"), {"event": "opened"}]).encode()
    answer = posted(collector, body, path=PATH, headers={})
    assert (answer.status_code, answer.json["reason"]) == (422, "missing_field")
    assert [each.action for each in events(collector)] == ["email_opened"]


def test_a_body_in_our_words_is_read_as_such(collector: Collector) -> None:
    ours = {"action": "email_opened", "address": "anna@example.org", "at": "1"}
    assert posted(collector, json.dumps(ours).encode(), path=PATH, headers={}).status_code == 204
    assert [each.action for each in events(collector)] == ["email_opened"]
