"""ClickHouse's HTTP interface over the embedded engine, on loopback: clickhouse-connect and BI tools speak to it as to
a server. What works and what does not stands in ``docs/analytics.md``, each line with its test.

SQL goes to the engine as it came; where something must be known about it, the engine's own parser is asked.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import anyio
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from analytics.config import ANALYST
from analytics.embedded.encodings import PIECE, Decompressor, chosen, compressor, decompressor
from analytics.embedded.engine import (
    STREAMABLE,
    Connection,
    EngineError,
    Progress,
    Statement,
    engine_error,
    unknown_tables,
)
from analytics.embedded.request import QueryRequest, check_host, external_tables, read_request, user_of
from analytics.embedded.sessions import HEAD_BYTES, Sessions
from contracts.codec import to_json

T = TypeVar("T")

WAIT_S: Final = 30.0
"""How long a question waits for its turn before it is told that there are too many."""
MAX_QUERY_BYTES: Final = 64 * 1024 * 1024
IN_MEMORY_BYTES: Final = 64 * 1024 * 1024
"""An answer awaited whole (``wait_end_of_query``) goes to a temporary file beyond this."""

SUMMARY: Final = (
    "read_rows",
    "read_bytes",
    "written_rows",
    "written_bytes",
    "total_rows_to_read",
    "result_rows",
    "result_bytes",
    "elapsed_ns",
)

STATUS: Final[Mapping[int, int]] = {
    516: 403,
    497: 403,
    164: 403,
    452: 403,
    60: 404,
    81: 404,
    372: 404,
    202: 503,
    241: 500,
    159: 408,
    48: 501,
}
"""HTTP statuses of ClickHouse's codes; every other is 400: nearly always the statement is at fault."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What the server takes from options. ``unique``: an id that nobody can guess."""

    passwords: Mapping[str, str]
    port: int
    unique: Callable[[], str]
    owner_slots: int = 16
    analyst_slots: int = 8


class QueryHandler:
    """The application's one handler."""

    def __init__(self, sessions: Sessions, options: ServerOptions, version: str, timezone: str) -> None:
        self._sessions, self._options, self._version, self._timezone = sessions, options, version, timezone
        self._slots = {
            ANALYST: asyncio.Semaphore(options.analyst_slots),
            "": asyncio.Semaphore(options.owner_slots),
        }
        self._threads = anyio.CapacityLimiter(options.analyst_slots + options.owner_slots + 4)

    async def answer(self, request: Request) -> Response:
        """Answer one request; errors in ClickHouse's form."""
        headers = {"X-ClickHouse-Server-Display-Name": "segma", "X-ClickHouse-Timezone": self._timezone}
        try:
            check_host(request.headers.get("host", ""), self._options.port)
            if request.method in {"GET", "HEAD"} and "query" not in request.query_params:
                return PlainTextResponse("Ok.\n", headers=headers)
            user = user_of(request.headers, request.query_params, self._options.passwords)
            query = await self._read_request(request, user)
            headers["X-ClickHouse-Query-Id"] = query.query_id or self._options.unique()
            return await self._answer(request, query, headers)
        except EngineError as error:
            return self._refusal(error, headers)
        except ClientDisconnect:
            return Response(status_code=499)

    async def _read_request(self, request: Request, user: str) -> QueryRequest:
        headers, url = request.headers, request.query_params
        if not headers.get("content-type", "").startswith("multipart/form-data"):
            return read_request(user, request.method, url.multi_items(), headers, {})
        async with request.form(max_part_size=MAX_QUERY_BYTES) as form:
            texts = {name: value for name, value in form.multi_items() if isinstance(value, str)}
            files = {name: await value.read() for name, value in form.multi_items() if isinstance(value, UploadFile)}
        query = read_request(user, request.method, url.multi_items(), headers, texts)
        return replace(query, externals=external_tables(files, url))

    async def _answer(self, request: Request, query: QueryRequest, headers: dict[str, str]) -> Response:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._slot(query))
            connection = await stack.enter_async_context(self._connection(query))
            body = _Body(request, query, decompressor(request.headers.get("content-encoding", "")))
            statement, data, sql = await self._read(connection, query, body)
            with unknown_tables(statement):
                if statement.takes_data:
                    return await self._inserted(connection, statement, data, body, headers)
                return await self._selected(stack, request, query, connection, statement, sql, headers)

    async def _inserted(
        self, connection: Connection, statement: Statement, data: bytes, body: _Body, headers: dict[str, str]
    ) -> Response:
        rows = await self._insert(connection, statement, data, body)
        return Response(b"", headers={**headers, "X-ClickHouse-Summary": summary({"written_rows": rows})})

    async def _selected(  # noqa: PLR0917
        self,
        stack: AsyncExitStack,
        request: Request,
        query: QueryRequest,
        connection: Connection,
        statement: Statement,
        sql: str,
        headers: dict[str, str],
    ) -> Response:
        encoding = chosen(request.headers.get("accept-encoding", "")) if query.encoding_wanted else ""
        headers |= {"Content-Encoding": encoding} if encoding else {}
        fmt = statement.format or query.format
        headers["X-ClickHouse-Format"] = fmt
        if statement.is_select and fmt in STREAMABLE:
            return await self._stream(stack.pop_all(), connection, query, sql, headers)
        seen = list[Progress]()
        whole, read = await self._in_thread(lambda: _watched(connection, query, sql, seen))
        packed = compressor(encoding)
        return _with_progress(
            Response(packed.compress(whole) + packed.finish(), headers=headers),
            query,
            [*seen, {**read, "result_bytes": len(whole)}],
        )

    async def _read(self, connection: Connection, query: QueryRequest, body: _Body) -> tuple[Statement, bytes, str]:
        """The statement, the beginning of an insert's data, and the SQL as it came."""
        head = query.sql.encode() if query.sql else await body.head()
        statement, data = await self._in_thread(lambda: self._sessions.statement(connection, query, head))
        if statement.takes_data:
            return statement, data + b"\n" if query.sql and data else data, ""
        # NOTE: as ClickHouse does it, the parameter and the body together are the query.
        text = head + await body.rest() if not query.sql else head
        return statement, b"", text.decode()

    async def _insert(self, connection: Connection, statement: Statement, data: bytes, body: _Body) -> int:
        insert = await self._in_thread(lambda: connection.insert(statement.insert_head, statement.format))
        try:
            if data:
                await self._in_thread(lambda: insert.append(data))
            async for piece in body:
                await self._in_thread(insert.append, piece)
            return await self._in_thread(insert.finish)
        except BaseException:
            # The client left, or the data are bad: what is not yet written is not.
            with anyio.CancelScope(shield=True):
                await self._in_thread(lambda: _quietly(insert.cancel))
            raise

    async def _stream(
        self, stack: AsyncExitStack, connection: Connection, query: QueryRequest, sql: str, headers: dict[str, str]
    ) -> Response:
        """The head is sent with the first block, so that an error before it is an answer of its own."""
        seen, tag = list[Progress](), self._options.unique()[:16]
        if query.progress:
            connection.watch(lambda progress: seen.append(dict(progress)))
            stack.callback(connection.watch, None)
        blocks = connection.stream(sql, headers["X-ClickHouse-Format"], query.params)
        stack.callback(lambda: _quietly(blocks.close))
        headers["X-ClickHouse-Exception-Tag"] = tag
        try:
            if query.wait_end:
                return await self._whole(stack, blocks, query, headers, seen)
            first = await self._in_thread(lambda: next(blocks, b""))
        except BaseException:
            await self._give_back(stack)
            raise
        return _with_progress(
            StreamingResponse(self._pieces(stack, first, blocks, headers), headers=headers), query, seen
        )

    async def _pieces(
        self, stack: AsyncExitStack, first: bytes, blocks: Iterator[bytes], headers: Mapping[str, str]
    ) -> AsyncIterator[bytes]:
        packed = compressor(headers.get("Content-Encoding", ""))
        try:
            piece = first
            while piece:
                yield await self._in_thread(packed.compress, piece)
                piece = await self._in_thread(lambda: next(blocks, b""))
            yield packed.finish()
        except EngineError as error:
            text, tag = f"{self._text(error)}\n".encode(), headers["X-ClickHouse-Exception-Tag"].encode()
            marked = b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (tag, text, len(text), tag)
            yield packed.compress(marked) + packed.finish()
            # NOTE: without its last chunk, so that no client takes the beginning for the whole.
            raise
        finally:
            await self._give_back(stack)

    async def _whole(
        self,
        stack: AsyncExitStack,
        blocks: Iterator[bytes],
        query: QueryRequest,
        headers: dict[str, str],
        seen: list[Progress],
    ) -> Response:
        packed = compressor(headers.get("Content-Encoding", ""))

        def spool() -> Any:
            file = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - closed when it was sent
            for block in blocks:
                file.write(packed.compress(block))
            file.write(packed.finish())
            file.seek(0)
            return file

        file = await self._in_thread(spool)
        await self._give_back(stack)

        async def pieces() -> AsyncIterator[bytes]:
            with file:
                while piece := await self._in_thread(file.read, PIECE):
                    yield piece

        return _with_progress(StreamingResponse(pieces(), headers=headers), query, seen)

    async def _give_back(self, stack: AsyncExitStack) -> None:
        with anyio.CancelScope(shield=True):
            await stack.aclose()

    @asynccontextmanager
    async def _slot(self, query: QueryRequest) -> AsyncIterator[None]:
        slots = self._slots[query.user if query.user == ANALYST else ""]
        try:
            await asyncio.wait_for(slots.acquire(), WAIT_S)
        except TimeoutError:
            raise engine_error(202, "Too many simultaneous queries", "TOO_MANY_SIMULTANEOUS_QUERIES") from None
        try:
            yield
        finally:
            slots.release()

    @asynccontextmanager
    async def _connection(self, query: QueryRequest) -> AsyncIterator[Connection]:
        context = self._sessions.connection(query)
        connection = await self._in_thread(context.__enter__)
        try:
            yield connection
        finally:
            with anyio.CancelScope(shield=True):
                await self._in_thread(lambda: context.__exit__(None, None, None))

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        return await run_sync(call, *arguments, limiter=self._threads)

    def _text(self, error: EngineError) -> str:
        text = str(error)
        return text if "(version " in text else f"{text} (version {self._version} (embedded))"

    def _refusal(self, error: EngineError, headers: dict[str, str]) -> Response:
        headers = {name: value for name, value in headers.items() if name != "Content-Encoding"}
        headers["X-ClickHouse-Exception-Code"] = str(error.code)
        return PlainTextResponse(f"{self._text(error)}\n", STATUS.get(error.code, 400), headers)


class _Body:
    """The request's body, decompressed: its head first, where the SQL stands in it, then piece by piece."""

    def __init__(self, request: Request, query: QueryRequest, unpack: Decompressor) -> None:
        form = request.headers.get("content-type", "").startswith("multipart/form-data")
        self._pieces = _empty() if form else _unpacked(request, unpack)
        self._query = query

    async def head(self) -> bytes:
        """At least the first :data:`HEAD_BYTES`, or all there is."""
        head = b""
        async for piece in self._pieces:
            head += piece
            if len(head) >= HEAD_BYTES:
                break
        return head

    async def rest(self) -> bytes:
        """All that is left. Raises :class:`EngineError` where that is more than a query can be."""
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


async def _unpacked(request: Request, unpack: Decompressor) -> AsyncIterator[bytes]:
    # PERF: pieces of a megabyte: each goes to the engine by way of another thread.
    held = bytearray()
    async for packed in request.stream():
        for piece in unpack.pieces(packed):
            held += piece
            if len(held) >= PIECE:
                yield bytes(held)
                held.clear()
    if held:
        yield bytes(held)


def summary(progress: Progress) -> str:
    """``X-ClickHouse-Summary``: the numbers as strings, as ClickHouse writes them."""
    return to_json({name: str(progress.get(name, 0)) for name in SUMMARY}).decode()


def _with_progress(response: Response, query: QueryRequest, seen: list[Progress]) -> Response:
    """The progress up to the answer's beginning, if it was asked for, and its last state."""
    for progress in seen[-20:] if query.progress else ():
        response.headers.append("X-ClickHouse-Progress", summary(progress))
    response.headers["X-ClickHouse-Summary"] = summary(seen[-1] if seen else {})
    return response


def _watched(connection: Connection, query: QueryRequest, sql: str, seen: list[Progress]) -> tuple[bytes, Progress]:
    if query.progress:
        connection.watch(lambda progress: seen.append(dict(progress)))
    try:
        return connection.query(sql, query.format, query.params)
    finally:
        if query.progress:
            connection.watch(None)


def _quietly(call: Callable[[], None]) -> None:
    """End something whose fault has been told already."""
    try:
        call()
    except EngineError:
        return


def clickhouse_app(sessions: Sessions, options: ServerOptions, *, version: str, timezone: str) -> Starlette:
    """The application."""
    handler = QueryHandler(sessions, options, version, timezone)
    routes = [Route(path, handler.answer, methods=["GET", "HEAD", "POST"]) for path in ("/", "/ping")]

    @asynccontextmanager
    async def ends(_: Starlette) -> AsyncIterator[None]:
        yield
        sessions.close()

    return Starlette(routes=routes, lifespan=ends)
