"""The live events by person, action and site; the server lets through what is wanted, and says who looked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from urllib.parse import parse_qsl, urlsplit

import pytest
from starlette.requests import Request

from console.access.gate import Gate, Visit
from console.access.sessions import Session, Sessions
from console.access.table import Role
from console.live_pages import LivePages
from console.newest_events import KEPT, EventFilter
from console.picture import Picture
from console.view import View
from contracts.codec import to_json
from contracts.events import Event
from contracts.rows import Act, EventRow
from contracts.tokens import subscriber_id
from contracts.topics import ROWS
from tests.console.test_workspace_pages import EVIL, posted
from tests.console.visitor import Clock, Stage, ran, signed_in

ANN = subscriber_id(b"s" * 32, "ann@example.org")
DEMO = frozenset({"demo"})


def happened(
    number: int, person: str = "s1", action: str = "page_viewed", site: str = "shop", workspace: str = "demo"
) -> EventRow:
    return EventRow(Event(workspace, person, f"e{number}", action, number, site=site))


def test_an_address_becomes_the_id_and_goes_no_further(stage: Stage) -> None:
    visitor, before = signed_in(stage.app()), len(stage.trail())
    answer = posted(visitor, "/events", person=" Ann@Example.org ", action="page_viewed", site="demo/shop")
    where = urlsplit(answer.headers["location"])
    assert (answer.status_code, where.path) == (303, "/events")
    assert parse_qsl(where.query) == [("person", f"demo/{ANN}"), ("action", "page_viewed"), ("site", "demo/shop")]
    page = visitor.get(answer.headers["location"])
    assert (page.status_code, '<option value="page_viewed" selected>' in page.text) == (200, True)
    assert '<option value="demo/shop" selected>' in page.text
    assert "xample.org" not in page.text
    assert stage.trail()[before:] == []  # the look is at the stream
    assert posted(visitor, "/events").headers["location"] == "/events"


@pytest.mark.parametrize("stream", ["/events", "/live/events"])
def test_the_filter_asks_for_what_there_is(stage: Stage, stream: str) -> None:
    visitor = signed_in(stage.app())
    wrong = {
        "action=page_viewd": 400, "action=" + EVIL.replace("&", "%26"): 400, "action=*": 400, "site=shop": 400,
        "site=other/shop": 400, "site=demo/none": 400, "person=s1": 400, "person=demo/": 400, "person=other/s1": 403,
        "person=demo/" + "x" * 400: 400, "&".join(f"person=demo/s{number}" for number in range(21)): 400,
    }  # fmt: skip
    for query, status in wrong.items():
        answer = visitor.get(f"{stream}?{query}")
        assert (answer.status_code, "<script>alert" in answer.text) == (status, False), query
    assert stage.trail()[1:] == []
    assert posted(visitor, "/events", person="x" * 400).status_code == 400


def test_a_viewer_filters_by_action_and_site_and_looks_nobody_up(stage: Stage) -> None:
    visitor = signed_in(stage.app(), "vera")
    assert visitor.get("/events?action=page_viewed&site=demo/shop").status_code == 200
    assert 'name="person"' not in visitor.get("/events").text
    for path in ("/events", "/live/events"):
        assert visitor.get(f"{path}?person=demo/s1").status_code == 403
    assert posted(visitor, "/events", person="ann@example.org").status_code == 403


def test_a_filter_keeps_its_own_newest_whatever_else_comes() -> None:
    picture = Picture()
    picture.apply(happened(0))
    newest = picture.follow(EventFilter(DEMO, frozenset({("demo", "s1")}), "page_viewed", ("demo", "shop")))
    others = [
        happened(1, person="s2"), happened(2, action="page_closed"), happened(3, site="silent"),
        happened(4, workspace="other"), happened(5),
    ]  # fmt: skip
    for row in [*others, *(happened(number, person="s9") for number in range(10, 10 + 2 * KEPT))]:
        picture.apply(row)
    assert [each["at_ms"] for each in picture.told(newest, DEMO)] == [5, 0]
    picture.forget("demo", "s1")
    assert list(newest) == []
    picture.unfollow(newest)
    picture.apply(happened(300))
    assert list(newest) == []


def pages(stage: Stage, role: Role) -> tuple[LivePages, Visit, Session]:
    """The live pages, and a visit of a session with a role, asked for one person."""
    sessions = Sessions(Clock(), lambda: "key")
    gate = Gate(stage.users, sessions, View(demo=False).refused, DEMO, secure=False)
    key = sessions.open("mara", {"demo": role}, "")
    session = sessions.find(key)
    assert session is not None
    scope = {"type": "http", "method": "GET", "path": "/live/events", "query_string": b"person=demo/s1", "headers": []}
    return LivePages(stage.desk, stage.watch, gate), Visit(Request(scope), session, key), session


def test_a_stream_shows_what_is_wanted_as_it_comes_and_ends_with_the_role(stage: Stage) -> None:
    live, visit, session = pages(stage, Role.MARKETER)

    async def listen() -> list[list[int]]:
        response = await live.handlers()["live_events"](visit)
        stream: AsyncGenerator[dict[str, str], None] = response.body_iterator  # type: ignore[attr-defined]
        seen = [json.loads((await anext(stream))["data"])["events"]]
        stage.watch.fold_in(ROWS, [to_json(happened(1)), to_json(happened(2, person="s2"))])
        seen.append(json.loads((await asyncio.wait_for(anext(stream), 30))["data"])["events"])
        session.roles = {"demo": Role.VIEWER}
        stage.watch.fold_in(ROWS, [to_json(happened(3))])
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(anext(stream), 30)
        return [[each["at_ms"] for each in events] for events in seen]

    before = len(stage.trail())
    assert ran(listen()) == [[], [1]]
    assert [(row.act, row.subscriber, row.target) for row in stage.trail()[before:]] == [
        (Act.LOOKED_UP, "s1", "events")
    ]
    assert stage.watch.picture._followed == []


def test_nobody_is_watched_without_a_trail(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def not_noted(*_: object, **__: object) -> bool:
        return False

    visitor = signed_in(stage.app())
    monkeypatch.setattr("console.audit.Audit.note", not_noted)
    assert visitor.get("/live/events?person=demo/s1").status_code == 503
