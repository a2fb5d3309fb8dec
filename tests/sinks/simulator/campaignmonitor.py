"""Campaign Monitor, as its description (grade C), its client's fixtures and its pages tell: subscribers of lists."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

from tests.sinks.consent_knowledge import Shows
from tests.sinks.simulator.imitation import Guard, Imitation
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, PENDING, UNDELIVERABLE, MailingList, Person, World

CLIENT = "c" * 32
OPTIONS: dict[str, Any] = {"key": {"env": "KEY"}, "client": CLIENT}
DELETED = "deleted"
STATE = {ACTIVE: "Active", LEFT: "Unsubscribed", PENDING: "Unconfirmed", UNDELIVERABLE: "Bounced", DELETED: "Deleted"}
READ = {name.lower(): state for state, name in STATE.items()}
CODE = {DELETED: 205, LEFT: 206, UNDELIVERABLE: 207, PENDING: 208}
AT = "2026-01-01 00:00:00"


class Campaignmonitor:
    name = "campaignmonitor"
    described = True
    quotas: Quotas = MappingProxyType({})
    leaves_everything = False
    sends_tags = False

    def __init__(self) -> None:
        self.page = 1_000
        self.all_lists = False
        """Whether the lists are of the kind that is left together with all others (``AllClientLists``)."""
        self.slow = False
        """Whether those who are added by the single call wait in its queue."""
        self.deleted: set[tuple[str, str]] = set()
        """Who was deleted from which list: the record stays, and brings nobody back by itself."""
        self.fields: dict[str, dict[str, str]] = {}
        """List → its fields → their keys."""
        self.values: dict[tuple[str, str], dict[str, str]] = {}
        """Person and list → key → value."""
        self.reasons: dict[str, str] = {}
        """Person → why they are suppressed, where it is not that they unsubscribed."""
        self.denied: set[str] = set()
        """Parts of the interface that the key may not use, with ``LIST`` for a list's id."""
        self._suppressed: list[str] = []

    def bucket(self, asked: Asked) -> str:
        return "all"

    def admits(self, asked: Asked) -> Answer | None:
        login = base64.b64encode(f"{KEY}:x".encode()).decode()
        if asked.headers.get("Authorization") != f"Basic {login}":
            return self.bad_key()
        part = re.sub(r"0[0-9a-f]{31}", "LIST", f"{asked.method} {asked.path}")
        return _refused(60, 401) if part in self.denied else None

    def bad_key(self) -> Answer:
        return _refused(100, 401)

    def throttled(self, wait_s: float) -> Answer:
        return _refused(429, 429)._replace(headers={"X-RateLimit-Reset": str(math.ceil(wait_s))})

    def leave(self, world: World, address: str, list_name: str) -> None:
        person, found = world.person(address), world.list_named(list_name)
        if person is None or found is None:
            return
        for each in world.lists.values() if self.all_lists else [found]:
            if person.id in each.members:
                each.members[person.id] = LEFT
        person.standing = LEFT if self.all_lists else person.standing

    def handle(self, asked: Asked, world: World) -> Answer:
        what, number, *more = asked.path.removeprefix("/api/v3.3/").removesuffix(".json").split("/")
        if number == CLIENT:
            return self._of_client(asked, more[0] if more else "", world)
        found = world.lists.get(str(int(number, 16)))
        if found is None:
            return _refused(101, 401)
        if what == "subscribers":
            return self._subscriber(asked, found, world) if not more else self._import(asked.body, found, world)
        known: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", ""): lambda: Answer(200, _details_of(found)),
            ("GET", "customfields"): lambda: Answer(200, [_field(*each) for each in self._fields(found).items()]),
            ("POST", "customfields"): lambda: self._make_field(asked.body, found),
        }
        part = more[0] if more else ""
        return known[asked.method, part]() if (asked.method, part) in known else self._members(asked, found, world)

    def _of_client(self, asked: Asked, part: str, world: World) -> Answer:
        if part == "listsforemail":
            person = world.person(asked.query["email"])
            states = self._states(person, world) if person is not None else {}
            return Answer(200, [_listed(world.lists[number], state) for number, state in states.items()])
        if part == "suppressionlist":
            return self._suppressions(asked, world)
        if asked.method == "GET":
            return Answer(200, [{"ListID": _id(each), "Name": each.name} for each in world.lists.values()])
        title = asked.body["Title"]
        if not title or world.list_named(title) is not None:
            return _refused(250 if title else 251)
        return Answer(201, _id(world.made_list(title)))

    def _states(self, person: Person, world: World) -> dict[str, str]:
        """Somebody in no list is known by the record of one that they were deleted from."""
        own = {each.id: each.members[person.id] for each in world.lists.values() if person.id in each.members}
        gone = [number for number in world.lists if (person.id, number) in self.deleted and number not in own]
        gone = gone or ([] if own else list(world.lists)[:1])
        return own | dict.fromkeys(gone, DELETED)

    def _suppressions(self, asked: Asked, world: World) -> Answer:
        """The newest first, if it is asked so; of one address nothing can be asked."""
        now = [each.id for each in world.people.values() if each.standing == LEFT]
        self._suppressed = [each for each in self._suppressed if each in now]
        self._suppressed += [each for each in now if each not in self._suppressed]
        newest = asked.query.get("orderfield") == "date" and asked.query.get("orderdirection") == "desc"
        told = [
            {
                "EmailAddress": person.address,
                "SuppressionReason": self.reasons.get(number, "Unsubscribed"),
                "Date": AT,
                "State": "Suppressed",
            }
            for number in (reversed(self._suppressed) if newest else self._suppressed)
            if (person := world.by_id(number)) is not None
        ]
        return self._page(asked, told)

    def _members(self, asked: Asked, found: MailingList, world: World) -> Answer:
        state = READ[asked.path.rpartition("/")[2].removesuffix(".json")]
        people = [person for number in found.members if (person := world.by_id(number)) is not None]
        return self._page(asked, [self._told(each, found) for each in people if found.members[each.id] == state])

    def _page(self, asked: Asked, told: Sequence[dict[str, Any]]) -> Answer:
        size, page = min(int(asked.query.get("pagesize", 1_000)), self.page), int(asked.query.get("page", 1))
        some = told[(page - 1) * size : page * size]
        counts = {"PageNumber": page, "PageSize": size, "RecordsOnThisPage": len(some)}
        counts |= {"TotalNumberOfRecords": len(told), "NumberOfPages": max(-(-len(told) // size), 1)}
        return Answer(200, {"Results": list(some), "ResultsOrderedBy": "email", "OrderDirection": "asc", **counts})

    def _subscriber(self, asked: Asked, found: MailingList, world: World) -> Answer:
        if asked.method == "POST":
            return self._add(asked.body, found, world)
        person = world.person(asked.query["email"])
        state = self._states(person, world).get(found.id) if person is not None else None
        if person is None or state is None:
            return _refused(203)
        if asked.method == "GET":
            return Answer(200, self._told(person, found) | {"State": STATE[state]})
        if asked.method == "PUT":
            if asked.body.get("Resubscribe") or asked.body["EmailAddress"].lower() != person.address.lower():
                world.wrongs.append(f"{person.id}: an update of fields changed more than fields")
            self._write(asked.body, person, found)
            return Answer(200)
        if state == LEFT:
            world.wrongs.append(f"{person.id}: the record of leaving {found.name} was deleted")
        found.members.pop(person.id, None)
        self.deleted.add((person.id, found.id))
        return Answer(200)

    def _refusal(self, body: dict[str, Any], found: MailingList, world: World, *, again: bool) -> int:
        """The code for somebody who is not taken in; whoever is brought back against their will is a wrong."""
        address = body["EmailAddress"]
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", address) or address.lower() in world.bad:
            return 1
        person = world.person(address)
        if person is None:
            return 0
        had = (person.id, found.id) in self.deleted
        state = found.members.get(person.id, DELETED if had else "")
        if person.standing == LEFT and state != ACTIVE:
            if had and not again:
                return 204
            world.wrongs.append(f"{person.id} is suppressed, and was put into {found.name}")
        if again and state in {LEFT, UNDELIVERABLE}:
            world.wrongs.append(f"{person.id} was resubscribed to {found.name}, which they had left")
        return 0 if again else CODE.get(state, 0)

    def _import(self, body: dict[str, Any], found: MailingList, world: World) -> Answer:
        """At once, and without a mail of the list's own."""
        failures, counts = [], {True: 0, False: 0}
        for each in body["Subscribers"]:
            code = self._refusal(each, found, world, again=bool(body.get("Resubscribe")))
            if code:
                failures.append({"EmailAddress": each["EmailAddress"], "Code": code, "Message": "no"})
                continue
            person = world.enrol(each["EmailAddress"])
            counts[person.id in found.members] += 1
            found.members[person.id] = ACTIVE
            self._write(each, person, found)
        result = {
            "FailureDetails": failures,
            "TotalUniqueEmailsSubmitted": len(body["Subscribers"]),
            "TotalExistingSubscribers": counts[True],
            "TotalNewSubscribers": counts[False],
            "DuplicateEmailsInSubmission": [],
        }
        failed = {"Code": 210, "Message": "Subscriber Import had some failures", "ResultData": result}
        return Answer(400, failed) if failures else Answer(201, result)

    def _add(self, body: dict[str, Any], found: MailingList, world: World) -> Answer:
        """Into a queue; a list of confirmed opt-in mails whoever is new to it, any other welcomes them."""
        code = self._refusal(body, found, world, again=bool(body.get("Resubscribe")))
        if code:
            return _refused(code)
        person = world.enrol(body["EmailAddress"])
        if found.members.get(person.id) != ACTIVE and not self.slow:
            double = found.optin == "double"
            found.members[person.id] = PENDING if double else ACTIVE
            world.mails.append(f"{'opt-in' if double else 'welcome'} to {person.id}")
        self._write(body, person, found)
        return Answer(201, body["EmailAddress"])

    def _write(self, body: dict[str, Any], person: Person, found: MailingList) -> None:
        """A field that the list does not have is passed over."""
        names = {key.strip("[]"): name for name, key in self._fields(found).items()}
        person.name = body.get("Name", person.name)
        for each in body.get("CustomFields", []):
            if each["Key"] in names:
                self.values.setdefault((person.id, found.id), {})[each["Key"]] = each["Value"]
                person.fields[names[each["Key"]]] = each["Value"]

    def _told(self, person: Person, found: MailingList) -> dict[str, Any]:
        values = self.values.get((person.id, found.id), {})
        return {
            "EmailAddress": person.address,
            "Name": person.name,
            "Date": AT,
            "State": STATE[found.members.get(person.id, DELETED)],
            "CustomFields": [{"Key": key, "Value": value} for key, value in values.items()],
            "ReadsEmailWith": "",
        }

    def _fields(self, found: MailingList) -> dict[str, str]:
        return self.fields.setdefault(found.id, {"website": "[website]"})

    def _make_field(self, body: dict[str, Any], found: MailingList) -> Answer:
        name = body["FieldName"]
        if not name or name in self._fields(found):
            return _refused(255 if name else 254)
        self._fields(found)[name] = f"[{''.join(name.split()).lower()}]"
        return Answer(201, self._fields(found)[name])


def _id(each: MailingList) -> str:
    return f"{int(each.id):032x}"


def _listed(each: MailingList, state: str) -> dict[str, Any]:
    return {"ListID": _id(each), "ListName": each.name, "SubscriberState": STATE[state], "DateSubscriberAdded": AT}


def _details_of(each: MailingList) -> dict[str, Any]:
    pages = {"UnsubscribePage": "", "ConfirmationSuccessPage": "", "UnsubscribeSetting": "OnlyThisList"}
    return {"ListID": _id(each), "Title": each.name, "ConfirmedOptIn": each.optin == "double", **pages}


def _field(name: str, key: str) -> dict[str, Any]:
    return {"FieldName": name, "Key": key, "DataType": "Text", "FieldOptions": [], "VisibleInPreferenceCenter": False}


def _refused(code: int, status: int = 400) -> Answer:
    return Answer(status, {"Code": code, "Message": "no"})


SHOWS = Shows(lists_are_left=True, leavings=True, removals=True, other_lists=True, numbers=False, asks="list")
IMITATIONS = {
    "campaignmonitor": Imitation(Campaignmonitor, OPTIONS, SHOWS, token_field="segmatoken", bounces=False),
}
SINK = "platforms/campaignmonitor.py"
GUARDS = (
    Guard(
        "campaignmonitor_who_is_taken_back",
        SINK,
        "[*bodies.values()], resubscribe=False)",
        "[*bodies.values()], resubscribe=True)",
    ),
    Guard("campaignmonitor_each_state", SINK, '"Unsubscribed": Standing.LEFT,', '"Unsubscribed": Standing.ACTIVE,'),
    Guard("campaignmonitor_each_state", SINK, '"Bounced": Standing.UNDELIVERABLE,', '"Bounced": Standing.ACTIVE,'),
    Guard("campaignmonitor_what_happens_before", SINK, "206: Reason.UNSUBSCRIBED,", "206: Reason.REFUSED_BY_PLATFORM,"),
    Guard(
        "campaignmonitor_a_state_that",
        SINK,
        'one_of(each, "SubscriberState", STATES)',
        'STATES.get(each["SubscriberState"], "deleted")',
    ),
    Guard(
        "campaignmonitor_who_is_suppressed", SINK, "Standing.LEFT if address in suppressed else Standing", "Standing"
    ),
    Guard("campaignmonitor_who_leaves_all", SINK, "overwrites = True", "overwrites = False"),
    Guard("campaignmonitor_the_suppression", "toolkit/suppressions.py", 'after if new else ""', "after"),
    Guard(
        "campaignmonitor_the_suppression",
        "toolkit/suppressions.py",
        "if self._read(known) != len(known):",
        "if self._read(known) < 0:",
    ),
    Guard(
        "campaignmonitor_an_adding",
        SINK,
        '"QueueSubscriptionBasedAutoresponders": True',
        '"QueueSubscriptionBasedAutoresponders": False',
    ),
    Guard("campaignmonitor_a_token_goes", SINK, "fields = {**({field: token} if token else {}), **fields}", "pass"),
    Guard("campaignmonitor_a_token_is", SINK, "{_field(each, name) for each in held}", "{_field(held[0], name)}"),
    Guard("campaignmonitor_an_import_that", SINK, "or taken + len(failed) != len(asked)", ""),
    Guard("campaignmonitor_a_list_that", SINK, "in {NOT_ALLOWED, NO_SUCH_LIST}", "in {NOT_ALLOWED}"),
    Guard("campaignmonitor_a_right_that", SINK, "in {NOT_ALLOWED, NO_SUCH_LIST}", "in {NO_SUCH_LIST}"),
    Guard("campaignmonitor_a_429", SINK, "reset.isdecimal()", "False"),
    Guard(
        "campaignmonitor_who_bounced_elsewhere", SINK, "any(not inside or name in names.values() for", "any(True for"
    ),
    Guard("campaignmonitor_members", SINK, 'return str(page + 1) if page < last else ""', 'return ""'),
)
