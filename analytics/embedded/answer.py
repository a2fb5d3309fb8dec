"""The answer to a query on its way out: the query asked, its blocks as the client wants them, and their packing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

from analytics.embedded.arrow import joined
from analytics.embedded.encodings import Compressor, Framer, Plain
from analytics.embedded.engine import Connection, Statement
from analytics.embedded.native import framed, needs_types
from analytics.embedded.request import QueryRequest


@dataclass(frozen=True, slots=True)
class AskedQuery:
    """A query on its way: ``headers`` are the answer's, ``tag`` names the query to the engine."""

    connection: Connection
    query: QueryRequest
    statement: Statement
    headers: dict[str, str]
    tag: str


class Packing:
    """ClickHouse's own framing, if it is wanted, and a content encoding around it."""

    def __init__(self, framer: Framer | None, encoding: Compressor) -> None:
        self._framer, self._encoding = framer, encoding
        self.plain = framer is None and isinstance(encoding, Plain)
        """Whether it changes nothing."""

    def compress(self, data: bytes) -> bytes:
        """Return the packed bytes that are complete with ``data``; the others wait for the next call."""
        return self._encoding.compress(self._framer.compress(data) if self._framer else data)

    def finish(self) -> bytes:
        """Return the packed bytes that were left."""
        return self._encoding.finish()


def answer_blocks(asked: AskedQuery, sql: str, fmt: str) -> Generator[bytes]:
    """Yield the engine's blocks; of Native as the client's revision wants them. Without rows there is none, but in
    ArrowStream.
    """
    connection, query = asked.connection, asked.query
    if fmt == "ArrowStream":
        yield from _arrow_blocks(asked, sql)
        return
    if fmt != "Native":
        yield from connection.stream(sql, fmt, query.params)
        return
    types, select, blocks = list[str](), asked.statement.without_format, connection.stream(sql, fmt, query.params)
    first = next(blocks, b"")
    if needs_types(first, query.revision):
        # NOTE: one call at a time, so the stream begins anew behind the question for the types.
        blocks.close()
        types = [kind for _, kind in connection.columns(select, query.params)]
        if not any(kind.startswith("DateTime(") for kind in types):
            types = []  # only a value says that word, or a type within JSON
        blocks = connection.stream(sql, fmt, query.params)
        first = next(blocks, b"")
    with closing(blocks):
        if first:
            yield framed(first, query.revision, types)
        for block in blocks:
            yield framed(block, query.revision, types)


def _arrow_blocks(asked: AskedQuery, sql: str) -> Generator[bytes]:
    connection, params = asked.connection, asked.query.params
    with closing(connection.stream(sql, "ArrowStream", params)) as streams:
        pieces = joined(streams)
        first = next(pieces, b"")
        if first:
            yield first
            yield from pieces
    if not first:
        # NOTE: without rows the engine's stream says nothing, and the columns are wanted all the same.
        yield connection.query(sql, "ArrowStream", params)[0]
