"""Brevo: contacts by their ids in lists; people are looked at one a call, and changed 50 a call, ten calls a second.

Kept apart here: a contact may have left everything (``emailBlacklisted``, also for bounces and complaints) or one list
(``listUnsubscribed``), and putting them in again may clear the latter. A call over lists is a 400 if nothing of it was
left to do, and else a 201 that names who was changed. No call here carries a consent or updates whom it meant to make.
Attributes must be there before they are written, and the one of a first name has another name in other languages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from pydantic import Field

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Member, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import Unreadable, pages, rows, table, text, whole_number, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import LONGEST_WAIT_S, Http, Reply, refused, usual
from sinks.toolkit.list_ids import NamedLists, Names
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import BatchRefused, ListGone, ListRefused, NoOptIn, One, PersonFault

QUOTAS: Final = {"all": [(10, 1_000)]}
"""Of everything below ``/v3/contacts``, on the accounts that have the least; 36,000 an hour are the same."""
LISTS: Final = "/v3/contacts/lists"
ATTRIBUTES: Final = "/v3/contacts/attributes"
LISTS_PAGE: Final = 50
CONTACTS_PAGE: Final = 500
TRIED: Final = frozenset({403})


class BrevoOptions(Options):
    """``key``: an API key of version 3. ``folder``: the number of the folder in which lists are made."""

    key: SecretAt
    url: SafeUrl = "https://api.brevo.com"
    folder: int = Field(default=1, ge=1)
    token_field: str = "SEGMA_TOKEN"  # noqa: S105
    name_field: str = "FIRSTNAME"
    """The attribute of a first name, as the account's language calls it (``PRENOM``, ``VORNAME``, ``NOMBRE`` …)."""


def make(options: BrevoOptions, around: Around) -> ListSink:
    """The sink of an account."""
    headers = {"api-key": around.secret(options.key, "key")}
    http = around.http(options, options.url, headers, quotas=QUOTAS, connections=8, judge=judge)
    return ListSink(Brevo(http, options), strangers=around.strangers, known=around.known)


def judge(reply: Reply) -> Trouble | None:
    """A 429 says in a header of its own how long to wait; a 401 may be about where the call comes from."""
    trouble = usual(reply)
    if trouble is None:
        return None
    if reply.status == 429:
        reset = reply.headers.get("x-sib-ratelimit-reset", "")
        return trouble._replace(wait_s=min(float(reset), LONGEST_WAIT_S)) if reset.isdecimal() else trouble
    if reply.status == 401 and b"ip address" in reply.body[:1_000].lower():
        return trouble._replace(answer="401, the account does not let this machine's IP address in")
    return trouble


class Brevo(NoOptIn, NamedLists):
    """The calls."""

    overwrites = True
    numbers = True
    most = 50

    def __init__(self, http: Http, options: BrevoOptions) -> None:
        super().__init__(http, Names(self._read_lists, self._make_list))
        self._options = options
        self._attributes = Names(lambda name: self._read_attributes(), self._make_attribute)
        link = f"{{{{contact.{options.token_field}}}}}"
        self.traits = Traits(batch=50, tells_removals=True, fields=True, token_link=link)

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Each contact by address, in one call each."""
        names = {number: name for name in lists if (number := self._lists.find(name))}
        return self._http.apart(lambda change: self._look(change, names), changes)

    def _look(self, change: Change, names: Mapping[str, str]) -> Seen | Trouble:
        address = quote(normalised_address(change.address), safe="@")
        reply = self._http.ask("GET", f"/v3/contacts/{address}", query={"identifierType": "email_id"})
        if not reply.ok:
            return Seen() if reply.is_missing("code") else refused(reply)
        contact = reply.object()
        person, left = text(contact, "id"), _numbers(contact, "listUnsubscribed", absent=True)
        inside = _numbers(contact, "listIds") - left
        attributes = {name: value for name, value in table(contact, "attributes").items() if isinstance(value, str)}
        standing, because = _standing(contact)
        return Seen(
            person,
            standing,
            frozenset(names[number] for number in inside if number in names),
            frozenset(names[number] for number in left if number in names),
            fields=attributes,
            because=because,
            number=person,
        )

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """A contact each, in no list; one that is there meanwhile is looked at again and never written over."""
        named = any(each.name for each in changes) and bool(self._attributes.find(self._options.name_field))
        return self._http.apart(lambda change: self._enrol(change, named=named), changes)

    def _enrol(self, change: Change, *, named: bool) -> str | Trouble:
        attributes = {self._options.name_field: change.name} if change.name and named else {}
        body = {"email": normalised_address(change.address), "attributes": attributes, "updateEnabled": False}
        reply = self._http.ask("POST", "/v3/contacts", body)
        if reply.ok:
            return text(reply.object(), "id")
        fault = refused(reply, _code(reply))
        return fault._replace(fate=Fate.PASSING) if _code(reply) == "duplicate_parameter" else fault

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Put people into a list: whoever is not among the changed ones vanished or was put in meanwhile."""
        done = self._change("add", list_name, self._lists.made(list_name), people)
        again = Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, "not among those put in")
        return [None if one.person in done else again for one in people]

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Take people out of a list; who is not among the changed ones is out already."""
        self._change("remove", list_name, self._there(list_name), people)
        return [None] * len(people)

    def _change(self, verb: str, list_name: str, number: str, people: Sequence[One]) -> set[str]:
        """The ids of those whom a call changed."""
        body = {"ids": [int(one.person) for one in people]}
        reply = self._http.ask("POST", f"{LISTS}/{number}/contacts/{verb}", body)
        if reply.ok:
            return _numbers(table(reply.object(), "contacts"), "success")
        if reply.status in {400, 404} and self._lists.fresh(list_name) != number:
            raise ListGone
        if reply.status == 400 and b"does not exist" in reply.body[:1_000]:
            return set()
        raise BatchRefused(f"{reply.status} {_code(reply)}")

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """Contacts have no tags."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """Attributes alone, which are made if missing; one that is refused refuses the whole call."""
        for name in {name for one in people for name, _ in one.change.fields}:
            self._attributes.made(name)
        contacts = [{"id": int(one.person), "attributes": dict(one.change.fields)} for one in people]
        reply = self._http.ask("POST", "/v3/contacts/batch", {"contacts": contacts})
        if not reply.ok:
            raise BatchRefused(f"{reply.status} {_code(reply)}")
        if reply.status != 204:
            raise Unreadable("204")
        return [None] * len(people)

    def members(self, list_name: str) -> Iterator[Member]:
        """Contacts of the list page by page; those who have a telephone number alone are passed over."""
        number = self._read(list_name)
        for each in self._pages(f"{LISTS}/{number}/contacts", "contacts", CONTACTS_PAGE):
            if not words(each, "email"):
                continue
            standing, _ = _standing(each)
            if number in _numbers(each, "listUnsubscribed", absent=True):
                standing = Standing.LEFT
            name = table(each, "attributes").get(self._options.name_field)
            yield Member(text(each, "email"), name if isinstance(name, str) else "", standing, text(each, "id"))

    def rights(self) -> Iterator[Right]:
        """Reading is tried as it is, changing by calls that are refused as they stand: of nobody, without a name."""
        for name, path in (("contacts", "/v3/contacts"), ("lists", LISTS)):
            reply = self._http.ask("GET", path, query={"limit": "1"}, hear=TRIED)
            yield Right(f"reading {name}", reply.ok)
        yield Right("reading attributes", self._http.ask("GET", ATTRIBUTES, hear=TRIED).ok)
        nobody = {"attributes": dict[str, str](), "updateEnabled": False}
        yield Right("changing contacts", self._http.ask("POST", "/v3/contacts", nobody, hear=TRIED).status != 403)
        nameless = {"name": "", "folderId": self._options.folder}
        yield Right("making lists", self._http.ask("POST", LISTS, nameless, hear=TRIED).status != 403)
        yield Right("automations", None, "an automation whose trigger is the list starts; it is not asked which")

    def _pages(self, path: str, name: str, size: int) -> Iterator[Mapping[str, Any]]:
        def read(page: int) -> Sequence[Mapping[str, Any]]:
            offset = page * size
            found = self._http.ask("GET", path, query={"limit": str(size), "offset": str(offset)}).read()
            # NOTE: a page past the end has the count alone.
            return rows(found, name) if name in found or whole_number(found, "count") > offset else []

        return pages(read, size)

    def _read_lists(self, name: str) -> Iterable[tuple[str, str]]:
        return [(text(each, "name"), text(each, "id")) for each in self._pages(LISTS, "lists", LISTS_PAGE)]

    def _make_list(self, name: str) -> str:
        return self._made(self._http.ask("POST", LISTS, {"name": name, "folderId": self._options.folder}))

    def _read_attributes(self) -> Iterable[tuple[str, str]]:
        found = self._http.ask("GET", ATTRIBUTES).items("attributes")
        return {(text(each, "name"), text(each, "name")) for each in found}

    def _make_attribute(self, name: str) -> str:
        reply = self._http.ask("POST", f"{ATTRIBUTES}/normal/{quote(name, safe='')}", {"type": "text"})
        if not reply.ok:
            raise ListRefused(f"{reply.status} {_code(reply)}")
        return name

    @staticmethod
    def _made(reply: Reply) -> str:
        if not reply.ok:
            raise ListRefused(f"{reply.status} {_code(reply)}")
        return text(reply.object(), "id")


def _standing(contact: Mapping[str, Any]) -> tuple[Standing, Reason]:
    """Whoever is blocklisted has left, but who only bounced; its statistics say why, as of the last 90 days."""
    if not _flag(contact, "emailBlacklisted"):
        return Standing.ACTIVE, Reason.UNSUBSCRIBED
    statistics = table(contact, "statistics", null=True)
    if statistics.get("complaints"):
        return Standing.LEFT, Reason.COMPLAINED
    left = any(table(statistics, "unsubscriptions", null=True).values())
    bounced = bool(statistics.get("hardBounces")) and not left
    return Standing.UNDELIVERABLE if bounced else Standing.LEFT, Reason.UNSUBSCRIBED


def _flag(contact: Mapping[str, Any], name: str) -> bool:
    found = contact.get(name)
    if not isinstance(found, bool):
        raise Unreadable(name)
    return found


def _numbers(value: Mapping[str, Any], name: str, *, absent: bool = False) -> set[str]:
    """A field that is a list of ids, as texts; ``absent``: also where it is null or not there."""
    found = value.get(name)
    if found is None and absent:
        return set()
    if not isinstance(found, list) or not all(type(each) is int for each in found):
        raise Unreadable(name)
    return {str(each) for each in found}


def _code(reply: Reply) -> str:
    """The platform's own word for a refusal, one of a few."""
    said = reply.json_or_none()
    return str(said.get("code", ""))[:40] if isinstance(said, dict) else ""


KIND: Final = Kind(BrevoOptions, make, quotas=QUOTAS)
