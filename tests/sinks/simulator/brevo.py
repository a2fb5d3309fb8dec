"""Brevo, as its description, its pages and its users tell: contacts in lists of a folder, by their ids."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any

from tests.sinks.simulator.imitation import Imitation
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, UNDELIVERABLE, MailingList, Person, World

OPTIONS: dict[str, Any] = {"key": {"env": "KEY"}}
AT = "2026-01-01T00:00:00.000Z"
FOLDER = 1
MOST = 150
"""Contacts of one call over a list."""


class Brevo:
    name = "brevo"
    described = True
    quotas: Quotas = MappingProxyType({"all": [(10, 1.0)]})
    leaves_everything = True
    sends_tags = False

    def __init__(self) -> None:
        self.attributes = {"FIRSTNAME", "LASTNAME"}
        self.complained: set[str] = set()
        """Ids of those who marked a mail as spam."""
        self.old: set[str] = set()
        """Ids of those who left longer ago than the statistics go back."""
        self.denied: set[str] = set()
        """Parts of the interface that the key may not use: ``GET /v3/contacts/lists`` …"""

    def bucket(self, asked: Asked) -> str:
        return "all"

    def admits(self, asked: Asked) -> Answer | None:
        if asked.headers.get("api-key") != KEY:
            return self.bad_key()
        if f"{asked.method} {asked.path}" in self.denied:
            return _error(403, "permission_denied", "no")
        return None

    def bad_key(self) -> Answer:
        return _error(401, "unauthorized", "Key not found")

    def throttled(self, wait_s: float) -> Answer:
        """No ``Retry-After``."""
        headers = {"x-sib-ratelimit-reset": str(round(wait_s + 0.5)), "x-sib-ratelimit-remaining": "0"}
        return _error(429, "too_many_requests", "Too many requests")._replace(headers=headers)

    def leave(self, world: World, address: str, list_name: str) -> None:
        world.enrol(address).standing = LEFT

    def handle(self, asked: Asked, world: World) -> Answer:
        path = asked.path.removeprefix("/v3/contacts")
        changing = re.fullmatch(r"/lists/(\d+)/contacts/(add|remove)", path)
        reading = re.fullmatch(r"/lists/(\d+)/contacts", path)
        attribute = re.fullmatch(r"/attributes/normal/(.+)", path)
        if changing is not None:
            return self._change(asked.body["ids"], changing[2], world.lists.get(changing[1]), world)
        if reading is not None:
            return self._members(asked, world.lists.get(reading[1]), world)
        if attribute is not None:
            self.attributes.add(attribute[1])
            return Answer(201)
        match (asked.method, path):
            case ("GET", "/lists"):
                return _page(asked, "lists", [_list(each) for each in world.lists.values()])
            case ("POST", "/lists"):
                return self._make(asked.body, world)
            case ("GET", "/attributes"):
                return Answer(200, {"attributes": [_attribute(each) for each in sorted(self.attributes)]})
            case ("POST", "/batch"):
                return self._batch(asked.body["contacts"], world)
            case ("POST", ""):
                return self._create(asked.body, world)
            case ("GET", ""):
                return _page(asked, "contacts", [self._contact(each, world) for each in world.people.values()])
        person = world.person(path.removeprefix("/"))
        return Answer(200, self._contact(person, world)) if person is not None else _missing("Contact does not exist")

    def _create(self, body: dict[str, Any], world: World) -> Answer:
        address = body.get("email", "")
        if not address:
            return _error(400, "missing_parameter", "email, sms or ext_id is missing")
        if address.lower() in world.bad:
            return _error(400, "invalid_parameter", "Invalid email address")
        if set(body.get("attributes", {})) - self.attributes:
            return _error(400, "invalid_parameter", "Invalid attributes")
        known = world.person(address)
        if known is not None and not body.get("updateEnabled"):
            return _error(400, "duplicate_parameter", "Unable to create contact, email is already associated")
        person = world.enrol(address, body.get("attributes", {}).get("FIRSTNAME", ""))
        self._judge_consent(body, person, world)
        return Answer(204 if known is not None else 201, {"id": int(person.id)} if known is None else None)

    def _judge_consent(self, body: dict[str, Any], person: Person, world: World) -> None:
        if "emailBlacklisted" in body:
            world.wrongs.append(f"{person.id}: a consent was written")

    def _batch(self, contacts: list[dict[str, Any]], world: World) -> Answer:
        """All of them or none."""
        found = [world.by_id(str(each["id"])) for each in contacts]
        if None in found or any(set(each["attributes"]) - self.attributes for each in contacts):
            return _error(400, "invalid_parameter", "Invalid contact or attribute")
        for person, each in zip(found, contacts, strict=True):
            assert person is not None
            self._judge_consent(each, person, world)
            person.fields |= each["attributes"]
        return Answer(204)

    def _change(self, ids: list[int], verb: str, found: MailingList | None, world: World) -> Answer:
        if found is None:
            return _missing("List ID does not exist")
        if len(ids) > MOST:
            return _error(400, "invalid_parameter", f"at most {MOST}")
        known = {each: str(each) in found.members and found.members[str(each)] == ACTIVE for each in ids}
        done = [each for each in ids if world.by_id(str(each)) is not None and known[each] is (verb == "remove")]
        if not done:
            state = "already in list" if verb == "add" else "already removed from list"
            return _error(400, "invalid_parameter", f"Contact {state} and/or does not exist")
        for each in done:
            if verb == "add":
                found.members[str(each)] = ACTIVE
            else:
                del found.members[str(each)]
        failed = [each for each in ids if each not in done]
        return Answer(201, {"contacts": {"success": done, "failure": failed, "total": len(done)}})

    def _make(self, body: dict[str, Any], world: World) -> Answer:
        if not body["name"]:
            return _error(400, "missing_parameter", "List name is missing")
        if body["folderId"] != FOLDER:
            return _error(400, "invalid_parameter", "Folder ID does not exist")
        return Answer(201, {"id": int(world.made_list(body["name"]).id)})

    def _members(self, asked: Asked, found: MailingList | None, world: World) -> Answer:
        if found is None:
            return _missing("List ID does not exist")
        people = [world.by_id(number) for number in found.members]
        return _page(asked, "contacts", [self._contact(each, world) for each in people if each is not None])

    def _contact(self, person: Person, world: World) -> dict[str, Any]:
        own = {int(each.id): each.members[person.id] for each in world.lists.values() if person.id in each.members}
        left = [number for number, state in own.items() if state == LEFT]
        contact = {
            "email": person.address.lower(),
            "id": int(person.id),
            "emailBlacklisted": person.standing in {LEFT, UNDELIVERABLE},
            "smsBlacklisted": False,
            "createdAt": AT,
            "modifiedAt": AT,
            "listIds": [number for number in own if number not in left],
            "attributes": {**({"FIRSTNAME": person.name} if person.name else {}), **person.fields},
            "statistics": self._statistics(person),
        }
        return {**contact, "listUnsubscribed": left} if left else contact

    def _statistics(self, person: Person) -> dict[str, Any]:
        event = [{"campaignId": 7, "eventTime": AT}]
        if person.id in self.old or person.standing == ACTIVE:
            return {}
        if person.id in self.complained:
            return {"complaints": event}
        if person.standing == UNDELIVERABLE:
            return {"hardBounces": event}
        return {"unsubscriptions": {"userUnsubscription": event, "adminUnsubscription": []}}


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"code": code, "message": message})


def _missing(message: str) -> Answer:
    return _error(404, "document_not_found", message)


def _list(each: MailingList) -> dict[str, Any]:
    counts = {"totalBlacklisted": 0, "totalSubscribers": 0, "uniqueSubscribers": len(each.members)}
    return {"id": int(each.id), "name": each.name, "folderId": FOLDER, **counts}


def _attribute(name: str) -> dict[str, Any]:
    return {"name": name, "category": "normal", "type": "text"}


def _page(asked: Asked, name: str, found: list[dict[str, Any]]) -> Answer:
    """A page past the end has the count alone."""
    start, size = int(asked.query.get("offset", 0)), int(asked.query.get("limit", 50))
    page = found[start : start + size]
    return Answer(200, {"count": len(found), **({name: page} if page else {})})


IMITATIONS = {"brevo": Imitation(Brevo, OPTIONS, token_field="SEGMA_TOKEN", moves_a_second=10)}
