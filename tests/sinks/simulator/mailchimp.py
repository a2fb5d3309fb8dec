"""Mailchimp, as its description, guides and users tell: one audience with static segments."""

from __future__ import annotations

import base64
import hashlib
from types import MappingProxyType
from typing import Any

from tests.sinks.simulator.imitation import WHOLE, Imitation
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, PENDING, UNDELIVERABLE, MailingList, Person, World

OPTIONS: dict[str, Any] = {"key": {"env": "KEY"}, "audience": "aud1"}
STATUS = {
    ACTIVE: "subscribed",
    LEFT: "unsubscribed",
    PENDING: "pending",
    UNDELIVERABLE: "cleaned",
    "archived": "archived",
}
PROBLEM = "application/problem+json"


class Mailchimp:
    name = "mailchimp"
    described = True
    quotas: Quotas = MappingProxyType({})
    leaves_everything = True
    sends_tags = True

    def __init__(self) -> None:
        self.merge_fields: set[str] = {"FNAME"}
        self.forgotten: set[str] = set()
        self.compliance: set[str] = set()
        self.required = False
        """Whether the audience has a merge field that must be filled in."""

    def bucket(self, asked: Asked) -> str:
        return "all"

    def admits(self, asked: Asked) -> Answer | None:
        wanted = "Basic " + base64.b64encode(f"segma:{KEY}".encode()).decode()
        return None if asked.headers.get("Authorization") == wanted else self.bad_key()

    def bad_key(self) -> Answer:
        return _problem(401, "API Key Invalid")

    def throttled(self, wait_s: float) -> Answer:
        """As at very high volume: 403, and no JSON."""
        return Answer(403, b"Forbidden", media="text/plain")

    def leave(self, world: World, address: str, list_name: str) -> None:
        world.enrol(address).standing = LEFT

    def handle(self, asked: Asked, world: World) -> Answer:
        parts = asked.path.split("/")
        if parts[:4] != ["", "3.0", "lists", "aud1"]:
            return _problem(404, "Resource Not Found")
        match (asked.method, parts[4:]):
            case ("POST", []):
                return self._bring_in(asked, world)
            case ("GET", ["members"]):
                return _members([(each, each.standing) for each in world.people.values()], asked)
            case (_, ["members", number]):
                return self._member(asked, number, world)
            case ("GET", ["tag-search"]):
                words = asked.query.get("name", "").lower()
                fitting = [_tag(each) for each in world.lists.values() if each.name.lower().startswith(words)]
                return Answer(200, {"tags": fitting, "total_items": len(fitting)})
            case ("GET", []):
                return Answer(200, {"id": "aud1", "name": "Audience", "double_optin": False})
            case ("POST", ["segments"]) if not asked.body["name"]:
                return _problem(400, "Invalid Resource")
            case ("POST", ["segments"]):
                return Answer(200, _tag(world.made_list(asked.body["name"])))
            case (_, ["merge-fields"]):
                return self._merge_fields(asked)
            case (_, ["segments", number, *rest]):
                found = world.lists.get(number)
                if found is None:
                    return _problem(404, "Resource Not Found")
                return _members(_people(found, world), asked) if rest else self._change(asked.body, found, world)
        return _problem(404, "Resource Not Found")

    def _lacks_fields(self, asked: Asked) -> bool:
        return self.required and asked.query.get("skip_merge_validation") != "true"

    def _bring_in(self, asked: Asked, world: World) -> Answer:
        made, errors = [], []
        body = asked.body
        for each in body["members"]:
            address = each["email_address"]
            error = self._refusal(address, world, update=bool(body.get("update_existing")))
            if self._lacks_fields(asked):
                error = {"error": "Your merge fields were invalid.", "error_code": "ERROR_GENERIC"}
            if error is not None:
                errors.append({"email_address": address, **error})
                continue
            known = world.person(address)
            if known is not None and known.standing == LEFT and each["status"] == "subscribed":
                world.wrongs.append(f"{known.id} was re-subscribed by update_existing")
            person = world.enrol(address)
            if each["status"] == "pending":
                person.standing = PENDING
                world.mails.append(f"opt-in to {person.id}")
            made.append(_member(person, world))
        return Answer(200, {"new_members": made, "updated_members": [], "errors": errors, "error_count": len(errors)})

    def _refusal(self, address: str, world: World, *, update: bool) -> dict[str, str] | None:
        if address.lower() in world.bad:
            return {"error": "Please provide a valid email address.", "error_code": "ERROR_GENERIC"}
        if address.lower() in self.forgotten:
            return {
                "error": f"{address} was permanently deleted and cannot be re-imported.",
                "error_code": "ERROR_GENERIC",
            }
        if address.lower() in self.compliance:
            return {"error": f"{address} is in a compliance state due to unsubscribe.", "error_code": "ERROR_GENERIC"}
        if world.person(address) and not update:
            return {
                "error": f"{address} is already a list member, do you want to update?",
                "error_code": "ERROR_CONTACT_EXISTS",
            }
        return None

    def _member(self, asked: Asked, number: str, world: World) -> Answer:
        person = next((each for each in world.people.values() if _hash(each.address) == number), None)
        if person is None:
            return _problem(404, "Resource Not Found")
        if asked.method == "DELETE":
            world.wrongs.append(f"{person.id} was archived")
            return Answer(204)
        if asked.method == "PATCH":
            if self._lacks_fields(asked):
                return _problem(400, "Invalid Resource")
            if asked.body.get("status"):
                world.wrongs.append(f"{person.id}: a status was written")
            if set(asked.body["merge_fields"]) - self.merge_fields:
                return _problem(400, "Invalid Resource")
            person.fields |= asked.body["merge_fields"]
        return Answer(200, _member(person, world))

    def _merge_fields(self, asked: Asked) -> Answer:
        if asked.method == "POST":
            self.merge_fields.add(asked.body["tag"])
            return Answer(200, {"tag": asked.body["tag"], "name": asked.body["name"], "type": "text"})
        return Answer(200, {"merge_fields": [{"tag": each} for each in sorted(self.merge_fields)]})

    def _change(self, body: dict[str, Any], found: MailingList, world: World) -> Answer:
        added, removed, errors = [], [], []
        for verb in ("members_to_add", "members_to_remove"):
            for address in body.get(verb, []):
                person = world.person(address)
                if person is None:
                    errors.append(
                        {"email_addresses": [address], "error": "Email addresses do not exist in the audience"}
                    )
                elif verb == "members_to_add":
                    found.members[person.id] = ACTIVE
                    added.append(_member(person, world))
                else:
                    found.members.pop(person.id, None)
                    removed.append(_member(person, world))
        told = {"members_added": added, "members_removed": removed, "errors": errors, "error_count": len(errors)}
        return Answer(200, {**told, "total_added": len(added), "total_removed": len(removed)})


def _problem(status: int, title: str) -> Answer:
    return Answer(status, {"type": "about:blank", "title": title, "status": status, "detail": title}, media=PROBLEM)


def _hash(address: str) -> str:
    return hashlib.md5(address.lower().encode(), usedforsecurity=False).hexdigest()


def _tag(each: MailingList) -> dict[str, Any]:
    return {"id": int(each.id), "name": each.name}


def _member(person: Person, world: World) -> dict[str, Any]:
    tags = [_tag(each) for each in world.lists.values() if person.id in each.members]
    return {
        "email_address": person.address,
        "status": STATUS[person.standing],
        "tags": tags,
        "merge_fields": dict(person.fields),
    }


def _people(found: MailingList, world: World) -> list[tuple[Person, str]]:
    people = [world.by_id(number) for number in found.members]
    return [(each, each.standing) for each in people if each is not None]


def _members(people: list[tuple[Person, str]], asked: Asked) -> Answer:
    start, count = int(asked.query.get("offset", 0)), int(asked.query.get("count", 10))
    some = people[start : start + count]
    told = [{"email_address": each.address, "status": STATUS[standing]} for each, standing in some]
    return Answer(200, {"members": told, "total_items": len(people)})


SHOWS = WHOLE._replace(numbers=False, asks="all")
IMITATIONS = {"mailchimp": Imitation(Mailchimp, OPTIONS, SHOWS, token_field="SEGMATOK", moves_a_second=300)}
