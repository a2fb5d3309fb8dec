"""HubSpot, as its descriptions and guides tell."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any

from tests.sinks.simulator.imitation import Imitation
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, MailingList, Person, World

OPTIONS: dict[str, Any] = {"key": {"env": "KEY"}}
AT = "2026-01-01T00:00:00Z"
BATCH = {"status": "COMPLETE", "startedAt": AT, "completedAt": AT}


class Hubspot:
    name = "hubspot"
    described = True
    quotas: Quotas = MappingProxyType({"all": [(100, 10.0)], "search": [(5, 1.0)]})
    leaves_everything = True
    sends_tags = False

    def bucket(self, asked: Asked) -> str:
        return "search" if asked.path.endswith("/search") else "all"

    def admits(self, asked: Asked) -> Answer | None:
        return None if asked.headers.get("Authorization") == f"Bearer {KEY}" else self.bad_key()

    def bad_key(self) -> Answer:
        return _error(401, "INVALID_AUTHENTICATION")

    def throttled(self, wait_s: float) -> Answer:
        return _error(429, "RATE_LIMITS")._replace(headers={"Retry-After": f"{wait_s:.2f}"})

    def leave(self, world: World, address: str, list_name: str) -> None:
        world.enrol(address).standing = LEFT

    def handle(self, asked: Asked, world: World) -> Answer:
        membership = re.fullmatch(r"/crm/v3/lists/(\d+)/memberships(?:/(add|remove))?", asked.path)
        if membership is not None:
            found = world.lists.get(membership[1])
            if found is None:
                return _error(404, "OBJECT_NOT_FOUND")
            return self._change(asked.body, membership[2], found, world) if membership[2] else _members(asked, found)
        match asked.path:
            case "/crm/v3/lists" if not asked.body["name"]:
                return _error(400, "VALIDATION_ERROR")
            case "/crm/v3/lists":
                return Answer(200, {"list": _list(world.made_list(asked.body["name"]))})
            case "/crm/v3/lists/search":
                return _search(asked.body, world)
            case "/crm/v3/lists/records/memberships/batch/read":
                return _memberships(asked.body, world)
            case "/crm/v3/objects/contacts/batch/read":
                return _read(asked.body, world)
            case "/crm/v3/objects/contacts/batch/upsert":
                return _upsert(asked.body, world)
        return _error(404, "OBJECT_NOT_FOUND")

    def _change(self, ids: list[str], verb: str, found: MailingList, world: World) -> Answer:
        missing = [each for each in ids if world.by_id(each) is None]
        for each in set(ids) - set(missing):
            if verb == "add":
                found.members[each] = ACTIVE
            else:
                found.members.pop(each, None)
        done = [each for each in ids if each not in missing]
        added, removed = (done, []) if verb == "add" else ([], done)
        return Answer(200, {"recordsIdsAdded": added, "recordIdsRemoved": removed, "recordIdsMissing": missing})


def _error(status: int, category: str) -> Answer:
    return Answer(status, {"status": "error", "category": category, "message": category, "correlationId": "c"})


def _list(each: MailingList) -> dict[str, Any]:
    kind = {"listVersion": 1, "objectTypeId": "0-1", "processingStatus": "COMPLETE", "processingType": "MANUAL"}
    return {"listId": each.id, "name": each.name, **kind}


def _search(body: dict[str, Any], world: World) -> Answer:
    words = body.get("query", "").lower()
    found = [{**_list(each), "additionalProperties": {}} for each in world.lists.values() if words in each.name.lower()]
    start, count = body.get("offset", 0), body.get("count", 20)
    end = start + count
    page = {"lists": found[start:end], "hasMore": end < len(found), "offset": end, "total": len(found)}
    return Answer(200, page)


def _members(asked: Asked, found: MailingList) -> Answer:
    ids, start, size = list(found.members), int(asked.query.get("after") or 0), int(asked.query.get("limit", 100))
    results = [{"recordId": each, "membershipTimestamp": AT} for each in ids[start : start + size]]
    more = start + size < len(ids)
    return Answer(200, {"results": results, **({"paging": {"next": {"after": str(start + size)}}} if more else {})})


def _contact(person: Person) -> dict[str, Any]:
    optout = "true" if person.standing == LEFT else "false"
    properties = {"email": person.address.lower(), "firstname": person.name, "hs_email_optout": optout, **person.fields}
    return {"id": person.id, "properties": properties, "createdAt": AT, "updatedAt": AT, "archived": False}


def _read(body: dict[str, Any], world: World) -> Answer:
    by_email = body.get("idProperty") == "email"
    found = [world.person(each["id"]) if by_email else world.by_id(each["id"]) for each in body["inputs"]]
    known = [_contact(each) for each in found if each is not None]
    lost = len(found) - len(known)
    errors = [{"status": "error", "category": "OBJECT_NOT_FOUND", "message": "some are not there"}] if lost else []
    return Answer(207 if lost else 200, {**BATCH, "results": known, **({"errors": errors} if errors else {})})


def _upsert(body: dict[str, Any], world: World) -> Answer:
    if any(not each["id"] or each["id"].lower() in world.bad for each in body["inputs"]):
        return _error(400, "VALIDATION_ERROR")
    results = []
    for each in body["inputs"]:
        person = world.enrol(each["id"], each["properties"].get("firstname", ""))
        person.fields |= {name: value for name, value in each["properties"].items() if name != "firstname"}
        results.append({**_contact(person), "new": True})
    return Answer(200, {**BATCH, "results": results})


def _memberships(body: dict[str, Any], world: World) -> Answer:
    results = [
        {
            "objectTypeId": "0-1",
            "recordId": each["recordId"],
            "recordListMemberships": [
                {"listId": of.id, "listVersion": 1} for of in world.lists.values() if each["recordId"] in of.members
            ],
        }
        for each in body["inputs"]
    ]
    return Answer(200, {**BATCH, "results": results})


IMITATIONS = {"hubspot": Imitation(Hubspot, OPTIONS, bounces=False, moves_a_second=900)}
