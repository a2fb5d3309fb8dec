"""Tokens that come with a link, whole, damaged or as what they never became, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.sdk.plain_page import put
from tests.sdk.stage import RealCollector, StaticSite, Stored, token
from tests.sdk.visit import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def said(page: Page) -> Iterator[list[str]]:
    """What stands on the console; never a token, never an address."""
    lines: list[str] = []
    page.on("console", lambda message: lines.append(message.text))
    yield lines
    assert not any("://" in line or "k1." in line for line in lines if line.startswith("segma"))


def landed(page: Page, collector: RealCollector, address: str) -> Stored:
    page.goto(address)
    (click,) = collector.wait_for_action("email_clicked")
    page.evaluate("localStorage.clear()")
    collector.forget()
    return click


def test_damaged_links_are_read_and_cleaned(
    page: Page, site: StaticSite, collector: RealCollector, said: list[str]
) -> None:
    address = put(site, collector.url)
    site.put("/x", site.files["/page"][0])  # the server takes the second stroke away
    sealed = token()
    damaged = {
        f"#sgm={sealed}.": "", f"?sgm={sealed}%20": "", f"?a=1&amp;sgm={sealed}]": "?a=1",
        f"?sgm=#sgm={sealed}…": "", f"?sgm={sealed}?utm_campaign=spring": "?utm_campaign=spring",
    }  # fmt: skip
    for link, left in damaged.items():
        click = landed(page, collector, address + link)
        assert (page.url, click.record.subscriber) == (address + left, "s_anna"), link
        if "spring" in link:
            assert click.event.properties["campaign"] == "spring"
    site.put("/based", site.files["/page"][0].replace(b"</head>", b"<base href='https://elsewhere.example/'></head>"))
    for path in ("//x", "/based"):
        click = landed(page, collector, f"{site.url}{path}?sgm={sealed}")
        assert (page.url, click.record.subscriber) == (site.url + path, "s_anna")
    assert not any("replaceState" in line for line in said)


IN_PLACE = {
    "a link": "(mark) => { const a = document.createElement('a'); a.href = mark; document.body.append(a); a.click(); }",
    "the fragment": "(mark) => { location.hash = mark; }",
    "an entry": "(mark) => history.pushState({ own: 1 }, '', mark)",
}


@pytest.mark.parametrize("api", ["with", "without"])
@pytest.mark.parametrize("way", IN_PLACE)
def test_a_token_that_comes_without_a_page_is_taken_as_at_load(
    page: Page, site: StaticSite, collector: RealCollector, way: str, api: str
) -> None:
    if api == "without":
        page.add_init_script("Object.defineProperty(window, 'navigation', { value: undefined })")
    address = put(site, collector.url, attributes="data-hash-routing")
    visit = Visit(page, collector, f"{address}#sgm={token()}")
    visit.wait_for("email_clicked")
    marks = {f"#sgm={token('s_ben')}.": "", f"#/basket?sgm={token('s_cleo')}]": "#/basket"}
    for at, (mark, left) in enumerate(marks.items()):
        page.evaluate(IN_PLACE[way], mark)
        click = collector.wait_for_action("email_clicked", at + 2)[-1]
        assert (page.url, click.record.subscriber) == (address + left, ("s_ben", "s_cleo")[at])
    page.evaluate(IN_PLACE[way], "#sgm=*|TOKEN|*")
    page.evaluate("segma.track('still_cleo')")
    collector.wait_for_action("page_viewed", 3)
    collector.wait_for_action("still_cleo")
    stored = sorted(collector.stored, key=lambda each: each.event.order)
    told = [(each.action, each.record.subscriber, each.event.properties) for each in stored]
    assert [who for action, who, _ in told if action == "still_cleo"] == ["s_cleo"]
    assert [said["token_problem"] for _, _, said in told if "token_problem" in said] == ["token_malformed"]
    views = [(said["path"], who) for action, who, said in told if action == "page_viewed"]
    assert views == [("/page", "s_anna"), ("/page#/basket", "s_cleo"), ("/page", "s_cleo")]


def test_a_token_that_comes_before_anybody_agreed_is_cleaned_at_once_and_taken_after(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    address = put(site, collector.url, attributes='data-consent="required"')
    page.goto(address)
    page.evaluate(IN_PLACE["the fragment"], f"#sgm={token('s_ben')}")
    page.wait_for_url(address)
    assert collector.stored == []
    page.evaluate("segma.consent(true)")
    assert collector.wait_for_action("email_clicked")[0].record.subscriber == "s_ben"


@pytest.mark.parametrize("field", ["*|SEGMATOK|*", "{{ person.token }}", "None", "undefined", ""])
def test_what_is_no_token_leaves_the_person_alone_and_is_told(
    page: Page, site: StaticSite, collector: RealCollector, field: str
) -> None:
    address = put(site, collector.url)
    visit = Visit(page, collector, f"{address}#sgm={token()}")
    visit.wait_for("email_clicked")
    page.goto(f"{address}?sgm={field}&utm_campaign=spring")
    clicks = visit.wait_for("email_clicked", 2)
    wanted = {"path": "/page", "campaign": "spring", "token_problem": "token_malformed"}
    assert clicks[1].event.properties == wanted
    assert page.url == f"{address}?utm_campaign=spring"
    page.evaluate("segma.track('still_anna')")
    assert visit.wait_for("still_anna")[0].record.subscriber == "s_anna"
