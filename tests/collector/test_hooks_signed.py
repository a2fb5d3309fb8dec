"""Klaviyo's and HubSpot's own webhooks, as these vendors sign and write them."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from collector.app import create_app
from collector.hooks import Hook
from collector.platform_ids import Known
from collector.signatures import Call, check_standard
from contracts.accounts import Fact
from contracts.errors import BadInput, LogUnavailable
from contracts.events import Trust
from contracts.log import Consumer, Outgoing, Record
from contracts.topics import SUBSCRIBERS, fixed_topics
from tests.collector.door import NOW_MS, Collector, posted
from tests.collector.hooked import (
    ANNA,
    CONTACT,
    HUBSPOT,
    SUBSCRIPTIONS,
    by_app,
    by_hubspot,
    by_klaviyo,
    entry_of,
    events,
    klaviyo,
    subscribed,
    vetoes,
    with_doors,
)
from transport import open_log
from transport.config import Settings


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return with_doors(tmp_path)


@pytest.mark.parametrize(
    "secret", ["whsec_c2VjcmV0LW9mLW1vcmUtdGhhbi0yNC1ieXRlcw==", "whsec_c2VjcmV0LW9mLW1vcmUtdGhhbi0yNC1ieXRlcw"]
)
def test_a_library_of_the_standard_signs_with_its_own_form_of_a_secret(tmp_path: Path, secret: str) -> None:
    collector = Collector(tmp_path)
    collector.app = create_app(collector.core, {("shop", "mail"): Hook("mailman", secret)}, Known())
    body = json.dumps({"action": "email_opened", "address": "anna@example.org"}).encode()
    sent = datetime.fromtimestamp(NOW_MS // 1_000, UTC)
    for key, status in ((secret, 204), (secret.encode(), 204), (b"c2VjcmV0LW9mLW1vcmUtdGhhbi0yNC1ieXRlcw==", 401)):
        headers = {
            "webhook-id": "m",
            "webhook-timestamp": str(NOW_MS // 1_000),
            "webhook-signature": Webhook(key).sign("m", sent, body.decode()),
        }
        assert posted(collector, body, path="/v1/hooks/shop/mail", headers=headers).status_code == status
    for short in ("whsec_", "whsec_c2hvcnQ=", "whsec_&&&&"):
        call = Call("POST", [], {"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": "v1,x"}, body)
        with pytest.raises(BadInput, match="bad_signature"):
            check_standard(call, short, 1)


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


def test_what_an_app_of_hubspots_has_subscribed_to_is_of_whom_the_directory_knows_by_that_id(
    collector: Collector,
) -> None:
    body = subscribed(
        ("hs_email_delivered", "3"),
        ("hs_email_last_open_date", "1800000000000"),
        ("hs_email_last_click_date", "1800000000000"),
        ("hs_email_last_click_date", ""),
        ("hs_email_bounce", "1"),
        ("firstname", "Anna"),
        ("hs_email_optout", "true"),
    )
    for _ in range(2):
        assert posted(collector, body, path=SUBSCRIPTIONS, headers=by_app(body)).status_code == 204
    found = events(collector)
    assert [event.action for event in found[: len(found) // 2]] == [
        "email_delivered",
        "email_opened",
        "email_clicked",
        "email_bounced",
        "email_unsubscribed",
    ]
    assert {event.subscriber for event in found} == {ANNA}
    assert len({event.event_id for event in found}) == 5, "a repetition counts once"
    assert {veto.subscriber for veto in vetoes(collector) if veto} == {ANNA}
    back = subscribed(("hs_email_optout", "false"))
    posted(collector, back, path=SUBSCRIPTIONS, headers=by_app(back))
    last = vetoes(collector)[-1]
    assert last is not None
    assert (last.fact, last.timed) == (Fact.JOINED, True)


def test_of_whom_the_directory_does_not_know_is_told_and_nobody_else_suffers(collector: Collector) -> None:
    known, strange = (json.loads(subscribed(("hs_email_optout", "true"), person=person)) for person in (7, 8))
    body = json.dumps(strange + known).encode()
    answer = posted(collector, body, path=SUBSCRIPTIONS, headers=by_app(body))
    assert (answer.status_code, answer.json["reason"]) == (422, "missing_field")
    assert [event.subscriber for event in events(collector)] == [ANNA]


def test_who_is_who_follows_the_directory() -> None:
    known = Known([("shop", "hubspot")])
    known.take([entry_of("s_1", hubspot="7"), entry_of("s_2", "other", hubspot="7"), entry_of("s_3", mailman="7")])
    assert known.find("shop", "hubspot", "7") == "s_1"
    assert known.find("other", "hubspot", "7") == known.find("shop", "mailman", "7") == ""
    known.take([entry_of("s_1", hubspot="9"), Record(SUBSCRIBERS, 0, 1, NOW_MS, b"shop/s_9", b"\xff")])
    assert (known.find("shop", "hubspot", "7"), known.find("shop", "hubspot", "9")) == ("", "s_1")
    known.take([Record(SUBSCRIBERS, 0, 2, NOW_MS, b"shop/s_1", None)])
    assert known.find("shop", "hubspot", "9") == ""
    known.take([entry_of("s_1", hubspot="5"), entry_of("s_2", hubspot="5"), entry_of("s_1")])
    assert known.find("shop", "hubspot", "5") == "s_2", "two contacts became one, under this id"


def test_who_is_who_is_read_from_the_log_and_still_known_when_it_is_away(tmp_path: Path) -> None:
    log = open_log(Settings(data=tmp_path))
    log.ensure(fixed_topics(1))
    times: list[int] = []

    def opened() -> Consumer:
        times.append(1)
        if len(times) == 1:
            raise LogUnavailable("away")
        return log.reader(SUBSCRIBERS)

    known = Known([("shop", "hubspot")], opened)
    known.start()
    record = entry_of("s_1", hubspot="7")
    log.publisher().publish([Outgoing(SUBSCRIBERS, record.key, record.value)])
    until = time.monotonic() + 60
    while not known.find("shop", "hubspot", "7") and time.monotonic() < until:
        threading.Event().wait(0.01)
    known.stop()
    log.close()
    assert known.find("shop", "hubspot", "7") == "s_1"
    assert len(times) == 2


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
