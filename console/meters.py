"""What the console tells Prometheus: its answers, tries to sign in that led nowhere, and questions to the history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OTHER: Final = "other"
"""Styles and scripts, and what is no page."""
BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Up to where a question to the history is given up."""

answers = Counter("segma_console_requests", "Answers of the console, by page and status.", ["page", "status"])
answer_seconds = Histogram(
    "segma_console_request_seconds", "From a request to where its answer begins.", ["page"], buckets=BUCKETS_S
)
sign_ins_refused = Counter("segma_console_sign_ins_refused", "Tries to sign in that led nowhere.", ["reason"])
history_seconds = Histogram(
    "segma_console_history_seconds",
    "Questions to the history; slow: given up after ten seconds.",
    ["outcome"],
    buckets=BUCKETS_S,
)


class MeteredAnswers:
    """Counts every answer, and how long it took to begin: what is streamed ends when its reader goes."""

    def __init__(self, app: ASGIApp, now_ms: Callable[[], int], page_key: str) -> None:
        """``page_key``: where a request's scope has the name of its page, one of few."""
        self._app, self._now_ms, self._page_key = app, now_ms, page_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and count."""
        started_ms, begun = self._now_ms(), False

        def count(status: int) -> None:
            page = scope.get(self._page_key, OTHER)
            answers.labels(page, status).inc()
            answer_seconds.labels(page).observe(max(self._now_ms() - started_ms, 0) / 1_000)

        async def heard(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                count(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, heard)
        except Exception:
            if not begun:
                count(500)
            raise
