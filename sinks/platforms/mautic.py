"""Mautic over its REST interface: contacts in segments, put in by their ids in bulk, taken out one a call.

Kept apart here: consent is a contact's ``doNotContact`` for the channel ``email``, with a reason that tells who left
from who bounced, and no call here writes it. A merge gives a contact another id, so people are known by their address
alone. A map without entries is written as a list, as PHP does. Putting in answers ``success`` whatever became of each
contact, so ``details`` decide. A segment of another user is a 403 and not a wrong key. The search takes ``*`` and ``%``
for any text: an address with one is refused. Fields go by ``PATCH``; a ``PUT`` clears every field that is not sent.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Member, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import Unreadable, pages, rows, table, text, whole_number, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import Http, Reply, refused
from sinks.toolkit.list_ids import NamedLists, Names
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import BatchRefused, ListGone, ListRefused, NoOptIn, One, PersonFault

PAGE: Final = 200
BATCH: Final = 200
"""Contacts of one call, as Mautic is set up by default."""
FORBIDDEN: Final = frozenset({403})
SEARCHED: Final = re.compile(r"[^\s\"%*()!|:]+")
"""An address that means nothing but itself in Mautic's search."""
UNSUBSCRIBED, BOUNCED, BY_HAND = 1, 2, 3


class MauticOptions(Options):
    """``url``: where Mautic is. ``user``: one of Mautic's, with Basic authentication switched on for the API."""

    url: SafeUrl
    user: str
    password: SecretAt
    token_field: str = "segma_token"  # noqa: S105
    """The alias of a text field of contacts that is made in Mautic."""


def make(options: MauticOptions, around: Around) -> ListSink:
    """The sink of an account."""
    login = f"{options.user}:{around.secret(options.password, 'password')}"
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    http = around.http(options, options.url, headers, quotas={}, connections=4)
    return ListSink(Mautic(http, options.token_field), strangers=around.strangers, known=around.known)


class Mautic(NoOptIn, NamedLists):
    """The calls."""

    overwrites = False
    numbers = False
    most = BATCH

    def __init__(self, http: Http, token_field: str) -> None:
        super().__init__(http, Names(lambda name: self._read_segments(), self._make_segment))
        self._aliases: dict[str, str] = {}
        link = f"{{contactfield={token_field}}}"
        self.traits = Traits(batch=50, tells_removals=True, tags=True, fields=True, token_link=link)

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Each contact by address, then its segments, if any are in question."""
        names = {number: name for name in lists if (number := self._lists.find(name))}
        return self._http.apart(lambda change: self._look(change, names), changes)

    def _look(self, change: Change, names: Mapping[str, str]) -> Seen | Trouble:
        address = normalised_address(change.address)
        if not SEARCHED.fullmatch(address):
            return Trouble(Reason.BAD_ADDRESS, Fate.LASTING, "more than itself in a search of Mautic")
        query = {"search": f"email:{address}", "limit": str(PAGE)}
        found = self._http.ask("GET", "/api/contacts", query=query).read()
        contacts = [each for each in _entries(found, "contacts") if normalised_address(_address(each)) == address]
        if not contacts:
            return Seen()
        contact = contacts[0]
        person, inside = text(contact, "id"), frozenset[str]()
        if names:
            segments = self._http.ask("GET", f"/api/contacts/{person}/segments").read()
            numbers = [text(each, "id") for each in _entries(segments, "segments")]
            inside = frozenset(names[number] for number in numbers if number in names)
        standing, because = _standing(contact)
        tags = frozenset(text(each, "tag") for each in rows(contact, "tags"))
        fields = {name: value for name, value in _all_fields(contact).items() if isinstance(value, str)}
        return Seen(person, standing, inside, tags=tags, fields=fields, because=because)

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """A contact a call, in no segment; a 200 met somebody who was there."""
        return self._http.apart(self._enrol, changes)

    def _enrol(self, change: Change) -> str | Trouble:
        body = {"email": normalised_address(change.address), **({"firstname": change.name} if change.name else {})}
        reply = self._http.ask("POST", "/api/contacts/new", body)
        if reply.status == 201:
            return text(table(reply.object(), "contact"), "id")
        if reply.ok:
            return Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, f"{reply.status}, there meanwhile")
        return refused(reply)

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Put people into a segment; the answer says of each whether it was done."""
        number = self._lists.made(list_name)
        body = {"ids": [int(one.person) for one in people]}
        reply = self._http.ask("POST", f"/api/segments/{number}/contacts/add", body, hear=FORBIDDEN)
        self._judge(reply, list_name, number)
        if not reply.ok:
            raise BatchRefused(f"{reply.status}")
        details = {text(each, "id"): each for each in _numbered(reply.object(), "details")}
        again = Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, "not among those put in")
        return [None if details.get(one.person, {}).get("success") else again for one in people]

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Take people out of a segment, one a call; a contact that vanished is out."""
        number = self._there(list_name)

        def remove(one: One) -> PersonFault:
            path = f"/api/segments/{number}/contact/{one.person}/remove"
            reply = self._http.ask("POST", path, hear=FORBIDDEN)
            self._judge(reply, list_name, number)
            done = whole_number(reply.object(), "success") == 1 if reply.ok else reply.is_missing("errors")
            return None if done else refused(reply)

        return self._http.apart(remove, people)

    def _judge(self, reply: Reply, list_name: str, number: str) -> None:
        """A segment that is another user's, or none any more; of its name there may be another by now."""
        if reply.status == 403:
            raise ListRefused("403, a segment of another user")
        if reply.status == 404 and self._lists.fresh(list_name) != number:
            raise ListGone

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """Set or take away a tag; those beside it stay."""
        return self._http.apart(lambda one: self._edited(one, {"tags": [tag if on else f"-{tag}"]})[0], people)

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """The custom field, which must have been made in Mautic; what was written is read back."""
        return self._http.apart(self._write, people)

    def _write(self, one: One) -> PersonFault:
        fault, reply = self._edited(one, dict(one.change.fields))
        if fault is not None:
            return fault
        fields = _all_fields(table(reply.object(), "contact"))
        if all(fields.get(name) == value for name, value in one.change.fields):
            return None
        return Trouble(Reason.LIST_REFUSED, Fate.LASTING, "contacts have no such field")

    def _edited(self, one: One, body: Mapping[str, object]) -> tuple[PersonFault, Reply]:
        reply = self._http.ask("PATCH", f"/api/contacts/{one.person}/edit", body)
        fault = None if reply.ok else refused(reply)
        vanished = fault is not None and reply.status == 404
        return (fault._replace(fate=Fate.PASSING) if fault is not None and vanished else fault), reply

    def members(self, list_name: str) -> Iterator[Member]:
        """Contacts of the segment page by page; those without an address are passed over."""
        number = self._read(list_name)
        alias = self._aliases[number]

        def read(page: int) -> Sequence[Mapping[str, Any]]:
            query = {"search": f"segment:{alias}", "limit": str(PAGE), "start": str(page * PAGE), "orderBy": "id"}
            return _entries(self._http.ask("GET", "/api/contacts", query=query).read(), "contacts")

        for each in pages(read, PAGE):
            if _address(each):
                yield Member(_address(each), words(_all_fields(each), "firstname"), _standing(each)[0])

    def rights(self) -> Iterator[Right]:
        """Reading is tried as it is, changing by calls that are refused as they stand."""
        for name in ("contacts", "segments"):
            yield Right(
                f"reading {name}", self._http.ask("GET", f"/api/{name}", query={"limit": "1"}, hear=FORBIDDEN).ok
            )
        made = self._http.ask("POST", "/api/contacts/new", {"email": "@"}, hear=FORBIDDEN)
        yield Right("changing contacts", made.status != 403, "the role of the user")
        made = self._http.ask("POST", "/api/segments/new", {"name": ""}, hear=FORBIDDEN)
        yield Right("making segments", made.status != 403, "the role of the user")
        yield Right("automations", None, "a campaign whose source is the segment starts at Mautic's next cron job")

    def _read_segments(self) -> Iterable[tuple[str, str]]:
        def read(page: int) -> Sequence[Mapping[str, Any]]:
            query = {"limit": str(PAGE), "start": str(page * PAGE), "orderBy": "id"}
            return _entries(self._http.ask("GET", "/api/segments", query=query).read(), "lists")

        found = list(pages(read, PAGE))
        self._aliases = {text(each, "id"): text(each, "alias") for each in found}
        return [(text(each, "name"), text(each, "id")) for each in found]

    def _make_segment(self, name: str) -> str:
        reply = self._http.ask("POST", "/api/segments/new", {"name": name, "isPublished": True}, hear=FORBIDDEN)
        if not reply.ok:
            raise ListRefused(f"{reply.status}")
        return text(table(reply.object(), "list"), "id")


def _entries(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A map of entries by their ids, as its entries; one without any is written as a list."""
    found = value.get(name)
    if isinstance(found, list) and not found:
        return []
    if not isinstance(found, dict) or not all(isinstance(each, Mapping) for each in found.values()):
        raise Unreadable(name)
    return list(found.values())


def _numbered(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A map of entries by their ids, each with its id among what it says."""
    _entries(value, name)
    return [{**each, "id": number} for number, each in (value[name] or {}).items()] if value[name] else []


def _all_fields(contact: Mapping[str, Any]) -> Mapping[str, Any]:
    return table(table(contact, "fields"), "all")


def _address(contact: Mapping[str, Any]) -> str:
    return words(_all_fields(contact), "email")


def _standing(contact: Mapping[str, Any]) -> tuple[Standing, Reason]:
    """Who unsubscribed has left, whom somebody entered by hand is blocked, who bounced is undeliverable."""
    told = {whole_number(each, "reason") for each in rows(contact, "doNotContact") if text(each, "channel") == "email"}
    if told - {UNSUBSCRIBED, BOUNCED, BY_HAND}:
        raise Unreadable("reason")
    if UNSUBSCRIBED in told:
        return Standing.LEFT, Reason.UNSUBSCRIBED
    if BY_HAND in told:
        return Standing.LEFT, Reason.BLOCKED
    return Standing.UNDELIVERABLE if told else Standing.ACTIVE, Reason.UNSUBSCRIBED


KIND: Final = Kind(MauticOptions, make, tags=True)
