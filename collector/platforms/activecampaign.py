"""ActiveCampaign's webhooks: a form, unsigned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from collector.notices import ADDRESS_CHANGED, SUBSCRIBED, Notice, Told, instant_ms, read_form, words
from collector.platforms.base import Platform

_ACTIONS: Final = {
    "sent": "email_delivered",
    "open": "email_opened",
    "click": "email_clicked",
    "bounce": "email_bounced",
    "unsubscribe": "email_unsubscribed",
    "subscribe": SUBSCRIBED,
    "update": ADDRESS_CHANGED,
}
BY_THEMSELVES: Final = frozenset({"public"})
"""Who has put a person into a list, where it was the person; an administrator, the API and automations are none."""
_BY_CALLS: Final = "api"


def notices(told: Told) -> list[Notice] | None:
    """What its form says; None: the body is JSON, and so in our words."""
    if told.is_json:
        return None
    form = read_form(told.body)
    return [] if told.moves_unsubscribe and _is_by_a_call(form) else _of_form(form)


def _is_by_a_call(form: Mapping[str, str]) -> bool:
    """Whether it is an unsubscription by the API, as Segma's own moves are: whose it was, the next look at it shows."""
    initiated = {form.get("initiated_by", ""), form.get("initiated_from", "")}
    return form.get("type") == "unsubscribe" and _BY_CALLS in initiated and not initiated & BY_THEMSELVES


def _of_form(form: Mapping[str, str]) -> list[Notice]:
    """ActiveCampaign's form: ``type``, ``date_time``, ``contact[email]``, ``campaign[name]``, ``link[url]``, ``list``.

    Who left one list is in none, until they join that one again by themselves (``initiated_by``).
    """
    action = _ACTIONS.get(form.get("type", ""))
    if action is None:
        return []
    address, at, person = form.get("contact[email]", ""), form.get("date_time", ""), form.get("contact[id]", "")[:40]
    if action == ADDRESS_CHANGED:
        return [Notice(action, "", at, person=person, new_address=address)] if person else []
    if action == SUBSCRIBED and (form.get("initiated_by") or form.get("initiated_from", "")) not in BY_THEMSELVES:
        return []
    names = {"campaign": "campaign[name]", "url": "link[url]"}
    kept = {name: words(form[key]) for name, key in names.items() if key in form}
    return [Notice(action, address, at, "", kept, at_ms=instant_ms(at), list_id=form.get("list", "")[:40])]


PLATFORM = Platform(notices)
