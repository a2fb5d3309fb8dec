"""Dotdigital: contacts in lists (address books), one contact a call; read and put in by version 3, taken out by 2.

Kept apart here: a contact may have left everything (the status of its email channel, one of nineteen) or one list
(``suppressed`` there), and putting them in again may clear the latter. A call that carries a status, or
``verifiedDouble`` as the type of opt-in, would mail or subscribe somebody, so only whom Segma makes gets a type of
opt-in, and nobody a status. A change by an address makes whoever is not there, so changes go by ``contactId``. Too many
calls in an hour are a 400. A region is a host, and the account says which is its own.
"""

from __future__ import annotations

import base64
import email.utils
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import quote

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Member, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import Unreadable, linked_pages, one_of, pages, rows, table, text, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import LONGEST_WAIT_S, Http, Reply, refused, usual
from sinks.toolkit.list_ids import NamedLists, Names
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import ListGone, ListRefused, NoOptIn, One, PersonFault

QUOTAS: Final = {"all": [(2_000, 3_600_000)]}
"""Of the accounts that have the flat scheme; of those with tiers no page says a number."""
WAIT_S: Final = 60.0
"""After a 429 that does not say when its window ends: a window."""
CAPPED_WAIT_S: Final = 300.0
"""After "too many calls in the last hour"."""
CAPPED: Final = (b"ERROR_APIUSAGE_EXCEEDED", b"excess API activity")
LISTS: Final = "/v2/address-books"
FIELDS: Final = "/v2/data-fields"
CONTACTS: Final = "/contacts/v3"
LISTS_PAGE: Final = 1_000
PAGE: Final = 1_000
TRIED: Final = frozenset({403})
NO_CHANNEL: Final = "noSubscription"
BLOCKED: Final = (Standing.LEFT, Reason.BLOCKED)
COMPLAINED: Final = (Standing.LEFT, Reason.COMPLAINED)
ARCHIVED: Final = (Standing.LEFT, Reason.ARCHIVED)
NOTHING: Final = Reason.UNSUBSCRIBED
STATUSES: Final = {
    "subscribed": (Standing.ACTIVE, NOTHING),
    "softBounced": (Standing.ACTIVE, NOTHING),
    NO_CHANNEL: (Standing.PENDING, NOTHING),
    "pendingOptIn": (Standing.PENDING, NOTHING),
    "hardBounced": (Standing.UNDELIVERABLE, NOTHING),
    "unsubscribed": (Standing.LEFT, Reason.UNSUBSCRIBED),
    **dict.fromkeys(("ispComplained", "directComplaint", "knownComplainer"), COMPLAINED),
    **dict.fromkeys(("deleted", "binned"), ARCHIVED),
    **dict.fromkeys(("suppressed", "domainSuppressed", "sharedsuppression", "sharedDomainSuppression"), BLOCKED),
    **dict.fromkeys(("spamTrap", "blockedlocalpart", "purchased", "knownLitigator"), BLOCKED),
}
"""Of the email channel. ``noSubscription``: nobody ever subscribed them."""
IN_A_LIST: Final = {each: each for each in ("subscribed", "suppressed", "pending")}


class DotdigitalOptions(Options):
    """``user``, ``password``: of an API user. ``region``: r1, r2 or r3, as the account's API endpoint says.

    ``opt_in_type``: what is noted of whomever Segma makes; never ``verifiedDouble``, which mails them.
    """

    user: str
    password: SecretAt
    region: Literal["r1", "r2", "r3"] = "r1"
    opt_in_type: Literal["unknown", "single", "double"] = "unknown"
    url: SafeUrl | None = None
    token_field: str = "SEGMA_TOKEN"  # noqa: S105
    name_field: str = "FIRSTNAME"


def make(options: DotdigitalOptions, around: Around) -> ListSink:
    """The sink of an account."""
    login = f"{options.user}:{around.secret(options.password, 'password')}".encode()
    headers = {"Authorization": f"Basic {base64.b64encode(login).decode()}"}
    url = options.url or f"https://{options.region}-api.dotdigital.com"
    http = around.http(options, url, headers, quotas=QUOTAS, connections=4, judge=judge)
    return ListSink(Dotdigital(http, options), strangers=around.strangers, known=around.known)


def judge(reply: Reply) -> Trouble | None:
    """A 429 names the end of its window, and a 400 may be "too many calls in the last hour"."""
    if reply.status == 400 and any(each in reply.body[:2_000] for each in CAPPED):
        return Trouble(Reason.THROTTLED, Fate.AWAY, "400, too many calls in an hour", wait_s=CAPPED_WAIT_S)
    trouble = usual(reply)
    if trouble is None or trouble.reason is not Reason.THROTTLED:
        return trouble
    reset = reply.headers.get("x-ratelimit-reset", "")
    now = email.utils.parsedate_tz(reply.headers.get("date", ""))
    if not reset.isdecimal() or now is None:
        return trouble._replace(wait_s=trouble.wait_s or WAIT_S)
    return trouble._replace(wait_s=min(max(int(reset[:20]) - email.utils.mktime_tz(now), 1.0), LONGEST_WAIT_S))


class Dotdigital(NoOptIn, NamedLists):
    """The calls."""

    overwrites = True
    numbers = True
    most = 20

    def __init__(self, http: Http, options: DotdigitalOptions) -> None:
        super().__init__(http, Names(lambda name: self._read_lists(), self._make_list))
        self._options = options
        self._fields = Names(lambda name: self._read_fields(), self._make_field)
        self.traits = Traits(batch=20, tells_removals=True, fields=True, token_link=f"@{options.token_field}@")

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Each contact by address, in one call each."""
        names = {number: name for name in lists if (number := self._lists.find(name))}
        return self._http.apart(lambda change: self._look(change, names), changes)

    def _look(self, change: Change, names: Mapping[str, str]) -> Seen | Trouble:
        address = normalised_address(change.address)
        reply = self._http.ask("GET", f"{CONTACTS}/email/{quote(address, safe='')}")
        if not reply.ok:
            return Seen() if reply.is_missing("errorCode") else refused(reply, _code(reply))
        contact = reply.object()
        if normalised_address(text(table(contact, "identifiers"), "email")) != address:
            raise Unreadable("email")
        number = text(contact, "contactId")
        held = _lists_of(contact) if contact.get("lists") is not None else self._books_of(number)
        by_status = {
            status: frozenset(names[own] for own, each in held.items() if each == status and own in names)
            for status in ("subscribed", "suppressed", "pending")
        }
        standing, because = _standing(contact)
        fields = {name: each for name, each in _data(contact).items() if isinstance(each, str)}
        return Seen(
            number,
            standing,
            by_status["subscribed"],
            by_status["suppressed"],
            fields=fields,
            pending=by_status["pending"],
            because=because,
            number=number,
        )

    def _books_of(self, number: str) -> dict[str, str]:
        """The lists of a contact whose own answer has none: whether that means "in no list", no page says."""
        reply = self._http.ask("GET", f"/v2/contacts/{number}/address-books")
        return {text(each, "id"): "subscribed" for each in _array(reply)}

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """A contact each, in no list; one that is there meanwhile is refused by the platform itself."""
        return self._http.apart(self._enrol, changes)

    def _enrol(self, change: Change) -> str | Trouble:
        body: dict[str, Any] = {
            "identifiers": {"email": normalised_address(change.address)},
            "channelProperties": {"email": {"optInType": self._options.opt_in_type}},
        }
        if change.name:
            body["dataFields"] = {self._options.name_field: change.name}
        reply = self._http.ask("POST", CONTACTS, body)
        if not reply.ok:
            return refused(reply, _code(reply))
        contact = reply.object()
        if _standing(contact)[0] is Standing.PENDING:
            return Trouble(Reason.ASKED, Fate.LASTING, "the account asks whom its API brings in to confirm")
        return text(contact, "contactId")

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Into the list, a contact a call: the answer shows who is in it."""
        number = self._lists.made(list_name)

        def add(one: One) -> PersonFault:
            reply = self._http.ask("PATCH", f"{CONTACTS}/contactId/{one.person}", {"lists": [int(number)]})
            if not reply.ok:
                return _fault(reply)
            there = _lists_of(reply.object()).get(number) == "subscribed"
            return None if there else Trouble(Reason.WRONG_ANSWER, Fate.PASSING, "accepted, and not in the list")

        return self._checked(list_name, number, self._http.apart(add, people))

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Out of the list, a contact a call, neutrally; who is not in it, or vanished, is a 404."""
        number = self._there(list_name)

        def take_out(one: One) -> PersonFault:
            reply = self._http.ask("DELETE", f"{LISTS}/{number}/contacts/{one.person}")
            if reply.ok and reply.status != 204:
                raise Unreadable("204")
            return None if reply.status == 404 and reply.is_missing("message") else _fault(reply)

        return self._checked(list_name, number, self._http.apart(take_out, people))

    def _checked(self, list_name: str, number: str, faults: list[PersonFault]) -> list[PersonFault]:
        if any(faults) and self._lists.fresh(list_name) != number:
            raise ListGone
        return faults

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """Contacts have no tags."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """Data fields alone, which are made if missing; the answer shows them."""
        for name in {name for one in people for name, _ in one.change.fields}:
            self._fields.made(name)
        return self._http.apart(self._write, people)

    def _write(self, one: One) -> PersonFault:
        fields = dict(one.change.fields)
        reply = self._http.ask("PATCH", f"{CONTACTS}/contactId/{one.person}", {"dataFields": fields})
        if not reply.ok:
            return _fault(reply)
        there = _data(reply.object())
        if all(there.get(name) == value for name, value in fields.items()):
            return None
        return Trouble(Reason.WRONG_ANSWER, Fate.PASSING, "accepted, and not written")

    def members(self, list_name: str) -> Iterator[Member]:
        """Contacts of the list page by page; those without an address are passed over."""
        number = self._read(list_name)

        def read(marker: str) -> tuple[list[Mapping[str, Any]], str]:
            query = {"~listId": number, "limit": str(PAGE), "include": "channelProperties|lists"}
            query |= {"data-fields": self._options.name_field, **({"marker": marker} if marker else {})}
            found = self._http.ask("GET", CONTACTS, query=query).read()
            further = table(found, "_links").get("next")
            return rows(found, "_items"), text(further, "marker") if further is not None else ""

        for each in linked_pages(read):
            address = words(table(each, "identifiers"), "email")
            if address:
                left = _lists_of(each).get(number) == "suppressed"
                standing = Standing.LEFT if left else _standing(each)[0]
                name = _data(each).get(self._options.name_field)
                yield Member(address, name if isinstance(name, str) else "", standing, text(each, "contactId"))

    def rights(self) -> Iterator[Right]:
        """Reading is tried as it is, changing by calls that are refused as they stand: of nobody, without a name."""
        tries: dict[str, tuple[str, str, object]] = {
            "reading lists": ("GET", LISTS, None),
            "reading contacts": ("GET", f"{CONTACTS}/email/nobody@example.invalid", None),
            "making contacts": ("POST", CONTACTS, {"identifiers": {"email": ""}}),
            "changing contacts": ("PATCH", f"{CONTACTS}/contactId/0", {"lists": [0]}),
            "making lists": ("POST", LISTS, {"name": "", "visibility": "Private"}),
            "taking out of lists": ("DELETE", f"{LISTS}/0/contacts/0", None),
            "reading data fields": ("GET", FIELDS, None),
            "making data fields": ("POST", FIELDS, {"name": "", "type": "String", "visibility": "Private"}),
        }
        for name, (method, path, body) in tries.items():
            reply = self._http.ask(method, path, body, hear=TRIED)
            yield Right(name, reply.status != 403)
        yield self._region_right()
        yield Right("opt-in mails", None, "where the account enforces double opt-in, it mails whomever Segma brings in")
        yield Right("programs", None, "a program that the list starts begins; it is not asked which")

    def _region_right(self) -> Right:
        found = rows(self._http.ask("GET", "/v2/account-info").read(), "properties")
        endpoint = next((words(each, "value") for each in found if each.get("name") == "ApiEndpoint"), "")
        right = f"//{self._options.region}-api." in endpoint
        return Right("region", right, "" if right else f"the account's endpoint is {endpoint[:60] or 'not said'}")

    def _read_lists(self) -> Iterable[tuple[str, str]]:
        def read(page: int) -> Sequence[Mapping[str, Any]]:
            query = {"select": str(LISTS_PAGE), "skip": str(page * LISTS_PAGE)}
            return _array(self._http.ask("GET", LISTS, query=query))

        return [(text(each, "name"), text(each, "id")) for each in pages(read, LISTS_PAGE)]

    def _make_list(self, name: str) -> str:
        reply = self._http.ask("POST", LISTS, {"name": name, "visibility": "Private"})
        if not reply.ok:
            raise ListRefused(f"{reply.status} {_code(reply)}")
        return text(reply.object(), "id")

    def _read_fields(self) -> Iterable[tuple[str, str]]:
        return {(text(each, "name"), text(each, "name")) for each in _array(self._http.ask("GET", FIELDS))}

    def _make_field(self, name: str) -> str:
        reply = self._http.ask("POST", FIELDS, {"name": name, "type": "String", "visibility": "Private"})
        if not reply.ok:
            raise ListRefused(f"{reply.status} {_code(reply)}")
        return name


def _standing(contact: Mapping[str, Any]) -> tuple[Standing, Reason]:
    """Of the email channel; whoever has none was never subscribed."""
    channel = table(contact, "channelProperties", null=True).get("email")
    status = text(channel, "status") if channel is not None else NO_CHANNEL
    found = STATUSES.get(status)
    if found is None:
        raise Unreadable("status")
    return found


def _lists_of(contact: Mapping[str, Any]) -> dict[str, str]:
    """List's id → the contact's status in it; a contact in no list has none."""
    held = rows(contact, "lists") if contact.get("lists") is not None else []
    return {text(each, "id"): one_of(each, "status", IN_A_LIST) for each in held}


def _data(contact: Mapping[str, Any]) -> Mapping[str, Any]:
    return table(contact, "dataFields", null=True)


def _array(reply: Reply) -> list[Mapping[str, Any]]:
    """The answer of a reading that is a list, and no object."""
    return rows({"array": reply.json()} if reply.ok else reply.read(), "array")


def _fault(reply: Reply) -> PersonFault:
    """404: the contact or the list vanished; both are looked at again."""
    if reply.ok:
        return None
    fault = refused(reply, _code(reply))
    missing = reply.status == 404 and (reply.is_missing("errorCode") if b"errorCode" in reply.body else True)
    return fault._replace(fate=Fate.PASSING) if missing else fault


def _code(reply: Reply) -> str:
    """The platform's own word for a refusal, one of a few."""
    said = reply.json_or_none()
    return str(said.get("errorCode") or said.get("message", ""))[:60] if isinstance(said, dict) else ""


KIND: Final = Kind(DotdigitalOptions, make, quotas=QUOTAS)
