"""Canaries: nothing private is in any request, address or Referer of a visit; the token is only where it belongs."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Request

from tests.sdk.site import serve
from tests.sdk.stage import BUILDS, SECRETS, RealCollector, StaticSite, token
from tests.sdk.visit import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def walk(page: Page) -> None:
    """Everything private that a person does on a page."""
    typed = {
        "#user": "typed-canary jo@example.org",
        "#password": "password-canary",
        "#company": "typed-canary",
        "#note": "typed-canary with jo@example.org",
        "#card": "4111111111111111",
        "#code": "onetime-canary",
        "#masked": "masked-canary",
        "#free": "typed-canary",
    }
    for selector, text in typed.items():
        page.focus(selector)
        page.keyboard.type(text)
        page.locator(selector).select_text()
        page.keyboard.press("Control+c")
        page.keyboard.press("Control+x")
        page.evaluate("navigator.clipboard.writeText('pasted-canary jo@example.org')")
        page.keyboard.press("Control+v")
    page.locator("#secret").select_text()
    page.keyboard.press("Control+c")
    page.fill("#query", "shoes for jo@example.org 4111 1111 1111 1111")
    page.keyboard.press("Enter")
    page.click("#plain")
    page.click("#enter")
    page.click("#send")
    page.evaluate("segma.track('profile_saved', { mail: 'jo@example.org', link: '/u/jo%40example.org' })")
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('a'), { id: 'gift', download: 'gift.txt',"
        " href: 'data:text/plain,file-canary', textContent: 'For jo@example.org 4111 1111 1111 1111' }));"
        "document.title = 'Mail of jo@example.org'; document.querySelector('#gift').click()"
    )
    page.locator("#gift").click(no_wait_after=True)
    page.evaluate("history.pushState({}, '', '/shop/jo@example.org')")
    page.evaluate("history.pushState({}, '', '/shop/account?session=parameter-canary')")


@pytest.mark.parametrize("build", BUILDS)
def test_no_canary_sings(page: Page, site: StaticSite, collector: RealCollector, build: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    asked: list[Request] = []
    page.context.on("request", lambda request: asked.extend([request]))
    sealed = token()
    address = serve(site, build, collector.url, 'data-params="utm_*,session,mail"')
    visit = Visit(page, collector, f"{address}?session=parameter-canary&mail=canary#sgm={sealed}")
    walk(page)
    visit.told("walked")
    page.goto(site.url + "/shop/runner")
    visit.wait_for("page_closed", 2)
    bodies = [each.record.body for each in collector.stored]
    assert len({each.action for each in visit.mine()}) >= 15
    own = [
        f"{request.method} {request.url} {request.headers}"
        for request in asked
        if request.url.startswith(collector.url)
    ]
    everything = b"\n".join([*bodies, *(text.encode() for text in own)]).lower()
    assert [secret for secret in SECRETS if secret.lower().encode() in everything] == []
    # The token: in the bodies of beacons, where the collector reads and removes it; in no address but the landing's
    # fragment, which no server gets to see.
    assert {each.record.subscriber for each in visit.mine()} == {"s_anna"}
    assert [request.url for request in asked if sealed in request.url and not request.is_navigation_request()] == []
    assert not any(sealed in str(request.headers) for request in asked)
    assert not any(sealed in path or sealed in str(headers) for _, path, headers in site.requests)
    assert not any(sealed in each.record.user_agent + each.record.origin for each in collector.stored)


def test_a_querys_token_is_in_the_landing_request_and_nowhere_else(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    site.headers["referrer-policy"] = "strict-origin"
    sealed = token()
    visit = Visit(page, collector, serve(site, "minified", collector.url) + f"?sgm={sealed}&a=1")
    page.click("#plain")
    page.goto(site.url + "/shop/runner?second=1")
    visit.wait_for("page_viewed", 2)
    with_token = [path for _, path, headers in site.requests if sealed in path or sealed in str(headers)]
    assert with_token == [f"/shop/runner?sgm={sealed}&a=1"]
    assert sealed not in page.evaluate("document.referrer + location.href")
