"""Ghost as 6.40.0 was seen to answer, members with labels: ``python -m tests.sinks.ghost_trip`` compares the two."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import unicodedata
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

from tests.sinks.simulator.imitation import Guard, Imitation
from tests.sinks.simulator.server import KEY, Answer, Asked, Quotas
from tests.sinks.simulator.world import ACTIVE, LEFT, UNDELIVERABLE, MailingList, Person, World

OPTIONS: dict[str, Any] = {"key": {"env": "KEY"}}
AT = "2026-01-01T00:00:00.000Z"
MOST = 100
"""Of a page, however many are asked for."""
REASONS = {"complained": "spam", UNDELIVERABLE: "fail"}
VALUE = r"'(?:\\['\"]|[^'\"])+?'"
CONDITION = re.compile(rf"([a-z_.]+):([->]?)(\[{VALUE}(?:,{VALUE})*\]|{VALUE}|[a-z]+)(?:\+|$)")


class Labelled(World):
    """Its ids have 24 digits and grow."""

    def fresh_id(self) -> str:
        return f"{next(self._ids):024x}"


class Ghost:
    name = "ghost"
    described = False
    quotas: Quotas = MappingProxyType({})
    leaves_everything = True
    sends_tags = True
    world = Labelled

    def __init__(self) -> None:
        self.takes_new = True
        """Whether a newsletter takes whoever signs up."""
        self.drifted: set[str] = set()
        """Suppressed addresses whose members do not know it: beside an apostrophe a page does not say so."""
        self.denied: set[str] = set()
        """Parts of the interface that the key may not use: ``POST /labels/`` …"""

    def bucket(self, asked: Asked) -> str:
        return "all"

    def admits(self, asked: Asked) -> Answer | None:
        fault = _refusal(asked.headers.get("Authorization", ""))
        if fault:
            return _error(401, "UnauthorizedError", fault)
        path = asked.path.removeprefix("/ghost/api/admin")
        if f"{asked.method} {path}" in self.denied:
            return CLOSED
        return None

    def bad_key(self) -> Answer:
        return _error(401, "UnauthorizedError", "Unknown Admin API Key")

    def throttled(self, wait_s: float) -> Answer:
        return _error(429, "TooManyRequestsError", "Too many requests")._replace(
            headers={"Retry-After": f"{wait_s:.2f}"}
        )

    def leave(self, world: World, address: str, list_name: str) -> None:
        world.enrol(address).standing = LEFT

    def handle(self, asked: Asked, world: World) -> Answer:
        path = asked.path.removeprefix("/ghost/api/admin")
        known: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "/labels/"): lambda: _page(asked, "labels", [_label(each) for each in world.lists.values()]),
            ("POST", "/labels/"): lambda: _make(asked.body["labels"][0]["name"], world),
            ("GET", "/newsletters/"): lambda: self._newsletters(asked),
            ("GET", "/members/"): lambda: self._browse(asked, world),
            ("POST", "/members/"): lambda: self._create(asked.body["members"][0], world),
            ("PUT", "/members/bulk/"): lambda: _bulk(asked, world),
        }
        if (asked.method, path) in known:
            return known[asked.method, path]()
        if not path.endswith("/"):
            return Answer(301, b"", {"Location": f"{asked.path}/"})
        if not path.startswith("/members/"):
            return CLOSED
        reading = re.fullmatch(r"/members/([0-9a-f]+)/", path)
        person = world.by_id(reading[1]) if reading is not None and asked.method == "GET" else None
        if person is None:
            return _error(404, "NotFoundError", "Resource not found error, cannot read member.", "Member not found.")
        return Answer(200, {"members": [self._member(person, world, reasons=True)]})

    def _newsletters(self, asked: Asked) -> Answer:
        return _page(asked, "newsletters", [_newsletter()] if self.takes_new else [], filtered=True)

    def _browse(self, asked: Asked, world: World) -> Answer:
        found = _matching(asked, world)
        if found is None:
            return _no_filter("list")
        size = min(int(asked.query.get("limit", 15)), MOST)
        shown = (found if asked.query.get("order") == "id ASC" else found[::-1])[:size]
        # NOTE: Ghost writes the page's addresses into a filter of its own, and an apostrophe ends one too early.
        reasons = not any("'" in each.address for each in shown)
        told = [self._member(each, world, reasons=reasons) for each in shown]
        return Answer(200, {"members": told, "meta": _meta(len(found), size)})

    def _create(self, body: dict[str, Any], world: World) -> Answer:
        """Whoever is made is in the newsletters that take new members, unless the call says otherwise."""
        address = body["email"]
        if address.lower() in world.bad or not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address):
            return _invalid("Validation error, cannot save member.", "Invalid Email")
        if _found(world, address):
            context = "Attempting to add member with existing email address"
            return _invalid("Validation error, cannot save member.", f"Member already exists. {context}")
        if set(body) - {"email", "name"}:
            world.wrongs.append("a member was made with more than an address and a name")
        person = world.enrol(address, body.get("name", ""))
        person.standing = ACTIVE if self.takes_new else LEFT
        return Answer(201, {"members": [self._member(person, world, reasons=True)]})

    def _member(self, person: Person, world: World, *, reasons: bool) -> dict[str, Any]:
        suppressed = person.standing in REASONS and (reasons or person.address not in self.drifted)
        info = {"reason": REASONS[person.standing], "timestamp": AT} if suppressed and reasons else None
        newsletters = [] if person.standing == LEFT else [_newsletter()]
        return {
            "id": person.id,
            "uuid": "c0ffee00-0000-4000-8000-000000000000",
            "email": person.address,
            "name": person.name or None,
            "note": None,
            "subscribed": bool(newsletters),
            "created_at": AT,
            "labels": [_label(each) for each in world.lists.values() if person.id in each.members],
            "status": "free",
            "email_suppression": {"suppressed": suppressed, "info": info},
            "newsletters": newsletters,
        }


def _refusal(header: str) -> str:
    """Why a token lets nobody in; empty: it does."""
    scheme, _, token = header.partition(" ")
    parts = token.split(".")
    if scheme != "Ghost" or len(parts) != 3:
        return 'Authorization header format is "Authorization: Ghost [token]"'
    head, claims = (json.loads(base64.urlsafe_b64decode(each + "==")) for each in parts[:2])
    number, _, secret = KEY.partition(":")
    if head.get("kid") != number:
        return "Unknown Admin API Key"
    made = hmac.new(bytes.fromhex(secret), f"{parts[0]}.{parts[1]}".encode(), hashlib.sha256).digest()
    if base64.urlsafe_b64decode(parts[2] + "==") != made or head.get("alg") != "HS256":
        return "Invalid token: invalid signature"
    if claims.get("aud") != "/admin/":
        return "Invalid token: jwt audience invalid"
    # NOTE: the suites have clocks of their own, so a token is judged by its own times alone.
    return "" if 0 < claims["exp"] - claims["iat"] <= 300 else "Invalid token: maxAge exceeded"


def _key(address: str) -> str:
    """As the database compares: neither case nor accents count."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", address.lower()) if not unicodedata.combining(sign))


def _found(world: World, address: str) -> list[Person]:
    return [each for each in world.people.values() if _key(each.address) == _key(address)]


def _matching(asked: Asked, world: World) -> list[Person] | None:
    """The members that a filter means, by their ids; None: it is none."""
    wanted, at = asked.query.get("filter", ""), 0
    people = sorted(world.people.values(), key=lambda each: each.id)
    while at < len(wanted):
        part = CONDITION.match(wanted, at)
        if part is None:
            return None
        name, sign, at = part[1], part[2], part.end()
        values = [re.sub(r"\\(['\"])", r"\1", each[1:-1]) for each in re.findall(VALUE, part[3])]
        people = [each for each in people if _fits(each, name, sign, values, world)]
    return people


def _fits(person: Person, name: str, sign: str, values: list[str], world: World) -> bool:
    if name == "email":
        return _key(person.address) in {_key(each) for each in values}
    if name == "id":
        return person.id > values[0] if sign == ">" else person.id in values
    assert name == "labels.id", name
    inside = any(person.id in world.lists[each].members for each in values if each in world.lists)
    return inside is (sign != "-")


def _bulk(asked: Asked, world: World) -> Answer:
    """One row for whomever the filter finds, also a second one; a label that is not there fails for each."""
    said = asked.body["bulk"]
    label, people = world.lists.get(said["meta"]["label"]["id"]), _matching(asked, world)
    if not asked.query.get("filter"):
        return _error(400, "IncorrectUsageError", "Cannot perform bulk edit without a filter or all=true")
    if people is None:
        return _no_filter("bulk edit")
    having = {} if label is None else label.members
    failed = len(people) if label is None and said["action"] == "addLabel" else 0
    if said["action"] == "addLabel":
        world.wrongs += [f"{each.id}: a label twice" for each in people if each.id in having]
        having |= {each.id: ACTIVE for each in people}
    else:
        assert said["action"] == "removeLabel"
        people = [each for each in people if having.pop(each.id, None)]
    stats = {"successful": len(people) - failed, "unsuccessful": failed}
    meta = {"stats": stats, "errors": [], "unsuccessfulData": []}
    return Answer(200, {"bulk": {"meta": meta}})


def _make(name: str, world: World) -> Answer:
    """A name is trimmed, and differs from the others in more than its case."""
    name = name.strip()
    if not name:
        return _invalid("Validation error, cannot save label.", "Validation failed for name.")
    if any(_key(each.name) == _key(name) for each in world.lists.values()):
        return _invalid("Validation error, cannot save label.", "Label already exists")
    return Answer(201, {"labels": [_label(world.made_list(name))]})


def _label(each: MailingList) -> dict[str, Any]:
    return {"id": each.id, "name": each.name, "slug": f"l-{each.id}", "created_at": AT, "updated_at": AT}


def _newsletter() -> dict[str, Any]:
    return {"id": "a" * 24, "name": "News", "description": None, "status": "active"}


def _page(asked: Asked, name: str, found: list[dict[str, Any]], *, filtered: bool = False) -> Answer:
    after = re.fullmatch(r"id:>'([0-9a-f]+)'", asked.query.get("filter", ""))
    rest = sorted((each for each in found if after is None or each["id"] > after[1]), key=lambda each: each["id"])
    size = min(int(asked.query.get("limit", 15)), MOST)
    return Answer(200, {name: rest[:size], "meta": _meta(len(rest), size)})


def _meta(total: int, size: int) -> dict[str, Any]:
    count = -(-total // size) or 1
    further = 2 if count > 1 else None
    return {"pagination": {"page": 1, "limit": size, "pages": count, "total": total, "next": further, "prev": None}}


def _error(status: int, kind: str, message: str, context: str | None = None) -> Answer:
    return Answer(status, {"errors": [{"message": message, "context": context, "type": kind, "property": None}]})


def _no_filter(verb: str) -> Answer:
    message = f"Request not understood error, cannot {verb} members."
    return _error(400, "BadRequestError", message, "Error parsing filter")


def _invalid(message: str, context: str) -> Answer:
    return _error(422, "ValidationError", message, context)


CLOSED = _error(403, "NoPermissionError", "API tokens do not have permission to access this endpoint")
IMITATIONS = {"ghost": Imitation(Ghost, OPTIONS, token_field="")}
GUARDS = tuple(
    Guard(f"ghost_{test}", "platforms/ghost.py", there, without)
    for test, there, without in (
        ("who_gets_no_mail", "    if kept is Standing.LEFT:", "    if False:"),
        ("who_gets_no_mail", 'if not rows(member, "newsletters"):', "if False:"),
        ("who_gets_no_mail", "if held is not None and not held:", "if False:"),
        ("who_complained", 'return self._member(text(found[0], "id")) if found', "return found[0] if found"),
        ("members_tell", "if held is not None and not held:", "if False:"),
        ("an_address_is", r"""re.sub(r"(['\"])", r"\\\1", value)""", "value"),
        (
            "only_the_very",
            'members = {normalised_address(text(each, "email")): each for each in found}',
            "members = {each: found[0] for each in plain if found}",
        ),
        ("who_has_a_label", 'f"{whom}+labels.id:-{_quoted(number)}" if adds else whom', "whom"),
        ("counts_that", "if not failed and (done == len(people) or not adds):", "if True:"),
        ("a_label_that_was", "if self._lists.fresh(list_name) != number:", "if False:"),
        ("where_no_newsletter", 'if not asked.items("newsletters"):', "if False:"),
        ("who_was_made", 'if "already" in fault.answer else fault', "if False else fault"),
        ("a_clock", "if reply.status == 401 and any(", "if False and any("),
        ("a_content_key", "if found is None:", "if False:"),
        ("members_and_labels", 'text(found[-1], "id") if len(found) >= PAGE else ""', '""'),
    )
)
