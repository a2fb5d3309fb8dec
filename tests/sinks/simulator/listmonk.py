"""listmonk, as the real one (6.2) was seen to behave: rights, mails, null pages and SQL included."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any

from tests.sinks.consent_knowledge import Shows
from tests.sinks.simulator.imitation import Imitation
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, PENDING, UNDELIVERABLE, MailingList, Person, World

STATUS = {ACTIVE: "confirmed", LEFT: "unsubscribed", PENDING: "unconfirmed"}
PERSON = {LEFT: "blocklisted", UNDELIVERABLE: "disabled"}
OPTIONS: dict[str, Any] = {"user": "segma", "token": {"env": "KEY"}}
RIGHTS = frozenset(
    {
        "subscribers:get",
        "subscribers:get_all",
        "subscribers:manage",
        "subscribers:sql_query",
        "lists:get_all",
        "lists:manage_all",
    }
)


class Listmonk:
    """``rights``: of the API user. ``visible``: lists that its role lets it see where it has no ``lists:get_all``."""

    name = "listmonk"
    described = True
    quotas: Quotas = MappingProxyType({})
    leaves_everything = False
    sends_tags = False

    def __init__(self) -> None:
        self.rights = RIGHTS
        self.visible: set[str] = set()
        self.broken: set[str] = set()
        """Addresses at which the database fails, whatever is asked with them."""

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
        lacking = self._lacking(asked)
        if lacking:
            return Answer(403, {"message": f"permission denied: {lacking}"})
        one = re.fullmatch(r"/api/subscribers/(\d+)(/optin)?", asked.path)
        match (asked.method, asked.path):
            case ("GET", "/api/lists"):
                return self._lists(asked, world)
            case ("POST", "/api/lists"):
                if not asked.body["name"]:
                    return Answer(400, {"message": "Invalid length for name."})
                return Answer(200, {"data": self._list(_new(world, asked.body["name"]), world)})
            case ("GET", "/api/subscribers"):
                return self._search(asked, world)
            case ("POST", "/api/subscribers"):
                return self._enrol(asked.body, world)
            case ("PUT", "/api/subscribers/lists"):
                return self._change(asked.body, world)
        person = world.by_id(one[1]) if one else None
        if one is None or person is None:
            return Answer(400, {"message": "Subscriber not found"})
        if one[2]:
            world.mails.append(f"opt-in to {person.id}")
            return Answer(200, {"data": True})
        return self._one(asked, person, world)

    def _lacking(self, asked: Asked) -> str:
        """The right that a call lacks."""
        needed = {"GET": "subscribers:get", "POST": "subscribers:manage"}.get(asked.method, "subscribers:manage")
        if asked.path == "/api/lists":
            needed = "" if asked.method == "GET" else "lists:manage_all"
        elif re.fullmatch(r"/api/subscribers/\d+", asked.path) and "subscribers:get_all" not in self.rights:
            return "subscribers:get_all"
        elif asked.query.get("query") and "subscribers:sql_query" not in self.rights:
            return "subscribers:sql_query"
        return "" if not needed or needed in self.rights else needed

    def _sees(self, each: MailingList) -> bool:
        return "lists:get_all" in self.rights or each.name in self.visible

    def _list(self, each: MailingList, world: World) -> dict[str, Any]:
        name = each.name if self._sees(each) else "*Unknown"
        return {
            "id": int(each.id),
            "name": name,
            "type": "private",
            "optin": each.optin,
            "tags": [],
            "subscriber_count": len(each.members),
        }

    def _lists(self, asked: Asked, world: World) -> Answer:
        found = [self._list(each, world) for each in world.lists.values() if self._sees(each)]
        if asked.query.get("minimal") == "true":  # NOTE: pages are not looked at then, however they are asked for
            return Answer(200, {"data": {"results": found, "total": len(found), "per_page": len(found), "page": 1}})
        return _page(found, asked)

    def _search(self, asked: Asked, world: World) -> Answer:
        query = asked.query.get("query", "")
        # NOTE: listmonk puts its own words for these marks, in the text of an expression too.
        if "%order%" in query or "%query%" in query or "\x00" in query or not _is_query(query):
            return Answer(500, {"message": "Error fetching subscribers: pq: syntax error"})
        found = _searched(asked, world)
        if any(each in self.broken for each in _addresses(query)):
            return Answer(500, {"message": "Error fetching subscribers: pq: invalid byte sequence"})
        if "subscribers:get_all" not in self.rights and "list_id" not in asked.query:
            found = []
        return _page([self._subscriber(each, world) for each in found], asked)

    def _enrol(self, body: dict[str, Any], world: World) -> Answer:
        if body["email"] in world.bad:
            return Answer(400, {"message": f"Invalid email: {body['email']}"})
        if world.person(body["email"]):
            return Answer(409, {"message": "E-mail already exists."})
        person = world.enrol(body["email"], body.get("name", ""))
        self._join(person, body, world)
        return Answer(200, {"data": self._subscriber(person, world)})

    def _join(self, person: Person, body: dict[str, Any], world: World) -> None:
        """Lists by a subscriber's own call: confirmed or asked for, with a mail."""
        confirmed = bool(body.get("preconfirm_subscriptions"))
        for number in body.get("lists") or []:
            found = world.lists[str(number)]
            if found.members.get(person.id) not in {ACTIVE, LEFT}:
                found.members[person.id] = ACTIVE if confirmed else PENDING
            if found.optin == "double" and found.members[person.id] == PENDING:
                world.mails.append(f"opt-in to {person.id}")

    def _change(self, body: dict[str, Any], world: World) -> Answer:
        lists = [world.lists.get(str(each)) for each in body["target_list_ids"]]
        # NOTE: as PostgreSQL refuses it, be it the list's id or the subscriber's that is not there any more.
        unknown = body["action"] == "add" and any(world.by_id(str(each)) is None for each in body["ids"])
        if unknown or (body["action"] == "add" and any(each is None for each in lists)):
            return Answer(500, {"message": "pq: insert violates foreign key constraint"})
        for number in map(str, body["ids"]):
            for each in lists:
                if each is None:
                    continue
                if body["action"] == "add":
                    if each.members.get(number) == LEFT:
                        world.wrongs.append(f"{number} was put back into {each.name}, which they had left")
                    each.members[number] = ACTIVE if body.get("status") == "confirmed" else PENDING
                elif body["action"] == "remove":
                    if each.members.get(number) == LEFT:
                        world.wrongs.append(f"{number}: the record of leaving {each.name} was deleted")
                    each.members.pop(number, None)
                else:
                    world.wrongs.append(f"{number} was unsubscribed from {each.name}")
                    each.members[number] = LEFT
        return Answer(200, {"data": True})

    def _subscriber(self, person: Person, world: World) -> dict[str, Any]:
        lists = [
            {**self._list(each, world), "subscription_status": STATUS[each.members[person.id]]}
            for each in world.lists.values()
            if person.id in each.members
        ]
        return {
            "id": int(person.id),
            "email": person.address.lower(),
            "name": person.name,
            "status": PERSON.get(person.standing, "enabled"),
            "attribs": person.fields,
            "lists": lists,
        }

    def _one(self, asked: Asked, person: Person, world: World) -> Answer:
        """A ``PUT`` replaces the whole: what it does not name is gone, and whoever has not confirmed is mailed.

        A ``PATCH`` changes what it names, without a mail where it says that subscriptions are confirmed.
        """
        if asked.method == "GET":
            return Answer(200, {"data": self._subscriber(person, world)})
        if asked.method == "PUT" or "lists" in asked.body:
            for each in world.lists.values():
                if person.id in each.members and int(each.id) not in asked.body.get("lists", []):
                    world.wrongs.append(f"{person.id} lost {each.name} by a PUT")
                    del each.members[person.id]
            self._join(person, asked.body, world)
        if "attribs" in asked.body:
            person.fields = dict(asked.body["attribs"])
        return Answer(200, {"data": self._subscriber(person, world)})


def _new(world: World, name: str) -> MailingList:
    found = MailingList(world.fresh_id(), name)
    world.lists[found.id] = found
    return found


ONE = r"'(?:[^'\\]|'')*'(?:\|\|chr\(\d+\)\|\|'(?:[^'\\]|'')*')*"
"""A text of SQL, or several of them with signs by number between."""


def _is_query(text: str) -> bool:
    """Whether the database would understand it."""
    if text in {"", "subscribers.id = 0"}:
        return True
    return re.fullmatch(rf"subscribers\.email IN \({ONE}(?:,{ONE})*\)", text, re.DOTALL) is not None


def _addresses(query: str) -> list[str]:
    quoted = re.fullmatch(r"subscribers\.email IN \((.*)\)", query, re.DOTALL)
    found = re.findall(ONE, quoted[1]) if quoted else []
    plain = [re.sub(r"'\|\|chr\((\d+)\)\|\|'", lambda sign: chr(int(sign[1])), each)[1:-1] for each in found]
    return [each.replace("''", "'") for each in plain]


def _searched(asked: Asked, world: World) -> list[Person]:
    if "list_id" in asked.query:
        found = world.lists.get(asked.query["list_id"])
        people = [world.by_id(number) for number in (found.members if found else ())]
        return [each for each in people if each is not None]
    query = asked.query.get("query", "")
    if not query:
        return list(world.people.values())
    return [person for each in _addresses(query) if (person := world.person(each)) is not None]


def _page(results: list[dict[str, Any]], asked: Asked) -> Answer:
    size, page = int(asked.query.get("per_page", 20)), int(asked.query.get("page", 1))
    some = results[(page - 1) * size : page * size]
    # NOTE: a page without anybody is null, not an empty list.
    return Answer(200, {"data": {"results": some or None, "total": len(results), "per_page": size, "page": page}})


SHOWS = Shows(
    lists_are_left=True, leavings=True, removals=True, other_lists=True, numbers=True, because="blocked", asks="list"
)
IMITATIONS = {"listmonk": Imitation(Listmonk, OPTIONS, SHOWS, moves_a_second=1_000)}
