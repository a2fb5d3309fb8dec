"""The demo's shop: static pages and one script tag of ours. No login, no back end; the basket lives in the browser."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Container
from dataclasses import dataclass
from typing import Final

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from console import tryout
from console.changes import changes
from console.headers import SecurityHeaders
from console.markup import Html, html, joined
from console.static_files import STATIC
from console.watch import Watch


@dataclass(frozen=True, slots=True)
class Product:
    """One product. ``price`` in whole euros."""

    slug: str
    name: str
    category: str
    price: int
    picture: str
    text: str


PRODUCTS: Final = (
    Product("runner", "Runner 42", "shoes", 89, "R42", "Light, for roads. The one to begin with."),
    Product("trail", "Trail 7", "shoes", 119, "T7", "Grips where the road ends."),
    Product("rain-jacket", "Rain jacket", "jackets", 149, "RJ", "Keeps ten hours of drizzle out."),
    Product("wool-coat", "Wool coat", "jackets", 219, "WC", "Warm, heavy, for years."),
    Product("daypack", "Daypack 18", "bags", 69, "D18", "Eighteen litres and a place for the bottle."),
    Product("weekender", "Weekender", "bags", 129, "WE", "Two days of clothes, no wheels."),
)
CATEGORIES: Final = tuple(dict.fromkeys(product.category for product in PRODUCTS))

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title} · Corner Shop</title><link rel="stylesheet" href="/static/shop.css">
<script async src="{collector}/sdk/segma.js" data-site="{site}"></script></head>
<body{category}><header><a class="brand" href="/">Corner Shop</a><nav aria-label="Main">{nav}
<a href="/try">Try it</a><a href="/basket" class="basket">Basket <span data-basket-count>0</span></a></nav></header>
<main><h1>{title}</h1>{body}</main><footer>A shop of the imagination: nothing is sold here.</footer>
<script src="/static/shop.js"></script></body></html>"""

_CARD = """<li><a href="/products/{slug}"><span class="picture" aria-hidden="true">{picture}</span>
<b>{name}</b><span>€ {price}</span></a></li>"""

_PRODUCT = """<div class="product"><span class="picture" aria-hidden="true">{picture}</span><div>
<p class="lead">{text}</p><p class="price">€ {price}</p><div class="buttons">
<button class="add" data-product="{slug}" data-name="{name}" data-segma-action="product_added" data-segma-sku="{slug}"
 data-segma-category="{category}" data-segma-value="{price}" data-segma-quantity="1">Add to basket</button>
<button class="buy quiet" data-segma-action="product_bought" data-segma-sku="{slug}" data-segma-category="{category}"
 data-segma-value="{price}">Buy now</button></div>
<p role="status" data-said></p><p><a href="/category/{category}">More {category}</a></p></div></div>"""

_BASKET = """<ul id="basket" class="lines"></ul><p id="empty" class="lead">Nothing in it yet.</p>
<button id="checkout" hidden>Buy all</button><p role="status" data-said></p>"""


def shop_app(*, collector: str, site: str, watch: Watch | None = None, workspaces: Container[str] = ()) -> Starlette:
    """The shop as an application. ``collector``: where the script comes from; ``site``: the site's public key.

    ``watch``: what the page of all actions shows as arriving, of these workspaces.
    """
    pages = _Pages(collector, site)

    async def live(_: Request) -> Response:
        if watch is None:
            return Response(status_code=404)
        return EventSourceResponse(changes(watch, lambda: {"events": watch.picture.events(workspaces)}))

    policy = (
        f"default-src 'self'; script-src 'self' {collector}; connect-src 'self' {collector}; frame-ancestors 'none'"
    )
    return Starlette(
        routes=[
            Route("/", pages.home),
            Route("/category/{name}", pages.category),
            Route("/products/{slug}", pages.product),
            Route("/basket", pages.basket),
            Route("/try", pages.tryout),
            Route("/try/{page}", pages.tryout),
            Route("/live/try", live),
            Route("/files/tone.wav", file(tryout.tone(), "audio/wav")),
            Route("/files/leaflet.pdf", file(tryout.leaflet(), "application/pdf")),
            Route("/files/prices.csv", file(b"product,euro\nrunner,89\n", "text/csv")),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(SecurityHeaders, policy=policy, referrer="strict-origin")],
    )


class _Pages:
    """The shop's pages, each with the script's tag in its head."""

    def __init__(self, collector: str, site: str) -> None:
        self._collector, self._site = collector, site
        links = [html('<a href="/category/{c}">{name}</a>', c=each, name=each.capitalize()) for each in CATEGORIES]
        self._nav = joined(links)

    async def home(self, _: Request) -> HTMLResponse:
        """All products."""
        return self._answer("Made for outside", cards(PRODUCTS))

    async def category(self, request: Request) -> HTMLResponse:
        """The products of one category."""
        name = request.path_params["name"]
        found = tuple(product for product in PRODUCTS if product.category == name)
        return self._answer(name.capitalize(), cards(found), name) if found else self._missing()

    async def product(self, request: Request) -> HTMLResponse:
        """One product."""
        for each in PRODUCTS:
            if each.slug == request.path_params["slug"]:
                return self._answer(each.name, in_full(each), each.category)
        return self._missing()

    async def basket(self, _: Request) -> HTMLResponse:
        """The basket, which the browser fills."""
        return self._answer("Basket", Html(_BASKET))

    async def tryout(self, _: Request) -> HTMLResponse:
        """The page of all actions."""
        return self._answer("Try it", tryout.BODY)

    def _missing(self) -> HTMLResponse:
        return self._answer("Not here", html('<p><a href="/">To the shop</a></p>'), status=404)

    def _answer(self, title: str, body: Html, category: str = "", status: int = 200) -> HTMLResponse:
        mark = html(' data-segma-category="{c}"', c=category) if category else ""
        script = {"collector": self._collector, "site": self._site}
        return HTMLResponse(html(_PAGE, title=title, body=body, category=mark, nav=self._nav, **script), status)


def file(data: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    """What serves a file."""

    async def serve(request: Request) -> Response:
        return ranged(data, kind, request.headers.get("range", ""))

    return serve


def ranged(data: bytes, kind: str, wanted: str) -> Response:
    """A file, or the part of it that a player asks for (RFC 9110, section 14: one range of bytes)."""
    headers = {"accept-ranges": "bytes"}
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
    if found is None or int(found[1]) >= len(data):
        return Response(data, media_type=kind, headers=headers)
    first, last = int(found[1]), min(int(found[2] or len(data) - 1), len(data) - 1)
    headers["content-range"] = f"bytes {first}-{last}/{len(data)}"
    return Response(data[first : last + 1], 206, media_type=kind, headers=headers)


def cards(products: tuple[Product, ...]) -> Html:
    """A grid of products."""
    each = [html(_CARD, slug=p.slug, picture=p.picture, name=p.name, price=str(p.price)) for p in products]
    return html('<ul class="cards">{cards}</ul>', cards=joined(each))


def in_full(product: Product) -> Html:
    """One product with its buttons."""
    return html(
        _PRODUCT,
        slug=product.slug,
        picture=product.picture,
        name=product.name,
        category=product.category,
        price=str(product.price),
        text=product.text,
    )
