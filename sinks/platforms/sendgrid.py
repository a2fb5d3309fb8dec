"""SendGrid Marketing Campaigns: contacts in lists, a hundred a call; every change is a job that is done later.

Kept apart here: a 202 says nothing of anybody. Its job is asked about until it ends, and then each contact is read
back, for a job that ended well may have passed somebody over. One wrong address refuses a whole request. Consent
stands beside the contacts, by address: the global suppression, the unsubscribe groups, spam reports and bounces; it
holds for addresses that are no contact too, and no call here writes to it. A list's people come as files of an export,
from another host, which gets no key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Halt, Member, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import MISSHAPEN, Unreadable, linked_pages, pages, rows, table, text, unreadable, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.files import csv_rows
from sinks.toolkit.http import LONGEST_WAIT_S, Http, Reply, refused, usual
from sinks.toolkit.jobs import finished
from sinks.toolkit.list_ids import NamedLists, Names, in_parts
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import BatchRefused, ListGone, ListRefused, NoOptIn, One, PersonFault

T = TypeVar("T")
QUOTAS: Final = {"all": [(600, 60_000)]}
"""A guess: SendGrid publishes that there are limits, a call each of its own, and no numbers."""
CONTACTS: Final = "/v3/marketing/contacts"
LISTS: Final = "/v3/marketing/lists"
FIELDS: Final = "/v3/marketing/field_definitions"
GROUPS: Final = "/v3/asm/groups"
SUPPRESSED: Final = "/v3/suppression"
BATCH: Final = 100
LISTS_PAGE: Final = 1_000
SUPPRESSIONS_PAGE: Final = 500
FILE_MB: Final = 5
"""Of an export's files, each; more than one answer may have would be none."""
FILE_HOSTS: Final = ("amazonaws.com", "sendgrid.com", "sendgrid.net", "twilio.com")
TRIED: Final = frozenset({403})
UUID: Final = re.compile(r"[0-9a-f-]{36}")
LONGEST_ADDRESS: Final = 100
"""Of an address in a search, by the description."""
TOO_LONG: Final = Trouble(Reason.BAD_ADDRESS, Fate.LASTING, "longer than a search by address takes")
SECOND_ADDRESS: Final = Trouble(Reason.REFUSED_BY_PLATFORM, Fate.LASTING, "a second address of another contact")
UNFINISHED: Final = frozenset({"pending"})


class SendgridOptions(Options):
    """``key``: an API key with Marketing, and reading of suppressions and unsubscribe groups.

    ``groups``: the numbers of the unsubscribe groups that the mails of these lists go under; who left one of them has
    left. Without any: who left any group has.
    """

    key: SecretAt
    url: SafeUrl = "https://api.sendgrid.com"
    groups: tuple[int, ...] = ()
    token_field: str = "segma_token"  # noqa: S105


def make(options: SendgridOptions, around: Around) -> ListSink:
    """The sink of an account."""

    def judge(reply: Reply) -> Trouble | None:
        """A 429 names the second of the epoch from when on it is over."""
        trouble, reset = usual(reply), reply.headers.get("x-ratelimit-reset", "")
        if trouble is None or trouble.reason is not Reason.THROTTLED or not reset.isdecimal():
            return trouble
        return trouble._replace(wait_s=min(max(int(reset[:12]) - around.now_ms() / 1_000, 0.0), LONGEST_WAIT_S))

    headers = {"Authorization": f"Bearer {around.secret(options.key, 'key')}"}
    http = around.http(options, options.url, headers, quotas=QUOTAS, connections=8, judge=judge)
    return ListSink(Sendgrid(http, options, around.pause), strangers=around.strangers, known=around.known)


class _Ended(NamedTuple):
    """A job that has ended, and its people as they are then."""

    state: str
    people: Sequence[Mapping[str, Any] | Trouble | None]

    def shown(
        self, right: Callable[[Mapping[str, Any]], bool]
    ) -> Iterator[tuple[Mapping[str, Any] | None, PersonFault]]:
        """Each one's contact, and what they met where it is not as was asked for."""
        for each in self.people:
            if isinstance(each, Trouble):
                yield {}, each
            else:
                yield each, self.unless(each is not None and right(each))

    def unless(self, is_so: bool) -> PersonFault:
        """What somebody met of whom the reading after the job does not show what was asked for."""
        if is_so:
            return None
        if self.state == "completed":
            return Trouble(Reason.WRONG_ANSWER, Fate.PASSING, "not so after the job")
        return Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, f"the job ended as {self.state}")


class Sendgrid(NoOptIn, NamedLists):
    """The calls."""

    overwrites = False
    numbers = True
    most = BATCH

    def __init__(self, http: Http, options: SendgridOptions, pause: Callable[[float], None]) -> None:
        super().__init__(http, Names(lambda name: self._read_lists(), self._make_list))
        self._fields = Names(lambda name: self._read_fields(), self._make_field)
        self._options, self._pause = options, pause
        self.traits = Traits(batch=BATCH, tells_removals=True, fields=True, token_link=f"{{{{{options.token_field}}}}}")

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Contacts by address, a hundred a call; then what is suppressed: by group for all, else one by one."""
        names = {number: name for name in lists if (number := self._lists.find(name))}
        addresses = [normalised_address(change.address) for change in changes]
        found = self._contacts(addresses)
        left = self._left_groups([each for each in addresses if not isinstance(found[each], Trouble)])

        def look(address: str) -> Seen | Trouble:
            contact = found[address]
            if isinstance(contact, Trouble):
                return contact
            standing, because = self._standing(address, left_group=address in left)
            return _seen(contact, standing, because, names)

        return self._http.apart(look, addresses)

    def _contacts(self, addresses: Sequence[str]) -> dict[str, Mapping[str, Any] | Trouble | None]:
        """Each address's contact; None: there is none. One that is no address refuses all that it is asked with."""
        found: dict[str, Mapping[str, Any] | Trouble | None] = dict.fromkeys(addresses)
        found |= {each: TOO_LONG for each in addresses if len(each) > LONGEST_ADDRESS}
        for some in in_parts([each for each in addresses if found[each] is None], BATCH):
            reply = self._http.ask("POST", f"{CONTACTS}/search/emails", {"emails": list(some)})
            if reply.status == 400 and len(some) > 1:
                for each in in_parts(some, len(some) // 2):
                    found |= self._contacts(each)
            elif reply.status == 400:
                found[some[0]] = refused(reply)
            elif not reply.is_missing("errors"):
                for address, told in table(reply.read(), "result").items():
                    if "contact" in told and normalised_address(address) in found:
                        found[normalised_address(address)] = _of(normalised_address(address), told)
        return found

    def _left_groups(self, addresses: Sequence[str]) -> set[str]:
        if not addresses:
            return set()
        left: set[str] = set()
        for group in self._groups():
            body = {"recipient_emails": list(addresses)}
            reply = self._http.ask("POST", f"{GROUPS}/{group}/suppressions/search", body)
            left.update(normalised_address(each) for each in _listed(reply, str))
        return left

    def _groups(self) -> Sequence[str]:
        if self._options.groups:
            return [str(each) for each in self._options.groups]
        return [text(each, "id") for each in _listed(self._http.ask("GET", GROUPS), dict)]

    def _standing(self, address: str, *, left_group: bool) -> tuple[Standing, Reason]:
        """A complaint is the gravest, then a leaving; who only bounced has not left."""
        at = quote(address, safe="")
        if _listed(self._http.ask("GET", f"{SUPPRESSED}/spam_reports/{at}"), dict):
            return Standing.LEFT, Reason.COMPLAINED
        said = self._http.ask("GET", f"/v3/asm/suppressions/global/{at}").read()
        # NOTE: an empty object is the documented word for "not suppressed"; any other without an address is none.
        if left_group or (said and text(said, "recipient_email")):
            return Standing.LEFT, Reason.UNSUBSCRIBED
        bounced = _listed(self._http.ask("GET", f"{SUPPRESSED}/bounces/{at}"), dict)
        return Standing.UNDELIVERABLE if bounced else Standing.ACTIVE, Reason.UNSUBSCRIBED

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """Contacts in no list; their ids are known once the job is done."""
        told = [
            {"email": normalised_address(each.address), **({"first_name": each.name[:50]} if each.name else {})}
            for each in changes
        ]
        made = self._upserted({"contacts": told}, [normalised_address(each.address) for each in changes])
        return [fault or text(contact, "id") for contact, fault in made.shown(lambda contact: True)]

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Contacts into a list; an upsert takes nobody out of any."""
        number = self._lists.made(list_name)
        body = {"list_ids": [number], "contacts": [{"email": _address(one)} for one in people]}
        try:
            done = self._upserted(body, [_address(one) for one in people])
        except BatchRefused:
            if self._lists.fresh(list_name) != number:
                raise ListGone from None
            raise
        faults = [fault for _, fault in done.shown(lambda contact: number in _lists_of(contact))]
        if any(faults) and self._lists.fresh(list_name) != number:
            raise ListGone
        return faults

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Contacts out of a list, by their ids; they stay contacts."""
        number = self._there(list_name)
        query = {"contact_ids": ",".join(one.person for one in people)}
        reply = self._http.ask("DELETE", f"{LISTS}/{number}/contacts", query=query)
        if not reply.ok:
            if self._lists.fresh(list_name) != number:
                raise ListGone
            raise BatchRefused(f"{reply.status}")
        done = self._done(reply, [_address(one) for one in people])
        return [
            fault if contact is not None else None
            for contact, fault in done.shown(lambda contact: number not in _lists_of(contact))
        ]

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """There are no tags."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """Custom fields, which are written by their ids and read by their names."""
        told = [
            {
                "email": _address(one),
                "custom_fields": {self._fields.made(name): value for name, value in one.change.fields},
            }
            for one in people
        ]
        done = self._upserted({"contacts": told}, [_address(one) for one in people])
        return [
            fault or done.unless(contact is not None and _has(contact, one.change.fields))
            for one, (contact, fault) in zip(people, done.shown(lambda contact: True), strict=True)
        ]

    def _upserted(self, body: Mapping[str, object], addresses: Sequence[str]) -> _Ended:
        reply = self._http.ask("PUT", CONTACTS, body)
        if not reply.ok:
            raise BatchRefused(f"{reply.status}")
        return self._done(reply, addresses)

    def _done(self, accepted: Reply, addresses: Sequence[str]) -> _Ended:
        """Everybody as they are once the job has ended, however it ended."""
        job = text(accepted.object(), "job_id")
        ended = finished(lambda: self._state(job), self._pause, unfinished=UNFINISHED)
        found = self._contacts(addresses)
        return _Ended(ended, [found[each] for each in addresses])

    def _state(self, job: str) -> str:
        said = text(self._http.ask("GET", f"{CONTACTS}/imports/{quote(job, safe='')}").read(), "status")
        if said not in {"pending", "completed", "errored", "failed"}:
            raise Unreadable("status")
        return said

    def members(self, list_name: str) -> Iterator[Member]:
        """An export's rows, each with what is suppressed."""
        number = self._read(list_name)
        complained, left, bounced = (set[str]() for _ in range(3))
        complained.update(self._all_suppressed("spam_reports"))
        left.update(self._all_suppressed("unsubscribes"))
        bounced.update(self._all_suppressed("bounces"))
        for group in self._groups():
            left.update(
                normalised_address(each)
                for each in _listed(self._http.ask("GET", f"{GROUPS}/{group}/suppressions"), str)
            )
        for row in self._exported(number):
            address = normalised_address(text(row, "EMAIL"))
            out = address in complained or address in left
            standing = Standing.LEFT if out else Standing.UNDELIVERABLE if address in bounced else Standing.ACTIVE
            yield Member(text(row, "EMAIL"), words(row, "FIRST_NAME"), standing, text(row, "CONTACT_ID"))

    def _all_suppressed(self, kind: str) -> Iterator[str]:
        def read(page: int) -> Sequence[Mapping[str, Any]]:
            query = {"limit": str(SUPPRESSIONS_PAGE), "offset": str(page * SUPPRESSIONS_PAGE)}
            return _listed(self._http.ask("GET", f"{SUPPRESSED}/{kind}", query=query), dict)

        for each in pages(read, SUPPRESSIONS_PAGE):
            yield normalised_address(text(each, "email"))

    def _exported(self, number: str) -> Iterator[Mapping[str, str]]:
        body = {"list_ids": [number], "file_type": "csv", "max_file_size": FILE_MB}
        job = text(self._http.ask("POST", f"{CONTACTS}/exports", body).read(), "id")
        at = f"{CONTACTS}/exports/{quote(job, safe='')}"
        ended = finished(lambda: text(self._http.ask("GET", at).read(), "status"), self._pause, unfinished=UNFINISHED)
        urls = self._http.ask("GET", at).read().get("urls")
        if ended != "ready" or not isinstance(urls, list) or not all(isinstance(each, str) for each in urls):
            raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, "an export that is not ready"))
        for url in urls:
            yield from csv_rows(self._http.file(url, FILE_HOSTS).body)

    def rights(self) -> Iterator[Right]:
        """Reading is tried as it is, changing by calls that are refused as they stand."""
        for name, path in (
            ("lists", LISTS),
            ("custom fields", FIELDS),
            ("unsubscribe groups", GROUPS),
            ("global unsubscribes", f"{SUPPRESSED}/unsubscribes"),
            ("spam reports", f"{SUPPRESSED}/spam_reports"),
            ("bounces", f"{SUPPRESSED}/bounces"),
        ):
            yield Right(f"reading {name}", self._http.ask("GET", path, hear=TRIED).ok)
        asked = self._http.ask("POST", f"{CONTACTS}/search/emails", {"emails": [""]}, hear=TRIED)
        yield Right("reading contacts", asked.status != 403)
        made = self._http.ask("PUT", CONTACTS, {"contacts": [{"email": ""}]}, hear=TRIED)
        yield Right("changing contacts", made.status != 403)
        made = self._http.ask("POST", LISTS, {"name": ""}, hear=TRIED)
        yield Right("making lists", made.status != 403)
        yield Right(
            "automations",
            None,
            "one whose entry is the list starts the first time that somebody comes into it; it is not asked which",
        )

    def _read_lists(self) -> Iterable[tuple[str, str]]:
        def read(after: str) -> tuple[list[Mapping[str, Any]], str]:
            query = {"page_size": str(LISTS_PAGE), **({"page_token": after} if after else {})}
            found = self._http.ask("GET", LISTS, query=query).read()
            link = words(table(found, "_metadata", null=True), "next") if found.get("_metadata") else ""
            return rows(found, "result"), parse_qs(urlsplit(link).query).get("page_token", [""])[0]

        return [(text(each, "name"), text(each, "id")) for each in linked_pages(read)]

    def _make_list(self, name: str) -> str:
        return _made(self._http.ask("POST", LISTS, {"name": name}))

    def _read_fields(self) -> Iterable[tuple[str, str]]:
        found = self._http.ask("GET", FIELDS).items("custom_fields", null=True)
        return [(text(each, "name"), text(each, "id")) for each in found]

    def _make_field(self, name: str) -> str:
        return _made(self._http.ask("POST", FIELDS, {"name": name, "field_type": "Text"}))


def _made(reply: Reply) -> str:
    if not reply.ok:
        raise ListRefused(f"{reply.status}")
    return text(reply.object(), "id")


def _address(one: One) -> str:
    return normalised_address(one.change.address)


def _of(address: str, told: Mapping[str, Any]) -> Mapping[str, Any] | Trouble:
    """The contact under an address; what cannot be read is the trouble of that person alone."""
    try:
        contact = table(told, "contact")
        if normalised_address(text(contact, "email")) != address:
            others = contact.get("alternate_emails")
            if not isinstance(others, list) or address not in others:
                raise Unreadable("email")
            return SECOND_ADDRESS
        if not UUID.fullmatch(text(contact, "id")):
            raise Unreadable("id")
        _lists_of(contact)
    except MISSHAPEN as error:
        return unreadable(error)
    return contact


def _lists_of(contact: Mapping[str, Any]) -> set[str]:
    found = contact.get("list_ids")
    if not isinstance(found, list) or not all(isinstance(each, str) and UUID.fullmatch(each) for each in found):
        raise Unreadable("list_ids")
    return set(found)


def _seen(contact: Mapping[str, Any] | None, standing: Standing, because: Reason, names: Mapping[str, str]) -> Seen:
    if contact is None:
        return Seen(standing=standing, because=because)
    inside = frozenset(names[number] for number in _lists_of(contact) if number in names)
    fields = {name: value for name, value in _fields_of(contact).items() if isinstance(value, str)}
    number = text(contact, "id")
    return Seen(number, standing, inside, fields=fields, because=because, number=number)


def _fields_of(contact: Mapping[str, Any]) -> Mapping[str, Any]:
    return table(contact, "custom_fields", null=True) if contact.get("custom_fields") is not None else {}


def _has(contact: Mapping[str, Any], fields: Iterable[tuple[str, str]]) -> bool:
    found = _fields_of(contact)
    return all(found.get(name) == value for name, value in fields)


def _listed(reply: Reply, kind: type[T]) -> list[T]:
    """An answer that is a list of these; :class:`Halt` where a reading was refused."""
    found = reply.json() if reply.ok else None
    if not isinstance(found, list) or not all(isinstance(each, kind) for each in found):
        raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, f"{reply.status}, no list"))
    return found


KIND: Final = Kind(SendgridOptions, make, quotas=QUOTAS)
