"""HubSpot: contacts in manual lists, changed in bulk by their record ids.

Kept apart here: a 200 with an id under ``recordIdsMissing`` did nothing for that person; 207 carries each one's own
fate; only MANUAL and SNAPSHOT lists take members; 423 is a lock, not a refusal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Member, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import Unreadable, linked_pages, pages, rows, table, text, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import Http, Reply, refused, usual
from sinks.toolkit.list_ids import NamedLists, Names, in_parts
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import BatchRefused, ListGone, ListRefused, NoOptIn, One, PersonFault

HUNDRED: Final = 100
"""Inputs of one batch call."""
CONTACTS: Final = "0-1"
"""The object type of contacts."""
QUOTAS: Final = {"all": [(100, 10_000)], "search": [(5, 1_000)]}
"""Of the free tier; a paid one is named in the account's options. Trust the headers, not the table."""
OPTED_OUT: Final = "hs_email_optout"


class HubspotOptions(Options):
    """``key``: a private app's token with the scopes of lists and contacts, read and write."""

    key: SecretAt
    url: SafeUrl = "https://api.hubapi.com"
    token_field: str = "segma_token"  # noqa: S105


def make(options: HubspotOptions, around: Around) -> ListSink:
    """The sink of an account."""
    headers = {"Authorization": f"Bearer {around.secret(options.key, 'key')}"}
    http = around.http(options, options.url, headers, quotas=QUOTAS, connections=8, judge=judge)
    return ListSink(Hubspot(http, options.token_field), strangers=around.strangers, known=around.known)


def judge(reply: Reply) -> Trouble | None:
    """423: too much at once on one object; it passes."""
    if reply.status in {423, 477}:
        return Trouble(Reason.THROTTLED, Fate.AWAY, f"{reply.status}", wait_s=2.0)
    return usual(reply)


class Hubspot(NoOptIn, NamedLists):
    """The calls."""

    overwrites = False
    numbers = True
    most = 1_000

    def __init__(self, http: Http, token_field: str) -> None:
        super().__init__(http, Names(self._search, self._make_list))
        self._token_field = token_field
        self.traits = Traits(batch=1_000, tells_removals=True, fields=True, token_link=f"{{{{contact.{token_field}}}}}")

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Contacts by address, then their lists by record, a hundred at a time."""
        found: dict[str, dict[str, Any]] = {}
        names = sorted({"email", OPTED_OUT, self._token_field, *(name for each in changes for name, _ in each.fields)})
        for each in self._http.together(lambda some: self._find(some, names), in_parts(changes, HUNDRED)):
            found |= each
        ids = [text(each, "id") for each in found.values()]
        memberships: dict[str, set[str]] = {}
        if lists:
            for part in self._http.together(self._memberships, in_parts(ids, HUNDRED)):
                memberships |= part
        numbers = {name: number for name in lists if (number := self._lists.find(name))}

        def seen(change: Change) -> Seen:
            contact = found.get(normalised_address(change.address))
            if contact is None:
                return Seen()
            inside = memberships[text(contact, "id")] if lists else set()
            return _seen(contact, {name for name, number in numbers.items() if number in inside})

        return self._http.apart(seen, changes)

    def _find(self, changes: Sequence[Change], names: Sequence[str]) -> dict[str, dict[str, Any]]:
        body = {
            "idProperty": "email",
            "inputs": [{"id": each} for each in sorted({normalised_address(each.address) for each in changes})],
            "properties": list(names),
            "propertiesWithHistory": [],
        }
        found = self._http.ask("POST", "/crm/v3/objects/contacts/batch/read", body).items("results")
        return {normalised_address(text(table(each, "properties"), "email")): each for each in found}

    def _memberships(self, ids: Sequence[str]) -> dict[str, set[str]]:
        body = {"inputs": [{"objectTypeId": CONTACTS, "recordId": each} for each in ids]}
        reply = self._http.ask("POST", "/crm/v3/lists/records/memberships/batch/read", body)
        return {
            text(each, "recordId"): {text(of, "listId") for of in rows(each, "recordListMemberships")}
            for each in reply.items("results")
        }

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """Upserts, a hundred at a time; an invalid address refuses its whole hundred, which is then halved."""
        found: list[str | Trouble] = []
        for some in in_parts(changes, HUNDRED):
            properties = [{"firstname": each.name} if each.name else {} for each in some]
            found.extend(self._upsert([each.address for each in some], properties))
        return found

    def _upsert(self, addresses: Sequence[str], properties: Sequence[Mapping[str, str]]) -> list[str | Trouble]:
        inputs = [
            {"id": normalised_address(address), "idProperty": "email", "properties": dict(each)}
            for address, each in zip(addresses, properties, strict=True)
        ]
        reply = self._http.ask("POST", "/crm/v3/objects/contacts/batch/upsert", {"inputs": inputs})
        if not reply.ok:
            if len(addresses) == 1:
                return [refused(reply)]
            half = len(addresses) // 2
            first = self._upsert(addresses[:half], properties[:half])
            return [*first, *self._upsert(addresses[half:], properties[half:])]
        ids = {
            normalised_address(text(table(each, "properties"), "email")): text(each, "id")
            for each in reply.items("results")
        }
        lost = Trouble(Reason.REFUSED_BY_PLATFORM, Fate.LASTING, "207, not among the results")
        return [ids.get(normalised_address(each)) or lost for each in addresses]

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Put people into a list; the platform ignores those who are in it already."""
        return self._change("add", list_name, self._lists.made(list_name), people)

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Take people out of a list; the platform ignores those who are not in it."""
        return self._change("remove", list_name, self._there(list_name), people)

    def _change(self, verb: str, list_name: str, number: str, people: Sequence[One]) -> Sequence[PersonFault]:
        ids = [one.person for one in people]
        reply = self._http.ask("PUT", f"/crm/v3/lists/{number}/memberships/{verb}", ids)
        if reply.status == 404 and self._lists.fresh(list_name) != number:
            raise ListGone
        if not reply.ok:
            raise BatchRefused(f"{reply.status}")
        missing = {str(each) for each in reply.object()["recordIdsMissing"] or []}
        # NOTE: a 200 that did nothing for these: they vanished since they were looked up, so they are looked up again.
        vanished = Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, "record missing")
        return [vanished if one.person in missing and verb == "add" else None for one in people]

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """Contacts have no tags."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """A property, which must have been made in HubSpot's settings."""
        faults: list[PersonFault] = []
        for some in in_parts(people, HUNDRED):
            answers = self._upsert([one.change.address for one in some], [dict(one.change.fields) for one in some])
            faults.extend(each if isinstance(each, Trouble) else None for each in answers)
        return faults

    def members(self, list_name: str) -> Iterator[Member]:
        """Record ids page by page, then who they are."""
        number = self._read(list_name)

        def read(after: str) -> tuple[list[Mapping[str, Any]], str]:
            query = {"limit": str(HUNDRED), **({"after": after} if after else {})}
            reply = self._http.ask("GET", f"/crm/v3/lists/{number}/memberships", query=query)
            ids = [text(each, "recordId") for each in reply.items("results")]
            further = table(table(reply.object(), "paging", null=True), "next", null=True)
            return self._contacts(ids), words(further, "after")

        for each in linked_pages(read):
            properties = table(each, "properties")
            name = words(properties, "firstname")
            yield Member(words(properties, "email"), name, _standing(properties), text(each, "id"))

    def _contacts(self, ids: Sequence[str]) -> list[Mapping[str, Any]]:
        if not ids:
            return []
        body = {
            "inputs": [{"id": each} for each in ids],
            "properties": ["email", "firstname", OPTED_OUT],
            "propertiesWithHistory": [],
        }
        return list(self._http.ask("POST", "/crm/v3/objects/contacts/batch/read", body).items("results"))

    def rights(self) -> Iterator[Right]:
        """Each scope by a call of its own; those that write by one that cannot be carried out."""
        contacts, lists = "/crm/v3/objects/contacts/batch", "/crm/v3/lists"
        nobody = {"idProperty": "email", "inputs": [{"id": "nobody@segma.invalid"}]}
        reading = {**nobody, "properties": ["email"], "propertiesWithHistory": []}
        yield self._tried("crm.objects.contacts.read", f"{contacts}/read", reading)
        unnamed = {"id": "", "idProperty": "email", "properties": dict[str, str]()}
        yield self._tried("crm.objects.contacts.write", f"{contacts}/upsert", {"inputs": [unnamed]})
        yield self._tried("crm.lists.read", f"{lists}/search", {"count": 1}, bucket="search")
        nameless = {"name": "", "objectTypeId": CONTACTS, "processingType": "MANUAL"}
        yield self._tried("crm.lists.write", lists, nameless)
        yield Right("automations", None, "a workflow whose trigger is the list starts; it is not asked which")

    def _tried(self, scope: str, path: str, body: Mapping[str, Any], bucket: str = "all") -> Right:
        return Right(scope, self._http.ask("POST", path, body, bucket=bucket, hear=frozenset({403})).status != 403)

    def _search(self, name: str) -> Iterable[tuple[str, str]]:
        def read(page: int) -> Sequence[Mapping[str, Any]]:
            offset = page * HUNDRED
            body: dict[str, Any] = {"processingTypes": ["MANUAL", "SNAPSHOT"], "count": HUNDRED, "offset": offset}
            if name:
                body["query"] = name
            return rows(self._http.ask("POST", "/crm/v3/lists/search", body, bucket="search").read(), "lists")

        return [(text(each, "name"), text(each, "listId")) for each in pages(read, HUNDRED)]

    def _make_list(self, name: str) -> str:
        body = {"name": name, "objectTypeId": CONTACTS, "processingType": "MANUAL"}
        reply = self._http.ask("POST", "/crm/v3/lists", body)
        if not reply.ok:
            raise ListRefused(f"{reply.status}")
        return text(table(reply.object(), "list"), "listId")


def _standing(properties: Mapping[str, Any]) -> Standing:
    """Absent or empty: HubSpot has never set it."""
    said = words(properties, OPTED_OUT)
    if said not in {"", "true", "false"}:
        raise Unreadable(OPTED_OUT)
    return Standing.LEFT if said == "true" else Standing.ACTIVE


def _seen(contact: Mapping[str, Any], lists: set[str]) -> Seen:
    properties = table(contact, "properties")
    fields = {name: value for name, value in properties.items() if isinstance(value, str)}
    number = text(contact, "id")
    return Seen(number, _standing(properties), frozenset(lists), fields=fields, number=number)


KIND: Final = Kind(HubspotOptions, make, quotas=QUOTAS)
