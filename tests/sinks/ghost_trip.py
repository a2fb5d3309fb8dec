"""``python -m tests.sinks.ghost_trip``: boots Ghost itself and shows that what is imitated of it is so.

Not a part of ``./segma test``: Ghost and its database are a gigabyte and minutes of downloads. It compares the answers
of the imitation with Ghost's, call by call; runs the suite of what every sink promises over Ghost; asks Ghost who
unsubscribed, complained and bounced; has it tell of a leaving by its webhook, signed; and counts its mails: none to any
member.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from collector.notices import Told
from collector.platforms.registry import check_signed, notices_of
from collector.signatures import Call
from contracts.reasons import Reason
from sinks.base import Change, Done, Fate, Sink, Trouble
from sinks.platforms.ghost import API, KIND, Signed
from sinks.toolkit.options import Around
from tests.sinks import beds
from tests.sinks.beds import Bed, brief, now_ms
from tests.sinks.real_ghost import RealGhost
from tests.sinks.simulator import ghost as imitated
from tests.sinks.simulator.server import KEY, Simulator

ANNA, BEN, OBRIEN = "anna@example.org", "ben@example.org", "o'brien@example.org"
SECRET = "a-secret-of-the-trips-webhook"


class GhostBed(Bed):
    """Ghost, emptied of members and labels for each test."""

    name = "ghost"
    tags = True
    leaves_everything = True

    def __init__(self, ghost: RealGhost, directory: Path) -> None:
        self.ghost, self._directory = ghost, directory
        self._sinks: list[Sink] = []
        ghost.sql("delete from members; delete from labels; delete from suppressions")

    def sink(self, *, late_ms: int = 0, **options: Any) -> Sink:
        """``late_ms``: how far Segma's clock is behind."""
        given = KIND.options.model_validate({"url": self.ghost.url, "key": {"env": "KEY"}, **options})
        clock, key = lambda: now_ms() - late_ms, self.ghost.key
        around = Around("w/mail", self._directory, brief, clock, lambda at, field: key, None, "add")
        self._sinks.append(KIND.make(given, around))
        return self._sinks[-1]

    def put(self, address: str, list_name: str) -> None:
        member = self.member(address)
        if member is None:
            self.ghost.asked("POST", "/members/", {"members": [{"email": address, "labels": [list_name]}]})
            return
        labels = [*({"name": each["name"]} for each in member["labels"]), {"name": list_name}]
        self.ghost.asked("PUT", f"/members/{member['id']}/", {"members": [{"labels": labels}]})

    def members(self, list_name: str) -> set[str]:
        found = self.ghost.asked("GET", "/members/", limit="100")["members"]
        return {each["email"] for each in found if list_name in {label["name"] for label in each["labels"]}}

    def leave(self, address: str, list_name: str) -> None:
        """By the page that the link of a mail leads to."""
        member = self.member(address)
        assert member is not None
        whose = urlsplit(member["unsubscribe_url"]).query
        reply = requests.put(
            f"{self.ghost.url}/members/api/member/newsletters/?{whose}", json={"newsletters": []}, timeout=60
        )
        assert reply.ok, reply.text[:500]

    def member(self, address: str) -> dict[str, Any] | None:
        found = self.ghost.asked("GET", "/members/", limit="100")["members"]
        return next((each for each in found if each["email"].lower() == address.lower()), None)

    def suppress(self, address: str, reason: str) -> None:
        """As Ghost does when its mailer tells of a complaint or of a mailbox that is not there."""
        at = "insert into suppressions (id, email, reason, created_at) values"
        number = f"{abs(hash(address)):024x}"[:24]
        quoted = address.replace("'", "''")
        self.ghost.sql(f"{at} ('{number}', '{quoted}', '{reason}', now())")
        self.ghost.sql(f"update members set email_disabled = 1 where email = '{quoted}'")

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()


class Side:
    """One of the two that are compared: where it is, its key, and its ids in the order in which they were met."""

    def __init__(self, url: str, key: str) -> None:
        number, _, secret = key.partition(":")
        self._url, self._signed, self.ids = url, Signed(number, bytes.fromhex(secret), now_ms), dict[str, str]()

    def asked(self, method: str, path: str, body: Any = None, query: Mapping[str, str] = {}) -> tuple[int, Any]:
        def filled(value: str) -> str:
            for name, number in self.ids.items():
                value = value.replace(f"<{name}>", number)
            return value

        sent = {name: filled(value) for name, value in query.items()}
        if body is not None and "bulk" in body:
            label = {"id": filled(body["bulk"]["meta"]["label"]["id"])}
            body = {"bulk": {"action": body["bulk"]["action"], "meta": {"label": label}}}
        reply = requests.request(
            method,
            f"{self._url}{API}{filled(path)}",
            json=body,
            params=sent,
            headers=self._signed.header(),
            timeout=60,
            allow_redirects=False,
        )
        said = reply.json() if reply.content[:1] == b"{" else None
        for kind in ("members", "labels"):
            for each in said.get(kind, []) if isinstance(said, dict) else []:
                if "id" in each:
                    self.ids.setdefault(str(each.get("email") or each.get("name")), each["id"])
        return reply.status_code, _read(said)


def _read(said: Any) -> Any:
    """What the sink reads of an answer; of an error its type and words."""
    if not isinstance(said, dict):
        return None
    if "errors" in said and "bulk" not in said:
        first = said["errors"][0]
        return first["type"], first["message"], first["context"]
    if "bulk" in said:
        return said["bulk"]["meta"]["stats"]
    if "members" in said:
        return sorted(map(_member, said["members"])), _pages(said)
    if "labels" in said:
        return sorted(each["name"] for each in said["labels"]), _pages(said)
    return len(said["newsletters"]), _pages(said)


def _member(each: Mapping[str, Any]) -> tuple[Any, ...]:
    held, labels = each["email_suppression"], sorted(label["name"] for label in each["labels"])
    return each["email"], each["name"], each["subscribed"], len(each["newsletters"]), labels, held["suppressed"]


def _pages(said: Mapping[str, Any]) -> Any:
    return said["meta"]["pagination"]["total"] if "meta" in said else None


def label(action: str, name: str) -> dict[str, Any]:
    return {"bulk": {"action": action, "meta": {"label": {"id": f"<{name}>"}}}}


def person(address: str, **more: str) -> dict[str, Any]:
    return {"members": [{"email": address, **more}]}


BULK = "/members/bulk/"
CALLS: tuple[tuple[Any, ...], ...] = (
    ("POST", "/labels/", {"labels": [{"name": "news"}]}),
    ("POST", "/labels/", {"labels": [{"name": "News"}]}),
    ("POST", "/labels/", {"labels": [{"name": " hot "}]}),
    ("POST", "/labels/", {"labels": [{"name": ""}]}),
    ("GET", "/labels/", None, {"limit": "1", "order": "id ASC"}),
    ("GET", "/labels/", None, {"limit": "100", "order": "id ASC", "filter": "id:>'<news>'"}),
    (
        "GET",
        "/newsletters/",
        None,
        {"limit": "1", "filter": "status:active+subscribe_on_signup:true+visibility:members"},
    ),
    ("POST", "/members/", person(ANNA, name="Anna")),
    ("POST", "/members/", person(ANNA)),
    ("POST", "/members/", person("Anna@Example.org")),
    ("POST", "/members/", person(BEN)),
    ("POST", "/members/", person("@")),
    ("POST", "/members/", person("no address")),
    ("POST", "/members/", person(OBRIEN)),
    ("GET", "/members/", None, {"limit": "100", "filter": f"email:['{ANNA}','{BEN}','x@example.org']"}),
    ("GET", "/members/", None, {"limit": "100", "filter": "email:'ANNA@example.org'"}),
    ("GET", "/members/", None, {"limit": "100", "filter": "email:'ánna@example.org'"}),
    ("GET", "/members/", None, {"limit": "100", "filter": "email:'o\\'brien@example.org'"}),
    ("GET", "/members/", None, {"limit": "100", "filter": "email:'\\\"a b\\\"@example.org'"}),
    ("GET", "/members/", None, {"limit": "100", "filter": "email:'o'brien@example.org'"}),
    ("GET", "/members/", None, {"limit": "1"}),
    ("PUT", BULK, label("addLabel", "news"), {"filter": f"id:['<{ANNA}>']+labels.id:-'<news>'"}),
    ("PUT", BULK, label("addLabel", "news"), {"filter": f"id:['<{ANNA}>','<{BEN}>']+labels.id:-'<news>'"}),
    ("PUT", BULK, label("addLabel", "news"), {"filter": f"id:['<{ANNA}>','<{BEN}>']+labels.id:-'<news>'"}),
    (
        "PUT",
        BULK,
        label("addLabel", "hot"),
        {"filter": f"id:['<{ANNA}>','0123456789abcdef01234567']+labels.id:-'<hot>'"},
    ),
    ("GET", "/members/", None, {"limit": "100", "filter": "labels.id:'<news>'", "order": "id ASC"}),
    ("GET", "/members/", None, {"limit": "100", "filter": f"labels.id:'<news>'+id:>'<{ANNA}>'", "order": "id ASC"}),
    ("GET", "/members/", None, {"limit": "100", "filter": f"id:['<{ANNA}>','<{BEN}>']+labels.id:'<hot>'"}),
    ("PUT", BULK, label("removeLabel", "news"), {"filter": f"id:['<{ANNA}>','<{OBRIEN}>']"}),
    ("PUT", BULK, label("removeLabel", "news"), {"filter": f"id:['<{ANNA}>']"}),
    ("PUT", BULK, label("addLabel", "0123456789abcdef01234567"), {"filter": f"id:['<{ANNA}>']"}),
    ("PUT", BULK, label("removeLabel", "0123456789abcdef01234567"), {"filter": f"id:['<{ANNA}>']"}),
    ("PUT", BULK, label("addLabel", "news")),
    (
        "GET",
        "/members/0123456789abcdef01234567/",
    ),
    (
        "GET",
        f"/members/<{ANNA}>/",
    ),
    (
        "GET",
        "/members",
    ),
    (
        "GET",
        "/snippets/",
    ),
)
"""Each with its method, path, body and question; ``<name>`` stands for the id that each side gave it."""


def compared(ghost: RealGhost) -> int:
    """How many calls Ghost answers in another way than the imitation; each is told."""
    different = 0
    with Simulator(imitated.Ghost()) as simulator:
        real, made = Side(ghost.url, ghost.key), Side(simulator.url, KEY)
        for call in CALLS:
            says, imitates = real.asked(*call), made.asked(*call)
            if says != imitates:
                different += 1
                sys.stdout.write(f"DIFFERENT {call}\n  Ghost:     {says}\n  imitation: {imitates}\n")
    sys.stdout.write(f"{len(CALLS)} calls compared, {different} answered in another way\n")
    return different


def consent(bed: GhostBed) -> None:
    """Who left, complained or bounced is moved nowhere, and nobody who has not is in their place."""
    for address in (ANNA, BEN, OBRIEN, "cleo@example.org", "dora@example.org"):
        bed.put(address, "old")
    bed.leave(ANNA, "old")
    bed.suppress(BEN, "spam")
    bed.suppress(OBRIEN, "spam")
    bed.suppress("cleo@example.org", "bounce")
    people = (ANNA, BEN, OBRIEN, "cleo@example.org", "dora@example.org")
    changes = [Change(f"c{at}", f"s_{at}", each, ("new",), ("old",)) for at, each in enumerate(people)]
    answers = bed.sink().apply(changes)
    reasons = [each.reason if isinstance(each, Trouble) else "" for each in answers]
    wanted = [Reason.UNSUBSCRIBED, Reason.COMPLAINED, Reason.COMPLAINED, Reason.UNDELIVERABLE, ""]
    assert reasons == wanted, reasons
    assert all(each.fate is Fate.LASTING for each in answers if isinstance(each, Trouble))
    assert bed.members("new") == {"dora@example.org"}
    standings = {each.address: each.standing.value for each in bed.sink().members("old")}
    assert standings == {ANNA: "left", BEN: "left", OBRIEN: "left", "cleo@example.org": "undeliverable"}, standings
    assert all(each.works is not False for each in bed.sink().rights())
    (late,) = bed.sink(late_ms=600_000).apply(changes[:1])
    assert isinstance(late, Trouble)
    assert (late.reason, late.fate, "clocks" in late.answer) == (Reason.BAD_CREDENTIALS, Fate.FATAL, True), late


def surprises(bed: GhostBed) -> None:
    """What the sink guards against is so: a label is given twice, and a page with an apostrophe tells no reasons."""
    for address in (ANNA, OBRIEN):
        bed.put(address, "old")
    bed.suppress(ANNA, "spam")
    members = bed.ghost.asked("GET", "/members/", limit="100")["members"]
    (beside,) = [each["email_suppression"] for each in members if each["email"] == ANNA]
    alone = bed.ghost.asked("GET", "/members/", filter=f"email:'{ANNA}'")["members"][0]["email_suppression"]
    assert (beside, alone["info"]["reason"]) == ({"suppressed": True, "info": None}, "spam"), (beside, alone)
    (number,) = [each["id"] for each in members[0]["labels"]]
    again = {"bulk": {"action": "addLabel", "meta": {"label": {"id": number}}}}
    bed.ghost.asked("PUT", BULK, again, filter=f"email:'{ANNA}'")
    rows = bed.ghost.sql(
        "select count(*) from members_labels join members m on m.id = member_id where m.email like 'anna%'"
    )
    assert rows.strip() == "2", rows


@contextmanager
def listening() -> Iterator[tuple[str, list[tuple[Mapping[str, str], bytes]], threading.Event]]:
    """A door for webhooks: its address, what came, and when something has."""
    came, something = list[tuple[Mapping[str, str], bytes]](), threading.Event()

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            came.append(({name.lower(): value for name, value in self.headers.items()}, body))
            something.set()
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is said."""

    server = HTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", came, something
    server.shutdown()


def webhooks(bed: GhostBed) -> None:
    """A move tells nothing; a leaving is told, signed, and read as one; so is a new address."""
    with listening() as (url, came, something):
        made = bed.ghost.asked("GET", "/integrations/")["integrations"]
        (integration,) = [each["id"] for each in made if each["name"] == "Segma"]
        hook = {"event": "member.edited", "target_url": url, "secret": SECRET, "integration_id": integration}
        bed.ghost.asked("POST", "/webhooks/", {"webhooks": [{**hook, "name": "left"}]})
        bed.put(ANNA, "old")
        (answer,) = bed.sink().apply([Change("c1", "s_1", ANNA, ("new",), ("old",))])
        assert isinstance(answer, Done)
        bed.leave(ANNA, "new")
        assert something.wait(20), "no webhook"
        (headers, body) = came[-1]
        sys.stdout.write(f"webhook of a leaving: {body.decode()[:3000]}\n{headers.get('x-ghost-signature')}\n")
        check_signed(Call("POST", [url], headers, body), SECRET, now_s=int(time.time()), sink="ghost")
        assert [(each.action, each.address) for each in notices_of("ghost", Told(body))] == [
            ("email_unsubscribed", ANNA)
        ]
        something.clear()
        member = bed.member(ANNA)
        assert member is not None
        moved = {"email": "anna@example.com"}
        bed.ghost.asked("PUT", f"/members/{member['id']}/", {"members": [moved]})
        assert something.wait(20), "no webhook"
        sys.stdout.write(f"webhook of a new address: {came[-1][1].decode()[:3000]}\n")
        found = {(each.action, each.address, each.new_address) for each in notices_of("ghost", Told(came[-1][1]))}
        assert ("address_changed", ANNA, "anna@example.com") in found, found


class OfGhost:
    """The suite of every sink's promises, with Ghost as its one bed."""

    def __init__(self, ghost: RealGhost) -> None:
        self._ghost = ghost

    def run(self) -> int:
        all_before, made_before = beds.ALL, beds.bed_of
        beds.ALL, beds.bed_of = ("ghost",), lambda name, directory: GhostBed(self._ghost, directory)
        try:
            return int(pytest.main(["tests/conformance/test_sinks.py", "-q", "-p", "no:cacheprovider"]))
        finally:
            beds.ALL, beds.bed_of = all_before, made_before


def main() -> int:
    """Run all of it. 0: Ghost is as the imitation is, keeps the promises, and mailed no member."""
    started_s = time.monotonic()
    with RealGhost() as ghost, TemporaryDirectory(prefix="segma-ghost-trip-") as directory:
        sys.stdout.write(f"Ghost booted, its owner and key made, in {time.monotonic() - started_s:.1f} s\n")
        before = ghost.mails()
        failed = compared(ghost)
        bed = GhostBed(ghost, Path(directory))
        consent(bed)
        surprises(GhostBed(ghost, Path(directory)))
        webhooks(GhostBed(ghost, Path(directory)))
        failed += OfGhost(ghost).run()
        mails = ghost.mails()[len(before) :]
        to_members = [each for each in mails if "owner@example.org" not in each]
        sys.stdout.write(f"mails: {len(to_members)} to members, {len(mails)} to the owner, {sorted(set(mails))[:3]}\n")
        return 1 if failed or to_members else 0


if __name__ == "__main__":
    sys.exit(main())
