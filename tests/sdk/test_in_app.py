"""Browsers inside apps, imitated in Chromium: what ``docs/mail.md`` says of them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.sdk.stage import RealCollector, StaticSite, Stored, serve_builds, tag, token
from tests.sdk.visit import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGE = "<!doctype html><title>Page</title>{tag}<body><a id='link' href='/other'>Other</a><p id='text'>Text</p></body>"
NO_STORAGE = {
    "null": "Object.defineProperty(window, 'localStorage', { value: null });",
    "throws": "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException(); } });",
}
AGENTS = {
    "Android web view": "Mozilla/5.0 (Linux; Android 15; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0"
    " Chrome/141.0.0.0 Mobile Safari/537.36",
    "Gmail": "Mozilla/5.0 (Linux; Android 15; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/141.0.0.0"
    " Mobile Safari/537.36 Gmail/2025",
    "Instagram": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Mobile/22G86 Instagram 390.0",
    "Facebook": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Mobile/22G86 [FBAN/FBIOS;FBAV/520.0]",
}


def put(site: StaticSite, collector: str) -> str:
    serve_builds(site)
    site.put("/other", "<!doctype html><title>Other</title>")
    return site.put("/page", PAGE.format(tag=tag("minified", collector)))


def own(stored: list[Stored]) -> list[Stored]:
    """The events of the device that came by the link: what another test's page said last may come late."""
    devices = {each.beacon.device for each in stored if each.action == "email_clicked"}
    return [each for each in stored if each.beacon.device in devices]


@pytest.mark.parametrize("how", NO_STORAGE)
def test_without_storage_a_links_token_says_who_it_is_and_nothing_of_the_page_is_lost(
    page: Page, site: StaticSite, collector: RealCollector, how: str
) -> None:
    page.add_init_script(NO_STORAGE[how])
    page.goto(f"{put(site, collector.url)}#sgm={token()}")
    page.click("#text")
    page.click("#link")
    page.wait_for_url("**/other")
    wanted = {"email_clicked", "page_viewed", "page_clicked", "page_closed"}
    found = own(collector.wait_for(lambda stored: wanted <= {each.action for each in own(stored)}))
    assert {each.record.subscriber for each in found} == {"s_anna"}
    assert len({each.beacon.device for each in found}) == 1


def test_without_beacons_and_deferred_requests_a_click_that_leaves_the_page_arrives(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    page.add_init_script("delete Navigator.prototype.sendBeacon; delete window.fetchLater;")
    visit = Visit(page, collector, put(site, collector.url))
    assert page.evaluate("[typeof navigator.sendBeacon, typeof fetchLater]") == ["undefined", "undefined"]
    page.click("#link")
    page.wait_for_url("**/other")
    assert len(visit.wait_for("page_clicked")) == len(visit.wait_for("page_closed")) == 1


def test_a_visit_whose_storage_ends_with_it_is_the_links_person_each_time(
    browser: Browser, site: StaticSite, collector: RealCollector
) -> None:
    devices = set()
    for _ in range(2):
        context = browser.new_context()
        visit = Visit(context.new_page(), collector, f"{put(site, collector.url)}#sgm={token()}")
        assert {each.record.subscriber for each in visit.mine()} == {"s_anna"}
        devices.add(visit.device)
        context.close()
    assert len(devices) == 2


def test_in_a_frame_of_another_site_everything_arrives_as_another_devices(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    address = put(site, collector.url)
    visit = Visit(page, collector, address)
    around = StaticSite()
    page.goto(around.put("/", f"<iframe name=inside src='{address}'></iframe>").replace("127.0.0.1", "localhost"))
    page.frame_locator("iframe").locator("#text").click()
    (clicked,) = collector.wait_for_action("page_clicked")
    assert clicked.beacon.device != visit.device
    around.stop()


@pytest.mark.parametrize("app", AGENTS)
def test_what_an_app_says_of_itself_changes_nothing(
    browser: Browser, site: StaticSite, collector: RealCollector, app: str
) -> None:
    context: BrowserContext = browser.new_context(user_agent=AGENTS[app])
    visit = Visit(context.new_page(), collector, f"{put(site, collector.url)}#sgm={token()}")
    visit.tab.click("#text")
    visit.wait_for("page_clicked")
    visit.told("all_told")
    assert sorted(visit.actions()) == ["all_told", "email_clicked", "page_clicked", "page_loaded", "page_viewed"]
    context.close()
