"""Constant Contact, as its description (grade B), its whole description's prose and its pages tell."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from tests.sinks.simulator.imitation import WHOLE, Guard, Imitation
from tests.sinks.simulator.sendgrid import ByUuid
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, PENDING, UNDELIVERABLE, Person, World

OPTIONS: dict[str, Any] = {"client": "app", "secret": {"env": "KEY"}, "refresh_token": {"env": "KEY"}}
AT = "2026-01-01T00:00:00.000Z"
TOKEN = "/oauth2/default/v1/token"
PERMISSIONS = {
    ACTIVE: "implicit",
    LEFT: "unsubscribed",
    PENDING: "pending_confirmation",
    UNDELIVERABLE: "temp_hold",
}
STANDINGS = {permission: standing for standing, permission in PERMISSIONS.items()} | {"explicit": ACTIVE}
CORE = ("first_name", "last_name", "job_title", "company_name", "birthday_month", "birthday_day", "anniversary")


def wrong(status: int, key: str) -> Answer:
    return Answer(status, [{"error_key": key, "error_message": "no"}])


class Constantcontact:
    name = "constantcontact"
    described = True
    undescribed = (("POST", TOKEN), ("GET", "/v3/contact_custom_fields"), ("POST", "/v3/contact_custom_fields"))
    """The login's host is another; custom fields are in the vendor's whole description."""
    quotas: Quotas = MappingProxyType({"all": [(4, 1.0), (10_000, 86_400.0)]})
    leaves_everything = True
    sends_tags = True
    world = ByUuid

    def __init__(self) -> None:
        self.rotates = False
        """Whether each refresh token is good once, the first one too; else the application's stay as they are."""
        self.good_once = {KEY}
        self.access: set[str] = set()
        self.issued = 0
        self.page = 500
        self.lag = 1
        """Requests until an activity is carried out; until then it is being processed."""
        self.passed_over: set[str] = set()
        """Addresses that an activity passes over, and counts as not completed."""
        self.ends_as = "completed"
        self.fields = {"segma_token": str(uuid.UUID(int=7))}
        self.cores: dict[str, dict[str, Any]] = {}
        """A contact's other properties, which a PUT empties where it leaves them out."""
        self.other_fields: dict[str, list[dict[str, Any]]] = {}
        self.explicit: set[str] = set()
        """Addresses whose permission is explicit; of others it is implied."""
        self.deleted: set[str] = set()
        """Addresses of contacts that somebody deleted: shown among all, and restored by any write."""
        self.denied: set[str] = set()
        """Parts of the interface that the user may not use: ``POST /v3/contacts`` …"""
        self.exhausted = ""
        """The word of a 429."""
        self._jobs: dict[str, tuple[int, int, Callable[[], int]]] = {}
        self._ended: dict[str, tuple[int, int]] = {}
        self._heard = 0
        self.idle_jobs = 0
        """Activities that changed nobody's membership."""

    def bucket(self, asked: Asked) -> str:
        return "login" if asked.path == TOKEN else "all"

    def admits(self, asked: Asked) -> Answer | None:
        if asked.path == TOKEN:
            basic = base64.b64encode(f"app:{KEY}".encode()).decode()
            known = asked.headers.get("Authorization") == f"Basic {basic}"
            return None if known else Answer(401, {"error": "invalid_client"})
        if asked.headers.get("Authorization", "").removeprefix("Bearer ") not in self.access:
            return self.bad_key()
        return wrong(403, "forbidden") if f"{asked.method} {asked.path}" in self.denied else None

    def bad_key(self) -> Answer:
        return Answer(401, {"error_key": "unauthorized", "error_message": "Unauthorized"})

    def throttled(self, wait_s: float) -> Answer:
        """Without any header."""
        return Answer(429, {"error_key": self.exhausted or "throttled", "error_message": "Too Many Requests"})

    def leave(self, world: World, address: str, list_name: str) -> None:
        """Whether the platform takes them out of their lists too no page says."""
        world.enrol(address).standing = LEFT

    def handle(self, asked: Asked, world: World) -> Answer:
        if asked.path == TOKEN:
            return self._exchange(dict(parse_qsl(asked.raw.decode())))
        self._tick(world)
        path = asked.path.removeprefix("/v3/")
        known: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "contacts"): lambda: self._contacts(asked, world),
            ("POST", "contacts"): lambda: self._create(asked.body, world),
            ("GET", "contact_lists"): lambda: self._paged("lists", "list_id", asked, _lists(world)),
            ("POST", "contact_lists"): lambda: self._make_list(asked.body["name"], world),
            ("GET", "contact_tags"): lambda: self._paged("tags", "tag_id", asked, world.tags.items()),
            ("POST", "contact_tags"): lambda: self._make("tag_id", asked.body["name"], world.tags, world),
            ("GET", "contact_custom_fields"): lambda: self._paged(
                "custom_fields", "custom_field_id", asked, self.fields.items()
            ),
            ("POST", "contact_custom_fields"): lambda: self._make(
                "custom_field_id", asked.body["label"], self.fields, world
            ),
        }
        if (asked.method, path) in known:
            return known[asked.method, path]()
        if asked.method == "POST":
            return self._activity(path.removeprefix("activities/"), asked.body, world)
        if path.startswith("activities/"):
            return self._job(path.removeprefix("activities/"))
        return self._replace(world.by_id(path.removeprefix("contacts/")), asked.body, world)

    def _exchange(self, form: Mapping[str, str]) -> Answer:
        """A refresh token that rotates is good once, and a new one ends it."""
        refresh = form.get("refresh_token", "")
        if form.get("grant_type") != "refresh_token" or (refresh not in self.good_once):
            return Answer(400, {"error": "invalid_grant", "error_description": "invalid or expired"})
        self.issued += 1
        if self.rotates:
            self.good_once.discard(refresh)
            refresh = f"refresh-{self.issued}"
            self.good_once.add(refresh)
        self.access.add(f"access-{self.issued}")
        said = {"token_type": "Bearer", "expires_in": 86_400, "access_token": f"access-{self.issued}"}
        return Answer(200, {**said, "refresh_token": refresh, "scope": "contact_data offline_access"})

    def _tick(self, world: World) -> None:
        """Activities are carried out in the order in which they came."""
        self._heard += 1
        for job, (due, total, carry_out) in list(self._jobs.items()):
            if self._heard < due:
                return
            before = world.memberships()
            self._ended[job] = (total, carry_out())
            self.idle_jobs += before == world.memberships()
            del self._jobs[job]

    def _activity(self, kind: str, body: Mapping[str, Any], world: World) -> Answer:
        people, lists, tags = body["source"]["contact_ids"], body.get("list_ids", []), body.get("tag_ids", [])
        if not 0 < len(people) <= 500 or not (lists or tags) or len(body["source"]) != 1:
            return wrong(400, "contacts.api.validation.error")
        if any(each not in world.lists for each in lists) or any(each not in world.tags.values() for each in tags):
            return wrong(404, "resource.not_found")
        if kind not in {"add_list_memberships", "remove_list_memberships"} and not tags:
            return wrong(400, "contacts.api.validation.error")
        job = str(uuid.UUID(int=10**6 + self._heard))
        self._jobs[job] = (
            self._heard + self.lag,
            len(people),
            lambda: sum(self._changed(each, kind, lists, tags, world) for each in people),
        )
        return Answer(201, {"activity_id": job, "state": "initialized", "created_at": AT, "percent_done": 0})

    def _changed(self, number: str, kind: str, lists: list[str], tags: list[str], world: World) -> bool:
        """Nobody who unsubscribed is put into a list, and nobody who was deleted."""
        person = world.by_id(number)
        if self.ends_as != "completed" or person is None or person.address.lower() in self.passed_over | self.deleted:
            return False
        if kind == "add_list_memberships" and person.standing == LEFT:
            return False
        names = {own: name for name, own in world.tags.items()}
        for each in tags:
            (person.tags.add if kind.endswith("_add") else person.tags.discard)(names[each])
        for each in lists:
            if each in world.lists and kind == "add_list_memberships":
                world.lists[each].members[person.id] = ACTIVE
            elif each in world.lists:
                world.lists[each].members.pop(person.id, None)
        return True

    def _job(self, job: str) -> Answer:
        if job not in self._jobs and job not in self._ended:
            return wrong(404, "resource.not_found")
        if job in self._jobs:
            return Answer(200, {"activity_id": job, "state": "processing", "percent_done": 50, "status": {}})
        total, done = self._ended[job]
        status = {"items_total_count": total, "items_completed_count": done, "list_count": 1}
        return Answer(200, {"activity_id": job, "state": self.ends_as, "activity_errors": [], "status": status})

    def _contacts(self, asked: Asked, world: World) -> Answer:
        """Without ``status=all`` nobody who was deleted; the cursor holds the rest of the question."""
        query = dict(parse_qsl(base64.b64decode(asked.query.get("cursor", "")).decode())) or asked.query
        found = list(world.people.values())
        if "email" in query:
            found = [each for each in found if each.address.lower() == query["email"].lower()]
            if query["email"].lower() in world.bad:
                return wrong(400, "contacts.api.validation.error")
        if "lists" in query:
            inside = world.lists[query["lists"]].members if query["lists"] in world.lists else {}
            found = [each for each in found if each.id in inside]
        if query.get("status") != "all":
            found = [each for each in found if each.address.lower() not in self.deleted]
        parts = query.get("include", "").split(",")
        return self._page("contacts", query, [self._told(each, parts, world) for each in found])

    def _page(self, name: str, query: Mapping[str, str], found: list[dict[str, Any]]) -> Answer:
        size, start = min(int(query.get("limit", 50)), self.page), int(query.get("from", 0))
        after = "&".join(f"{each}={value}" for each, value in query.items() if each not in {"from", "cursor"})
        cursor = base64.b64encode(f"{after}&from={start + size}".encode()).decode().replace("=", "%3D")
        links = {"next": {"href": f"/v3/{name}?cursor={cursor}"}} if start + size < len(found) else {}
        return Answer(200, {name: found[start : start + size], "_links": links or None})

    def _paged(self, name: str, number: str, asked: Asked, names: Iterable[tuple[str, str]]) -> Answer:
        query = dict(parse_qsl(base64.b64decode(asked.query.get("cursor", "")).decode())) or asked.query
        told = [{number: own, "name": each, "created_at": AT} for each, own in names]
        return self._page(name, query, told)

    def _told(self, person: Person, parts: list[str], world: World) -> dict[str, Any]:
        permission = PERMISSIONS[person.standing]
        if permission == "implicit" and person.address.lower() in self.explicit:
            permission = "explicit"
        email = {"address": person.address.lower(), "permission_to_send": permission, "created_at": AT}
        core = {"first_name": person.name, **self.cores.get(person.id, {})}
        told = {"contact_id": person.id, "email_address": email, **core, "created_at": AT, "update_source": "Account"}
        if person.address.lower() in self.deleted:
            told["deleted_at"] = AT
        if "list_memberships" in parts:
            told["list_memberships"] = [each.id for each in world.lists.values() if person.id in each.members]
        if "taggings" in parts:
            told["taggings"] = [world.tags[each] for each in sorted(person.tags)]
        if "custom_fields" in parts:
            own = [{"custom_field_id": self.fields[name], "value": value} for name, value in person.fields.items()]
            told["custom_fields"] = [*self.other_fields.get(person.id, []), *own]
        return told

    def _create(self, body: Mapping[str, Any], world: World) -> Answer:
        """One who is there, be it as deleted or as unsubscribed, is a conflict."""
        email = body.get("email_address", {})
        if not email.get("address") or not body.get("create_source") or email["address"].lower() in world.bad:
            return wrong(400, "contacts.api.validation.error")
        if world.person(email["address"]) is not None:
            return wrong(409, "contacts.api.conflict")
        if email.get("permission_to_send") == "pending_confirmation":
            world.mails.append("confirmation")
        person = world.enrol(email["address"], body.get("first_name", ""))
        return Answer(201, self._told(person, [], world))

    def _replace(self, person: Person | None, body: Mapping[str, Any], world: World) -> Answer:
        """What is left out of the core is emptied; what is left out of the parts stays."""
        if person is None:
            return wrong(404, "resource.not_found")
        email = body.get("email_address", {})
        if email.get("permission_to_send") not in {*STANDINGS, "not_set"} or not body.get("update_source"):
            return wrong(400, "contacts.api.validation.error")
        if person.standing == LEFT or person.address.lower() in self.deleted:
            world.wrongs.append(f"written over a leaving: {person.id}")
        if self._told(person, [], world)["email_address"]["permission_to_send"] != email["permission_to_send"]:
            world.wrongs.append(f"another permission: {email['permission_to_send']}")
        person.name = body.get("first_name") or ""
        self.cores[person.id] = {name: body[name] for name in CORE[1:] if name in body}
        for name, parts in (("list_memberships", world.lists),):
            if name in body:
                for each in parts.values():
                    each.members.pop(person.id, None)
        if "custom_fields" in body:
            names = {number: name for name, number in self.fields.items()}
            told = body["custom_fields"]
            person.fields = {names[e["custom_field_id"]]: e["value"] for e in told if e["custom_field_id"] in names}
            self.other_fields[person.id] = [e for e in told if e["custom_field_id"] not in names]
        return Answer(200, self._told(person, [], world))

    def _make_list(self, name: str, world: World) -> Answer:
        if not 0 < len(name) <= 255 or len(world.lists) >= 1_000:
            return wrong(400, "contacts.api.validation.error")
        if world.list_named(name) is not None:
            return wrong(409, "contacts.api.conflict")
        return Answer(201, {"list_id": world.made_list(name).id, "name": name, "created_at": AT})

    def _make(self, number: str, name: str, known: dict[str, str], world: World) -> Answer:
        """A custom field's name is its label with underscores; of tags and fields none has the name of another."""
        own = re.sub(r"\s", "_", name) if number == "custom_field_id" else name
        if not name or own in known or (number == "custom_field_id" and (len(name) > 50 or len(known) >= 100)):
            return wrong(409 if own in known else 400, "contacts.api.validation.error")
        known[own] = world.fresh_id()
        return Answer(201, {number: known[own], "name": own, "label": name})


def _lists(world: World) -> list[tuple[str, str]]:
    return [(each.name, each.id) for each in world.lists.values()]


IMITATIONS = {
    "constantcontact": Imitation(
        Constantcontact,
        OPTIONS,
        WHOLE._replace(fields_of_left=False),
        moves_a_second=3,
    ),
}
GUARDS = (
    *(
        Guard(f"constantcontact_{test}", "platforms/constantcontact.py", there, without)
        for test, there, without in (
            ("a_201", "ended = finished(state, self._pause, unfinished=UNFINISHED)", 'ended = "completed"'),
            ("an_activity_that", '= frozenset({"initialized", "processing"})', "= frozenset[str]()"),
            ("whom_an_activity", 'if ended == "completed" and', 'if ended == "completed" or'),
            ("each_permission", '"unsubscribed": Standing.LEFT', '"unsubscribed": Standing.ACTIVE'),
            ("whom_somebody_deleted", 'if words(contact, "deleted_at"):', "if False:"),
            ("whom_somebody_deleted", '"status": "all", "include": PARTS', '"include": PARTS'),
            ("a_stranger", '"permission_to_send": "implicit"}', '"permission_to_send": "pending_confirmation"}'),
            ("a_field_is", "**{name: contact[name] for name in KEPT if contact.get(name) is not None},", ""),
            ("a_field_is", '"custom_fields": [*kept, *(', '"custom_fields": [*('),
            ("no_field", "if standing is Standing.LEFT:", "if False:"),
            ("a_429", 'left_s if _error_key(reply) == "quota_exceeded" else soon_s', "soon_s"),
            ("members", "dict(parse_qsl(after)) or query", "query"),
            ("an_address", "if len(address) > LONGEST_ADDRESS:", "if False:"),
            ("an_access_token", "if reply.status != 401:", "if True:"),
        )
    ),
    *(
        Guard(f"constantcontact_{test}", "toolkit/refreshed_login.py", there, without)
        for test, there, without in (
            ("a_refresh_token_is", "        temporary.replace(self._path)\n", ""),
            ("a_refresh_token_is", "PRIVATE: Final = 0o600", "PRIVATE: Final = 0o644"),
            ("a_refresh_token_that", 'if reply.status == 400 and said.get("error"):', "if False:"),
        )
    ),
)
