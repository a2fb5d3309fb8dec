"""The built SDK in a real Chromium, against a collector that remembers what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from contracts.beacons import Beacon, SentEvent
from contracts.codec import json_reader

pytestmark = pytest.mark.browser

BUNDLE = Path(__file__).resolve().parents[2] / "js-sdk" / "dist" / "segma.js"
PAGE = """<!doctype html><title>Runner</title><script async src="/sdk/segma.js" data-site="KEY1" {attributes}></script>
<body data-segma-category="shoes"><nav><a class="sale" href="#sale">Sale</a></nav><span id="plain">text</span>
<a id="pdf" href="#" onclick="event.preventDefault()">Catalogue</a><button id="subscribe"><i>Subscribe</i></button>
<button id="add" data-segma-action="product_added" data-segma-sku="r-1" data-segma-value="89.5"
 data-segma-category="shoes">Add</button><a id="away" href="/other">Other</a>
<form><input id="name" value="secret-value"><button id="send">Send</button></form>
<script>document.querySelector("form").onsubmit = (event) => event.preventDefault();
document.getElementById("pdf").href = "/catalogue.pdf";</script></body>"""
PATIENCE_S = 20
TOKEN = "k." + "T" * 24


class Recorder(ThreadingHTTPServer):
    """Serves the page and the bundle, and keeps every event; ``answers`` are given before 204s."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.came = threading.Condition()
        self.beacons: list[Beacon] = []
        self.events: list[SentEvent] = []
        self.answers: list[int] = []
        self.attributes = ""
        self.url = f"http://127.0.0.1:{self.server_port}"

    def wait_for(self, fits: Callable[[list[SentEvent]], bool]) -> list[SentEvent]:
        with self.came:
            assert self.came.wait_for(lambda: fits(self.events), PATIENCE_S), [e.action for e in self.events]
            return list(self.events)

    def wait_for_action(self, action: str, count: int = 1) -> list[SentEvent]:
        found = self.wait_for(lambda events: sum(event.action == action for event in events) >= count)
        return [event for event in found if event.action == action]


class Handler(BaseHTTPRequestHandler):
    server: Recorder

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/sdk/segma.js":
            self._answer(200, BUNDLE.read_bytes(), "text/javascript")
        else:
            self._answer(200, PAGE.format(attributes=self.server.attributes).encode(), "text/html")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.server.came:
            status = self.server.answers.pop(0) if self.server.answers else 204
            beacon: Beacon = json_reader(Beacon)(body)
            if status == 204:
                self.server.beacons.append(beacon)
                # NOTE: what was in doubt when a page ended comes again under its id; the flow counts it once, so do we.
                known = {event.event_id for event in self.server.events}
                sent = [json_reader(SentEvent)(bytes(event)) for event in beacon.events]
                self.server.events += [event for event in sent if event.event_id not in known]
            self.server.came.notify_all()
        self._answer(status, b"", "text/plain")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Recorder]:
    recorder = Recorder()
    thread = threading.Thread(target=recorder.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield recorder
    recorder.shutdown()
    thread.join()
    recorder.server_close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert errors == []


def landed(page: Page, site: Recorder, path: str = "/") -> None:
    page.goto(site.url + path)
    site.wait_for_action("page_loaded")


def test_a_landing_tells_who_came_and_cleans_the_address(page: Page, site: Recorder) -> None:
    landed(page, site, f"/products/runner?a=1&sgm={TOKEN}&utm_campaign=spring&sgm_click=abc#top")
    (click,) = site.wait_for_action("email_clicked")
    assert (click.event_id, click.properties) == ("c-abc", {"path": "/products/runner", "campaign": "spring"})
    assert page.url == f"{site.url}/products/runner?a=1&utm_campaign=spring#top"
    (view,) = site.wait_for_action("page_viewed")
    assert view.properties == {
        "path": "/products/runner",
        "title": "Runner",
        "category": "shoes",
        "url": f"{site.url}/products/runner",
    }
    assert {(beacon.site, beacon.token, beacon.click) for beacon in site.beacons} == {("KEY1", TOKEN, "abc")}
    assert [event.order for event in site.events] == [1, 2, 3]


def test_later_pages_stay_the_same_persons_and_device(page: Page, site: Recorder) -> None:
    landed(page, site, "/?sgm=" + TOKEN)
    page.goto(f"{site.url}/other")
    site.wait_for_action("page_viewed", 2)
    assert {beacon.token for beacon in site.beacons} == {TOKEN}
    assert len({beacon.device for beacon in site.beacons}) == 1
    assert len(site.wait_for_action("email_clicked")) == 1


def test_pages_exchanged_in_place_are_views(page: Page, site: Recorder) -> None:
    landed(page, site)
    page.evaluate("history.pushState({}, '', '/two'); document.title = 'Two'")
    page.evaluate("history.replaceState({}, '', '/two?filter=1')")
    site.wait_for_action("page_viewed", 2)
    page.go_back()
    views = site.wait_for_action("page_viewed", 3)
    assert [(view.properties["path"], view.properties["title"]) for view in views][1] == ("/two", "Two")
    assert [view.properties["path"] for view in views] == ["/", "/two", "/"]
    assert [event.properties["path"] for event in site.wait_for_action("page_closed", 2)] == ["/", "/two"]


@pytest.mark.parametrize(
    ("selector", "action", "properties"),
    [
        ("nav a", "page_clicked", {"selector": "nav > a.sale", "text": "Sale"}),
        ("#plain", "page_clicked", {"selector": "span#plain", "text": ""}),
        ("#subscribe i", "button_clicked", {"selector": "button#subscribe", "text": "Subscribe"}),
        ("#add", "product_added", {"sku": "r-1", "value": 89.5, "category": "shoes"}),
    ],
)
def test_one_gesture_is_one_event(
    page: Page, site: Recorder, selector: str, action: str, properties: dict[str, Any]
) -> None:
    landed(page, site)
    page.click(selector)
    page.evaluate("segma.track('all_told')")
    site.wait_for_action("all_told")
    told = [event for event in site.events if event.action not in ("page_viewed", "page_loaded", "all_told")]
    assert [(event.action, event.properties) for event in told] == [(action, properties)]


def test_a_link_to_a_pdf_is_a_pdf_view_though_the_page_is_left(page: Page, site: Recorder) -> None:
    landed(page, site)
    page.click("#pdf")
    (view,) = site.wait_for_action("pdf_viewed")
    assert view.properties["file"] == "/catalogue.pdf"


def test_enter_in_a_field_is_no_click_and_values_stay_in_the_page(page: Page, site: Recorder) -> None:
    landed(page, site)
    page.focus("#name")
    page.keyboard.type("secret-value")
    page.keyboard.press("Enter")
    page.evaluate("segma.track('all_told')")
    site.wait_for_action("all_told")
    assert "button_clicked" not in {event.action for event in site.events}
    assert b"secret" not in b"".join(bytes(event) for beacon in site.beacons for event in beacon.events)


def test_what_happens_last_arrives_when_the_page_is_left(page: Page, site: Recorder) -> None:
    landed(page, site)
    page.evaluate("segma.track('last_word', {n: 1}); location.href = 'about:blank'")
    site.wait_for_action("last_word")
    (closed,) = site.wait_for_action("page_closed")
    assert closed.properties["path"] == "/"


def test_after_a_503_the_same_events_come_again(page: Page, site: Recorder) -> None:
    site.answers = [503, 503]
    page.goto(f"{site.url}/?sgm=k.T")
    events = site.wait_for(lambda events: {"email_clicked", "page_viewed"} <= {event.action for event in events})
    assert events[0].action == "email_clicked"


def test_what_could_not_be_delivered_is_delivered_by_the_next_page(page: Page, site: Recorder) -> None:
    page.route("**/v1/beacons", lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.goto(f"{site.url}/first")
    page.goto("about:blank")
    page.unroute("**/v1/beacons")
    page.goto(f"{site.url}/second")
    # Two requests may overtake each other; what counts is when each was seen.
    views = sorted(site.wait_for_action("page_viewed", 2), key=lambda view: view.occurred_at_ms)
    assert [view.properties["path"] for view in views] == ["/first", "/second"]


@pytest.mark.parametrize(
    "signal",
    [
        "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})",
        "Object.defineProperty(Navigator.prototype, 'doNotTrack', {get: () => '1'})",
    ],
)
def test_the_browsers_no_is_a_no(page: Page, site: Recorder, signal: str) -> None:
    page.add_init_script(signal)
    page.goto(f"{site.url}/?sgm=k.T")
    page.wait_for_function("!!window.segma?.track")
    page.evaluate("segma.consent(true); segma.track('x')")
    assert page.url == f"{site.url}/"
    page.goto("about:blank")
    page.goto(f"{site.url}/")
    assert page.evaluate("Object.keys(localStorage).filter((key) => !key.endsWith('consent'))") == []
    assert site.events == []


def test_where_consent_is_required_nothing_is_kept_before_it_and_nothing_after_it_ends(
    page: Page, site: Recorder
) -> None:
    site.attributes = 'data-consent="required"'
    page.goto(f"{site.url}/?sgm=k.T")
    page.wait_for_function("!!window.segma?.track")
    assert page.evaluate("localStorage.length") == 0
    page.evaluate("segma.track('too_early'); segma.consent(true); segma.track('allowed')")
    site.wait_for_action("allowed")
    assert {event.action for event in site.events} >= {"email_clicked", "page_viewed", "allowed"}
    page.evaluate("segma.consent(false); segma.track('too_late')")
    assert page.evaluate("Object.keys(localStorage).map((key) => key.split('.').pop())") == ["consent"]
    page.evaluate("segma.consent(true); segma.track('again')")
    site.wait_for_action("again")
    assert {"too_early", "too_late"}.isdisjoint(event.action for event in site.events)
    assert json.loads(page.evaluate("JSON.stringify(Object.keys(segma))")) == [
        "track",
        "identify",
        "reset",
        "consent",
        "v",
    ]
