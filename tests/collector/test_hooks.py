"""The doors of the email platforms' webhooks: who is let in, what becomes an event, who is vetoed at once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import falcon.testing
import pytest
from standardwebhooks import Webhook
from tests.collector.door import NOW_MS, SECRET, Collector, posted, talk

from segma.collector.app import create_app
from segma.collector.hooks import Hook, load_hooks
from segma.contracts.accounts import Veto
from segma.contracts.actions import VOCABULARY
from segma.contracts.codec import json_reader
from segma.contracts.errors import ConfigError
from segma.contracts.events import Trust
from segma.contracts.installation import check_installation
from segma.contracts.log import Record
from segma.contracts.tokens import subscriber_id
from segma.contracts.topics import BEACONS, VETOES
from segma.flows.recognise import Device, Rules, recognise

HOOK = "hook-secret-of-24-characters-or-more"
ANNA = subscriber_id(SECRET, "anna@example.org")
RULES = Rules(frozenset(VOCABULARY), 60_000)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_read_veto = json_reader(Veto)


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    made = Collector(tmp_path)
    hooks = {("shop", name): Hook(name, HOOK) for name in ("mailchimp", "activecampaign", "klaviyo", "hubspot")}
    made.app = create_app(made.core, hooks)
    return made


def vetoes(collector: Collector) -> list[Veto | None]:
    found = [record for record in collector.log.records if record.topic == VETOES]
    return [_read_veto(each.value) if each.value is not None else None for each in found]


def events(collector: Collector) -> list[Any]:
    found = []
    for number, beacon in enumerate(collector.beacons()):
        record = Record(BEACONS, 0, number, NOW_MS, b"k", b"")
        found += recognise(Device(), beacon, record, RULES)[1]
    return found


def signed(body: bytes, *, at_s: int = NOW_MS // 1_000, secret: str = HOOK, message: str = "m1") -> dict[str, str]:
    signature = Webhook(secret.encode()).sign(message, datetime.fromtimestamp(at_s, UTC), body.decode())
    return {"webhook-id": message, "webhook-timestamp": str(at_s), "webhook-signature": f"v1,AAAA {signature}"}


def klaviyo(*events: tuple[str, dict[str, Any]]) -> bytes:
    """As Klaviyo's guide to system webhooks shows it."""
    data = [
        {
            "external_id": f"E{number}",
            "topic": f"event:klaviyo.{topic}",
            "payload": {"data": {"type": "event", "id": f"E{number}", "attributes": {"event_properties": properties}}},
        }
        for number, (topic, properties) in enumerate(events)
    ]
    meta = {"klaviyo_account_id": "A", "klaviyo_webhook_id": "W", "timestamp": "2027-01-15T08:00:00+00:00"}
    return json.dumps({"data": data, "meta": meta}).encode()


def by_klaviyo(body: bytes, *, at_s: int = NOW_MS // 1_000, secret: str = HOOK, iso: bool = False) -> dict[str, str]:
    """The signature is of the body and the header's own text; Klaviyo has been seen to write either form of time."""
    moment = datetime.fromtimestamp(at_s, UTC)
    sent_at = moment.isoformat() if iso else format_datetime(moment, usegmt=True)
    signature = hmac.new(secret.encode(), body + sent_at.encode(), hashlib.sha256).hexdigest()
    return {"Klaviyo-Signature": signature, "Klaviyo-Timestamp": sent_at, "Klaviyo-Webhook-Id": "W"}


HUBSPOT = "/v1/hooks/shop/hubspot?action=email_clicked"
CONTACT = b'{"vid": 7, "properties": {"email": {"value": "anna@example.org"}, "campaign": {"value": "spring"}}}'


def by_hubspot(
    body: bytes,
    *,
    at_ms: int = NOW_MS,
    secret: str = HOOK,
    address: str = f"https://falconframework.org{HUBSPOT}",
    method: str = "POST",
) -> dict[str, str]:
    signed = f"{method}{address}".encode() + body + str(at_ms).encode()
    signature = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    return {
        "X-HubSpot-Signature-v3": signature,
        "X-HubSpot-Request-Timestamp": str(at_ms),
    }


def mailchimp(kind: str, **more: str) -> bytes:
    return urlencode(
        {"type": kind, "fired_at": "2026-01-01 10:00:00", "data[email]": "Anna@Example.org", **more}
    ).encode()


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
        posted(collector, mailchimp(kind), path=f"/v1/hooks/shop/mailchimp/{HOOK}", headers=FORM)
    first, second = vetoes(collector)
    assert first is not None
    assert second is None
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
    assert [event.action for event in events(collector)] == ["email_delivered", "email_unsubscribed"]
    (veto,) = vetoes(collector)
    assert veto is not None
    assert (veto.list_name, veto.reason) == ("news", "email_unsubscribed")


@pytest.mark.parametrize("iso", [False, True])
def test_klaviyos_own_webhook(collector: Collector, iso: bool) -> None:
    anna = {"Recipient Email Address": "anna@example.org", "Campaign Name": "spring"}
    body = klaviyo(
        ("received_email", anna),
        ("opened_email", {**anna, "machine_open": True}),
        ("clicked_email", {**anna, "URL": "https://shop.example/"}),
        ("bounced_email", {**anna, "Bounce Type": "Hard"}),
        ("marked_email_as_spam", anna),
        ("unsubscribed_from_email_marketing", {"email_address": "Anna@Example.org"}),
        ("received_push", {}),
    )
    answer = posted(collector, body, path="/v1/hooks/shop/klaviyo", headers=by_klaviyo(body, iso=iso))
    assert answer.status_code == 204
    found = events(collector)
    assert [event.action for event in found] == [
        "email_delivered",
        "email_opened",
        "email_clicked",
        "email_bounced",
        "email_complained",
        "email_unsubscribed",
    ]
    assert {(event.subscriber, event.trust) for event in found} == {(ANNA, Trust.SERVER)}
    assert found[0].properties["campaign"] == "spring"
    assert found[1].properties["machine"] is True
    assert "machine" not in found[2].properties
    assert [veto.reason for veto in vetoes(collector) if veto] == ["email_complained", "email_unsubscribed"]


def test_of_klaviyos_events_those_without_an_address_are_told_and_the_others_are_kept(collector: Collector) -> None:
    body = klaviyo(("opened_email", {}), ("unsubscribed_from_email_marketing", {"email_address": "anna@example.org"}))
    answer = posted(collector, body, path="/v1/hooks/shop/klaviyo", headers=by_klaviyo(body))
    assert (answer.status_code, answer.json["reason"]) == (422, "missing_field")
    assert [event.action for event in events(collector)] == ["email_unsubscribed"]
    assert len(vetoes(collector)) == 1


def test_klaviyos_profile_beside_the_event_has_the_address(collector: Collector) -> None:
    told = json.loads(klaviyo(("clicked_email", {})))
    told["data"][0]["payload"]["included"] = [{"type": "profile", "attributes": {"email": "anna@example.org"}}]
    body = json.dumps(told).encode()
    posted(collector, body, path="/v1/hooks/shop/klaviyo", headers=by_klaviyo(body))
    assert [(event.action, event.subscriber) for event in events(collector)] == [("email_clicked", ANNA)]


@pytest.mark.parametrize(
    "body",
    [
        CONTACT,
        b'{"email": "anna@example.org", "campaign": "spring"}',
        b'{"action": "email_clicked", "address": "anna@example.org", "campaign": "spring"}',
    ],
    ids=["a contact", "chosen properties", "our form"],
)
def test_a_workflow_of_hubspots(collector: Collector, body: bytes) -> None:
    assert posted(collector, body, path=HUBSPOT, headers=by_hubspot(body)).status_code == 204
    (event,) = events(collector)
    assert (event.action, event.subscriber, event.properties["campaign"]) == ("email_clicked", ANNA, "spring")


def test_a_contact_of_hubspots_that_has_opted_out_is_vetoed(collector: Collector) -> None:
    body, path = b'{"email": "anna@example.org", "hs_email_optout": "true"}', "/v1/hooks/shop/hubspot"
    headers = by_hubspot(body, address=f"https://falconframework.org{path}")
    assert posted(collector, body, path=path, headers=headers).status_code == 204
    assert [(event.action, event.subscriber) for event in events(collector)] == [("email_unsubscribed", ANNA)]
    assert [veto.subscriber for veto in vetoes(collector) if veto] == [ANNA]


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        (f"http://falconframework.org{HUBSPOT}", {}),
        (f"https://public.example{HUBSPOT}", {"X-Forwarded-Host": "public.example", "X-Forwarded-Proto": "https"}),
        (f"https://public.example{HUBSPOT}", {"X-Forwarded-Host": "public.example"}),
    ],
)
def test_what_hubspot_called_may_be_what_a_proxy_knows(
    collector: Collector, address: str, headers: dict[str, str]
) -> None:
    signed = by_hubspot(CONTACT, address=address)
    assert posted(collector, CONTACT, path=HUBSPOT, headers={**signed, **headers}).status_code == 204


def test_hubspot_writes_some_signs_out_before_it_signs(collector: Collector) -> None:
    path = HUBSPOT + "&from=shop%3Aspring%2fmail"
    plain = by_hubspot(CONTACT, address=f"https://falconframework.org{HUBSPOT}&from=shop:spring/mail")
    assert posted(collector, CONTACT, path=path, headers=plain).status_code == 204


def test_a_repetition_of_hubspots_is_the_same_event_though_it_is_signed_anew(collector: Collector) -> None:
    for later_ms in (0, 60_000):
        posted(collector, CONTACT, path=HUBSPOT, headers=by_hubspot(CONTACT, at_ms=NOW_MS + later_ms))
    assert len({event.event_id for event in events(collector)}) == 1


def test_a_repetition_is_the_same_event(collector: Collector) -> None:
    for _ in range(2):
        posted(collector, mailchimp("unsubscribe"), path=f"/v1/hooks/shop/mailchimp/{HOOK}", headers=FORM)
    assert len({event.event_id for event in events(collector)}) == 1


OURS = b'{"action": "email_opened", "address": "anna@example.org"}'


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
        (f"/v1/hooks/shop/hubspot/{HOOK}", b'[{"objectId": 7, "propertyName": "x"}]', {}, 422, "missing_field"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b'{"data": [1]}', {}, 422, "missing_field"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b'{"data": [' + b"1," * 1_000 + b"1]}", {}, 413, "too_many_events"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b"{", {}, 400, "not_json"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b"[" * 500, {}, 400, "too_deep"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b'{"action": "email_opened"}', {}, 422, "missing_field"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b'{"action": "bought", "address": "a@b"}', {}, 422, "unknown_action"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b"[" + b",".join([OURS] * 1_001) + b"]", {}, 413, "too_many_events"),
        (f"/v1/hooks/shop/klaviyo/{HOOK}", b" " * 5_000_000, {}, 413, "too_large"),
        (f"/v1/hooks/shop/mailchimp/{HOOK}", b"type=unsubscribe", FORM, 422, "missing_field"),
        (f"/v1/hooks/shop/mailchimp/{HOOK}", b"&".join([b"a=1"] * 600), FORM, 422, "wrong_type"),
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
        workspace = {"secret": {"file": "s"}, "accounts": {"mail": account, "other": {"sink": "file"}}}
        return check_installation({"token_keys": {"file": "k"}, "workspaces": {"w": workspace}}, where="segma.yaml")

    found = load_hooks(installation(HOOK), beside=tmp_path / "segma.yaml")
    assert found == {("w", "mail"): Hook("mailchimp", HOOK)}
    with pytest.raises(ConfigError, match="too short"):
        load_hooks(installation("short"), beside=tmp_path / "segma.yaml")
