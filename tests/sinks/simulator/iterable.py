"""Iterable, as its description (grade B, retyped) and its pages tell: users on static lists."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from tests.sinks.simulator.imitation import WHOLE, Guard, Imitation
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, MailingList, Person, World

OPTIONS: dict[str, Any] = {"key": {"env": "KEY"}}
NEWS, RECEIPTS, TEXTS = 71, 72, 73
"""Channels: email for marketing, email for transactions, text messages."""
CHANNELS = (
    (NEWS, "Marketing", "Email"),
    (RECEIPTS, "Transactional", "Email"),
    (TEXTS, "Marketing", "SMS"),
)


class Iterable:
    name = "iterable"
    described = True
    quotas: Quotas = MappingProxyType({"all": [(100, 1.0)], "lists": [(5, 1.0)], "members": [(5, 60.0)]})
    leaves_everything = True
    sends_tags = False

    def __init__(self) -> None:
        self.by_user_id = False
        """Whether the project knows its users by ``userId`` alone."""
        self.forgotten: set[str] = set()
        """Addresses that were forgotten: no call does anything for them."""
        self.deaf = 0
        """So many changing calls are accepted, and nothing comes of them."""
        self.kinds: dict[str, str] = {}
        """Ids of lists that are not Standard."""
        self.unsubscribed: dict[str, set[int]] = {}
        """Person's id → channels beside :data:`NEWS` that they unsubscribed from."""
        self.denied: set[str] = set()
        """Parts of the interface that the key's type leaves out: ``POST /api/lists`` …"""

    def bucket(self, asked: Asked) -> str:
        if asked.path.endswith("scribe"):
            return "lists"
        return "members" if asked.path.endswith("/getUsers") else "all"

    def admits(self, asked: Asked) -> Answer | None:
        wrong = asked.headers.get("Api-Key") != KEY or f"{asked.method} {asked.path}" in self.denied
        return self.bad_key() if wrong else None

    def bad_key(self) -> Answer:
        return _error(401, "BadApiKey", "Disabled API key or insufficient privileges")

    def throttled(self, wait_s: float) -> Answer:
        """How long is in the body."""
        params = {"rateLimitLimit": 5, "rateLimitRemaining": 0, "rateLimitReset": round(wait_s, 2)}
        return Answer(429, {"code": "RateLimitExceeded", "msg": "slow down", "params": params})

    def leave(self, world: World, address: str, list_name: str) -> None:
        world.enrol(address).standing = LEFT

    def handle(self, asked: Asked, world: World) -> Answer:
        path = asked.path.removeprefix("/api")
        known: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "/lists"): lambda: Answer(200, {"lists": [self._list(each) for each in world.lists.values()]}),
            ("POST", "/lists"): lambda: self._make(asked.body, world),
            ("GET", "/lists/getUsers"): lambda: self._users_of(asked, world),
            ("POST", "/lists/subscribe"): lambda: self._change(asked.body, world, on=True),
            ("POST", "/lists/unsubscribe"): lambda: self._change(asked.body, world, on=False),
            ("GET", "/users/getByEmail"): lambda: self._get(asked.query.get("email", ""), world),
            ("POST", "/users/update"): lambda: self._update(asked.body, world),
            ("GET", "/channels"): lambda: Answer(200, {"channels": [_channel(*each) for each in CHANNELS]}),
        }
        return known[asked.method, path]()

    def _get(self, address: str, world: World) -> Answer:
        """Who is not there is nothing in a 200."""
        if address.lower() in world.bad:
            return _error(400, "InvalidEmailAddressError", "invalid email")
        found = world.person(address)
        return Answer(200, {} if found is None else {"user": self._user(found, world)})

    def _user(self, person: Person, world: World) -> dict[str, Any]:
        """Nothing that nobody set is there; lists and channels are among the fields."""
        left = {*([NEWS] if person.standing == LEFT else []), *self.unsubscribed.get(person.id, ())}
        data = {
            "email": person.address.lower(),
            "emailListIds": [int(each.id) for each in world.lists.values() if person.id in each.members],
            "unsubscribedChannelIds": sorted(left),
            **({"firstName": person.name} if person.name else {}),
            **{key: value for key, value in person.fields.items() if key != "userId"},
        }
        return {"email": person.address.lower(), "userId": self._user_id(person), "dataFields": data}

    def _user_id(self, person: Person) -> str:
        return person.fields.get("userId") or (f"u-{person.id}" if self.by_user_id else "")

    def _named(self, given: dict[str, Any], world: World) -> Person | None:
        if "userId" in given and self.by_user_id:
            people = world.people.values()
            return next((each for each in people if self._user_id(each) == given["userId"]), None)
        return world.person(str(given.get("email", ""))) if not self.by_user_id else None

    def _update(self, body: dict[str, Any], world: World) -> Answer:
        """An upsert: what is not among the fields stays."""
        data, address = body.get("dataFields", {}), str(body.get("email", "")).lower()
        if {"unsubscribedChannelIds", "emailListIds", "unsubscribedMessageTypeIds"} & set(data):
            world.wrongs.append("a consent or a membership was written")
        if "userId" not in body and (not re.fullmatch(r"[^@]+@[^@]+", address) or address in world.bad):
            return _error(400, "InvalidEmailAddressError", "invalid email")
        if address in self.forgotten:
            return _error(409, "ForgottenUserError", "forgotten")
        if self.deaf:
            self.deaf -= 1
            return _error(200, "Success", "")
        person = self._named(body, world) or world.enrol(address)
        person.name = data.get("firstName") or person.name
        if body.get("userId"):
            person.fields["userId"] = body["userId"]
        person.fields |= {key: value for key, value in data.items() if key != "firstName"}
        return _error(200, "Success", "")

    def _change(self, body: dict[str, Any], world: World, *, on: bool) -> Answer:
        """A 200 also where it did nothing for somebody: they are named."""
        found = world.lists.get(str(body["listId"]))
        if found is None or found.id in self.kinds:
            return _error(400, "BadParams", "no such static list")
        if body.get("channelUnsubscribe"):
            world.wrongs.append("somebody was unsubscribed from a channel")
        if not body.get("updateExistingUsersOnly", not on):
            world.wrongs.append("a list call would have made users")
        failed: dict[str, list[str]] = {}
        people: list[Person] = []
        for each in body["subscribers"]:
            person = self._named(each, world)
            named = str(each.get("userId") or each.get("email"))
            if named.lower() in self.forgotten:
                failed.setdefault("forgottenEmails", []).append(named.lower())
            elif person is None:
                failed.setdefault("notFoundUserIds" if "userId" in each else "notFoundEmails", []).append(named)
            else:
                people.append(person)
        self._carry_out(found, people, on=on)
        bad = sum(map(len, failed.values()))
        return Answer(
            200, {"successCount": len(people), "failCount": bad, "failedUpdates": failed, "invalidEmails": []}
        )

    def _carry_out(self, found: MailingList, people: list[Person], *, on: bool) -> None:
        if self.deaf:
            self.deaf -= 1
            return
        for person in people:
            if on:
                found.members[person.id] = ACTIVE
            else:
                found.members.pop(person.id, None)

    def _users_of(self, asked: Asked, world: World) -> Answer:
        """Plain text, a user a line; one without an address by their ``userId``."""
        found = world.lists.get(asked.query["listId"])
        if found is None:
            return _error(400, "BadParams", "no such list")
        people = [person for number in found.members if (person := world.by_id(number)) is not None]
        text = "".join(f"{each.address.lower()}\n" for each in people) + ("u-without-address\n" if people else "")
        return Answer(200, text.encode(), media="text/plain")

    def _list(self, each: MailingList) -> dict[str, Any]:
        kind = self.kinds.get(each.id, "Standard")
        return {"id": int(each.id), "name": each.name, "createdAt": 1_700_000_000_000, "listType": kind}

    def _make(self, body: dict[str, Any], world: World) -> Answer:
        taken = world.list_named(body["name"])
        if not body["name"] or (taken is not None and taken.id in self.kinds):
            return _error(400, "BadParams", "name is empty, or another list's")
        return Answer(200, {"listId": int(world.made_list(body["name"]).id)})


def _channel(number: int, kind: str, medium: str) -> dict[str, Any]:
    return {"id": number, "name": f"channel {number}", "channelType": kind, "messageMedium": medium}


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"code": code, "msg": message, "params": {}})


IMITATIONS = {
    "iterable": Imitation(
        Iterable, OPTIONS, WHOLE._replace(numbers=False), bounces=False, paged=False, moves_a_second=40
    ),
}
SINK = "platforms/iterable.py"
GUARDS = (
    Guard("iterable_a_200", SINK, 'return None if inside is (verb == "subscribe") else AGAIN', "return None"),
    Guard(
        "iterable_a_200",
        SINK,
        "for name, value in fields.items()) else AGAIN",
        "for name, value in fields.items()) else None",
    ),
    Guard("iterable_for_whom", SINK, "if one.person.lower() in failed:", "if False:"),
    Guard("iterable_nobody_is", SINK, '{"channelUnsubscribe": False}', '{"channelUnsubscribe": True}'),
    Guard("iterable_nobody_is", SINK, '{"updateExistingUsersOnly": True} if', "{} if"),
    Guard("iterable_another_channel", SINK, 'if text(each, "channelType") == "Marketing"', "if True"),
    Guard("iterable_another_channel", SINK, 'if text(each, "messageMedium") == "Email"]', "if True]"),
    Guard("iterable_a_list", SINK, 'if one_of(each, "listType", KINDS)', "if True"),
    Guard("iterable_who_was_made", SINK, "return AGAIN if was_there else", "return"),
    Guard("iterable_a_429", SINK, "wait_s=float(reset) if known and reset is not None else", "wait_s="),
    Guard(
        "iterable_users_of_a_project",
        SINK,
        'return {"userId" if self._options',
        'return {"userId" if False and self._options',
    ),
    Guard(
        "iterable_an_answer_about",
        SINK,
        'normalised_address(text(each, "email")) != address for each in',
        "each is None for each in",
    ),
    Guard("iterable_fields_that_name", SINK, '(user, table(user, "dataFields"))', "(user,)"),
    Guard("iterable_a_reading", SINK, '.startswith("text/plain"):', '.startswith(""):'),
)
