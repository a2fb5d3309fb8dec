"""Bounds on connections, over real sockets: what is too much is hung up on with a reason, and nobody else feels it."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

import pytest
import uvloop
from uvicorn.config import Config
from uvicorn.server import ServerState

from collector.front import PROXY_V2, Bounds, FrontProtocol, Gate, read_preface
from collector.proxies import client_key
from contracts.reasons import Reason
from tests.coroutines import run_apart

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def application(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
    """Says who asked and how many bytes of body came."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = json.dumps([scope["client"][0], size]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def door(
    bounds: Bounds, *, proxied: bool = False, heard: asyncio.Event | None = None, app: Any = application
) -> AsyncIterator[tuple[int, Gate, list[Reason]]]:
    """The door on a port of its own, what its connections share, and why it hung up on some."""
    refused: list[Reason] = []

    def note(reason: Reason) -> None:
        refused.append(reason)
        if heard is not None:
            heard.set()

    gate = Gate(bounds, lambda host: proxied and host == "127.0.0.1", proxied, note)
    config = Config(app, lifespan="off", log_config=None, access_log=False, timeout_keep_alive=60)
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()

    def made() -> FrontProtocol:
        return FrontProtocol(gate=gate, config=config, server_state=state, app_state={})

    server = await loop.create_server(made, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], gate, refused
    finally:
        server.close()
        for connection in [*state.connections]:
            connection.transport.abort()
        while OPENED:
            writer = OPENED.pop()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


OPENED: list[asyncio.StreamWriter] = []


async def opened(port: int) -> Streams:
    streams = await asyncio.open_connection("127.0.0.1", port)
    OPENED.append(streams[1])
    return streams


async def asked(streams: Streams, data: bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") -> int:
    """The status of one answer; 0 where the door hung up without one."""
    reader, writer = streams
    writer.write(data)
    line = await reader.readline()
    if not line:
        return 0
    length = 0
    while (header := await reader.readline()) not in {b"\r\n", b""}:
        if header.lower().startswith(b"content-length:"):
            length = int(header.partition(b":")[2])
    await reader.readexactly(length)
    return int(line.split()[1])


BOUNDS = Bounds(url_bytes=200, header_bytes=20_000, headers=20, body_bytes=50_000, connections=30, connections_each=8)
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b"4e20\r\n" + b"x" * 20_000 + b"\r\n"


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"GET /%s HTTP/1.1\r\n\r\n" % (b"x" * 300), 414, Reason.URL_TOO_LONG),
        (b"GET /%s" % (b"x" * 60_000), 414, Reason.URL_TOO_LONG),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 21 + b"\r\n", 431, Reason.HEADERS_TOO_LARGE),
        (b"GET / HTTP/1.1\r\na: %s\r\n\r\n" % (b"x" * 20_001), 431, Reason.HEADERS_TOO_LARGE),
        (b"GET / HTTP/1.1\r\na: %s" % (b"x" * 100_000), 431, Reason.HEADERS_TOO_LARGE),
        (b"GET / HTTP/1.1\r\n%s" % (b"x" * 100_000), 431, Reason.HEADERS_TOO_LARGE),
        (b"POST / HTTP/1.1\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60_000, 413, Reason.TOO_LARGE),
        (CHUNKED + 3 * CHUNK, 413, Reason.TOO_LARGE),
        (
            CHUNKED + b"0\r\n" + b"a: b\r\n" * 25 + b"\r\n",
            431,
            Reason.HEADERS_TOO_LARGE,
        ),
        (
            CHUNKED + b"0\r\na: " + b"x" * 100_000,
            431,
            Reason.HEADERS_TOO_LARGE,
        ),
        (b"GET / HTTP/2.0\r\n\r\n", 400, Reason.BAD_REQUEST),
        (b"GET /\r\n\r\n", 400, Reason.BAD_REQUEST),
        (b"nonsense\r\n\r\n", 400, Reason.BAD_REQUEST),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400, Reason.BAD_REQUEST),
    ],
)
def test_what_is_too_much_is_refused_with_a_reason(data: bytes, status: int, reason: Reason) -> None:
    async def script() -> None:
        heard = asyncio.Event()
        async with door(BOUNDS, heard=heard) as (port, _, refused):
            with contextlib.suppress(ConnectionError):  # the door may hang up while this is still sending
                assert await asked(await opened(port), data) in {status, 200}
            await asyncio.wait_for(heard.wait(), 30)
            assert refused == [reason]
            assert await asked(await opened(port)) == 200, "nobody else feels it"

    run_apart(script())


def test_what_is_within_the_bounds_is_answered() -> None:
    async def script() -> None:
        async with door(BOUNDS) as (port, _, refused):
            streams = await opened(port)
            head = b"POST /%s HTTP/1.1\r\n" % (b"x" * 190) + b"a: %s\r\n" % (b"y" * 900) * 18
            for _ in range(3):
                assert await asked(streams, head + b"Content-Length: 50000\r\n\r\n" + b"x" * 50_000) == 200
            assert refused == []

    run_apart(script())


def test_requests_that_wait_behind_each_other_are_bounded() -> None:
    async def script() -> None:
        async with door(BOUNDS) as (port, _, refused):
            reader, writer = await opened(port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n" * 200)
            await reader.read()
            assert refused == [Reason.TOO_LARGE]

    run_apart(script())


@pytest.mark.parametrize(
    "data", [b"", b"GET / HT", b"GET / HTTP/1.1\r\na:", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n123"]
)
def test_who_says_nothing_or_stops_in_the_middle_is_hung_up_on(data: bytes) -> None:
    async def script() -> None:
        async with door(Bounds(head_s=0.05, body_s=0.05)) as (port, gate, refused):
            reader, writer = await opened(port)
            writer.write(data)
            answer = await reader.read()
            assert b" 408 " in answer
            assert refused == [Reason.TIMED_OUT]
            assert gate.clients == {}

    run_apart(script())


def test_connections_that_come_together_are_hung_up_on_one_after_the_other_and_none_too_early() -> None:
    gate = Gate(Bounds(head_s=10), lambda host: False)
    config = Config(application, lifespan="off", log_config=None)
    config.load()
    loop = mock.create_autospec(asyncio.AbstractEventLoop, instance=True)
    loop.time.return_value = 1_000.0
    for _ in range(200):
        made = FrontProtocol(gate=gate, config=config, server_state=ServerState(), app_state={}, _loop=loop)
        made.connection_made(mock.create_autospec(asyncio.Transport, instance=True))
    delays_s = [call.args[0] for call in loop.call_later.call_args_list]
    assert min(delays_s) >= 10
    assert max(delays_s) <= 12.5
    assert max(collections.Counter(delays_s).values()) == 4, "of 200, four in one moment"


def test_a_byte_now_and_then_does_not_hold_a_connection() -> None:
    async def script() -> None:
        async with door(Bounds(head_s=0.1)) as (port, _, refused):
            reader, writer = await opened(port)

            async def drip() -> None:
                while True:
                    writer.write(b"G" if not refused else b"")
                    await asyncio.sleep(0.01)

            dripping = asyncio.ensure_future(drip())
            assert b"HTTP/1.1 4" in await reader.read()
            dripping.cancel()

    run_apart(script())


def test_a_client_that_holds_many_connections_loses_its_idle_ones_and_nobody_else_any() -> None:
    async def script() -> None:
        async with door(BOUNDS) as (port, gate, _):
            idle = [await opened(port) for _ in range(8)]
            busy = await opened(port)
            assert await idle[0][0].read() == b"", "the one that has waited longest"
            assert await asked(busy) == 200
            assert await asked(idle[7]) == 200
            assert gate.count <= 9

    run_apart(script())


def test_an_answer_to_who_has_hung_up_meanwhile_goes_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Of several requests at once Uvicorn tells only the last that the connection is lost; no traceback is left."""

    async def run() -> None:
        gates, answered = list[Gate](), asyncio.Event()

        async def late(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
            for connection in [*gates[0].clients[client_key("127.0.0.1")]]:
                connection.transport.abort()
            while gates[0].count:
                await asyncio.sleep(0)
            try:
                await application(scope, receive, send)
            finally:
                answered.set()

        async with door(BOUNDS, app=late) as (port, gate, _):
            gates.append(gate)
            (await opened(port))[1].write(3 * b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await asyncio.wait_for(answered.wait(), 30)

    uvloop.run(run())
    assert caplog.records == []


def test_in_all_the_longest_waiting_connection_makes_room() -> None:
    async def script() -> None:
        async with door(Bounds(connections=5, connections_each=100)) as (port, _, _refused):
            idle = [await opened(port) for _ in range(5)]
            late = await opened(port)
            assert await idle[0][0].read() == b""
            assert await asked(late) == 200
            assert await asked(idle[1]) == 200

    run_apart(script())


V2 = (
    PROXY_V2
    + b"\x21\x11"
    + struct.pack("!H", 12)
    + bytes([198, 51, 100, 7, 10, 0, 0, 1])
    + struct.pack("!HH", 4711, 80)
)


@pytest.mark.parametrize("preface", [b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 80\r\n", V2])
def test_behind_a_proxy_that_says_so_the_client_is_whom_it_names(preface: bytes) -> None:
    async def script() -> None:
        async with door(BOUNDS, proxied=True) as (port, gate, _):
            reader, writer = await opened(port)
            for byte in preface:
                writer.write(bytes([byte]))
                await writer.drain()
            writer.write(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            assert b'["198.51.100.7", 0]' in await reader.read()
            assert gate.clients == {}
            assert await asked(await opened(port)) == 400, "no header, no request"

    run_apart(script())


@pytest.mark.parametrize(
    ("data", "client"),
    [
        (b"PROXY TCP6 2001:db8::7 ::1 4711 80\r\nGET", (("2001:db8::7", 4711), b"GET")),
        (b"PROXY UNKNOWN\r\nGET", (None, b"GET")),
        (b"PROXY TCP6 ::ffff:198.51.100.7 ::1 4711 80\r\n", (("198.51.100.7", 4711), b"")),
        (PROXY_V2 + b"\x20\x00\x00\x00GET", (None, b"GET")),
        (b"PROXY TCP4 198.51", None),
        (b"P", None),
        (b"\r", None),
        (V2[:20], None),
    ],
)
def test_a_proxy_header_is_read(data: bytes, client: Any) -> None:
    assert read_preface(data) == client


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1",
        b"PROXY TCP4 x 10.0.0.1 1 2\r\n",
        b"PROXY " + b"x" * 200,
        b"PROXY TCP9 1 2 3 4\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 198.51.100.7 10.0.0.1 1 2\r\n",
        b"PROXY TCP4 198.51.100.7 10.0.0.1 70000 2\r\n",
        b"PROXY TCP4 198.51.100.7 10.0.0.1 -1 2\r\n",
        PROXY_V2 + b"\x22\x11\x00\x0c" + bytes(12),
        PROXY_V2 + b"\x31\x11\x00\x0c",
    ],
)
def test_what_is_no_proxy_header_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_preface(data)


def test_an_ipv6_client_is_its_network() -> None:
    assert client_key("2001:db8:1:2:3::4") == client_key("2001:db8:1:2::5")
    assert client_key("203.0.113.7") != client_key("203.0.113.8")
