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
    """HTML or script that makes it happen."""
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
        sample={"campaign": "spring-sale", "path": "/"},
        where='{campaign: "spring-*"}',
    ),
    Action(
        "page_clicked",
        "Any click on the site; a listener on it also fits the more specific gestures.",
        "click",
        sample={"selector": "nav > a.sale", "text": "Sale"},
        where="{text: Sale}",
    ),
    Action(
        "page_viewed",
        "A page was looked at (also inside a single-page application).",
        "navigation",
        sample={"path": "/shoes/runner", "title": "Runner", "url": "https://shop.example/shoes/runner"},
        where='{path: "/shoes/*"}',
    ),
    Action(
        "page_loaded",
        "The page finished loading.",
        "load event",
        sample={"path": "/", "load_ms": 412},
        where="{load_ms: {at_least: 3000}}",
    ),
    Action(
        "page_closed",
        "The page was left.",
        "pagehide, hidden",
        sample={"path": "/", "visible_ms": 15000},
        where="{visible_ms: {at_least: 10000}}",
    ),
    Action(
        "logged_in",
        "The person logged in.",
        "API, data attribute",
        sample={"method": "password"},
    ),
    Action(
        "logged_out",
        "The person logged out.",
        "API, data attribute",
        sample={},
    ),
    Action(
        "file_downloaded",
        "A file was downloaded.",
        "links by extension, download attribute",
        sample={"file": "/price-list.zip", "extension": "zip"},
        where="{extension: zip}",
    ),
    Action(
        "product_added",
        "A product was put into the basket.",
        "API, data attributes, GA4 dataLayer",
        sample={"sku": "runner-42", "category": "shoes", "value": 89.0, "quantity": 1},
        where="{category: shoes, value: {at_least: 50}}",
    ),
    Action(
        "product_bought",
        "A product was bought.",
        "API, data attributes, GA4 dataLayer",
        sample={"sku": "runner-42", "category": "shoes", "value": 89.0, "order_id": "o-1001"},
        where="{category: shoes}",
    ),
    Action(
        "similar_product_bought",
        "A product was bought that shares a category, brand or tag with an earlier one.",
        "derived in the flow",
        sample={"sku": "trail-7", "category": "shoes"},
    ),
    Action(
        "button_clicked",
        "A button was pressed.",
        "buttons and [role=button]",
        sample={"selector": "button#subscribe", "text": "Subscribe"},
        where="{text: Subscribe}",
    ),
    Action(
        "video_played",
        "A video was watched up to a part of its length.",
        "media elements, YouTube, Vimeo",
        sample={"src": "/film.mp4", "progress": 50},
        where="{progress: {at_least: 50}}",
    ),
    Action(
        "audio_played",
        "An audio was listened to up to a part of its length.",
        "media elements",
        sample={"src": "/talk.mp3", "progress": 25},
        where="{progress: {at_least: 25}}",
    ),
    Action(
        "pdf_viewed",
        "A PDF was opened.",
        "links to and embeds of PDF",
        sample={"file": "/catalogue.pdf"},
        where='{file: "*catalogue*"}',
    ),
    Action(
        "form_filled",
        "A field of a form was filled in (never its value).",
        "change",
        sample={"form": "contact", "field": "company"},
        where="{form: contact}",
    ),
    Action(
        "form_submitted",
        "A form was submitted.",
        "submit",
        sample={"form": "contact"},
        where="{form: contact}",
    ),
    Action(
        "field_focused",
        "A field got the focus.",
        "focusin",
        sample={"form": "contact", "field": "phone"},
        where="{field: phone}",
    ),
    Action(
        "field_unfocused",
        "A field lost the focus.",
        "focusout",
        sample={"form": "contact", "field": "phone"},
        where="{field: phone}",
    ),
    Action(
        "searched",
        "The site's search was used.",
        "site-search forms and query parameters",
        sample={"query": "trail shoes"},
        where="{query: {contains: shoes}}",
    ),
    Action(
        "key_pressed",
        "A key that a live listener names was pressed.",
        "keydown",
        sample={"key": "Escape"},
        where="{key: Escape}",
        only_where_asked=True,
    ),
    Action(
        "key_held",
        "A key that a live listener names is being held.",
        "keydown, repeated",
        sample={"key": "ArrowDown"},
        where="{key: ArrowDown}",
        only_where_asked=True,
    ),
    Action(
        "key_released",
        "A key that a live listener names was released.",
        "keyup",
        sample={"key": "Escape"},
        where="{key: Escape}",
        only_where_asked=True,
    ),
    Action(
        "mouse_pressed",
        "A mouse button was pressed.",
        "pointerdown",
        sample={"button": "right", "selector": "img.product"},
        where="{button: right}",
        only_where_asked=True,
    ),
    Action(
        "mouse_moved",
        "The mouse moved (sampled).",
        "pointermove",
        sample={"distance_px": 1200},
        where="{distance_px: {at_least: 1000}}",
        only_where_asked=True,
    ),
    Action(
        "mouse_over",
        "The mouse came over an element.",
        "pointerover",
        sample={"selector": "img.product"},
        where="{selector: img.product}",
        only_where_asked=True,
    ),
    Action(
        "shortcut_pressed",
        "A combination of keys that a live listener names was pressed.",
        "keydown with modifiers",
        sample={"shortcut": "ctrl+s"},
        where="{shortcut: ctrl+s}",
        only_where_asked=True,
    ),
    Action(
        "scrolled_past",
        "A point of the page was passed: a percentage or an element.",
        "scroll",
        sample={"path": "/blog", "percent": 75},
        where="{percent: {at_least: 75}}",
    ),
    Action(
        "bottom_reached",
        "The bottom of the page was reached.",
        "scroll",
        sample={"path": "/blog"},
        where="{path: /blog}",
    ),
    Action(
        "hovered",
        "The mouse rested on an element without clicking it.",
        "dwell time over an element",
        sample={"selector": "button#buy", "dwell_ms": 2100},
        where="{selector: button#buy}",
    ),
    Action(
        "letter_typed",
        "A letter that a live listener names was typed; the other keystrokes never leave the page.",
        "keydown, matched in the page",
        sample={"letter": "x"},
        where="{letter: x}",
        only_where_asked=True,
    ),
    Action(
        "content_copied",
        "Content was copied (length and element, never the content).",
        "copy",
        sample={"selector": "p.address", "length": 42},
        where="{length: {at_least: 20}}",
        only_where_asked=True,
    ),
    Action(
        "content_pasted",
        "Content was pasted (length and element, never the content).",
        "paste",
        sample={"selector": "input#coupon", "length": 8},
        where="{selector: input#coupon}",
        only_where_asked=True,
    ),
)

VOCABULARY: Final[frozenset[str]] = frozenset(action.name for action in ACTIONS)


def known_actions(own: Iterable[str] = ()) -> frozenset[str]:
    """The vocabulary with a site's own actions."""
    return VOCABULARY | frozenset(own)
