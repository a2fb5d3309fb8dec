from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable

import pytest

from console.changes import changes
from console.newest_events import KEPT_BYTES
from console.picture import Picture
from console.shop import PRODUCTS, ranged, shop_app
from console.tryout import tone
from console.watch import Watch
from contracts.actions import ACTIONS
from contracts.codec import replaced, to_json
from contracts.commands import Command, EventRef, Outcome, Result, Verb
from contracts.events import Event
from contracts.membership import MADE_ACTIONS
from contracts.rows import CommandRow, DirectoryEntry, EventRow, MembershipRow
from contracts.tokens import shown_device
from contracts.topics import OUTCOMES, ROWS, SUBSCRIBERS
from tests.console.visitor import Stage, Visitor, ran, signed_in

AsVisitor = Callable[[Watch], Visitor]
HERE = frozenset({"demo"})

EVIL = "<script>alert(1)</script>\"'&"
COMMAND = Command(
    "c" * 32, "demo", "mailbox", "s1", Verb.MOVE, "looked", 1, "m", 0, 2_000,
    to_list="interested", from_list="newsletter", evidence={"clicked": (EventRef("e1", "email_clicked", 1_000),)},
)  # fmt: skip
OUTCOME = Outcome(
    "c" * 32, "demo", "mailbox", "s1", Result.APPLIED, 2_100,
    changed=("+interested", "-newsletter"), listener="looked", verb="move", received_at_ms=1_900,
)  # fmt: skip


@pytest.fixture
def filled(stage: Stage) -> Watch:
    it = stage.watch
    it.fold_in(SUBSCRIBERS, [to_json(DirectoryEntry("demo", "s1", "ada@example.org", EVIL))])
    it.fold_in(ROWS, [to_json(MembershipRow("demo", "mailbox", "newsletter", "s1", True, 1))])
    return it


@pytest.fixture
def client(stage: Stage) -> AsVisitor:
    """A signed-in marketer's browser on the demo's console."""
    return lambda it: signed_in(stage.app())


@pytest.mark.parametrize("path", ["/", "/inbox", "/lists", "/events", "/static/console.js", "/health"])
def test_every_page_answers_under_a_strict_policy(filled: Watch, path: str, client: AsVisitor) -> None:
    answer = client(filled).get(path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/inbox", "/live/lists"])
def test_a_foreign_name_of_this_machine_opens_nothing(filled: Watch, path: str, client: AsVisitor) -> None:
    asked = client(filled)
    asked.host = "evil.example:8401"
    answer = asked.get(path)
    assert answer.status_code == 400
    assert "ada" not in answer.text


def test_a_name_with_markup_is_text_in_the_inbox(filled: Watch, client: AsVisitor) -> None:
    text = client(filled).get("/inbox").text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;" in text


def test_an_inbox_without_anybody_looks_again_by_itself(stage: Stage) -> None:
    visitor = signed_in(stage.app())
    assert visitor.get("/inbox").headers["refresh"] == "1"
    stage.watch.fold_in(SUBSCRIBERS, [to_json(DirectoryEntry("demo", "s1", "ada@example.org", "Ada"))])
    assert "refresh" not in visitor.get("/inbox").headers


def test_no_page_shows_an_address(filled: Watch, client: AsVisitor) -> None:
    assert "ada@example.org" not in "".join(client(filled).get(path).text for path in ("/", "/inbox", "/lists"))


def test_the_first_link_goes_by_the_redirect_and_the_others_carry_their_token(filled: Watch, client: AsVisitor) -> None:
    filled.fold_in(SUBSCRIBERS, [to_json(DirectoryEntry("demo", "s2", "b@example.org", "Zoe"))])
    text = client(filled).get("/inbox").text
    assert "http://c.test/r/tok-demo-s1?u=http%3A%2F%2Fshop.test%2F%3Futm_campaign%3Dspring-sale" in text
    assert "utm_campaign=spring-sale#sgm=tok-demo-s2" in text


def test_an_outcome_moves_a_person_and_says_why(filled: Watch) -> None:
    filled.fold_in(ROWS, [to_json(CommandRow(COMMAND))])
    filled.fold_in(OUTCOMES, [to_json(OUTCOME), to_json(OUTCOME)])
    members = {each["list"]: each["members"] for each in filled.picture.lists(HERE)}
    assert members == {"interested": [EVIL], "newsletter": []}
    (move,) = filled.picture.moves(HERE)
    assert move["after_ms"] == 200
    assert move["steps"] == [{"step": "clicked", "events": [{"action": "email_clicked", "at_ms": 1_000}]}]


def test_the_steps_of_a_move_stand_in_the_order_in_which_they_were_taken() -> None:
    picture = Picture(demo=True)
    taken = {"2": (EventRef("e2", "page_viewed", 2_000),), "clicked": (EventRef("e1", "email_clicked", 1_000),)}
    picture.apply(CommandRow(replaced(COMMAND, evidence=taken)))
    picture.apply(OUTCOME)
    assert [each["step"] for each in picture.moves(HERE)[0]["steps"]] == ["clicked", "2"]


def test_a_command_row_may_come_after_its_outcome(filled: Watch) -> None:
    filled.fold_in(OUTCOMES, [to_json(OUTCOME)])
    assert filled.picture.moves(HERE)[0]["steps"] == []
    filled.fold_in(ROWS, [to_json(CommandRow(COMMAND))])
    assert filled.picture.moves(HERE)[0]["steps"] != []


def test_a_baseline_read_after_a_move_does_not_undo_it(filled: Watch) -> None:
    filled.fold_in(OUTCOMES, [to_json(OUTCOME)])
    filled.fold_in(ROWS, [to_json(MembershipRow("demo", "mailbox", "newsletter", "s1", True, 1))])
    assert {each["list"]: each["members"] for each in filled.picture.lists(HERE)}["newsletter"] == []


def test_nonsense_in_the_log_is_passed_over(filled: Watch) -> None:
    filled.fold_in(ROWS, [b"{", b"[]", to_json(EventRow(Event("demo", "s1", "e1", "page_viewed", 5)))])
    assert [event["action"] for event in filled.picture.events(HERE)] == ["page_viewed"]


def test_an_open_page_hears_of_a_change_as_one_line_of_json(filled: Watch) -> None:
    async def listen() -> list[str]:
        stream: AsyncGenerator[dict[str, str], None] = changes(filled, lambda: {"lists": filled.picture.lists(HERE)})
        first = (await anext(stream))["data"]
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        filled.fold_in(OUTCOMES, [to_json(OUTCOME)])
        second = (await waiting)["data"]
        await stream.aclose()
        return [first, second]

    first, second = ran(listen())
    assert "\n" not in first + second
    assert [each["list"] for each in json.loads(second)["lists"]] == ["interested", "newsletter"]
    assert json.loads(first)["lists"][0]["members"] == [EVIL]


def test_the_script_of_the_live_pages_never_writes_html(filled: Watch, client: AsVisitor) -> None:
    script = client(filled).get("/static/console.js").text
    assert not any(word in script for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"))


def test_the_shop_has_its_pages_and_one_script_tag_of_segma() -> None:
    shop = Visitor(shop_app(collector="http://c.test", site="KEY1"))
    paths = ["/", "/basket", *(f"/products/{p.slug}" for p in PRODUCTS), *{f"/category/{p.category}" for p in PRODUCTS}]
    for path in paths:
        answer = shop.get(path)
        assert answer.status_code == 200
        assert answer.text.count('src="http://c.test/sdk/segma.js" data-site="KEY1"') == 1
    assert len(PRODUCTS) >= 6
    assert len({p.category for p in PRODUCTS}) >= 3
    assert 'data-segma-category="shoes"' in shop.get("/products/runner").text


@pytest.mark.parametrize("path", ["/products/<script>", "/category/nothing"])
def test_what_the_shop_does_not_have_is_not_found(path: str) -> None:
    answer = Visitor(shop_app(collector="http://c.test", site="K")).get(path)
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text


def test_every_action_can_be_tried_on_one_page() -> None:
    shop = Visitor(shop_app(collector="http://c.test", site="KEY1"))
    marks = {action for part in re.findall(r'data-try="([^"]+)"', shop.get("/try").text) for action in part.split()}
    pages = [action.name for action in ACTIONS if action not in MADE_ACTIONS]
    assert marks == {name for name in pages if not name.startswith("email_")}
    assert shop.get("/try/7").status_code == 200
    assert shop.get("/live/try").status_code == 404


def test_a_sound_is_played_by_ranges() -> None:
    whole = tone()
    assert whole[:4] == b"RIFF"
    part = ranged(whole, "audio/wav", "bytes=4-7")
    assert (part.status_code, bytes(part.body)) == (206, whole[4:8])
    assert part.headers["content-range"] == f"bytes 4-7/{len(whole)}"
    assert ranged(whole, "audio/wav", "bytes=8-").headers["content-length"] == str(len(whole) - 8)
    for wanted in ("", "bytes=99999999-", "bytes=x-", "bytes=1-2,4-5"):
        assert ranged(whole, "audio/wav", wanted).status_code == 200


def test_who_is_forgotten_is_named_nowhere(filled: Watch, client: AsVisitor) -> None:
    filled.fold_in(ROWS, [to_json(EventRow(Event("demo", "s1", "e1", "page_viewed", 5))), to_json(CommandRow(COMMAND))])
    filled.fold_in(OUTCOMES, [to_json(OUTCOME)])
    filled.forget([b"demo/s1"])
    picture = filled.picture
    assert (picture.people, picture.events(HERE), picture.moves(HERE)) == ({}, [], [])
    assert [each["members"] for each in picture.lists(HERE)] == [[] for _ in picture.lists(HERE)]
    assert "alert" not in client(filled).get("/inbox").text


def test_large_events_are_shown_within_a_mebibyte_and_the_newest_always() -> None:
    picture = Picture(demo=True)
    for number in range(200):
        large = {"number": number, "text": "x" * 60_000}
        picture.apply(EventRow(Event("demo", f"s{number % 2}", f"e{number}", "page_viewed", 5, properties=large)))
        assert sum(len(to_json(each["properties"])) for each in picture.events(HERE)) <= KEPT_BYTES
    assert [each["properties"]["number"] for each in picture.events(HERE)] == list(range(199, 182, -1))
    picture.forget("demo", "s0")
    assert {each["properties"]["number"] % 2 for each in picture.events(HERE)} == {1}
    picture.apply(EventRow(Event("demo", "s1", "e", "page_viewed", 5, properties={"text": "x" * 2 * KEPT_BYTES})))
    assert len(picture.events(HERE)) == 1


def test_commands_are_kept_within_a_number_of_events_that_they_rest_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.picture.MAX_EVIDENCE", 10)
    picture = Picture(demo=True)
    refs = tuple(EventRef(f"e{number}", "email_clicked", number) for number in range(4))
    for number in range(5):
        command = replaced(COMMAND, command_id=f"c{number}", evidence={"clicked": refs})
        picture.apply(CommandRow(command))
        picture.apply(CommandRow(command))
        picture.apply(replaced(OUTCOME, command_id=f"c{number}"))
    assert [bool(each["steps"]) for each in picture.moves(HERE)] == [True, True, False, False, False]


def test_a_devices_id_is_shown_in_part_alone(filled: Watch) -> None:
    device = "0123456789abcdefghij0123"
    filled.fold_in(ROWS, [to_json(EventRow(Event("demo", "s1", "e1", "page_viewed", 5, device=device)))])
    (event,) = filled.picture.events(HERE)
    assert event["device"] == "01234567…"
    assert shown_device("short") == "sh…"
    assert shown_device("") == ""


def test_outside_the_demo_nobody_and_no_list_is_held() -> None:
    picture = Picture()
    picture.apply(DirectoryEntry("demo", "s1", "ada@example.org", "Ada"))
    picture.apply(MembershipRow("demo", "mailbox", "newsletter", "s1", True, 1))
    picture.apply(OUTCOME)
    assert (picture.people, picture.lists(HERE)) == ({}, [])
    assert [each["person"] for each in picture.moves(HERE)] == ["s1…"]


def test_what_another_workspace_does_is_not_shown() -> None:
    picture = Picture(demo=True)
    for workspace in ("demo", "other"):
        picture.apply(EventRow(Event(workspace, "s1", f"e-{workspace}", "page_viewed", 5)))
        picture.apply(MembershipRow(workspace, "mailbox", "newsletter", "s1", True, 1))
        picture.apply(replaced(OUTCOME, workspace=workspace, command_id=workspace))
    assert (len(picture.events(HERE)), len(picture.moves(HERE))) == (1, 1)
    assert {each["workspace"] for each in picture.lists(HERE)} == HERE
    assert (picture.events(()), picture.lists(()), picture.moves(())) == ([], [], [])
