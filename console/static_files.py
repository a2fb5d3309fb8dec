"""What every page loads and nobody has to sign in for: style and scripts, and the language as JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from flows.language.schema import listener_schema

STATIC: Final = Path(__file__).parent / "static"
PACKED_FROM: Final = 1_000
"""Bytes from which an answer is packed. Nothing here is anybody's secret, so its length may tell what it holds."""
LEVEL: Final = 6
"""Of gzip: the ninth takes twice as long for one per cent."""


def static_files() -> Mount:
    """``/static``; the schema is made of the running code, so that an operator of an installation's own is in it."""
    schema = json.dumps(listener_schema(), ensure_ascii=False, separators=(",", ":")).encode()

    async def of_the_language(_: Request) -> Response:
        return Response(schema, media_type="application/schema+json")

    return Mount(
        "/static",
        routes=[Route("/listener.schema.json", of_the_language), Mount("/", StaticFiles(directory=STATIC))],
        middleware=[Middleware(GZipMiddleware, minimum_size=PACKED_FROM, compresslevel=LEVEL)],
    )
