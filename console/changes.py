"""The content of a live page as server-sent events: at once, and after each change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

from console.watch import Watch
from contracts.codec import to_json

PAUSE_S: Final = 0.02
"""Changes within this time go out together; far below what an eye notices."""


async def changes(
    watch: Watch, look: Callable[[], dict[str, Any]], goes_on: Callable[[], bool] = lambda: True
) -> AsyncGenerator[dict[str, str], None]:
    """Yield the page's content as JSON on one line, until ``goes_on`` says no: the session has ended."""
    bell = watch.bell()
    shown = b""
    try:
        while goes_on():
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
