"""Mailchimp: one audience; its lists are the audience's tags (static segments), changed in bulk.

Kept apart here: consent belongs to the audience, and nothing here ever writes a status of somebody who is in it.
People from elsewhere are brought in with ``update_existing: false``, since ``true`` would write the status of whoever
is there; nobody is archived, none deleted for good (that bars them for ever). A 403 without JSON means "too many at
once", a 403 with JSON a wrong key. A 200 lists under ``errors`` those for whom nothing was done.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Halt, Member, NoSuchList, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import one_of, pages, rows, table, text, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import Http, Reply, refused, safe_words, usual
from sinks.toolkit.list_ids import NamedLists, Names
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import BatchRefused, ListGone, ListRefused, One, PersonFault

CONNECTIONS: Final = 10
"""Of a user, all apps together: the only limit there is, and no header tells how near it is."""
PAGE: Final = 1_000
WITHOUT_FIELDS: Final = {"skip_merge_validation": "true"}
"""A field that the audience requires is no reason to leave somebody out: it is asked for in forms."""
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
    """``url``: with the data centre of the key's end. ``audience``: its id. ``connections``: this account's share.

    Whether strangers are brought in as subscribed or asked to confirm (``pending``) says the account's ``strangers``.
    """

    url: SafeUrl
    key: SecretAt
    audience: str
    connections: int = CONNECTIONS
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
    return ListSink(Mailchimp(http, options), strangers=around.strangers, known=around.known)


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

    overwrites = False
    numbers = False
    most = 500
    knows_opt_in = True

    def __init__(self, http: Http, options: MailchimpOptions) -> None:
        super().__init__(http, Names(self._search, self._make_segment))
        self._options = options
        self._base = f"/3.0/lists/{options.audience}"
        # PERF: everybody is looked at by a call of their own, over all connections; the bulk calls between two such
        # rounds use one. A round of 1,000 keeps the ten busy for nine tenths of the time.
        self.traits = Traits(
            batch=1_000,
            tells_removals=True,
            lists_are_tags=True,
            tags=True,
            fields=True,
            token_link=f"*|{options.token_field}|*",
        )
        self._field_is_there = False

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Each member by hash: status, tags and merge fields in one answer. There is no such call for many."""
        return self._http.apart(self._look, changes)

    def _look(self, change: Change) -> Seen | Trouble:
        query = {"fields": "email_address,status,unsubscribe_reason,tags,merge_fields"}
        reply = self._http.ask("GET", f"{self._base}/members/{member_hash(change.address)}", query=query)
        if reply.is_missing("title"):
            return Seen()
        if not reply.ok:
            return refused(reply)
        member = reply.object()
        names = frozenset(text(each, "name") for each in rows(member, "tags"))
        fields = {name: value for name, value in table(member, "merge_fields").items() if isinstance(value, str)}
        standing = one_of(member, "status", STANDINGS)
        return Seen(text(member, "email_address"), standing, names, tags=names, fields=fields, because=_because(member))

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """Put people into the audience, in bulk; those who are in it already keep their status."""
        return self._bring_in([each.address for each in changes], "subscribed")

    def _bring_in(self, addresses: Sequence[str], status: str) -> list[str | Trouble]:
        members = [{"email_address": each, "status": status} for each in addresses]
        body = {"members": members, "update_existing": False}
        reply = self._http.ask("POST", self._base, body, query=WITHOUT_FIELDS)
        if not reply.ok:
            raise BatchRefused(_words(reply))
        told = reply.object()
        errors = {normalised_address(text(each, "email_address")): each for each in rows(told, "errors")}
        made = {
            normalised_address(text(each, "email_address"))
            for name in ("new_members", "updated_members")
            for each in rows(told, name)
        }
        return [
            _enrolled(each, errors.get(normalised_address(each)), normalised_address(each) in made)
            for each in addresses
        ]

    def asks(self, list_name: str, *, known: bool) -> bool:
        """A stranger may be asked by the audience; who is in it has been."""
        return not known

    def invite(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Brought in as ``pending``: Mailchimp asks them."""
        found = self._bring_in([one.change.address for one in people], "pending")
        return [each if isinstance(each, Trouble) else None for each in found]

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """In bulk by address; strangers to the audience are ignored by the platform, so they were brought in before."""
        return self._change("members_to_add", self._lists.made(list_name), people)

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Out of the segment alone: the audience and the consent stay."""
        return self._change("members_to_remove", self._there(list_name), people)

    def _change(self, verb: str, number: str, people: Sequence[One]) -> Sequence[PersonFault]:
        body = {verb: [normalised_address(one.change.address) for one in people]}
        reply = self._http.ask("POST", f"{self._base}/segments/{number}", body)
        if reply.is_missing("title"):
            raise ListGone
        if not reply.ok:
            raise BatchRefused(_words(reply))
        failed = {
            normalised_address(str(address)): each
            for each in rows(reply.object(), "errors")
            for address in each["email_addresses"]
        }
        return [_ignored(failed.get(normalised_address(one.change.address)), verb) for one in people]

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """A tag is a static segment."""
        return self.put(tag, people) if on else self.remove(tag, people)

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """A merge field of each; the call names no status, so it changes none."""
        self._make_field()
        return self._http.apart(self._write, people)

    def _write(self, one: One) -> PersonFault:
        body = {"merge_fields": dict(one.change.fields)}
        path = f"{self._base}/members/{member_hash(one.change.address)}"
        reply = self._http.ask("PATCH", path, body, query=WITHOUT_FIELDS)
        return None if reply.ok and text(reply.object(), "email_address") else _refused(reply)

    def _make_field(self) -> None:
        if self._field_is_there:
            return
        query = {"count": str(PAGE), "fields": "merge_fields.tag"}
        fields = rows(self._answer(self._http.ask("GET", f"{self._base}/merge-fields", query=query)), "merge_fields")
        if self._options.token_field not in {text(each, "tag") for each in fields}:
            body = {"name": "Segma", "tag": self._options.token_field, "type": "text", "public": False}
            self._answer(self._http.ask("POST", f"{self._base}/merge-fields", body))
        self._field_is_there = True

    def members(self, list_name: str) -> Iterator[Member]:
        """Yield the members of a segment, page by page; ``audience`` names the whole audience."""
        path = f"{self._base}/members"
        if list_name != "audience":
            number = self._lists.fresh(list_name) if list_name else ""
            if not number:
                raise NoSuchList(list_name, ["audience", *self._lists.known()])
            path = f"{self._base}/segments/{number}/members"

        def read(page: int) -> Sequence[Mapping[str, Any]]:
            fields = "members.email_address,members.status"
            query = {"count": str(PAGE), "offset": str(page * PAGE), "fields": fields}
            if list_name != "audience":
                query |= {"include_unsubscribed": "true", "include_cleaned": "true"}
            return rows(self._answer(self._http.ask("GET", path, query=query)), "members")

        for each in pages(read, PAGE):
            address = text(each, "email_address")
            yield Member(address, "", one_of(each, "status", STANDINGS), member_hash(address))

    def rights(self) -> Iterator[Right]:
        """A key may do what its user may: reading is tried, and writing by a call that is refused as it stands."""
        audience = self._answer(self._http.ask("GET", self._base))
        yield Right("reading the audience", True)
        reply = self._http.ask(
            "POST", f"{self._base}/segments", {"name": "", "static_segment": []}, hear=frozenset({403})
        )
        yield Right("changing the audience", reply.status != 403, "a user of the role Manager or more")
        if audience.get("double_optin") is True:
            yield Right("opt-in mails", None, "the audience asks: with `strangers: opt_in` each stranger gets one mail")
        yield Right("automations", None, "a flow whose trigger is the tag starts; the interface names none of them")

    def _search(self, name: str) -> Iterable[tuple[str, str]]:
        query = {"name": name} if name else {}
        tags = rows(self._answer(self._http.ask("GET", f"{self._base}/tag-search", query=query)), "tags")
        return [(text(each, "name"), text(each, "id")) for each in tags]

    def _make_segment(self, name: str) -> str:
        reply = self._http.ask("POST", f"{self._base}/segments", {"name": name, "static_segment": []})
        if not reply.ok:
            raise ListRefused(_words(reply))
        return text(reply.object(), "id")

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


def _enrolled(address: str, error: Mapping[str, Any] | None, made: bool) -> str | Trouble:
    """Return one person's result of a bulk call; one whom the answer does not name is not taken for done."""
    if error is None:
        return address if made else Trouble(Reason.WRONG_ANSWER, Fate.PASSING, "neither made nor refused")
    code, said = str(error.get("error_code", "")), str(error.get("error", "")).lower()
    if code == "ERROR_CONTACT_EXISTS" or "already a list member" in said:
        return Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, "is there meanwhile")
    return Trouble(_cause(said), Fate.LASTING, safe_words(code or "not taken"))


def _refused(reply: Reply) -> Trouble:
    """A refusal of one person's call, with the cause that its title or detail names."""
    value = reply.json_or_none()
    said = (
        " ".join(str(value.get(name, "")) for name in ("title", "detail", "errors")) if isinstance(value, dict) else ""
    )
    trouble = refused(reply, said)
    return trouble._replace(reason=_cause(said.lower())) if trouble.fate is Fate.LASTING else trouble


CAUSES: Final = (
    ("compliance", Reason.COMPLIANCE),
    ("unsubscribe", Reason.COMPLIANCE),
    ("forgotten", Reason.FORGOTTEN),
    ("permanently deleted", Reason.FORGOTTEN),
    ("archived", Reason.ARCHIVED),
    ("marketing permission", Reason.REQUIRED_FIELD),
    ("gdpr", Reason.REQUIRED_FIELD),
    ("merge field", Reason.REQUIRED_FIELD),
    ("required", Reason.REQUIRED_FIELD),
    ("please enter a value", Reason.REQUIRED_FIELD),
)
"""Words of a refusal → what of the audience's settings it rests on."""


def _cause(said: str) -> Reason:
    return next((reason for part, reason in CAUSES if part in said), Reason.REFUSED_BY_PLATFORM)


def _because(member: Mapping[str, Any]) -> Reason:
    """Return why a person has left the audience: archived, complained, or by their own word."""
    if member.get("status") == "archived":
        return Reason.ARCHIVED
    said = words(member, "unsubscribe_reason").lower()
    return Reason.COMPLAINED if "spam" in said or "abuse" in said else Reason.UNSUBSCRIBED


def _ignored(error: Mapping[str, Any] | None, verb: str) -> PersonFault:
    """A stranger: gone from the audience since looked up. For a removal that is as wanted."""
    if error is None or verb == "members_to_remove":
        return None
    return Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, "not in the audience")


KIND: Final = Kind(MailchimpOptions, make, tags=True)
