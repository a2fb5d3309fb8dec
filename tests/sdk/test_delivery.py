"""Nothing is lost when a page is left, crashes, is offline, or its collector fails; and no page breaks of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Error, Page

from tests.sdk.door import Door
from tests.sdk.stage import ASKED, PATIENCE_S, RealCollector, StaticSite, serve_builds, tag
from tests.sdk.visit import Visit, device_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RUNS = 20
PAGE = """<!doctype html><title>Page</title>{tag}<body><a id="away" href="/other?{n}">Away</a>
<form action="/other"><button id="send">Send</button></form>
<script>window.clicks = 0; addEventListener("click", () => {{ clicks += 1; {busy} }});</script></body>"""
BUSY = "const until = performance.now() + 120; while (performance.now() < until);"


@pytest.fixture
def door(collector: RealCollector) -> Iterator[Door]:
    made = Door(collector.url)
    yield made
    made.stop()


def put(site: StaticSite, collector: str, *, busy: str = "", attributes: str = "") -> str:
    serve_builds(site)
    site.put("/other", "<!doctype html><title>Other</title>")
    script = tag("minified", collector, attributes)
    return site.put("/page", PAGE.format(tag=script, n=1, busy=busy))


@pytest.mark.parametrize("busy", ["", BUSY], ids=["quiet page", "busy page"])
@pytest.mark.parametrize("what", ["#away", "#send"], ids=["link", "form"])
def test_each_click_that_leaves_the_page_arrives(
    page: Page, site: StaticSite, collector: RealCollector, busy: str, what: str
) -> None:
    address = put(site, collector.url, busy=busy)
    visit = Visit(page, collector, address)
    action = "page_clicked" if what == "#away" else "form_submitted"
    for run in range(RUNS):
        page.click(what)
        page.wait_for_url("**/other*")
        if run < RUNS - 1:
            page.goto(address)
            page.wait_for_function("!!window.segma?.v")
    assert len(visit.wait_for(action, RUNS)) == RUNS
    assert len(visit.wait_for("page_closed", RUNS)) == RUNS


def test_a_crash_loses_nothing_that_the_browser_was_left_with(
    page: Page, site: StaticSite, collector: RealCollector, door: Door
) -> None:
    page.add_init_script(
        "const real = window.fetchLater; window.left = '';"
        "window.fetchLater = (url, init) => { window.left += init.body; return real.call(window, url, init); };"
    )
    visit = Visit(page, collector, put(site, door.url))
    door.fault = "500"
    page.evaluate("for (let n = 1; n <= 7; n += 1) segma.track('before_crash', { n })")
    door.wait_until_refused("before_crash", PATIENCE_S)
    page.wait_for_function("window.left.includes('\"n\":7') && window.left.lastIndexOf('page_closed') > 0")
    door.open()
    with pytest.raises(Error, match="crash"):
        page.goto("chrome://crash")
    collector.wait_for(lambda _: len(visit.of("before_crash")) == 7 and len(visit.of("page_closed")) == 1)
    assert all(each.beacon.deferred and each.record.skew_ms == 0 for each in visit.of("before_crash"))


def test_offline_and_reloaded_nothing_is_lost(
    page: Page, site: StaticSite, collector: RealCollector, door: Door
) -> None:
    address = put(site, door.url)
    visit = Visit(page, collector, address)
    door.fault = "reset"
    for number in range(3):
        page.evaluate("(n) => segma.track('while_offline', { n })", number)
        page.reload()
        page.wait_for_function("!!window.segma?.v")
    door.open()
    page.evaluate("dispatchEvent(new Event('online'))")
    found = visit.wait_for("while_offline", 3)
    assert sorted(each.event.properties["n"] for each in found) == [0, 1, 2]
    assert len(visit.wait_for("page_viewed", 4)) == 4
    page.wait_for_function("!Object.keys(localStorage).join().includes('.spool.')")


def test_a_page_that_uses_the_keepalive_quota_up_loses_nothing(
    page: Page, site: StaticSite, collector: RealCollector, door: Door
) -> None:
    address = put(site, collector.url)
    visit = Visit(page, collector, address)
    # The whole quota is the page's only once the SDK's own first request has its answer.
    page.wait_for_function(f"navigator.sendBeacon('{door.url}/hang', 'x'.repeat(65536))")
    assert page.evaluate(f"navigator.sendBeacon('{door.url}/hang', 'x')") is False
    page.evaluate("segma.track('live_event')")
    visit.wait_for("live_event")
    page.evaluate("segma.track('last_event'); location.href = '/other'")
    page.wait_for_url("**/other")
    assert visit.of("last_event") == []
    page.goto(address)
    assert len(visit.wait_for("last_event")) == 1
    assert len(visit.wait_for("page_closed")) == 1


def test_two_tabs_share_what_waits(
    context: BrowserContext, site: StaticSite, collector: RealCollector, door: Door
) -> None:
    address = put(site, door.url)
    first, second = context.new_page(), context.new_page()
    visit = Visit(first, collector, address)
    other = Visit(second, collector, address)
    assert visit.device == other.device
    door.fault = "reset"
    for number, tab in enumerate((first, second)):
        tab.evaluate("(n) => segma.track('of_a_tab', { n })", number)
    # A tab that is closed before the other sees what it left is found by the next page.
    for number in range(2):
        second.wait_for_function("(word) => Object.values(localStorage).join().includes(word)", arg=f'"n":{number}')
    first.close()
    door.open()
    second.reload()
    found = other.wait_for("of_a_tab", 2)
    assert sorted(each.event.properties["n"] for each in found) == [0, 1]


def test_a_no_in_one_tab_holds_for_what_another_has_in_hand(
    context: BrowserContext, site: StaticSite, collector: RealCollector, door: Door
) -> None:
    address = put(site, door.url)
    first, second = context.new_page(), context.new_page()
    Visit(first, collector, address)
    Visit(second, collector, address)
    second.evaluate("addEventListener('storage', ({ key }) => { window.told ||= key.endsWith('consent'); })")
    # On the disk only once the answer has come, and not tried again for a minute: nothing is under way at the "no".
    door.fault, door.retry_after = "503", "60"
    second.evaluate("segma.track('before_the_no')")
    second.wait_for_function("Object.values(localStorage).join().includes('before_the_no')")
    first.evaluate("segma.consent(false)")
    second.wait_for_function("window.told")
    door.open()
    second.evaluate("window.told = false")
    first.evaluate("segma.consent(true)")
    second.wait_for_function("window.told")  # a tab in another process hears of it a moment later
    second.evaluate("segma.track('after_the_yes')")
    # What was in hand would go out before it, and would stand on the disk until then.
    collector.wait_for(lambda stored: any(each.action == "after_the_yes" for each in stored))
    assert not any(each.action == "before_the_no" for each in collector.stored)
    assert not any("before_the_no" in text for text in first.evaluate("Object.values(localStorage)"))


FAULTS = ("500", "503", "429", "408", "hang", "reset", "html")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_collector_breaks_no_page_and_loses_nothing(
    page: Page, site: StaticSite, collector: RealCollector, door: Door, fault: str
) -> None:
    door.fault, door.retry_after = fault, "1" if fault in {"429", "503"} else ""
    page.goto(put(site, door.url))
    page.wait_for_function("!!window.segma?.v")
    device = device_of(page)
    page.mouse.click(300, 300)
    page.evaluate("segma.track('kept')")
    door.wait_until_refused("page_viewed", PATIENCE_S)
    assert page.evaluate("[clicks, document.title]") == [1, "Page"]
    door.open()
    page.evaluate("document.title = 'Alive'")
    wanted = {"page_viewed", "page_clicked", "kept"}
    collector.wait_for(lambda found: wanted <= {each.action for each in found if each.beacon.device == device})


@pytest.mark.parametrize("status", ["400", "403", "413"])
def test_what_is_refused_for_good_is_dropped_and_the_rest_goes_on(
    page: Page, site: StaticSite, collector: RealCollector, door: Door, status: str
) -> None:
    visit = Visit(page, collector, put(site, door.url))
    door.fault = status
    page.evaluate("segma.track('refused')")
    door.wait_until_refused("refused", PATIENCE_S)
    door.open()
    visit.told("taken")
    page.reload()
    visit.wait_for("page_viewed", 2)
    assert visit.of("refused") == []


CONFIGS = {
    "HTML": (200, b"<html>no</html>", "text/html"),
    "nothing": (500, b"", "text/plain"),
    "wrong types": (200, b'{"capture": {"key_pressed": "Escape", "letter_typed": [{}, null]}}', "application/json"),
    "a list": (200, b"[1, 2]", "application/json"),
    "half": (200, b'{"capture": {"key_pressed": ["Esc', "application/json"),
    "bad selectors": (200, b'{"capture": {"mouse_over": ["](["], "scrolled_past": ["]("]}}', "application/json"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_wrong_configuration_breaks_nothing_and_captures_nothing_more(
    page: Page, site: StaticSite, collector: RealCollector, door: Door, name: str
) -> None:
    door.config = CONFIGS[name]
    with page.expect_response("**/config.json"):
        page.goto(put(site, door.url))
    visit = Visit(page, collector, site.url + "/page")
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    page.hover("#away")
    page.mouse.click(300, 300)
    actions = {each.action for each in visit.told("all_told")}
    assert "page_clicked" in actions
    assert actions.isdisjoint({action for action in ASKED if action not in {"hovered", "scrolled_past"}})
    assert page.evaluate("clicks") == 1


def test_a_wrong_script_tag_is_said_on_the_console_and_does_nothing(page: Page, site: StaticSite) -> None:
    serve_builds(site)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(site.put("/page", '<script src="/segma.js"></script><p>Page</p>'))
    assert any("data-site" in text for text in said)
    assert page.evaluate("typeof window.segma") == "undefined"
