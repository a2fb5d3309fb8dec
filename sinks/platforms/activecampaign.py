"""ActiveCampaign: contacts with tags or, on demand, in lists; one contact a call, five calls a second.

Kept apart here: "remove from a list" does not exist, only ``status: 2``, which is an unsubscription, and ``status: 1``
re-subscribes whoever had unsubscribed. So Segma's lists are tags, unless the account says ``lists_are: lists``; then a
status is read before it is written, and only those whom Segma itself took out are put back. A wrong key is answered
with 200 and a page of HTML, and "slow down" sometimes with 400.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Member, Standing, Traits, Trouble
from sinks.toolkit.http import Http, Reply, refused, usual, waits_s
from sinks.toolkit.list_ids import NamedLists, Names
from sinks.toolkit.list_sink import Fault, ListRefused, ListSink, One, Seen
from sinks.toolkit.options import Around, Options, SafeUrl

QUOTAS: Final = {"all": [(5, 1_000)]}
"""Of the account, all keys together."""
PAGE: Final = 100
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
    return ListSink(Activecampaign(http, options))


def judge(reply: Reply) -> Trouble | None:
    """A page of HTML is the login page: the key is wrong. A 400 may mean "slow down"."""
    head = reply.body[:200].lstrip().lower()
    if "html" in reply.headers.get("content-type", "") or head.startswith((b"<!doctype html", b"<html")):
        return Trouble(Reason.BAD_CREDENTIALS, Fate.FATAL, f"{reply.status}, HTML")
    if reply.status == 400 and b"rate limit" in reply.body[:1_000].lower():
        return Trouble(Reason.THROTTLED, Fate.AWAY, "400, rate limit", wait_s=max(waits_s(reply), 1.0))
    return usual(reply)


class Activecampaign(NamedLists):
    """The calls."""

    most = 50

    def __init__(self, http: Http, options: ActivecampaignOptions) -> None:
        self._options, self._as_tags = options, options.lists_are == "tags"
        self._tags = Names(self._read_tags, self._make_tag)
        super().__init__(http, self._tags if self._as_tags else Names(self._read_lists, self._make_list))
        link = f"%{options.token_field}%"
        self.traits = Traits(batch=10, tags=True, fields=bool(options.token_field_id), token_link=link)

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Each contact by address, then its lists with their statuses, and its tags."""
        for name in lists:
            self._lists.find(name)
        for change in changes:
            for name in (*change.tag, *change.untag):
                self._tags.find(name)
        return self._http.together(self._look, changes)

    def _look(self, change: Change) -> Seen | Trouble:
        reply = self._http.ask("GET", "/api/3/contacts", query={"email": normalised_address(change.address)})
        contacts = reply.items("contacts")
        if not contacts:
            return Seen()
        person = str(contacts[0]["id"])
        memberships = self._http.ask("GET", f"/api/3/contacts/{person}/contactLists").items("contactLists")
        statuses = {str(each["list"]): STATUSES.get(str(each["status"]), Standing.ACTIVE) for each in memberships}
        held: list[dict[str, Any]] = []
        if self._as_tags or change.tag or change.untag:
            held = self._http.ask("GET", f"/api/3/contacts/{person}/contactTags").items("contactTags")
        of_tag = {self._tags.name_of(str(each["tag"])): str(each["id"]) for each in held}
        if self._as_tags:
            # Who unsubscribed from all that they were in has left; a tag changes nothing about that, nor would we.
            left = bool(statuses) and set(statuses.values()) == {Standing.LEFT}
            standing = Standing.LEFT if left else Standing.ACTIVE
            return Seen(person, standing, frozenset(of_tag), tags=frozenset(of_tag), notes=of_tag)
        of_list = {self._lists.name_of(number): standing for number, standing in statuses.items()}
        return Seen(
            person,
            Standing.ACTIVE,
            frozenset(name for name, standing in of_list.items() if standing is not Standing.LEFT),
            frozenset(name for name, standing in of_list.items() if standing is Standing.LEFT),
            frozenset(of_tag),
            notes=of_tag,
        )

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """An upsert each, in no list."""
        return self._http.together(self._enrol, changes)

    def _enrol(self, change: Change) -> str | Trouble:
        contact = {"email": change.address, **({"firstName": change.name} if change.name else {})}
        reply = self._http.ask("POST", "/api/3/contact/sync", {"contact": contact})
        return str(reply.object()["contact"]["id"]) if reply.ok else refused(reply)

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[Fault]:
        """A tag; or, in an account of lists, status 1: nobody who unsubscribed comes this far."""
        number = self._lists.made(list_name)
        if self._as_tags:
            return self._http.together(lambda one: self._tag(number, one), people)
        return self._http.together(lambda one: self._status(number, one, 1), people)

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[Fault]:
        """The tag away; or, in an account of lists, status 2, which the account asked for in so many words."""
        number = self._there(list_name)
        if self._as_tags:
            return self._http.together(lambda one: self._untag(one.seen.notes.get(list_name, "")), people)
        return self._http.together(lambda one: self._status(number, one, 2), people)

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[Fault]:
        """Set or take away a tag."""
        if on:
            number = self._tags.made(tag)
            return self._http.together(lambda one: self._tag(number, one), people)
        return self._http.together(lambda one: self._untag(one.seen.notes.get(tag, "")), people)

    def _status(self, number: str, one: One, status: int) -> Fault:
        body = {"contactList": {"list": int(number), "contact": int(one.person), "status": status}}
        return self._fault(self._http.ask("POST", "/api/3/contactLists", body))

    def _tag(self, number: str, one: One) -> Fault:
        body = {"contactTag": {"contact": one.person, "tag": number}}
        return self._fault(self._http.ask("POST", "/api/3/contactTags", body))

    def _untag(self, number: str) -> Fault:
        reply = self._http.ask("DELETE", f"/api/3/contactTags/{number}") if number else None
        return None if reply is None or reply.status == 404 else self._fault(reply)

    @staticmethod
    def _fault(reply: Reply) -> Fault:
        # NOTE: 404: the contact, the tag or the list vanished since it was looked up; all are looked up again.
        fault = refused(reply)
        return None if reply.ok else fault._replace(fate=Fate.PASSING) if reply.status == 404 else fault

    def write(self, people: Sequence[One]) -> Sequence[Fault]:
        """The custom field, by its number."""
        return self._http.together(self._write, people)

    def _write(self, one: One) -> Fault:
        values = [{"field": self._options.token_field_id, "value": value} for _, value in one.change.fields]
        body = {"contact": {"email": one.change.address, "fieldValues": values}}
        return self._fault(self._http.ask("POST", "/api/3/contact/sync", body))

    def members(self, list_name: str) -> Iterator[Member]:
        """Contacts with the tag, or in the list, page by page."""
        number = self._read(list_name)
        by = "tagid" if self._as_tags else "listid"
        statuses = ("",) if self._as_tags else tuple(STATUSES)
        for status in statuses:
            query = {by: number, **({"status": status} if status else {})}
            for each in self._pages("/api/3/contacts", "contacts", query):
                standing = STATUSES.get(status, Standing.ACTIVE)
                yield Member(str(each["email"]), str(each.get("firstName") or ""), standing)

    def _pages(self, path: str, name: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            reply = self._http.ask("GET", path, query={**query, "limit": str(PAGE), "offset": str(offset)})
            found = reply.items(name)
            yield from found
            if len(found) < PAGE:
                return
            offset += PAGE

    def _read_tags(self, name: str) -> Mapping[str, str]:
        query = {"search": name} if name else {}
        return {str(each["tag"]): str(each["id"]) for each in self._pages("/api/3/tags", "tags", query)}

    def _make_tag(self, name: str) -> str:
        body = {"tag": {"tag": name, "tagType": "contact", "description": "made by Segma"}}
        return self._made(self._http.ask("POST", "/api/3/tags", body), "tag")

    def _read_lists(self, name: str) -> Mapping[str, str]:
        reply = self._http.ask("GET", "/api/3/lists", query={"limit": str(PAGE), "filters[name]": name} if name else {})
        return {str(each["name"]): str(each["id"]) for each in reply.items("lists")}

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
        return str(reply.object()[name]["id"])
