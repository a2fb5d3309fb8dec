"""Uvicorn's protocol, for URLs beyond 64 KiB: parameters of a query stand in them, and ClickHouse takes a megabyte."""

from __future__ import annotations

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PARSED_BYTES: Final = 60_000
"""httptools takes a URL apart up to 64 KiB."""
MOST_BYTES: Final = 1024 * 1024


class LongUrls(HttpToolsProtocol):
    """Takes the query string of a long URL off before it is parsed."""

    def on_url(self, url: bytes) -> None:
        """A piece of the URL has come."""
        super().on_url(url)
        if len(self.url) > MOST_BYTES:
            raise ValueError("the URL is too long")

    def on_headers_complete(self) -> None:
        """The head has come."""
        path, _, query = self.url.partition(b"?") if len(self.url) > PARSED_BYTES else (self.url, b"", b"")
        self.url = path
        super().on_headers_complete()
        if query:
            self.scope["query_string"] = query
