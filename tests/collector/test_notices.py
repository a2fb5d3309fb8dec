"""What platforms' webhooks say beyond the plain cases: own times, complaints, who came back, changed addresses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from collector.app import create_app
from collector.hooks import Hook
from collector.notices import instant_ms
from collector.platform_ids import Known
from contracts.log import Record
from contracts.topics import VETOES
from sinks.delivery.leavings import Leavings
from tests.collector.door import NOW_MS, Collector, posted
from tests.collector.hooked import (
    ANNA,
    FORM,
    HOOK,
    SUBSCRIPTIONS,
    by_app,
    events,
    klaviyo,
    mailchimp,
    signed,
    subscribed,
    vetoes,
    with_doors,
)

AT_MS = NOW_MS - 3_600_000
AT = "2027-01-15 07:00:00"
MAILCHIMP = f"/v1/hooks/shop/mailchimp/{HOOK}"
ACTIVECAMPAIGN = f"/v1/hooks/shop/activecampaign/{HOOK}"
KLAVIYO = f"/v1/hooks/shop/klaviyo/{HOOK}"


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return with_doors(tmp_path)


SAME_INSTANT = (
    *("2026-01-01 10:00:00 UTC", "2026-01-01T10:00:00z", "2026-01-01T10:00:00 00:00", "2026-01-01T12:00:00 0200"),
    *("Thu, 01 Jan 2026 10:00:00 GMT", "Thu, 1 Jan 2026 05:00:00 -0500", "01 Jan 2026 10:00:00 +0000"),
    *(1_767_261_600_000_000, "2026-01-01T10:00:00.000000001Z"),
)


@pytest.mark.parametrize(
    ("value", "at_ms"),
    [
        ("2027-01-15 07:00:00", AT_MS),
        ("2027-01-15T07:00:00Z", AT_MS),
        ("2027-01-15T02:00:00-05:00", AT_MS),
        (AT_MS, AT_MS),
        (str(AT_MS), AT_MS),
        (AT_MS // 1_000, AT_MS),
        (f"{AT_MS // 1_000}.5", AT_MS + 500),
        ("yesterday", None),
        ("", None),
        (None, None),
        (True, None),
        ("9" * 30, None),
        ("2027-01-15T07:00:00Z" + "0" * 100, None),
        ("0001-01-01T00:00:00+14:00", None),
        ({"a": 1}, None),
        *((text, 1_767_261_600_000) for text in SAME_INSTANT),
        ("٢٠٢٧-٠١-١٥ ٠٧:٠٠:٠٠", AT_MS),
        ("".join(chr(0x6F0 + int(sign)) for sign in str(AT_MS)), AT_MS),
        ("２０２７-０１-１５T０７:００:００Z", AT_MS),
        ("²".join("2027"), None),
    ],
)
def test_a_platforms_instant(value: object, at_ms: int | None) -> None:
    assert instant_ms(value) == at_ms


def told(collector: Collector, path: str, body: bytes, headers: dict[str, str]) -> list[Any]:
    assert posted(collector, body, path=path, headers=headers).status_code == 204
    return events(collector)


def activecampaign(kind: str, **more: str) -> bytes:
    form = {"type": kind, "date_time": "2027-01-15T02:00:00-05:00", "contact[email]": "anna@example.org"}
    return urlencode({**form, **more}).encode()


def of_klaviyo(**attributes: Any) -> bytes:
    body = json.loads(klaviyo(("opened_email", {"email": "anna@example.org"})))
    body["data"][0]["payload"]["data"]["attributes"] |= attributes
    return json.dumps(body).encode()


def of_hubspot(name: str, value: str, **more: Any) -> bytes:
    return json.dumps([{**json.loads(subscribed((name, value)))[0], **more}]).encode()


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        (MAILCHIMP, mailchimp("unsubscribe", fired_at=AT), FORM),
        (ACTIVECAMPAIGN, activecampaign("open"), FORM),
        (KLAVIYO, of_klaviyo(timestamp=AT_MS // 1_000), {}),
        (KLAVIYO, of_klaviyo(datetime="2027-01-15T07:00:00+00:00"), {}),
        (KLAVIYO, json.dumps({"action": "email_opened", "address": "anna@example.org", "at": AT}).encode(), {}),
        (SUBSCRIPTIONS, of_hubspot("hs_email_delivered", "1", occurredAt=AT_MS), None),
    ],
)
def test_an_event_is_of_the_platforms_own_time(
    collector: Collector, path: str, body: bytes, headers: dict[str, str] | None
) -> None:
    (event,) = told(collector, path, body, by_app(body) if headers is None else headers)
    assert event.occurred_at_ms == AT_MS


@pytest.mark.parametrize("at", ["2099-01-01 00:00:00", "9999-12-31T23:59:59Z", "soon", ""])
def test_a_platforms_clock_never_runs_ahead_of_ours(collector: Collector, at: str) -> None:
    (event,) = told(collector, MAILCHIMP, mailchimp("unsubscribe", fired_at=at), FORM)
    assert event.occurred_at_ms == NOW_MS


@pytest.mark.parametrize("kind", ["cleaned", "unsubscribe"])
def test_who_marked_a_mail_as_spam_complained_and_is_vetoed(collector: Collector, kind: str) -> None:
    (event,) = told(collector, MAILCHIMP, mailchimp(kind, **{"data[reason]": "abuse"}), FORM)
    assert event.action == "email_complained"
    assert [(veto.subscriber, veto.reason) for veto in vetoes(collector) if veto] == [(ANNA, "email_complained")]


@pytest.mark.parametrize("by", ["api", "admin", "system", ""])
def test_who_left_stays_so_when_others_put_them_into_a_list(collector: Collector, by: str) -> None:
    minutes = iter(range(60))

    def changes(kind: str, number: str, **more: str) -> None:
        at = f"2027-01-15T02:{next(minutes):02}:00-05:00"
        told(collector, ACTIVECAMPAIGN, activecampaign(kind, list=number, date_time=at, **more), FORM)

    changes("unsubscribe", "1")
    for number in ("1", "2"):
        changes("subscribe", number, initiated_by=by)
    changes("subscribe", "2", initiated_by="public")
    assert standing(collector) == 1
    changes("subscribe", "1", initiated_by="public")
    assert standing(collector) == 0


@pytest.mark.parametrize(
    ("moves_unsubscribe", "by", "left"),
    [
        (True, {"initiated_by": "api"}, 0),
        (True, {"initiated_by": "admin", "initiated_from": "api"}, 0),
        (True, {"initiated_by": "public", "initiated_from": "api"}, 1),
        (True, {"initiated_by": "admin"}, 1),
        (True, {}, 1),
        (False, {"initiated_by": "api"}, 1),
    ],
)
def test_an_unsubscription_by_a_call_is_judged_by_the_next_look_where_segmas_own_moves_are_such(
    collector: Collector, moves_unsubscribe: bool, by: dict[str, str], left: int
) -> None:
    """With ``lists_are: lists``; where lists are tags, Segma unsubscribes nobody, so it was somebody else."""
    hook = Hook("activecampaign", HOOK, moves_unsubscribe=moves_unsubscribe)
    collector.app = create_app(collector.core, {("shop", "activecampaign"): hook}, Known([]))
    told(collector, ACTIVECAMPAIGN, activecampaign("unsubscribe", list="1", **by), FORM)
    assert standing(collector) == left


def standing(collector: Collector) -> int:
    """How many leavings of Anna's stand for good, by what the topic of vetoes holds."""
    told = [each for each in collector.log.records if each.topic == VETOES]
    held = Leavings()
    for offset, each in enumerate(told):
        held.take(Record(VETOES, 0, offset, NOW_MS, each.key, each.value))
    return sum(each.unless_in is None for each in held.standing(ANNA, ()))


@pytest.mark.parametrize(("source", "lifts"), [("API", False), ("IMPORT", False), ("CRM_UI", False), ("FORM", True)])
def test_who_opted_out_stays_so_unless_they_came_back_themselves(
    collector: Collector, source: str, lifts: bool
) -> None:
    left = of_hubspot("hs_email_optout", "true", occurredAt=AT_MS)
    came_back = of_hubspot("hs_email_optout", "false", changeSource=source, occurredAt=AT_MS + 1)
    for body in (left, came_back):
        posted(collector, body, path=SUBSCRIPTIONS, headers=by_app(body))
    assert standing(collector) == (0 if lifts else 1)


def test_an_id_of_hubspots_that_comes_twice_is_two_events(collector: Collector) -> None:
    changes = json.loads(subscribed(("hs_email_delivered", "1"), ("hs_email_bounce", "1"), ("hs_email_delivered", "2")))
    body = json.dumps([change | {"eventId": 1} for change in changes]).encode()
    again = json.dumps([change | {"eventId": 1, "attemptNumber": 1} for change in changes]).encode()
    for each in (body, again):
        posted(collector, each, path=SUBSCRIPTIONS, headers=by_app(each))
    assert len({event.event_id for event in events(collector)}) == 3


def test_a_merge_without_an_object_refuses_nothing_else(collector: Collector) -> None:
    merge = {"eventId": 1, "subscriptionType": "contact.merge", "primaryObjectId": 7, "mergedObjectIds": [8]}
    body = json.dumps([merge, *json.loads(subscribed(("hs_email_delivered", "1")))]).encode()
    assert [event.action for event in told(collector, SUBSCRIPTIONS, body, by_app(body))] == ["email_delivered"]


@pytest.mark.parametrize(
    "bad", [{"action": ["email_opened"], "address": "a@b"}, {"action": 5}, 7, None, {"address": {}}]
)
def test_a_notice_that_cannot_be_read_is_told_and_the_others_count(collector: Collector, bad: Any) -> None:
    body = json.dumps([bad, {"action": "email_opened", "address": "anna@example.org"}]).encode()
    answer = posted(collector, body, path="/v1/hooks/shop/klaviyo", headers=signed(body))
    assert answer.status_code == 422
    assert [event.action for event in events(collector)] == ["email_opened"]


@pytest.mark.parametrize("sent_at", ["99999999999", "999999999999", "1e9", "-1", ""])
def test_an_unreadable_time_of_signing_is_a_bad_signature(collector: Collector, sent_at: str) -> None:
    body = b'{"action": "email_opened", "address": "anna@example.org"}'
    headers = {**signed(body), "webhook-timestamp": sent_at}
    answer = posted(collector, body, path="/v1/hooks/shop/klaviyo", headers=headers)
    assert (answer.status_code, answer.json["reason"]) == (401, "bad_signature")


KLAVIYOS = klaviyo(
    ("opened_email", {"email": "anna@example.org", "$x": "X"}), ("opened_email", {"email": "bo@example.org"})
)
OPEN = '{"action": "email_opened", "address": "%s", "x": "X"}'
OURS = f"[{OPEN % 'anna@example.org'}, {OPEN % 'bo@example.org'}]".encode()


@pytest.mark.parametrize(("platform", "body"), [("klaviyo", KLAVIYOS), ("brevo", OURS)])
@pytest.mark.parametrize(
    "bad",
    [
        b'"\\ud83d"',
        b'"\\udc00\\ud83d"',
        b"1e400",
        b"-1e400",
        b"NaN",
        b"9" * 5_000,
        b'"\xff"',
        b"\xed\xa0\x80".join([b'"'] * 2),
    ],
)
def test_a_value_that_no_reader_takes_costs_no_notice(
    collector: Collector, platform: str, body: bytes, bad: bytes
) -> None:
    told = body.replace(b'"X"', bad)
    assert posted(collector, told, path=f"/v1/hooks/shop/{platform}/{HOOK}", headers={}).status_code == 204
    assert len(events(collector)) == 2


@pytest.mark.parametrize(
    "address",
    [
        "Anna <anna@example.org>",
        "mailto:Anna@example.org",
        "\u200banna@example.org\u00ad",
        "<anna@example.org>",
        "\tANNA@EXAMPLE.ORG\n",
    ],
)
def test_an_address_with_something_around_it_is_the_same_persons(collector: Collector, address: str) -> None:
    body = json.dumps({"action": "email_opened", "address": address}).encode()
    assert posted(collector, body, path=f"/v1/hooks/shop/brevo/{HOOK}", headers={}).status_code == 204
    server = json.dumps(
        {
            "site": "shop-key",
            "address": address,
            "events": [{"event_id": "e", "action": "page_viewed", "occurred_at_ms": NOW_MS}],
        }
    )
    assert (
        posted(
            collector, server.encode(), path="/v1/events", headers={"Authorization": "Bearer server-secret"}
        ).status_code
        == 204
    )
    assert {event.subscriber for event in events(collector)} == {ANNA}


@pytest.mark.parametrize(
    "address",
    ["@", "anna@", "@example.org", "anna\0@example.org", "an na@example.org", "a@b@example.org", "a" * 400 + "@x.org"],
)
def test_what_is_no_address_is_nobodys(collector: Collector, address: str) -> None:
    body = json.dumps({"action": "email_opened", "address": address}).encode()
    assert posted(collector, body, path=f"/v1/hooks/shop/brevo/{HOOK}", headers={}).status_code == 422
    assert collector.beacons() == []


@pytest.mark.parametrize(
    "kind",
    [
        {"subscriptionType": "company.propertyChange"},
        {"subscriptionType": "object.propertyChange", "objectTypeId": "0-3"},
    ],
)
def test_a_change_of_what_is_no_contact_is_nobodys(collector: Collector, kind: dict[str, str]) -> None:
    told = json.loads(subscribed(("hs_email_optout", "true")))
    body = json.dumps([{**told[0], **kind}]).encode()
    assert posted(collector, body, path=SUBSCRIPTIONS, headers=by_app(body)).status_code == 204
    assert (events(collector), vetoes(collector)) == ([], [])


@pytest.mark.parametrize(
    ("value", "fact"), [("false", "joined"), ("", None), ("True", "left"), ("1", "left"), ("yes", "left")]
)
def test_only_a_plain_no_to_the_opt_out_is_a_coming_back(collector: Collector, value: str, fact: str | None) -> None:
    body = subscribed(("hs_email_optout", value))
    assert posted(collector, body, path=SUBSCRIPTIONS, headers=by_app(body)).status_code == 204
    assert [veto.fact for veto in vetoes(collector) if veto is not None] == ([fact] if fact else [])


@pytest.mark.parametrize(
    "more",
    [
        urlencode({"data[reason]": "Abuse"}).encode(),
        b"data%5Breason%5D=abuse&data[merges][FNAME]=Zo\xeb",
        b"data%5Breason%5D=abuse&" + b"&".join(b"data[merges][F%d]=x" % number for number in range(1_000)),
    ],
)
def test_a_complaint_in_a_form_of_any_size_and_spelling_is_heard(collector: Collector, more: bytes) -> None:
    body = mailchimp("cleaned") + b"&" + more
    assert posted(collector, body, path=f"/v1/hooks/shop/mailchimp/{HOOK}", headers=FORM).status_code == 204
    assert [veto.reason for veto in vetoes(collector) if veto is not None] == ["email_complained"]
