"""The doors of the email platforms' webhooks for tests: a collector that has them, and what each platform sends."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from standardwebhooks import Webhook

from collector.app import create_app
from collector.hooks import Hook
from collector.platform_ids import Known
from collector.platforms.registry import PLATFORMS
from contracts.accounts import Veto
from contracts.actions import VOCABULARY
from contracts.codec import json_reader, to_json
from contracts.log import Record
from contracts.rows import DirectoryEntry
from contracts.tokens import subscriber_id
from contracts.topics import BEACONS, SUBSCRIBERS, VETOES, subscriber_key
from flows.recognise import Device, Rules, recognise
from tests.collector.door import NOW_MS, SECRET, Collector

HOOK = "hook-secret-of-24-characters-or-more"


ANNA = subscriber_id(SECRET, "anna@example.org")


RULES = Rules(frozenset(VOCABULARY), 60_000)


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


_read_veto = json_reader(Veto)


def entry_of(subscriber: str, workspace: str = "shop", **ids: str) -> Record:
    """A person of the directory, as the platforms know them."""
    entry = DirectoryEntry(workspace, subscriber, "anna@example.org", platform_ids=ids)
    return Record(SUBSCRIBERS, 0, 0, NOW_MS, subscriber_key(workspace, subscriber), to_json(entry))


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


SUBSCRIPTIONS = "/v1/hooks/shop/hubspot"


def subscribed(*changes: tuple[str, str], person: int = 7) -> bytes:
    """As HubSpot's guide to webhooks shows it: up to a hundred changes of records, which it names by their ids."""
    events = [
        {
            "eventId": 100 + number,
            "subscriptionId": 1,
            "portalId": 2,
            "occurredAt": NOW_MS,
            "subscriptionType": "contact.propertyChange",
            "attemptNumber": 0,
            "objectId": person,
            "propertyName": name,
            "propertyValue": value,
            "changeSource": "EMAIL",
        }
        for number, (name, value) in enumerate(changes)
    ]
    return json.dumps(events).encode()


def by_app(body: bytes) -> dict[str, str]:
    return by_hubspot(body, address=f"https://falconframework.org{SUBSCRIPTIONS}")


def with_doors(home: Path, *, max_events: int = 3, secrets: Mapping[str, str] = {}) -> Collector:
    """A collector with a door of each platform, which knows Anna as HubSpot's contact 7."""
    made = Collector(home, max_events=max_events)
    hooks = {("shop", name): Hook(name, secrets.get(name, HOOK)) for name in PLATFORMS}
    known = Known([("shop", "hubspot")])
    known.take([entry_of(ANNA, hubspot="7", other="8")])
    made.app = create_app(made.core, hooks, known)
    return made
