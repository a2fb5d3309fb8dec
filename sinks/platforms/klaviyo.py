"""Klaviyo: profiles in lists, changed in bulk by their ids; the answer is 204 both ways.

Kept apart here: the relationship calls change no consent, while the subscription jobs do (one un-subscribes globally
who is not in the list, the other clears suppressions): none of those is ever sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Member, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import Unreadable, linked_pages, rows, table, text, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import Http, Reply, refused, usual, waits_s
from sinks.toolkit.list_ids import NamedLists, Names, in_parts
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import BatchRefused, ListGone, ListRefused, NoOptIn, One, PersonFault

REVISION: Final = "2026-07-15"
MEDIA: Final = "application/vnd.api+json"
PAGE: Final = 100
"""People of one search and of one page."""
TAGS: Final = "segma_tags"
"""Klaviyo has no tags on profiles: a list property, appended to and taken from by the platform itself."""
QUOTAS: Final = {
    "memberships": [(10, 1_000), (150, 60_000)],
    "profiles": [(75, 1_000), (700, 60_000)],
    "lists": [(75, 1_000), (700, 60_000)],
}
"""As published: burst and steady, of each call by itself."""
TRIED: Final = frozenset({403})
CONSENTS: Final = frozenset({"SUBSCRIBED", "UNSUBSCRIBED", "NEVER_SUBSCRIBED"})
SUPPRESSIONS: Final = {
    "SPAM_COMPLAINT": Reason.COMPLAINED,
    "USER_SUPPRESSED": Reason.BLOCKED,
    "UNSUBSCRIBE": Reason.UNSUBSCRIBED,
}
"""Suppressions that are a leaving; every other one is the address's (bounced, invalid)."""


class KlaviyoOptions(Options):
    """``key``: a private key with ``lists`` and ``profiles``, read and write."""

    key: SecretAt
    url: SafeUrl = "https://a.klaviyo.com"
    revision: str = REVISION
    token_field: str = "segma_token"  # noqa: S105


def make(options: KlaviyoOptions, around: Around) -> ListSink:
    """The sink of an account."""
    headers = {"Authorization": f"Klaviyo-API-Key {around.secret(options.key, 'key')}", "revision": options.revision}
    http = around.http(options, options.url, headers, quotas=QUOTAS, connections=10, judge=judge)
    return ListSink(Klaviyo(http, options.token_field), strangers=around.strangers, known=around.known)


def judge(reply: Reply) -> Trouble | None:
    """410: the revision was retired; 415: our media type was: both wait for a person."""
    if reply.status in {410, 415}:
        return Trouble(Reason.REFUSED_BY_PLATFORM, Fate.FATAL, f"{reply.status}, revision")
    if reply.status == 429:
        return Trouble(Reason.THROTTLED, Fate.AWAY, "429", wait_s=max(waits_s(reply), 1.0))
    return usual(reply)


class Klaviyo(NoOptIn, NamedLists):
    """The calls."""

    overwrites = False
    numbers = True
    most = 1_000

    def __init__(self, http: Http, token_field: str) -> None:
        super().__init__(http, Names(self._read_lists, self._make_list))
        self.traits = Traits(
            batch=1_000, tags=True, fields=True, token_link=f"{{{{person|lookup:'{token_field}'|default:''}}}}"
        )

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Profiles by address, then who of them is in each list, a hundred at a time."""
        addresses = [normalised_address(change.address) for change in changes]
        hundreds = in_parts(addresses, PAGE)
        numbers = {name: number for name in sorted(lists) if (number := self._lists.find(name))}
        query = {"fields[profile]": "email,properties,subscriptions", "additional-fields[profile]": "subscriptions"}
        asked = [("", "/api/profiles", "profiles", query, some) for some in hundreds]
        asked += [
            (name, f"/api/lists/{number}/profiles", "lists", {"fields[profile]": "email"}, some)
            for name, number in numbers.items()
            for some in hundreds
        ]
        found: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in ("", *numbers)}
        for one, profiles in zip(asked, self._http.together(lambda each: self._find(*each[1:]), asked), strict=True):
            found[one[0]] |= profiles
        return self._http.apart(
            lambda each: _seen(found[""].get(each), {name for name in numbers if each in found[name]}), addresses
        )

    def _find(
        self, path: str, bucket: str, query: Mapping[str, str], addresses: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        filtered = {
            **query,
            "filter": f"any(email,{json.dumps(addresses, ensure_ascii=False)})",
            "page[size]": str(PAGE),
        }
        reply = self._http.ask("GET", path, query=filtered, media=MEDIA, bucket=bucket)
        if reply.is_missing("errors"):
            return {}
        return {normalised_address(text(table(each, "attributes"), "email")): each for each in reply.items("data")}

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """An upsert each: it subscribes nobody to anything."""
        return self._http.apart(self._enrol, changes)

    def _enrol(self, change: Change) -> str | Trouble:
        attributes = {"email": change.address, **({"first_name": change.name} if change.name else {})}
        reply = self._import({"type": "profile", "attributes": attributes})
        if reply.status == 409:
            return text(table(rows(reply.object(), "errors")[0], "meta"), "duplicate_profile_id")
        return text(table(reply.object(), "data"), "id") if reply.ok else refused(reply)

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Consent stays what it is."""
        return self._change("POST", list_name, self._lists.made(list_name), people)

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Neutral: "will not impact consent", as the vendor says."""
        return self._change("DELETE", list_name, self._there(list_name), people)

    def _change(self, method: str, list_name: str, number: str, people: Sequence[One]) -> Sequence[PersonFault]:
        body = {"data": [{"type": "profile", "id": one.person} for one in people]}
        path = f"/api/lists/{number}/relationships/profiles"
        reply = self._http.ask(method, path, body, media=MEDIA, bucket="memberships")
        if reply.status == 204:
            return [None] * len(people)
        if reply.ok:
            raise Unreadable("204")
        if reply.status == 404 and self._lists.fresh(list_name) != number:
            raise ListGone
        if len(people) > 1:
            raise BatchRefused(f"{reply.status}")
        # NOTE: a 404 with the list still there is the profile's: it is looked for again.
        return [refused(reply)._replace(fate=Fate.PASSING if reply.status == 404 else Fate.LASTING)]

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """Append to, or take from, the list property."""
        patch = {"append" if on else "unappend": {TAGS: tag}}
        return self._http.apart(lambda one: self._write(one, {}, {"patch_properties": patch}), people)

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """Properties; a new one needs no declaration."""
        return self._http.apart(lambda one: self._write(one, dict(one.change.fields), None), people)

    def _write(self, one: One, properties: Mapping[str, str], meta: Mapping[str, Any] | None) -> PersonFault:
        data: dict[str, Any] = {"type": "profile", "attributes": {"email": one.change.address}}
        if properties:
            data["attributes"]["properties"] = dict(properties)
        if meta:
            data["meta"] = meta
        reply = self._import(data)
        return None if reply.ok and text(table(reply.object(), "data"), "id") else refused(reply)

    def _import(self, data: Mapping[str, Any]) -> Reply:
        return self._http.ask("POST", "/api/profile-import", {"data": data}, media=MEDIA, bucket="profiles")

    def members(self, list_name: str) -> Iterator[Member]:
        """Page by page, with what each consented to."""
        number = self._read(list_name)
        query = {
            "page[size]": str(PAGE),
            "fields[profile]": "email,first_name,subscriptions",
            "additional-fields[profile]": "subscriptions",
        }
        for each in self._pages(f"/api/lists/{number}/profiles", query):
            attributes = table(each, "attributes")
            standing, _ = _standing(attributes)
            yield Member(words(attributes, "email"), words(attributes, "first_name"), standing, text(each, "id"))

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        def read(cursor: str) -> tuple[list[dict[str, Any]], str]:
            asked = {**query, **({"page[cursor]": cursor} if cursor else {})}
            reply = self._http.ask("GET", path, query=asked, media=MEDIA, bucket="lists")
            # NOTE: of the link to the next page only the cursor is taken: a key goes to no address out of an answer.
            link = words(table(reply.read(), "links"), "next")
            return reply.items("data"), parse_qs(urlsplit(link).query).get("page[cursor]", [""])[0]

        return linked_pages(read)

    def rights(self) -> Iterator[Right]:
        """Each scope by a call of its own; those that write by one that cannot be carried out."""
        for scope, path in (("lists:read", "/api/lists"), ("profiles:read", "/api/profiles")):
            yield Right(scope, self._http.ask("GET", path, media=MEDIA, bucket="lists", hear=TRIED).ok)
        nothing = {"data": {"type": "list", "attributes": {"name": ""}}}
        made = self._http.ask("POST", "/api/lists", nothing, media=MEDIA, bucket="lists", hear=TRIED)
        yield Right("lists:write", made.status != 403, "making lists and changing memberships")
        nobody = {"data": {"type": "profile", "attributes": {"email": ""}}}
        written = self._http.ask("POST", "/api/profile-import", nobody, media=MEDIA, bucket="profiles", hear=TRIED)
        yield Right("profiles:write", written.status != 403, "bringing people in, tokens and tags")
        yield Right("automations", None, "a flow whose trigger is the list starts; the interface is not asked which")

    def _read_lists(self, name: str) -> Iterable[tuple[str, str]]:
        query = {"fields[list]": "name", "page[size]": "10"}
        if name and not set(name) & set("\"'\\"):
            query["filter"] = f'equals(name,"{name}")'
        return [
            (text(table(each, "attributes"), "name"), text(each, "id")) for each in self._pages("/api/lists", query)
        ]

    def _make_list(self, name: str) -> str:
        body = {"data": {"type": "list", "attributes": {"name": name}}}
        reply = self._http.ask("POST", "/api/lists", body, media=MEDIA, bucket="lists")
        if not reply.ok:
            raise ListRefused(f"{reply.status}")
        return text(table(reply.object(), "data"), "id")


def _standing(attributes: Mapping[str, Any]) -> tuple[Standing, Reason]:
    """What the email channel says; a suppression that is not the address's own is a leaving too."""
    marketing = table(table(table(attributes, "subscriptions"), "email"), "marketing")
    consent = text(marketing, "consent")
    if consent not in CONSENTS:
        raise Unreadable("consent")
    reasons = {text(each, "reason") for each in rows(marketing, "suppression")}
    for name, reason in SUPPRESSIONS.items():
        if name in reasons:
            return Standing.LEFT, reason
    if consent == "UNSUBSCRIBED":
        return Standing.LEFT, Reason.UNSUBSCRIBED
    return (Standing.UNDELIVERABLE if reasons else Standing.ACTIVE), Reason.UNSUBSCRIBED


def _seen(profile: Mapping[str, Any] | None, lists: set[str]) -> Seen:
    if profile is None:
        return Seen()
    attributes = table(profile, "attributes")
    properties = table(attributes, "properties")
    standing, because = _standing(attributes)
    return Seen(
        text(profile, "id"),
        standing,
        frozenset(lists),
        tags=frozenset(map(str, properties.get(TAGS) or [])),
        fields={name: value for name, value in properties.items() if isinstance(value, str)},
        because=because,
        number=text(profile, "id"),
    )


KIND: Final = Kind(KlaviyoOptions, make, tags=True, quotas=QUOTAS)
