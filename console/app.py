"""The console as a Starlette application: four pages, and their changes as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console import pages
from console.watch import Watch
from contracts.codec import to_json
from contracts.rows import DirectoryEntry

STATIC: Final = Path(__file__).parent / "static"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HOSTS: Final = ("127.0.0.1", "localhost")
"""Under these names alone: a foreign name that its owner lets point at this machine opens nothing (DNS rebinding)."""
PAUSE_S: Final = 0.02
"""Changes within this time go out together; far below what an eye notices."""


@dataclass(frozen=True, slots=True)
class PageLinks:
    """The targets of the pages' links."""

    collector: str
    shop: str | None


class SecurityHeaders:
    """Adds the security headers to every answer."""

    def __init__(self, app: ASGIApp, policy: str) -> None:
        self._app = app
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the headers."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        await self._app(scope, receive, with_headers)


def console_app(watch: Watch, links: PageLinks, token_of: Callable[[DirectoryEntry], str]) -> Starlette:
    """The application. ``token_of`` seals a person's link token."""

    def people() -> list[pages.Recipient]:
        with watch.lock:
            entries = sorted(watch.picture.people.values(), key=lambda entry: entry.name)
        return [pages.Recipient(entry.name, token_of(entry)) for entry in entries[:50]]

    async def home(_: Request) -> HTMLResponse:
        return HTMLResponse(pages.home(links.shop))

    async def inbox(_: Request) -> HTMLResponse:
        found = people()
        # The directory is read from the log after the start: an inbox without anybody looks again by itself.
        again = {"Refresh": "1"} if links.shop is not None and not found else None
        return HTMLResponse(pages.inbox(found, shop_url=links.shop, collector_url=links.collector), headers=again)

    async def lists(_: Request) -> HTMLResponse:
        return HTMLResponse(pages.lists())

    async def events(_: Request) -> HTMLResponse:
        return HTMLResponse(pages.events())

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    def live(look: Callable[[], dict[str, Any]]) -> Callable[[Request], Any]:
        async def stream(_: Request) -> EventSourceResponse:
            return EventSourceResponse(changes(watch, look))

        return stream

    picture = watch.picture
    return Starlette(
        routes=[
            Route("/", home),
            Route("/inbox", inbox),
            Route("/lists", lists),
            Route("/events", events),
            Route("/live/lists", live(lambda: {"lists": picture.lists(), "moves": picture.moves()})),
            Route("/live/events", live(lambda: {"events": picture.events()})),
            Route("/health", health),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(SecurityHeaders, policy=POLICY),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS), www_redirect=False),
        ],
    )


async def changes(watch: Watch, look: Callable[[], dict[str, Any]]) -> AsyncGenerator[dict[str, str], None]:
    """Yield the page's content, at once and after each change, as JSON on one line."""
    bell = watch.bell()
    shown = b""
    try:
        while True:
            bell.clear()
            with watch.lock:
                seen = to_json(look())
            if seen != shown:
                shown = seen
                yield {"data": seen.decode()}
            await bell.wait()
            await asyncio.sleep(PAUSE_S)
    finally:
        watch.drop(bell)
