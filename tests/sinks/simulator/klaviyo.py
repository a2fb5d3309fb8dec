"""Klaviyo, as its description and guides tell."""

from __future__ import annotations

import json
import re
from types import MappingProxyType
from typing import Any

from tests.sinks.simulator.imitation import WHOLE, Imitation
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import LEFT, UNDELIVERABLE, MailingList, Person, World

OPTIONS: dict[str, Any] = {"key": {"env": "KEY"}}
MEDIA = "application/vnd.api+json"


class Klaviyo:
    name = "klaviyo"
    described = True
    quotas: Quotas = MappingProxyType(
        {
            "memberships": [(10, 1.0), (150, 60.0)],
            "profiles": [(75, 1.0), (700, 60.0)],
            "lists": [(75, 1.0), (700, 60.0)],
        }
    )
    leaves_everything = True
    sends_tags = True

    def bucket(self, asked: Asked) -> str:
        if asked.path.endswith("/relationships/profiles"):
            return "memberships"
        return "lists" if asked.path.startswith("/api/lists") else "profiles"

    def admits(self, asked: Asked) -> Answer | None:
        return None if asked.headers.get("Authorization") == f"Klaviyo-API-Key {KEY}" else self.bad_key()

    def bad_key(self) -> Answer:
        return _error(401, "not_authenticated")

    def throttled(self, wait_s: float) -> Answer:
        return _error(429, "throttled")._replace(headers={"Retry-After": f"{wait_s:.2f}"})

    def leave(self, world: World, address: str, list_name: str) -> None:
        world.enrol(address).standing = LEFT

    def handle(self, asked: Asked, world: World) -> Answer:
        of_list = re.fullmatch(r"/api/lists/(\w+)/(relationships/)?profiles", asked.path)
        if of_list is not None:
            found = world.lists.get(of_list[1])
            if found is None:
                return _error(404, "not_found")
            return self._members(asked, found, world) if asked.method == "GET" else self._change(asked, found, world)
        match (asked.method, asked.path):
            case ("GET", "/api/lists"):
                return self._lists(asked, world)
            case ("POST", "/api/lists") if not asked.body["data"]["attributes"]["name"]:
                return _error(400, "invalid")
            case ("POST", "/api/lists"):
                made = world.made_list(asked.body["data"]["attributes"]["name"])
                return Answer(201, {"data": _list(made)}, media=MEDIA)
            case ("GET", "/api/profiles"):
                return _page([_profile(each, asked) for each in _filtered(asked, world.people.values())], asked)
            case ("POST", "/api/profile-import"):
                return self._import(asked.body["data"], world, asked)
        return _error(404, "not_found")

    def _lists(self, asked: Asked, world: World) -> Answer:
        wanted = re.fullmatch(r'equals\(name,"(.*)"\)', asked.query.get("filter", ""))
        return _page([_list(each) for each in world.lists.values() if not wanted or each.name == wanted[1]], asked)

    def _members(self, asked: Asked, found: MailingList, world: World) -> Answer:
        people = [person for number in found.members if (person := world.by_id(number)) is not None]
        return _page([_profile(each, asked) for each in _filtered(asked, people)], asked)

    def _change(self, asked: Asked, found: MailingList, world: World) -> Answer:
        ids = [each["id"] for each in asked.body["data"]]
        if asked.method == "POST" and any(world.by_id(each) is None for each in ids):
            return _error(404, "not_found")
        for each in ids:
            if asked.method == "POST":
                found.members[each] = "active"
            else:
                found.members.pop(each, None)
        return Answer(204)

    def _import(self, data: dict[str, Any], world: World, asked: Asked) -> Answer:
        attributes = data["attributes"]
        if not attributes["email"] or attributes["email"].lower() in world.bad:
            return _error(400, "invalid")
        known = world.person(attributes["email"])
        person = world.enrol(attributes["email"], attributes.get("first_name") or "")
        person.fields |= attributes.get("properties") or {}
        patch = (data.get("meta") or {}).get("patch_properties") or {}
        person.tags |= set((patch.get("append") or {}).values())
        person.tags -= set((patch.get("unappend") or {}).values())
        return Answer(200 if known else 201, {"data": _profile(person, asked)}, media=MEDIA)


def _error(status: int, code: str) -> Answer:
    error = {"id": "e", "status": status, "code": code, "title": code, "detail": code, "source": {"pointer": "/data"}}
    return Answer(status, {"errors": [error]}, media=MEDIA)


def _list(each: MailingList) -> dict[str, Any]:
    return {"type": "list", "id": each.id, "attributes": {"name": each.name}}


def _filtered(asked: Asked, people: Any) -> list[Person]:
    wanted = re.fullmatch(r"any\(email,(\[.*\])\)", asked.query.get("filter", ""))
    if wanted is None:
        return list(people)
    addresses = set(json.loads(wanted[1]))
    return [each for each in people if each.address.lower() in addresses]


def _profile(person: Person, asked: Asked) -> dict[str, Any]:
    fields = {**person.fields, **({"segma_tags": sorted(person.tags)} if person.tags else {})}
    attributes: dict[str, Any] = {"email": person.address, "first_name": person.name, "properties": fields}
    if asked.query.get("additional-fields[profile]") == "subscriptions":
        suppression = [{"reason": "HARD_BOUNCE"}] if person.standing == UNDELIVERABLE else []
        consent = "UNSUBSCRIBED" if person.standing == LEFT else "SUBSCRIBED"
        attributes["subscriptions"] = {"email": {"marketing": {"consent": consent, "suppression": suppression}}}
    return {"type": "profile", "id": person.id, "attributes": attributes}


def _page(results: list[dict[str, Any]], asked: Asked) -> Answer:
    size, start = int(asked.query.get("page[size]", 10)), int(asked.query.get("page[cursor]") or 0)
    more = start + size < len(results)
    # NOTE: a link to another host: whoever follows it instead of taking the cursor gives the key away.
    link = f"https://elsewhere.invalid/api/x?page%5Bcursor%5D={start + size}" if more else None
    return Answer(200, {"data": results[start : start + size], "links": {"next": link}}, media=MEDIA)


IMITATIONS = {"klaviyo": Imitation(Klaviyo, OPTIONS, WHOLE._replace(removals=False), moves_a_second=1_600)}
