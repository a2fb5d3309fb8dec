"""listmonk, as its documentation and source tell."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any

from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, PENDING, MailingList, Person, World

STATUS = {ACTIVE: "confirmed", LEFT: "unsubscribed", PENDING: "unconfirmed"}
OPTIONS: dict[str, Any] = {"user": "segma", "token": {"env": "KEY"}}


class Listmonk:
    name = "listmonk"
    described = True
    quotas: Quotas = MappingProxyType({})
    leaves_everything = False
    sends_tags = False

    def bucket(self, asked: Asked) -> str:
        return "all"

    def admits(self, asked: Asked) -> Answer | None:
        return None if asked.headers.get("Authorization") == f"token segma:{KEY}" else self.bad_key()

    def bad_key(self) -> Answer:
        return Answer(403, {"message": "invalid API credentials"})

    def throttled(self, wait_s: float) -> Answer:
        return Answer(429, {"message": "too many requests"}, {"Retry-After": f"{wait_s:.2f}"})

    def leave(self, world: World, address: str, list_name: str) -> None:
        person, found = world.person(address), world.list_named(list_name)
        if person is not None and found is not None:
            found.members[person.id] = LEFT

    def handle(self, asked: Asked, world: World) -> Answer:
        one = re.fullmatch(r"/api/subscribers/(\d+)", asked.path)
        match (asked.method, asked.path):
            case ("GET", "/api/lists"):
                return _page([_list(each) for each in world.lists.values()], asked)
            case ("POST", "/api/lists"):
                return Answer(200, {"data": _list(_new(world, asked.body["name"]))})
            case ("GET", "/api/subscribers") if not _is_query(asked.query.get("query", "")):
                return Answer(400, {"message": "pq: syntax error"})
            case ("GET", "/api/subscribers"):
                return _page([_subscriber(each, world) for each in _searched(asked, world)], asked)
            case ("POST", "/api/subscribers"):
                return self._enrol(asked.body, world)
            case ("PUT", "/api/subscribers/lists"):
                return self._change(asked.body, world)
        person = world.by_id(one[1]) if one else None
        if person is None:
            return Answer(400, {"message": "Subscriber not found"})
        return (
            Answer(200, {"data": _subscriber(person, world)})
            if asked.method == "GET"
            else _replace(asked, person, world)
        )

    def _enrol(self, body: dict[str, Any], world: World) -> Answer:
        if body["email"] in world.bad:
            return Answer(400, {"message": f"Invalid email: {body['email']}"})
        if world.person(body["email"]):
            return Answer(409, {"message": "E-mail already exists."})
        return Answer(200, {"data": _subscriber(world.enrol(body["email"], body.get("name", "")), world)})

    def _change(self, body: dict[str, Any], world: World) -> Answer:
        lists = [world.lists.get(str(each)) for each in body["target_list_ids"]]
        # NOTE: as PostgreSQL refuses it, be it the list's id or the subscriber's that is not there any more.
        unknown = body["action"] == "add" and any(world.by_id(str(each)) is None for each in body["ids"])
        if unknown or any(each is None for each in lists):
            return Answer(500, {"message": "pq: insert violates foreign key constraint"})
        for number in map(str, body["ids"]):
            for each in lists:
                if each is None:
                    continue
                if body["action"] == "add":
                    if each.members.get(number) == LEFT:
                        world.wrongs.append(f"{number} was put back into {each.name}, which they had left")
                    each.members[number] = ACTIVE
                elif body["action"] == "remove":
                    each.members.pop(number, None)
                else:
                    world.wrongs.append(f"{number} was unsubscribed from {each.name}")
                    each.members[number] = LEFT
        return Answer(200, {"data": True})


def _new(world: World, name: str) -> MailingList:
    found = MailingList(world.fresh_id(), name)
    world.lists[found.id] = found
    return found


def _list(each: MailingList) -> dict[str, Any]:
    return {"id": int(each.id), "name": each.name, "type": "private", "optin": "single", "tags": []}


def _is_query(text: str) -> bool:
    """Whether the database would understand it."""
    one = r"'(?:[^']|'')*'"
    return not text or re.fullmatch(rf"subscribers\.email IN \({one}(?:,{one})*\)", text, re.DOTALL) is not None


def _searched(asked: Asked, world: World) -> list[Person]:
    if "list_id" in asked.query:
        found = world.lists.get(asked.query["list_id"])
        people = [world.by_id(number) for number in (found.members if found else ())]
        return [each for each in people if each is not None]
    quoted = re.fullmatch(r"subscribers\.email IN \((.*)\)", asked.query.get("query", ""), re.DOTALL)
    if quoted is None:
        return list(world.people.values())
    addresses = [each.replace("''", "'") for each in re.findall(r"'((?:[^']|'')*)'", quoted[1])]
    return [person for each in addresses if (person := world.person(each)) is not None]


def _page(results: list[dict[str, Any]], asked: Asked) -> Answer:
    size, page = int(asked.query.get("per_page", 20)), int(asked.query.get("page", 1))
    some = results[(page - 1) * size : page * size]
    return Answer(200, {"data": {"results": some, "total": len(results), "per_page": size, "page": page}})


def _subscriber(person: Person, world: World) -> dict[str, Any]:
    lists = [
        {**_list(each), "subscription_status": STATUS[each.members[person.id]]}
        for each in world.lists.values()
        if person.id in each.members
    ]
    status = "blocklisted" if person.standing == LEFT else "enabled"
    return {
        "id": int(person.id),
        "email": person.address.lower(),
        "name": person.name,
        "status": status,
        "attribs": person.fields,
        "lists": lists,
    }


def _replace(asked: Asked, person: Person, world: World) -> Answer:
    """The whole subscriber is replaced: lists that are not named are left, attributes that are not named are gone."""
    for each in world.lists.values():
        if person.id in each.members and int(each.id) not in asked.body.get("lists", []):
            world.wrongs.append(f"{person.id} lost {each.name} by a PUT")
            del each.members[person.id]
    person.fields = dict(asked.body.get("attribs") or {})
    return Answer(200, {"data": _subscriber(person, world)})
