"""Pages of every kind: in place, from the cache, prerendered, under a policy, with odd neighbours; who it is."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.sdk.stage import BUILDS, DIST, SITE, RealCollector, StaticSite, serve_builds, tag, token
from tests.sdk.visit import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGE = "<!doctype html><title>Page</title>{head}<body><a id='link' href='/other'>Other</a><p id='text'>Text</p></body>"


def put(site: StaticSite, collector: str, *, build: str = "minified", attributes: str = "", head: str = "") -> str:
    serve_builds(site)
    site.put("/other", PAGE.format(head=""))
    return site.put("/page", PAGE.format(head=head + tag(build, collector, attributes)))


def paths(visit: Visit, action: str) -> list[str]:
    return [each.event.properties["path"] for each in sorted(visit.of(action), key=lambda each: each.event.order)]


@pytest.mark.parametrize("build", BUILDS)
def test_a_page_is_viewed_loaded_and_closed(page: Page, site: StaticSite, collector: RealCollector, build: str) -> None:
    visit = Visit(page, collector, put(site, collector.url, build=build))
    page.goto(site.url + "/other")
    (closed,) = visit.wait_for("page_closed")
    assert visit.actions() == ["page_viewed", "page_loaded", "page_closed"]
    assert closed.event.properties["path"] == "/page"
    assert closed.event.properties["visible_ms"] >= 0


def test_a_closed_tab_is_a_closed_page(context: BrowserContext, site: StaticSite, collector: RealCollector) -> None:
    tab = context.new_page()
    visit = Visit(tab, collector, put(site, collector.url))
    tab.close(run_before_unload=False)
    visit.wait_for("page_closed")
    assert visit.actions() == ["page_viewed", "page_loaded", "page_closed"]


def test_pages_exchanged_in_place_are_views_and_a_change_of_the_query_is_none(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    visit = Visit(page, collector, put(site, collector.url))
    page.evaluate("history.pushState({}, '', '/two'); document.title = 'Two'")
    page.evaluate("history.replaceState({}, '', '/two?filter=1')")
    page.evaluate("location.hash = 'part'")
    page.go_back()
    page.go_back()
    visit.wait_for("page_viewed", 3)
    visit.told("all_told")
    assert paths(visit, "page_viewed") == ["/page", "/two", "/page"]
    assert paths(visit, "page_closed") == ["/page", "/two"]
    assert visit.of("page_viewed")[1].event.properties["title"] == "Two"


def test_without_the_navigation_api_it_is_the_same(page: Page, site: StaticSite, collector: RealCollector) -> None:
    page.add_init_script("Object.defineProperty(window, 'navigation', { value: undefined })")
    visit = Visit(page, collector, put(site, collector.url))
    page.evaluate("history.pushState({}, '', '/two')")
    page.go_back()
    visit.wait_for("page_viewed", 3)
    assert paths(visit, "page_viewed") == ["/page", "/two", "/page"]


def test_where_the_fragment_is_the_route_its_changes_are_views(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    visit = Visit(page, collector, put(site, collector.url, attributes="data-hash-routing"))
    page.evaluate("location.hash = '/basket'")
    page.evaluate("location.hash = '/basket?sort=1'")
    visit.wait_for("page_viewed", 2)
    visit.told("all_told")
    assert paths(visit, "page_viewed") == ["/page", "/page#/basket"]


ROUTER = """<a id="deep" href="#/basket/7?sort=1">Basket</a><a id="bang" href="#!/help">Help</a><a id="part" href="#part">Part</a>
<a id="secret" href="#/access_token=s3cret&x=1">In</a><a id="pushed" href="/pushed">Pushed</a><p id="part">Part</p><script>
const titled = () => setTimeout(() => { document.title = location.pathname + location.hash; }, 300);
addEventListener("hashchange", titled);
pushed.onclick = (event) => { event.preventDefault(); history.pushState({}, "", "/pushed"); titled(); };
</script>"""  # noqa: E501


@pytest.mark.parametrize("api", ["with", "without"])
def test_a_click_on_a_link_to_a_route_is_before_the_routes_view(
    page: Page, site: StaticSite, collector: RealCollector, api: str
) -> None:
    if api == "without":
        page.add_init_script("Object.defineProperty(window, 'navigation', { value: undefined })")
    serve_builds(site)
    site.put("/app", f"<!doctype html><title>App</title>{tag('minified', collector.url)}<body>{ROUTER}</body>")
    visit = Visit(page, collector, f"{site.url}/app")
    wanted = []
    for link, path in (("deep", "/app#/basket/7"), ("bang", "/app#!/help"), ("secret", "/app#/access_token")):
        page.click(f"#{link}")
        wanted += ["page_clicked", "page_closed", "page_viewed"]
        (*_, view) = visit.wait_for("page_viewed", 1 + len(wanted) // 3)
        assert view.event.properties["path"] == path
        assert view.event.properties["title"].startswith("/app#")
    page.click("#pushed")
    visit.wait_for("page_viewed", 5)
    page.click("#part")
    visit.wait_for("page_clicked", 5)
    wanted += ["page_clicked", "page_closed", "page_viewed", "page_clicked"]
    pages = [action for action in visit.actions() if action.startswith("page_")]
    assert pages == ["page_viewed", "page_loaded", *wanted]
    assert paths(visit, "page_viewed")[-1] == "/pushed"


@pytest.mark.system_browser
def test_a_page_that_comes_back_from_the_cache_is_viewed_again(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    visit = Visit(page, collector, put(site, collector.url))
    page.evaluate("window.same = true")
    page.goto(site.url + "/other")
    page.go_back(wait_until="commit")
    visit.wait_for("page_viewed", 2)
    assert page.evaluate("window.same") is True, "the browser did not keep the page"
    assert len(visit.wait_for("page_closed")) == 1


def test_a_prerendered_page_is_viewed_when_it_is_shown(page: Page, site: StaticSite, collector: RealCollector) -> None:
    page.add_init_script(
        "window.shown = false;"
        "Object.defineProperty(Document.prototype, 'prerendering', { get: () => !window.shown, configurable: true })"
    )
    page.goto(put(site, collector.url))
    page.wait_for_function("!!window.segma?.v")
    assert page.evaluate("localStorage.length") == 0
    page.evaluate("window.shown = true; document.dispatchEvent(new Event('prerenderingchange'))")
    found = collector.wait_for_action("page_viewed")
    assert len(found) == 1


def test_included_twice_it_tells_once(page: Page, site: StaticSite, collector: RealCollector) -> None:
    twice = tag("minified", collector.url)
    visit = Visit(page, collector, put(site, collector.url, head=twice))
    page.click("#text")
    visit.told("all_told")
    assert sorted(visit.actions()) == ["all_told", "page_clicked", "page_loaded", "page_viewed"]


def test_where_storage_is_denied_the_page_lasts(page: Page, site: StaticSite, collector: RealCollector) -> None:
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })"
    )
    page.goto(put(site, collector.url) + f"#sgm={token()}")
    page.click("#text")
    (clicked,) = collector.wait_for_action("page_clicked")
    assert clicked.record.subscriber == "s_anna"


@pytest.mark.parametrize("how", ["script tag", "loader"])
def test_in_a_sandboxed_frame_it_is_quiet_and_harms_nobody(
    page: Page, site: StaticSite, collector: RealCollector, how: str
) -> None:
    visit = Visit(page, collector, put(site, collector.url))
    loader = (DIST / "loader.js").read_text().replace("COLLECTOR/sdk/segma.js", "/segma.js")
    loader = loader.replace('{site:"KEY"}', f'{{site:"{SITE}",collector:"{collector.url}"}}')
    head = tag("minified", collector.url) if how == "script tag" else f"<script>{loader}</script>"
    counting = "<script>window.clicks = 0; addEventListener('click', () => { clicks += 1; });</script>"
    inside = site.put("/inside", PAGE.format(head=head) + counting)
    page.evaluate(
        "(src) => document.body.append(Object.assign(document.createElement('iframe'),"
        " { src, sandbox: 'allow-scripts', name: 'inside' }))",
        f"{inside}#sgm={token()}",
    )
    page.frame_locator("iframe").locator("#text").wait_for()
    frame = page.frame("inside")
    assert frame is not None
    frame.wait_for_function("window.segma?.v === 1")
    assert frame.evaluate("origin") == "null"
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    frame.click("#text")
    frame.evaluate(
        "segma.track('from_inside'); segma.identify('k.' + 'T'.repeat(24)); segma.reset(); segma.consent(true)"
    )
    assert frame.evaluate("clicks") == 1
    page.click("#text")
    visit.wait_for("page_clicked")
    assert visit.told("all_told")
    assert [text for text in said if text.startswith("segma")] == []


PATCHES = {
    "afterwards": (
        "",
        "const no = () => { throw new Error('patched'); };"
        "window.fetch = no; navigator.sendBeacon = no; window.fetchLater = no; history.replaceState = no;",
    ),
    "before": ("window.fetch = () => { throw new Error('patched'); };", ""),
}


@pytest.mark.parametrize("when", PATCHES)
def test_a_page_that_exchanges_fetch_changes_nothing(
    page: Page, site: StaticSite, collector: RealCollector, when: str
) -> None:
    before, afterwards = PATCHES[when]
    page.add_init_script(before)
    page.goto(put(site, collector.url))
    page.wait_for_function("!!window.segma?.v")
    page.evaluate(f"() => {{ {afterwards} }}")
    page.click("#text")
    page.click("#link")
    page.wait_for_url("**/other")
    assert len(collector.wait_for_action("page_clicked", 2)) == 2


@pytest.mark.parametrize("loader", [False, True], ids=["script tag", "loader"])
def test_a_strict_policy_with_trusted_types_is_kept(
    page: Page, site: StaticSite, collector: RealCollector, loader: bool
) -> None:
    nonce = "n0nce"
    site.headers["content-security-policy"] = (
        f"default-src 'none'; script-src {site.url}/segma.js 'nonce-{nonce}'; connect-src {collector.url};"
        f" require-trusted-types-for 'script'; trusted-types {'segma' if loader else chr(39) + 'none' + chr(39)}"
    )
    serve_builds(site)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    snippet = (DIST / "loader.js").read_text().replace("COLLECTOR/sdk/segma.js", "/segma.js")
    snippet = snippet.replace('{site:"KEY"}', f'{{site:"{SITE}",collector:"{collector.url}"}}')
    early = "segma.track('early_call', { n: 1 });"
    head = f"<script nonce={nonce}>{snippet};{early}</script>" if loader else tag("minified", collector.url)
    address = site.put("/page", PAGE.format(head=head))
    visit = Visit(page, collector, address + f"?sgm={token()}&a=1")
    assert page.url == address + "?a=1"
    page.click("#text")
    visit.wait_for("page_clicked")
    assert len(visit.of("early_call")) == (1 if loader else 0)
    assert {each.record.subscriber for each in visit.mine()} == {"s_anna"}
    assert [text for text in said if "Content Security Policy" in text or "TrustedScript" in text] == []


def test_a_clock_that_is_wrong_is_put_right_by_the_beacon(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    page.add_init_script("{ const real = Date.now; Date.now = () => real() - 3600000; }")
    visit = Visit(page, collector, put(site, collector.url))
    (view,) = visit.of("page_viewed")
    corrected = view.event.occurred_at_ms + view.record.skew_ms
    assert abs(view.record.skew_ms - 3_600_000) < 120_000
    assert 0 <= view.record.received_at_ms - corrected < 120_000


def test_a_fragments_token_is_gone_before_the_page_looks_and_says_who_it_is(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    address = put(site, collector.url)
    site.put(
        "/page",
        site.files["/page"][0].decode().replace("</title>", "</title>", 1)
        + "<script>window.seen = location.href</script>",
    )
    sealed = token()
    visit = Visit(page, collector, f"{address}#sgm={sealed}&sgm_click=c77&part=2")
    assert page.evaluate("window.seen") == page.url == f"{address}#part=2"
    (click,) = visit.wait_for("email_clicked")
    assert (click.event.event_id, click.beacon.click, click.record.subscriber) == ("c-c77", "c77", "s_anna")


@pytest.mark.parametrize("own", ["", "#part=2", "#prices", "#/route", "#/route?x=1"])
def test_the_redirect_lands_with_a_fragment_beside_the_pages_own(
    page: Page, site: StaticSite, collector: RealCollector, own: str
) -> None:
    address = put(site, collector.url, head='<link rel="stylesheet" href="/style">')
    query = urlencode({"u": f"{address}?a=1{own}", "utm_campaign": "spring"})
    visit = Visit(page, collector, f"{collector.url}/r/{token()}/fragment?{query}")
    (click,) = visit.wait_for("email_clicked")
    assert page.url == f"{address}?a=1&utm_campaign=spring{own}"
    assert (click.event.event_id, click.record.subscriber) == (f"c-{click.beacon.click}", "s_anna")
    assert click.event.properties["campaign"] == "spring"
    seen = [request for request in site.requests if token()[:20] in repr(request)]
    assert seen == [], "the site's server sees no token, nor does a Referer"


def test_who_logs_in_and_out(page: Page, site: StaticSite, collector: RealCollector) -> None:
    address = put(site, collector.url)
    visit = Visit(page, collector, address)
    anna, ben = token("s_anna"), token("s_ben")
    page.evaluate("(token) => { segma.identify(token); segma.track('as_anna'); }", anna)
    (first,) = visit.wait_for("as_anna")
    assert (first.record.subscriber, first.beacon.device) == ("s_anna", visit.device)
    # Another person's mail on a device where somebody has logged in: its own click, and nothing else.
    page.goto("about:blank")
    page.goto(f"{address}#sgm={ben}")
    (click,) = collector.wait_for_action("email_clicked")
    assert (click.record.subscriber, click.event.properties["shared"]) == ("s_ben", True)
    assert click.beacon.device != visit.device
    page.evaluate("segma.track('still_anna')")
    assert visit.wait_for("still_anna")[0].record.subscriber == "s_anna"
    page.evaluate("segma.reset(); segma.track('nobody')")
    (nobody,) = collector.wait_for_action("nobody")
    assert nobody.record.subscriber == ""
    assert nobody.beacon.device not in {visit.device, click.beacon.device}


def test_anonymous_until_somebody_agrees(page: Page, site: StaticSite, collector: RealCollector) -> None:
    page.goto(put(site, collector.url, attributes='data-consent="anonymous"') + f"#sgm={token()}")
    (view,) = collector.wait_for_action("page_viewed")
    assert (view.record.subscriber, view.beacon.token) == ("", "")
    assert page.evaluate("localStorage.length") == 0
    page.evaluate("segma.consent(true); segma.track('agreed')")
    (agreed,) = collector.wait_for_action("agreed")
    assert agreed.record.subscriber == "s_anna"
    assert len(collector.wait_for_action("email_clicked")) == 1
    page.evaluate("segma.consent(false); segma.track('too_late')")
    assert page.evaluate("Object.keys(localStorage).map((key) => key.split('.').pop())") == ["consent"]


def test_only_the_features_that_are_asked_for_are_there(page: Page, site: StaticSite, collector: RealCollector) -> None:
    script = f'<script src="{collector.url}/sdk/segma.js?f=forms" data-site="{SITE}"></script>'
    address = site.put("/page", PAGE.format(head=script) + "<form id=f><input name=a><button id=b>B</button></form>")
    visit = Visit(page, collector, address)
    page.keyboard.press("Escape")
    page.focus("input")
    page.click("#text")
    visit.told("all_told")
    assert {"field_focused", "page_clicked"} <= set(visit.actions())
    assert "key_pressed" not in visit.actions()
