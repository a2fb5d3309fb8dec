"""MailerLite, as its description (grade C, checked against recorded traffic), its pages and its users tell."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from tests.sinks.simulator.imitation import Imitation
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, PENDING, UNDELIVERABLE, MailingList, Person, World

OPTIONS: dict[str, Any] = {"key": {"env": "KEY"}}
STATUS = {ACTIVE: "active", LEFT: "unsubscribed", PENDING: "unconfirmed", UNDELIVERABLE: "bounced", "junk": "junk"}
AT = "2026-01-01 00:00:00"
MOST = 100
"""Rows of a page, however many are asked for."""
MISSING = Answer(404, {"message": "Resource not found."})


class Mailerlite:
    name = "mailerlite"
    described = True
    quotas: Quotas = MappingProxyType({"all": [(120, 60.0)], "imports": [(5, 60.0)]})
    leaves_everything = True
    sends_tags = True

    def __init__(self) -> None:
        self.fields = {"name", "last_name", "segma_token"}
        self.double_optin = False
        """Whether the account asks whom its API brings in to confirm."""
        self.denied: set[str] = set()
        """Parts of the interface that the token may not use: ``POST /api/groups`` …"""

    def bucket(self, asked: Asked) -> str:
        entries = self.entries(asked)
        upserts = [each for each in entries if (each.method, each.path) == ("POST", "/api/subscribers")]
        return "imports" if entries and len(upserts) == len(entries) else "all"

    def entries(self, asked: Asked) -> list[Asked]:
        """The calls that a bundle holds."""
        if asked.path != "/api/batch" or not isinstance(asked.body, dict):
            return []
        return [
            Asked(
                each["method"],
                unquote(f"/{each['path'].lstrip('/')}"),
                {},
                asked.headers,
                each.get("body"),
                json.dumps(each["body"]).encode() if "body" in each else b"",
            )
            for each in asked.body["requests"]
        ]

    def admits(self, asked: Asked) -> Answer | None:
        if asked.headers.get("Authorization") != f"Bearer {KEY}":
            return self.bad_key()
        denied = f"{asked.method} {asked.path}" in self.denied
        return Answer(403, {"message": "This action is unauthorized."}) if denied else None

    def bad_key(self) -> Answer:
        return Answer(401, {"message": "Unauthenticated."})

    def throttled(self, wait_s: float) -> Answer:
        return Answer(429, {"message": "Too Many Attempts."}, {"Retry-After": f"{wait_s:.2f}"})

    def leave(self, world: World, address: str, list_name: str) -> None:
        world.enrol(address).standing = LEFT

    def handle(self, asked: Asked, world: World) -> Answer:
        if asked.path != "/api/batch":
            return self._one(asked, world)
        answers = [self.admits(each) or self._one(each, world) for each in self.entries(asked)]
        good = sum(each.status < 300 for each in answers)
        told = [{"code": each.status, "body": each.body} for each in answers]
        return Answer(200, {"total": len(told), "successful": good, "failed": len(told) - good, "responses": told})

    def _one(self, asked: Asked, world: World) -> Answer:
        path, method = asked.path.removeprefix("/api"), asked.method
        membership = re.fullmatch(r"/subscribers/(\d+)/groups/(\d+)", path)
        if membership is not None:
            return _change(method, world.by_id(membership[1]), world.lists.get(membership[2]))
        if (reading := re.fullmatch(r"/groups/(\d+)/subscribers", path)) is not None:
            return self._members(asked, world.lists.get(reading[1]), world)
        known: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "/groups"): lambda: _groups(asked, world),
            ("POST", "/groups"): lambda: _make(asked.body, world),
            ("GET", "/subscribers"): lambda: _page(asked, [self._told(each, world) for each in world.people.values()]),
            ("POST", "/subscribers"): lambda: self._upsert(asked.body, world),
        }
        if (method, path) in known:
            return known[method, path]()
        number = path.rpartition("/")[2]
        person = world.by_id(number) or world.person(number)
        if person is None:
            return MISSING
        return self._written(asked.body, person, world) if method == "PUT" else self._answer(200, person, world)

    def _upsert(self, body: dict[str, Any], world: World) -> Answer:
        address = body["email"]
        if not address or address.lower() in world.bad:
            return _invalid("email")
        known = world.person(address)
        person = known or world.enrol(address)
        if known is None and self.double_optin and "status" not in body:
            person.standing = PENDING
            world.mails.append(f"opt-in to {person.id}")
        return self._written(body, person, world, 201 if known is None else 200)

    def _written(self, body: dict[str, Any], person: Person, world: World, status: int = 200) -> Answer:
        """A field that the account does not have is passed over."""
        if set(body) & {"status", "resubscribe", "groups", "unsubscribed_at"}:
            world.wrongs.append(f"{person.id}: a status was written")
        fields = {name: value for name, value in body.get("fields", {}).items() if name in self.fields}
        person.name = fields.pop("name", person.name)
        person.fields |= fields
        return self._answer(status, person, world)

    def _answer(self, status: int, person: Person, world: World) -> Answer:
        return Answer(status, {"data": self._told(person, world)})

    def _told(self, person: Person, world: World) -> dict[str, Any]:
        fields = dict.fromkeys(sorted(self.fields)) | {"name": person.name} | dict(person.fields)
        return {
            "id": person.id,
            "email": person.address.lower(),
            "status": STATUS[person.standing],
            "subscribed_at": AT,
            "fields": fields,
            "groups": [_group(each) for each in world.lists.values() if person.id in each.members],
        }

    def _members(self, asked: Asked, found: MailingList | None, world: World) -> Answer:
        """Without a status: the active ones."""
        if found is None:
            return MISSING
        wanted = asked.query.get("filter[status]", "active")
        people = [person for number in found.members if (person := world.by_id(number)) is not None]
        told = [self._told(each, world) for each in people if STATUS[each.standing] == wanted]
        return _page(asked, [{name: value for name, value in each.items() if name != "groups"} for each in told])


def _change(method: str, person: Person | None, found: MailingList | None) -> Answer:
    if person is None or found is None:
        return MISSING
    if method == "POST":
        found.members[person.id] = ACTIVE
        return Answer(200, {"data": _group(found)})
    return Answer(204, None) if found.members.pop(person.id, None) else MISSING


def _make(body: dict[str, Any], world: World) -> Answer:
    name = body["name"]
    if not 0 < len(name) <= 255 or world.list_named(name) is not None:
        return _invalid("name")
    return Answer(201, {"data": _group(world.made_list(name))})


def _group(each: MailingList) -> dict[str, Any]:
    return {"id": each.id, "name": each.name, "active_count": len(each.members), "created_at": AT}


def _invalid(field: str) -> Answer:
    return Answer(422, {"message": "The given data was invalid.", "errors": {field: ["is invalid"]}})


def _groups(asked: Asked, world: World) -> Answer:
    wanted = asked.query.get("filter[name]", "").lower()
    found = [_group(each) for each in world.lists.values() if wanted in each.name.lower()]
    size, at = min(int(asked.query.get("limit", 25)), MOST), int(asked.query.get("page", 1))
    last = max((len(found) + size - 1) // size, 1)
    meta = {"current_page": at, "last_page": last, "per_page": size, "total": len(found)}
    return Answer(200, {"data": found[(at - 1) * size : at * size], "links": {}, "meta": meta})


def _page(asked: Asked, found: list[dict[str, Any]]) -> Answer:
    start, size = int(asked.query.get("cursor") or 0), min(int(asked.query.get("limit", 25)), MOST)
    more = str(start + size) if start + size < len(found) else None
    meta = {"path": "", "per_page": size, "next_cursor": more, "prev_cursor": None}
    return Answer(200, {"data": found[start : start + size], "links": {}, "meta": meta})


IMITATIONS = {"mailerlite": Imitation(Mailerlite, OPTIONS, moves_a_second=60)}
