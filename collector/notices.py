"""What the platforms' webhooks say, in each platform's own words, as notices of one form. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

from contracts.codec import MAX_DEPTH, depth_exceeds, json_reader
from contracts.errors import BadInput, BadRecord
from contracts.reasons import Reason

MOST: Final = 1_000
"""Notices of one call: Klaviyo sends so many, the others far fewer."""
ACTIONS: Final = (
    "email_delivered",
    "email_opened",
    "email_clicked",
    "email_bounced",
    "email_complained",
    "email_unsubscribed",
)
SUBSCRIBED: Final = "subscribed"
"""Not an event: the person came back by themselves, and the veto is lifted."""
MAX_WORDS: Final = 200
NAME_RECORDS: Final = frozenset({"hubspot"})
"""Kinds of sinks whose platform's webhooks name a record of theirs instead of an address."""

_read: Final[Callable[[bytes], Any]] = json_reader(Any)


class Notice(NamedTuple):
    """One thing that a platform tells. ``at`` is what tells it from the next: it makes the event's id.

    ``address`` may be empty where the platform names a record of its own (``person``), or nobody.
    """

    action: str
    address: str
    at: str
    list_name: str = ""
    properties: Mapping[str, Any] = {}
    person: str = ""


def notices_of(sink: str, body: bytes, media: str, action: str = "") -> list[Notice]:
    """What a body tells, in the platform's own words or in ours. ``action``: what the address says it is about.

    Raises :class:`BadInput`.
    """
    if sink in FORMS and "json" not in media:
        try:
            form = {name: values[-1] for name, values in parse_qs(body.decode("utf-8"), max_num_fields=500).items()}
        except ValueError:
            raise BadInput(Reason.WRONG_TYPE, "no form") from None
        return FORMS[sink](form)
    told = _json(body)
    if sink == "klaviyo" and isinstance(told, dict) and isinstance(told.get("data"), list):
        return _klaviyo(told["data"])
    if sink == "hubspot" and not _is_ours(told):
        return _hubspot(told, body, action)
    return _ours(told)


def _json(body: bytes) -> Any:
    if depth_exceeds(body, MAX_DEPTH):
        raise BadInput(Reason.TOO_DEEP)
    try:
        return _read(body)
    except BadRecord:
        raise BadInput(Reason.NOT_JSON) from None


def _is_ours(told: object) -> bool:
    first = told[0] if isinstance(told, list) and told else told
    return isinstance(first, dict) and "address" in first


def _ours(told: object) -> list[Notice]:
    """``{"action", "address", "at", "list", "campaign", …}`` or a list of such: where one writes the body oneself."""
    found = told if isinstance(told, list) else [told]
    _check_count(found)
    return [_one_of_ours(each) for each in found]


def _check_count(found: list[Any]) -> None:
    if len(found) > MOST:
        raise BadInput(Reason.TOO_MANY_EVENTS, f"{len(found)} notices, {MOST} at most")


def _one_of_ours(each: object) -> Notice:
    if not isinstance(each, dict) or not isinstance(each.get("address"), str):
        raise BadInput(Reason.MISSING_FIELD, "each notice needs `action` and `address`")
    action = each.get("action")
    if action not in {*ACTIONS, SUBSCRIBED}:
        raise BadInput(Reason.UNKNOWN_ACTION, "one of the email actions")
    kept = {name: str(each[name])[:MAX_WORDS] for name in ("campaign", "kind", "url") if name in each}
    return Notice(action, each["address"], str(each.get("at", ""))[:40], str(each.get("list", ""))[:MAX_WORDS], kept)


def _mailchimp(form: Mapping[str, str]) -> list[Notice]:
    """Mailchimp's form: ``type``, ``fired_at``, ``data[email]``, ``data[reason]``, ``data[campaign_id]``."""
    kind, address, at = form.get("type", ""), form.get("data[email]", ""), form.get("fired_at", "")
    campaign = {"campaign": form["data[campaign_id]"][:MAX_WORDS]} if "data[campaign_id]" in form else {}
    if kind == "unsubscribe":
        complained = form.get("data[reason]") == "abuse"
        return [Notice("email_complained" if complained else "email_unsubscribed", address, at, "", campaign)]
    if kind == "cleaned":
        return [Notice("email_bounced", address, at, "", {**campaign, "kind": form.get("data[reason]", "hard")[:40]})]
    return [Notice(SUBSCRIBED, address, at)] if kind == "subscribe" else []


_ACTIVECAMPAIGN: Final = {
    "sent": "email_delivered",
    "open": "email_opened",
    "click": "email_clicked",
    "bounce": "email_bounced",
    "unsubscribe": "email_unsubscribed",
    "subscribe": SUBSCRIBED,
}


def _activecampaign(form: Mapping[str, str]) -> list[Notice]:
    """ActiveCampaign's form: ``type``, ``date_time``, ``contact[email]``, ``campaign[name]``, ``link[url]``."""
    action = _ACTIVECAMPAIGN.get(form.get("type", ""))
    if action is None:
        return []
    names = {"campaign": "campaign[name]", "url": "link[url]"}
    kept = {name: form[key][:MAX_WORDS] for name, key in names.items() if key in form}
    return [Notice(action, form.get("contact[email]", ""), form.get("date_time", ""), "", kept)]


FORMS: Final[Mapping[str, Callable[[Mapping[str, str]], list[Notice]]]] = {
    "mailchimp": _mailchimp,
    "activecampaign": _activecampaign,
}

_KLAVIYO: Final = {
    "received_email": "email_delivered",
    "opened_email": "email_opened",
    "clicked_email": "email_clicked",
    "bounced_email": "email_bounced",
    "marked_email_as_spam": "email_complained",
    "unsubscribed_from_email_marketing": "email_unsubscribed",
    "subscribed_to_email_marketing": SUBSCRIBED,
}
_KLAVIYO_ADDRESSES: Final = ("email_address", "Recipient Email Address", "email")
_KLAVIYO_KEPT: Final = {"campaign": "Campaign Name", "url": "URL", "kind": "Bounce Type"}


def _klaviyo(events: list[Any]) -> list[Notice]:
    """Klaviyo's system webhooks: ``data`` of events, each with ``topic``, ``external_id`` and the event itself.

    A topic that means nothing to us is passed over.
    """
    _check_count(events)
    found = []
    for event in events:
        topic = event.get("topic") if isinstance(event, dict) else None
        if not isinstance(topic, str):
            raise BadInput(Reason.MISSING_FIELD, "each event needs `topic`")
        action = _KLAVIYO.get(topic.rpartition("klaviyo.")[2])
        if action is not None:
            found.append(_of_klaviyo(action, event))
    return found


def _of_klaviyo(action: str, event: Mapping[str, Any]) -> Notice:
    payload = _mapping(event.get("payload"))
    properties = _mapping(_mapping(_mapping(payload.get("data")).get("attributes")).get("event_properties"))
    profiles = payload.get("included")
    known = [
        _mapping(_mapping(each).get("attributes")).get("email")
        for each in (profiles if isinstance(profiles, list) else [])
        if _mapping(each).get("type") == "profile"
    ]
    addresses = [*(properties.get(name) for name in _KLAVIYO_ADDRESSES), *known]
    address = next((each for each in addresses if isinstance(each, str) and "@" in each), "")
    kept: dict[str, Any] = {
        name: str(properties[key])[:MAX_WORDS] for name, key in _KLAVIYO_KEPT.items() if properties.get(key)
    }
    machine = {"machine": True} if properties.get("machine_open") is True else {}
    return Notice(action, address, str(event.get("external_id", ""))[:40], "", kept | machine)


def _hubspot(told: object, body: bytes, action: str) -> list[Notice]:
    """A HubSpot workflow's webhook: a contact's properties, plain or each with a ``value``.

    It does not say what happened, so the address it was sent to does (``?action=email_opened``); a contact that has
    opted out tells that by itself.
    """
    if isinstance(told, list):
        return _of_subscriptions(told)
    if not isinstance(told, dict):
        raise BadInput(Reason.MISSING_FIELD, "neither a contact nor a list of events")
    contact = {**told, **_mapping(told.get("properties"))}
    values = {name: each.get("value") if isinstance(each, dict) else each for name, each in contact.items()}
    if not action and str(values.get("hs_email_optout", "")).lower() == "true":
        action = "email_unsubscribed"
    if action not in {*ACTIONS, SUBSCRIBED}:
        raise BadInput(Reason.UNKNOWN_ACTION, "?action= one of the email actions")
    address = values.get("email")
    kept = {"campaign": str(values["campaign"])[:MAX_WORDS]} if values.get("campaign") else {}
    # NOTE: a repetition has the same body, and another time of sending.
    at = hashlib.sha256(body).hexdigest()[:40]
    return [Notice(action, address if isinstance(address, str) else "", at, "", kept)]


_HUBSPOT: Final = {
    "hs_email_optout": "email_unsubscribed",
    "hs_email_last_open_date": "email_opened",
    "hs_email_last_click_date": "email_clicked",
    "hs_email_bounce": "email_bounced",
    "hs_email_delivered": "email_delivered",
}
"""The contact's properties that change when it happens."""


def _of_subscriptions(events: list[Any]) -> list[Notice]:
    """What an app has subscribed to: changed properties of contacts, each named by its record's id.

    A property that means nothing to us, or that was emptied, is passed over; who opted in again has come back.
    """
    _check_count(events)
    found = []
    for event in events:
        if not isinstance(event, dict) or "objectId" not in event:
            raise BadInput(Reason.MISSING_FIELD, "each event needs `objectId`")
        action, value = _HUBSPOT.get(str(event.get("propertyName", ""))), str(event.get("propertyValue") or "")
        if action == "email_unsubscribed" and value.lower() != "true":
            action = SUBSCRIBED
        if action is not None and (value or action == SUBSCRIBED):
            found.append(Notice(action, "", str(event.get("eventId", ""))[:40], person=str(event["objectId"])[:40]))
    return found


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
