"""MailerLite: subscribers in groups, fifty calls bundled into one; 120 calls a minute.

Kept apart here: a status is the account's and a group is not, so no call here carries a status (or ``resubscribe``),
which would bring back who unsubscribed. A bundle is a 200 whatever became of what it holds: each answer in it is read.
A bundle of nothing but new subscribers counts as an import, of which there are five a minute: they are made one a call.
An account may ask whom its API brings in to confirm; they are in no group until they did. A field that the account does
not have is passed over without a word, so what was written is read back. Groups are the platform's tags too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from contracts.codec import to_json
from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Halt, Member, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import Unreadable, linked_pages, one_of, rows, table, text, whole_number, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import Http, Reply, refused, usual
from sinks.toolkit.list_ids import NamedLists, Names, in_parts
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import ListGone, ListRefused, NoOptIn, One, PersonFault

QUOTAS: Final = {"all": [(120, 60_000)]}
BUNDLE: Final = 50
"""Calls of one bundle."""
PAGE: Final = 100
TRIED: Final = frozenset({403})
STATUSES: Final = {
    "active": Standing.ACTIVE,
    "unsubscribed": Standing.LEFT,
    "unconfirmed": Standing.PENDING,
    "bounced": Standing.UNDELIVERABLE,
    "junk": Standing.LEFT,
}
"""``junk``: they marked a mail as spam."""


class MailerliteOptions(Options):
    """``key``: an API token. ``token_field``: the key of a text field that is made in MailerLite."""

    key: SecretAt
    url: SafeUrl = "https://connect.mailerlite.com"
    token_field: str = "segma_token"  # noqa: S105


def make(options: MailerliteOptions, around: Around) -> ListSink:
    """The sink of an account."""
    headers = {"Authorization": f"Bearer {around.secret(options.key, 'key')}"}
    http = around.http(options, options.url, headers, quotas=QUOTAS, connections=4)
    return ListSink(Mailerlite(http, options.token_field), strangers=around.strangers, known=around.known)


class Mailerlite(NoOptIn, NamedLists):
    """The calls."""

    overwrites = False
    numbers = True
    most = BUNDLE

    def __init__(self, http: Http, token_field: str) -> None:
        super().__init__(http, Names(self._read_groups, self._make_group))
        link = f"{{${token_field}}}"
        self.traits = Traits(
            batch=BUNDLE, tells_removals=True, lists_are_tags=True, tags=True, fields=True, token_link=link
        )

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Subscribers by address, fifty a call, each with its groups."""
        tags = {name for change in changes for name in (*change.tag, *change.untag)}
        names = {number: name for name in lists | tags if (number := self._lists.find(name))}
        addresses = [normalised_address(change.address) for change in changes]
        replies: list[Reply] = []
        for some in in_parts(addresses, BUNDLE):
            replies += self._bundle([("GET", f"api/subscribers/{quote(each, safe='@')}", None) for each in some])
        found = list(zip(addresses, replies, strict=True))
        return self._http.apart(lambda each: _seen(each[0], _readable(each[1]), names), found)

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """A subscriber a call, in no group and without a status: that is the account's to decide."""
        return self._http.apart(self._enrol, changes)

    def _enrol(self, change: Change) -> str | Trouble:
        fields = {"name": change.name} if change.name else {}
        body = {"email": normalised_address(change.address), "fields": fields}
        reply = self._http.ask("POST", "/api/subscribers", body)
        if not reply.ok:
            return refused(reply)
        made = table(reply.object(), "data")
        if reply.status != 201:
            return Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, f"{reply.status}, there meanwhile")
        if one_of(made, "status", STATUSES) is Standing.PENDING:
            return Trouble(Reason.ASKED, Fate.LASTING, "the account asks whom its API brings in to confirm")
        return text(made, "id")

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Put people into a group; who is in it already is ignored."""
        return self._change("POST", list_name, self._lists.made(list_name), people)

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Take people out of a group; who is not in it is out already."""
        faults = self._change("DELETE", list_name, self._there(list_name), people)
        return [None if fault is not None and fault.answer.startswith("404") else fault for fault in faults]

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """A tag is a group."""
        try:
            return self.put(tag, people) if on else self.remove(tag, people)
        except ListGone:
            self.forget(tag)
            return self.put(tag, people) if on else [None] * len(people)

    def _change(self, method: str, list_name: str, number: str, people: Sequence[One]) -> list[PersonFault]:
        calls = [(method, f"api/subscribers/{one.person}/groups/{number}", None) for one in people]
        faults = [_fault(reply) for reply in self._bundle(calls)]
        unknown = any(fault is not None and fault.answer.startswith("404") for fault in faults)
        if unknown and self._lists.fresh(list_name) != number:
            raise ListGone
        return faults

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """Fields alone; the answer shows which of them the account has."""
        calls = [("PUT", f"api/subscribers/{one.person}", {"fields": dict(one.change.fields)}) for one in people]
        pairs = list(zip(people, self._bundle(calls), strict=True))
        return self._http.apart(lambda pair: _unwritten(*pair), pairs)

    def members(self, list_name: str) -> Iterator[Member]:
        """Subscribers of the group, status by status: without one the platform shows the active ones alone."""
        number = self._read(list_name)
        for status, standing in STATUSES.items():

            def read(after: str, status: str = status) -> tuple[list[Mapping[str, Any]], str]:
                query = {"filter[status]": status, "limit": str(PAGE), **({"cursor": after} if after else {})}
                found = self._http.ask("GET", f"/api/groups/{number}/subscribers", query=query).read()
                return rows(found, "data"), words(table(found, "meta"), "next_cursor")

            for each in linked_pages(read):
                name = words(table(each, "fields"), "name") if "fields" in each else ""
                yield Member(text(each, "email"), name, standing, text(each, "id"))

    def rights(self) -> Iterator[Right]:
        """A token may do what its user may: reading is tried, changing by calls that are refused as they stand."""
        for name in ("subscribers", "groups"):
            reply = self._http.ask("GET", f"/api/{name}", query={"limit": "1"}, hear=TRIED)
            yield Right(f"reading {name}", reply.ok)
        made = self._http.ask("POST", "/api/subscribers", {"email": ""}, hear=TRIED)
        yield Right("changing subscribers", made.status != 403, "the permission of the token's user")
        made = self._http.ask("POST", "/api/groups", {"name": ""}, hear=TRIED)
        yield Right("making groups", made.status != 403, "the permission of the token's user")
        yield Right("double opt-in", None, "if it is on for the API, strangers are asked by a mail of MailerLite's own")
        yield Right("automations", None, "an automation whose trigger is the group starts; it is not asked which")

    def _bundle(self, calls: Sequence[tuple[str, str, object]]) -> list[Reply]:
        """The answer of each call, in order. Raises :class:`Halt` where they are not as many as the calls."""
        requests = [
            {"method": method, "path": path, **({"body": body} if body is not None else {})}
            for method, path, body in calls
        ]
        answers = self._http.ask("POST", "/api/batch", {"requests": requests}).items("responses")
        if len(answers) != len(calls):
            raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, f"{len(answers)} answers of {len(calls)}"))
        return [Reply(_status(each), {}, to_json(each.get("body"))) for each in answers]

    def _read_groups(self, name: str) -> Iterable[tuple[str, str]]:
        def read(after: str) -> tuple[list[Mapping[str, Any]], str]:
            query = {
                "limit": str(PAGE),
                **({"filter[name]": name} if name else {}),
                **({"page": after} if after else {}),
            }
            found = self._http.ask("GET", "/api/groups", query=query).read()
            at, last = (whole_number(table(found, "meta"), each) for each in ("current_page", "last_page"))
            return rows(found, "data"), str(at + 1) if at < last else ""

        return [(text(each, "name"), text(each, "id")) for each in linked_pages(read)]

    def _make_group(self, name: str) -> str:
        reply = self._http.ask("POST", "/api/groups", {"name": name})
        if not reply.ok:
            raise ListRefused(f"{reply.status}")
        return text(table(reply.object(), "data"), "id")


def _status(answer: Mapping[str, Any]) -> int:
    found = whole_number(answer, "code")
    if not 100 <= found < 600:
        raise Unreadable("code")
    return found


def _readable(reply: Reply) -> Reply:
    """An answer in a bundle of readings; one that is about the account concerns everybody in it."""
    trouble = usual(reply)
    if trouble is not None:
        raise Halt(trouble)
    return reply


def _seen(address: str, reply: Reply, names: Mapping[str, str]) -> Seen | Trouble:
    if not reply.ok:
        return Seen() if reply.status == 404 else refused(reply)
    found = table(reply.object(), "data")
    if normalised_address(text(found, "email")) != address:
        raise Unreadable("email")
    person, status = text(found, "id"), text(found, "status")
    groups = {text(each, "id") for each in rows(found, "groups")}
    inside = frozenset(names[number] for number in groups if number in names)
    fields = {name: value for name, value in table(found, "fields").items() if isinstance(value, str)}
    because = Reason.COMPLAINED if status == "junk" else Reason.UNSUBSCRIBED
    standing = one_of(found, "status", STATUSES)
    return Seen(person, standing, inside, tags=inside, fields=fields, because=because, number=person)


def _fault(reply: Reply) -> PersonFault:
    """One answer in a bundle of changes: 404 is looked at again, for the subscriber or the group vanished."""
    if reply.ok:
        return None
    fault = usual(reply) or refused(reply)
    return fault._replace(fate=Fate.PASSING) if reply.status == 404 else fault


def _unwritten(one: One, reply: Reply) -> PersonFault:
    """What became of a field: the platform passes over one that it does not have."""
    fault = _fault(reply)
    if fault is not None:
        return fault
    fields = table(table(reply.object(), "data"), "fields")
    if all(fields.get(name) == value for name, value in one.change.fields):
        return None
    return Trouble(Reason.LIST_REFUSED, Fate.LASTING, "the account has no such field")


KIND: Final = Kind(MailerliteOptions, make, tags=True, quotas=QUOTAS)
