"""The table: real input gives exactly the right events in the log behind the collector, a control gives none.

Each row runs in Chromium with every build, and in Firefox and WebKit with the script that sites load; one that does not
says why.
"""

# mypy: disable-error-code="func-returns-value"

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.sdk.engines import Engine, Name, Tab
from tests.sdk.engines.chromium import ChromiumTab
from tests.sdk.engines.each import in_engines
from tests.sdk.site import PLAYER, serve
from tests.sdk.stage import BUILDS, RealCollector, StaticSite, Stored
from tests.sdk.visit import Visit

pytestmark = [pytest.mark.slow]

Event = tuple[str, dict[str, Any]]
Gesture = Callable[[Tab], object]
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
    left_out: Mapping[Name, str] = field(default_factory=dict)
    """Engine → why the row does not run there; the documentation prints it."""


def press(*keys: str) -> Gesture:
    return lambda tab: tab.press(*keys)


def click(selector: str, **options: Any) -> Gesture:
    return lambda tab: tab.click(selector, **options)


def script(code: str, *arguments: object) -> Gesture:
    return lambda tab: tab.run(code, *arguments)


def then(*gestures: Gesture) -> Gesture:
    return lambda tab: [gesture(tab) for gesture in gestures]


def focus(selector: str) -> Gesture:
    return lambda tab: tab.focus(selector)


def hover(selector: str) -> Gesture:
    return lambda tab: tab.hover(selector)


def into(selector: str, text: str) -> Gesture:
    return lambda tab: (tab.focus(selector), tab.type(text))


BLUR = script("document.activeElement.blur()")
SELECT = (
    "(selector) => { const it = document.querySelector(selector);"
    " it.select ? it.select() : getSelection().selectAllChildren(it); }"
)


CUT = then(into("#note", "pasted-canary"), script(SELECT, "#note"), press("Control+x"))
"""What is pasted later has been cut out of another field by hand: no permission is asked for."""


def typed(selector: str, text: str) -> Gesture:
    return then(into(selector, text), BLUR)


def rest(selector: str, seconds: float) -> Gesture:
    return lambda tab: (tab.hover(selector), time.sleep(seconds), tab.move(900, 5))


def button(selector: str, text: str, **more: Any) -> Event:
    return ("button_clicked", {"selector": selector, "text": text, **more})


def clicked(selector: str, text: str = "") -> Event:
    return ("page_clicked", {"selector": selector, "text": text})


def of_field(action: str, name: str, selector: str, form: str = "contact") -> Event:
    return (action, {"form": form, "field": name, "selector": selector})


def devtools(tab: Tab) -> Any:
    assert isinstance(tab, ChromiumTab)
    return tab.page.context.new_cdp_session(tab.page)


def ime(tab: Tab) -> None:
    tab.focus("#company")
    session = devtools(tab)
    session.send("Input.imeSetComposition", {"text": "x", "selectionStart": 1, "selectionEnd": 1})
    session.send("Input.insertText", {"text": "ｘ"})


def by_devtools(what: str) -> dict[Name, str]:
    why = f"{what} is a command of Chromium's developer tools"
    return {"firefox": why, "webkit": why}


CARD = {"number": "4111111111111111", "name": "Typed Canary", "expiryMonth": "12", "expiryYear": "2030", "cvc": "123"}
HOME = {"NAME_FULL": "typed-canary", "ADDRESS_HOME_STREET_ADDRESS": "typed-canary 1", "ADDRESS_HOME_CITY": "Town",
        "ADDRESS_HOME_ZIP": "12345"}  # fmt: skip


def autofilled(selector: str, **what: Any) -> Gesture:
    """What the browser fills in by itself, from what a person keeps in it."""

    def fill(tab: Tab) -> None:
        session = devtools(tab)
        session.send("Autofill.enable")
        root = session.send("DOM.getDocument")["root"]["nodeId"]
        node = session.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
        field_id = session.send("DOM.describeNode", {"nodeId": node})["node"]["backendNodeId"]
        session.send("Autofill.trigger", {"fieldId": field_id, **what})
        tab.until("(selector) => document.querySelector(selector).value", selector)

    return fill


def player(provider: str, address: str) -> Gesture:
    def show(tab: Tab) -> None:
        assert isinstance(tab, ChromiumTab)
        tab.page.route(
            f"{address.split('/', 3)[0]}//{address.split('/')[2]}/**",
            lambda route: route.fulfill(content_type="text/html", body=PLAYER[provider]),
        )
        tab.run("(src) => document.body.append(Object.assign(document.createElement('iframe'), { src }))", address)

    return show


def watched(action: str, **properties: Any) -> tuple[Event, ...]:
    return tuple((action, {**properties, "progress": progress}) for progress in (0, 25, 50, 75, 100))


PLAY = "(id) => {{ const it = document.getElementById(id); it.muted = true; it.playbackRate = 4; return it.play(); }}"
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
BY_ROUTE: dict[Name, str] = dict.fromkeys(
    ("firefox", "webkit"), "only Chromium's driver answers here in a player's name"
)
FIELD = ("field_focused", "field_unfocused", "form_filled", "page_clicked")

ROWS = (
    Row("click on text", click("#plain"), (clicked("p#plain"),), script("document.querySelector('#plain').click()")),
    Row("click on a link", click("nav a"), (clicked("main > nav > a.sale", "Sale"),), hover("nav a")),
    Row("button, mouse", click("#subscribe rect"), (button("button#subscribe", "Subscribe"),)),
    Row("button, Enter", then(focus("#subscribe"), press("Enter")),
        (button("button#subscribe", "Subscribe", keyboard=True),), press("Enter")),
    Row("button, Space", then(focus("#subscribe"), press("Space")),
        (button("button#subscribe", "Subscribe", keyboard=True),)),
    Row("role=button", click("#rolled"), (button("div#rolled", "Roll"),), click("#rolled", button="right"),
        ignored=("mouse_pressed",)),
    Row("link, Enter", then(focus("nav a"), press("Enter")),
        (("page_clicked", {"selector": "main > nav > a.sale", "text": "Sale", "keyboard": True}),)),
    Row("middle click on text after a copy", then(CUT, click("#plain", button="middle")), (clicked("p#plain"),),
        ignored=(*FIELD[:3], "content_copied")),
    Row("middle button", click("nav a", button="middle"), (clicked("main > nav > a.sale", "Sale"),)),
    Row("removed in its own handler", click("#gone"), (button("button#gone", "Gone"),)),
    Row("changed in its own handler", click(".follow"), (button("main > div.shut > button.follow", "Follow"),)),
    Row("label", click("#label", at=(5, 5)), (clicked("label#label"),), ignored=FIELD[:3]),
    Row("open shadow root", click("my-box >> #inner b"), (button("button#inner", "Inner"),)),
    Row("closed shadow root", lambda t: t.click("my-safe", at=(10, 10)),
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
    Row("GA4 add_to_cart", lambda t: t.run(LAYER, {"event": "add_to_cart", "ecommerce": {
        **SALE, "transaction_id": "", "items": SALE["items"][:1]}}),  # type: ignore[index]
        (("product_added", {**PRODUCT, "quantity": 1, "currency": "EUR"}),),
        lambda t: t.run(LAYER, {"event": "view_item", "ecommerce": SALE})),
    Row("GA4 purchase by gtag, twice", then(*[
        lambda t: t.run("(sale) => (function () { dataLayer.push(arguments); })('event', 'purchase', sale)", SALE)
    ] * 2), (
        ("product_bought", {**PRODUCT, "quantity": 1, "currency": "EUR", "order_id": "T 7"}),
        ("product_bought", {"sku": "t-7", "name": "Trail", "category": "shoes", "price": 59.5, "value": 119,
                            "quantity": 2, "currency": "EUR", "order_id": "T 7"}))),
    Row("login form", then(into("#user", "typed-canary"), click("#enter")),
        (("logged_in", {"method": "password"}),), ignored=(*FIELD, "button_clicked")),
    Row("logout link", click("#logout"), (("logged_out", {}),)),
    Row("field focused", focus("#company"), (of_field("field_focused", "company", "input#company"),),
        focus("#card")),
    Row("field left", then(focus("#company"), BLUR),
        tuple(of_field(action, "company", "input#company") for action in ("field_focused", "field_unfocused")),
        then(focus("#password"), BLUR)),
    Row("field filled", typed("#company", "typed-canary"), (
        of_field("field_focused", "company", "input#company"), of_field("form_filled", "company", "input#company"),
        of_field("field_unfocused", "company", "input#company")),
        then(typed("#card", "4111111111111111"), typed("#code", "123456"), typed("#masked", "typed-canary"))),
    Row("select", into("#size", "L"), (of_field("form_filled", "size", "select#size"),),
        lambda t: t.run("document.querySelector('#size').dispatchEvent(new Event('input'))"),
        ignored=("field_focused", "field_unfocused")),
    Row("contenteditable", typed("#free", "typed-canary"), (
        of_field("field_focused", "free", "div#free"), of_field("form_filled", "free", "div#free"),
        of_field("field_unfocused", "free", "div#free"))),
    Row("filled in by the browser", then(click("#plain"),
        autofilled("#who", address={"fields": [{"name": name, "value": value} for name, value in HOME.items()]})),
        tuple(("form_filled", {"form": "deliver", "field": name, "selector": selector}) for name, selector in (
            ("who", "input#who"), ("street", "form#deliver > input"), ("city", "form#deliver > input"),
            ("zip", "form#deliver > input"))),
        then(click("#plain"), autofilled("#number", card=CARD)), ignored=("page_clicked",),
        left_out=by_devtools("filling in")),
    Row("field in a shadow root", then(into("my-box >> input", "typed-canary"), press("Enter")), (
        ("field_focused", {"form": "div > form", "field": "deep", "selector": "div > form > input"}),
        ("form_filled", {"form": "div > form", "field": "deep", "selector": "div > form > input"}),
        ("form_submitted", {"form": "div > form", "selector": "div > form"}))),
    Row("form submitted, mouse", click("#send"),
        (button("button#send", "Send"), ("form_submitted", {"form": "contact", "selector": "form#contact"}))),
    Row("form submitted, Enter in a field", then(focus("#company"), press("Enter")), (
        of_field("field_focused", "company", "input#company"),
        ("form_submitted", {"form": "contact", "selector": "form#contact"}))),
    Row("requestSubmit", script("document.querySelector('#contact').requestSubmit()"),
        (("form_submitted", {"form": "contact", "selector": "form#contact"}),),
        script("document.querySelector('#company').checkValidity()")),
    Row("search", then(into("#query", "Trail shoes jo@example.org"), press("Enter")),
        (("searched", {"query": "trail shoes …"}),), press("Enter"), ignored=(*FIELD, "letter_typed")),
    Row("key pressed", press("Escape"), (("key_pressed", {"key": "Escape"}), ("key_released", {"key": "Escape"})),
        press("Tab", "a")),
    Row("keys in a row", press("ArrowUp", "ArrowUp", "ArrowUp", "ArrowDown"),
        (("key_pressed", {"key": "ArrowUp ArrowUp ArrowDown"}),), press("ArrowUp", "ArrowDown", "ArrowUp")),
    Row("key held", lambda t: t.hold("ArrowDown", 3), (("key_held", {"key": "ArrowDown"}),), press("ArrowDown"),
        ignored=("scrolled_past",), left_out={"webkit": "its driver repeats no key that is held"}),
    Row("key released", press("Escape"), (("key_pressed", {"key": "Escape"}), ("key_released", {"key": "Escape"})),
        press("F2")),
    Row("shortcut", press("Control+s"), (("shortcut_pressed", {"shortcut": "ctrl+s"}),), press("Control+q", "s")),
    Row("shortcuts in a row", press("Control+k", "Control+l"), (("shortcut_pressed", {"shortcut": "Ctrl+K ctrl+l"}),),
        press("Control+l", "Control+k")),
    Row("letter", then(focus("#company"), press("x")),
        (("letter_typed", {"letter": "x", "selector": "input#company"}),),
        then(focus("#password"), press("x"), focus("#card"), press("x"),
             focus("#masked"), press("x"), focus("#company"), press("y")), ignored=FIELD),
    Row("letters in a row", then(focus("#note"), press(*"Xhhelp")), (
        ("letter_typed", {"letter": "x", "selector": "textarea#note"}),
        ("letter_typed", {"letter": "help", "selector": "textarea#note"})),
        then(focus("#note"), press(*"hel"), focus("#company"), press("p")), ignored=FIELD),
    Row("letter by an input method", then(focus("#company"), press("x")),
        (("letter_typed", {"letter": "x", "selector": "input#company"}),), ime, ignored=FIELD,
        left_out=by_devtools("composing")),
    Row("mouse pressed", click("img.product", button="right"),
        (("mouse_pressed", {"button": "right", "selector": "img.product"}),),
        hover("img.product"), ignored=("mouse_over", "page_clicked")),
    Row("mouse over", hover("img.product"), (("mouse_over", {"selector": "img.product"}),),
        hover("#plain")),
    Row("mouse moved", lambda t: t.move(500, 500, steps=20), (("mouse_moved", {}),), press("Tab")),
    Row("hovered", rest("figure.card", 0.9), (("hovered", {"selector": "figure.card"}),), rest("figure.card", 0.1)),
    Row("hovered and clicked", rest("#subscribe", 0.9), (("hovered", {"selector": "button#subscribe"}),),
        lambda t: (t.hover("#subscribe"), time.sleep(0.9), t.button(down=True), t.button(down=False), t.move(900, 5)),
        ignored=("button_clicked", "mouse_pressed")),
    Row("scrolled with the wheel", lambda t: (t.move(300, 300), [t.wheel(300) for _ in range(10)]),
        (("scrolled_past", {"path": "/shop/runner", "percent": 25}),
         ("scrolled_past", {"path": "/shop/runner", "percent": 40})),
        lambda t: (t.move(300, 300), t.wheel(100)),
        left_out={"webkit": "the wheel of its driver moves nothing"}),
    Row("scrolled by a jump", press("End"), (
        *(("scrolled_past", {"path": "/shop/runner", "percent": each}) for each in (25, 40, 50, 75, 90)),
        ("scrolled_past", {"path": "/shop/runner", "element": "stories"}),
        ("scrolled_past", {"path": "/shop/runner", "element": "#prices"}),
        ("bottom_reached", {"path": "/shop/runner"})), any_order=True),
    Row("copied", lambda t: (t.run(SELECT, "#secret"), t.press("Control+c")),
        (("content_copied", {"selector": "p#secret", "length": 44}),), press("Control+c")),
    Row("copied in a field", lambda t: (t.focus("#company"), t.type("typed-canary"), t.run(SELECT, "#company"),
                                        t.press("Control+x")),
        (("content_copied", {"selector": "input#company", "length": 12}),),
        lambda t: (t.focus("#card"), t.type("4111111111111111"), t.run(SELECT, "#card"),
                   t.press("Control+c")), ignored=FIELD),
    Row("pasted", then(CUT, focus("#company"), press("Control+v")),
        (("content_pasted", {"selector": "input#company", "length": 13}),),
        then(CUT, focus("#password"), press("Control+v")), ignored=(*FIELD, "content_copied")),
    Row("video", lambda t: t.run(PLAY.format(), "film"), watched("video_played", src="/tone.wav",
        selector="video#film", duration_s=3), script("document.querySelector('#film').load()")),
    Row("audio", lambda t: t.run(PLAY.format(), "talk"), watched("audio_played", src="/tone.wav",
        selector="audio#talk", duration_s=3)),
    Row("YouTube", player("youtube", "https://www.youtube.com/embed/film7?enablejsapi=1"),
        watched("video_played", src="https://www.youtube.com/embed/film7", provider="youtube", selector="iframe",
                duration_s=4),
        script("postMessage(JSON.stringify({ event: 'infoDelivery', info: { playerState: 1 } }), '*')"),
        left_out=BY_ROUTE),
    Row("Vimeo", player("vimeo", "https://player.vimeo.com/video/7"),
        watched("video_played", src="https://player.vimeo.com/video/7", provider="vimeo", selector="iframe",
                duration_s=4), left_out=BY_ROUTE),
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


@pytest.mark.parametrize(("row", "engine", "build"), in_engines(ROWS, BUILDS), indirect=["engine"])
def test_real_input_is_the_right_event_and_a_control_is_none(
    engine: Engine, site: StaticSite, collector: RealCollector, row: Row, build: str
) -> None:
    tab = engine.fresh()
    visit = Visit(tab, collector, serve(site, build, collector.url))
    asked = {action for action, _ in row.events}
    ignored = (*row.ignored, *(() if "mouse_moved" in asked else ("mouse_moved",)))
    if row.control is not None:
        row.control(tab)
        assert plain(visit.told("control_told"), ignored) == []
    row.gesture(tab)
    for action in asked:
        visit.wait_for(action, sum(each == action for each, _ in row.events))
    found = plain(visit.told("all_told"), ignored)
    wanted = list(row.events)
    if row.any_order:
        found, wanted = sorted(found, key=repr), sorted(wanted, key=repr)
    assert found == wanted
    assert len({each.event.order for each in visit.mine()}) == len(visit.mine())
