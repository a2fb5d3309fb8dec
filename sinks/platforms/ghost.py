"""Ghost over its Admin API: members with labels, put in and taken out in bulk, each call signed by itself.

Kept apart here: lists are labels, and who is in none of the newsletters has left. A label is never written together
with a member: that would replace all others, and tell every webhook. The bulk call inserts a row for whomever its
filter finds, also one who has the label already, so the filter leaves those out; it answers with counts, so where they
do not account for everybody the members are read again. A page of members says nothing of why one is suppressed as soon
as an address on it has an apostrophe, so whoever is suppressed without a reason is read alone. A page has a hundred.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import OctKey

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Member, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import Unreadable, linked_pages, one_of, rows, table, text, whole_number, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import Http, Reply, refused, safe_words, usual
from sinks.toolkit.list_ids import NamedLists, Names, in_parts
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import BatchRefused, ListGone, ListRefused, NoOptIn, One, PersonFault

API: Final = "/ghost/api/admin"
ADMIN_KEY: Final = re.compile(r"([0-9a-f]{24}):((?:[0-9a-f]{2}){26,64})")
TOKEN_S: Final = 300
"""The longest that Ghost takes a token for good."""
PAGE: Final = 100
LOOK: Final = 25
"""Members asked for in one address, which is then under 8 kB however long theirs are."""
PLAIN: Final = re.compile(r"[a-z0-9._+-]+@[a-z0-9.-]+")
"""Addresses that are asked for together; any other might spoil the question for the others."""
TRIED: Final = frozenset({403})
SUPPRESSED: Final = {"spam": Standing.LEFT, "fail": Standing.UNDELIVERABLE}
TAKES_NEW: Final = "status:active+subscribe_on_signup:true+visibility:members"


class GhostOptions(Options):
    """``url``: of the site's Ghost Admin, without ``/ghost``. ``key``: an Admin API key, of a custom integration."""

    url: SafeUrl
    key: SecretAt


def make(options: GhostOptions, around: Around) -> ListSink:
    """The sink of an account. Raises :class:`ValueError` where the key is none of Ghost's Admin API."""
    found = ADMIN_KEY.fullmatch(around.secret(options.key, "key").strip())
    if found is None:
        raise ValueError("the key is no Admin API key: 24 digits, a colon and 64 digits, as the integration shows it")
    http = around.http(options, options.url, {}, quotas={}, connections=4, judge=judge)
    signed = Signed(found[1], bytes.fromhex(found[2]), around.now_ms)
    return ListSink(Ghost(http, signed), strangers=around.strangers, known=around.known)


def judge(reply: Reply) -> Trouble | None:
    """A token that is too old or to come is the fault of a clock, and not of the key."""
    trouble = usual(reply)
    if reply.status == 401 and any(said in reply.body for said in (b"jwt expired", b"maxAge exceeded")):
        return Trouble(Reason.BAD_CREDENTIALS, Fate.FATAL, "401, the clocks of Ghost and Segma differ by minutes")
    return trouble


class Signed:
    """The login of one call: a JSON Web Token (RFC 7519) by HMAC-SHA256, good for five minutes."""

    def __init__(self, number: str, secret: bytes, now_ms: Callable[[], int]) -> None:
        self._number, self._secret, self._now_ms = number, OctKey.import_key(secret), now_ms

    def header(self) -> dict[str, str]:
        """The header of a call that is made now."""
        now_s = self._now_ms() // 1_000
        claims = {"iat": now_s, "exp": now_s + TOKEN_S, "aud": "/admin/"}
        return {"Authorization": f"Ghost {jwt.encode({'alg': 'HS256', 'kid': self._number}, claims, self._secret)}"}


class Ghost(NoOptIn, NamedLists):
    """The calls."""

    overwrites = False
    numbers = True
    most = 50
    traits = Traits(batch=50, tells_removals=True, lists_are_tags=True, tags=True)

    def __init__(self, http: Http, signed: Signed) -> None:
        super().__init__(http, Names(lambda name: self._read_labels(), self._make_label))
        self._signed = signed

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """The members by address, many in a call, with their labels and newsletters."""
        tags = {name for change in changes for name in (*change.tag, *change.untag)}
        names = {number: name for name in lists | tags if (number := self._lists.find(name))}
        addresses = [normalised_address(change.address) for change in changes]
        plain = [each for each in addresses if PLAIN.fullmatch(each)]
        found = [each for part in self._http.together(self._together, in_parts(plain, LOOK)) for each in part]
        members = {normalised_address(text(each, "email")): each for each in found}

        def look(address: str) -> Seen | Trouble:
            member = members.get(address) if PLAIN.fullmatch(address) else self._alone(address)
            return member if isinstance(member, Trouble) else Seen() if member is None else self._seen(member, names)

        return self._http.apart(look, addresses)

    def _together(self, addresses: Sequence[str]) -> list[dict[str, Any]]:
        asked = ",".join(map(_quoted, addresses))
        return self._members(f"email:[{asked}]").items("members") if addresses else []

    def _alone(self, address: str) -> Mapping[str, Any] | Trouble | None:
        reply = self._members(f"email:{_quoted(address)}")
        if reply.status in {400, 422}:
            return refused(reply)
        found = [each for each in reply.items("members") if normalised_address(text(each, "email")) == address]
        return self._member(text(found[0], "id")) if found else None

    def _member(self, number: str) -> Mapping[str, Any] | None:
        """A member by their id, with what a page may keep back; None: they vanished."""
        told = self._ask("GET", f"/members/{number}/")
        return None if told.is_missing("errors") else rows(told.read(), "members")[0]

    def _members(self, wanted: str, **more: str) -> Reply:
        return self._ask("GET", "/members/", query={"filter": wanted, "limit": str(PAGE), **more})

    def _seen(self, member: Mapping[str, Any], names: Mapping[str, str]) -> Seen:
        person, standing, because = text(member, "id"), *self._standing(member)
        numbers = [text(each, "id") for each in rows(member, "labels")]
        inside = frozenset(names[number] for number in numbers if number in names)
        return Seen(person, standing, inside, tags=inside, because=because, number=person)

    def _standing(self, member: Mapping[str, Any]) -> tuple[Standing, Reason]:
        """Who complained or is in no newsletter has left; at whom mail failed is undeliverable."""
        held = _held(member)
        if held is not None and not held:
            alone = self._member(text(member, "id"))
            held = {} if alone is None else _held(alone)
        kept = one_of(held, "reason", SUPPRESSED) if held else Standing.ACTIVE
        if kept is Standing.LEFT:
            return kept, Reason.COMPLAINED
        if not rows(member, "newsletters"):
            return Standing.LEFT, Reason.UNSUBSCRIBED
        return Standing.ACTIVE if held is None else Standing.UNDELIVERABLE, Reason.UNSUBSCRIBED

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """A member a call, in the newsletters that whoever signs up is in; nobody is mailed but Ghost's own staff."""
        asked = self._ask("GET", "/newsletters/", query={"filter": TAKES_NEW, "limit": "1"})
        if not asked.items("newsletters"):
            raise ListRefused("no newsletter takes new members by itself")
        return self._http.apart(self._enrol, changes)

    def _enrol(self, change: Change) -> str | Trouble:
        member = {"email": normalised_address(change.address), **({"name": change.name} if change.name else {})}
        reply = self._ask("POST", "/members/", {"members": [member]})
        if reply.ok:
            return text(rows(reply.object(), "members")[0], "id")
        fault = refused(reply, _said(reply))
        return fault._replace(fate=Fate.PASSING) if "already" in fault.answer else fault

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """The label to each who has not got it; the list is made if missing."""
        return self._label("addLabel", list_name, self._lists.made(list_name), people)

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """The label away from each; a member who vanished has none."""
        return self._label("removeLabel", list_name, self._there(list_name), people)

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """Lists are labels, and so are tags."""
        try:
            return self.put(tag, people) if on else self.remove(tag, people)
        except ListGone:
            self.forget(tag)
            return self.put(tag, people) if on else [None] * len(people)

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """There are no fields."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)

    def _label(self, action: str, list_name: str, number: str, people: Sequence[One]) -> Sequence[PersonFault]:
        adds = action == "addLabel"
        whom = f"id:[{','.join(_quoted(one.person) for one in people)}]"
        body = {"bulk": {"action": action, "meta": {"label": {"id": number}}}}
        left_out = f"{whom}+labels.id:-{_quoted(number)}" if adds else whom
        reply = self._ask("PUT", "/members/bulk/", body, query={"filter": left_out})
        if not reply.ok:
            raise BatchRefused(f"{reply.status} {_said(reply)}")
        stats = table(table(table(reply.object(), "bulk"), "meta"), "stats")
        done, failed = whole_number(stats, "successful"), whole_number(stats, "unsuccessful")
        if not failed and (done == len(people) or not adds):
            return [None] * len(people)
        if self._lists.fresh(list_name) != number:
            raise ListGone
        having = self._members(f"{whom}+labels.id:{_quoted(number)}").items("members")
        inside = {text(each, "id") for each in having}
        again = Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, "not among those labelled")
        return [None if (one.person in inside) is adds else again for one in people]

    def members(self, list_name: str) -> Iterator[Member]:
        """Members with the label by their ids, whatever their standing."""
        label = _quoted(self._read(list_name))

        def read(after: str) -> tuple[list[Mapping[str, Any]], str]:
            further = f"+id:>{_quoted(after)}" if after else ""
            found = rows(self._members(f"labels.id:{label}{further}", order="id ASC").read(), "members")
            return found, text(found[-1], "id") if len(found) >= PAGE else ""

        for each in linked_pages(read):
            yield Member(text(each, "email"), words(each, "name"), self._standing(each)[0], text(each, "id"))

    def rights(self) -> Iterator[Right]:
        """Reading is tried as it is, changing by calls that are refused as they stand."""
        for name in ("members", "labels", "newsletters"):
            yield Right(f"reading {name}", self._ask("GET", f"/{name}/", query={"limit": "1"}, hear=TRIED).ok)
        made = self._ask("POST", "/members/", {"members": [{"email": "@"}]}, hear=TRIED)
        yield Right("changing members", made.status != 403)
        made = self._ask("POST", "/labels/", {"labels": [{"name": ""}]}, hear=TRIED)
        yield Right("making labels", made.status != 403)
        yield Right("automations", None, "Ghost has none that a label starts: whom you mail next decides")

    def _read_labels(self) -> Iterable[tuple[str, str]]:
        def read(after: str) -> tuple[list[dict[str, Any]], str]:
            query = {"limit": str(PAGE), "order": "id ASC", **({"filter": f"id:>{_quoted(after)}"} if after else {})}
            found = self._ask("GET", "/labels/", query=query).items("labels")
            return found, text(found[-1], "id") if len(found) >= PAGE else ""

        return [(text(each, "name"), text(each, "id")) for each in linked_pages(read)]

    def _make_label(self, name: str) -> str:
        reply = self._ask("POST", "/labels/", {"labels": [{"name": name}]}, hear=TRIED)
        if not reply.ok:
            raise ListRefused(f"{reply.status} {_said(reply)}")
        return text(rows(reply.object(), "labels")[0], "id")

    def _ask(self, method: str, path: str, body: object = None, **more: Any) -> Reply:
        return self._http.ask(method, f"{API}{path}", body, headers=self._signed.header(), **more)


def _held(member: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Why a member gets no mail whatever they want; empty: Ghost does not say why; None: they get it."""
    suppression = table(member, "email_suppression")
    if not isinstance(suppression.get("suppressed"), bool):
        raise Unreadable("suppressed")
    return table(suppression, "info", null=True) if suppression["suppressed"] else None


def _quoted(value: str) -> str:
    """A text of Ghost's filters."""
    return "'" + re.sub(r"(['\"])", r"\\\1", value) + "'"


def _said(reply: Reply) -> str:
    """Ghost's own words of why, safe."""
    told = reply.json_or_none()
    found = told.get("errors") if isinstance(told, dict) else None
    first = found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else {}
    return safe_words(f"{first.get('message', '')} {first.get('context') or ''}")


KIND: Final = Kind(GhostOptions, make, tags=True)
