"""Campaign Monitor: subscribers of lists by their address, imported in bulk and taken out one a call.

Kept apart here: being deleted from a list is neutral, unsubscribing is the person's; so only ``DELETE`` takes out, and
only whom the list counts as active. ``Resubscribe`` brings back who was deleted *and* who unsubscribed, so it is sent
for nobody but those of whom the platform itself has just said that they are deleted. Adding by the single call goes
into a queue and mails whom a list asks to confirm; an import is done when it answers. The suppression list cannot be
asked about one address: it is read, newest first, as far as it is not known. A list that is not there is a 401, as a
wrong key is; the code in the body tells them apart. Fields are each list's own: whoever is put in takes theirs along.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Member, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import Unreadable, linked_pages, one_of, rows, table, text, whole_number, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import LONGEST_WAIT_S, Http, Reply, refused, usual
from sinks.toolkit.list_ids import NamedLists, Names
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import BatchRefused, ListGone, ListRefused, NoTags, One, PersonFault
from sinks.toolkit.suppressions import SuppressionPage, Suppressions

PAGE: Final = 1_000
NOT_ALLOWED, NO_SUCH_LIST, NOT_IN_LIST = 60, 101, 203
DELETED, SOME_FAILED = 205, 210
CODES: Final = {204: Reason.UNSUBSCRIBED, 206: Reason.UNSUBSCRIBED, 207: Reason.UNDELIVERABLE, 208: Reason.PENDING}
"""Why somebody was not taken in: suppressed, unsubscribed, bounced, unconfirmed."""
IN_A_LIST: Final = {
    "Active": Standing.ACTIVE,
    "Unconfirmed": Standing.PENDING,
    "Unsubscribed": Standing.LEFT,
    "Bounced": Standing.UNDELIVERABLE,
}
STATES: Final[Mapping[str, str]] = {**IN_A_LIST, "Deleted": "deleted"}
"""Of a subscriber in one list. ``Deleted``: taken out by others; the record stays."""
SUPPRESSIONS: Final = {"Unsubscribed": Reason.UNSUBSCRIBED}
"""The one reason that a page names; any other is a block."""
NO_CONSENT_SAID: Final = "Unchanged"
"""``ConsentToTrack``, which every call must name: Segma says nothing of it."""


class CampaignmonitorOptions(Options):
    """``key``: the account's or the client's API key; ``client``: whose lists those are.

    ``unsubscribe``: of lists that are made: whoever leaves one leaves all of the client's, or this one alone.
    ``restart``: whether who comes back into a list starts its journeys anew.
    """

    key: SecretAt
    client: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{32,64}$")]
    url: SafeUrl = "https://api.createsend.com"
    token_field: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,50}$")] = "segmatoken"  # noqa: S105
    unsubscribe: Literal["AllClientLists", "OnlyThisList"] = "AllClientLists"
    restart: bool = False


def make(options: CampaignmonitorOptions, around: Around) -> ListSink:
    """The sink of an account."""
    login = base64.b64encode(f"{around.secret(options.key, 'key')}:x".encode()).decode()
    http = around.http(options, options.url, {"Authorization": f"Basic {login}"}, quotas={}, connections=4, judge=judge)
    return ListSink(Campaignmonitor(http, options), strangers=around.strangers, known=around.known)


def judge(reply: Reply) -> Trouble | None:
    """A 401 is a wrong key, a right that is missing, or a list that is not there; a 429 names the end of its window."""
    if reply.status == 401 and (code := _code(reply)) in {NOT_ALLOWED, NO_SUCH_LIST}:
        return Trouble(Reason.MISSING_RIGHT, Fate.FATAL, "401, code 60") if code == NOT_ALLOWED else None
    trouble = usual(reply)
    reset = reply.headers.get("x-ratelimit-reset", "")
    if trouble is not None and trouble.reason is Reason.THROTTLED and reset.isdecimal():
        return trouble._replace(wait_s=min(float(reset[:10]), LONGEST_WAIT_S))
    return trouble


class Campaignmonitor(NoTags, NamedLists):
    """The calls."""

    overwrites = True
    numbers = False
    knows_opt_in = True
    most = 100

    def __init__(self, http: Http, options: CampaignmonitorOptions) -> None:
        super().__init__(http, Names(lambda name: self._read_lists(), self._make_list))
        self._options, self._client = options, options.client
        self._suppressions = Suppressions(self._suppressed)
        self._fields: dict[str, Names] = {}
        link = f"[{options.token_field}]"
        self.traits = Traits(batch=100, shows_all=True, tells_removals=True, fields=True, token_link=link)

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Each person's lists, whatever their state there, in one call each; and who is suppressed."""
        names = {number: name for name in sorted(lists) if (number := self._lists.find(name))}
        suppressed = self._suppressions.now()
        return self._http.apart(lambda change: self._look(change, names, suppressed), changes)

    def _look(self, change: Change, names: Mapping[str, str], suppressed: Mapping[str, Reason]) -> Seen | Trouble:
        address = normalised_address(change.address)
        reply = self._http.ask("GET", _path("clients", self._client, "listsforemail"), query={"email": address})
        if not reply.ok:
            return refused(reply, str(_code(reply)))
        found = reply.items()
        states = {_list_id(each): one_of(each, "SubscriberState", STATES) for each in found}
        told = {_list_id(each): text(each, "ListName") for each in found}
        by_state = {
            state: frozenset(names.get(number) or told[number] for number, each in states.items() if each == state)
            for state in (Standing.ACTIVE, Standing.PENDING, Standing.LEFT, Standing.UNDELIVERABLE)
        }
        inside = [number for number, state in states.items() if state is Standing.ACTIVE]
        dead = any(not inside or name in names.values() for name in by_state[Standing.UNDELIVERABLE])
        records = inside or list(states)
        return Seen(
            address if states or address in suppressed else "",
            Standing.LEFT if address in suppressed else Standing.UNDELIVERABLE if dead else Standing.ACTIVE,
            by_state[Standing.ACTIVE],
            by_state[Standing.LEFT],
            fields=self._fields_of(address, records, change) if change.fields else {},
            notes={"records": records, "inside": inside},
            pending=by_state[Standing.PENDING],
            because=suppressed.get(address, Reason.UNSUBSCRIBED),
            elsewhere=bool(inside),
            never_there={*states.values()} == {Standing.PENDING} and not change.met,
        )

    def _suppressed(self, page: str) -> SuppressionPage:
        query = {"orderfield": "date", "orderdirection": "desc", "pagesize": str(PAGE), "page": page or "1"}
        found = self._http.ask("GET", _path("clients", self._client, "suppressionlist"), query=query).read()
        why = {text(each, "EmailAddress"): text(each, "SuppressionReason") for each in rows(found, "Results")}
        because = {normalised_address(each): SUPPRESSIONS.get(why[each], Reason.BLOCKED) for each in why}
        return SuppressionPage(because, _next(found), whole_number(found, "TotalNumberOfRecords"))

    def _fields_of(self, address: str, records: Sequence[str], change: Change) -> dict[str, str]:
        """The fields of the change that have one value in all of these lists."""
        held = [self._details(number, address) for number in records]
        values = {name: {_field(each, name) for each in held} for name, _ in change.fields}
        return {name: next(iter(each)) for name, each in values.items() if len(each) == 1}

    def _details(self, number: str, address: str) -> Mapping[str, Any]:
        """A subscriber of a list; empty where they are in it no more."""
        reply = self._http.ask("GET", _path("subscribers", number), query={"email": address})
        if not reply.ok and (_code(reply) == NOT_IN_LIST or _is_gone(reply)):
            return {}
        found = reply.read()
        if normalised_address(text(found, "EmailAddress")) != address:
            raise Unreadable("EmailAddress")
        return found

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """A subscriber is an address: there is nothing to make before."""
        return [normalised_address(change.address) for change in changes]

    def asks(self, list_name: str, *, known: bool) -> bool:
        """A list of confirmed opt-in."""
        number = self._lists.fresh(list_name)
        asks = self._http.ask("GET", _path("lists", number)).read().get("ConfirmedOptIn") if number else False
        if not isinstance(asks, bool):
            raise Unreadable("ConfirmedOptIn")
        return asks

    def invite(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """By the single call, which has a list of confirmed opt-in mail them."""
        number = self._there(list_name)
        return self._http.apart(lambda one: self._invite(list_name, number, one), people)

    def _invite(self, list_name: str, number: str, one: One) -> PersonFault:
        body = {**_subscriber(one, one.change.name, []), "Resubscribe": False}
        reply = self._http.ask("POST", _path("subscribers", number), body)
        if _code(reply) == DELETED:
            reply = self._http.ask("POST", _path("subscribers", number), {**body, "Resubscribe": True})
        self._check_there(list_name, number, reply)
        if reply.ok and (reply.status != 201 or normalised_address(str(reply.json())) != body["EmailAddress"]):
            raise Unreadable("EmailAddress")
        return None if reply.ok else _meant(_code(reply), one) or refused(reply)

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """By an import, with name and token; again, as ``Resubscribe``, of those alone who were deleted there."""
        number = self._lists.made(list_name)
        carried = self._http.apart(self._carried, people)
        bodies = {
            _address(one): _subscriber(one, each[0], self._values(number, each[1]))
            for one, each in zip(people, carried, strict=True)
            if not isinstance(each, Trouble)
        }
        codes = self._imported(list_name, number, [*bodies.values()], resubscribe=False)
        deleted = [bodies[address] for address, code in codes.items() if code == DELETED]
        lasting = {address: code for address, code in codes.items() if code != DELETED}
        codes = lasting | self._imported(list_name, number, deleted, resubscribe=True)
        return [
            each if isinstance(each, Trouble) else _meant(codes.get(_address(one), 0), one)
            for one, each in zip(people, carried, strict=True)
        ]

    def _carried(self, one: One) -> tuple[str, dict[str, str]] | Trouble:
        """Name and fields that somebody takes along from a list that they are in."""
        name, fields = one.change.name, dict(one.change.fields)
        inside, field = one.seen.notes["inside"], self._options.token_field
        if inside and not (name and field in fields):
            found = self._details(inside[0], _address(one))
            name, token = name or (words(found, "Name") if found else ""), _field(found, field)
            fields = {**({field: token} if token else {}), **fields}
        return name, fields

    def _imported(
        self, list_name: str, number: str, bodies: Sequence[Mapping[str, Any]], *, resubscribe: bool
    ) -> dict[str, int]:
        """Address → code of those who were not taken in. Raises where the answer does not account for everybody."""
        if not bodies:
            return {}
        journeys = {
            "QueueSubscriptionBasedAutoresponders": True,
            "RestartSubscriptionBasedAutoresponders": self._options.restart,
        }
        body = {"Subscribers": bodies, "Resubscribe": resubscribe, **journeys}
        reply = self._http.ask("POST", _path("subscribers", number, "import"), body)
        self._check_there(list_name, number, reply)
        if not reply.ok and _code(reply) != SOME_FAILED:
            raise BatchRefused(str(_code(reply)))
        result = reply.object() if reply.ok else table(reply.object(), "ResultData")
        failed = {
            normalised_address(text(each, "EmailAddress")): whole_number(each, "Code")
            for each in rows(result, "FailureDetails")
        }
        taken = whole_number(result, "TotalNewSubscribers") + whole_number(result, "TotalExistingSubscribers")
        asked = {each["EmailAddress"] for each in bodies}
        if not failed.keys() <= asked or taken + len(failed) != len(asked):
            raise Unreadable("FailureDetails")
        return failed

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """``DELETE``, never ``unsubscribe``; who is not in the list is out of it."""
        number = self._there(list_name)
        return self._http.apart(lambda one: self._remove(list_name, number, one), people)

    def _remove(self, list_name: str, number: str, one: One) -> PersonFault:
        reply = self._http.ask("DELETE", _path("subscribers", number), query={"email": _address(one)})
        self._check_there(list_name, number, reply)
        return None if not reply.ok and _code(reply) == NOT_IN_LIST else _silent(reply, one)

    def _check_there(self, list_name: str, number: str, reply: Reply) -> None:
        """Raises :class:`ListGone` where a call was refused because the list is not there any more."""
        if _is_gone(reply) and self._lists.fresh(list_name) != number:
            raise ListGone

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """Fields alone, in every list that somebody is in; who is in none has them where they were."""
        try:
            for one in people:  # NOTE: fields are made before, not side by side
                for number in one.seen.notes["records"]:
                    self._values(number, dict(one.change.fields))
        except ListGone:
            raise Unreadable("customfields") from None
        return self._http.apart(self._write, people)

    def _write(self, one: One) -> PersonFault:
        for number in one.seen.notes["records"]:
            body = _subscriber(one, "", self._values(number, dict(one.change.fields)))
            reply = self._http.ask("PUT", _path("subscribers", number), body, query={"email": _address(one)})
            if (fault := _silent(reply, one)) is not None:
                return fault
        return None

    def _values(self, number: str, fields: Mapping[str, str]) -> list[dict[str, str]]:
        """Fields as a list takes them: by the key that it has of each, made if missing."""
        own = self._fields.setdefault(number, self._fields_in(number))
        return [{"Key": own.made(name).strip("[]"), "Value": value} for name, value in fields.items()]

    def members(self, list_name: str) -> Iterator[Member]:
        """Subscribers of the list, state by state; who was deleted from it is none."""
        number = self._read(list_name)
        suppressed = self._suppressions.now()
        for state, standing in IN_A_LIST.items():

            def read(page: str, state: str = state) -> tuple[list[Mapping[str, Any]], str]:
                query = {"page": page or "1", "pagesize": str(PAGE)}
                found = self._http.ask("GET", _path("lists", number, state.lower()), query=query).read()
                return rows(found, "Results"), _next(found)

            for each in linked_pages(read):
                own = Standing.LEFT if normalised_address(text(each, "EmailAddress")) in suppressed else standing
                yield Member(text(each, "EmailAddress"), words(each, "Name"), own)

    def rights(self) -> Iterator[Right]:
        """Reading is tried as it is, changing by calls that are refused as they stand: of nobody, without a name."""
        some = next((number for _, number in self._read_lists()), "0" * 32)
        nobody = {"EmailAddress": "", "ConsentToTrack": NO_CONSENT_SAID}
        tries: dict[str, tuple[str, str, object]] = {
            "reading lists": ("GET", _path("clients", self._client, "lists"), None),
            "reading subscribers": ("GET", _path("clients", self._client, "listsforemail"), None),
            "reading suppressions": ("GET", _path("clients", self._client, "suppressionlist"), None),
            "making lists": ("POST", _path("lists", self._client), {"Title": ""}),
            "importing": ("POST", _path("subscribers", some, "import"), {"Subscribers": [nobody]}),
            "taking out of lists": ("DELETE", _path("subscribers", some), None),
            "making fields": ("POST", _path("lists", some, "customfields"), {"FieldName": "", "DataType": "Text"}),
        }
        for name, (method, path, body) in tries.items():
            reply = self._http.ask(method, path, body, query={"email": "nobody@example.invalid"}, hear=frozenset({401}))
            yield Right(name, None if _code(reply) == NO_SUCH_LIST else reply.status != 401)
        yield Right("confirmation mails", None, "only `strangers: opt_in` asks, in lists of confirmed opt-in")
        yield Right("journeys", None, "a journey that the list triggers begins; it is not asked which")

    def _read_lists(self) -> Iterable[tuple[str, str]]:
        found = self._http.ask("GET", _path("clients", self._client, "lists")).items()
        return [(text(each, "Name"), _list_id(each)) for each in found]

    def _make_list(self, name: str) -> str:
        body = {"Title": name, "ConfirmedOptIn": False, "UnsubscribeSetting": self._options.unsubscribe}
        return _made(self._http.ask("POST", _path("lists", self._client), body))

    def _fields_in(self, number: str) -> Names:
        path = _path("lists", number, "customfields")

        def read(name: str) -> Iterable[tuple[str, str]]:
            reply = self._http.ask("GET", path)
            if _is_gone(reply):
                raise ListGone
            return [(text(each, "FieldName"), text(each, "Key")) for each in reply.items()]

        def make(name: str) -> str:
            body = {"FieldName": name, "DataType": "Text", "VisibleInPreferenceCenter": False}
            return _made(self._http.ask("POST", path, body))

        return Names(read, make)


def _path(*parts: str) -> str:
    return f"/api/v3.3/{'/'.join(parts)}.json"


def _address(one: One) -> str:
    return normalised_address(one.change.address)


def _subscriber(one: One, name: str, fields: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    body: dict[str, Any] = {"EmailAddress": _address(one), "ConsentToTrack": NO_CONSENT_SAID}
    return body | ({"Name": name} if name else {}) | ({"CustomFields": fields} if fields else {})


def _list_id(each: Mapping[str, Any]) -> str:
    found = text(each, "ListID")
    if len(found) < 32 or not found.isalnum():
        raise Unreadable("ListID")
    return found


def _made(reply: Reply) -> str:
    """The id, or the key, of what was made: a text by itself."""
    if not reply.ok:
        raise ListRefused(f"{reply.status}, code {_code(reply)}")
    return text({"made": reply.json()}, "made")


def _field(details: Mapping[str, Any], name: str) -> str:
    """A field's value in a list; empty where it has none, or the person is in it no more."""
    found = rows(details, "CustomFields") if details else []
    return {text(each, "Key").strip("[]").lower(): words(each, "Value") for each in found}.get(name.lower(), "")


def _next(found: Mapping[str, Any]) -> str:
    """The page after this one; empty: it is the last."""
    page, last = whole_number(found, "PageNumber"), whole_number(found, "NumberOfPages")
    return str(page + 1) if page < last else ""


def _code(reply: Reply) -> int:
    """The platform's own number for a refusal; 0: it gave none."""
    said = reply.json_or_none() if not reply.ok else None
    code = said.get("Code") if isinstance(said, dict) else None
    return code if isinstance(code, int) else 0


def _is_gone(reply: Reply) -> bool:
    """Whether the list that a call was about may not be there: its names are read anew before that is believed."""
    return reply.is_missing("Message") or (reply.status == 401 and _code(reply) == NO_SUCH_LIST)


def _silent(reply: Reply, one: One) -> PersonFault:
    """The answer of a call that says nothing when it did what it was to."""
    if reply.ok and (reply.status != 200 or reply.body.strip()):
        raise Unreadable("200")
    return None if reply.ok else _meant(_code(reply), one) or refused(reply)


def _meant(code: int, one: One) -> PersonFault:
    """What a code says of one person; 0: nothing."""
    because = CODES.get(code, Reason.REFUSED_BY_PLATFORM)
    because = Reason.ASKED if because is Reason.PENDING and one.change.asked else because
    fate = Fate.PASSING if code in {NO_SUCH_LIST, NOT_IN_LIST, DELETED} else Fate.LASTING
    return Trouble(because, fate, f"code {code}") if code else None


KIND: Final = Kind(CampaignmonitorOptions, make)
