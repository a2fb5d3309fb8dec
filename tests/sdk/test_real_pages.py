"""What published pages, shops and mails do to the SDK: each input that failed a tracker, small, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.sdk.plain_page import PAGE, put
from tests.sdk.stage import DIST, SITE, RealCollector, StaticSite, Stored, serve_builds, tag
from tests.sdk.visit import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def told_of(stored: list[Stored], *actions: str) -> list[tuple[str, dict[str, Any]]]:
    ordered = sorted(stored, key=lambda each: each.event.order)
    return [(each.action, each.event.properties) for each in ordered if each.action in actions]


def test_the_sites_configuration_is_asked_for_once_a_page(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    visit = Visit(page, collector, put(site, collector.url))
    visit.told("all_told")
    assert len([url for url in asked if url.endswith("/config.json")]) == 1


# Named access: fields of a form stand in front of the form's own properties, elements in front of the document's.

FIELD_NAMES = (
    "id", "action", "name", "matches", "closest", "getAttribute", "elements", "tagName", "parentNode", "parentElement",
    "nodeType", "querySelector", "dataset", "getRootNode", "hasAttribute", "textContent", "method", "target",
    "addEventListener", "shadowRoot",
)  # fmt: skip
DOCUMENT_NAMES = (
    "title", "body", "hidden", "referrer", "readyState", "currentScript", "head", "addEventListener", "querySelector",
)  # fmt: skip


def test_fields_named_as_properties_of_their_form_change_nothing(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    forms = "".join(
        f"<form id='f-{name}' class='{name}' onsubmit='event.preventDefault()'><input name='{name}'>"
        f"<button class='b'>Send</button></form>"
        for name in FIELD_NAMES
    )
    visit = Visit(page, collector, put(site, collector.url, forms))
    # NOTE: the driver's own scripts stumble over such forms, so it presses a place.
    middles = """[...document.getElementsByClassName('b')].map((each) => {
        const { x, y, width, height } = each.getBoundingClientRect(); return [x + width / 2, y + height / 2]; })"""
    for x, y in page.evaluate(middles):
        page.mouse.click(x, y)
    stored = visit.told("all_told")
    assert told_of(stored, "form_submitted") == [
        ("form_submitted", {"form": f"f-{name}", "selector": f"form#f-{name}"}) for name in FIELD_NAMES
    ]
    assert len(told_of(stored, "button_clicked")) == len(FIELD_NAMES)


def test_elements_named_as_properties_of_the_document_or_the_window_change_nothing(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    named = "".join(f"<form name='{name}'></form><img name='{name}'>" for name in DOCUMENT_NAMES)
    ids = "".join(f"<div id='{name}'></div>" for name in ("dataLayer", "segma", "navigation", "fetchLater"))
    visit = Visit(page, collector, put(site, collector.url, "<p id='text'>Text</p>"))
    assert visit.of("page_viewed")[0].event.properties["title"] == "Page"
    address = put(site, collector.url, "<p id='text'>Text</p>" + named + ids)
    page.goto(address)
    page.click("#text")
    page.evaluate("history.pushState({}, '', '/two')")
    visit.wait_for("page_viewed", 3)
    visit.wait_for("page_clicked")
    views = [each.event.properties["path"] for each in visit.of("page_viewed")]
    assert sorted(views) == ["/page", "/page", "/two"]
    assert {each.event.properties["title"] for each in visit.of("page_viewed")} == {"Page"}


LATE_NAMES = ("host", "prerendering", "addEventListener", "title", "readyState")


def test_a_script_behind_elements_that_are_named_so_is_not_held_up_by_them(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    serve_builds(site)
    named = "".join(f"<form name='{name}'></form>" for name in LATE_NAMES)
    body = f"{named}<p id='text'>Text</p>{tag('minified', collector.url)}"
    visit = Visit(page, collector, site.put("/page", PAGE.format(head="", body=body)))
    page.click("#text")
    assert visit.wait_for("page_clicked")[0].event.properties["selector"] == "p#text"


XHTML = """<html xmlns="http://www.w3.org/1999/xhtml"><head><title>Drawing</title>{head}</head><body>
<svg xmlns="http://www.w3.org/2000/svg" width="200" height="40"><a id="drawn" href="/plans.pdf">
<rect width="200" height="40"></rect></a></svg><video id="film" src="/film.mp4"></video></body></html>"""


def test_links_in_drawings_and_films_in_xhtml_are_what_they_are(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    serve_builds(site)
    text = XHTML.format(head=tag("minified", collector.url))
    visit = Visit(page, collector, site.put("/page", text, "application/xhtml+xml"))
    page.evaluate("document.addEventListener('click', (event) => event.preventDefault())")
    page.click("#drawn")
    assert visit.wait_for("pdf_viewed")[0].event.properties["file"] == "/plans.pdf"
    page.evaluate("document.getElementById('film').dispatchEvent(new Event('playing'))")
    assert visit.wait_for("video_played")[0].event.properties["src"] == "/film.mp4"


@pytest.mark.parametrize("element", ["<div id='segma'></div>", "<form name='segma'></form>"])
def test_an_element_called_segma_stops_neither_loader_nor_script(
    page: Page, site: StaticSite, collector: RealCollector, element: str
) -> None:
    snippet = (DIST / "loader.js").read_text().replace("COLLECTOR/sdk/segma.js", "/segma.js")
    snippet = snippet.replace('{site:"KEY"}', f'{{site:"{SITE}",collector:"{collector.url}"}}')
    serve_builds(site)
    address = site.put("/page", PAGE.format(head="", body=f"{element}<script>{snippet}</script><p id='text'>Text</p>"))
    visit = Visit(page, collector, address)
    page.click("#text")
    visit.wait_for("page_clicked")


# Texts.


def test_texts_are_cut_at_whole_characters(page: Page, site: StaticSite, collector: RealCollector) -> None:
    title, label = "t" * 199 + "😀" * 9, "b" * 79 + "😀" * 9
    visit = Visit(
        page, collector, put(site, collector.url, f"<button>{label}</button>", before=f"<title>{title}</title>")
    )
    page.click("button")
    page.evaluate("segma.track('half', {text: 'x\\ud83d', 'key\\ude00': 1, list: ['\\ud83d']})")
    stored = visit.told("all_told")
    assert told_of(stored, "button_clicked")[0][1]["text"] == "b" * 79 + "😀"
    assert told_of(stored, "half") == [("half", {"text": "x", "key": 1, "list": [""]})]
    page.evaluate("(title) => { document.title = title; history.pushState({}, '', '/two'); }", title)
    assert visit.wait_for("page_viewed", 2)[1].event.properties["title"] == "t" * 199 + "😀"


def test_odd_values_are_told_as_far_as_they_can_be(page: Page, site: StaticSite, collector: RealCollector) -> None:
    visit = Visit(page, collector, put(site, collector.url))
    page.evaluate(
        """() => {
          const circle = { n: 1 }; circle.me = circle;
          segma.track("odd", { note: "Contact:\\njo@shop.example", circle, big: 10n ** 20n, far: 99999999999999999999,
            date: new Date(0), get thrown() { throw new Error("no"); }, not: undefined, task() {}, symbol: Symbol("s"),
            nan: "kept", isbn: "978-3-16-148410-0", card: "4111 1111 1111 1111" });
          segma.track("with_null", null);
          segma.track("with_list", ["a", "b"]);
          segma.track("with_text", "text");
          segma.track("with_proxy", new Proxy({}, { ownKeys() { throw new Error("no"); } }));
          segma.track("with_window", window);
          segma.track("product_bought", { sku: 731, price: "1.234,50", quantity: "2", value: "", order_id: 77 });
        }"""
    )
    stored = visit.told("all_told")
    assert told_of(stored, "odd") == [
        ("odd", {
            "note": "Contact:\n…", "circle": {"n": 1}, "big": "1" + "0" * 20, "far": "1" + "0" * 20,
            "date": "1970-01-01T00:00:00.000Z", "nan": "kept", "isbn": "978-3-16-148410-0", "card": "…",
        })
    ]  # fmt: skip
    assert told_of(stored, "with_null", "with_list", "with_text", "with_proxy") == [
        ("with_null", {}), ("with_list", {"0": "a", "1": "b"}), ("with_text", {}), ("with_proxy", {}),
    ]  # fmt: skip
    assert len(told_of(stored, "with_window")) == 1
    bought = {"sku": "731", "price": 1234.5, "quantity": 2, "order_id": "77"}
    assert told_of(stored, "product_bought") == [("product_bought", bought)]


def test_searches_keep_their_numbers_and_secret_fields_are_told_by_whole_words(
    page: Page, site: StaticSite, collector: RealCollector
) -> None:
    body = "".join(f"<input id='{name}'>" for name in ("q-className", "passenger", "cardNumber", "user-pin"))
    visit = Visit(page, collector, put(site, collector.url, body))
    for name in ("q-className", "passenger", "cardNumber", "user-pin"):
        page.focus(f"#{name}")
    cards = ("4111 1111 1111 1111", "41 11 11 11 11 11 11 11 12 27", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1")
    for at, query in enumerate(("iphone 15 256 gb", "9783161484100", "41 42 43 44 45 46 47 48", *cards)):
        page.evaluate(
            "(query) => history.pushState({}, '', `/s${query[0]}?q=${encodeURIComponent(query[1])}`)", [at, query]
        )
        page.evaluate("history.pushState({}, '', '/between')")
    visit.wait_for("page_viewed", 13)
    stored = visit.told("all_told")
    assert [each["query"] for _, each in told_of(stored, "searched")] == [
        "iphone 15 256 gb", "9783161484100", "41 42 43 44 45 46 47 48", "…", "… 12 27", "…",
    ]  # fmt: skip
    assert [each["field"] for _, each in told_of(stored, "field_focused")] == ["q-className", "passenger"]


# A page's globals.

PROTOTYPE_JS = """for (const type of [Object, Array, String, Number, Date, Boolean])
  Object.defineProperty(type.prototype, "toJSON", { value() { return `"${typeof this}"`; }, writable: true });"""
REPLACED = """const Broken = Error; const no = () => { throw new Broken("replaced"); };
for (const name of ["Map", "Set", "WeakMap", "WeakSet", "Promise", "URL", "URLSearchParams", "Date", "String", "Number",
  "Array", "Object", "Math", "fetch", "Request", "AbortController", "isFinite", "Element", "HTMLFormElement"])
  window[name] = no;
window.JSON = { stringify: no, parse: no }; const found = [];
console.warn = no;
for (const type of [[].constructor, "".constructor, /x/.constructor, new Original.Map().constructor,
  new Original.Set().constructor, new Original.WeakMap().constructor, new Original.Promise(() => 1).constructor])
  for (const name of Original.names(type.prototype))
    if (!/^(constructor|exec)$/.test(name)) {
      const { value } = Original.described(type.prototype, name);
      if (typeof value === "function") found.push([type.prototype, name]);
    }
for (let at = 0; at < found.length; at += 1) Original.define(found[at][0], found[at][1], { value: no });"""
ORIGINALS = """window.Original = { Map, Set, WeakMap, Promise, names: Object.getOwnPropertyNames,
  described: Object.getOwnPropertyDescriptor, define: Object.defineProperty };"""


@pytest.mark.parametrize("when", ["toJSON before", "toJSON after", "replaced after"])
def test_nothing_that_a_page_does_to_its_globals_changes_what_is_told(
    page: Page, site: StaticSite, collector: RealCollector, when: str
) -> None:
    hostile = f"<script>{PROTOTYPE_JS}</script>"
    if when == "toJSON before":
        address = put(site, collector.url, "<p id='text'>Text</p>", before=hostile)
    else:
        body = "<p id='text'>Text</p><button id='b' class='x y'>Button</button>"
        code = hostile if when == "toJSON after" else f"<script>{ORIGINALS}{REPLACED}</script>"
        address = put(site, collector.url, body, after=code)
    page.goto(address)
    page.mouse.click(20, 20)
    page.locator("#text").click()
    # What is under way when a page ends is another test's (test_delivery): here its requests have been answered.
    collector.wait_for(lambda stored: [each.action for each in stored].count("page_clicked") == 2)
    page.goto("about:blank")
    collector.wait_for(lambda stored: "page_closed" in {each.action for each in stored})
    assert {"page_viewed", "page_loaded"} <= {each.action for each in collector.stored}
    view = next(each for each in collector.stored if each.action == "page_viewed")
    assert view.event.properties["path"] == "/page"


# Navigations in place.


@pytest.mark.parametrize("delay", [0, 120, 450])
def test_a_view_in_place_has_its_own_title_and_the_time_and_place_of_the_navigation(
    page: Page, site: StaticSite, collector: RealCollector, delay: int
) -> None:
    visit = Visit(page, collector, put(site, collector.url))
    at = page.evaluate(
        """(delay) => { const at = Date.now(); history.pushState({}, "", "/two"); segma.track("after_it");
          setTimeout(() => { document.title = "Two"; }, delay); return at; }""",
        delay,
    )
    _, view = visit.wait_for("page_viewed", 2)
    assert view.event.properties["title"] == "Two"
    assert 0 <= view.event.occurred_at_ms - at < 50
    assert view.event.order < visit.wait_for("after_it")[0].event.order


# Tags.

WRITTEN = """<script>document.write('<script src="/segma.js" data-site="{site}" ' +
  'data-collector="{collector}"><\\/script>')</script>"""
MODULE = '<script type="module" src="/segma.js" data-site="{site}" data-collector="{collector}"></script>'
LATER = """<script type="x-text/javascript" src="/segma.js" data-site="{site}" data-collector="{collector}"></script>
<script>fetch("/segma.js").then((answer) => answer.text()).then((text) => {{
  const copy = document.createElement("script");
  copy.src = URL.createObjectURL(new Blob([text])); document.head.append(copy);
  Object.defineProperty(Document.prototype, "currentScript", {{ get: () => null }}); }});</script>"""
COPIED = """<script type="x-text/javascript" src="/segma.js" data-site="{site}" data-collector="{collector}"></script>
<script>fetch("/segma.js").then((answer) => answer.text()).then((text) => {{
  const copy = document.createElement("script"); copy.text = text; document.head.append(copy); }});</script>"""


@pytest.mark.parametrize(
    "how",
    [WRITTEN, MODULE, LATER, COPIED],
    ids=["document.write", "module", "a page's own loader", "a tag of the page's own"],
)
def test_the_tag_is_found_where_the_browser_does_not_name_it(
    page: Page, site: StaticSite, collector: RealCollector, how: str
) -> None:
    serve_builds(site)
    head = '<script data-site="OTHER" src="/other.js"></script>' + how.format(site=SITE, collector=collector.url)
    visit = Visit(page, collector, site.put("/page", PAGE.format(head=head, body="<p id='text'>Text</p>")))
    page.click("#text")
    visit.wait_for("page_clicked")


def test_what_was_pushed_before_somebody_agreed_is_not_told(
    context: BrowserContext, page: Page, site: StaticSite, collector: RealCollector
) -> None:
    sale = "{event: 'purchase', ecommerce: {transaction_id: '%s', items: [{item_id: 'r'}]}}"
    layer = f"<script>window.dataLayer = [{sale % 'before'}]</script>"
    address = put(site, collector.url, before=layer, attributes="data-consent=required")
    page.goto(address)
    page.evaluate(f"dataLayer.push({sale % 'still before'}); segma.consent(true); dataLayer.push({sale % 'after'})")
    (bought,) = collector.wait_for_action("product_bought")
    assert bought.event.properties["order_id"] == "after"
    page.reload()
    found = collector.wait_for_action("product_bought", 2)
    assert found[1].event.properties["order_id"] == "before", "agreed before the page was opened"
