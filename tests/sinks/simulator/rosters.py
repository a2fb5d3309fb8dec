"""GNU Mailman's lists, as the real one (3.3.10) was seen to answer: for the random histories, which need thousands.

``test_consent_mailman.py`` gives the same calls to the real one and to this, and compares the answers.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, PENDING, MailingList, Person, World

DOMAIN = "lists.example"
OPTIONS: dict[str, Any] = {
    "url": "http://127.0.0.1:9/3.1",
    "user": "segma",
    "password": {"env": "KEY"},
    "domain": DOMAIN,
}
NOTHING = Answer(404, {"title": "404 Not Found"})


def _refused(said: str) -> Answer:
    return Answer(400, {"title": "400 Bad Request", "description": said})


class Rosters(World):
    """A world in which a person is an address in some list: in none, or none but unanswered, they are nobody."""

    def person(self, address: str) -> Person | None:
        found = super().person(address)
        there = found is not None and any(found.id in each.members for each in self.lists.values())
        return found if there else None


class Mailman:
    """The calls that the sink makes. Who has not confirmed is shown by no reading, and let in by no call."""

    name = "mailman"
    described = False
    quotas: Quotas = MappingProxyType({})
    leaves_everything = False
    sends_tags = False

    def __init__(self) -> None:
        self.settings: dict[str, dict[str, str]] = {}
        """List's id → what was set by ``config``."""
        self.preferences: dict[str, dict[str, str]] = {}
        """Member's id → how they get their mail."""
        self.bans: set[tuple[str, str]] = set()
        """(list's name, address)."""

    @staticmethod
    def world() -> World:
        return Rosters()

    def bucket(self, asked: Asked) -> str:
        return "all"

    def admits(self, asked: Asked) -> Answer | None:
        wanted = "Basic " + base64.b64encode(f"segma:{KEY}".encode()).decode()
        return None if asked.headers.get("Authorization") == wanted else self.bad_key()

    def bad_key(self) -> Answer:
        return Answer(401, {"title": "401 Unauthorized", "description": "REST API authorization failed"})

    def throttled(self, wait_s: float) -> Answer:
        return Answer(503, b"busy", {"Retry-After": f"{wait_s:.2f}"}, media="text/plain")

    def leave(self, world: World, address: str, list_name: str) -> None:
        person, found = world.person(address), world.list_named(list_name)
        if person is not None and found is not None:
            found.members.pop(person.id, None)

    def handle(self, asked: Asked, world: World) -> Answer:
        path = asked.path.removeprefix("/3.1")
        named = re.fullmatch(r"/lists/([^/]+)(/.*)?", path)
        if named is not None:
            return self._at_list(asked, named[1], named[2] or "", world)
        member = re.fullmatch(r"/members/(\w+)(/all/preferences)?", path)
        if member is not None and member[1] != "find":
            return self._member(asked, member[1], world)
        calls: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "/system/versions"): lambda: Answer(200, {"mailman_version": "GNU Mailman 3.3.10 (Tom Sawyer)"}),
            ("GET", "/lists"): lambda: _entries([_of_list(each) for each in world.lists.values()]),
            ("POST", "/lists"): lambda: _make(asked.body, world),
            ("POST", "/domains"): lambda: _refused(f"Duplicate email host: {asked.body['mail_host']}"),
            ("POST", "/members/find"): lambda: self._found(asked.body["subscriber"], world),
            ("POST", "/members"): lambda: self._subscribe(asked.body, world),
        }
        call = calls.get((asked.method, path))
        return call() if call is not None else NOTHING

    def _at_list(self, asked: Asked, key: str, rest: str, world: World) -> Answer:
        found = next((each for each in world.lists.values() if key in {_list_id(each), _posting(each)}), None)
        if found is None:
            # NOTE: only where the list itself is asked for does Mailman say it twice.
            return NOTHING if rest else Answer(404, {**NOTHING.body, "description": "404 Not Found"})
        settings = self.settings.setdefault(found.id, {})
        if rest == "/config" and asked.method == "PATCH":
            settings |= asked.body
            found.optin = "double" if settings.get("subscription_policy") == "confirm" else "single"
            return Answer(204)
        if rest.startswith("/config/"):
            return Answer(
                200, {rest.removeprefix("/config/"): _setting(found, settings, rest.removeprefix("/config/"))}
            )
        if rest.startswith("/member/"):
            person = _in(found, rest.removeprefix("/member/"), world)
            return NOTHING if person is None else Answer(200, self._entry(found, person))
        if rest == "/roster/member":
            return self._roster(asked, found, world)
        if rest == "" and asked.method == "DELETE":
            world.vanish_list(found.name)
            return Answer(204)
        return Answer(200, _of_list(found)) if rest == "" else NOTHING

    def _roster(self, asked: Asked, found: MailingList, world: World) -> Answer:
        """Taking people out by the roster sends no goodbye, whatever the list's settings."""
        if asked.method == "DELETE":
            address = asked.body["emails"]
            person = _in(found, address, world)
            if person is not None:
                self._take_out(found, person)
            return Answer(200, {address: person is not None})
        people = [person for number in found.members if (person := world.by_id(number)) is not None]
        inside = [self._entry(found, each) for each in people if found.members[each.id] == ACTIVE]
        size, page = int(asked.query.get("count", 1_000)), int(asked.query.get("page", 1))
        return _entries(inside, (page - 1) * size, size)

    def _member(self, asked: Asked, number: str, world: World) -> Answer:
        person_id, _, list_id = number.partition("x")
        person, found = world.by_id(person_id), world.lists.get(list_id)
        if person is None or found is None or found.members.get(person_id) != ACTIVE:
            return NOTHING
        if asked.method == "DELETE":
            world.mails.append(f"goodbye to {person.id}")
            self._take_out(found, person)
            return Answer(204)
        own = self.preferences.get(number, {})
        return Answer(200, {"delivery_mode": "regular", "delivery_status": "enabled", **own})

    def _take_out(self, found: MailingList, person: Person) -> None:
        found.members.pop(person.id, None)
        self.preferences.pop(_member_id(found, person), None)

    def _found(self, pattern: str, world: World) -> Answer:
        """A star in what is looked for stands for any text."""
        wanted = pattern.lower().replace("[", "[[]").replace("?", "[?]")
        people = [each for each in world.people.values() if fnmatchcase(each.address.lower(), wanted)]
        lists = sorted(world.lists.values(), key=lambda each: each.name)
        return _entries(
            [self._entry(each, person) for each in lists for person in people if each.members.get(person.id) == ACTIVE]
        )

    def _subscribe(self, body: dict[str, str], world: World) -> Answer:
        found = next((each for each in world.lists.values() if _list_id(each) == body["list_id"]), None)
        address = body["subscriber"].lower()
        if found is None:
            return _refused("No such list")
        if "@" not in address or address in world.bad:
            return _refused('Invalid Parameter "subscriber": .')
        if (found.name, address) in self.bans:
            return _refused("Membership is banned")
        person = World.person(world, address)
        state = found.members.get(person.id) if person is not None else None
        if state is not None:
            said = "Member already subscribed" if state == ACTIVE else "Subscription request already pending"
            return Answer(409, {"title": "409 Conflict", "description": said})
        person = world.enrol(address, body.get("display_name", ""))
        if found.optin == "double" and body.get("pre_confirmed") != "true":
            found.members[person.id] = PENDING
            world.mails.append(f"opt-in to {person.id}")
            return Answer(202, {"token": "t", "token_owner": "subscriber"})
        found.members[person.id] = ACTIVE
        if body.get("send_welcome_message") != "false":
            world.mails.append(f"welcome to {person.id}")
        kept: dict[str, str] = {name: body[name] for name in ("delivery_mode", "delivery_status") if name in body}
        self.preferences[_member_id(found, person)] = kept
        return Answer(201, b"", {"Location": f"/members/{_member_id(found, person)}"})

    def _entry(self, found: MailingList, person: Person) -> dict[str, Any]:
        number = _member_id(found, person)
        return {
            "email": person.address.lower(),
            "list_id": _list_id(found),
            "role": "member",
            "display_name": person.name,
            "member_id": number,
            "delivery_mode": self.preferences.get(number, {}).get("delivery_mode", "regular"),
            "subscription_mode": "as_address",
        }


def _in(found: MailingList, address: str, world: World) -> Person | None:
    person = World.person(world, address)
    return person if person is not None and found.members.get(person.id) == ACTIVE else None


def _member_id(found: MailingList, person: Person) -> str:
    return f"{person.id}x{found.id}"


def _posting(found: MailingList) -> str:
    return f"{found.name}@{DOMAIN}"


def _list_id(found: MailingList) -> str:
    return f"{found.name}.{DOMAIN}"


def _of_list(found: MailingList) -> dict[str, Any]:
    return {
        "fqdn_listname": _posting(found),
        "list_id": _list_id(found),
        "list_name": found.name,
        "mail_host": DOMAIN,
        "display_name": found.name.capitalize(),
        "description": "",
    }


def _setting(found: MailingList, settings: dict[str, str], name: str) -> str | bool:
    if name == "subscription_policy":
        return "confirm" if found.optin == "double" else settings.get(name, "open")
    if name == "info":
        return settings.get(name, "")
    default = "true" if name == "digests_enabled" else "false"
    return settings.get(name, default) == "true"


def _make(body: dict[str, str], world: World) -> Answer:
    name, _, domain = body["fqdn_listname"].partition("@")
    if domain != DOMAIN:
        return _refused(f"Domain does not exist: {domain}")
    if world.list_named(name) is not None:
        return _refused("Mailing list exists")
    found = world.made_list(name)
    found.optin = "double"
    return Answer(201, b"", {"Location": f"/lists/{_list_id(found)}"})


def _entries(found: list[dict[str, Any]], start: int = 0, size: int = 1_000) -> Answer:
    """A page; one without anybody names no ``entries`` at all."""
    some = found[start : start + size]
    return Answer(200, {"start": start, "total_size": len(found), **({"entries": some} if some else {})})
