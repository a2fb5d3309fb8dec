"""Kit (ConvertKit), version 4: subscribers with tags, one person a call, 120 calls a minute.

Kept apart here: lists are tags. Without ``status=all`` whoever left is not shown at all, and would be taken for a
stranger; bringing people in is an upsert that writes no state, and one that met somebody who was there is looked at
again. "Slow down" is plain text without a word of when. A field is written together with the address, so the address is
the one that was just seen. The bulk calls ask for an OAuth application and are not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Member, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import Unreadable, linked_pages, one_of, rows, table, text, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import Http, Reply, refused, usual
from sinks.toolkit.list_ids import NamedLists, Names
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import ListGone, ListRefused, NoOptIn, One, PersonFault

QUOTAS: Final = {"all": [(120, 60_000)]}
"""Of a key, in any sixty seconds."""
WAIT_S: Final = 10.0
"""After a 429, which names no time: part of the window passes."""
PAGE: Final = 1_000
TRIED: Final = frozenset({403})
STATES: Final = {
    "active": Standing.ACTIVE,
    "inactive": Standing.PENDING,
    "cancelled": Standing.LEFT,
    "bounced": Standing.UNDELIVERABLE,
    "complained": Standing.LEFT,
}
"""``inactive``: has not confirmed."""


class KitOptions(Options):
    """``key``: an API key of version 4. ``token_field``: the key of a custom field that is made in Kit."""

    key: SecretAt
    url: SafeUrl = "https://api.kit.com"
    token_field: str = "segma_token"  # noqa: S105


def make(options: KitOptions, around: Around) -> ListSink:
    """The sink of an account."""
    headers = {"X-Kit-Api-Key": around.secret(options.key, "key")}
    http = around.http(options, options.url, headers, quotas=QUOTAS, connections=4, judge=judge)
    return ListSink(Kit(http, options.token_field), strangers=around.strangers, known=around.known)


def judge(reply: Reply) -> Trouble | None:
    """A 429 is plain text, and 413 means that too much waits already; neither says how long."""
    if reply.status == 413:
        return Trouble(Reason.THROTTLED, Fate.AWAY, "413", wait_s=WAIT_S)
    trouble = usual(reply)
    if trouble is not None and trouble.reason is Reason.THROTTLED:
        return trouble._replace(wait_s=trouble.wait_s or WAIT_S)
    return trouble


class Kit(NoOptIn, NamedLists):
    """The calls."""

    overwrites = False
    numbers = True
    most = 20

    def __init__(self, http: Http, token_field: str) -> None:
        super().__init__(http, Names(lambda name: self._read_tags(), self._make_tag))
        link = f"{{{{subscriber.{token_field}}}}}"
        self.traits = Traits(
            batch=20, tells_removals=True, lists_are_tags=True, tags=True, fields=True, token_link=link
        )

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Each subscriber by address, whatever their state; then their tags, if any are in question."""
        tags = {name for change in changes for name in (*change.tag, *change.untag)}
        names = {number: name for name in lists | tags if (number := self._lists.find(name))}
        return self._http.apart(lambda change: self._look(change, names), changes)

    def _look(self, change: Change, names: Mapping[str, str]) -> Seen | Trouble:
        address = normalised_address(change.address)
        reply = self._http.ask("GET", "/v4/subscribers", query={"email_address": address, "status": "all"})
        if reply.status == 422:
            return refused(reply)
        found = [
            each for each in reply.items("subscribers") if normalised_address(text(each, "email_address")) == address
        ]
        if not found:
            return Seen()
        person, state = text(found[0], "id"), text(found[0], "state")
        inside = frozenset(self._tags_of(person, names)) if names else frozenset[str]()
        fields = {name: value for name, value in table(found[0], "fields").items() if isinstance(value, str)}
        because = Reason.COMPLAINED if state == "complained" else Reason.UNSUBSCRIBED
        standing = one_of(found[0], "state", STATES)
        notes = {"address": text(found[0], "email_address")}
        return Seen(person, standing, inside, frozenset(), inside, fields, notes, because=because, number=person)

    def _tags_of(self, person: str, names: Mapping[str, str]) -> Iterator[str]:
        for each in self._pages(f"/v4/subscribers/{person}/tags", "tags", {}):
            if text(each, "id") in names:
                yield names[text(each, "id")]

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """A subscriber a call, with the state that a new one has; nobody's state is written."""
        return self._http.apart(self._enrol, changes)

    def _enrol(self, change: Change) -> str | Trouble:
        body = {"email_address": normalised_address(change.address), "first_name": change.name or None}
        reply = self._http.ask("POST", "/v4/subscribers", body)
        if reply.status == 201:
            return text(table(reply.object(), "subscriber"), "id")
        if reply.ok:
            return Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, f"{reply.status}, there meanwhile")
        return refused(reply)

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """A tag each; who has it already is ignored."""
        return self._change("POST", list_name, self._lists.made(list_name), people)

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """The tag away from each; who does not have it is a 404, and so is who vanished."""
        faults = self._change("DELETE", list_name, self._there(list_name), people)
        return [None if fault is not None and fault.answer.startswith("404") else fault for fault in faults]

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """Lists are tags."""
        try:
            return self.put(tag, people) if on else self.remove(tag, people)
        except ListGone:
            self.forget(tag)
            return self.put(tag, people) if on else [None] * len(people)

    def _change(self, method: str, list_name: str, number: str, people: Sequence[One]) -> list[PersonFault]:
        def change(one: One) -> PersonFault:
            path = f"/v4/tags/{number}/subscribers/{one.person}"
            reply = self._http.ask(method, path, {} if method == "POST" else None)
            if reply.ok and (method == "POST" or reply.status != 204):
                table(reply.object() if method == "POST" else {}, "subscriber")
            return _fault(reply)

        faults = self._http.apart(change, people)
        unknown = any(fault is not None and fault.answer.startswith("404") for fault in faults)
        if unknown and self._lists.fresh(list_name) != number:
            raise ListGone
        return faults

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """The custom field, which must have been made in Kit's settings."""
        return self._http.apart(self._write, people)

    def _write(self, one: One) -> PersonFault:
        address = one.seen.notes.get("address") or normalised_address(one.change.address)
        body = {"email_address": address, "fields": dict(one.change.fields)}
        reply = self._http.ask("PUT", f"/v4/subscribers/{one.person}", body)
        fault = _fault(reply)
        if fault is not None:
            return fault
        if reply.status == 202:
            return Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, "202, not done yet")
        fields = table(table(reply.object(), "subscriber"), "fields")
        if all(fields.get(name) == value for name, value in one.change.fields):
            return None
        return Trouble(Reason.LIST_REFUSED, Fate.LASTING, "the account has no such field")

    def members(self, list_name: str) -> Iterator[Member]:
        """Subscribers with the tag, whatever their state."""
        number = self._read(list_name)
        for each in self._pages(f"/v4/tags/{number}/subscribers", "subscribers", {"status": "all"}):
            name, standing = words(each, "first_name"), one_of(each, "state", STATES)
            yield Member(text(each, "email_address"), name, standing, text(each, "id"))

    def rights(self) -> Iterator[Right]:
        """A key may do all: reading is tried as it is, changing by calls that are refused as they stand."""
        for name in ("subscribers", "tags"):
            reply = self._http.ask("GET", f"/v4/{name}", query={"per_page": "1"}, hear=TRIED)
            yield Right(f"reading {name}", reply.ok)
        made = self._http.ask("POST", "/v4/subscribers", {"email_address": ""}, hear=TRIED)
        yield Right("changing subscribers", made.status != 403)
        made = self._http.ask("POST", "/v4/tags", {"name": ""}, hear=TRIED)
        yield Right("making tags", made.status != 403)
        yield Right("automations", None, "a rule or automation whose trigger is the tag starts; it is not asked which")

    def _pages(self, path: str, name: str, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        def read(after: str) -> tuple[list[Mapping[str, Any]], str]:
            asked = {**query, "per_page": str(PAGE), **({"after": after} if after else {})}
            found = self._http.ask("GET", path, query=asked).read()
            pagination = table(found, "pagination")
            further = pagination.get("has_next_page")
            if not isinstance(further, bool):
                raise Unreadable("has_next_page")
            return rows(found, name), text(pagination, "end_cursor") if further else ""

        return linked_pages(read)

    def _read_tags(self) -> Iterable[tuple[str, str]]:
        return [(text(each, "name"), text(each, "id")) for each in self._pages("/v4/tags", "tags", {})]

    def _make_tag(self, name: str) -> str:
        reply = self._http.ask("POST", "/v4/tags", {"name": name})
        if not reply.ok:
            raise ListRefused(f"{reply.status}")
        return text(table(reply.object(), "tag"), "id")


def _fault(reply: Reply) -> PersonFault:
    """404: the subscriber or the tag vanished; both are looked at again."""
    if reply.ok:
        return None
    fault = refused(reply)
    return fault._replace(fate=Fate.PASSING) if reply.is_missing("errors") else fault


KIND: Final = Kind(KitOptions, make, tags=True, quotas=QUOTAS)
