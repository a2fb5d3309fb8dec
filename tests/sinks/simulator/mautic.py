"""Mautic, as its description (grade C), its documentation and its source tell: contacts in segments."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from tests.sinks.simulator.imitation import WHOLE, Imitation
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, UNDELIVERABLE, MailingList, Person, World

OPTIONS: dict[str, Any] = {"user": "segma", "password": {"env": "KEY"}}
REASONS = {LEFT: 1, UNDELIVERABLE: 2, "by_hand": 3}
MOST = 200


class Mautic:
    name = "mautic"
    described = True
    quotas: Quotas = MappingProxyType({})
    leaves_everything = True
    sends_tags = True

    def __init__(self) -> None:
        self.fields = {"firstname", "segma_token"}
        self.foreign: set[str] = set()
        """Ids of segments that are another user's."""
        self.denied: set[str] = set()
        """Parts of the interface that the user's role forbids: ``POST /api/segments/new`` …"""

    def bucket(self, asked: Asked) -> str:
        return "all"

    def admits(self, asked: Asked) -> Answer | None:
        wanted = "Basic " + base64.b64encode(f"segma:{KEY}".encode()).decode()
        if asked.headers.get("Authorization") != wanted:
            return self.bad_key()
        return _error(403, "Forbidden") if f"{asked.method} {asked.path}" in self.denied else None

    def bad_key(self) -> Answer:
        return _error(401, "API authorization denied.")

    def throttled(self, wait_s: float) -> Answer:
        return _error(429, "Too many requests")._replace(headers={"Retry-After": f"{wait_s:.2f}"})

    def leave(self, world: World, address: str, list_name: str) -> None:
        world.enrol(address).standing = LEFT

    def handle(self, asked: Asked, world: World) -> Answer:
        path = asked.path.removeprefix("/api")
        if (adding := re.fullmatch(r"/segments/(\d+)/contacts/add", path)) is not None:
            return self._add(adding[1], asked.body["ids"], world)
        if (removing := re.fullmatch(r"/segments/(\d+)/contact/(\d+)/remove", path)) is not None:
            return self._remove(removing[1], removing[2], world)
        known: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "/segments"): lambda: _page(asked, "lists", [_segment(each) for each in world.lists.values()]),
            ("POST", "/segments/new"): lambda: _make(asked.body, world),
            ("GET", "/contacts"): lambda: self._search(asked, world),
            ("POST", "/contacts/new"): lambda: self._create(asked.body, world),
        }
        if (asked.method, path) in known:
            return known[asked.method, path]()
        person = world.by_id(path.split("/")[2])
        if person is None:
            return _error(404, "Item was not found.")
        if path.endswith("/segments"):
            own = [_segment(each) for each in world.lists.values() if person.id in each.members]
            return Answer(200, {"total": len(own), "segments": _mapped(own)})
        return self._edit(asked.body, person, world)

    def _search(self, asked: Asked, world: World) -> Answer:
        """``*`` and ``%`` are any text; a segment is known by its alias."""
        kind, _, value = asked.query.get("search", "").partition(":")
        people = list(world.people.values())
        if kind == "email":
            pattern = "".join(".*" if sign in "*%" else re.escape(sign) for sign in value)
            people = [each for each in people if re.fullmatch(pattern, each.address, re.IGNORECASE)]
        elif kind == "segment":
            (found,) = [each for each in world.lists.values() if _segment(each)["alias"] == value]
            people = [person for number in found.members if (person := world.by_id(number)) is not None]
        return _page(asked, "contacts", [self._contact(each) for each in people])

    def _create(self, body: dict[str, Any], world: World) -> Answer:
        """An address that is known is that contact's: a merge, and no error."""
        address = body["email"]
        if address.lower() in world.bad or not re.fullmatch(r"[^@]+@[^@]+", address):
            return _error(400, "email: is invalid")
        known = world.person(address)
        person = known or world.enrol(address, body.get("firstname", ""))
        return Answer(200 if known is not None else 201, {"contact": self._contact(person)})

    def _edit(self, body: dict[str, Any], person: Person, world: World) -> Answer:
        """A field that is not there is passed over."""
        if "doNotContact" in body or "email" in body:
            world.wrongs.append(f"{person.id}: a consent or an address was written")
        for each in body.get("tags", []):
            person.tags = person.tags - {each[1:]} if each.startswith("-") else person.tags | {each}
        person.fields |= {name: value for name, value in body.items() if name in self.fields}
        return Answer(200, {"contact": self._contact(person)})

    def _add(self, number: str, ids: list[int], world: World) -> Answer:
        found = world.lists.get(number)
        if found is None:
            return _error(404, "Item was not found.")
        if number in self.foreign:
            return _error(403, "You do not have access to the requested area/action.")
        if len(ids) > MOST:
            return _error(400, "Batch limit exceeded")
        there = {str(each): world.by_id(str(each)) is not None for each in ids}
        found.members |= {each: ACTIVE for each, known in there.items() if known}
        return Answer(200, {"success": 1, "details": {each: {"success": known} for each, known in there.items()}})

    def _remove(self, number: str, person: str, world: World) -> Answer:
        found = world.lists.get(number)
        if found is None or world.by_id(person) is None:
            return _error(404, "Item was not found.")
        if number in self.foreign:
            return _error(403, "You do not have access to the requested area/action.")
        found.members.pop(person, None)
        return Answer(200, {"success": 1})

    def _contact(self, person: Person) -> dict[str, Any]:
        fields = dict.fromkeys(sorted(self.fields)) | {"id": int(person.id), "email": person.address.lower()}
        fields |= {"firstname": person.name or None, **person.fields}
        entry = {"id": 1, "reason": REASONS.get(person.standing), "comments": "", "channel": "email", "channelId": 3}
        return {
            "id": int(person.id),
            "fields": {"core": {}, "all": fields},
            "tags": [{"tag": each} for each in sorted(person.tags)],
            "doNotContact": [entry] if person.standing in REASONS else [],
        }


def _error(status: int, message: str) -> Answer:
    return Answer(status, {"errors": [{"code": status, "message": message, "details": []}]})


def _make(body: dict[str, Any], world: World) -> Answer:
    if not body["name"]:
        return _error(400, "name: A value is required.")
    return Answer(201, {"list": _segment(world.made_list(body["name"]))})


def _segment(each: MailingList) -> dict[str, Any]:
    return {"id": int(each.id), "name": each.name, "alias": f"s-{each.id}", "isPublished": True, "filters": []}


def _mapped(found: list[dict[str, Any]]) -> Any:
    """By id; without any, as PHP writes it."""
    return {str(each["id"]): each for each in found} or []


def _page(asked: Asked, name: str, found: list[dict[str, Any]]) -> Answer:
    """The total is a text."""
    start, size = int(asked.query.get("start", 0)), int(asked.query.get("limit", 30))
    return Answer(200, {"total": str(len(found)), name: _mapped(found[start : start + size])})


IMITATIONS = {"mautic": Imitation(Mautic, OPTIONS, WHOLE._replace(numbers=False))}
