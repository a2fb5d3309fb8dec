"""SendGrid Marketing Campaigns, as its description (grade A), its suppressions' description and its pages tell."""

from __future__ import annotations

import csv
import io
import re
import uuid
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from tests.sinks.simulator.imitation import Guard, Imitation
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, UNDELIVERABLE, Person, World

OPTIONS: dict[str, Any] = {"key": {"env": "KEY"}}
AT = "2026-01-01T00:00:00Z"
AT_S = 1_767_225_600
GROUP = 42
LIST = r"/v3/marketing/lists/([0-9a-f-]{36})"
HEADER = ["EMAIL", "FIRST_NAME", "LAST_NAME", "CONTACT_ID", "CREATED_AT", "UPDATED_AT"]
SUPPRESSED = {"unsubscribes": LEFT, "spam_reports": "complained", "bounces": UNDELIVERABLE}


def wrong(status: int, message: str) -> Answer:
    return Answer(status, {"errors": [{"field": None, "message": message}]})


class ByUuid(World):
    """Contacts and lists have UUIDs."""

    def fresh_id(self) -> str:
        return str(uuid.UUID(int=int(super().fresh_id())))


class Sendgrid:
    name = "sendgrid"
    described = True
    undescribed = (
        ("GET", r"/v3/(asm|suppression)/.*"),
        ("POST", r"/v3/asm/groups/\d+/suppressions/search"),
        ("GET", r"/files/.*"),
    )
    """The vendor describes these in another of its files (tsg_suppressions_v3.yaml); an export's files are S3's."""
    quotas: Quotas = MappingProxyType({})
    leaves_everything = True
    sends_tags = False
    world = ByUuid

    def __init__(self) -> None:
        self.fields = {"segma_token": "e1_T"}
        self.lag = 1
        """Requests until a job is carried out; until then it is pending."""
        self.passed_over: set[str] = set()
        """Addresses that a job fails on."""
        self.group: set[str] = set()
        """Who left the unsubscribe group."""
        self.suppressed: set[str] = set()
        """Who left globally and is no contact."""
        self.pack: Callable[[bytes], bytes] = bytes
        """What is done to an export's files."""
        self.seconds: dict[str, str] = {}
        """Second addresses, which a search finds too → the contact's own."""
        self.urls: list[str] = []
        """Instead of where an export's files are."""
        self.denied: set[str] = set()
        """Parts of the interface that the key may not use: ``PUT /v3/marketing/contacts`` …"""
        self._jobs: dict[str, tuple[int, Callable[[], bool]]] = {}
        self._ended: dict[str, str] = {}
        self._files: dict[str, bytes] = {}
        self._heard = 0
        self.idle_jobs = 0
        """Jobs that changed nobody's membership."""

    def bucket(self, asked: Asked) -> str:
        return "files" if asked.path.startswith("/files/") else "all"

    def admits(self, asked: Asked) -> Answer | None:
        if asked.path.startswith("/files/"):
            return wrong(400, "a key reached the host of files") if "Authorization" in asked.headers else None
        if asked.headers.get("Authorization") != f"Bearer {KEY}":
            return self.bad_key()
        return wrong(403, "access forbidden") if f"{asked.method} {asked.path}" in self.denied else None

    def bad_key(self) -> Answer:
        return wrong(401, "authorization required")

    def throttled(self, wait_s: float) -> Answer:
        return Answer(
            429, {"errors": [{"field": None, "message": "too many requests"}]}, {"X-RateLimit-Remaining": "0"}
        )

    def leave(self, world: World, address: str, list_name: str) -> None:
        world.enrol(address).standing = LEFT

    def handle(self, asked: Asked, world: World) -> Answer:
        self._tick(world)
        path = asked.path
        known: dict[tuple[str, str], Callable[[], Answer]] = {
            ("PUT", "/v3/marketing/contacts"): lambda: self._upsert(asked.body, world),
            ("POST", "/v3/marketing/contacts/search/emails"): lambda: self._search(asked.body["emails"], world),
            ("POST", "/v3/marketing/contacts/exports"): lambda: self._export(asked, world),
            ("GET", "/v3/marketing/lists"): lambda: self._lists(asked, world),
            ("POST", "/v3/marketing/lists"): lambda: self._make(asked.body["name"], world),
            ("GET", "/v3/marketing/field_definitions"): self._definitions,
            ("POST", "/v3/marketing/field_definitions"): lambda: self._define(asked.body["name"]),
            ("GET", "/v3/asm/groups"): lambda: Answer(200, [{"id": GROUP, "name": "News", "is_default": True}]),
        }
        if (asked.method, path) in known:
            return known[asked.method, path]()
        if path.startswith(("/v3/asm/", "/v3/suppression/")):
            return self._suppression(asked, world)
        if (listed := re.fullmatch(rf"{LIST}/contacts", path)) is not None:
            return self._take_out(listed[1], asked.query["contact_ids"].split(","), world)
        return self._job(path)

    def _tick(self, world: World) -> None:
        """Jobs are carried out in the order in which they came."""
        self._heard += 1
        for job, (due, carry_out) in list(self._jobs.items()):
            if self._heard < due:
                return
            before = world.memberships()
            self._ended[job] = "completed" if carry_out() else "errored"
            self.idle_jobs += before == world.memberships()
            del self._jobs[job]

    def _accepted(self, carry_out: Callable[[], bool]) -> Answer:
        job = str(uuid.UUID(int=10**6 + self._heard))
        self._jobs[job] = (self._heard + self.lag, carry_out)
        return Answer(202, {"job_id": job})

    def _job(self, path: str) -> Answer:
        at, job = path.rsplit("/", 1)
        if at == "/files":
            return Answer(200, self._files[job], media="text/csv")
        if job not in self._jobs and job not in self._ended:
            return wrong(404, "not found")
        status = self._ended.get(job, "pending")
        if at.endswith("/imports"):
            results = {"requested_count": 1, "errored_count": int(status != "completed")}
            more = {"errors_url": "https://errors.example/file.csv"} if status != "completed" else {}
            return Answer(200, {"id": job, "status": status, "job_type": "upsert", "results": {**results, **more}})
        told = {"id": job, "status": "ready" if status == "completed" else "pending", "created_at": AT}
        urls = [self._at + name for name in self._files if name.startswith(job)] if status == "completed" else []
        return Answer(200, {**told, "updated_at": AT, "expires_at": AT, "urls": self.urls or urls})

    def _upsert(self, body: dict[str, Any], world: World) -> Answer:
        """One address that is none refuses them all; a list that is not there too."""
        addresses = [each["email"] for each in body["contacts"]]
        if any(not each or each.lower() in world.bad for each in addresses):
            return wrong(400, "email is invalid")
        if any(each not in world.lists for each in body.get("list_ids", ())):
            return wrong(404, "list id not found")
        if any(set(each.get("custom_fields", {})) - set(self.fields.values()) for each in body["contacts"]):
            return wrong(400, "invalid custom field")
        return self._accepted(lambda: self._all_written(body["contacts"], body.get("list_ids", []), world))

    def _all_written(self, contacts: list[dict[str, Any]], lists: list[str], world: World) -> bool:
        return {self._written(each, lists, world) for each in contacts} == {True}

    def _written(self, told: dict[str, Any], lists: list[str], world: World) -> bool:
        if told["email"].lower() in self.passed_over:
            return False
        person = world.enrol(told["email"])
        person.name = told.get("first_name", person.name)
        names = {number: name for name, number in self.fields.items()}
        person.fields |= {names[number]: value for number, value in told.get("custom_fields", {}).items()}
        for number in lists:
            if number in world.lists:
                world.lists[number].members[person.id] = ACTIVE
        return True

    def _take_out(self, number: str, people: list[str], world: World) -> Answer:
        if number not in world.lists:
            return wrong(404, "not found")
        if len(people) > 100:
            return wrong(400, "too many ids")

        def carry_out() -> bool:
            for each in people:
                world.lists[number].members.pop(each, None)
            return True

        return self._accepted(carry_out)

    def _search(self, addresses: list[str], world: World) -> Answer:
        """404 where nobody of them is a contact."""
        if len(addresses) > 100 or any(not each or each.lower() in world.bad for each in addresses):
            return wrong(400, "invalid email")
        found = {each.lower(): world.person(self.seconds.get(each, each)) for each in addresses}
        if not any(found.values()):
            return wrong(404, "no contacts found")
        told = {
            each: {"contact": self._told(person, world)} if person is not None else {"error": "contact not found"}
            for each, person in found.items()
        }
        return Answer(200, {"result": told})

    def _told(self, person: Person, world: World) -> dict[str, Any]:
        return {
            "id": person.id,
            "email": person.address.lower(),
            "alternate_emails": [each for each, own in self.seconds.items() if own == person.address.lower()],
            "first_name": person.name,
            "list_ids": [each.id for each in world.lists.values() if person.id in each.members],
            "segment_ids": [],
            "custom_fields": dict(person.fields),
            "created_at": AT,
            "updated_at": AT,
        }

    def _lists(self, asked: Asked, world: World) -> Answer:
        size, start = int(asked.query.get("page_size", 100)), int(asked.query.get("page_token") or 0)
        found = [{"id": each.id, "name": each.name, "contact_count": 0} for each in world.lists.values()]
        link = f"https://api.sendgrid.com/v3/marketing/lists?page_size={size}&page_token={start + size}"
        meta = {"count": len(found), **({"next": link} if start + size < len(found) else {})}
        return Answer(200, {"result": found[start : start + size], "_metadata": meta})

    def _make(self, name: str, world: World) -> Answer:
        if not 0 < len(name) <= 100 or world.list_named(name) is not None:
            return wrong(400, "list name is invalid")
        return Answer(201, {"id": world.made_list(name).id, "name": name, "contact_count": 0})

    def _definitions(self) -> Answer:
        found = [{"id": number, "name": name, "field_type": "Text"} for name, number in self.fields.items()]
        return Answer(200, {"custom_fields": found, "reserved_fields": []})

    def _define(self, name: str) -> Answer:
        self.fields[name] = f"e{len(self.fields) + 1}_T"
        return Answer(200, {"id": self.fields[name], "name": name, "field_type": "Text"})

    def _suppression(self, asked: Asked, world: World) -> Answer:
        parts = asked.path.split("/")
        if asked.path.endswith("/suppressions/search"):
            left = self.group if parts[4] == str(GROUP) else set[str]()
            return Answer(200, sorted(left & {each.lower() for each in asked.body["recipient_emails"]}))
        if asked.path == f"/v3/asm/groups/{GROUP}/suppressions":
            return Answer(200, sorted(self.group))
        if parts[2] == "asm":
            out = self._holds("unsubscribes", parts[-1].lower(), world)
            return Answer(200, {"recipient_email": parts[-1]} if out else {})
        kind = parts[3]
        if len(parts) == 5:
            some = [parts[4].lower()] if self._holds(kind, parts[4].lower(), world) else []
        else:
            some = [each for each in [*world.people, *self.suppressed] if self._holds(kind, each, world)]
            start = int(asked.query.get("offset", 0))
            some = some[start : start + int(asked.query.get("limit", 500))]
        return Answer(200, [{"created": AT_S, "email": each} for each in some])

    def _holds(self, kind: str, address: str, world: World) -> bool:
        person = world.person(address)
        held = person is not None and person.standing == SUPPRESSED[kind]
        return held or (kind == "unsubscribes" and address in self.suppressed)

    def _export(self, asked: Asked, world: World) -> Answer:
        """Files of a few people each, at another host in truth."""
        self._at = f"http://{asked.headers.get('Host', '127.0.0.1:9')}/files/"
        (number,) = asked.body["list_ids"]
        people = [person for each in world.lists[number].members if (person := world.by_id(each)) is not None]
        made = self._accepted(lambda: True)
        job = made.body["job_id"]
        for start in range(0, max(len(people), 1), 40):
            held = io.StringIO()
            writer = csv.writer(held)
            writer.writerow(HEADER)
            writer.writerows([e.address.lower(), e.name, "", e.id, AT, AT] for e in people[start : start + 40])
            self._files[f"{job}-{start}"] = self.pack(held.getvalue().encode())
        return Answer(202, {"id": job, "_metadata": {}})


IMITATIONS = {"sendgrid": Imitation(Sendgrid, OPTIONS, paged=False, moves_a_second=5)}
GUARDS = (
    *(
        Guard(f"sendgrid_{test}", "platforms/sendgrid.py", there, without)
        for test, there, without in (
            ("a_202", "ended = finished(lambda: self._state(job)", 'ended = (lambda *_, **__: "completed")((job)'),
            ("a_job_that", 'UNFINISHED: Final = frozenset({"pending"})', "UNFINISHED: Final = frozenset[str]()"),
            ("whom_a_job", "        if is_so:", "        if True:"),
            ("a_stranger", "        if is_so:", "        if True:"),
            ("one_address", "if reply.status == 400 and len(some) > 1:", "if False:"),
            (
                "who_is_suppressed",
                "return Standing.LEFT, Reason.COMPLAINED",
                "return Standing.ACTIVE, Reason.COMPLAINED",
            ),
            ("who_is_suppressed_and", "return Seen(standing=standing, because=because)", "return Seen()"),
            ("who_left_a_group", "if left_group or (said", "if (said"),
            ("a_429", "or not reset.isdecimal()", "or True"),
            ("a_second", "            return SECOND_ADDRESS", "            pass"),
            ("an_address", "if len(each) > LONGEST_ADDRESS", "if False"),
            ("a_field", "self._fields.made(name): value", "name: value"),
            ("lists_are", '.get("page_token", [""])[0]', '.get("none", [""])[0]'),
        )
    ),
    Guard("sendgrid_members", "toolkit/http.py", '{"Accept": "*/*"}', '{"Accept": "*/*", **self._headers}'),
    Guard("sendgrid_a_file", "toolkit/http.py", "if not (named or there == at):", "if False:"),
)
