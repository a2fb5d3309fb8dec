"""Webhooks whose fields are of any kind or missing: each is read, passed over or refused, and none stops the door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from collector.hooks import records_of
from collector.notices import Told, without_address
from collector.platforms.registry import NAMES, notices_of
from contracts.errors import BadInput
from tests.collector.door import NOW_MS

WHO = "ann@shop.example"
DATE = "2026-01-02T03:04:05Z"
LEAVING: dict[str, dict[str, Any]] = {
    "iterable": {"channelIds": [1], "unsubSource": "EmailLink", "campaignName": "spring", "createdAt": DATE},
    "mautic": {"fields": {"core": {"email": {"value": WHO}}}},
}
BODIES: dict[str, Any] = {
    "brevo": {"event": "hard_bounce", "email": WHO, "ts_event": 1_767_322_445, "campaign name": "x", "URL": "u"},
    "campaignmonitor": {
        "ListID": "l",
        "Events": [
            {"Type": "Deactivate", "EmailAddress": WHO, "State": "Unsubscribed"},
            {"Type": "Update", "OldEmailAddress": WHO, "EmailAddress": "new@shop.example"},
        ],
    },
    "customerio": {
        "metric": "clicked",
        "event_id": "e",
        "object_type": "email",
        "timestamp": 1_767_322_445,
        "data": {"recipient": WHO, "identifiers": {"email": WHO}, "href": "u", "campaign_id": 3, "machine": True},
    },
    "ghost": {"member": {"current": {"email": WHO, "newsletters": []}, "previous": {"newsletters": [{"id": 1}]}}},
    "hubspot": [
        {
            "eventId": 1,
            "objectId": 9,
            "propertyName": "hs_email_optout",
            "propertyValue": "true",
            "occurredAt": 1_767_322_445_000,
            "subscriptionType": "contact.propertyChange",
            "changeSource": "EMAIL",
        }
    ],
    "iterable": {"eventName": "emailUnSubscribe", "email": WHO, "dataFields": LEAVING["iterable"]},
    "kit": {
        "events": [
            {
                "type": "subscriber.unsubscribed",
                "id": "e",
                "created": DATE,
                "data": {"subscriber": {"email_address": WHO}},
            }
        ]
    },
    "klaviyo": {
        "data": [
            {
                "topic": "event:klaviyo.opened_email",
                "external_id": "x",
                "payload": {
                    "data": {"attributes": {"timestamp": 1_767_322_445, "event_properties": {"URL": "u"}}},
                    "included": [{"type": "profile", "attributes": {"email": WHO}}],
                },
            }
        ]
    },
    "mailerlite": {"type": "subscriber.unsubscribed", "subscriber": {"email": WHO, "unsubscribed_at": DATE}},
    "mautic": {
        "mautic.lead_channel_subscription_changed": [
            {"channel": "email", "new_status": "unsubscribed", "contact": LEAVING["mautic"], "timestamp": DATE}
        ],
        "mautic.email_on_open": {"stat": {"emailAddress": WHO, "email": {"name": "spring"}}, "timestamp": DATE},
    },
    "sendgrid": [{"event": "bounce", "email": WHO, "timestamp": 1_767_322_445, "type": "blocked", "category": "c"}],
    "mailman": {"action": "email_unsubscribed", "address": WHO, "at": DATE, "list": "news", "campaign": "spring"},
}
FORMS = frozenset({"activecampaign", "mailchimp"})
ODD = (
    *("null", "true", "0", "-1", "1e999", "9" * 400, "18446744073709551616", '""', '"x"', "[]", "{}", "[[]]"),
    *("[{}]", '[null,"x"]', '{"a":[1,{"b":[]}]}', '{"email":"b@shop.example"}', '"\\ud800"', '"\\u0000"'),
    *(f'["{WHO}"]', f'"{"é" * 30_000}"', '"2026-13-45T99:99:99Z"', '"٢٠٢٦-٠١-٠٢"'),
)
HOLE = "@hole@"


def holed(value: Any) -> Iterator[Any]:
    """The value with each of its parts in turn replaced by a hole, and taken away."""
    yield HOLE
    places = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for place, part in list(places):
        for other in holed(part):
            copy = value.copy()
            copy[place] = other
            yield copy
        copy = value.copy()
        del copy[place]
        yield copy


def test_every_platform_is_tried() -> None:
    assert {*NAMES} - FORMS == {*BODIES} - {"mailman"}


@pytest.mark.parametrize("platform", sorted(BODIES))
def test_no_field_of_any_kind_stops_the_door(platform: str) -> None:
    for body in holed(BODIES[platform]):
        text = json.dumps(body)
        for odd in ODD:
            told = Told(text.replace(f'"{HOLE}"', odd).encode())
            try:
                notices = [without_address(each, "lists.example") for each in notices_of(platform, told)]
            except BadInput:
                continue
            records_of([(each, "s_ann") for each in notices], "shop", platform, now_ms=NOW_MS)


def test_no_half_of_an_address_is_left_where_a_text_is_cut() -> None:
    name = "x" * 190 + " ann@shop.example"
    told = {"mautic.email_on_open": [{"stat": {"emailAddress": WHO, "email": {"name": name}}}]}
    (opened,) = notices_of("mautic", Told(json.dumps(told).encode()))
    assert "@" not in opened.properties["campaign"]
    clicked = {"metric": "clicked", "object_type": "email", "data": {"recipient": WHO, "href": f"https://x/?{name}"}}
    (click,) = notices_of("customerio", Told(json.dumps(clicked).encode()))
    assert "@" not in click.properties["url"]
    assert len(click.properties["url"]) <= 200
