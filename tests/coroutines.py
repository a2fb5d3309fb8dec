"""Running coroutines in tests, also in a process whose main thread has a running event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run_apart(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run ``coroutine`` to its end in a thread of its own; what it raises is raised here.

    Where a browser was driven before, the driver leaves its event loop running in this thread until the session ends,
    and ``asyncio.run`` refuses to start another one in it.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(coroutine)).result()
