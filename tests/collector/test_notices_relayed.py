"""What relays make of a platform's webhook: one event without its list, several as one, switches and times as texts."""

from __future__ import annotations

from typing import Any

import pytest

from collector.notices import UNREADABLE, Notice, Told, instant_ms
from collector.platforms.registry import notices_of
from contracts.codec import to_json

WHO = "ann@shop.example"
AT_S = 1_767_323_045
HUBSPOT = {
    "eventId": 1,
    "occurredAt": AT_S * 1_000,
    "subscriptionType": "contact.propertyChange",
    "objectId": 7,
    "propertyName": "hs_email_optout",
    "propertyValue": "true",
}
KLAVIYO = {
    "topic": "event:klaviyo.unsubscribed_from_email_marketing",
    "payload": {
        "data": {"attributes": {"timestamp": AT_S}},
        "included": {"type": "profile", "attributes": {"email": WHO}},
    },
}
CUSTOMERIO = {"metric": "unsubscribed", "timestamp": AT_S, "data": {"email_address": WHO}}
ITERABLE = {"email": WHO, "eventName": "emailUnSubscribe", "dataFields": {"channelIds": 4, "unsubSource": "EmailLink"}}


def told(sink: str, body: Any) -> list[Notice]:
    """What a body says at an account of this kind."""
    return notices_of(sink, Told(to_json(body)))


@pytest.mark.parametrize(
    ("sink", "body"),
    [
        ("sendgrid", {"event": "unsubscribe", "email": WHO, "timestamp": str(AT_S)}),
        ("hubspot", HUBSPOT),
        ("klaviyo", {"data": KLAVIYO}),
        ("klaviyo", {"data": [KLAVIYO]}),
        ("customerio", [CUSTOMERIO]),
        ("iterable", [ITERABLE]),
        ("iterable", ITERABLE),
        ("mailerlite", [{"event": "subscriber.unsubscribed", "email": WHO}]),
        ("kit", {"events": {"type": "subscriber.unsubscribed", "data": {"subscriber": {"email_address": WHO}}}}),
        (
            "campaignmonitor",
            {"ListID": "a", "Events": {"Type": "Deactivate", "State": "Unsubscribed", "EmailAddress": WHO}},
        ),
        ("brevo", {"event": "Unsubscribed", "email": WHO}),
    ],
)
def test_one_event_is_one_with_a_list_around_it_or_without(sink: str, body: Any) -> None:
    (notice,) = told(sink, body)
    assert notice.action == "email_unsubscribed"
    assert notice.address == WHO or notice.person == "7"


@pytest.mark.parametrize(("sink", "event"), [("customerio", CUSTOMERIO), ("iterable", ITERABLE)])
def test_of_several_one_that_is_none_costs_the_others_nothing(sink: str, event: dict[str, Any]) -> None:
    assert [each.action for each in told(sink, [event, {"x": 1}, None])] == [
        "email_unsubscribed",
        UNREADABLE,
        UNREADABLE,
    ]


@pytest.mark.parametrize("switch", [True, "true", "True", "1", 1])
def test_a_machines_open_is_one_however_its_switch_is_written(switch: object) -> None:
    opened = {"email": WHO, "machine_open": switch}
    found = [
        *told("sendgrid", [{"event": "open", "email": WHO, "sg_machine_open": switch}]),
        *told(
            "klaviyo",
            {
                "data": [
                    {
                        "topic": "event:klaviyo.opened_email",
                        "payload": {"data": {"attributes": {"event_properties": opened}}},
                    }
                ]
            },
        ),
        *told(
            "customerio", {"metric": "opened", "object_type": "email", "data": {"recipient": WHO, "prefetched": switch}}
        ),
        *told("iterable", {"email": WHO, "eventName": "emailOpen", "dataFields": {"isBot": switch}}),
    ]
    assert [each.properties.get("machine") for each in found] == [True] * 4


@pytest.mark.parametrize("switch", [False, "false", "0", 0, None, "", [], {}])
def test_what_is_no_yes_is_a_persons_open(switch: object) -> None:
    (found,) = told("sendgrid", [{"event": "open", "email": WHO, "sg_machine_open": switch}])
    assert "machine" not in found.properties


@pytest.mark.parametrize(("kind", "bounce"), [("hardBounce", "hard"), ("soft_bounce", "soft"), ("Hard_Bounce", "hard")])
def test_brevos_names_are_read_in_both_spellings(kind: str, bounce: str) -> None:
    (found,) = told("brevo", {"event": kind, "email": WHO})
    assert (found.action, found.properties["kind"]) == ("email_bounced", bounce)


@pytest.mark.parametrize(
    "text",
    [
        f"{AT_S}000000000",
        AT_S * 1_000_000_000,
        "2026-01-02T04:04:05+01:00[Europe/Berlin]",
        "2026-01-02T03:04:05Z[Etc/UTC]",
    ],
)
def test_instants_as_other_clocks_write_them(text: object) -> None:
    assert instant_ms(text) == AT_S * 1_000
