"""A request's body, decompressed: its head first, where the SQL stands in it, then piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request

from analytics.embedded.encodings import PIECE, Decompressor, Unframer, decompressor
from analytics.embedded.engine import engine_error, raw
from analytics.embedded.request import QueryRequest
from analytics.embedded.sessions import HEAD_BYTES

MAX_QUERY_BYTES: Final = 64 * 1024 * 1024


class Body:
    """The query's text and what follows it: the parameter ``query``, a line feed, the body."""

    def __init__(self, request: Request, query: QueryRequest) -> None:
        self._sql = raw(query.sql)
        form = request.headers.get("content-type", "").startswith("multipart/form-data")
        readers: list[Decompressor] = [decompressor(request.headers.get("content-encoding", ""))]
        if query.framed_body:
            readers.append(Unframer())
        self._pieces = _empty() if form or request.method in {"GET", "HEAD"} else _unpacked(request, readers)

    async def head(self) -> bytes:
        """Return at least the first :data:`HEAD_BYTES`, or all there is."""
        body = b""
        async for piece in self._pieces:
            body += piece
            if len(body) >= HEAD_BYTES:
                break
        return self._sql + b"\n" + body if self._sql and body else self._sql or body

    async def rest(self) -> bytes:
        """Return all that is left. Raises :class:`EngineError` where that is more than a query can be."""
        rest = b""
        async for piece in self._pieces:
            rest += piece
            if len(rest) > MAX_QUERY_BYTES:
                raise engine_error(62, "The query is too large", "SYNTAX_ERROR")
        return rest

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces


async def _empty() -> AsyncIterator[bytes]:
    for piece in list[bytes]():
        yield piece


async def _unpacked(request: Request, readers: list[Decompressor]) -> AsyncIterator[bytes]:
    # PERF: pieces of a megabyte: each goes to the engine by way of another thread.
    held = bytearray()
    async for packed in request.stream():
        for piece in _through(readers, packed):
            held += piece
            if len(held) >= PIECE:
                yield bytes(held)
                held.clear()
    for reader in readers:
        reader.finish()
    if held:
        yield bytes(held)


def _through(readers: list[Decompressor], data: bytes) -> list[bytes]:
    pieces = [data]
    for reader in readers:
        pieces = [each for piece in pieces for each in reader.pieces(piece)]
    return pieces
