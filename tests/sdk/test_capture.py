"""The table: real input gives exactly the right events in the log behind the collector, a control gives none."""

# mypy: disable-error-code="func-returns-value"

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.sdk.site import PLAYER, serve
from tests.sdk.stage import BUILDS, RealCollector, StaticSite, Stored
from tests.sdk.visit import Visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Event = tuple[str, dict[str, Any]]
Gesture = Callable[[Page], object]
OF_PAGES = ("page_viewed", "page_loaded", "page_closed", "all_told", "control_told")


@dataclass(frozen=True)
class Row:
    """What is done, which events that must give, and what must give none."""

    name: str
    gesture: Gesture
    events: tuple[Event, ...]
    control: Gesture | None = None
    ignored: tuple[str, ...] = ()
    """Actions that the gesture brings along and that have rows of their own; ``mouse_moved`` always."""
    any_order: bool = False


def press(*keys: str) -> Gesture:
    return lambda page: [page.keyboard.press(key) for key in keys]


def click(selector: str, **options: Any) -> Gesture:
    return lambda page: page.click(selector, **options)


def script(code: str) -> Gesture:
    return lambda page: page.evaluate(code)


def then(*gestures: Gesture) -> Gesture:
    return lambda page: [gesture(page) for gesture in gestures]


def typed(selector: str, text: str) -> Gesture:
    return lambda page: (page.focus(selector), page.keyboard.type(text), page.evaluate("document.activeElement.blur()"))


def rest(selector: str, ms: int) -> Gesture:
    return lambda page: (page.hover(selector), page.wait_for_timeout(ms), page.mouse.move(900, 5))


def held(key: str) -> Gesture:
    return lambda page: (
        page.keyboard.down(key),
        page.keyboard.down(key),
        page.keyboard.down(key),
        page.keyboard.up(key),
    )


def button(selector: str, text: str, **more: Any) -> Event:
    return ("button_clicked", {"selector": selector, "text": text, **more})


def clicked(selector: str, text: str = "") -> Event:
    return ("page_clicked", {"selector": selector, "text": text})


def field(action: str, name: str, selector: str, form: str = "contact") -> Event:
    return (action, {"form": form, "field": name, "selector": selector})


def ime(page: Page) -> None:
    page.focus("#company")
    session = page.context.new_cdp_session(page)
    session.send("Input.imeSetComposition", {"text": "x", "selectionStart": 1, "selectionEnd": 1})
    session.send("Input.insertText", {"text": "ｘ"})


CARD = {"number": "4111111111111111", "name": "Typed Canary", "expiryMonth": "12", "expiryYear": "2030", "cvc": "123"}
HOME = {"NAME_FULL": "typed-canary", "ADDRESS_HOME_STREET_ADDRESS": "typed-canary 1", "ADDRESS_HOME_CITY": "Town",
        "ADDRESS_HOME_ZIP": "12345"}  # fmt: skip


def autofilled(selector: str, **what: Any) -> Gesture:
    """What the browser fills in by itself, from what a person keeps in it."""

    def fill(page: Page) -> None:
        session = page.context.new_cdp_session(page)
        session.send("Autofill.enable")
        root = session.send("DOM.getDocument")["root"]["nodeId"]
        node = session.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
        field_id = session.send("DOM.describeNode", {"nodeId": node})["node"]["backendNodeId"]
        session.send("Autofill.trigger", {"fieldId": field_id, **what})
        page.wait_for_function("(selector) => document.querySelector(selector).value", arg=selector)

    return fill


def player(provider: str, address: str) -> Gesture:
    def show(page: Page) -> None:
        page.route(
            f"{address.split('/', 3)[0]}//{address.split('/')[2]}/**",
            lambda route: route.fulfill(content_type="text/html", body=PLAYER[provider]),
        )
        page.evaluate(
            "(src) => document.body.append(Object.assign(document.createElement('iframe'), { src }))", address
        )

    return show


def watched(action: str, **properties: Any) -> tuple[Event, ...]:
    return tuple((action, {**properties, "progress": progress}) for progress in (0, 25, 50, 75, 100))


PLAY = "(id) => {{ const it = document.getElementById(id); it.playbackRate = 4; return it.play(); }}"
LAYER = "(entry) => { (window.dataLayer ||= []).push(entry); }"
SALE = {
    "transaction_id": "T 7",
    "currency": "EUR",
    "value": 208,
    "items": [
        {"item_id": "r-1", "item_name": "Runner", "item_brand": "Corner", "item_category": "shoes", "price": 89,
         "quantity": 1},
        {"item_id": "t-7", "item_name": "Trail", "item_category": "shoes", "price": 59.5, "quantity": 2},
    ],
}  # fmt: skip
PRODUCT = {"sku": "r-1", "name": "Runner", "category": "shoes", "brand": "Corner", "price": 89, "value": 89}
FIELD = ("field_focused", "field_unfocused", "form_filled", "page_clicked")

ROWS = (
    Row("click on text", click("#plain"), (clicked("p#plain"),), script("document.querySelector('#plain').click()")),
    Row("click on a link", click("nav a"), (clicked("main > nav > a.sale", "Sale"),), lambda page: page.hover("nav a")),
    Row("button, mouse", click("#subscribe rect"), (button("button#subscribe", "Subscribe"),)),
    Row("button, Enter", then(lambda p: p.focus("#subscribe"), press("Enter")),
        (button("button#subscribe", "Subscribe", keyboard=True),), press("Enter")),
    Row("button, Space", then(lambda p: p.focus("#subscribe"), press("Space")),
        (button("button#subscribe", "Subscribe", keyboard=True),)),
    Row("role=button", click("#rolled"), (button("div#rolled", "Roll"),), click("#rolled", button="right"),
        ignored=("mouse_pressed",)),
    Row("middle button", click("nav a", button="middle"), (clicked("main > nav > a.sale", "Sale"),)),
    Row("removed in its own handler", click("#gone"), (button("button#gone", "Gone"),)),
    Row("changed in its own handler", click(".follow"), (button("main > div.shut > button.follow", "Follow"),)),
    Row("label", click("#label", position={"x": 5, "y": 5}), (clicked("label#label"),), ignored=FIELD[:3]),
    Row("open shadow root", click("my-box #inner b"), (button("button#inner", "Inner"),)),
    Row("closed shadow root", lambda p: p.locator("my-safe").click(position={"x": 10, "y": 10}),
        (clicked("main > my-safe"),), ignored=FIELD[:3]),
    Row("download by extension", click("#zip"),
        (("file_downloaded", {"file": "/price-list.zip", "extension": "zip", "selector": "a#zip", "text": "Prices"}),)),
    Row("download attribute", click("#named"),
        (("file_downloaded", {"file": "notes.txt", "extension": "txt", "selector": "a#named", "text": "Notes"}),)),
    Row("PDF link", click("#pdf"),
        (("pdf_viewed", {"file": "/catalogue.pdf", "extension": "pdf", "selector": "a#pdf", "text": "Catalogue"}),)),
    Row("PDF in the page", script(
        "document.body.prepend(Object.assign(document.createElement('embed'),"
        " { type: 'application/pdf', src: '/catalogue.pdf', width: 300, height: 200 }))"),
        (("pdf_viewed", {"file": "/catalogue.pdf", "extension": "pdf", "selector": "embed", "embedded": True}),)),
    Row("product added", click("#add"), (("product_added", {
        "sku": "r-1", "value": 89.5, "category": "shoes", "brand": "Corner", "tags": ["road", "light"]}),)),
    Row("product bought", then(click("#buy"), click("#buy")),
        (("product_bought", {"sku": "r-1", "value": 89.5, "order_id": "o-1"}),)),
    Row("product bought, API", script("segma.track('product_bought', {sku: 'z', value: 3})"),
        (("product_bought", {"sku": "z", "value": 3}),), script("segma.track('Not An Action')")),
    Row("similar product", script(
        "segma.track('similar_product_bought', {sku: 't-7', category: 'shoes', brand: 'Corner', tags: ['road']})"),
        (("similar_product_bought", {"sku": "t-7", "category": "shoes", "brand": "Corner", "tags": ["road"]}),)),
    Row("GA4 add_to_cart", lambda p: p.evaluate(LAYER, {"event": "add_to_cart", "ecommerce": {
        **SALE, "transaction_id": "", "items": SALE["items"][:1]}}),  # type: ignore[index]
        (("product_added", {**PRODUCT, "quantity": 1, "currency": "EUR"}),),
        lambda p: p.evaluate(LAYER, {"event": "view_item", "ecommerce": SALE})),
    Row("GA4 purchase by gtag, twice", then(*[
        lambda p: p.evaluate("(sale) => (function () { dataLayer.push(arguments); })('event', 'purchase', sale)", SALE)
    ] * 2), (
        ("product_bought", {**PRODUCT, "quantity": 1, "currency": "EUR", "order_id": "T 7"}),
        ("product_bought", {"sku": "t-7", "name": "Trail", "category": "shoes", "price": 59.5, "value": 119,
                            "quantity": 2, "currency": "EUR", "order_id": "T 7"}))),
    Row("login form", then(lambda p: p.fill("#user", "typed-canary"), click("#enter")),
        (("logged_in", {"method": "password"}),), ignored=(*FIELD, "button_clicked")),
    Row("logout link", click("#logout"), (("logged_out", {}),)),
    Row("field focused", lambda p: p.focus("#company"), (field("field_focused", "company", "input#company"),),
        lambda p: p.focus("#card")),
    Row("field left", then(lambda p: p.focus("#company"), script("document.activeElement.blur()")),
        (field("field_focused", "company", "input#company"), field("field_unfocused", "company", "input#company")),
        then(lambda p: p.focus("#password"), script("document.activeElement.blur()"))),
    Row("field filled", typed("#company", "typed-canary"), (
        field("field_focused", "company", "input#company"), field("form_filled", "company", "input#company"),
        field("field_unfocused", "company", "input#company")),
        then(typed("#card", "4111111111111111"), typed("#code", "123456"), typed("#masked", "typed-canary"))),
    Row("select", lambda p: p.select_option("#size", "L"), (field("form_filled", "size", "select#size"),),
        lambda p: p.evaluate("document.querySelector('#size').dispatchEvent(new Event('input'))")),
    Row("contenteditable", typed("#free", "typed-canary"), (
        field("field_focused", "free", "div#free"), field("form_filled", "free", "div#free"),
        field("field_unfocused", "free", "div#free"))),
    Row("filled in by the browser", then(click("#plain"),
        autofilled("#who", address={"fields": [{"name": name, "value": value} for name, value in HOME.items()]})),
        tuple(("form_filled", {"form": "deliver", "field": name, "selector": selector}) for name, selector in (
            ("who", "input#who"), ("street", "form#deliver > input"), ("city", "form#deliver > input"),
            ("zip", "form#deliver > input"))),
        then(click("#plain"), autofilled("#number", card=CARD)), ignored=("page_clicked",)),
    Row("field in a shadow root", lambda p: (
        p.locator("my-box input").focus(), p.keyboard.type("typed-canary"), p.keyboard.press("Enter")), (
        ("field_focused", {"form": "div > form", "field": "deep", "selector": "div > form > input"}),
        ("form_filled", {"form": "div > form", "field": "deep", "selector": "div > form > input"}),
        ("form_submitted", {"form": "div > form", "selector": "div > form"}))),
    Row("form submitted, mouse", click("#send"),
        (button("button#send", "Send"), ("form_submitted", {"form": "contact", "selector": "form#contact"}))),
    Row("form submitted, Enter in a field", then(lambda p: p.focus("#company"), press("Enter")), (
        field("field_focused", "company", "input#company"),
        ("form_submitted", {"form": "contact", "selector": "form#contact"}))),
    Row("requestSubmit", script("document.querySelector('#contact').requestSubmit()"),
        (("form_submitted", {"form": "contact", "selector": "form#contact"}),),
        script("document.querySelector('#company').checkValidity()")),
    Row("search", then(lambda p: p.fill("#query", "Trail shoes jo@example.org"), press("Enter")),
        (("searched", {"query": "trail shoes …"}),), press("Enter"), ignored=FIELD),
    Row("key pressed", press("Escape"), (("key_pressed", {"key": "Escape"}), ("key_released", {"key": "Escape"})),
        press("Tab", "a")),
    Row("keys in a row", press("ArrowUp", "ArrowUp", "ArrowUp", "ArrowDown"),
        (("key_pressed", {"key": "ArrowUp ArrowUp ArrowDown"}),), press("ArrowUp", "ArrowDown", "ArrowUp")),
    Row("key held", held("ArrowDown"), (("key_held", {"key": "ArrowDown"}),), press("ArrowDown"),
        ignored=("scrolled_past",)),
    Row("key released", press("Escape"), (("key_pressed", {"key": "Escape"}), ("key_released", {"key": "Escape"})),
        press("F2")),
    Row("shortcut", press("Control+s"), (("shortcut_pressed", {"shortcut": "ctrl+s"}),), press("Control+q", "s")),
    Row("shortcuts in a row", press("Control+k", "Control+l"), (("shortcut_pressed", {"shortcut": "Ctrl+K ctrl+l"}),),
        press("Control+l", "Control+k")),
    Row("letter", then(lambda p: p.focus("#company"), press("x")),
        (("letter_typed", {"letter": "x", "selector": "input#company"}),),
        then(lambda p: p.focus("#password"), press("x"), lambda p: p.focus("#card"), press("x"),
             lambda p: p.focus("#masked"), press("x"), lambda p: p.focus("#company"), press("y")), ignored=FIELD),
    Row("letters in a row", then(lambda p: p.focus("#note"), press(*"Xhhelp")), (
        ("letter_typed", {"letter": "x", "selector": "textarea#note"}),
        ("letter_typed", {"letter": "help", "selector": "textarea#note"})),
        then(lambda p: p.focus("#note"), press(*"hel"), lambda p: p.focus("#company"), press("p")), ignored=FIELD),
    Row("letter by an input method", then(lambda p: p.focus("#company"), press("x")),
        (("letter_typed", {"letter": "x", "selector": "input#company"}),), ime, ignored=FIELD),
    Row("mouse pressed", click("img.product", button="right"),
        (("mouse_pressed", {"button": "right", "selector": "img.product"}),),
        lambda p: p.hover("img.product"), ignored=("mouse_over", "page_clicked")),
    Row("mouse over", lambda p: p.hover("img.product"), (("mouse_over", {"selector": "img.product"}),),
        lambda p: p.hover("#plain")),
    Row("mouse moved", lambda p: p.mouse.move(500, 500, steps=20), (("mouse_moved", {}),), press("Tab")),
    Row("hovered", rest("figure.card", 900), (("hovered", {"selector": "figure.card"}),), rest("figure.card", 100)),
    Row("hovered and clicked", rest("#subscribe", 900), (("hovered", {"selector": "button#subscribe"}),),
        lambda p: (p.hover("#subscribe"), p.wait_for_timeout(900), p.mouse.down(), p.mouse.up(), p.mouse.move(900, 5)),
        ignored=("button_clicked", "mouse_pressed")),
    Row("scrolled with the wheel", lambda p: (p.mouse.move(300, 300), p.mouse.wheel(0, 2700)),
        (("scrolled_past", {"path": "/shop/runner", "percent": 25}),
         ("scrolled_past", {"path": "/shop/runner", "percent": 40})),
        lambda p: (p.mouse.move(300, 300), p.mouse.wheel(0, 100))),
    Row("scrolled by a jump", press("End"), (
        *(("scrolled_past", {"path": "/shop/runner", "percent": each}) for each in (25, 40, 50, 75, 90)),
        ("scrolled_past", {"path": "/shop/runner", "element": "stories"}),
        ("scrolled_past", {"path": "/shop/runner", "element": "#prices"}),
        ("bottom_reached", {"path": "/shop/runner"})), any_order=True),
    Row("copied", lambda p: (p.locator("#secret").select_text(), p.keyboard.press("Control+c")),
        (("content_copied", {"selector": "p#secret", "length": 44}),), press("Control+c")),
    Row("copied in a field", lambda p: (p.fill("#company", "typed-canary"), p.locator("#company").select_text(),
                                        p.keyboard.press("Control+x")),
        (("content_copied", {"selector": "input#company", "length": 12}),),
        lambda p: (p.fill("#card", "4111111111111111"), p.locator("#card").select_text(),
                   p.keyboard.press("Control+c")), ignored=FIELD),
    Row("pasted", lambda p: (p.focus("#company"), p.evaluate("navigator.clipboard.writeText('pasted-canary')"),
                             p.keyboard.press("Control+v")),
        (("content_pasted", {"selector": "input#company", "length": 13}),),
        lambda p: (p.focus("#password"), p.evaluate("navigator.clipboard.writeText('pasted-canary')"),
                   p.keyboard.press("Control+v")), ignored=FIELD),
    Row("video", lambda p: p.evaluate(PLAY.format(), "film"), watched("video_played", src="/tone.wav",
        selector="video#film", duration_s=3), script("document.querySelector('#film').load()")),
    Row("audio", lambda p: p.evaluate(PLAY.format(), "talk"), watched("audio_played", src="/tone.wav",
        selector="audio#talk", duration_s=3)),
    Row("YouTube", player("youtube", "https://www.youtube.com/embed/film7?enablejsapi=1"),
        watched("video_played", src="https://www.youtube.com/embed/film7", provider="youtube", selector="iframe",
                duration_s=4),
        script("postMessage(JSON.stringify({ event: 'infoDelivery', info: { playerState: 1 } }), '*')")),
    Row("Vimeo", player("vimeo", "https://player.vimeo.com/video/7"),
        watched("video_played", src="https://player.vimeo.com/video/7", provider="vimeo", selector="iframe",
                duration_s=4)),
    Row("custom action", script("segma.track('quiz_finished', {points: 7, who: 'jo@example.org'})"),
        (("quiz_finished", {"points": 7, "who": "…"}),)),
    Row("page in place", script("history.pushState({}, '', '/shop/trail?x=1'); document.title = 'Trail'"), (),
        script("history.replaceState({}, '', '?filter=1')")),
)  # fmt: skip


def plain(stored: list[Stored], ignored: tuple[str, ...]) -> list[Event]:
    """The events without those of pages, and without what no test can foretell: durations."""
    left = ("watched_s", "dwell_ms", "distance_px")
    return [
        (each.action, {name: value for name, value in each.event.properties.items() if name not in left})
        for each in stored
        if each.action not in (*OF_PAGES, *ignored)
    ]


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_real_input_is_the_right_event_and_a_control_is_none(
    page: Page, site: StaticSite, collector: RealCollector, row: Row, build: str
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit = Visit(page, collector, serve(site, build, collector.url))
    asked = {action for action, _ in row.events}
    ignored = (*row.ignored, *(() if "mouse_moved" in asked else ("mouse_moved",)))
    if row.control is not None:
        row.control(page)
        assert plain(visit.told("control_told"), ignored) == []
    row.gesture(page)
    for action in asked:
        visit.wait_for(action, sum(each == action for each, _ in row.events))
    found = plain(visit.told("all_told"), ignored)
    wanted = list(row.events)
    if row.any_order:
        found, wanted = sorted(found, key=repr), sorted(wanted, key=repr)
    assert found == wanted
    assert len({each.event.order for each in visit.mine()}) == len(visit.mine())
