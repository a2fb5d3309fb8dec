"""ActiveCampaign: contacts with tags or, on demand, in lists; one contact a call, five calls a second.

Kept apart here: "remove from a list" does not exist, only ``status: 2``, which is an unsubscription, and ``status: 1``
re-subscribes whoever had unsubscribed. So Segma's lists are tags, unless the account says ``lists_are: lists``; then a
status is read before it is written, and only those whom Segma itself took out are put back. A wrong key is answered
with 200 and a page of HTML, and "slow down" sometimes with 400.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Member, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import Unreadable, one_of, pages, table, text, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import Http, Reply, refused, usual, waits_s
from sinks.toolkit.list_ids import NamedLists, Names
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import ListGone, ListRefused, NoOptIn, One, PersonFault

QUOTAS: Final = {"all": [(5, 1_000)]}
"""Of the account, all keys together."""
PAGE: Final = 100
SLACK_MS: Final = 60_000
"""By how much the platform's clock may differ from ours."""
TRIED: Final = frozenset({403})
STATUSES: Final = {"0": Standing.PENDING, "1": Standing.ACTIVE, "2": Standing.LEFT, "3": Standing.UNDELIVERABLE}


class ActivecampaignOptions(Options):
    """``url``: the account's own API address. ``sender_url`` and ``sender_reminder``: what a new list must have."""

    url: SafeUrl
    key: SecretAt
    lists_are: Literal["tags", "lists"] = "tags"
    token_field: str = "SEGMA_TOKEN"  # noqa: S105
    token_field_id: str = ""
    """The number of the custom field for the token: it is made in ActiveCampaign's settings."""
    sender_url: str = "https://example.org"
    sender_reminder: str = "You asked for news."


def make(options: ActivecampaignOptions, around: Around) -> ListSink:
    """The sink of an account."""
    headers = {"Api-Token": around.secret(options.key, "key")}
    http = around.http(options, options.url, headers, quotas=QUOTAS, connections=5, judge=judge)
    return ListSink(Activecampaign(http, options), strangers=around.strangers, known=around.known)


def judge(reply: Reply) -> Trouble | None:
    """A page of HTML is the login page: the key is wrong. A 400 may mean "slow down"."""
    head = reply.body[:200].lstrip().lower()
    if "html" in reply.headers.get("content-type", "") or head.startswith((b"<!doctype html", b"<html")):
        return Trouble(Reason.BAD_CREDENTIALS, Fate.FATAL, f"{reply.status}, HTML")
    if reply.status == 400 and b"rate limit" in reply.body[:1_000].lower():
        return Trouble(Reason.THROTTLED, Fate.AWAY, "400, rate limit", wait_s=max(waits_s(reply), 1.0))
    return usual(reply)


class Activecampaign(NoOptIn, NamedLists):
    """The calls."""

    most = 50
    numbers = True

    def __init__(self, http: Http, options: ActivecampaignOptions) -> None:
        self._options, self._as_tags = options, options.lists_are == "tags"
        self.overwrites = not self._as_tags
        self._tags = Names(self._read_tags, self._make_tag)
        super().__init__(http, self._tags if self._as_tags else Names(self._read_lists, self._make_list))
        link = f"%{options.token_field}%"
        self.traits = Traits(
            batch=10,
            shows_all=not self._as_tags,
            tells_removals=True,
            lists_are_tags=self._as_tags,
            tags=True,
            fields=bool(options.token_field_id),
            token_link=link,
        )

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Each contact by address, then its lists with their statuses, and its tags."""
        for name in lists:
            self._lists.find(name)
        for change in changes:
            for name in (*change.tag, *change.untag):
                self._tags.find(name)
        return self._http.apart(self._look, changes)

    def _look(self, change: Change) -> Seen | Trouble:
        address = normalised_address(change.address)
        reply = self._http.ask("GET", "/api/3/contacts", query={"email": address})
        contacts = [each for each in reply.items("contacts") if normalised_address(text(each, "email")) == address]
        if not contacts:
            return Seen()
        person = text(contacts[0], "id")
        memberships = self._http.ask("GET", f"/api/3/contacts/{person}/contactLists").items("contactLists")
        statuses = {text(each, "list"): one_of(each, "status", STATUSES) for each in memberships}
        held: list[dict[str, Any]] = []
        if self._as_tags or change.tag or change.untag:
            held = self._http.ask("GET", f"/api/3/contacts/{person}/contactTags").items("contactTags")
        of_tag = {self._tags.name_of(text(each, "tag")): text(each, "id") for each in held}
        if self._as_tags:
            # Who unsubscribed from all that they were in has left; a tag changes nothing about that, nor would we.
            kinds = set(statuses.values())
            standing = next(iter(kinds)) if len(kinds) == 1 else Standing.ACTIVE
            tags = frozenset(of_tag)
            return Seen(person, standing, tags, tags=tags, notes=of_tag, number=person)
        if any(not self._lists.name_of(number) for number in statuses):
            self._lists.learn()
        of_list = {self._lists.name_of(number): standing for number, standing in statuses.items()}
        out = {self._lists.name_of(text(each, "list")) for each in memberships if self._by_segma(each, change)}
        return Seen(
            person,
            Standing.UNDELIVERABLE if set(of_list.values()) == {Standing.UNDELIVERABLE} else Standing.ACTIVE,
            frozenset(name for name, standing in of_list.items() if standing is Standing.ACTIVE),
            frozenset(name for name, standing in of_list.items() if standing is Standing.LEFT and name not in out),
            frozenset(of_tag),
            notes=of_tag,
            pending=frozenset(name for name, standing in of_list.items() if standing is Standing.PENDING),
            elsewhere=any(standing is Standing.ACTIVE for standing in of_list.values()),
            number=person,
        )

    def _by_segma(self, membership: Mapping[str, Any], change: Change) -> bool:
        """Return whether an unsubscription is Segma's own removal: no later than that."""
        name = self._lists.name_of(text(membership, "list"))
        if name not in change.taken_out:
            return False
        taken_ms = change.taken_out_ms.get(name)
        since = words(membership, "udate") or words(membership, "updated_timestamp")
        with contextlib.suppress(ValueError):
            return taken_ms is None or dt.datetime.fromisoformat(since).timestamp() * 1_000 <= taken_ms + SLACK_MS
        return True

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """An upsert each, in no list."""
        return self._http.apart(self._enrol, changes)

    def _enrol(self, change: Change) -> str | Trouble:
        contact = {"email": change.address, **({"firstName": change.name} if change.name else {})}
        reply = self._http.ask("POST", "/api/3/contact/sync", {"contact": contact})
        return text(table(reply.object(), "contact"), "id") if reply.ok else refused(reply)

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """A tag; or, in an account of lists, status 1: nobody who unsubscribed comes this far."""
        number = self._lists.made(list_name)
        write = self._tag if self._as_tags else lambda number, one: self._status(number, one, 1)
        faults = self._http.apart(lambda one: write(number, one), people)
        unknown = any(each is not None and each.answer.startswith("404") for each in faults)
        if unknown and self._lists.fresh(list_name) != number:
            raise ListGone
        return faults

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """The tag away; or, in an account of lists, status 2, which the account asked for in so many words."""
        number = self._there(list_name)
        if self._as_tags:
            return self._http.apart(lambda one: self._untag(one.seen.notes.get(list_name, "")), people)
        return self._http.apart(lambda one: self._status(number, one, 2), people)

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """Set or take away a tag."""
        if on:
            number = self._tags.made(tag)
            return self._http.apart(lambda one: self._tag(number, one), people)
        return self._http.apart(lambda one: self._untag(one.seen.notes.get(tag, "")), people)

    def _status(self, number: str, one: One, status: int) -> PersonFault:
        body = {"contactList": {"list": int(number), "contact": int(one.person), "status": status}}
        return self._fault(self._http.ask("POST", "/api/3/contactLists", body), "contactList")

    def _tag(self, number: str, one: One) -> PersonFault:
        body = {"contactTag": {"contact": one.person, "tag": number}}
        return self._fault(self._http.ask("POST", "/api/3/contactTags", body), "contactTag")

    def _untag(self, number: str) -> PersonFault:
        reply = self._http.ask("DELETE", f"/api/3/contactTags/{number}") if number else None
        if reply is None or reply.is_missing("message"):
            return None
        if reply.ok and (reply.status != 200 or reply.object()):
            raise Unreadable("{}")
        return self._fault(reply)

    @staticmethod
    def _fault(reply: Reply, *made: str) -> PersonFault:
        """The trouble of one person's call; ``made``: what the answer of one that was carried out tells of."""
        if reply.ok:
            told = reply.object()
            for name in made:
                table(told, name)
            return None
        # NOTE: 404: the contact, the tag or the list vanished since it was looked up; all are looked up again.
        fault = refused(reply)
        return fault._replace(fate=Fate.PASSING) if reply.is_missing("message") else fault

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """The custom field, by its number."""
        return self._http.apart(self._write, people)

    def _write(self, one: One) -> PersonFault:
        values = [{"field": self._options.token_field_id, "value": value} for _, value in one.change.fields]
        body = {"contact": {"email": one.change.address, "fieldValues": values}}
        return self._fault(self._http.ask("POST", "/api/3/contact/sync", body), "contact")

    def members(self, list_name: str) -> Iterator[Member]:
        """Contacts with the tag, or in the list, page by page."""
        number = self._read(list_name)
        by = "tagid" if self._as_tags else "listid"
        statuses = ("",) if self._as_tags else tuple(STATUSES)
        for status in statuses:
            query = {by: number, **({"status": status} if status else {})}
            for each in self._pages("/api/3/contacts", "contacts", query):
                standing = STATUSES[status] if status else Standing.ACTIVE
                yield Member(text(each, "email"), words(each, "firstName"), standing, text(each, "id"))

    def rights(self) -> Iterator[Right]:
        """A key is its user: reading is tried, and writing by calls that are refused as they stand."""
        for name in ("contacts", "tags", "lists"):
            reply = self._http.ask("GET", f"/api/3/{name}", query={"limit": "1"}, hear=TRIED)
            yield Right(f"reading {name}", reply.ok)
        made = self._http.ask("POST", "/api/3/contact/sync", {"contact": {"email": ""}}, hear=TRIED)
        yield Right("changing contacts", made.status != 403, "the group permission of the key's user")
        tag = {"tag": {"tag": "", "tagType": "contact"}}
        made = self._http.ask("POST", "/api/3/tags", tag, hear=TRIED)
        yield Right("making tags", made.status != 403, "the group permission of the key's user")
        yield Right("automations", None, "an automation whose trigger is the tag or list starts; not asked which")

    def _pages(self, path: str, name: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        def read(page: int) -> Sequence[dict[str, Any]]:
            asked = {**query, "limit": str(PAGE), "offset": str(page * PAGE)}
            return self._http.ask("GET", path, query=asked).items(name)

        return pages(read, PAGE)

    def _read_tags(self, name: str) -> Iterable[tuple[str, str]]:
        query = {"search": name} if name else {}
        return [(text(each, "tag"), text(each, "id")) for each in self._pages("/api/3/tags", "tags", query)]

    def _make_tag(self, name: str) -> str:
        body = {"tag": {"tag": name, "tagType": "contact", "description": "made by Segma"}}
        return self._made(self._http.ask("POST", "/api/3/tags", body), "tag")

    def _read_lists(self, name: str) -> Iterable[tuple[str, str]]:
        query = {"filters[name]": name} if name else {}
        return [(text(each, "name"), text(each, "id")) for each in self._pages("/api/3/lists", "lists", query)]

    def _make_list(self, name: str) -> str:
        slug = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in name.lower()).strip("-")
        settings = {
            "name": name,
            "stringid": slug or "list",
            "sender_url": self._options.sender_url,
            "sender_reminder": self._options.sender_reminder,
        }
        return self._made(self._http.ask("POST", "/api/3/lists", {"list": settings}), "list")

    @staticmethod
    def _made(reply: Reply, name: str) -> str:
        if not reply.ok:
            raise ListRefused(f"{reply.status}")
        return text(table(reply.object(), name), "id")


KIND: Final = Kind(ActivecampaignOptions, make, tags=True, quotas=QUOTAS)
