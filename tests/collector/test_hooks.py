"""The doors of the email platforms' webhooks: who is let in, what becomes an event, who is vetoed at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import falcon.testing
import pytest

from collector.hooks import Hook, load_hooks
from contracts.accounts import Fact
from contracts.errors import ConfigError
from contracts.events import Trust
from contracts.installation import check_installation
from contracts.topics import VETOES
from tests.collector.door import NOW_MS, Collector, posted, talk
from tests.collector.hooked import (
    ANNA,
    CONTACT,
    FORM,
    HOOK,
    HUBSPOT,
    by_hubspot,
    by_klaviyo,
    events,
    mailchimp,
    signed,
    vetoes,
    with_doors,
)


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return with_doors(tmp_path)


BY_THEMSELVES = f"/v1/hooks/shop/mailchimp/{HOOK}?action=subscribed"
"""Of a webhook that is told of subscribers alone."""
OURS = b'{"action": "email_opened", "address": "anna@example.org"}'
OPTED_OUT = b'[{"propertyName": "hs_email_optout", "propertyValue": "true"}]'


@pytest.mark.parametrize(
    ("body", "action"),
    [
        (mailchimp("unsubscribe"), "email_unsubscribed"),
        (mailchimp("unsubscribe", **{"data[reason]": "abuse"}), "email_complained"),
        (mailchimp("cleaned", **{"data[reason]": "hard", "data[campaign_id]": "c1"}), "email_bounced"),
    ],
)
def test_mailchimps_form_becomes_an_event_of_the_server(collector: Collector, body: bytes, action: str) -> None:
    assert posted(collector, body, path=f"/v1/hooks/shop/mailchimp/{HOOK}", headers=FORM).status_code == 204
    (event,) = events(collector)
    assert (event.action, event.subscriber, event.trust) == (action, ANNA, Trust.SERVER)
    assert event.properties["account"] == "mailchimp"
    told = [veto.subscriber for veto in vetoes(collector) if veto is not None]
    assert told == ([] if action == "email_bounced" else [ANNA])


def test_who_subscribes_again_by_themselves_lifts_their_veto(collector: Collector) -> None:
    for kind in ("unsubscribe", "subscribe"):
        posted(collector, mailchimp(kind), path=BY_THEMSELVES, headers=FORM)
    first, second = vetoes(collector)
    assert first is not None
    assert second is not None
    assert (first.fact, second.fact) == (Fact.LEFT, Fact.JOINED)


@pytest.mark.parametrize(
    ("kind", "fired_at", "fact", "timed"),
    [
        ("unsubscribe", "2025-06-01 10:00:00", Fact.LEFT, True),
        ("subscribe", "2025-06-01 10:00:00", Fact.JOINED, True),
        ("subscribe", "yesterday", Fact.JOINED, False),
        ("unsubscribe", "2999-01-01 00:00:00", Fact.LEFT, True),
    ],
)
def test_leavings_and_joinings_have_the_platforms_time_and_a_record_each(
    collector: Collector, kind: str, fired_at: str, fact: Fact, timed: bool
) -> None:
    """docs/semantics.md 8.1, 5 and 6."""
    body = mailchimp(kind, fired_at=fired_at)
    for _ in range(2):
        posted(collector, body, path=BY_THEMSELVES, headers=FORM)
    told = vetoes(collector)[0]
    assert told is not None
    expected = {"2025-06-01 10:00:00": 1_748_772_000_000}.get(fired_at, NOW_MS)
    assert (told.fact, told.timed, told.at_ms) == (fact, timed, expected)
    assert len({record.key for record in collector.log.records if record.topic == VETOES}) == 1


@pytest.mark.parametrize(
    ("kind", "action"),
    [("sent", "email_delivered"), ("open", "email_opened"), ("click", "email_clicked"), ("bounce", "email_bounced")],
)
def test_activecampaigns_form_becomes_an_event(collector: Collector, kind: str, action: str) -> None:
    body = urlencode({"type": kind, "date_time": "t", "contact[email]": "anna@example.org", "campaign[name]": "spring"})
    posted(collector, body.encode(), path=f"/v1/hooks/shop/activecampaign/{HOOK}", headers=FORM)
    (event,) = events(collector)
    assert (event.action, event.properties["campaign"]) == (action, "spring")


def test_a_signed_notice_of_our_own_form(collector: Collector) -> None:
    notices = [
        {"action": "email_delivered", "address": "anna@example.org", "at": "1", "campaign": "spring"},
        {"action": "email_unsubscribed", "address": "anna@example.org", "at": "2", "list": "news"},
    ]
    body = json.dumps(notices).encode()
    assert posted(collector, body, path="/v1/hooks/shop/klaviyo", headers=signed(body)).status_code == 204
    assert [event.action for event in events(collector)] == ["email_delivered", "list_left", "email_unsubscribed"]
    (veto,) = vetoes(collector)
    assert veto is not None
    assert (veto.list_name, veto.reason) == ("news", "email_unsubscribed")


def test_a_repetition_is_the_same_event(collector: Collector) -> None:
    for _ in range(2):
        posted(collector, mailchimp("unsubscribe"), path=f"/v1/hooks/shop/mailchimp/{HOOK}", headers=FORM)
    assert len({event.event_id for event in events(collector)}) == 1


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "reason"),
    [
        ("/v1/hooks/shop/mailchimp/wrong-secret", mailchimp("unsubscribe"), FORM, 404, "unknown_hook"),
        (f"/v1/hooks/shop/nobody/{HOOK}", mailchimp("unsubscribe"), FORM, 404, "unknown_hook"),
        (f"/v1/hooks/other/mailchimp/{HOOK}", mailchimp("unsubscribe"), FORM, 404, "unknown_hook"),
        ("/v1/hooks/shop/klaviyo", OURS, {}, 401, "bad_signature"),
        ("/v1/hooks/shop/klaviyo", OURS, signed(OURS, secret="x" * 30), 401, "bad_signature"),
        ("/v1/hooks/shop/klaviyo", OURS, signed(OURS + b" "), 401, "bad_signature"),
        ("/v1/hooks/shop/klaviyo", OURS, {**signed(OURS), "webhook-id": "m2"}, 401, "bad_signature"),
        ("/v1/hooks/shop/klaviyo", OURS, {**signed(OURS), "webhook-timestamp": "1e9"}, 401, "bad_signature"),
        ("/v1/hooks/shop/klaviyo", OURS, signed(OURS, at_s=NOW_MS // 1_000 - 301), 401, "replayed"),
        ("/v1/hooks/shop/klaviyo", OURS, signed(OURS, at_s=NOW_MS // 1_000 + 301), 401, "replayed"),
        ("/v1/hooks/shop/klaviyo", OURS, by_klaviyo(OURS, secret="x" * 30), 401, "bad_signature"),
        ("/v1/hooks/shop/klaviyo", OURS, by_klaviyo(OURS + b" "), 401, "bad_signature"),
        ("/v1/hooks/shop/klaviyo", OURS, {**by_klaviyo(OURS), "Klaviyo-Timestamp": "today"}, 401, "bad_signature"),
        ("/v1/hooks/shop/klaviyo", OURS, {"Klaviyo-Signature": "00"}, 401, "bad_signature"),
        ("/v1/hooks/shop/klaviyo", OURS, by_klaviyo(OURS, at_s=NOW_MS // 1_000 - 301), 401, "replayed"),
        ("/v1/hooks/shop/klaviyo", OURS, by_klaviyo(OURS, at_s=NOW_MS // 1_000 + 301), 401, "replayed"),
        ("/v1/hooks/shop/klaviyo", b"\xff", by_klaviyo(b"\xff"), 400, "not_utf8"),
        (HUBSPOT, CONTACT, by_hubspot(CONTACT, secret="x" * 30), 401, "bad_signature"),
        (HUBSPOT, CONTACT, by_hubspot(CONTACT + b" "), 401, "bad_signature"),
        (HUBSPOT, CONTACT, by_hubspot(CONTACT, method="GET"), 401, "bad_signature"),
        (HUBSPOT.replace("clicked", "opened"), CONTACT, by_hubspot(CONTACT), 401, "bad_signature"),
        (HUBSPOT, CONTACT, by_hubspot(CONTACT, address=f"https://elsewhere.example{HUBSPOT}"), 401, "bad_signature"),
        (HUBSPOT, CONTACT, {**by_hubspot(CONTACT), "X-HubSpot-Request-Timestamp": "1e9"}, 401, "bad_signature"),
        (HUBSPOT, CONTACT, by_hubspot(CONTACT, at_ms=NOW_MS - 301_000), 401, "replayed"),
        (HUBSPOT, CONTACT, by_hubspot(CONTACT, at_ms=NOW_MS + 301_000), 401, "replayed"),
        (f"/v1/hooks/shop/hubspot/{HOOK}", CONTACT, {}, 422, "unknown_action"),
        (f"/v1/hooks/shop/hubspot/{HOOK}", OPTED_OUT, {}, 422, "missing_field"),
        (f"/v1/hooks/shop/hubspot/{HOOK}", b"7", {}, 422, "missing_field"),
        (f"/v1/hooks/shop/hubspot/{HOOK}", b"[" + b"1," * 1_000 + b"1]", {}, 413, "too_many_events"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b'{"data": [1]}', {}, 422, "missing_field"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b'{"data": [' + b"1," * 1_000 + b"1]}", {}, 413, "too_many_events"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b"{", {}, 400, "not_json"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b"[" * 500, {}, 400, "too_deep"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b'{"action": "email_opened"}', {}, 422, "missing_field"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b'{"action": "bought", "address": "a@b"}', {}, 422, "unknown_action"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b"[" + b",".join([OURS] * 1_001) + b"]", {}, 413, "too_many_events"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b" " * 5_000_000, {}, 413, "too_large"),
        (f"/v1/hooks/shop/mailchimp/{HOOK}", b"type=unsubscribe", FORM, 422, "missing_field"),
        (f"/v1/hooks/shop/mailchimp/{HOOK}", b"&".join([b"a=1"] * 10_001), FORM, 422, "wrong_type"),
    ],
)
def test_what_is_forged_replayed_or_malformed_is_refused_and_keeps_nothing(
    collector: Collector, path: str, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    answer = posted(collector, body, path=path, headers=headers)
    assert (answer.status_code, answer.json["reason"]) == (status, reason)
    assert collector.beacons() == []
    assert vetoes(collector) == []
    assert b"example.org" not in repr(collector.log.records).encode()


def test_a_platform_that_looks_first_finds_its_door_and_nobody_elses(collector: Collector) -> None:
    async def looked(conductor: falcon.testing.ASGIConductor) -> list[int]:
        paths = [f"/v1/hooks/shop/mailchimp/{HOOK}", "/v1/hooks/shop/mailchimp/guess", "/v1/hooks/shop/mailchimp"]
        return [(await conductor.simulate_get(path)).status_code for path in paths]

    assert talk(collector, looked) == [200, 404, 404]


def test_no_address_is_kept(collector: Collector) -> None:
    posted(collector, mailchimp("unsubscribe"), path=f"/v1/hooks/shop/mailchimp/{HOOK}", headers=FORM)
    assert "example.org" not in repr(collector.log.records).lower()


def test_what_nobody_needs_is_taken_and_forgotten(collector: Collector) -> None:
    answer = posted(collector, mailchimp("profile"), path=f"/v1/hooks/shop/mailchimp/{HOOK}", headers=FORM)
    assert (answer.status_code, collector.log.records) == (204, [])


def test_a_short_secret_is_refused_at_the_start(tmp_path: Path) -> None:
    def installation(secret: str) -> Any:
        (tmp_path / "hook").write_text(secret)
        account = {"sink": "mailchimp", "hook": {"file": "hook"}}
        lists = {"url": "https://a.example", "key": {"file": "k"}, "lists_are": "lists"}
        active = {"sink": "activecampaign", "options": lists, "hook": {"file": "hook"}}
        accounts = {"mail": account, "active": active, "other": {"sink": "file"}}
        workspace = {"secret": {"file": "s"}, "accounts": accounts}
        return check_installation({"token_keys": {"file": "k"}, "workspaces": {"w": workspace}}, where="segma.yaml")

    found = load_hooks(installation(HOOK), beside=tmp_path / "segma.yaml")
    active = Hook("activecampaign", HOOK, moves_unsubscribe=True)
    assert found == {("w", "mail"): Hook("mailchimp", HOOK), ("w", "active"): active}
    with pytest.raises(ConfigError, match="too short"):
        load_hooks(installation("short"), beside=tmp_path / "segma.yaml")
