"""Mailchimp's webhooks: a form, unsigned."""

from __future__ import annotations

from collections.abc import Mapping

from collector.notices import ADDRESS_CHANGED, SUBSCRIBED, Notice, Told, instant_ms, read_form, words
from collector.platforms.base import Platform


def notices(told: Told) -> list[Notice] | None:
    """What its form says; None: the body is JSON, and so in our words."""
    return None if told.is_json else _of_form(read_form(told.body), by_themselves=told.is_of_the_people)


def _of_form(form: Mapping[str, str], *, by_themselves: bool) -> list[Notice]:
    """Mailchimp's form: ``type``, ``fired_at``, ``data[email]``, ``data[reason]``, ``data[campaign_id]``.

    Who marked a mail as spam is told as ``unsubscribe`` or as ``cleaned``, with the reason ``abuse``. A ``subscribe``
    does not say by whom: it is the person's where the address says so, of a webhook whose one source is the subscriber.
    """
    kind, address, at = form.get("type", ""), form.get("data[email]", ""), form.get("fired_at", "")
    reason, at_ms = form.get("data[reason]", "").strip().lower(), instant_ms(at)
    campaign = {"campaign": words(form["data[campaign_id]"])} if "data[campaign_id]" in form else {}
    if kind in {"unsubscribe", "cleaned"} and reason == "abuse":
        return [Notice("email_complained", address, at, "", campaign, at_ms=at_ms)]
    if kind == "unsubscribe":
        return [Notice("email_unsubscribed", address, at, "", campaign, at_ms=at_ms)]
    if kind == "cleaned":
        kept = {**campaign, "kind": words(reason or "hard")[:40]}
        return [Notice("email_bounced", address, at, "", kept, at_ms=at_ms)]
    if kind == "upemail":
        return [
            Notice(ADDRESS_CHANGED, form.get("data[old_email]", ""), at, new_address=form.get("data[new_email]", ""))
        ]
    return [Notice(SUBSCRIBED, address, at, at_ms=at_ms)] if kind == "subscribe" and by_themselves else []


PLATFORM = Platform(notices)
