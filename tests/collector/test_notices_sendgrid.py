"""SendGrid's event webhook, as its reference and its page of signatures show it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from standardwebhooks import Webhook

from tests.collector.door import NOW_MS, Collector, got, posted
from tests.collector.hooked import ANNA, events, vetoes, with_doors

PATH = "/v1/hooks/shop/sendgrid"
NOW_S = NOW_MS // 1_000
AT_S = 1_799_996_400


def public(key: ec.EllipticCurvePrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def as_path() -> ec.EllipticCurvePrivateKey:
    """A key whose public half is a part of a path as it stands."""
    while "/" in public(made := ec.generate_private_key(ec.SECP256R1())):
        pass
    return made


KEY = as_path()


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    return with_doors(tmp_path, secrets={"sendgrid": public(KEY)})


def event(kind: str, number: int = 1, **more: Any) -> dict[str, Any]:
    return {"email": "Anna@Example.org", "timestamp": AT_S, "event": kind, "sg_event_id": f"e{number}", **more}


def signed(
    body: bytes, *, at_s: int = NOW_S, key: ec.EllipticCurvePrivateKey = KEY, over: bytes | None = None
) -> dict[str, str]:
    message = str(at_s).encode() + (body if over is None else over)
    made = base64.b64encode(key.sign(message, ec.ECDSA(hashes.SHA256()))).decode()
    return {
        "X-Twilio-Email-Event-Webhook-Signature": made,
        "X-Twilio-Email-Event-Webhook-Timestamp": str(at_s),
    }


def told(collector: Collector, *given: dict[str, Any]) -> list[Any]:
    body = json.dumps(given).encode()
    assert posted(collector, body, path=PATH, headers=signed(body)).status_code == 204
    return events(collector)


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("delivered", "email_delivered"),
        ("open", "email_opened"),
        ("click", "email_clicked"),
        ("bounce", "email_bounced"),
        ("spamreport", "email_complained"),
        ("unsubscribe", "email_unsubscribed"),
        ("group_unsubscribe", "email_unsubscribed"),
    ],
)
def test_each_event_is_an_action_at_its_own_time(collector: Collector, kind: str, action: str) -> None:
    found = told(collector, event(kind), event(kind, 2), event(kind), event("processed", 3))
    assert {(each.action, each.occurred_at_ms) for each in found} == {(action, AT_S * 1_000)}
    assert len({each.event_id for each in found}) == 2, "an event counts once, by its own id"


def test_what_is_told_of_a_mail_is_kept_and_a_machines_open_is_one(collector: Collector) -> None:
    found = told(
        collector,
        event("click", singlesend_name="spring", url="https://shop.example/a", category=["x"]),
        event("open", 2, mc_auto_name="left", sg_machine_open=True),
        event("bounce", 3, type="blocked", category="promo"),
    )
    kept = [{name: value for name, value in each.properties.items() if name != "account"} for each in found]
    assert kept == [
        {"campaign": "spring", "url": "https://shop.example/a"},
        {"campaign": "left", "machine": True},
        {"campaign": "promo", "kind": "soft"},
    ]


def test_who_left_is_vetoed_at_once_and_who_came_back_to_a_group_lifts_nothing(collector: Collector) -> None:
    told(collector, event("group_unsubscribe", asm_group_id=42))
    told(collector, event("group_resubscribe", 2, asm_group_id=42))
    (veto,) = vetoes(collector)
    assert veto is not None
    assert (veto.subscriber, veto.list_name, veto.at_ms) == (ANNA, "", AT_S * 1_000)


def test_what_is_not_signed_or_old_is_refused(collector: Collector) -> None:
    body = json.dumps([event("unsubscribe")]).encode()
    good = signed(body)
    names = list(good)
    refused = {
        "other key": (signed(body, key=ec.generate_private_key(ec.SECP256R1())), "bad_signature"),
        "other curve": (signed(body, key=ec.generate_private_key(ec.SECP384R1())), "bad_signature"),
        "other body": (signed(body, over=body + b" "), "bad_signature"),
        "other time": (good | {names[1]: str(NOW_S + 1)}, "bad_signature"),
        "no time": ({names[0]: good[names[0]]}, "bad_signature"),
        "no base64": (good | {names[0]: "***"}, "bad_signature"),
        "nothing": ({}, "bad_signature"),
        "old": (signed(body, at_s=NOW_S - 301), "replayed"),
        "to come": (signed(body, at_s=NOW_S + 301), "replayed"),
    }
    for headers, reason in refused.values():
        answer = posted(collector, body, path=PATH, headers=headers)
        assert (answer.status_code, answer.json["reason"]) == (401, reason)
    assert vetoes(collector) == []


def test_the_public_key_opens_no_door(collector: Collector) -> None:
    """It is no secret: neither as the key of another scheme nor as a part of the path."""
    body = json.dumps([event("unsubscribe")]).encode()
    key = public(KEY)
    at = datetime.fromtimestamp(NOW_S, UTC)
    standard = {
        "webhook-id": "m1",
        "webhook-timestamp": str(NOW_S),
        "webhook-signature": Webhook(key.encode()).sign("m1", at, body.decode()),
    }
    mailerlite = {"Signature": hmac.new(key.encode(), body, hashlib.sha256).hexdigest()}
    for headers in (standard, mailerlite):
        assert posted(collector, body, path=PATH, headers=headers).status_code == 401
    assert posted(collector, body, path=f"{PATH}/{key}", headers={}).status_code == 404
    assert got(collector, f"{PATH}/{key}").status_code == 404
    assert vetoes(collector) == []


def test_another_accounts_call_is_not_judged_by_a_public_key(collector: Collector) -> None:
    body = json.dumps([event("unsubscribe")]).encode()
    assert posted(collector, body, path="/v1/hooks/shop/kit", headers=signed(body)).status_code == 401


def test_a_key_that_is_none_lets_nobody_in(tmp_path: Path) -> None:
    collector = with_doors(tmp_path, secrets={"sendgrid": "no-key-but-long-enough-for-one"})
    body = json.dumps([event("unsubscribe")]).encode()
    assert posted(collector, body, path=PATH, headers=signed(body)).status_code == 401


def test_an_event_that_names_nothing_is_refused_and_those_beside_it_are_kept(collector: Collector) -> None:
    body = json.dumps([event("bounce"), {"a": 1}]).encode()
    assert posted(collector, body, path=PATH, headers=signed(body)).status_code == 422
    assert [each.action for each in events(collector)] == ["email_bounced"]
