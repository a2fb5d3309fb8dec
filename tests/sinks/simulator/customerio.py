"""Customer.io, as its descriptions (Track B, App C) and its pages tell: people in manual segments, two interfaces."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from tests.sinks.simulator.imitation import Guard, Imitation
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, MailingList, Person, World

OPTIONS: dict[str, Any] = {"site_id": "site", "key": {"env": "KEY"}, "app_key": {"env": "KEY"}}
MISSING = Answer(404, {"errors": [{"detail": "not found", "status": "404"}]})
NOTHING = Answer(200, {})
"""What the Track API says, whatever came of it."""


class Customerio:
    name = "customerio"
    described = True
    quotas: Quotas = MappingProxyType({"all": [(10, 1.0)], "track": [(100, 1.0)]})
    leaves_everything = True
    sends_tags = False

    def __init__(self) -> None:
        self.page = 30_000
        self.addresses_are_ids = True
        """Whether an address makes a person of the workspace; else an ``id`` alone does."""
        self.without_id: set[str] = set()
        """People (by our number) who have no ``id``."""
        self.twins: set[str] = set()
        """Addresses that somebody else has as well."""
        self.suppressed: set[str] = set()
        """Addresses whose calls are accepted and passed over."""
        self.deaf = 0
        """So many calls of the Track API are accepted, and nothing comes of them."""
        self.data_driven: set[str] = set()
        """Ids of segments that take no members."""
        self.region = "us"
        self.denied: set[str] = set()
        """Parts of the interface that the App key's scope leaves out: ``POST /v1/segments`` …"""

    def bucket(self, asked: Asked) -> str:
        return "track" if asked.path.startswith("/api/") else "all"

    def admits(self, asked: Asked) -> Answer | None:
        basic = base64.b64encode(f"site:{KEY}".encode()).decode()
        wanted = f"Basic {basic}" if asked.path.startswith("/api/") else f"Bearer {KEY}"
        if asked.headers.get("Authorization") != wanted:
            return self.bad_key()
        return Answer(403, {"errors": [{"detail": "forbidden"}]}) if self._denies(asked) else None

    def _denies(self, asked: Asked) -> bool:
        return f"{asked.method} {asked.path}" in self.denied

    def bad_key(self) -> Answer:
        return Answer(401, {"meta": {"error": "unauthorized"}})

    def throttled(self, wait_s: float) -> Answer:
        """Without a word of when."""
        return Answer(429, {"meta": {"error": "too many requests"}})

    def leave(self, world: World, address: str, list_name: str) -> None:
        world.enrol(address).standing = LEFT

    def handle(self, asked: Asked, world: World) -> Answer:
        if asked.path.startswith("/api/"):
            return self._track(asked, asked.path.removeprefix("/api/v1"), world)
        path = asked.path.removeprefix("/v1")
        known: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "/segments"): lambda: self._segments(list(world.lists.values())),
            ("POST", "/segments"): lambda: self._make(asked.body, world),
            ("GET", "/customers"): lambda: self._search(asked, world),
            ("POST", "/customers/attributes"): lambda: self._attributes(asked, world),
        }
        if (asked.method, path) in known:
            return known[asked.method, path]()
        if (reading := re.fullmatch(r"/segments/(\d+)/membership", path)) is not None:
            return self._members(asked, world.lists.get(reading[1]), world)
        person = world.by_id(path.split("/")[2])
        if person is None or asked.query.get("id_type") != "cio_id":
            return MISSING
        return self._segments([each for each in world.lists.values() if person.id in each.members])

    def _track(self, asked: Asked, path: str, world: World) -> Answer:
        if path == "/accounts/region":
            return Answer(200, {"url": "track.customer.io", "data_center": self.region, "environment_id": 7})
        if self.deaf:
            self.deaf -= 1
            return NOTHING
        changing = re.fullmatch(r"/segments/(\d+)/(add|remove)_customers", path)
        if changing is not None:
            return self._change(changing[1], changing[2], asked, world)
        return self._identify(path.removeprefix("/customers/"), asked.body, world)

    def _change(self, number: str, verb: str, asked: Asked, world: World) -> Answer:
        """An id that is nobody's is passed over, and so is taking out somebody without an ``id``, however named."""
        found, kind = world.lists.get(number), asked.query.get("id_type", "id")
        if found is None or number in self.data_driven:
            return Answer(400, {"meta": {"errors": ["segment is not manual"]}})
        for each in asked.body["ids"]:
            person = self._named(kind, each, world)
            if person is not None and verb == "add":
                found.members[person.id] = ACTIVE
            elif person is not None and person.id not in self.without_id:
                found.members.pop(person.id, None)
        return NOTHING

    def _named(self, kind: str, value: str, world: World) -> Person | None:
        if kind == "email":
            return world.person(value) if self.addresses_are_ids else None
        if kind == "cio_id":
            return world.by_id(value)
        people = world.people.values()
        return next((each for each in people if each.id not in self.without_id and self._id(each) == value), None)

    def _identify(self, name: str, body: dict[str, Any], world: World) -> Answer:
        """An upsert; whoever is named by a ``cio_id`` that is nobody's is passed over, and so are the suppressed."""
        if "unsubscribed" in body or "cio_subscription_preferences" in body:
            world.wrongs.append("a consent was written")
        known = world.by_id(name.removeprefix("cio_")) if name.startswith("cio_") else None
        if known is None and (name.startswith("cio_") or body.get("_update")):
            return NOTHING
        address = str(body.get("email", name))
        if known is None and (address.lower() in self.suppressed | world.bad or "@" not in address):
            return NOTHING
        there = known or world.person(address)
        person = there or world.enrol(address)
        if there is None:
            person.fields["id"] = str(body.get("id", name if not self.addresses_are_ids else ""))
        elif person.id in self.without_id and "id" in body:
            self.without_id.discard(person.id)
            person.fields["id"] = body["id"]
        person.name = body.get("first_name") or person.name
        kept = {"email", "id", "first_name", "_update"}
        person.fields |= {key: value for key, value in body.items() if key not in kept}
        return NOTHING

    def _search(self, asked: Asked, world: World) -> Answer:
        address = asked.query["email"]
        if address.lower() in world.bad:
            return Answer(400, {"errors": [{"detail": "invalid email"}]})
        found = world.person(address)
        told = [self._identifiers(found)] if found is not None else []
        twin = [{**each, "id": "twin", "cio_id": "999999"} for each in told if address in self.twins]
        return Answer(200, {"results": [*told, *twin]})

    def _attributes(self, asked: Asked, world: World) -> Answer:
        ids = asked.body["ids"]
        if not 1 <= len(ids) <= 100:
            return Answer(400, {"errors": [{"detail": "ids: 1 to 100"}]})
        found = [self._named(asked.query.get("id_type", "id"), each, world) for each in ids]
        return Answer(200, {"customers": [{"customer": self._customer(each)} for each in found if each is not None]})

    def _members(self, asked: Asked, found: MailingList | None, world: World) -> Answer:
        if found is None:
            return MISSING
        people = [person for number in found.members if (person := world.by_id(number)) is not None]
        start, size = int(asked.query.get("start") or 0), min(int(asked.query.get("limit", 1_000)), self.page)
        told = [self._identifiers(each) for each in people[start : start + size]]
        after = str(start + size) if start + size < len(people) else ""
        return Answer(200, {"identifiers": told, "ids": [each["id"] or "" for each in told], "next": after})

    def _segments(self, found: list[MailingList]) -> Answer:
        return Answer(200, {"segments": [self._segment(each) for each in found]})

    def _segment(self, each: MailingList) -> dict[str, Any]:
        kind = "dynamic" if each.id in self.data_driven else "manual"
        return {"id": int(each.id), "name": each.name, "description": "", "state": "finished", "type": kind}

    def _make(self, body: dict[str, Any], world: World) -> Answer:
        name = body["segment"]["name"]
        taken = world.list_named(name)
        if not name or (taken is not None and taken.id in self.data_driven):
            return Answer(400, {"errors": [{"detail": "name is required, and no other segment's"}]})
        return Answer(200, {"segment": self._segment(world.made_list(name))})

    def _id(self, person: Person) -> str:
        return person.fields.get("id") or f"own-{person.id}"

    def _identifiers(self, person: Person) -> dict[str, Any]:
        own = None if person.id in self.without_id else self._id(person)
        return {"email": person.address.lower(), "id": own, "cio_id": person.id}

    def _customer(self, person: Person) -> dict[str, Any]:
        """Attributes that nobody has set are not there; ``unsubscribed`` is beside them."""
        names = {"first_name": person.name} if person.name else {}
        told = {name: value for name, value in self._identifiers(person).items() if value is not None}
        attributes = {**{key: value for key, value in person.fields.items() if key != "id"}, **names, **told}
        left = person.standing == LEFT
        return {
            "id": told.get("id", ""),
            "attributes": attributes,
            "timestamps": {"email": 1_700_000_000},
            "unsubscribed": left,
            "devices": [],
        }


IMITATIONS = {"customerio": Imitation(Customerio, OPTIONS, bounces=False, moves_a_second=10)}
SINK = "platforms/customerio.py"
GUARDS = (
    Guard(
        "customerio_a_200",
        SINK,
        "(number in self._segments_of(one.person)) is inside",
        "self._segments_of(one.person) is not None",
    ),
    Guard("customerio_a_200", SINK, "(None if is_written(one) else AGAIN)", "None"),
    Guard(
        "customerio_whoever_has_no",
        SINK,
        "if not own_id and standing is",
        "if False and standing is",
    ),
    Guard(
        "customerio_whoever_left",
        SINK,
        "if ids[one.person] else NO_ID",
        "if ids[one.person] else None",
    ),
    Guard(
        "customerio_whoever_is_made",
        SINK,
        'path, body["id"] = address, own_id',
        "path = address",
    ),
    Guard(
        "customerio_who_was_made",
        SINK,
        "if _id_of(made) == own_id else AGAIN",
        "",
    ),
    Guard(
        "customerio_who_was_made",
        SINK,
        "if made is None or _standing(made) is not Standing.ACTIVE:",
        "if made is None:",
    ),
    Guard("customerio_an_address", SINK, "if len(own) > 1:", "if False:"),
    Guard("customerio_a_data_driven", SINK, 'if one_of(each, "type", KINDS)', "if True"),
    Guard("customerio_no_call", SINK, '"_update": True}', '"_update": True, "unsubscribed": False}'),
    Guard(
        "customerio_an_unsubscription",
        SINK,
        'said or table(person, "attributes").get(UNSUBSCRIBED) in {True, "true"}',
        "said",
    ),
    Guard("customerio_a_429", SINK, "wait_s=trouble.wait_s or WAIT_S", "wait_s=trouble.wait_s"),
    Guard("customerio_a_redirect", SINK, "if 300 <= reply.status < 400 and", "if False and"),
    Guard("customerio_members", SINK, 'words(found, "next")', '""'),
    Guard("customerio_a_check", SINK, "right = where == self._options.region", "right = True"),
)
