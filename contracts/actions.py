"""The vocabulary of actions (DESIGN 4), and a site's own from ``actions.yaml``.

``page_clicked`` is the least specific of one gesture's four actions: a listener on it also fits the other three
(:func:`fitting`), and the SDK sends only the most specific one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from contracts.action import Action
from contracts.membership import MADE_ACTIONS

PROFILE_CHANGED: Final = "profile_changed"
"""What became known of a person: no step of a listener, so no action of the vocabulary."""
GESTURE: Final = ("pdf_viewed", "file_downloaded", "button_clicked", "page_clicked")
"""One gesture, one event: the first of these that applies."""


def fitting(action: str) -> tuple[str, ...]:
    """The actions of events that fit a step on ``action``: itself, and for ``page_clicked`` the more specific ones."""
    return GESTURE if action == "page_clicked" else (action,)


ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        "email_delivered",
        "get a mail",
        "The mail reached the mailbox's server.",
        "platform webhook",
        automatic=False,
        sample={"campaign": "spring-sale"},
        where='{campaign: "spring-*"}',
    ),
    Action(
        "email_bounced",
        "have a mail bounce",
        "The mail could not be delivered.",
        "platform webhook",
        automatic=False,
        sample={"kind": "hard"},
        where="{kind: hard}",
    ),
    Action(
        "email_complained",
        "mark a mail as spam",
        "The person marked the mail as spam.",
        "platform webhook",
        automatic=False,
        sample={},
    ),
    Action(
        "email_unsubscribed",
        "unsubscribe",
        "The person left the list at the platform.",
        "platform webhook",
        automatic=False,
        sample={"list": "newsletter"},
    ),
    Action(
        "email_opened",
        "open a mail",
        "The mail was opened; `machine: true` where a proxy, prefetcher or scanner did it.",
        "open pixel, platform webhook",
        automatic=False,
        sample={"campaign": "spring-sale", "machine": False},
        where="{machine: false}",
    ),
    Action(
        "email_clicked",
        "follow a link in a mail",
        "A link in the mail was followed to the site.",
        "link token on landing, redirect endpoint",
        markup='<a href="https://shop.example/?sgm=TOKEN&utm_campaign=spring-sale">Shop</a>',
        sample={"campaign": "spring-sale", "path": "/"},
        where='{campaign: "spring-*"}',
    ),
    Action(
        "page_clicked",
        "click on a page",
        "Any click on the site; a listener on it also fits the more specific gestures.",
        "click",
        markup='<nav><a class="sale" href="/sale">Sale</a></nav>',
        sample={"selector": "nav > a.sale", "text": "Sale"},
        where="{text: Sale}",
    ),
    Action(
        "page_viewed",
        "view a page",
        "A page was looked at (also inside a single-page application).",
        "navigation",
        markup='<body data-segma-category="shoes">',
        sample={"path": "/shoes/runner", "title": "Runner", "url": "https://shop.example/shoes/runner"},
        where='{path: "/shoes/*"}',
    ),
    Action(
        "page_loaded",
        "load a page",
        "The page finished loading.",
        "load event",
        markup='<script async src="COLLECTOR/sdk/segma.js" data-site="KEY"></script>',
        sample={"path": "/", "load_ms": 412},
        where="{load_ms: {at_least: 3000}}",
    ),
    Action(
        "page_closed",
        "leave a page",
        "The page was left.",
        "pagehide, navigation in the page",
        markup='<script async src="COLLECTOR/sdk/segma.js" data-site="KEY"></script>',
        sample={"path": "/", "visible_ms": 15000},
        where="{visible_ms: {at_least: 10000}}",
    ),
    Action(
        "logged_in",
        "log in",
        "The person logged in.",
        "segma.track, data attribute",
        markup='<form data-segma-action="logged_in" data-segma-method="password">…</form>',
        sample={"method": "password"},
    ),
    Action(
        "logged_out",
        "log out",
        "The person logged out.",
        "segma.track, data attribute",
        markup='<a href="/logout" data-segma-action="logged_out">Log out</a>',
        sample={},
    ),
    Action(
        "file_downloaded",
        "download a file",
        "A file was downloaded.",
        "links by extension, download attribute",
        markup='<a href="/price-list.zip">Prices</a>',
        sample={"file": "/price-list.zip", "extension": "zip", "selector": "a", "text": "Prices"},
        where="{extension: zip}",
    ),
    Action(
        "product_added",
        "put a product into the basket",
        "A product was put into the basket.",
        "segma.track, data attributes, the dataLayer of GA4 ecommerce",
        markup='<button data-segma-action="product_added" data-segma-sku="runner-42" data-segma-category="shoes"'
        ' data-segma-value="89" data-segma-quantity="1">Add to basket</button>',
        sample={"sku": "runner-42", "category": "shoes", "value": 89.0, "quantity": 1},
        where="{category: shoes, value: {at_least: 50}}",
    ),
    Action(
        "product_bought",
        "buy a product",
        "A product was bought.",
        "segma.track, data attributes, the dataLayer of GA4 ecommerce",
        markup='<button data-segma-action="product_bought" data-segma-sku="runner-42" data-segma-category="shoes"'
        ' data-segma-value="89" data-segma-order-id="o-1001">Buy</button>',
        sample={"sku": "runner-42", "category": "shoes", "value": 89.0, "order_id": "o-1001"},
        where="{category: shoes}",
    ),
    Action(
        "similar_product_bought",
        "buy a product like an earlier one",
        "A product was bought that shares a category, brand or tag with an earlier one.",
        "derived in the flow",
        markup="segma.track('similar_product_bought', {sku: 'trail-7', category: 'shoes'})",
        automatic=False,
        sample={"sku": "trail-7", "category": "shoes", "brand": "Corner", "tags": ["trail"]},
    ),
    Action(
        "button_clicked",
        "press a button",
        "A button was pressed.",
        "buttons and [role=button]",
        markup='<button id="subscribe">Subscribe</button>',
        sample={"selector": "button#subscribe", "text": "Subscribe"},
        where="{text: Subscribe}",
    ),
    Action(
        "video_played",
        "watch a video",
        "A video was watched up to a part of its length.",
        "media elements, YouTube, Vimeo",
        markup='<video src="/film.mp4" controls></video>',
        sample={"src": "/film.mp4", "selector": "video", "progress": 50, "watched_s": 31.5, "duration_s": 60},
        where="{progress: {at_least: 50}}",
    ),
    Action(
        "audio_played",
        "listen to an audio",
        "An audio was listened to up to a part of its length.",
        "media elements",
        markup='<audio src="/talk.mp3" controls></audio>',
        sample={"src": "/talk.mp3", "selector": "audio", "progress": 25, "watched_s": 30.2, "duration_s": 120},
        where="{progress: {at_least: 25}}",
    ),
    Action(
        "pdf_viewed",
        "open a PDF",
        "A PDF was opened.",
        "links to and embeds of PDF",
        markup='<a href="/catalogue.pdf">Catalogue</a>',
        sample={"file": "/catalogue.pdf", "extension": "pdf", "selector": "a", "text": "Catalogue"},
        where='{file: "*catalogue*"}',
    ),
    Action(
        "form_filled",
        "fill in a field of a form",
        "A field of a form was filled in (never its value).",
        "change",
        markup='<form name="contact"><input name="company"></form>',
        sample={"form": "contact", "field": "company", "selector": "form > input"},
        where="{form: contact}",
    ),
    Action(
        "form_submitted",
        "submit a form",
        "A form was submitted.",
        "submit",
        markup='<form name="contact">…<button>Send</button></form>',
        sample={"form": "contact", "selector": "form"},
        where="{form: contact}",
    ),
    Action(
        "field_focused",
        "enter a field",
        "A field got the focus.",
        "focusin",
        markup='<form name="contact"><input name="phone"></form>',
        sample={"form": "contact", "field": "phone", "selector": "form > input"},
        where="{field: phone}",
    ),
    Action(
        "field_unfocused",
        "leave a field",
        "A field lost the focus.",
        "focusout",
        markup='<form name="contact"><input name="phone"></form>',
        sample={"form": "contact", "field": "phone", "selector": "form > input"},
        where="{field: phone}",
    ),
    Action(
        "searched",
        "search the site",
        "The site's search was used.",
        "site-search forms and query parameters",
        markup='<form role="search"><input type="search" name="q"></form>',
        sample={"query": "trail shoes"},
        where="{query: {contains: shoes}}",
    ),
    Action(
        "key_pressed",
        "press a key",
        "A key that a live listener names was pressed.",
        "keydown",
        markup='<script async src="COLLECTOR/sdk/segma.js" data-site="KEY"></script>',
        sample={"key": "Escape"},
        where="{key: Escape}",
        asked_by=("key",),
        allowed_as="keys",
    ),
    Action(
        "key_held",
        "hold a key down",
        "A key that a live listener names is being held.",
        "keydown, repeated",
        markup='<script async src="COLLECTOR/sdk/segma.js" data-site="KEY"></script>',
        sample={"key": "ArrowDown"},
        where="{key: ArrowDown}",
        asked_by=("key",),
        allowed_as="keys",
    ),
    Action(
        "key_released",
        "release a key",
        "A key that a live listener names was released.",
        "keyup",
        markup='<script async src="COLLECTOR/sdk/segma.js" data-site="KEY"></script>',
        sample={"key": "Escape"},
        where="{key: Escape}",
        asked_by=("key",),
        allowed_as="keys",
    ),
    Action(
        "mouse_pressed",
        "press a mouse button",
        "A mouse button was pressed.",
        "pointerdown",
        markup='<img class="product" src="/runner.jpg" alt="Runner">',
        sample={"button": "right", "selector": "img.product"},
        where="{button: right}",
        asked_by=("selector",),
        allowed_as="mouse",
    ),
    Action(
        "mouse_moved",
        "move the mouse",
        "The mouse moved (sampled).",
        "pointermove",
        markup='<script async src="COLLECTOR/sdk/segma.js" data-site="KEY"></script>',
        sample={"distance_px": 1200},
        where="{distance_px: {at_least: 1000}}",
        allowed_as="mouse",
    ),
    Action(
        "mouse_over",
        "point at an element",
        "The mouse came over an element.",
        "pointerover",
        markup='<img class="product" src="/runner.jpg" alt="Runner">',
        sample={"selector": "img.product"},
        where="{selector: img.product}",
        asked_by=("selector",),
        allowed_as="mouse",
    ),
    Action(
        "shortcut_pressed",
        "press a keyboard shortcut",
        "A combination of keys that a live listener names was pressed.",
        "keydown with modifiers",
        markup='<script async src="COLLECTOR/sdk/segma.js" data-site="KEY"></script>',
        sample={"shortcut": "ctrl+s"},
        where="{shortcut: ctrl+s}",
        asked_by=("shortcut",),
        allowed_as="keys",
    ),
    Action(
        "scrolled_past",
        "scroll past a point",
        "A point of the page was passed: a percentage or an element.",
        "scroll; a percentage, data-segma-point, or an element that a listener names",
        markup='<section data-segma-point="prices">…</section>',
        sample={"path": "/blog", "percent": 75},
        where="{percent: {at_least: 75}}",
        asked_by=("percent", "element"),
    ),
    Action(
        "bottom_reached",
        "reach the bottom of a page",
        "The bottom of the page was reached.",
        "scroll",
        markup='<script async src="COLLECTOR/sdk/segma.js" data-site="KEY"></script>',
        sample={"path": "/blog"},
        where="{path: /blog}",
    ),
    Action(
        "hovered",
        "hover over an element without clicking it",
        "The mouse rested on an element without clicking it.",
        "dwell time over links, buttons and data-segma-hover",
        markup='<button id="buy">Buy</button> <figure data-segma-hover>…</figure>',
        sample={"selector": "button#buy", "dwell_ms": 2100},
        where="{selector: button#buy}",
        asked_by=("selector",),
    ),
    Action(
        "letter_typed",
        "type a letter",
        "A letter that a live listener names was typed; the other keystrokes never leave the page.",
        "keydown, matched in the page",
        markup='<script async src="COLLECTOR/sdk/segma.js" data-site="KEY"></script>',
        sample={"letter": "x"},
        where="{letter: x}",
        asked_by=("letter",),
        allowed_as="keys",
    ),
    Action(
        "content_copied",
        "copy content",
        "Content was copied (length and element, never the content).",
        "copy",
        markup='<p class="address">…</p>',
        sample={"selector": "p.address", "length": 42},
        where="{length: {at_least: 20}}",
        allowed_as="clipboard",
    ),
    Action(
        "content_pasted",
        "paste content",
        "Content was pasted (length and element, never the content).",
        "paste",
        markup='<input id="coupon">',
        sample={"selector": "input#coupon", "length": 8},
        where="{selector: input#coupon}",
        allowed_as="clipboard",
    ),
    *MADE_ACTIONS,
)

ASKED_FOR: Final[dict[str, Action]] = {
    action.name: action for action in ACTIONS if action.allowed_as or action.asked_by
}
"""The actions of which a page must know what live listeners ask for (:class:`contracts.captures.Captures`)."""

VOCABULARY: Final[frozenset[str]] = frozenset(action.name for action in ACTIONS)


def known_actions(own: Iterable[str] = ()) -> frozenset[str]:
    """The vocabulary with a site's own actions."""
    return VOCABULARY | frozenset(own)
