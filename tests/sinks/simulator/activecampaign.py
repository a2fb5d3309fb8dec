"""ActiveCampaign, as its reference and its clients tell. Lists are kept as tags' twins: see ``lists_are``."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from tests.sinks.consent_knowledge import Shows
from tests.sinks.simulator.imitation import Imitation
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, MailingList, Person, World

OPTIONS: dict[str, Any] = {"key": {"env": "KEY"}, "token_field_id": "7"}
STATUS = {ACTIVE: "1", LEFT: "2"}
MAIL = "mail"
"""The list that everybody is in, where lists are tags: what they can unsubscribe from."""


class Activecampaign:
    """``as_tags``: the world's lists are tags; else they are lists."""

    name = "activecampaign"
    described = True
    quotas: Quotas = MappingProxyType({"all": [(5, 1.0)]})
    sends_tags = True

    def __init__(self, *, as_tags: bool = True) -> None:
        self.as_tags = self.leaves_everything = as_tags
        self.since: dict[tuple[str, str], dt.datetime] = {}
        """When somebody came to be out of a list; a person's own leaving lies a day ahead, so that it is the later."""
        self.left: set[tuple[str, str]] = set()
        """Who unsubscribed, by themselves, from which list; in an account of tags, from the list of the mails."""
        self.clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)

    def bucket(self, asked: Asked) -> str:
        return "all"

    def admits(self, asked: Asked) -> Answer | None:
        return None if asked.headers.get("Api-Token") == KEY else self.bad_key()

    def bad_key(self) -> Answer:
        return Answer(200, b"<!DOCTYPE html><html><title>Login</title></html>", media="text/html; charset=utf-8")

    def throttled(self, wait_s: float) -> Answer:
        return Answer(429, {"message": "rate limit"}, {"Retry-After": f"{wait_s:.2f}", "RateLimit-Remaining": "0"})

    def leave(self, world: World, address: str, list_name: str) -> None:
        person, found = world.enrol(address), world.list_named(list_name)
        if self.as_tags:
            self.left.add((person.id, MAIL))
        elif found is not None:
            found.members[person.id] = LEFT
            self.since[person.id, found.id] = self.clock() + dt.timedelta(days=1)
            self.left.add((person.id, found.id))

    def handle(self, asked: Asked, world: World) -> Answer:
        of_contact = re.fullmatch(r"/api/3/contacts/(\d+)/(contactLists|contactTags)", asked.path)
        if of_contact is not None:
            person = world.by_id(of_contact[1])
            if person is None:
                return Answer(404, {"message": "No Result found"})
            return self._lists_of(person, world) if of_contact[2] == "contactLists" else self._tags_of(person, world)
        if asked.method == "DELETE":
            return self._untag(asked.path.rpartition("/")[2], world)
        match (asked.method, asked.path):
            case ("GET", "/api/3/contacts"):
                return self._contacts(asked, world)
            case ("POST", "/api/3/contact/sync"):
                return self._sync(asked.body["contact"], world)
            case ("POST", "/api/3/contactTags"):
                return self._tag(asked.body["contactTag"], world)
            case ("POST", "/api/3/contactLists"):
                return self._status(asked.body["contactList"], world)
            case (_, "/api/3/tags"):
                return self._tags(asked, world)
            case (_, "/api/3/lists"):
                return self._lists(asked, world)
        return Answer(404, {"message": "no such call"})

    def _contacts(self, asked: Asked, world: World) -> Answer:
        people = [each for each in world.people.values() if self._fits(each, asked, world)]
        start, limit = int(asked.query.get("offset", 0)), int(asked.query.get("limit", 20))
        return Answer(200, {"contacts": [_contact(each) for each in people[start : start + limit]]})

    def _fits(self, person: Person, asked: Asked, world: World) -> bool:
        query = asked.query
        if "email" in query:
            return person.address.lower() == query["email"].lower()
        number = query.get("tagid") or query.get("listid", "")
        found = world.lists.get(number)
        standing = found.members.get(person.id) if found else None
        return standing is not None and ("status" not in query or STATUS[standing] == query["status"])

    def _sync(self, contact: dict[str, Any], world: World) -> Answer:
        if not contact["email"] or contact["email"].lower() in world.bad:
            return Answer(422, {"errors": [{"title": "Email address is invalid.", "code": "email_invalid"}]})
        known = world.person(contact["email"])
        person = world.enrol(contact["email"], contact.get("firstName", ""))
        for each in contact.get("fieldValues") or []:
            person.fields["SEGMA_TOKEN"] = each["value"]
        return Answer(200 if known else 201, {"contact": _contact(person)})

    def _tags_of(self, person: Person, world: World) -> Answer:
        held = [number for number, each in world.lists.items() if self.as_tags and person.id in each.members]
        held += [number for name, number in world.tags.items() if name in person.tags]
        results = [{"id": f"{person.id}000{number}", "contact": person.id, "tag": number} for number in held]
        return Answer(200, {"contactTags": results})

    def _lists_of(self, person: Person, world: World) -> Answer:
        if self.as_tags:
            status = STATUS[LEFT if (person.id, MAIL) in self.left else ACTIVE]
            results = [{"contact": person.id, "list": "1", "status": status}]
        else:
            of = [each for each in world.lists.values() if person.id in each.members]
            results = [
                {
                    "contact": person.id,
                    "list": each.id,
                    "status": STATUS[each.members[person.id]],
                    "udate": since.isoformat() if (since := self.since.get((person.id, each.id))) else "",
                }
                for each in of
            ]
        return Answer(200, {"contactLists": results})

    def _tag(self, body: dict[str, Any], world: World) -> Answer:
        person, tag = world.by_id(str(body["contact"])), str(body["tag"])
        name = next((each for each, number in world.tags.items() if number == tag), None)
        if person is None or (name is None and tag not in world.lists):
            return Answer(404, {"message": "No Result found for Subscriber"})
        if name is not None:
            person.tags.add(name)
        else:
            world.lists[tag].members[person.id] = ACTIVE
        return Answer(201, {"contactTag": {"id": f"{person.id}000{tag}", "contact": person.id, "tag": tag}})

    def _untag(self, number: str, world: World) -> Answer:
        for person in world.people.values():
            for tag, each in world.lists.items():
                if number == f"{person.id}000{tag}" and person.id in each.members:
                    del each.members[person.id]
                    return Answer(200, {})
            for name, tag in world.tags.items():
                if number == f"{person.id}000{tag}" and name in person.tags:
                    person.tags.remove(name)
                    return Answer(200, {})
        return Answer(404, {"message": "No Result found"})

    def _status(self, body: dict[str, Any], world: World) -> Answer:
        person, found = world.by_id(str(body["contact"])), world.lists.get(str(body["list"]))
        if person is None or found is None:
            return Answer(404, {"message": "No Result found"})
        if body["status"] == 1 and (person.id, found.id) in self.left:
            world.wrongs.append(f"{person.id} was re-subscribed to {found.name}, which they had left")
        found.members[person.id] = ACTIVE if body["status"] == 1 else LEFT
        self.since[person.id, found.id] = self.clock()
        return Answer(200, {"contactList": {"contact": person.id, "list": found.id, "status": str(body["status"])}})

    def _tags(self, asked: Asked, world: World) -> Answer:
        if asked.method == "POST":
            name = asked.body["tag"]["tag"]
            if not name:
                return Answer(422, {"errors": [{"title": "The tag is invalid."}]})
            number = world.made_list(name).id if self.as_tags else world.made_tag(name)
            return Answer(201, {"tag": {"id": number, "tag": name, "tagType": "contact"}})
        words = asked.query.get("search", "").lower()
        known = [(each.name, each.id) for each in world.lists.values()] if self.as_tags else list(world.tags.items())
        start, limit = int(asked.query.get("offset", 0)), int(asked.query.get("limit", 20))
        fitting = [{"id": number, "tag": name} for name, number in known if words in name.lower()]
        return Answer(200, {"tags": fitting[start : start + limit], "meta": {"total": str(len(fitting))}})

    def _lists(self, asked: Asked, world: World) -> Answer:
        if asked.method == "POST":
            return Answer(200, {"list": _list(world.made_list(asked.body["list"]["name"]))})
        words = asked.query.get("filters[name]", "").lower()
        return Answer(200, {"lists": [_list(each) for each in world.lists.values() if words in each.name.lower()]})


def _list(each: MailingList) -> dict[str, Any]:
    return {"id": each.id, "name": each.name}


def _contact(person: Person) -> dict[str, Any]:
    return {"id": person.id, "email": person.address, "firstName": person.name}


TAGS = Imitation(Activecampaign, OPTIONS, token_field="SEGMA_TOKEN", bounces=False, moves_a_second=3)._replace(
    members_show_leaving=False
)
STATUSES = TAGS._replace(
    dialect=lambda: Activecampaign(as_tags=False),
    options={**OPTIONS, "lists_are": "lists"},
    shows=Shows(lists_are_left=True, leavings=True, removals=True, other_lists=True, numbers=True),
    members_show_leaving=True,
    moves_a_second=0,
)
IMITATIONS = {"activecampaign": TAGS, "activecampaign-lists": STATUSES}
