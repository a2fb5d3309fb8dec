"""Kit, as its description (grade B, retyped) and its pages tell: subscribers with tags."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from tests.sinks.simulator.imitation import Imitation
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, PENDING, UNDELIVERABLE, MailingList, Person, World

OPTIONS: dict[str, Any] = {"key": {"env": "KEY"}}
STATE = {ACTIVE: "active", LEFT: "cancelled", PENDING: "inactive", UNDELIVERABLE: "bounced", "complained": "complained"}
AT = "2026-01-01T00:00:00Z"
MISSING = Answer(404, {"errors": ["Not Found"]})


class Kit:
    name = "kit"
    described = True
    quotas: Quotas = MappingProxyType({"all": [(120, 60.0)]})
    leaves_everything = True
    sends_tags = True

    def __init__(self) -> None:
        self.fields = {"segma_token"}
        self.page = 1_000
        """Rows of a page at most, however many are asked for."""
        self.denied: set[str] = set()
        """Parts of the interface that the key may not use: ``POST /v4/tags`` …"""

    def bucket(self, asked: Asked) -> str:
        return "all"

    def admits(self, asked: Asked) -> Answer | None:
        if asked.headers.get("X-Kit-Api-Key") != KEY:
            return self.bad_key()
        return Answer(403, {"errors": ["Forbidden"]}) if f"{asked.method} {asked.path}" in self.denied else None

    def bad_key(self) -> Answer:
        return Answer(401, {"errors": ["The access token is invalid"]})

    def throttled(self, wait_s: float) -> Answer:
        """Plain text, and not a word of when."""
        return Answer(429, b"Retry later\n", media="text/plain")

    def leave(self, world: World, address: str, list_name: str) -> None:
        world.enrol(address).standing = LEFT

    def handle(self, asked: Asked, world: World) -> Answer:
        path, method = asked.path.removeprefix("/v4"), asked.method
        tagging = re.fullmatch(r"/tags/(\d+)/subscribers/(\d+)", path)
        if tagging is not None:
            return _tagged(method, world.lists.get(tagging[1]), world.by_id(tagging[2]))
        if (reading := re.fullmatch(r"/tags/(\d+)/subscribers", path)) is not None:
            return self._members(asked, world.lists.get(reading[1]), world)
        known: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "/tags"): lambda: self._page(asked, "tags", [_tag(each) for each in world.lists.values()]),
            ("POST", "/tags"): lambda: _make(asked.body, world),
            ("GET", "/subscribers"): lambda: self._search(asked, world),
            ("POST", "/subscribers"): lambda: self._upsert(asked.body, world),
        }
        if (method, path) in known:
            return known[method, path]()
        person = world.by_id(path.split("/")[2])
        if person is None:
            return MISSING
        if path.endswith("/tags"):
            return self._page(asked, "tags", [_tag(each) for each in world.lists.values() if person.id in each.members])
        return self._update(asked.body, person, world) if method == "PUT" else _told(200, person)

    def _search(self, asked: Asked, world: World) -> Answer:
        """Without a status: the active ones."""
        wanted, address = asked.query.get("status", "active"), asked.query.get("email_address", "").lower()
        people = [each for each in world.people.values() if not address or each.address.lower() == address]
        found = [_subscriber(each) for each in people if wanted in {"all", STATE[each.standing]}]
        return self._page(asked, "subscribers", found)

    def _upsert(self, body: dict[str, Any], world: World) -> Answer:
        """An upsert: the first name is written, a state is not; fields that are not there are passed over."""
        address = body["email_address"]
        if not address or address.lower() in world.bad:
            return Answer(422, {"errors": ["Email address is invalid"]})
        if "state" in body:
            world.wrongs.append("a state was written")
        known = world.person(address)
        person = known or world.enrol(address)
        person.name = body.get("first_name") or person.name
        return _told(200 if known is not None else 201, person)

    def _update(self, body: dict[str, Any], person: Person, world: World) -> Answer:
        """A field that is not there is an error."""
        if set(body.get("fields", {})) - self.fields:
            return Answer(422, {"errors": ["Custom field does not exist"]})
        if body["email_address"].lower() != person.address.lower():
            world.wrongs.append(f"{person.id}: an address was written")
        person.fields |= body["fields"]
        return _told(200, person)

    def _members(self, asked: Asked, found: MailingList | None, world: World) -> Answer:
        if found is None:
            return MISSING
        wanted = asked.query.get("status", "active")
        people = [person for number in found.members if (person := world.by_id(number)) is not None]
        told = [{**_subscriber(each), "tagged_at": AT} for each in people if wanted in {"all", STATE[each.standing]}]
        return self._page(asked, "subscribers", told)

    def _page(self, asked: Asked, name: str, found: list[dict[str, Any]]) -> Answer:
        start, size = int(asked.query.get("after") or 0), min(int(asked.query.get("per_page", 500)), self.page)
        further = start + size < len(found)
        pagination = {
            "has_previous_page": start > 0,
            "has_next_page": further,
            "start_cursor": str(start) if found else None,
            "end_cursor": str(start + size) if found else None,
            "per_page": size,
        }
        return Answer(200, {name: found[start : start + size], "pagination": pagination})


def _tagged(method: str, found: MailingList | None, person: Person | None) -> Answer:
    if found is None or person is None:
        return MISSING
    if method == "POST":
        status = 200 if person.id in found.members else 201
        found.members[person.id] = ACTIVE
        return _told(status, person)
    return Answer(204, None) if found.members.pop(person.id, None) else MISSING


def _make(body: dict[str, Any], world: World) -> Answer:
    if not body["name"]:
        return Answer(422, {"errors": ["Name can't be blank"]})
    known = world.list_named(body["name"])
    return Answer(200 if known is not None else 201, {"tag": _tag(world.made_list(body["name"]))})


def _tag(each: MailingList) -> dict[str, Any]:
    return {"id": int(each.id), "name": each.name, "created_at": AT}


def _subscriber(person: Person) -> dict[str, Any]:
    return {
        "id": int(person.id),
        "first_name": person.name or None,
        "email_address": person.address.lower(),
        "state": STATE[person.standing],
        "created_at": AT,
        "fields": dict(person.fields),
    }


def _told(status: int, person: Person) -> Answer:
    return Answer(status, {"subscriber": _subscriber(person)})


IMITATIONS = {"kit": Imitation(Kit, OPTIONS, moves_a_second=3)}
