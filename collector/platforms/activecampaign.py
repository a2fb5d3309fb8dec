"""ActiveCampaign's webhooks: a form, unsigned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from collector.notices import MAX_WORDS, SUBSCRIBED, Notice, Told, read_form
from collector.platforms.base import Platform

_ACTIONS: Final = {
    "sent": "email_delivered",
    "open": "email_opened",
    "click": "email_clicked",
    "bounce": "email_bounced",
    "unsubscribe": "email_unsubscribed",
    "subscribe": SUBSCRIBED,
}


def notices(told: Told) -> list[Notice] | None:
    """What its form says; None: the body is JSON, and so in our words."""
    return None if told.is_json else _of_form(read_form(told.body))


def _of_form(form: Mapping[str, str]) -> list[Notice]:
    """ActiveCampaign's form: ``type``, ``date_time``, ``contact[email]``, ``campaign[name]``, ``link[url]``."""
    action = _ACTIONS.get(form.get("type", ""))
    if action is None:
        return []
    names = {"campaign": "campaign[name]", "url": "link[url]"}
    kept = {name: form[key][:MAX_WORDS] for name, key in names.items() if key in form}
    return [Notice(action, form.get("contact[email]", ""), form.get("date_time", ""), "", kept)]


PLATFORM = Platform(notices)
