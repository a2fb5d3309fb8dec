"""A listener recorded on the site: whose browser it is, what becomes a step, and who sees the recording."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest

from console.picture import Picture
from console.recordings import LASTS_MS, MOST, MOST_EVENTS, Key, Recordings, link_of, step_of
from console.writing.merge import form_in
from contracts.actions import ACTIONS
from contracts.codec import replaced, to_json
from contracts.events import Event
from contracts.installation import Site
from contracts.rows import Act, EventRow
from contracts.topics import ROWS
from tests.console.test_workspace_pages import EVIL, posted
from tests.console.visitor import Answer, Stage, Visitor, signed_in

KEY = Key("demo", "mara", "code1")
BEGUN = 10_000


def row(
    number: int, action: str, *, device: str = "d1", reason: str = "", workspace: str = "demo", **what: Any
) -> EventRow:
    """The ``number``th event; one that is called ``click`` came by the recording's link."""
    name = what.pop("event_id", f"e{number}")
    event = Event(
        workspace, "a_1", str(name), action, BEGUN + number, properties=what, device=device,
        received_at_ms=BEGUN + number, site="shop",
    )  # fmt: skip
    return EventRow(event, reason=reason)


def click(number: int = 1, code: str = "code1", **what: Any) -> EventRow:
    return row(number, "email_clicked", event_id=f"c-{code}", **what)


def ids(recordings: Recordings, key: Key = KEY, now_ms: int = BEGUN) -> list[str]:
    found = recordings.of(key, now_ms)
    assert found is not None
    return [event.event_id for event in found[1]]


def test_the_browser_that_came_by_the_link_is_recorded_and_no_other() -> None:
    picture = Picture()
    picture.recordings.begin(KEY, "link", BEGUN)
    picture.apply(row(-5, "page_viewed", path="/before"))
    picture.apply(row(2, "page_viewed", path="/same-beacon"))  # its row came before the click's
    picture.apply(row(3, "page_viewed", device="d2"))
    picture.apply(click())
    for each in (
        row(4, "page_viewed"), row(5, "page_viewed", device="d2"), row(6, "page_viewed", device=""),
        row(7, "page_viewed", reason="duplicate"), row(4, "page_viewed"), row(8, "page_viewed", workspace="other"),
        click(9, device="d2"),
    ):  # fmt: skip
        picture.apply(each)
    assert ids(picture.recordings) == ["c-code1", "e2", "e4"]


def test_what_comes_late_stands_in_its_place() -> None:
    recordings = Recordings()
    recordings.begin(KEY, "link", BEGUN)
    for each in (click(), row(9, "page_viewed"), row(5, "page_viewed")):
        recordings.take(each)
    assert ids(recordings) == ["c-code1", "e5", "e9"]


def test_recordings_end_and_are_bounded() -> None:
    recordings = Recordings()
    recordings.begin(KEY, "link", BEGUN)
    recordings.take(click())
    for number in range(2, MOST_EVENTS + 20):
        recordings.take(row(number, "page_viewed"))
    assert len(ids(recordings)) == MOST_EVENTS
    assert recordings.of(KEY, BEGUN + LASTS_MS) is not None
    assert recordings.of(KEY, BEGUN + LASTS_MS + 1) is None
    for number in range(MOST):
        recordings.begin(Key("demo", "mara", f"more{number}"), "link", BEGUN)
    assert recordings.of(KEY, BEGUN) is None
    recordings.begin(KEY, "link", BEGUN + LASTS_MS + 1)
    assert recordings.of(Key("demo", "mara", "more1"), BEGUN) is None  # what is over goes


@pytest.mark.parametrize("key", [KEY._replace(user="vera"), KEY._replace(workspace="other"), KEY._replace(code="c")])
def test_a_recording_is_its_users_alone(key: Key) -> None:
    recordings = Recordings()
    recordings.begin(KEY, "link", BEGUN)
    assert recordings.of(key, BEGUN) is None


@pytest.mark.parametrize(
    ("page", "campaign", "link"),
    [
        ("https://s.test/", "spring", "https://s.test/?utm_campaign=spring&sgm_click=code1"),
        ("https://s.test/a?b=c%20d&e#f", "", "https://s.test/a?b=c%20d&e&sgm_click=code1#f"),
        ("https://s.test/?x=", "a&b=c #d", "https://s.test/?x=&utm_campaign=a%26b%3Dc%20%23d&sgm_click=code1"),
    ],
)
def test_the_link_is_the_page_as_a_mail_leads_to_it(page: str, campaign: str, link: str) -> None:
    assert link_of(page, Site(key="k123"), "code1", campaign) == link
    own = Site(key="k123", campaign_param="cmp", click_param="clk")
    assert link_of("https://s.test/", own, "code1", "spring") == "https://s.test/?cmp=spring&clk=code1"


@pytest.mark.parametrize(
    ("action", "properties", "where"),
    [
        ("email_clicked", {"campaign": "spring", "path": "/"}, {"campaign": "spring"}),
        ("page_viewed", {"path": "/shoes", "title": "Shoes", "url": "https://s.test/shoes"}, {"path": "/shoes"}),
        ("button_clicked", {"text": "Buy", "selector": "button#buy"}, {"text": "Buy"}),
        ("page_clicked", {"selector": "nav > a.sale"}, {"selector": "nav > a.sale"}),
        ("product_added", {"sku": "r1", "category": "shoes", "value": 89.0}, {"category": "shoes"}),
        ("scrolled_past", {"path": "/blog", "percent": 75}, {}),
        ("wishlist_shared", {"anything": "x"}, {}),
        ("page_viewed", {}, {}),
        ("page_viewed", {"path": 7}, {}),
    ],
)
def test_a_step_names_what_says_which_it_was(action: str, properties: dict[str, Any], where: dict[str, str]) -> None:
    step = step_of(row(1, action, **properties).event)
    assert step == {"action": action, **({"where": where} if where else {})}


def recording(visitor: Visitor) -> str:
    """Begin one, and the path of its page."""
    begun = posted(visitor, "/w/demo/record", url="https://shop.example/spring", campaign="spring-sale")
    assert begun.status_code == 303
    return begun.headers["location"]


def done(stage: Stage, path: str, *rows: EventRow) -> None:
    code = path.rpartition("/")[2]
    later = [EventRow(at_now(stage, each.event, number)) for number, each in enumerate((click(code=code), *rows))]
    stage.watch.fold_in(ROWS, [to_json(each) for each in later])


def at_now(stage: Stage, event: Event, number: int) -> Event:
    now_ms = stage.desk.now_ms() + number
    properties = event.properties or {"campaign": "spring-sale"}
    return replaced(event, occurred_at_ms=now_ms, received_at_ms=now_ms, properties=properties)


def text_of(page: Answer) -> str:
    found = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", page.text, re.DOTALL)
    assert found is not None
    return html.unescape(found[1])


def test_what_was_done_becomes_the_steps_of_the_form(stage: Stage) -> None:
    visitor = signed_in(stage.app())
    assert 'id="to-record"' in visitor.get("/w/demo/write").text
    path = recording(visitor)
    code = path.rpartition("/")[2]
    link = f"https://shop.example/spring?utm_campaign=spring-sale&amp;sgm_click={code}"
    assert f'href="{link}" target="_blank" rel="noopener"' in visitor.get(path).text
    assert "Nothing yet." in visitor.get(f"{path}?part=seen").text
    looks = [row(2, "page_viewed", path="/products/runner"), row(3, "page_viewed", path="/products/trail")]
    done(stage, path, *looks, row(4, "button_clicked", text=EVIL))
    seen = visitor.get(f"{path}?part=seen").text
    assert "data-again" in seen
    assert "path: /products/trail" in seen
    choose = visitor.get(f"{path}?choose=yes").text
    assert "<script>alert" not in seen + choose
    boxes = re.findall(r'type="checkbox" name="([^"]+)"', choose)
    assert boxes == [f"e-c-{code}", "e-e2", "e-e3", "e-e4"]
    made = posted(visitor, path, **dict.fromkeys(boxes[:3], "yes"))
    cells = form_in(text_of(made)).cells
    told = [(cells[f"s{n}.action"], cells[f"s{n}.w1.property"], cells[f"s{n}.w1.value"]) for n in (1, 2, 3)]
    assert told == [
        ("email_clicked", "campaign", "spring-sale"),
        ("page_viewed", "path", "/products/runner"),
        ("page_viewed", "path", "/products/trail"),
    ]
    assert 'class="wrong" id="p-s1.action"></small>' in made.text
    evil = posted(visitor, path, **{boxes[3]: "yes"})
    assert form_in(text_of(evil)).cells["s1.w1.value"] == EVIL
    assert posted(visitor, path).status_code == 400
    assert [(each.act, each.target) for each in stage.trail()[-1:]] == [(Act.RECORDED, "demo-key")]


def test_another_user_finds_no_recording(stage: Stage) -> None:
    app = stage.app()
    path = recording(signed_in(app))
    other = signed_in(app, "enno")
    for query in ("", "?part=seen", "?choose=yes"):
        assert other.get(f"{path}{query}").status_code == 404
    assert posted(other, path).status_code == 404


@pytest.mark.parametrize(
    "url",
    [
        "", "shop.example", "https://other.example/", "javascript:alert(1)", "https://shop.example@evil.example/",
        "https://evil.example/?https://shop.example/", "http://shop.example/", "https://shop.example:444/",
    ],
)  # fmt: skip
def test_only_a_page_of_an_own_site_is_recorded(stage: Stage, url: str) -> None:
    visitor, before = signed_in(stage.app()), len(stage.trail())
    refused = posted(visitor, "/w/demo/record", url=url)
    assert (refused.status_code, "of one of the workspace" in refused.text) == (400, True)
    assert len(stage.trail()) == before


def test_every_action_that_a_page_sends_makes_a_step_that_can_be_read() -> None:
    for action in ACTIONS:
        step = step_of(replaced(row(1, action.name).event, properties=dict(action.sample)))
        assert step["action"] == action.name
        assert all(isinstance(value, str) for value in step.get("where", {}).values())
