"""listmonk: subscribers in lists, changed in bulk by their numbers.

Kept apart here: ``remove`` (neutral) and ``unsubscribe`` (consent) are two actions of one call, and only the first is
ever sent; ``add`` sets a status, so whoever unsubscribed from a list is told apart before and left alone; a ``PUT`` of
a subscriber replaces their lists, so it carries all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Halt, Member, Standing, Traits, Trouble
from sinks.toolkit.http import Http, refused, safe_words
from sinks.toolkit.list_ids import NamedLists, Names, in_parts
from sinks.toolkit.list_sink import BatchRefused, Fault, ListGone, ListRefused, ListSink, One, Seen
from sinks.toolkit.options import Around, Options, SafeUrl

LOOK: Final = 50
"""People of one search: their addresses stand in its URL, which proxies cut at 8 KB."""
PAGE: Final = 500
STANDINGS: Final = {"blocklisted": Standing.LEFT, "disabled": Standing.UNDELIVERABLE}
SUBSCRIPTIONS: Final = {
    "confirmed": Standing.ACTIVE,
    "unconfirmed": Standing.PENDING,
    "unsubscribed": Standing.LEFT,
}
CONNECTIONS: Final = 4
"""The server is the operator's own: enough to use it, not to fill it."""
FAILED: Final = frozenset({500})
"""listmonk says 500 where an id in the body is not there: it is looked at, not waited for."""


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
    return ListSink(Listmonk(http, options.token_field))


class Listmonk(NamedLists):
    """The calls."""

    most = 1_000

    def __init__(self, http: Http, token_field: str) -> None:
        super().__init__(http, Names(self._read_lists, self._make_list))
        self.traits = Traits(batch=500, fields=True, token_link=f"{{{{.Subscriber.Attribs.{token_field}}}}}")

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """By address, with all their lists in one answer."""
        asked = self._http.together(self._look, in_parts(changes, LOOK))
        found = {normalised_address(str(each.get("email", ""))): _seen(each) for some in asked for each in some}
        return [found.get(normalised_address(change.address), Seen()) for change in changes]

    def _look(self, changes: Sequence[Change]) -> list[dict[str, Any]]:
        quoted = ",".join("'" + normalised_address(each.address).replace("'", "''") + "'" for each in changes)
        query = {"query": f"subscribers.email IN ({quoted})", "per_page": str(PAGE), "page": "1"}
        return self._http.ask("GET", "/api/subscribers", query=query).items("data", "results")

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """One call each: listmonk makes no subscribers in bulk but by files."""
        return self._http.together(self._enrol, changes)

    def _enrol(self, change: Change) -> str | Trouble:
        body = {
            "email": change.address,
            "name": change.name or change.address.partition("@")[0],
            "status": "enabled",
            "lists": [],
            "preconfirm_subscriptions": True,
        }
        reply = self._http.ask("POST", "/api/subscribers", body)
        return str(reply.object()["data"]["id"]) if reply.ok else refused(reply)

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[Fault]:
        """``add``, confirmed: whoever had unsubscribed was told apart before."""
        return self._change("add", list_name, self._lists.made(list_name), people)

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[Fault]:
        """``remove``, never ``unsubscribe``."""
        return self._change("remove", list_name, self._there(list_name), people)

    def _change(self, action: str, list_name: str, number: str, people: Sequence[One]) -> Sequence[Fault]:
        body: dict[str, Any] = {"ids": [int(one.person) for one in people], "action": action}
        body["target_list_ids"] = [int(number)]
        if action == "add":
            body["status"] = "confirmed"
        reply = self._http.ask("PUT", "/api/subscribers/lists", body, hear=FAILED)
        if reply.ok:
            return [None] * len(people)
        if not self._lists.fresh(list_name):
            raise ListGone
        if reply.status == 500:
            raise Halt(Trouble(Reason.UNREACHABLE, Fate.AWAY, "500"))
        raise BatchRefused(safe_words(f"{reply.status}"))

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[Fault]:
        """There are no tags."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)

    def write(self, people: Sequence[One]) -> Sequence[Fault]:
        """An attribute, beside those that are there. The ``PUT`` replaces lists and attributes, so it carries all."""
        return self._http.together(self._write, people)

    def _write(self, one: One) -> Fault:
        current = self._http.ask("GET", f"/api/subscribers/{one.person}")
        if not current.ok:
            return refused(current)._replace(fate=Fate.PASSING)
        data = current.object()["data"]
        body = {
            "email": data["email"],
            "name": data.get("name", ""),
            "status": data.get("status", "enabled"),
            "lists": [each["id"] for each in data.get("lists") or []],
            "attribs": {**(data.get("attribs") or {}), **dict(one.change.fields)},
        }
        reply = self._http.ask("PUT", f"/api/subscribers/{one.person}", body)
        return None if reply.ok else refused(reply)

    def members(self, list_name: str) -> Iterator[Member]:
        """Page by page, whatever their subscription."""
        number = self._read(list_name)
        page = 1
        while True:
            query = {"list_id": number, "page": str(page), "per_page": str(PAGE)}
            results = self._http.ask("GET", "/api/subscribers", query=query).items("data", "results")
            for each in results:
                seen = _seen(each)
                standing = next(
                    (
                        SUBSCRIPTIONS.get(of.get("subscription_status", ""), Standing.ACTIVE)
                        for of in each.get("lists") or []
                        if str(of.get("id")) == number
                    ),
                    Standing.ACTIVE,
                )
                yield Member(each["email"], each.get("name", ""), _graver(seen.standing, standing))
            if len(results) < PAGE:
                return
            page += 1

    def _read_lists(self, name: str) -> Mapping[str, str]:
        found: dict[str, str] = {}
        page = 1
        while True:
            # NOTE: all of them: the search by name is one of words, and would not find quotes or emoji.
            query = {"page": str(page), "per_page": str(PAGE), "minimal": "true"}
            results = self._http.ask("GET", "/api/lists", query=query).items("data", "results")
            found |= {str(each["name"]): str(each["id"]) for each in results}
            if len(results) < PAGE:
                return found
            page += 1

    def _make_list(self, name: str) -> str:
        reply = self._http.ask("POST", "/api/lists", {"name": name, "type": "private", "optin": "single", "tags": []})
        if not reply.ok:
            raise ListRefused(safe_words(f"{reply.status}"))
        return str(reply.object()["data"]["id"])


def _seen(subscriber: Mapping[str, Any]) -> Seen:
    lists = subscriber.get("lists") or []
    of = {str(each.get("name", "")): SUBSCRIPTIONS.get(each.get("subscription_status", "")) for each in lists}
    return Seen(
        str(subscriber["id"]),
        STANDINGS.get(subscriber.get("status", ""), Standing.ACTIVE),
        frozenset(name for name, standing in of.items() if standing is not Standing.LEFT),
        frozenset(name for name, standing in of.items() if standing is Standing.LEFT),
        fields={name: value for name, value in (subscriber.get("attribs") or {}).items() if isinstance(value, str)},
    )


def _graver(one: Standing, other: Standing) -> Standing:
    order = (Standing.ACTIVE, Standing.PENDING, Standing.UNDELIVERABLE, Standing.LEFT)
    return max(one, other, key=order.index)
