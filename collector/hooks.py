"""Webhooks of the email platforms: what became of mails, and who left, as events of the server (DESIGN 5).

``POST /v1/hooks/{workspace}/{account}`` where the platform signs (:mod:`collector.platforms`), or ``…/{secret}``
where it signs nothing: the path is then the secret, compared in constant time. What a platform repeats has the same
event id, so it counts once; what is signed and old is refused. Whoever left is vetoed at once: the veto is stored
together with the event. An address becomes an id here and is not kept.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import falcon
import falcon.asgi

from collector.bodies import media_fault, sent_body, text_of
from collector.core import Core
from collector.notices import ADDRESS_CHANGED, SUBSCRIBED, Notice, Told, without_address
from collector.pipeline import Arrival
from collector.platform_ids import Known
from collector.platforms.registry import check_signed, holds_public_key, notices_of
from collector.signatures import Call, same
from contracts.accounts import Fact, Veto
from contracts.beacons import BeaconRecord, ServerBeacon, Source
from contracts.codec import Raw, replaced, to_json, to_msgpack
from contracts.errors import BadInput, ConfigError, Problem, SpoolFull
from contracts.installation import Installation
from contracts.log import Outgoing
from contracts.masking import masked
from contracts.membership import PERSON
from contracts.membership_reports import MembershipReport
from contracts.reasons import Reason
from contracts.rows import DirectoryEntry
from contracts.tokens import is_address, normalised_address, subscriber_id
from contracts.topics import BEACONS, SUBSCRIBERS, VETOES, fact_key, subscriber_key
from transport.config import read_secret

MIN_HOOK_SECRET: Final = 24
"""Characters: a part of a path that nobody guesses, and what Standard Webhooks ask of a key."""
MAX_HOOK_BYTES: Final = 4 * 1_048_576
"""A thousand of Klaviyo's events; what a page sends is held to a quarter of it."""
LEAVING: Final = frozenset({"email_unsubscribed", "email_complained"})


class Hook(NamedTuple):
    """One account's door: the kind of its sink says how the platform speaks."""

    sink: str
    secret: str
    domain: str = ""
    """Of the account's lists, where a list's name is a part of an address."""
    moves_unsubscribe: bool = False
    """Whether taking somebody out of a list is an unsubscription there."""


Hooks = Mapping[tuple[str, str], Hook]
"""(workspace, account) → its door."""


class HookDoor:
    """The resource."""

    def __init__(self, core: Core, hooks: Hooks, known: Known) -> None:
        self._core, self._hooks, self._known = core, hooks, known
        self._stored = core.meters.stored.labels("webhook")

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, workspace: str, account: str, secret: str = ""
    ) -> None:
        """Some platforms look whether anybody is there before they send (Mailchimp)."""
        known = self._hooks.get((workspace, account))
        resp.status = 200 if known is not None and _opens(known, secret) else 404

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, workspace: str, account: str, secret: str = ""
    ) -> None:
        """Store what is told: 204 when it is safe."""
        arrival = Arrival(b"", self._core.outside.now_ms())
        try:
            arrival.body = await sent_body(req, MAX_HOOK_BYTES)
            hook = self._let_in(req, arrival, workspace, account, secret)
            arrival.body = text_of(arrival.body, req.get_header("Content-Encoding") or "", MAX_HOOK_BYTES)
            told = Told(arrival.body, req.get_param("action") or "", hook.moves_unsubscribe)
            notices = [without_address(each, hook.domain) for each in notices_of(hook.sink, told)]
            named, moved = await self._named(notices, workspace, account)
            records = [*records_of(named, workspace, account, now_ms=arrival.received_at_ms), *moved]
            if records:
                await self._core.intake.store(records)
            if len(named) < len(notices):
                # NOTE: the others are safe; the call is refused all the same, so that somebody hears of it.
                raise BadInput(Reason.MISSING_FIELD, f"{len(notices) - len(named)} of {len(notices)} name nobody known")
        except BadInput as error:
            await self._core.refuse(resp, arrival, media_fault(error, req.content_type or ""), keep=False)
            return
        except SpoolFull:
            await self._core.refuse(resp, arrival, BadInput(Reason.SPOOL_FULL), keep=False)
            return
        self._stored.inc()
        resp.status = 204

    def _who(self, notice: Notice, workspace: str, account: str, owners: Mapping[str, str]) -> str:
        """The subscriber whom a notice is about: by the address, else by the platform's own id; empty: nobody known.

        ``owners``: whose the ids of addresses are by now that the call itself tells of.
        """
        if is_address(notice.address):
            found = subscriber_id(self._core.sites.secrets[workspace], notice.address)
            if found in owners:
                return owners[found]
        else:
            found = self._known.find(workspace, account, notice.person) if notice.person else ""
        return self._known.current(workspace, found)

    async def _named(
        self, notices: Sequence[Notice], workspace: str, account: str
    ) -> tuple[list[tuple[Notice, str]], list[Outgoing]]:
        """The notices that name somebody, each with whom; and the directory's entries of those whose address changed.

        They are the same people, with their new ones; what the call tells of the new one behind the change is theirs.
        """
        named: list[tuple[Notice, str]] = []
        moved: dict[str, DirectoryEntry] = {}
        owners: dict[str, str] = {}
        for notice in notices:
            subscriber = self._who(notice, workspace, account, owners)
            if subscriber:
                named.append((notice, subscriber))
            if subscriber and notice.action == ADDRESS_CHANGED and is_address(notice.new_address):
                made = subscriber_id(self._core.sites.secrets[workspace], notice.new_address)
                entry = await self._entry_moved(notice, workspace, subscriber, owners.get(made, made), moved)
                if entry is not None:
                    moved[subscriber], owners[made] = entry, subscriber
        written = [
            Outgoing(SUBSCRIBERS, subscriber_key(workspace, each.subscriber), to_json(each)) for each in moved.values()
        ]
        return named, written

    async def _entry_moved(
        self, notice: Notice, workspace: str, subscriber: str, made: str, moved: Mapping[str, DirectoryEntry]
    ) -> DirectoryEntry | None:
        """Somebody's entry with the new address, of which the id ``made`` is made; None where it cannot be theirs."""
        read = asyncio.get_running_loop().run_in_executor
        entry = moved.get(subscriber) or await read(None, self._known.entry, workspace, subscriber)
        other = self._known.current(workspace, made)
        # NOTE: two known people are never merged: whoever is there under the new address stays who they are.
        taken = other != subscriber and await read(None, self._known.entry, workspace, other) is not None
        if entry is None or taken:
            return None
        before = subscriber_id(self._core.sites.secrets[workspace], entry.address)
        former = dict.fromkeys((*entry.former, before)) if before != subscriber else entry.former
        return replaced(entry, address=normalised_address(notice.new_address), former=tuple(former))

    def _let_in(self, req: falcon.asgi.Request, arrival: Arrival, workspace: str, account: str, secret: str) -> Hook:
        hook = self._hooks.get((workspace, account))
        if hook is None:
            raise BadInput(Reason.UNKNOWN_HOOK)
        if secret:
            # NOTE: the same answer as for an account that is not there: a guess learns nothing.
            if not _opens(hook, secret):
                raise BadInput(Reason.UNKNOWN_HOOK)
            return hook
        headers = {name.lower(): value for name, value in req.headers.items()}
        call = Call(req.method, _addresses(req), headers, arrival.body)
        check_signed(call, hook.secret, now_s=arrival.received_at_ms // 1_000, sink=hook.sink)
        return hook


def _opens(hook: Hook, secret: str) -> bool:
    """Whether a part of the path is the account's secret; a public key is none."""
    return same(secret, hook.secret) and not holds_public_key(hook.sink)


def _addresses(req: falcon.asgi.Request) -> Sequence[str]:
    """What a platform may have called: as we see it, as a proxy says, and over https at that host."""
    behind = f"{req.root_path}{req.relative_uri}"
    hosts = dict.fromkeys((req.netloc, req.forwarded_host, req.host))
    return list(dict.fromkeys([req.uri, req.forwarded_uri, *(f"https://{host}{behind}" for host in hosts)]))


def records_of(notices: Sequence[tuple[Notice, str]], workspace: str, account: str, *, now_ms: int) -> list[Outgoing]:
    """The events as the server's beacons, and the vetoes beside them; of each notice with its subscriber.

    Who left or joined a list that the platform names has left or joined it for the flow, too.
    """
    records = []
    for notice, subscriber in notices:
        if notice.action == ADDRESS_CHANGED:
            continue
        if notice.action in {SUBSCRIBED, *LEAVING}:
            veto = _veto(notice, workspace, account, subscriber, now_ms)
            records.append(Outgoing(VETOES, fact_key(veto), to_json(veto)))
            if notice.list_name:
                report = _report(notice, veto)
                records.append(report.record("webhook", Source.WEBHOOK, now_ms))
        if notice.action == SUBSCRIBED:
            continue
        records.append(_beacon(notice, workspace, account, subscriber, now_ms))
    return records


def _veto(notice: Notice, workspace: str, account: str, subscriber: str, now_ms: int) -> Veto:
    """The leaving or joining that a notice tells, at the platform's time; never later than it was heard of."""
    joined = notice.action == SUBSCRIBED
    return Veto(
        workspace,
        account,
        subscriber,
        notice.list_name,
        now_ms if notice.at_ms is None else min(notice.at_ms, now_ms),
        "" if joined else notice.action,
        fact=Fact.JOINED if joined else Fact.LEFT,
        list_id=notice.list_id,
        timed=notice.at_ms is not None,
    )


def _report(notice: Notice, veto: Veto) -> MembershipReport:
    """The joining or leaving for the flow. What the platform gives no mark of is told anew each time: it is no news."""
    joined, told_as = veto.fact is Fact.JOINED, notice.at or str(veto.at_ms)
    who = (veto.workspace, veto.account, veto.subscriber)
    return MembershipReport(*who, veto.list_name, joined, PERSON, veto.at_ms, told_as)


def _beacon(notice: Notice, workspace: str, account: str, subscriber: str, now_ms: int) -> Outgoing:
    """One event. Its id is made of what the platform says, so a repetition is known."""
    listed = notice.list_name or notice.list_id
    told = ["hook", account, notice.action, subscriber, notice.at, listed, dict(notice.properties)]
    event = {
        "event_id": f"w-{hashlib.sha256(to_json(told)).hexdigest()[:32]}",
        "action": notice.action,
        "occurred_at_ms": now_ms if notice.at_ms is None else min(notice.at_ms, now_ms),
        "properties": {
            **notice.properties,
            "account": account,
            **({"list": listed} if listed else {}),
        },
    }
    body = ServerBeacon("webhook", [Raw(to_json(event))], subscriber)
    record = BeaconRecord(workspace, "", Source.SERVER, now_ms, masked(to_json(body)), subscriber=subscriber)
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
                domain = str(account.options.get("domain", "")).lower()
                unsubscribes = account.options.get("lists_are") == "lists"
                found[workspace, name] = Hook(account.sink, secret, domain, unsubscribes)
    return found
