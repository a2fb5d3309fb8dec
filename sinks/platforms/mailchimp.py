"""Mailchimp: one audience; its lists are the audience's tags (static segments), changed in bulk.

Kept apart here: consent belongs to the audience, and nothing here ever writes a status of somebody who is in it.
People from elsewhere are brought in with ``update_existing: false``, since ``true`` would write the status of whoever
is there; nobody is archived, none deleted for good (that bars them for ever). A 403 without JSON means "too many at
once", a 403 with JSON a wrong key. A 200 lists under ``errors`` those for whom nothing was done.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Halt, Member, NoSuchList, Standing, Traits, Trouble
from sinks.toolkit.http import Http, Reply, refused, safe_words, usual
from sinks.toolkit.list_ids import NamedLists, Names
from sinks.toolkit.list_sink import BatchRefused, Fault, ListGone, ListRefused, ListSink, One, Seen
from sinks.toolkit.options import Around, Options, SafeUrl

CONNECTIONS: Final = 10
"""Of a user, all apps together: the only limit there is, and no header tells how near it is."""
PAGE: Final = 1_000
STANDINGS: Final = {
    "subscribed": Standing.ACTIVE,
    "transactional": Standing.ACTIVE,
    "pending": Standing.PENDING,
    "unsubscribed": Standing.LEFT,
    "archived": Standing.LEFT,
    "cleaned": Standing.UNDELIVERABLE,
}
"""``archived``: a person took them out; nobody else may put them back."""


class MailchimpOptions(Options):
    """``url``: with the data centre of the key's end. ``audience``: its id. ``connections``: this account's share."""

    url: SafeUrl
    key: SecretAt
    audience: str
    connections: int = CONNECTIONS
    status_of_new: Literal["subscribed", "pending", "transactional"] = "subscribed"
    """Of people whom the audience does not have yet. ``pending`` sends them an opt-in mail."""
    token_field: str = "SEGMATOK"  # noqa: S105


def make(options: MailchimpOptions, around: Around) -> ListSink:
    """The sink of an account."""
    basic = base64.b64encode(f"segma:{around.secret(options.key, 'key')}".encode()).decode()
    http = around.http(
        options,
        options.url,
        {"Authorization": f"Basic {basic}"},
        quotas={},
        connections=min(options.connections, CONNECTIONS),
        judge=judge,
    )
    return ListSink(Mailchimp(http, options))


def judge(reply: Reply) -> Trouble | None:
    """The two 403s."""
    if reply.status == 403 and not isinstance(reply.json_or_none(), dict):
        return Trouble(Reason.THROTTLED, Fate.AWAY, "403 without JSON", wait_s=2.0)
    return usual(reply)


def member_hash(address: str) -> str:
    """The id of a member in a path: MD5 of the address in lower case, as the vendor defines it."""
    return hashlib.md5(normalised_address(address).encode(), usedforsecurity=False).hexdigest()


class Mailchimp(NamedLists):
    """The calls."""

    most = 500

    def __init__(self, http: Http, options: MailchimpOptions) -> None:
        super().__init__(http, Names(self._search, self._make_segment))
        self._options = options
        self._base = f"/3.0/lists/{options.audience}"
        # PERF: everybody is looked at by a call of their own, over all connections; the bulk calls between two such
        # rounds use one. A round of 1,000 keeps the ten busy for nine tenths of the time.
        self.traits = Traits(batch=1_000, tags=True, fields=True, token_link=f"*|{options.token_field}|*")
        self._field_is_there = False

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Each member by hash: status, tags and merge fields in one answer. There is no such call for many."""
        return self._http.together(self._look, changes)

    def _look(self, change: Change) -> Seen | Trouble:
        query = {"fields": "email_address,status,tags,merge_fields"}
        reply = self._http.ask("GET", f"{self._base}/members/{member_hash(change.address)}", query=query)
        if reply.status == 404:
            return Seen()
        if not reply.ok:
            return refused(reply)
        member = reply.object()
        names = frozenset(str(each["name"]) for each in member.get("tags") or [])
        fields = {name: value for name, value in (member.get("merge_fields") or {}).items() if isinstance(value, str)}
        standing = STANDINGS.get(str(member.get("status")), Standing.ACTIVE)
        return Seen(str(member["email_address"]), standing, names, tags=names, fields=fields)

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """Into the audience, in bulk; whoever is there already keeps their status."""
        members = [{"email_address": each.address, "status": self._options.status_of_new} for each in changes]
        reply = self._http.ask("POST", self._base, {"members": members, "update_existing": False})
        if not reply.ok:
            raise BatchRefused(_words(reply))
        errors = {
            normalised_address(str(each.get("email_address"))): each for each in reply.object().get("errors") or []
        }
        return [_enrolled(each.address, errors.get(normalised_address(each.address))) for each in changes]

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[Fault]:
        """In bulk by address; strangers to the audience are ignored by the platform, so they were brought in before."""
        return self._change("members_to_add", self._lists.made(list_name), people)

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[Fault]:
        """Out of the segment alone: the audience and the consent stay."""
        return self._change("members_to_remove", self._there(list_name), people)

    def _change(self, verb: str, number: str, people: Sequence[One]) -> Sequence[Fault]:
        body = {verb: [normalised_address(one.change.address) for one in people]}
        reply = self._http.ask("POST", f"{self._base}/segments/{number}", body)
        if reply.status == 404:
            raise ListGone
        if not reply.ok:
            raise BatchRefused(_words(reply))
        failed = {
            normalised_address(str(address)): each
            for each in reply.object().get("errors") or []
            for address in each.get("email_addresses") or []
        }
        return [_ignored(failed.get(normalised_address(one.change.address)), verb) for one in people]

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[Fault]:
        """A tag is a static segment."""
        return self.put(tag, people) if on else self.remove(tag, people)

    def write(self, people: Sequence[One]) -> Sequence[Fault]:
        """A merge field of each; the call names no status, so it changes none."""
        self._make_field()
        return self._http.together(self._write, people)

    def _write(self, one: One) -> Fault:
        body = {"merge_fields": dict(one.change.fields)}
        reply = self._http.ask("PATCH", f"{self._base}/members/{member_hash(one.change.address)}", body)
        return None if reply.ok else refused(reply, str((reply.json_or_none() or {}).get("title", "")))

    def _make_field(self) -> None:
        if self._field_is_there:
            return
        query = {"count": str(PAGE), "fields": "merge_fields.tag"}
        fields = (
            self._answer(self._http.ask("GET", f"{self._base}/merge-fields", query=query)).get("merge_fields") or []
        )
        if self._options.token_field not in {str(each.get("tag")) for each in fields}:
            body = {"name": "Segma", "tag": self._options.token_field, "type": "text", "public": False}
            self._answer(self._http.ask("POST", f"{self._base}/merge-fields", body))
        self._field_is_there = True

    def members(self, list_name: str) -> Iterator[Member]:
        """Of a segment, page by page; the name of the audience itself is ``audience``: everybody in it."""
        path = f"{self._base}/members"
        if list_name != "audience":
            number = self._lists.fresh(list_name) if list_name else ""
            if not number:
                raise NoSuchList(list_name, ["audience", *self._lists.known()])
            path = f"{self._base}/segments/{number}/members"
        offset = 0
        while True:
            query = {"count": str(PAGE), "offset": str(offset), "fields": "members.email_address,members.status"}
            if list_name != "audience":
                query |= {"include_unsubscribed": "true", "include_cleaned": "true"}
            members = self._answer(self._http.ask("GET", path, query=query)).get("members") or []
            for each in members:
                yield Member(str(each["email_address"]), "", STANDINGS.get(str(each.get("status")), Standing.ACTIVE))
            if len(members) < PAGE:
                return
            offset += PAGE

    def _search(self, name: str) -> Mapping[str, str]:
        query = {"name": name} if name else {}
        tags = self._answer(self._http.ask("GET", f"{self._base}/tag-search", query=query)).get("tags") or []
        return {str(each["name"]): str(each["id"]) for each in tags}

    def _make_segment(self, name: str) -> str:
        reply = self._http.ask("POST", f"{self._base}/segments", {"name": name, "static_segment": []})
        if not reply.ok:
            raise ListRefused(_words(reply))
        return str(reply.object()["id"])

    @staticmethod
    def _answer(reply: Reply) -> dict[str, Any]:
        """A 404 here is the audience's: the account is set up wrongly, or it was deleted."""
        if reply.status == 404:
            raise Halt(Trouble(Reason.REFUSED_BY_PLATFORM, Fate.FATAL, "404, the audience is not there"))
        if not reply.ok:
            raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, f"{reply.status}"))
        return reply.object()


def _words(reply: Reply) -> str:
    value = reply.json_or_none()
    return safe_words(f"{reply.status} {value.get('title', '') if isinstance(value, dict) else ''}")


def _enrolled(address: str, error: Mapping[str, Any] | None) -> str | Trouble:
    """What became of one of those brought in."""
    if error is None:
        return address
    code, words = str(error.get("error_code", "")), str(error.get("error", "")).lower()
    if code == "ERROR_CONTACT_EXISTS" or "already a list member" in words:
        return Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, "is there meanwhile")
    if "compliance" in words or "unsubscribe" in words:
        return Trouble(Reason.UNSUBSCRIBED, Fate.LASTING, "compliance state")
    return Trouble(Reason.REFUSED_BY_PLATFORM, Fate.LASTING, safe_words(code or "not taken"))


def _ignored(error: Mapping[str, Any] | None, verb: str) -> Fault:
    """A stranger: gone from the audience since looked up. For a removal that is as wanted."""
    if error is None or verb == "members_to_remove":
        return None
    return Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, "not in the audience")
