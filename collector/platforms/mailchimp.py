"""Mailchimp's webhooks: a form, unsigned."""

from __future__ import annotations

from collections.abc import Mapping

from collector.notices import MAX_WORDS, SUBSCRIBED, Notice, Told, read_form
from collector.platforms.base import Platform


def notices(told: Told) -> list[Notice] | None:
    """What its form says; None: the body is JSON, and so in our words."""
    return None if told.is_json else _of_form(read_form(told.body))


def _of_form(form: Mapping[str, str]) -> list[Notice]:
    """Mailchimp's form: ``type``, ``fired_at``, ``data[email]``, ``data[reason]``, ``data[campaign_id]``."""
    kind, address, at = form.get("type", ""), form.get("data[email]", ""), form.get("fired_at", "")
    campaign = {"campaign": form["data[campaign_id]"][:MAX_WORDS]} if "data[campaign_id]" in form else {}
    if kind == "unsubscribe":
        complained = form.get("data[reason]") == "abuse"
        return [Notice("email_complained" if complained else "email_unsubscribed", address, at, "", campaign)]
    if kind == "cleaned":
        return [Notice("email_bounced", address, at, "", {**campaign, "kind": form.get("data[reason]", "hard")[:40]})]
    return [Notice(SUBSCRIBED, address, at)] if kind == "subscribe" else []


PLATFORM = Platform(notices)
