"""What each platform's webhook says of a leaving, of a joining and of Segma's own move, as the collector reads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from collector.hooks import records_of
from collector.notices import Told
from collector.platforms.registry import notices_of
from contracts.log import Outgoing
from contracts.topics import VETOES

ADDRESS = "anna@example.org"
Said = Callable[[int], Told]
"""When it happened, in milliseconds → the webhook's call."""


class Reports(NamedTuple):
    """One platform's. ``joined`` None: what it tells of a joining does not say by whom, and lifts nothing."""

    left: Said
    own: Said
    joined: Said | None = None


def as_json(said: Callable[[int], object], action: str = "") -> Said:
    return lambda at_ms: Told(json.dumps(said(at_ms)).encode(), action)


def as_form(fields: Mapping[str, str], action: str = "", *, moves_unsubscribe: bool = False) -> Said:
    """A form; ``AT`` in a field is its time."""

    def said(at_ms: int) -> Told:
        at = datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        filled = {name: value.replace("AT", at) for name, value in fields.items()}
        return Told(urlencode(filled).encode(), action, moves_unsubscribe)

    return said


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat()


def activecampaign(kind: str, by: str, *, lists: bool = False) -> Said:
    fields = {"type": kind, "date_time": "AT", "contact[email]": ADDRESS, "list": "1"}
    return as_form({**fields, "initiated_by": by, "initiated_from": by}, moves_unsubscribe=lists)


def brevo(kind: str, **more: Any) -> Said:
    return as_json(lambda at_ms: {"id": 1, "event": kind, "email": ADDRESS, "ts_event": at_ms // 1_000, **more})


def campaignmonitor(kind: str, state: str = "Active") -> Said:
    """Its times are of a time zone that it does not name."""

    def said(at_ms: int) -> object:
        at = datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        return {"Events": [{"Type": kind, "Date": at, "EmailAddress": ADDRESS, "State": state}], "ListID": "a" * 32}

    return as_json(said)


def customerio(metric: str) -> Said:
    who = {"identifiers": {"email": ADDRESS}}
    return as_json(
        lambda at_ms: {
            "event_id": f"{metric}{at_ms}",
            "object_type": "customer",
            "metric": metric,
            "timestamp": at_ms // 1_000,
            "data": who,
        }
    )


def ghost(before: list[str], after: list[str]) -> Said:
    """It says no time. Segma's own moves are told to no webhook."""
    was = {"newsletters": [{"id": each} for each in before]}
    now = {"email": ADDRESS, "newsletters": [{"id": each} for each in after]}
    return as_json(lambda at_ms: {"member": {"current": {**now, "note": f"{at_ms}"}, "previous": was}})


def hubspot(value: str, source: str, name: str = "hs_email_optout") -> Said:
    def said(at_ms: int) -> object:
        change = {"propertyName": name, "propertyValue": value, "changeSource": source, "occurredAt": at_ms}
        return [{"eventId": 1, "subscriptionType": "contact.propertyChange", "objectId": 7, **change}]

    return as_json(said)


def iterable(name: str, **data: Any) -> Said:
    told = {"email": ADDRESS, **data}
    return as_json(lambda at_ms: {"email": ADDRESS, "eventName": name, "dataFields": {**told, "createdAt": iso(at_ms)}})


def kit(kind: str) -> Said:
    data = {"subscriber": {"email_address": ADDRESS}}
    return as_json(
        lambda at_ms: {"events": [{"id": f"{kind}{at_ms}", "type": kind, "created": iso(at_ms), "data": data}]}
    )


def klaviyo(topic: str, action: str = "") -> Said:
    def said(at_ms: int) -> object:
        event = {"timestamp": at_ms // 1_000, "event_properties": {"email": ADDRESS}}
        payload = {"data": {"attributes": event}}
        return {"data": [{"external_id": f"E{at_ms}", "topic": f"event:klaviyo.{topic}", "payload": payload}]}

    return as_json(said, action)


def mailchimp(kind: str, action: str = "") -> Said:
    return as_form({"type": kind, "fired_at": "AT", "data[email]": ADDRESS}, action)


def mailerlite(kind: str) -> Said:
    person = {"id": "1", "email": ADDRESS}
    return as_json(lambda at_ms: {"event": kind, **person, "unsubscribed_at": iso(at_ms), "updated_at": iso(at_ms)})


def mautic(status: str) -> Said:
    contact = {"id": 47, "fields": {"core": {"email": {"value": ADDRESS}}}}
    change = {"contact": contact, "channel": "email", "new_status": status}
    return as_json(lambda at_ms: {"mautic.lead_channel_subscription_changed": [{**change, "timestamp": iso(at_ms)}]})


def mautic_own(at_ms: int) -> Told:
    return Told(json.dumps({"mautic.lead_post_save_update": [{"timestamp": iso(at_ms)}]}).encode())


def ours(action: str, list_name: str = "") -> Said:
    return as_json(lambda at_ms: {"action": action, "address": ADDRESS, "list": list_name, "at": iso(at_ms)})


def nothing(at_ms: int) -> Told:
    return Told(b"[]")


def sendgrid(kind: str) -> Said:
    told = {"email": ADDRESS, "event": kind}
    return as_json(lambda at_ms: [{**told, "timestamp": at_ms // 1_000, "sg_event_id": f"{kind}{at_ms}"}])


REPORTS: Mapping[str, Reports] = {
    "activecampaign": Reports(
        activecampaign("unsubscribe", "public"),
        activecampaign("contact_tag_added", "api"),
        activecampaign("subscribe", "public"),
    ),
    "activecampaign-lists": Reports(
        activecampaign("unsubscribe", "public", lists=True),
        activecampaign("unsubscribe", "api", lists=True),
        activecampaign("subscribe", "public", lists=True),
    ),
    "brevo": Reports(brevo("unsubscribed", list_id=[1]), brevo("list_addition", list_id=[1])),
    "campaignmonitor": Reports(campaignmonitor("Deactivate", "Unsubscribed"), campaignmonitor("Deactivate", "Deleted")),
    "constantcontact": Reports(ours("email_unsubscribed"), nothing, ours("subscribed")),
    "customerio": Reports(customerio("unsubscribed"), customerio("attempted")),
    "dotdigital": Reports(ours("email_unsubscribed"), nothing, ours("subscribed")),
    "ghost": Reports(ghost(["1"], []), nothing),
    "hubspot": Reports(hubspot("true", "EMAIL"), hubspot("1", "API", "hs_list_memberships"), hubspot("false", "FORM")),
    "iterable": Reports(
        iterable("emailUnSubscribe", channelIds=[5], emailListIds=[], unsubSource="EmailLink"),
        iterable("emailUnSubscribe", channelIds=[], emailListIds=[7], unsubSource="ListAPI"),
    ),
    "kit": Reports(kit("subscriber.unsubscribed"), kit("subscriber.tag_removed")),
    "klaviyo": Reports(
        klaviyo("unsubscribed_from_email_marketing"),
        klaviyo("added_to_list"),
        klaviyo("subscribed_to_email_marketing", "subscribed"),
    ),
    "listmonk": Reports(ours("email_unsubscribed"), nothing, ours("subscribed")),
    "mailchimp": Reports(mailchimp("unsubscribe"), mailchimp("profile"), mailchimp("subscribe", "subscribed")),
    "mailerlite": Reports(mailerlite("subscriber.unsubscribed"), mailerlite("subscriber.removed_from_group")),
    "mautic": Reports(mautic("unsubscribed"), mautic_own),
    "sendgrid": Reports(sendgrid("unsubscribe"), sendgrid("processed")),
}
"""By imitation. Where a platform sends nothing of its own, in our words."""
BY_ANYBODY: Mapping[str, Said] = {
    "activecampaign": activecampaign("subscribe", "api"),
    "activecampaign-lists": activecampaign("subscribe", "admin", lists=True),
    "brevo": brevo("list_addition", list_id=[1]),
    "campaignmonitor": campaignmonitor("Subscribe"),
    "customerio": customerio("subscribed"),
    "ghost": ghost([], ["1"]),
    "hubspot": hubspot("false", "IMPORT"),
    "iterable": iterable("emailSubscribe", emailListIds=[7]),
    "kit": kit("subscriber.activated"),
    "klaviyo": klaviyo("subscribed_to_email_marketing"),
    "mailchimp": mailchimp("subscribe"),
    "mailerlite": mailerlite("subscriber.active"),
    "mautic": mautic("contactable"),
    "sendgrid": sendgrid("group_resubscribe"),
}
"""What each says of a joining that may have been an import's, an administrator's or a call's."""


def facts_of(platform: str, told: Told, now_ms: int) -> list[Outgoing]:
    """The leavings and joinings that the collector stores of a call about Anna."""
    notices = notices_of(platform.removesuffix("-lists"), told) if told.body != b"[]" else []
    assert all(each.address or each.person for each in notices), notices
    found = records_of([(each, "s_anna") for each in notices], "w", "mail", now_ms=now_ms)
    return [each for each in found if each.topic == VETOES]
