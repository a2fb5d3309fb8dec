"""Iterable: users on static lists, changed in bulk, and looked at one a call.

Kept apart here: a 200 tells by name for whom it did nothing (``failedUpdates``), and what it did it may do later, so
each user is read back. Nobody is unsubscribed from a channel (``channelUnsubscribe`` is always false), and no call
carries what a user unsubscribed from. Who is not there is a 200 with nothing in it. Lists that are dynamic, or there to
suppress, take nobody. A reading of a list is plain text, of which there are five a minute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from contracts.installation import SecretAt
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import Change, Fate, Halt, Member, Right, Standing, Traits, Trouble
from sinks.toolkit.answers import Unreadable, one_of, table, text, whole_number, words
from sinks.toolkit.consent import Seen
from sinks.toolkit.http import LONGEST_WAIT_S, Http, Reply, refused, usual
from sinks.toolkit.list_ids import NamedLists, Names, in_parts
from sinks.toolkit.list_sink import ListSink
from sinks.toolkit.options import Around, Kind, Options, SafeUrl
from sinks.toolkit.platform import BatchRefused, ListGone, ListRefused, NoOptIn, One, PersonFault

QUOTAS: Final = {"all": [(100, 1_000)], "lists": [(5, 1_000)], "members": [(5, 60_000)]}
"""Of a project. ``lists``: putting in and taking out. ``members``: readings of whole lists."""
HOSTS: Final = {"us": "https://api.iterable.com", "eu": "https://api.eu.iterable.com"}
WAIT_S: Final = 1.0
"""After a 429 that does not say ``rateLimitReset``."""
LISTS: Final = "/api/lists"
USERS: Final = "/api/users"
CHANNELS: Final = "/api/channels"
LEFT: Final = "unsubscribedChannelIds"
CONNECTIONS: Final = 16
TOGETHER: Final = 6 * CONNECTIONS
"""Whole rounds of all connections, and enough of them that the few calls between leave nothing of the quota unused."""
KINDS: Final = {"Standard": True, "Dynamic": False, "Suppression": False, "Internal": False}
"""Of lists: whether one takes users."""
TRIED: Final = frozenset({401, 403})
AGAIN: Final = Trouble(Reason.WRONG_ANSWER, Fate.PASSING, "accepted, and not so yet")
FAILED: Final = {
    "forgotten": Trouble(Reason.FORGOTTEN, Fate.LASTING, "forgotten"),
    "notFound": Trouble(Reason.REFUSED_BY_PLATFORM, Fate.PASSING, "not found"),
    "conflict": Trouble(Reason.REFUSED_BY_PLATFORM, Fate.LASTING, "another user's"),
    "invalidData": Trouble(Reason.REFUSED_BY_PLATFORM, Fate.LASTING, "invalid data"),
    "invalid": Trouble(Reason.REFUSED_BY_PLATFORM, Fate.LASTING, "invalid"),
}
"""``failedUpdates``: for whom a call did nothing, under this name and ``Emails`` or ``UserIds``."""


class IterableOptions(Options):
    """``key``: a server-side API key of a project. ``region``: the project's data center.

    ``identified_by``: how the project knows its users; ``email`` also where it knows them by both.
    ``channels``: of the email channels those whose unsubscription is a leaving; by default all for marketing.
    """

    key: SecretAt
    region: Literal["us", "eu"] = "us"
    identified_by: Literal["email", "user_id"] = "email"
    channels: frozenset[int] = frozenset()
    url: SafeUrl | None = None
    token_field: str = "segma_token"  # noqa: S105
    name_field: str = "firstName"


def make(options: IterableOptions, around: Around) -> ListSink:
    """The sink of an account."""
    headers = {"Api-Key": around.secret(options.key, "key")}
    url = options.url or HOSTS[options.region]
    http = around.http(options, url, headers, quotas=QUOTAS, connections=CONNECTIONS, judge=judge)
    return ListSink(IterableProject(http, options), strangers=around.strangers, known=around.known)


def judge(reply: Reply) -> Trouble | None:
    """A 429 says in its body how long to wait."""
    trouble = usual(reply)
    if trouble is None or trouble.reason is not Reason.THROTTLED:
        return trouble
    said = reply.json_or_none()
    params = said.get("params") if isinstance(said, dict) else None
    reset = params.get("rateLimitReset") if isinstance(params, dict) else None
    known = isinstance(reset, int | float) and not isinstance(reset, bool) and 0 <= reset <= LONGEST_WAIT_S
    return trouble._replace(wait_s=float(reset) if known and reset is not None else trouble.wait_s or WAIT_S)


class IterableProject(NoOptIn, NamedLists):
    """The calls."""

    overwrites = False
    numbers = False
    most = TOGETHER

    def __init__(self, http: Http, options: IterableOptions) -> None:
        super().__init__(http, Names(lambda name: self._read_lists(), self._make_list))
        self._options = options
        self._channels: frozenset[int] = frozenset()
        link = f"{{{{{options.token_field}}}}}"
        self.traits = Traits(batch=TOGETHER, tells_removals=True, fields=True, token_link=link)

    def look(self, changes: Sequence[Change], lists: frozenset[str]) -> list[Seen | Trouble]:
        """Each user by address, in one call each."""
        names = {int(number): name for name in lists if (number := self._lists.find(name))}
        self._channels = self._read_channels()
        return self._http.apart(lambda change: self._look(normalised_address(change.address), names), changes)

    def _look(self, address: str, names: Mapping[int, str]) -> Seen | Trouble:
        user = self._user(address)
        if user is None or isinstance(user, Trouble):
            return user or Seen()
        data = table(user, "dataFields")
        inside = frozenset(names[each] for each in _numbers(data, "emailListIds") if each in names)
        fields = {name: value for name, value in data.items() if isinstance(value, str)}
        return Seen(self._id_of(user), self._standing(data), inside, fields=fields)

    def _user(self, address: str) -> Mapping[str, Any] | Trouble | None:
        """Who has an address; None: nobody, which is a 200 with nothing in it."""
        reply = self._http.ask("GET", f"{USERS}/getByEmail", query={"email": address})
        if reply.status == 400:
            return None if _code(reply) == "UnknownEmailError" else refused(reply, _code(reply))
        said = reply.read()
        if not said:
            return None
        user = table(said, "user")
        # NOTE: lists and channels are among the fields; fields that name nobody are no fields of a user on no list.
        if any(normalised_address(text(each, "email")) != address for each in (user, table(user, "dataFields"))):
            raise Unreadable("email")
        return user

    def _id_of(self, user: Mapping[str, Any]) -> str:
        return text(user, "userId" if self._options.identified_by == "user_id" else "email")

    def _named(self, person: str) -> dict[str, str]:
        return {"userId" if self._options.identified_by == "user_id" else "email": person}

    def _standing(self, data: Mapping[str, Any]) -> Standing:
        return Standing.LEFT if self._channels & _numbers(data, LEFT) else Standing.ACTIVE

    def _read_channels(self) -> frozenset[int]:
        """The channels whose unsubscription is a leaving: read anew each time, for one may be made at any time."""
        if self._options.channels:
            return self._options.channels
        found = self._http.ask("GET", CHANNELS).items("channels")
        email = [each for each in found if text(each, "messageMedium") == "Email"]
        return frozenset(whole_number(each, "id") for each in email if text(each, "channelType") == "Marketing")

    def enrol(self, changes: Sequence[Change]) -> list[str | Trouble]:
        """A user a call, on no list; then it is seen who came of it."""
        return self._http.apart(self._enrol, changes)

    def _enrol(self, change: Change) -> str | Trouble:
        address = normalised_address(change.address)
        body: dict[str, Any] = {"email": address}
        if self._options.identified_by == "user_id":
            body |= {"userId": f"segma-{hashlib.sha256(address.encode()).hexdigest()[:32]}", "preferUserId": True}
        if change.name:
            body["dataFields"] = {self._options.name_field: change.name}
        reply = self._http.ask("POST", f"{USERS}/update", body)
        if not reply.ok:
            forgotten = _code(reply) == "ForgottenUserError"
            return FAILED["forgotten"] if forgotten else refused(reply, _code(reply))
        user = self._user(address)
        if user is None or isinstance(user, Trouble):
            return user or AGAIN
        was_there = self._standing(table(user, "dataFields")) is Standing.LEFT
        was_there = was_there or body.get("userId", self._id_of(user)) != self._id_of(user)
        return AGAIN if was_there else self._id_of(user)

    def put(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """On the list; whoever vanished meanwhile is made by nobody."""
        return self._change("subscribe", list_name, self._lists.made(list_name), people)

    def remove(self, list_name: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Off the list, and from no channel."""
        return self._change("unsubscribe", list_name, self._there(list_name), people)

    def _change(self, verb: str, list_name: str, number: str, people: Sequence[One]) -> Sequence[PersonFault]:
        """Those that the answer names did not come through; the others are read back."""
        body: dict[str, Any] = {"listId": int(number), "subscribers": [self._named(one.person) for one in people]}
        body |= {"updateExistingUsersOnly": True} if verb == "subscribe" else {"channelUnsubscribe": False}
        reply = self._http.ask("POST", f"{LISTS}/{verb}", body, bucket="lists")
        if not reply.ok:
            if self._lists.fresh(list_name) != number:
                raise ListGone
            raise BatchRefused(f"{reply.status} {_code(reply)}")
        failed = _failed(reply)

        def check(one: One) -> PersonFault:
            if one.person.lower() in failed:
                return failed[one.person.lower()]
            user = self._user(normalised_address(one.change.address))
            if user is None or isinstance(user, Trouble):
                return user or AGAIN
            inside = int(number) in _numbers(table(user, "dataFields"), "emailListIds")
            return None if inside is (verb == "subscribe") else AGAIN

        faults = self._http.apart(check, people)
        if any(faults) and self._lists.fresh(list_name) != number:
            raise ListGone
        return faults

    def mark(self, tag: str, people: Sequence[One], *, on: bool) -> Sequence[PersonFault]:
        """Users have no tags."""
        return [Trouble(Reason.UNSUPPORTED, Fate.LASTING)] * len(people)

    def write(self, people: Sequence[One]) -> Sequence[PersonFault]:
        """Fields alone, of a user a call, which are made if missing; then they are read back."""
        return self._http.apart(self._write, people)

    def _write(self, one: One) -> PersonFault:
        fields = dict(one.change.fields)
        body = {**self._named(one.person), "dataFields": fields, "createNewFields": True}
        reply = self._http.ask("POST", f"{USERS}/update", body)
        if not reply.ok:
            return refused(reply, _code(reply))
        user = self._user(normalised_address(one.change.address))
        if user is None or isinstance(user, Trouble):
            return user or AGAIN
        data = table(user, "dataFields")
        return None if all(data.get(name) == value for name, value in fields.items()) else AGAIN

    def members(self, list_name: str) -> Iterator[Member]:
        """The list's users, a line each, and what is known of each; those without an address are passed over."""
        number = self._read(list_name)
        reply = self._http.ask("GET", f"{LISTS}/getUsers", query={"listId": number}, bucket="members", media="*/*")
        if not reply.ok or not reply.headers.get("content-type", "").startswith("text/plain"):
            raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, f"{reply.status}, no list of users"))
        self._channels = self._read_channels()
        lines = [line.strip() for line in reply.body.decode("utf-8", "replace").splitlines()]
        for some in in_parts([normalised_address(line) for line in lines if "@" in line], TOGETHER):
            yield from (each for each in self._http.together(self._member, some) if each is not None)

    def _member(self, address: str) -> Member | None:
        user = self._user(address)
        if user is None or isinstance(user, Trouble):
            return None
        data = table(user, "dataFields")
        name = data.get(self._options.name_field)
        person = words(user, "userId")
        return Member(address, name if isinstance(name, str) else "", self._standing(data), person)

    def rights(self) -> Iterator[Right]:
        """Reading is tried as it is, changing by calls that are refused as they stand; a key's type decides."""
        nobody: dict[str, Any] = {"listId": 0, "subscribers": [{"email": "nobody@example.invalid"}]}
        tries: dict[str, tuple[str, str, object, Mapping[str, str]]] = {
            "reading lists": ("GET", LISTS, None, {}),
            "reading users": ("GET", f"{USERS}/getByEmail", None, {"email": "nobody@example.invalid"}),
            "reading channels": ("GET", CHANNELS, None, {}),
            "reading the users of a list": ("GET", f"{LISTS}/getUsers", None, {"listId": "0"}),
            "changing users": ("POST", f"{USERS}/update", {"email": ""}, {}),
            "making lists": ("POST", LISTS, {"name": ""}, {}),
            "putting on lists": ("POST", f"{LISTS}/subscribe", {**nobody, "updateExistingUsersOnly": True}, {}),
            "taking off lists": ("POST", f"{LISTS}/unsubscribe", {**nobody, "channelUnsubscribe": False}, {}),
        }
        for name, (method, path, body, query) in tries.items():
            reply = self._http.ask(method, path, body, query=query, hear=TRIED)
            yield Right(
                name, reply.status not in TRIED, "" if reply.status not in TRIED else "a server-side key has it"
            )
        yield Right("journeys", None, "a journey that starts at the list begins; it is not asked which")

    def _read_lists(self) -> Iterable[tuple[str, str]]:
        found = self._http.ask("GET", LISTS).items("lists")
        return [(text(each, "name"), text(each, "id")) for each in found if one_of(each, "listType", KINDS)]

    def _make_list(self, name: str) -> str:
        reply = self._http.ask("POST", LISTS, {"name": name})
        if not reply.ok:
            raise ListRefused(f"{reply.status} {_code(reply)}")
        return text(reply.object(), "listId")


def _failed(reply: Reply) -> dict[str, Trouble]:
    """Those for whom a call did nothing, as it names them in small letters, and why."""
    said = reply.object()
    if whole_number(said, "failCount") == whole_number(said, "successCount") == 0:
        raise BatchRefused(f"{reply.status}, of nobody")
    updates = table(said, "failedUpdates", null=True)
    found = dict[str, Trouble]()
    for why, trouble in FAILED.items():
        for name in (f"{why}Emails", f"{why}UserIds"):
            found |= {each.lower(): trouble for each in updates.get(name) or [] if isinstance(each, str)}
    return found


def _numbers(value: Mapping[str, Any], name: str) -> set[int]:
    """A field that is a list of ids; without the field there are none."""
    if name not in value:
        return set()
    found = value[name]
    if not isinstance(found, list) or not all(type(each) is int for each in found):
        raise Unreadable(name)
    return set(found)


def _code(reply: Reply) -> str:
    """The platform's own word for a refusal, one of a few."""
    said = reply.json_or_none()
    return str(said.get("code", ""))[:40] if isinstance(said, dict) else ""


KIND: Final = Kind(IterableOptions, make, quotas=QUOTAS)
