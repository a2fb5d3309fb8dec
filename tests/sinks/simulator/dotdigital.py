"""Dotdigital, as its description (grade B) and its pages tell: contacts in lists, two versions of its interface."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from tests.sinks.simulator.imitation import Guard, Imitation
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, PENDING, UNDELIVERABLE, MailingList, Person, World

OPTIONS: dict[str, Any] = {"user": "apiuser-1@apiconnector.com", "password": {"env": "KEY"}}
STATUS = {ACTIVE: "subscribed", LEFT: "unsubscribed", PENDING: "pendingOptIn", UNDELIVERABLE: "hardBounced"}
HELD = {ACTIVE: "subscribed", LEFT: "suppressed", PENDING: "pending"}
AT = "2026-01-01T00:00:00Z"


class Dotdigital:
    name = "dotdigital"
    described = True
    quotas: Quotas = MappingProxyType({"all": [(2_000, 3_600.0)]})
    leaves_everything = True
    sends_tags = False

    def __init__(self) -> None:
        self.page = 5_000
        self.fields = {"FIRSTNAME"}
        self.enforces_double_optin = False
        self.reserved = {"All contacts", "Test"}
        self.deaf = 0
        """So many changes of a contact are accepted, and nothing comes of them."""
        self.region = "r1"
        self.denied: set[str] = set()
        """Parts of the interface that the API user may not use: ``POST /v2/address-books`` …"""

    def bucket(self, asked: Asked) -> str:
        return "all"

    def admits(self, asked: Asked) -> Answer | None:
        login = base64.b64encode(f"{OPTIONS['user']}:{KEY}".encode()).decode()
        if asked.headers.get("Authorization") != f"Basic {login}":
            return self.bad_key()
        return _v2(403, "ERROR_FEATURENOTACTIVE") if f"{asked.method} {asked.path}" in self.denied else None

    def bad_key(self) -> Answer:
        return _v2(401, "ERROR_APIUSER_INVALID")

    def throttled(self, wait_s: float) -> Answer:
        """The flat scheme's refusal, a 400."""
        return Answer(429, None, {"X-RateLimit-Scope": "medium"})

    def leave(self, world: World, address: str, list_name: str) -> None:
        world.enrol(address).standing = LEFT

    def handle(self, asked: Asked, world: World) -> Answer:
        path, method = asked.path, asked.method
        taking_out = re.fullmatch(r"/v2/address-books/(\d+)/contacts/(\d+)", path)
        if taking_out is not None:
            return _take_out(world.lists.get(taking_out[1]), world.by_id(taking_out[2]))
        known: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "/v2/address-books"): lambda: self._lists(asked, world),
            ("POST", "/v2/address-books"): lambda: self._make(asked.body, world),
            ("GET", "/v2/data-fields"): lambda: Answer(200, [_field(each) for each in sorted(self.fields)]),
            ("POST", "/v2/data-fields"): lambda: self._make_field(asked.body),
            ("GET", "/v2/account-info"): self._account,
            ("GET", "/contacts/v3"): lambda: self._members(asked, world),
            ("POST", "/contacts/v3"): lambda: self._create(asked.body, world),
        }
        if (method, path) in known:
            return known[method, path]()
        if (own := re.fullmatch(r"/v2/contacts/(\d+)/address-books", path)) is not None:
            return Answer(200, [_list(each) for each in world.lists.values() if each.members.get(own[1]) == ACTIVE])
        identifier, value = path.removeprefix("/contacts/v3/").split("/", 1)
        person = world.by_id(value) if identifier == "contactId" else world.person(value)
        if person is None:
            return self._absent(method, identifier, world)
        return (
            self._patch(asked.body, person, world) if method == "PATCH" else Answer(200, self._contact(person, world))
        )

    def _absent(self, method: str, identifier: str, world: World) -> Answer:
        """A change by an address makes the contact."""
        if method == "PATCH" and identifier == "email":
            world.wrongs.append("a change would have made a contact")
        return _v3(404, "contacts:contactNotFound")

    def _create(self, body: dict[str, Any], world: World) -> Answer:
        """Whoever is there is refused; a type of opt-in, or the account, may have them mailed."""
        address, channel = body["identifiers"]["email"], body.get("channelProperties", {}).get("email", {})
        if not re.fullmatch(r"[^@]+@[^@]+", address) or address.lower() in world.bad:
            return _v3(400, "contacts:invalidContacts")
        if world.person(address) is not None:
            return _v3(409, "contacts:idAlreadyExists")
        if "status" in channel:
            world.wrongs.append("a consent was written")
        person = world.enrol(address, body.get("dataFields", {}).get("FIRSTNAME", ""))
        if channel.get("optInType") == "verifiedDouble" or self.enforces_double_optin:
            person.standing = PENDING
            world.mails.append(f"opt-in to {person.id}")
        return Answer(201, self._contact(person, world))

    def _patch(self, body: dict[str, Any], person: Person, world: World) -> Answer:
        """Lists are added to, and the record of having left one is written over."""
        if "channelProperties" in body:
            world.wrongs.append(f"{person.id}: a consent was written")
        if {*map(str, body.get("lists", []))} - {*world.lists} or {*body.get("dataFields", {})} - self.fields:
            return _v3(400, "contacts:invalidContacts")
        if self.deaf:
            self.deaf -= 1
            return Answer(200, self._contact(person, world))
        for each in body.get("lists", []):
            world.lists[str(each)].members[person.id] = ACTIVE
        person.fields |= body.get("dataFields", {})
        return Answer(200, self._contact(person, world))

    def _contact(self, person: Person, world: World) -> dict[str, Any]:
        """A contact in no list has no lists; data fields that are empty are null."""
        own = [each for each in world.lists.values() if person.id in each.members]
        held = [{"id": int(each.id), "name": each.name, "status": HELD[each.members[person.id]]} for each in own]
        status = STATUS.get(person.standing, person.standing)
        told = {
            "contactId": int(person.id),
            "status": "subscribed",
            "created": AT,
            "updated": AT,
            "identifiers": {"email": person.address.lower()},
            "dataFields": {**dict.fromkeys(sorted(self.fields)), "FIRSTNAME": person.name or None, **person.fields},
            "channelProperties": {"email": {"status": status, "emailType": "Html", "optInType": "Unknown"}},
        }
        return told | ({"lists": held} if held else {})

    def _members(self, asked: Asked, world: World) -> Answer:
        found = world.lists.get(asked.query["~listId"])
        if found is None:
            return _v3(400, "contacts:invalidFilter")
        people = [person for number in found.members if (person := world.by_id(number)) is not None]
        start, size = int(asked.query.get("marker") or 0), min(int(asked.query.get("limit", 1_000)), self.page)
        links = {"self": {"marker": str(start), "link": ""}, "first": {"marker": "0", "link": ""}}
        if start + size < len(people):
            links["next"] = {"marker": str(start + size), "link": "https://elsewhere.invalid/"}
        told = [self._contact(each, world) for each in people[start : start + size]]
        named = {"identifiers": {"mobileNumber": "447700900000"}, "contactId": 1, "channelProperties": {}}
        return Answer(200, {"_items": [*told, *([named] if start == 0 and people else [])], "_links": links})

    def _lists(self, asked: Asked, world: World) -> Answer:
        start, size = int(asked.query.get("skip", 0)), min(int(asked.query.get("select", 1_000)), 1_000)
        return Answer(200, [_list(each) for each in list(world.lists.values())[start : start + size]])

    def _make(self, body: dict[str, Any], world: World) -> Answer:
        name = body["name"]
        if not name or name in self.reserved or world.list_named(name) is not None:
            return _v2(400, "ERROR_ADDRESSBOOK_DUPLICATE" if name else "ERROR_ADDRESSBOOK_INVALID")
        return Answer(201, _list(world.made_list(name)))

    def _make_field(self, body: dict[str, Any]) -> Answer:
        if not body["name"]:
            return _v2(400, "ERROR_DATAFIELD_INVALID")
        self.fields.add(body["name"])
        return Answer(201, None)

    def _account(self) -> Answer:
        endpoint = f"https://{self.region}-api.dotdigital.com/"
        properties = [{"name": "ApiCallsRemaining", "type": "Int", "value": "1985"}]
        return Answer(
            200, {"id": 1, "properties": [*properties, {"name": "ApiEndpoint", "type": "String", "value": endpoint}]}
        )


def _take_out(found: MailingList | None, person: Person | None) -> Answer:
    if found is None or person is None:
        return _v2(404, "ERROR_ADDRESSBOOK_NOT_FOUND" if found is None else "ERROR_CONTACT_NOT_FOUND")
    return Answer(204) if found.members.pop(person.id, None) else _v2(404, "ERROR_CONTACT_NOT_FOUND")


def _list(each: MailingList) -> dict[str, Any]:
    return {"id": int(each.id), "name": each.name, "visibility": "Private", "contacts": len(each.members)}


def _field(name: str) -> dict[str, Any]:
    return {"name": name, "type": "String", "visibility": "Private", "defaultValue": {"value": None}}


def _v2(status: int, code: str) -> Answer:
    return Answer(status, {"message": f"Error: {code}"})


def _v3(status: int, code: str) -> Answer:
    return Answer(status, {"errorCode": code, "description": "no", "details": []})


IMITATIONS = {"dotdigital": Imitation(Dotdigital, OPTIONS, token_field="SEGMA_TOKEN", moves_a_second=10)}
SINK = "platforms/dotdigital.py"
GUARDS = (
    Guard(
        "dotdigital_each_status",
        SINK,
        "return found\n\n\ndef _lists_of",
        "return STATUSES['subscribed']\n\n\ndef _lists_of",
    ),
    Guard("dotdigital_who_left_one", SINK, 'by_status["suppressed"],', "frozenset(),"),
    Guard("dotdigital_a_contact_without", SINK, "else self._books_of(number)", "else {}"),
    Guard("dotdigital_who_leaves_while", SINK, "overwrites = True", "overwrites = False"),
    Guard("dotdigital_whom_the_account", SINK, "if _standing(contact)[0] is Standing.PENDING:", "if False:"),
    Guard(
        "dotdigital_no_call",
        SINK,
        '{"email": {"optInType": self._options.opt_in_type}}',
        '{"email": {"status": "subscribed"}}',
    ),
    Guard("dotdigital_a_200", SINK, "return None if there else Trouble", "return None if True else Trouble"),
    Guard(
        "dotdigital_a_200", SINK, "if all(there.get(name) == value for", "if True or all(there.get(name) == value for"
    ),
    Guard("dotdigital_what_took", SINK, "if reply.ok and reply.status != 204:", "if False:"),
    Guard("dotdigital_too_many", SINK, "if reply.status == 400 and any(", "if False and any("),
    Guard("dotdigital_a_429", SINK, "int(reset[:20]) - email.utils.mktime_tz(now)", "1.0"),
    Guard("dotdigital_an_answer", SINK, '"email")) != address:', '"email")) == "":'),
    Guard("dotdigital_members", SINK, 'text(further, "marker") if further is not None else ""', '""'),
    Guard("dotdigital_a_check_names", SINK, 'right = f"//{self._options.region}-api." in endpoint', "right = True"),
    Guard("dotdigital_who_is_not_in", SINK, 'None if reply.status == 404 and reply.is_missing("message") else', ""),
)
