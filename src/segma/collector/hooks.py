"""Webhooks of the email platforms: what became of mails, and who left, as events of the server (DESIGN 5).

``POST /v1/hooks/{workspace}/{account}`` signed as Standard Webhooks say, or ``…/{secret}`` where the platform signs
nothing: the path is then the secret, compared in constant time. What a platform repeats has the same event id, so it
counts once; what is signed and older than :data:`TOLERANCE_S` is refused. Whoever left is vetoed at once: the veto is
stored together with the event. An address becomes an id here and is not kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs

import falcon
import falcon.asgi
from standardwebhooks import Webhook

from segma.collector.core import Core
from segma.collector.pipeline import MAX_BODY_BYTES, Arrival
from segma.contracts.accounts import Veto
from segma.contracts.beacons import BeaconRecord, ServerBeacon, Source
from segma.contracts.codec import MAX_DEPTH, Raw, depth_exceeds, json_reader, to_json, to_msgpack
from segma.contracts.errors import BadInput, BadRecord, ConfigError, Problem, SpoolFull
from segma.contracts.installation import Installation
from segma.contracts.log import Outgoing
from segma.contracts.reasons import Reason
from segma.contracts.tokens import normalised_address, subscriber_id
from segma.contracts.topics import BEACONS, VETOES, veto_key
from segma.transport.config import read_secret

TOLERANCE_S: Final = 300
"""Of a signed webhook's time, both ways, as Standard Webhooks advise."""
MIN_HOOK_SECRET: Final = 24
"""Characters: a part of a path that nobody guesses, and what Standard Webhooks ask of a key."""
MOST: Final = 500
"""Notices of one call: platforms send far fewer."""
ACTIONS: Final = (
    "email_delivered",
    "email_opened",
    "email_clicked",
    "email_bounced",
    "email_complained",
    "email_unsubscribed",
)
LEAVING: Final = frozenset({"email_unsubscribed", "email_complained"})
SUBSCRIBED: Final = "subscribed"
"""Not an event: the person came back by themselves, and the veto is lifted."""

_read: Final[Callable[[bytes], Any]] = json_reader(Any)


class Hook(NamedTuple):
    """One account's door: the kind of its sink says how the platform speaks."""

    sink: str
    secret: str


Hooks = Mapping[tuple[str, str], Hook]
"""(workspace, account) → its door."""


class Notice(NamedTuple):
    """One thing that a platform tells. ``at`` is whatever it says of the time: it makes the event's id."""

    action: str
    address: str
    at: str
    list_name: str = ""
    properties: Mapping[str, Any] = {}


class HookDoor:
    """The resource."""

    def __init__(self, core: Core, hooks: Hooks) -> None:
        self._core, self._hooks = core, hooks
        self._stored = core.meters.stored.labels("webhook")

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, workspace: str, account: str, secret: str = ""
    ) -> None:
        """Some platforms look whether anybody is there before they send (Mailchimp)."""
        known = self._hooks.get((workspace, account))
        resp.status = 200 if known is not None and _same(secret, known.secret) else 404

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, workspace: str, account: str, secret: str = ""
    ) -> None:
        """Store what is told: 204 when it is safe."""
        arrival = Arrival(b"", self._core.outside.now_ms())
        try:
            if (req.content_length or 0) > MAX_BODY_BYTES:
                raise BadInput(Reason.TOO_LARGE, f"{req.content_length} bytes")
            arrival.body = await req.stream.read(MAX_BODY_BYTES + 1)
            hook = self._let_in(req, arrival, workspace, account, secret)
            records = records_of(
                notices_of(hook.sink, arrival.body, req.content_type or ""),
                workspace,
                account,
                secret=self._core.sites.secrets[workspace],
                now_ms=arrival.received_at_ms,
            )
            if records:
                await self._core.intake.store(records)
        except BadInput as error:
            await self._core.refuse(resp, arrival, error, keep=False)
            return
        except SpoolFull:
            await self._core.refuse(resp, arrival, BadInput(Reason.SPOOL_FULL), keep=False)
            return
        self._stored.inc()
        resp.status = 204

    def _let_in(self, req: falcon.asgi.Request, arrival: Arrival, workspace: str, account: str, secret: str) -> Hook:
        if len(arrival.body) > MAX_BODY_BYTES:
            raise BadInput(Reason.TOO_LARGE)
        hook = self._hooks.get((workspace, account))
        if hook is None:
            raise BadInput(Reason.UNKNOWN_HOOK)
        if secret:
            # NOTE: the same answer as for an account that is not there: a guess learns nothing.
            if not _same(secret, hook.secret):
                raise BadInput(Reason.UNKNOWN_HOOK)
            return hook
        signature = req.get_header("webhook-signature") or ""
        message, sent_at = req.get_header("webhook-id") or "", req.get_header("webhook-timestamp") or ""
        check_signature(hook.secret, message, sent_at, signature, arrival.body, now_s=arrival.received_at_ms // 1_000)
        return hook


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def check_signature(secret: str, message: str, sent_at: str, signature: str, body: bytes, *, now_s: int) -> None:
    """Raise :class:`BadInput` (``bad_signature``, ``replayed``) where a webhook is not signed with this secret, now."""
    if not re.fullmatch(r"[0-9]{1,12}", sent_at) or not message or not signature:
        raise BadInput(Reason.BAD_SIGNATURE)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput(Reason.NOT_UTF8) from None
    expected = Webhook(secret.encode()).sign(message, datetime.fromtimestamp(int(sent_at), UTC), text)
    if not any(_same(each, expected) for each in signature.split(" ")):
        raise BadInput(Reason.BAD_SIGNATURE)
    if abs(now_s - int(sent_at)) > TOLERANCE_S:
        raise BadInput(Reason.REPLAYED)


def notices_of(sink: str, body: bytes, media: str) -> list[Notice]:
    """What a body tells, in the platform's own words or in ours. Raises :class:`BadInput`."""
    if sink in FORMS and "json" not in media:
        try:
            form = {name: values[-1] for name, values in parse_qs(body.decode("utf-8"), max_num_fields=500).items()}
        except ValueError:
            raise BadInput(Reason.WRONG_TYPE, "no form") from None
        return FORMS[sink](form)
    return _ours(body)


def _ours(body: bytes) -> list[Notice]:
    """``{"action", "address", "at", "list", "campaign", …}`` or a list of such: where one writes the body oneself."""
    if depth_exceeds(body, MAX_DEPTH):
        raise BadInput(Reason.TOO_DEEP)
    try:
        told = _read(body)
    except BadRecord:
        raise BadInput(Reason.NOT_JSON) from None
    found = told if isinstance(told, list) else [told]
    if len(found) > MOST:
        raise BadInput(Reason.TOO_MANY_EVENTS, f"{len(found)} notices, {MOST} at most")
    return [_one_of_ours(each) for each in found]


def _one_of_ours(each: object) -> Notice:
    if not isinstance(each, dict) or not isinstance(each.get("address"), str):
        raise BadInput(Reason.MISSING_FIELD, "each notice needs `action` and `address`")
    action = each.get("action")
    if action not in {*ACTIONS, SUBSCRIBED}:
        raise BadInput(Reason.UNKNOWN_ACTION, "one of the email actions")
    kept = {name: str(each[name])[:200] for name in ("campaign", "kind", "url") if name in each}
    return Notice(action, each["address"], str(each.get("at", ""))[:40], str(each.get("list", ""))[:200], kept)


def _mailchimp(form: Mapping[str, str]) -> list[Notice]:
    """Mailchimp's form: ``type``, ``fired_at``, ``data[email]``, ``data[reason]``, ``data[campaign_id]``."""
    kind, address, at = form.get("type", ""), form.get("data[email]", ""), form.get("fired_at", "")
    campaign = {"campaign": form["data[campaign_id]"][:200]} if "data[campaign_id]" in form else {}
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
    kept = {name: form[key][:200] for name, key in names.items() if key in form}
    return [Notice(action, form.get("contact[email]", ""), form.get("date_time", ""), "", kept)]


FORMS: Final[Mapping[str, Callable[[Mapping[str, str]], list[Notice]]]] = {
    "mailchimp": _mailchimp,
    "activecampaign": _activecampaign,
}


def records_of(notices: list[Notice], workspace: str, account: str, *, secret: bytes, now_ms: int) -> list[Outgoing]:
    """The events as the server's beacons, and the vetoes beside them. Raises :class:`BadInput`."""
    records = []
    for notice in notices:
        if "@" not in notice.address or len(notice.address) > 320:
            raise BadInput(Reason.MISSING_FIELD, "no address")
        subscriber = subscriber_id(secret, normalised_address(notice.address))
        key = veto_key(workspace, account, subscriber, notice.list_name)
        if notice.action == SUBSCRIBED:
            records.append(Outgoing(VETOES, key, None))
            continue
        if notice.action in LEAVING:
            veto = Veto(workspace, account, subscriber, notice.list_name, now_ms, notice.action)
            records.append(Outgoing(VETOES, key, to_json(veto)))
        records.append(_beacon(notice, workspace, account, subscriber, now_ms))
    return records


def _beacon(notice: Notice, workspace: str, account: str, subscriber: str, now_ms: int) -> Outgoing:
    """One event. Its id is made of what the platform says, so a repetition is known."""
    told = ["hook", account, notice.action, subscriber, notice.at, notice.list_name, dict(notice.properties)]
    event = {
        "event_id": f"w-{hashlib.sha256(to_json(told)).hexdigest()[:32]}",
        "action": notice.action,
        "occurred_at_ms": now_ms,
        "properties": {
            **notice.properties,
            "account": account,
            **({"list": notice.list_name} if notice.list_name else {}),
        },
    }
    body = ServerBeacon("webhook", [Raw(to_json(event))], subscriber)
    record = BeaconRecord(workspace, "", Source.SERVER, now_ms, to_json(body), subscriber=subscriber)
    return Outgoing(BEACONS, f"{workspace}/{subscriber}".encode(), to_msgpack(record))


def load_hooks(installation: Installation, *, beside: Path) -> Hooks:
    """The accounts that take webhooks, with their secrets. Raises :class:`ConfigError`."""
    found = {}
    for workspace, each in installation.workspaces.items():
        for name, account in each.accounts.items():
            if account.hook is not None:
                field = f"workspaces.{workspace}.accounts.{name}.hook"
                secret = read_secret(account.hook, beside=beside, field=field).decode("utf-8", "replace")
                if len(secret) < MIN_HOOK_SECRET:
                    wanted = f"{MIN_HOOK_SECRET} characters or more"
                    raise ConfigError([Problem(str(beside), field, "the secret is too short to be one", wanted)])
                found[workspace, name] = Hook(account.sink, secret)
    return found
