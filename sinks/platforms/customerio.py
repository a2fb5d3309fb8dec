"""Customer.io: people in manual segments, read by its App API and changed by its Track API, each with a key of its own.

Kept apart here: the Track API answers 200 with nothing in it, also for ids that it passes over, for a suppressed person
and for what it will do later, so whatever was asked is read back. A person is known by ``cio_id``: an address may be
several people's, and nobody without an ``id`` can be taken out of a segment by the API at all. Only segments of the
type ``manual`` take members. Consent is the attribute ``unsubscribed``, which no call here carries. Each of the two
regions has its own hosts, and redirects calls that belong to the other.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import quote

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Member, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import Unreadable, linked_pages, one_of, rows, table, text, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import Http, Reply, refused, usual
from sinks.toolkit.list_ids import NamedLists, Names, in_parts
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import BatchRefused, ListGone, ListRefused, NoOptIn, One, PersonFault

QUOTAS: Final = {"all": [(10, 1_000)], "track": [(100, 1_000)]}
"""``all``: the App API. ``track``: the Track API, of which one page says 100 a second and a newer one 1,000."""
WAIT_S: Final = 1.0
"""After a 429, which names no time: a window passes."""
HOSTS: Final = {
    "us": ("https://api.customer.io", "https://track.customer.io"),
    "eu": ("https://api-eu.customer.io", "https://track-eu.customer.io"),
}
PEOPLE: Final = "/v1/customers"
SEGMENTS: Final = "/v1/segments"
BY_CIO_ID: Final = {"id_type": "cio_id"}
HUNDRED: Final = 100
"""People whose attributes one call reads."""
PAGE: Final = 10_000
"""Members of a segment in one answer, of the 30,000 that it may have: under 1 MB."""
TRIED: Final = frozenset({401, 403})
UNSUBSCRIBED: Final = "unsubscribed"
KINDS: Final = {"manual": True, "dynamic": False, "data_driven": False}
"""Of segments: whether one takes people."""
AGAIN: Final = Trouble(Reason.WRONG_ANSWER, Fate.PASSING, "accepted, and not so yet")
NO_ID: Final = Trouble(
    Reason.UNSUPPORTED, Fate.LASTING, "has no `id`, and without one the API takes nobody out of a segment"
)


class CustomerioOptions(Options):
    """``site_id``, ``key``: of the Track API; ``app_key``: an App API key. ``region``: where the account is.

    ``identified_by``: what makes a person of the workspace; ``id`` where it does not take addresses for that.
    ``url``: instead of the region's two hosts.
    """

    site_id: str
    key: SecretAt
    app_key: SecretAt
    region: Literal["us", "eu"] = "us"
    identified_by: Literal["email", "id"] = "email"
    url: SafeUrl | None = None
    token_field: str = "segma_token"  # noqa: S105
    name_field: str = "first_name"


def make(options: CustomerioOptions, around: Around) -> ListSink:
    """The sink of an account."""
    app_url, track_url = (options.url, options.url) if options.url else HOSTS[options.region]
    bearer = {"Authorization": f"Bearer {around.secret(options.app_key, 'app_key')}"}
    login = f"{options.site_id}:{around.secret(options.key, 'key')}".encode()
    basic = {"Authorization": f"Basic {base64.b64encode(login).decode()}"}
    app = around.http(options, app_url, bearer, quotas=QUOTAS, connections=8, judge=judge)
    platform = Customerio(app, app.beside(track_url, basic), options)
    return ListSink(platform, strangers=around.strangers, known=around.known)


def judge(reply: Reply) -> Trouble | None:
    """A 429 names no time; a redirect leads to the other region."""
    trouble = usual(reply)
    if trouble is not None and trouble.reason is Reason.THROTTLED:
        return trouble._replace(wait_s=trouble.wait_s or WAIT_S)
    if 300 <= reply.status < 400 and trouble is not None:
        return trouble._replace(answer=f"{reply.status}, redirected: is the account in the other `region`?")
    return trouble


class Customerio(NoOptIn, NamedLists):
    """The calls."""

    overwrites = False
    numbers = True
    most = 50

    def __init__(self, app: Http, track: Http, options: CustomerioOptions) -> None:
        super().__init__(app, Names(lambda name: self._read_segments(), self._make_segment))
        self._track, self._options = track, options
        link = f"{{{{customer.{options.token_field}}}}}"
        self.traits = Traits(batch=50, tells_removals=True, fields=True, token_link=link)

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Whose the addresses are, one call each; what is known of them, a hundred a call; then each one's segments."""
        names = {number: name for name in lists if (number := self._lists.find(name))}
        found = self._http.apart(self._person, changes)
        people = self._attributes([each for each in found if isinstance(each, str) and each])

        def seen(index: int) -> Seen | Trouble:
            person = found[index]
            if isinstance(person, Trouble):
                return person
            return self._seen(changes[index], people[person], names) if person in people else Seen()

        return self._http.apart(seen, range(len(changes)))

    def _person(self, change: Change) -> str | Trouble:
        """The ``cio_id`` of an address; empty where it is nobody's."""
        address = normalised_address(change.address)
        reply = self._http.ask("GET", PEOPLE, query={"email": address})
        if reply.status == 400:
            return refused(reply)
        own = [each for each in reply.items("results") if normalised_address(words(each, "email")) == address]
        if len(own) > 1:
            return Trouble(Reason.REFUSED_BY_PLATFORM, Fate.LASTING, "several people have this address")
        return text(own[0], "cio_id") if own else ""

    def _attributes(self, ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """Who of these is there, by ``cio_id``; whoever vanished meanwhile is left out."""
        found: dict[str, Mapping[str, Any]] = {}
        for some in in_parts(list(dict.fromkeys(ids)), HUNDRED):
            reply = self._http.ask("POST", f"{PEOPLE}/attributes", {"ids": list(some)}, query=BY_CIO_ID)
            for each in reply.items("customers"):
                person = table(each, "customer") if "customer" in each else each
                found[text(table(person, "attributes"), "cio_id")] = person
        return found

    def _seen(self, change: Change, person: Mapping[str, Any], names: Mapping[str, str]) -> Seen | Trouble:
        attributes = table(person, "attributes")
        number, own_id = text(attributes, "cio_id"), _id_of(person)
        inside = (
            frozenset(names[each] for each in self._segments_of(number) if each in names) if names else frozenset[str]()
        )
        standing = _standing(person)
        if not own_id and standing is Standing.ACTIVE and inside & {*change.remove}:
            return NO_ID
        fields = {name: value for name, value in attributes.items() if isinstance(value, str)}
        return Seen(number, standing, inside, fields=fields, notes={"id": own_id}, number=number)

    def _segments_of(self, number: str) -> set[str]:
        """The ids of the segments that a person is in; :class:`Unreadable` where there is no such person."""
        reply = self._http.ask("GET", f"{PEOPLE}/{quote(number, safe='')}/segments", query=BY_CIO_ID)
        if reply.status == 404:
            raise Unreadable("segments")
        return {text(each, "id") for each in reply.items("segments")}

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """A person each, with an ``id``, so that they can be taken out again; then it is seen who came of it."""
        return self._http.apart(self._enrol, changes)

    def _enrol(self, change: Change) -> str | Trouble:
        address = normalised_address(change.address)
        body = {"email": address, **({self._options.name_field: change.name} if change.name else {})}
        path = own_id = _own_id(address)
        if self._options.identified_by == "email":
            path, body["id"] = address, own_id
        reply = self._track.ask("PUT", f"/api{PEOPLE}/{quote(path, safe='')}", body, bucket="track")
        if not reply.ok:
            return refused(reply)
        number = self._person(change)
        if isinstance(number, Trouble) or not number:
            return number or AGAIN
        made = self._attributes([number]).get(number)
        if made is None or _standing(made) is not Standing.ACTIVE:
            return AGAIN
        return number if _id_of(made) == own_id else AGAIN

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Into a manual segment, by ``cio_id``; who is in it already stays."""
        number = self._lists.made(list_name)
        self._change("add_customers", number, list_name, "cio_id", [one.person for one in people])
        return self._read_back(list_name, number, people, inside=True)

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Out of a manual segment, by ``id``; whoever has none cannot be taken out."""
        number = self._there(list_name)
        ids = {one.person: one.seen.notes.get("id") or "" for one in people}
        able = [one for one in people if ids[one.person]]
        faults: dict[str, PersonFault] = {}
        if able:
            self._change("remove_customers", number, list_name, "id", [ids[one.person] for one in able])
            told = self._read_back(list_name, number, able, inside=False)
            faults = {one.person: fault for one, fault in zip(able, told, strict=True)}
        return [faults[one.person] if ids[one.person] else NO_ID for one in people]

    def _change(self, verb: str, number: str, list_name: str, id_type: str, ids: Sequence[str]) -> None:
        path = f"/api{SEGMENTS}/{number}/{verb}"
        reply = self._track.ask("POST", path, {"ids": list(ids)}, query={"id_type": id_type}, bucket="track")
        if reply.ok:
            return
        if self._lists.fresh(list_name) != number:
            raise ListGone
        raise BatchRefused(f"{reply.status}")

    def _read_back(self, list_name: str, number: str, people: Sequence[One], *, inside: bool) -> Sequence[PersonFault]:
        """Nothing for whoever is where they should be; who vanished is out of every segment."""

        def check(one: One) -> PersonFault:
            return None if (number in self._segments_of(one.person)) is inside else AGAIN

        faults = self._http.apart(check, people)
        if any(faults) and self._lists.fresh(list_name) != number:
            raise ListGone
        return faults

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """People have no tags."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """Attributes alone, of whoever is there: ``_update`` makes nobody. Then they are read back."""
        faults = self._http.apart(self._write, people)
        there = self._attributes(one.person for one in people)

        def is_written(one: One) -> bool:
            attributes = table(there[one.person], "attributes") if one.person in there else {}
            return all(attributes.get(name) == value for name, value in one.change.fields)

        return [fault or (None if is_written(one) else AGAIN) for one, fault in zip(people, faults, strict=True)]

    def _write(self, one: One) -> PersonFault:
        body = {**dict(one.change.fields), "_update": True}
        path = f"/api{PEOPLE}/cio_{quote(one.person, safe='')}"
        reply = self._track.ask("PUT", path, body, bucket="track")
        return None if reply.ok else refused(reply)

    def members(self, list_name: str) -> Iterator[Member]:
        """The segment's people page by page, and what is known of them; those without an address are passed over."""
        number = self._read(list_name)

        def read(start: str) -> tuple[list[Mapping[str, Any]], str]:
            query = {"limit": str(PAGE), **({"start": start} if start else {})}
            found = self._http.ask("GET", f"{SEGMENTS}/{number}/membership", query=query).read()
            return rows(found, "identifiers"), words(found, "next")

        some: list[str] = []
        for each in linked_pages(read):
            some.append(text(each, "cio_id"))
            if len(some) == HUNDRED:
                yield from self._told(some)
                some = []
        yield from self._told(some)

    def _told(self, ids: Sequence[str]) -> Iterator[Member]:
        for number, person in self._attributes(ids).items():
            attributes = table(person, "attributes")
            address, name = words(attributes, "email"), attributes.get(self._options.name_field)
            if address:
                yield Member(address, name if isinstance(name, str) else "", _standing(person), number)

    def rights(self) -> Iterator[Right]:
        """Reading is tried as it is; making by a segment without a name; the Track key by asking for its region."""
        nobody = "0"
        tries: dict[str, tuple[str, str, object, Mapping[str, str]]] = {
            "reading segments": ("GET", SEGMENTS, None, {}),
            "reading people": ("GET", PEOPLE, None, {"email": "nobody@example.invalid"}),
            "reading attributes": ("POST", f"{PEOPLE}/attributes", {"ids": [nobody]}, BY_CIO_ID),
            "reading a person's segments": ("GET", f"{PEOPLE}/{nobody}/segments", None, BY_CIO_ID),
            "making segments": ("POST", SEGMENTS, {"segment": {"name": ""}}, {}),
        }
        for name, (method, path, body, query) in tries.items():
            reply = self._http.ask(method, path, body, query=query, hear=TRIED)
            yield Right(name, reply.status not in TRIED)
        yield self._track_right()
        yield Right("campaigns", None, "a campaign that the segment starts begins; it is not asked which")

    def _track_right(self) -> Right:
        """One key may do everything of the Track API."""
        reply = self._track.ask("GET", "/api/v1/accounts/region", bucket="track", hear=TRIED)
        if reply.status in TRIED:
            return Right("changing people and segments", works=False, detail="the Track API's `site_id` and `key`")
        where = words(reply.read(), "data_center")
        right = where == self._options.region
        return Right(
            "changing people and segments", right, "" if right else f"the account is in `region: {where[:20]}`"
        )

    def _read_segments(self) -> Iterable[tuple[str, str]]:
        found = self._http.ask("GET", SEGMENTS).items("segments")
        return [(text(each, "name"), text(each, "id")) for each in found if one_of(each, "type", KINDS)]

    def _make_segment(self, name: str) -> str:
        reply = self._http.ask("POST", SEGMENTS, {"segment": {"name": name, "description": "Made by Segma"}})
        if not reply.ok:
            raise ListRefused(f"{reply.status}")
        return text(table(reply.object(), "segment"), "id")


def _id_of(person: Mapping[str, Any]) -> str:
    """The ``id``, which stands beside the attributes and among them; empty where a person has none."""
    told = {each for each in (words(person, "id"), words(table(person, "attributes"), "id")) if each}
    if len(told) > 1:
        raise Unreadable("id")
    return next(iter(told), "")


def _own_id(address: str) -> str:
    """The ``id`` of whoever Segma makes: one of the address, for no two people of a workspace have the same."""
    return f"segma-{hashlib.sha256(address.encode()).hexdigest()[:32]}"


def _standing(person: Mapping[str, Any]) -> Standing:
    """``unsubscribed`` stands beside the attributes, and among them once anybody has set it."""
    said = person.get(UNSUBSCRIBED)
    if not isinstance(said, bool):
        raise Unreadable(UNSUBSCRIBED)
    left = said or table(person, "attributes").get(UNSUBSCRIBED) in {True, "true"}
    return Standing.LEFT if left else Standing.ACTIVE


KIND: Final = Kind(CustomerioOptions, make, quotas=QUOTAS)
