"""The vocabulary of actions (DESIGN 4), and a site's own from ``actions.yaml``.

``page_clicked`` is the least specific of one gesture's four actions: a listener on it also fits the other three
(:func:`fitting`), and the SDK sends only the most specific one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from segma.contracts.codec import Value


class Action(Value, frozen=True):
    """One action: what it means, how a page gets it captured, what its event looks like."""

    name: str
    meaning: str
    captured_from: str
    markup: str = ""
    """HTML or script that makes it happen; empty where nothing on a page does."""
    automatic: bool = False
    """Captured from that markup by itself; where not, the markup is the call that sends it."""
    sample: dict[str, Any] = {}
    """Properties of a sample event."""
    where: str = ""
    """The ``where`` of a sample listener, as one line of YAML flow style; empty for none."""
    only_where_asked: bool = False
    """Captured only where a live listener asks for it and the site allows it."""


GESTURE: Final = ("pdf_viewed", "file_downloaded", "button_clicked", "page_clicked")
"""One gesture, one event: the first of these that applies."""


def fitting(action: str) -> tuple[str, ...]:
    """The actions of events that fit a step on ``action``: itself, and for ``page_clicked`` the more specific ones."""
    return GESTURE if action == "page_clicked" else (action,)


ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        "email_delivered",
        "The mail reached the mailbox's server.",
        "platform webhook",
        sample={"campaign": "spring-sale"},
        where='{campaign: "spring-*"}',
    ),
    Action(
        "email_bounced",
        "The mail could not be delivered.",
        "platform webhook",
        sample={"kind": "hard"},
        where="{kind: hard}",
    ),
    Action(
        "email_complained",
        "The person marked the mail as spam.",
        "platform webhook",
        sample={},
    ),
    Action(
        "email_unsubscribed",
        "The person left the list at the platform.",
        "platform webhook",
        sample={"list": "newsletter"},
    ),
    Action(
        "email_opened",
        "The mail was opened; `machine: true` where a proxy, prefetcher or scanner did it.",
        "open pixel, platform webhook",
        sample={"campaign": "spring-sale", "machine": False},
        where="{machine: false}",
    ),
    Action(
        "email_clicked",
        "A link in the mail was followed to the site.",
        "link token on landing, redirect endpoint",
        markup='<a href="https://shop.example/?sgm=TOKEN&utm_campaign=spring-sale">Shop</a>',
        automatic=True,
        sample={"campaign": "spring-sale", "path": "/"},
        where='{campaign: "spring-*"}',
    ),
    Action(
        "page_clicked",
        "Any click on the site; a listener on it also fits the more specific gestures.",
        "click",
        markup='<nav><a class="sale" href="/sale">Sale</a></nav>',
        automatic=True,
        sample={"selector": "nav > a.sale", "text": "Sale"},
        where="{text: Sale}",
    ),
    Action(
        "page_viewed",
        "A page was looked at (also inside a single-page application).",
        "navigation",
        markup='<body data-segma-category="shoes">',
        automatic=True,
        sample={"path": "/shoes/runner", "title": "Runner", "url": "https://shop.example/shoes/runner"},
        where='{path: "/shoes/*"}',
    ),
    Action(
        "page_loaded",
        "The page finished loading.",
        "load event",
        markup='<script async src="COLLECTOR/sdk/segma.js" data-site="KEY"></script>',
        automatic=True,
        sample={"path": "/", "load_ms": 412},
        where="{load_ms: {at_least: 3000}}",
    ),
    Action(
        "page_closed",
        "The page was left.",
        "pagehide, navigation in the page",
        markup='<script async src="COLLECTOR/sdk/segma.js" data-site="KEY"></script>',
        automatic=True,
        sample={"path": "/", "visible_ms": 15000},
        where="{visible_ms: {at_least: 10000}}",
    ),
    Action(
        "logged_in",
        "The person logged in.",
        "segma.track, data attribute",
        markup='<form data-segma-action="logged_in" data-segma-method="password">…</form>',
        automatic=True,
        sample={"method": "password"},
    ),
    Action(
        "logged_out",
        "The person logged out.",
        "segma.track, data attribute",
        markup='<a href="/logout" data-segma-action="logged_out">Log out</a>',
        automatic=True,
        sample={},
    ),
    Action(
        "file_downloaded",
        "A file was downloaded.",
        "links by extension, download attribute",
        markup='<a href="/price-list.zip">Prices</a>',
        automatic=True,
        sample={"file": "/price-list.zip", "extension": "zip"},
        where="{extension: zip}",
    ),
    Action(
        "product_added",
        "A product was put into the basket.",
        "segma.track, data attributes",
        markup='<button data-segma-action="product_added" data-segma-sku="runner-42" data-segma-category="shoes"'
        ' data-segma-value="89" data-segma-quantity="1">Add to basket</button>',
        automatic=True,
        sample={"sku": "runner-42", "category": "shoes", "value": 89.0, "quantity": 1},
        where="{category: shoes, value: {at_least: 50}}",
    ),
    Action(
        "product_bought",
        "A product was bought.",
        "segma.track, data attributes",
        markup='<button data-segma-action="product_bought" data-segma-sku="runner-42" data-segma-category="shoes"'
        ' data-segma-value="89" data-segma-order-id="o-1001">Buy</button>',
        automatic=True,
        sample={"sku": "runner-42", "category": "shoes", "value": 89.0, "order_id": "o-1001"},
        where="{category: shoes}",
    ),
    Action(
        "similar_product_bought",
        "A product was bought that shares a category, brand or tag with an earlier one.",
        "derived in the flow",
        markup="segma.track('similar_product_bought', {sku: 'trail-7', category: 'shoes'})",
        sample={"sku": "trail-7", "category": "shoes"},
    ),
    Action(
        "button_clicked",
        "A button was pressed.",
        "buttons and [role=button]",
        markup='<button id="subscribe">Subscribe</button>',
        automatic=True,
        sample={"selector": "button#subscribe", "text": "Subscribe"},
        where="{text: Subscribe}",
    ),
    Action(
        "video_played",
        "A video was watched up to a part of its length.",
        "media elements, YouTube, Vimeo",
        markup="segma.track('video_played', {src: '/film.mp4', progress: 50})",
        sample={"src": "/film.mp4", "progress": 50},
        where="{progress: {at_least: 50}}",
    ),
    Action(
        "audio_played",
        "An audio was listened to up to a part of its length.",
        "media elements",
        markup="segma.track('audio_played', {src: '/talk.mp3', progress: 25})",
        sample={"src": "/talk.mp3", "progress": 25},
        where="{progress: {at_least: 25}}",
    ),
    Action(
        "pdf_viewed",
        "A PDF was opened.",
        "links to and embeds of PDF",
        markup='<a href="/catalogue.pdf">Catalogue</a>',
        automatic=True,
        sample={"file": "/catalogue.pdf"},
        where='{file: "*catalogue*"}',
    ),
    Action(
        "form_filled",
        "A field of a form was filled in (never its value).",
        "change",
        markup="segma.track('form_filled', {form: 'contact', field: 'company'})",
        sample={"form": "contact", "field": "company"},
        where="{form: contact}",
    ),
    Action(
        "form_submitted",
        "A form was submitted.",
        "submit",
        markup="segma.track('form_submitted', {form: 'contact'})",
        sample={"form": "contact"},
        where="{form: contact}",
    ),
    Action(
        "field_focused",
        "A field got the focus.",
        "focusin",
        markup="segma.track('field_focused', {form: 'contact', field: 'phone'})",
        sample={"form": "contact", "field": "phone"},
        where="{field: phone}",
    ),
    Action(
        "field_unfocused",
        "A field lost the focus.",
        "focusout",
        markup="segma.track('field_unfocused', {form: 'contact', field: 'phone'})",
        sample={"form": "contact", "field": "phone"},
        where="{field: phone}",
    ),
    Action(
        "searched",
        "The site's search was used.",
        "site-search forms and query parameters",
        markup="segma.track('searched', {query: 'trail shoes'})",
        sample={"query": "trail shoes"},
        where="{query: {contains: shoes}}",
    ),
    Action(
        "key_pressed",
        "A key that a live listener names was pressed.",
        "keydown",
        markup="segma.track('key_pressed', {key: 'Escape'})",
        sample={"key": "Escape"},
        where="{key: Escape}",
        only_where_asked=True,
    ),
    Action(
        "key_held",
        "A key that a live listener names is being held.",
        "keydown, repeated",
        markup="segma.track('key_held', {key: 'ArrowDown'})",
        sample={"key": "ArrowDown"},
        where="{key: ArrowDown}",
        only_where_asked=True,
    ),
    Action(
        "key_released",
        "A key that a live listener names was released.",
        "keyup",
        markup="segma.track('key_released', {key: 'Escape'})",
        sample={"key": "Escape"},
        where="{key: Escape}",
        only_where_asked=True,
    ),
    Action(
        "mouse_pressed",
        "A mouse button was pressed.",
        "pointerdown",
        markup="segma.track('mouse_pressed', {button: 'right', selector: 'img.product'})",
        sample={"button": "right", "selector": "img.product"},
        where="{button: right}",
        only_where_asked=True,
    ),
    Action(
        "mouse_moved",
        "The mouse moved (sampled).",
        "pointermove",
        markup="segma.track('mouse_moved', {distance_px: 1200})",
        sample={"distance_px": 1200},
        where="{distance_px: {at_least: 1000}}",
        only_where_asked=True,
    ),
    Action(
        "mouse_over",
        "The mouse came over an element.",
        "pointerover",
        markup="segma.track('mouse_over', {selector: 'img.product'})",
        sample={"selector": "img.product"},
        where="{selector: img.product}",
        only_where_asked=True,
    ),
    Action(
        "shortcut_pressed",
        "A combination of keys that a live listener names was pressed.",
        "keydown with modifiers",
        markup="segma.track('shortcut_pressed', {shortcut: 'ctrl+s'})",
        sample={"shortcut": "ctrl+s"},
        where="{shortcut: ctrl+s}",
        only_where_asked=True,
    ),
    Action(
        "scrolled_past",
        "A point of the page was passed: a percentage or an element.",
        "scroll",
        markup="segma.track('scrolled_past', {path: '/blog', percent: 75})",
        sample={"path": "/blog", "percent": 75},
        where="{percent: {at_least: 75}}",
    ),
    Action(
        "bottom_reached",
        "The bottom of the page was reached.",
        "scroll",
        markup="segma.track('bottom_reached', {path: '/blog'})",
        sample={"path": "/blog"},
        where="{path: /blog}",
    ),
    Action(
        "hovered",
        "The mouse rested on an element without clicking it.",
        "dwell time over an element",
        markup="segma.track('hovered', {selector: 'button#buy', dwell_ms: 2100})",
        sample={"selector": "button#buy", "dwell_ms": 2100},
        where="{selector: button#buy}",
    ),
    Action(
        "letter_typed",
        "A letter that a live listener names was typed; the other keystrokes never leave the page.",
        "keydown, matched in the page",
        markup="segma.track('letter_typed', {letter: 'x'})",
        sample={"letter": "x"},
        where="{letter: x}",
        only_where_asked=True,
    ),
    Action(
        "content_copied",
        "Content was copied (length and element, never the content).",
        "copy",
        markup="segma.track('content_copied', {selector: 'p.address', length: 42})",
        sample={"selector": "p.address", "length": 42},
        where="{length: {at_least: 20}}",
        only_where_asked=True,
    ),
    Action(
        "content_pasted",
        "Content was pasted (length and element, never the content).",
        "paste",
        markup="segma.track('content_pasted', {selector: 'input#coupon', length: 8})",
        sample={"selector": "input#coupon", "length": 8},
        where="{selector: input#coupon}",
        only_where_asked=True,
    ),
)

VOCABULARY: Final[frozenset[str]] = frozenset(action.name for action in ACTIONS)


def known_actions(own: Iterable[str] = ()) -> frozenset[str]:
    """The vocabulary with a site's own actions."""
    return VOCABULARY | frozenset(own)
