"""listmonk: subscribers in lists, changed in bulk by their numbers.

Kept apart here: ``remove`` (neutral, it deletes the row) and ``unsubscribe`` (consent) are two actions of one call, and
only the first is ever sent; so a row that says "unsubscribed" is always the person's own. ``add`` sets a status, so
whoever unsubscribed from a list is told apart before and left alone. A ``PUT`` of a subscriber would write status and
lists back as they were read, and mail an opt-in to whoever has not confirmed: attributes are written by ``PATCH``.
Lists are told apart by their numbers: names that the key may not see are masked. An address stands in no SQL but as
signs that are known to be harmless.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Halt, Member, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import Unreadable, one_of, pages, rows, table, text, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import Http, Reply, refused, safe_words
from sinks.toolkit.list_ids import NamedLists, Names, in_parts
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import BatchRefused, ListGone, ListRefused, One, PersonFault

LOOK: Final = 50
"""People of one search: their addresses stand in its URL, which proxies cut at 8 KB."""
PAGE: Final = 500
STANDINGS: Final = {
    "enabled": Standing.ACTIVE,
    "blocklisted": Standing.LEFT,
    "disabled": Standing.UNDELIVERABLE,
}
SUBSCRIPTIONS: Final = {
    "confirmed": Standing.ACTIVE,
    "unconfirmed": Standing.PENDING,
    "unsubscribed": Standing.LEFT,
}
CONNECTIONS: Final = 4
"""The server is the operator's own: enough to use it, not to fill it."""
FAILED: Final = frozenset({500})
"""listmonk says 500 where an id in the body is not there: it is looked at, not waited for."""
TRIED: Final = frozenset({403, 500})
MASKED: Final = "*Unknown"
"""What stands for the name of a list that the key may not see."""
HARMLESS: Final = re.compile(r"[^\w@.+\- !#$&*/=?^`{|}~()]")
"""Signs that stand in no text of a query as they are: quotes, backslashes, and ``%``, which listmonk replaces in it."""


class ListmonkOptions(Options):
    """``user`` and ``token``: of an API user that may read and manage subscribers and lists."""

    url: SafeUrl
    user: str
    token: SecretAt
    token_field: str = "segma_token"  # noqa: S105


def make(options: ListmonkOptions, around: Around) -> ListSink:
    """The sink of an account."""
    headers = {"Authorization": f"token {options.user}:{around.secret(options.token, 'token')}"}
    http = around.http(options, options.url, headers, quotas={}, connections=CONNECTIONS)
    return ListSink(Listmonk(http, options.token_field), strangers=around.strangers, known=around.known)


def literal(address: str) -> str:
    """An address as an expression of SQL: a text of harmless signs, every other one by its number."""
    return "'" + HARMLESS.sub(lambda sign: f"'||chr({ord(sign[0])})||'", address) + "'"


class Listmonk(NamedLists):
    """The calls."""

    overwrites = True
    numbers = True
    most = 1_000
    knows_opt_in = True

    def __init__(self, http: Http, token_field: str) -> None:
        self._double: set[str] = set()
        super().__init__(http, Names(self._read_lists, self._make_list))
        self.traits = Traits(
            batch=500,
            shows_all=True,
            tells_removals=True,
            fields=True,
            token_link=f"{{{{.Subscriber.Attribs.{token_field}}}}}",
        )
        self._sees_all = False

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Look people up by address; one answer holds all their lists."""
        numbers = {number: name for name in sorted(lists) if (number := self._lists.find(name))}
        found: dict[str, Mapping[str, Any] | Trouble] = {}
        for some in self._http.together(self._look, in_parts(changes, LOOK)):
            found |= some
        whole = len(numbers) == len(lists)
        answers = [found.get(normalised_address(change.address)) for change in changes]
        if any(each is None for each in answers):
            self._check_sight()
        looks = self._http.apart(lambda each: self._seen(each, numbers, whole=whole), answers)
        # NOTE: who has only unanswered opt-ins is a stranger still, but not whom Segma has known to be in a list.
        return [
            each._replace(never_there=each.never_there and not change.met) if isinstance(each, Seen) else each
            for change, each in zip(changes, looks, strict=True)
        ]

    def _look(self, changes: Sequence[Change]) -> dict[str, Mapping[str, Any] | Trouble]:
        """Look people up by address; where the server cannot answer for all, those for whom it can."""
        quoted = ",".join(literal(normalised_address(each.address)) for each in changes)
        query = {"query": f"subscribers.email IN ({quoted})", "per_page": str(PAGE), "page": "1"}
        reply = self._http.ask("GET", "/api/subscribers", query=query, hear=FAILED)
        if reply.ok:
            found = reply.items("data", "results", null=True)
            return {normalised_address(text(each, "email")): each for each in found}
        if len(changes) == 1:
            fate = Fate.PASSING if reply.status == 500 else Fate.LASTING
            trouble = refused(reply)._replace(fate=fate)
            return {normalised_address(changes[0].address): trouble}
        half = len(changes) // 2
        answers = {**self._look(changes[:half]), **self._look(changes[half:])}
        if all(isinstance(each, Trouble) for each in answers.values()) and len(answers) == len(changes):
            raise Halt(Trouble(Reason.UNREACHABLE, Fate.AWAY, str(reply.status)))
        return answers

    def _check_sight(self) -> None:
        """Before anybody is believed not to be there: whether the key sees everybody (``subscribers:get_all``)."""
        if self._sees_all:
            return
        missing = next((each for each in self._sight() if each.works is False), None)
        if missing is not None:
            raise Halt(Trouble(Reason.MISSING_RIGHT, Fate.FATAL, missing.name))
        self._sees_all = True

    def _seen(
        self, subscriber: Mapping[str, Any] | Trouble | None, numbers: Mapping[str, str], *, whole: bool
    ) -> Seen | Trouble:
        if subscriber is None or isinstance(subscriber, Trouble):
            return Seen() if subscriber is None else subscriber
        held = rows(subscriber, "lists")
        if not whole and any(words(each, "name") == MASKED for each in held):
            return Trouble(Reason.MISSING_RIGHT, Fate.FATAL, "lists:get_all")
        standings = {text(each, "id"): _standing(each) for each in held}
        told = {text(each, "id"): words(each, "name") for each in held if words(each, "name") != MASKED}
        names = {number: numbers.get(number) or self._name(number) or told.get(number, "") for number in standings}
        of = {name: standings[number] for number, name in names.items() if name}
        elsewhere = any(standing is Standing.ACTIVE for standing in standings.values())
        attributes = table(subscriber, "attribs", null=True)
        return Seen(
            text(subscriber, "id"),
            one_of(subscriber, "status", STANDINGS),
            frozenset(name for name, standing in of.items() if standing is Standing.ACTIVE),
            frozenset(name for name, standing in of.items() if standing is Standing.LEFT),
            fields={name: value for name, value in attributes.items() if isinstance(value, str)},
            notes={"attribs": attributes},
            pending=frozenset(name for name, standing in of.items() if standing is Standing.PENDING),
            because=Reason.BLOCKED,
            elsewhere=elsewhere,
            never_there={*standings.values()} == {Standing.PENDING},
            number=text(subscriber, "id"),
        )

    def _name(self, number: str) -> str:
        """The name of a list that was not asked for; empty where it is not remembered, or not to be seen."""
        return self._lists.name_of(number)

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """Make subscribers, one call each: listmonk makes them in bulk from files alone."""
        return self._http.apart(lambda change: self._enrol(change, []), changes)

    def _enrol(self, change: Change, lists: Sequence[int]) -> str | Trouble:
        body = {
            "email": change.address,
            "name": change.name or change.address.partition("@")[0],
            "status": "enabled",
            "lists": list(lists),
            "preconfirm_subscriptions": not lists,
        }
        reply = self._http.ask("POST", "/api/subscribers", body)
        return text(table(reply.object(), "data"), "id") if reply.ok else refused(reply)

    def asks(self, list_name: str, *, known: bool) -> bool:
        """A list of double opt-in."""
        return self._lists.find(list_name) in self._double

    def invite(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """A stranger is made with the list, not confirmed; of others the mail is asked for by itself."""
        number = self._there(list_name)
        return self._http.apart(lambda one: self._invite(number, list_name, one), people)

    def _invite(self, number: str, list_name: str, one: One) -> PersonFault:
        if not one.person:
            made = self._enrol(one.change, [int(number)])
            return made if isinstance(made, Trouble) else None
        (fault,) = self._change("add", list_name, number, [one], status="unconfirmed")
        if fault is None:
            reply = self._http.ask("POST", f"/api/subscribers/{one.person}/optin", {})
            fault = None if reply.ok and _is_done(reply) else refused(reply)
        return fault

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Put people into a list by ``add``, confirmed: those who had unsubscribed were sorted out before."""
        return self._change("add", list_name, self._lists.made(list_name), people, status="confirmed")

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """``remove``, never ``unsubscribe``."""
        return self._change("remove", list_name, self._there(list_name), people)

    def _change(
        self, action: str, list_name: str, number: str, people: Sequence[One], *, status: str = ""
    ) -> Sequence[PersonFault]:
        body: dict[str, Any] = {"ids": [int(one.person) for one in people], "action": action}
        body |= {"target_list_ids": [int(number)], **({"status": status} if status else {})}
        reply = self._http.ask("PUT", "/api/subscribers/lists", body, hear=FAILED)
        if reply.ok and _is_done(reply):
            return [None] * len(people)
        if self._lists.fresh(list_name) != number:
            raise ListGone
        if reply.status == 500:
            raise Halt(Trouble(Reason.UNREACHABLE, Fate.AWAY, "500"))
        raise BatchRefused(safe_words(f"{reply.status}"))

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """There are no tags."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """Write attributes beside the existing ones; lists and status are not named, so they stay."""
        return self._http.apart(self._write, people)

    def _write(self, one: One) -> PersonFault:
        body = {
            "attribs": {**table(one.seen.notes, "attribs", null=True), **dict(one.change.fields)},
            "preconfirm_subscriptions": True,
        }
        reply = self._http.ask("PATCH", f"/api/subscribers/{one.person}", body)
        if reply.status in {404, 405}:
            return Trouble(Reason.UNSUPPORTED, Fate.LASTING, f"{reply.status}, tokens need listmonk 6.1")
        return None if reply.ok and text(table(reply.object(), "data"), "id") else refused(reply)

    def members(self, list_name: str) -> Iterator[Member]:
        """Page by page, whatever their subscription."""
        number = self._read(list_name)

        def read(page: int) -> Sequence[Mapping[str, Any]]:
            query = {"list_id": number, "page": str(page + 1), "per_page": str(PAGE)}
            return self._http.ask("GET", "/api/subscribers", query=query).items("data", "results", null=True)

        for each in pages(read, PAGE):
            of = next((of for of in rows(each, "lists", null=True) if text(of, "id") == number), None)
            standing = _standing(of) if of is not None else Standing.ACTIVE
            own = one_of(each, "status", STANDINGS)
            yield Member(text(each, "email"), words(each, "name"), _graver(own, standing), text(each, "id"))

    def rights(self) -> Iterator[Right]:
        """Each by a call that the server refuses for its right before it looks at what is asked for."""
        lists = self._http.ask("GET", "/api/lists", query={"minimal": "true"}, hear=TRIED)
        if lists.ok:
            yield self._names_seen()
            yield from self._sight()
        else:
            yield Right("lists:get_all", False, "the names of lists")
        asked = self._http.ask(
            "GET", "/api/subscribers", query={"query": "subscribers.id = 0", "per_page": "1"}, hear=TRIED
        )
        yield Right("subscribers:sql_query", asked.ok, "looking people up by address")
        nobody: dict[str, Any] = {"ids": [0], "action": "remove", "target_list_ids": [0]}
        yield self._tried("subscribers:manage", "PUT", "/api/subscribers/lists", nobody)
        yield self._tried("lists:manage_all", "POST", "/api/lists", {"name": "", "type": "private", "optin": "single"})
        yield Right(
            "no mail", None, "a move sends none but the opt-in of `strangers: opt_in` to lists of double opt-in"
        )

    def _names_seen(self) -> Right:
        """Return whether the key may see the names of lists: another word stands in place of those that it may not."""
        reply = self._http.ask("GET", "/api/subscribers", query={"page": "1", "per_page": "100"}, hear=TRIED)
        if not reply.ok:
            return Right("subscribers:get", False, "reading people")
        people = reply.items("data", "results", null=True)
        held = [of for each in people for of in rows(each, "lists", null=True)]
        masked = any(words(of, "name") == MASKED for of in held)
        return Right("lists:get_all", False if masked else bool(held) or None, "the names of lists")

    def _tried(self, name: str, method: str, path: str, body: Mapping[str, Any]) -> Right:
        reply = self._http.ask(method, path, body, hear=TRIED)
        return Right(name, reply.status != 403, "changing memberships and making lists")

    def _sight(self) -> Iterator[Right]:
        """Yield whether the key sees all subscribers, tried on a list that has members: they must be among all."""
        found = self._list_rows({"page": "1", "per_page": str(PAGE)})
        full = next((each for each in found if _count(each)), None)
        if full is None:
            yield Right("subscribers:get_all", None, "could not be tried: no list has anybody in it")
            return
        inside, everybody = self._total({"list_id": text(full, "id")}), self._total({})
        known = inside is not None and everybody is not None and everybody >= inside > 0
        yield Right("subscribers:get_all", known, "seeing everybody, whatever lists they are in")

    def _total(self, query: Mapping[str, str]) -> int | None:
        reply = self._http.ask("GET", "/api/subscribers", query={**query, "per_page": "1", "page": "1"}, hear=TRIED)
        return int(text(table(reply.read(), "data"), "total")) if reply.ok else None

    def _list_rows(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        reply: Reply = self._http.ask("GET", "/api/lists", query=query)
        return reply.items("data", "results", null=True)

    def _read_lists(self, name: str) -> Iterable[tuple[str, str]]:
        # NOTE: all of them: the search by name is one of words, and would not find quotes or emoji. And in one call:
        # listmonk gives no pages of the minimal form, however they are asked for.
        found = self._list_rows({"minimal": "true"})
        self._double = {text(each, "id") for each in found if words(each, "optin") == "double"}
        return [(text(each, "name"), text(each, "id")) for each in found]

    def _make_list(self, name: str) -> str:
        reply = self._http.ask("POST", "/api/lists", {"name": name, "type": "private", "optin": "single", "tags": []})
        if not reply.ok:
            raise ListRefused(safe_words(f"{reply.status}"))
        return text(table(reply.object(), "data"), "id")


def _count(each: Mapping[str, Any]) -> bool:
    count = each.get("subscriber_count")
    return isinstance(count, int) and count > 0


def _is_done(reply: Reply) -> bool:
    """Whether a call that changes something says so. Raises :class:`Unreadable` where it says anything else."""
    if reply.object().get("data") is not True:
        raise Unreadable("data")
    return True


def _standing(membership: Mapping[str, Any]) -> Standing:
    """In a list of single opt-in whoever has not confirmed is in it all the same, and gets its mails."""
    standing = one_of(membership, "subscription_status", SUBSCRIPTIONS)
    single = words(membership, "optin") == "single"
    return Standing.ACTIVE if standing is Standing.PENDING and single else standing


def _graver(one: Standing, other: Standing) -> Standing:
    order = (Standing.ACTIVE, Standing.PENDING, Standing.UNDELIVERABLE, Standing.LEFT)
    return max(one, other, key=order.index)


KIND: Final = Kind(ListmonkOptions, make)
