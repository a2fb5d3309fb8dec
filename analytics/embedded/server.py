"""ClickHouse's HTTP interface over the embedded engine, on loopback: clickhouse-connect and BI tools speak to it as to
a server. What works and what does not stands in ``docs/analytics.md``, each line with its test.

SQL goes to the engine as it came; where something must be known about it, the engine's own parser is asked.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
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
from analytics.embedded.answer import AskedQuery, Packing, answer_blocks
from analytics.embedded.body import MAX_QUERY_BYTES, Body
from analytics.embedded.encodings import PIECE, Framer, chosen, compressor
from analytics.embedded.engine import (
    Connection,
    EngineError,
    Progress,
    Statement,
    engine_error,
    text_of,
    unknown_tables,
)
from analytics.embedded.formats import content_type, is_streamed
from analytics.embedded.native import framed_all, unframed
from analytics.embedded.progress import summary, watched, with_progress, written
from analytics.embedded.request import QueryRequest, check_host, external_tables, read_request, url_fields, user_of
from analytics.embedded.running import Running, kill_wanted
from analytics.embedded.sessions import Sessions

T = TypeVar("T")

KEEP_ALIVE_S: Final = 30
WAIT_S: Final = 30.0
"""How long a question waits for its turn before it is told that there are too many."""
IN_MEMORY_BYTES: Final = 64 * 1024 * 1024
"""An answer awaited whole (``wait_end_of_query``) goes to a temporary file beyond this."""

STATUS: Final[Mapping[int, int]] = {
    516: 403,
    497: 403,
    164: 403,
    452: 403,
    60: 404,
    81: 404,
    372: 404,
    216: 400,
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


class AnswerCutShort(Exception):
    """Ends an answer without its last chunk. It says nothing of the query: it comes into the server's log."""


class QueryHandler:
    """The application's one handler."""

    def __init__(self, sessions: Sessions, options: ServerOptions, version: str, timezone: str) -> None:
        self._sessions, self._options, self._version, self._timezone = sessions, options, version, timezone
        self._slots = {
            ANALYST: asyncio.Semaphore(options.analyst_slots),
            "": asyncio.Semaphore(options.owner_slots),
        }
        self._running = Running(options.unique)
        self._threads = anyio.CapacityLimiter(2 * (options.analyst_slots + options.owner_slots) + 4)

    async def answer(self, request: Request) -> Response:
        """Answer one request; errors in ClickHouse's form."""
        headers = {"X-ClickHouse-Server-Display-Name": "segma", "X-ClickHouse-Timezone": self._timezone}
        try:
            check_host(request.headers.get("host", ""), self._options.port)
            fields = url_fields(request.scope["query_string"])
            url = dict(fields)
            if request.method in {"GET", "HEAD"} and "query" not in url:
                return PlainTextResponse("Ok.\n", headers=headers)
            user = user_of(request.headers, url, self._options.passwords)
            headers |= {"Connection": "Keep-Alive", "Keep-Alive": f"timeout={KEEP_ALIVE_S}, max=9999"}
            query = await self._read_request(request, user, fields)
            headers["X-ClickHouse-Query-Id"] = query.query_id or self._options.unique()
            return await self._answer(request, query, headers)
        except EngineError as error:
            return self._refusal(error, headers)
        except ClientDisconnect:
            return Response(status_code=499)

    async def _read_request(self, request: Request, user: str, fields: list[tuple[str, str]]) -> QueryRequest:
        headers = request.headers
        if not headers.get("content-type", "").startswith("multipart/form-data"):
            return read_request(user, request.method, fields, headers, {})
        async with request.form(max_part_size=MAX_QUERY_BYTES) as form:
            texts = {name: value for name, value in form.multi_items() if isinstance(value, str)}
            files = {name: await value.read() for name, value in form.multi_items() if isinstance(value, UploadFile)}
        query = read_request(user, request.method, fields, headers, texts)
        return replace(query, externals=external_tables(files, dict(fields)))

    async def _answer(self, request: Request, query: QueryRequest, headers: dict[str, str]) -> Response:
        async with AsyncExitStack() as stack:
            running = stack.enter_context(self._running.entered(query.user, headers["X-ClickHouse-Query-Id"]))
            await stack.enter_async_context(self._slot(query))
            body = Body(request, query)
            head = await body.head()
            if killed := kill_wanted(head):
                return await self._kill_own(query, killed, headers)
            # PERF: one hand-over to a thread for all that comes before the answer.
            opened, connection, statement, data = await self._in_thread(self._opened, query, running.tag, head)
            stack.push_async_callback(self._closed, opened)
            asked = AskedQuery(connection, query, statement, headers, running.tag)
            with unknown_tables(statement):
                if statement.takes_data:
                    return await self._insert(asked, data, body)
                sql = text_of(head + await body.rest())
                encoding = chosen(request.headers.get("accept-encoding", "")) if query.encoding_wanted else ""
                return await self._until_gone(request, running.tag, self._select(stack, asked, sql, encoding))

    def _opened(self, query: QueryRequest, tag: str, head: bytes) -> tuple[ExitStack, Connection, Statement, bytes]:
        with ExitStack() as opened:
            connection = opened.enter_context(self._sessions.connection(query, tag))
            statement, data = self._sessions.statement(connection, query, head)
            return opened.pop_all(), connection, statement, data

    async def _kill_own(self, query: QueryRequest, query_id: str, headers: dict[str, str]) -> Response:
        """``KILL QUERY WHERE query_id = '…'``: a query of the same user's."""
        tags = self._running.tags(query.user, query_id)
        for tag in tags:
            await self._in_thread(self._sessions.kill, tag)
        headers |= {"X-ClickHouse-Format": "TabSeparated", "Content-Type": content_type("TabSeparated")}
        return Response(f"waiting\t{query_id}\t{query.user}\t\n".encode() if tags else b"", headers=headers)

    async def _until_gone(self, request: Request, tag: str, work: Coroutine[Any, Any, Response]) -> Response:
        """Do some work for as long as its client is there. Raises :class:`ClientDisconnect`."""
        gone = False

        async def watch(scope: anyio.CancelScope) -> None:
            nonlocal gone
            while (await request.receive())["type"] != "http.disconnect":
                pass
            gone = True
            await self._in_thread(self._sessions.kill, tag)
            scope.cancel()

        response: Response | None = None
        error: EngineError | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(watch, group.cancel_scope)
            try:
                response = await work
            except EngineError as told:
                # NOTE: out of a task group it would come wrapped.
                error = told
            finally:
                group.cancel_scope.cancel()
        if error and not gone:
            raise error
        if response is None:
            raise ClientDisconnect
        return response

    async def _insert(self, asked: AskedQuery, data: bytes, body: Body) -> Response:
        statement, query = asked.statement, asked.query
        if statement.reads_input:
            raise engine_error(48, "INSERT … FROM input() is not known to the embedded engine", "NOT_IMPLEMENTED")
        if query.params:
            return await self._insert_with_parameters(asked, data, body)
        native = statement.format == "Native" and query.revision
        pieces = _joined(data, body) if not native else _unframed(data, body, query.revision)
        rows = await self._insert_pieces(asked, pieces)
        return Response(b"", headers={**asked.headers, "X-ClickHouse-Summary": summary({"written_rows": rows})})

    async def _insert_with_parameters(self, asked: AskedQuery, data: bytes, body: Body) -> Response:
        """Insert as one text, data and all: the engine's stream of an insert takes no parameters."""
        statement, query, seen = asked.statement, asked.query, list[Progress]()
        whole = data + await body.rest()
        text = text_of(unframed(whole, query.revision) if statement.format == "Native" else whole)
        head = statement.canonical.removesuffix(f" FORMAT {statement.format}")
        begins = "VALUES " if statement.format == "Values" else f"FORMAT {statement.format}\n"
        await self._in_thread(lambda: watched(asked.connection, query, f"{head} {begins}{text}", seen))
        return with_progress(Response(b"", headers=asked.headers), query, seen)

    async def _insert_pieces(self, asked: AskedQuery, pieces: AsyncIterator[bytes]) -> int:
        statement = asked.statement
        insert = await self._in_thread(asked.connection.insert, statement.insert_head, statement.format)
        try:
            async for piece in pieces:
                await self._in_thread(insert.append, piece)
            return await self._in_thread(insert.finish)
        except BaseException:
            # The client left, or the data are bad: nothing is written.
            with anyio.CancelScope(shield=True):
                await self._in_thread(lambda: _quietly(insert.cancel))
            raise

    async def _select(self, stack: AsyncExitStack, asked: AskedQuery, sql: str, encoding: str) -> Response:
        query, statement, headers = asked.query, asked.statement, asked.headers
        fmt = statement.format or query.format
        if statement.is_question:
            headers |= {"X-ClickHouse-Format": fmt, "Content-Type": content_type(fmt)}
        packed = Packing(Framer() if query.framed else None, compressor(encoding))
        if encoding:
            headers["Content-Encoding"] = encoding
        if statement.is_select and is_streamed(fmt, {*query.settings, *statement.settings}):
            return await self._stream(stack.pop_all(), asked, sql, packed)
        seen = list[Progress]()
        whole, read = await self._in_thread(lambda: watched(asked.connection, query, sql, seen))
        if fmt == "Native":
            whole = framed_all(whole, query.revision)
        if not whole:
            headers.pop("Content-Encoding", "")
        answer = await self._in_thread(lambda: packed.compress(whole) + packed.finish()) if whole else b""
        return with_progress(
            Response(answer, headers=headers), query, [*seen, {**read, **written(seen), "result_bytes": len(whole)}]
        )

    async def _stream(self, stack: AsyncExitStack, asked: AskedQuery, sql: str, packed: Packing) -> Response:
        """The head is sent with the first block, so that an error before it is an answer of its own."""
        query, headers, seen = asked.query, asked.headers, list[Progress]()
        if query.progress:
            asked.connection.watch(lambda progress: seen.append(dict(progress)))
            stack.callback(asked.connection.watch, None)
        blocks = answer_blocks(asked, sql, headers["X-ClickHouse-Format"])
        stack.callback(lambda: _quietly(blocks.close))
        headers["X-ClickHouse-Exception-Tag"] = asked.tag.replace("-", "")[:16]
        try:
            if query.wait_end:
                return await self._whole(stack, blocks, asked, packed, seen)
            first = await self._in_thread(next, blocks, None)
            if first is None:
                headers.pop("Content-Encoding", "")
                await self._give_back(stack)
                return with_progress(Response(b"", headers=headers), query, seen)
        except BaseException:
            await self._give_back(stack)
            raise
        return with_progress(
            StreamingResponse(self._pieces(stack, first, blocks, asked, packed), headers=headers), query, seen
        )

    async def _pieces(
        self, stack: AsyncExitStack, first: bytes, blocks: Iterator[bytes], asked: AskedQuery, packed: Packing
    ) -> AsyncIterator[bytes]:
        block: bytes | None = first
        # PERF: the engine makes the next block while this one is packed and sent.
        ahead = self._ahead(blocks)
        try:
            while block is not None:
                yield block if packed.plain else await self._in_thread(packed.compress, block)
                if (block := await asyncio.shield(ahead)) is not None:
                    ahead = self._ahead(blocks)
            yield packed.finish()
        except EngineError as error:
            text, tag = f"{self._text(error)}\n".encode(), asked.headers["X-ClickHouse-Exception-Tag"].encode()
            marked = b"\r\n__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (tag, text, len(text), tag)
            yield packed.compress(marked) + packed.finish()
            # NOTE: without its last chunk, so that no client takes the beginning for the whole.
            raise AnswerCutShort from None
        finally:
            await self._ended(asked.tag, ahead)
            await self._give_back(stack)

    def _ahead(self, blocks: Iterator[bytes]) -> asyncio.Future[bytes | None]:
        return asyncio.ensure_future(self._in_thread(next, blocks, None))

    async def _ended(self, tag: str, ahead: asyncio.Future[bytes | None]) -> None:
        """Wait for what the engine is at; where the client has left meanwhile, the query is ended."""
        with anyio.CancelScope(shield=True):
            if not ahead.done():
                await self._in_thread(self._sessions.kill, tag)
            await asyncio.gather(ahead, return_exceptions=True)

    async def _whole(
        self,
        stack: AsyncExitStack,
        blocks: Iterator[bytes],
        asked: AskedQuery,
        packed: Packing,
        seen: list[Progress],
    ) -> Response:
        def spool() -> Any:
            file = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - closed when it was sent
            file.writelines(packed.compress(block) for block in blocks)
            file.write(packed.finish())
            file.seek(0)
            return file

        file = await self._in_thread(spool)
        await self._give_back(stack)

        async def pieces() -> AsyncIterator[bytes]:
            with file:
                while piece := await self._in_thread(file.read, PIECE):
                    yield piece

        return with_progress(StreamingResponse(pieces(), headers=asked.headers), asked.query, seen)

    async def _closed(self, opened: ExitStack) -> None:
        with anyio.CancelScope(shield=True):
            await self._in_thread(opened.close)

    async def _give_back(self, stack: AsyncExitStack) -> None:
        with anyio.CancelScope(shield=True):
            await stack.aclose()

    @asynccontextmanager
    async def _slot(self, query: QueryRequest) -> AsyncIterator[None]:
        slots = self._slots[query.user if query.user == ANALYST else ""]
        try:
            async with asyncio.timeout(WAIT_S):
                await slots.acquire()
        except TimeoutError:
            raise engine_error(202, "Too many simultaneous queries", "TOO_MANY_SIMULTANEOUS_QUERIES") from None
        try:
            yield
        finally:
            slots.release()

    async def _in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        return await run_sync(call, *arguments, limiter=self._threads)

    def _text(self, error: EngineError) -> str:
        text = str(error)
        return text if "(version " in text else f"{text} (version {self._version} (embedded))"

    def _refusal(self, error: EngineError, headers: dict[str, str]) -> Response:
        headers = {name: value for name, value in headers.items() if name not in {"Content-Encoding", "Content-Type"}}
        headers["X-ClickHouse-Exception-Code"] = str(error.code)
        return PlainTextResponse(f"{self._text(error)}\n", STATUS.get(error.code, 400), headers)


async def _joined(data: bytes, body: Body) -> AsyncIterator[bytes]:
    if data:
        yield data
    async for piece in body:
        yield piece


async def _unframed(data: bytes, body: Body, revision: int) -> AsyncIterator[bytes]:
    whole = bytearray()
    async for piece in _joined(data, body):
        whole += piece
    yield unframed(bytes(whole), revision)


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
