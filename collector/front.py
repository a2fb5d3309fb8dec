"""What stands in front of the framework: bounds on a connection before anything of a request is kept or answered.

Uvicorn reads with llhttp, which bounds neither a header nor their number, and asyncio closes no connection that says
nothing. This protocol counts and times what comes and hangs up with a reason; what it lets through is Uvicorn's.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import struct
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from collector.proxies import address_of, client_key
from contracts.reasons import Reason

SLICE: Final = 8_192
"""Bytes given to the parser at a time: between two the bounds are looked at."""
PROXY_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
MAX_PROXY_LINE: Final = 107
"""Of version 1 of the PROXY protocol, the line's end counted."""
_ANSWERS: Final = {
    Reason.HEADERS_TOO_LARGE: (431, b"Request Header Fields Too Large"),
    Reason.URL_TOO_LONG: (414, b"URI Too Long"),
    Reason.TOO_LARGE: (413, b"Content Too Large"),
    Reason.TIMED_OUT: (408, b"Request Timeout"),
    Reason.BAD_REQUEST: (400, b"Bad Request"),
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of what a connection may take, in bytes and seconds."""

    url_bytes: int = 16_384
    header_bytes: int = 32_768
    """Of all names and values, and of anything that the parser holds without having said what it is."""
    headers: int = 100
    """And trailers."""
    body_bytes: int = 4 * 1_048_576 + 65_536
    """More than any door takes, chunks' sizes counted."""
    head_s: float = 10.0
    """At least: a new connection has up to a quarter more (:meth:`Gate.patience_s`)."""
    body_s: float = 30.0
    answer_s: float = 60.0
    """From the whole request to the last byte of its answer, which a client may be slow to take."""
    pipelined: int = 16
    connections: int = 4_096
    connections_each: int = 2_560
    """Of one client: an IPv4 address, or an IPv6 network of 64 bits; proxies that are trusted have no such bound."""


@dataclass(slots=True)
class Gate:
    """What the connections of one worker share. ``refused`` is told each reason for which one was hung up on."""

    bounds: Bounds
    trusts: Callable[[str], bool]
    proxy_protocol: bool = False
    refused: Callable[[Reason], None] = lambda reason: None
    waiting: OrderedDict[FrontProtocol, None] = field(default_factory=OrderedDict)
    """Connections without a whole request, who has waited longest first."""
    clients: dict[str, OrderedDict[FrontProtocol, None]] = field(default_factory=dict)
    """Client → its connections, who has been at rest longest first."""
    count: int = 0
    _turns: int = 0

    def patience_s(self) -> float:
        """How long the next connection may take for its first head.

        Each of 64 that come together has another time. PERF: to hang up on one costs some 50 µs, and so does the one
        that comes in its place: thousands in one turn of the loop would be felt by everybody else.
        """
        self._turns = (self._turns + 1) % 64
        return self.bounds.head_s * (1 + self._turns / 256)

    def enter(self, connection: FrontProtocol) -> None:
        """Let a connection in. Where there are too many, the one that has waited longest leaves, not the newcomer."""
        self.count += 1
        self.waiting[connection] = None
        if self.count > self.bounds.connections:
            _longest_waiting(self.waiting, self.waiting, connection).leave()
        self.count_in(connection)

    def rest(self, connection: FrontProtocol) -> None:
        """Note that a connection waits from now on."""
        self.waiting[connection] = None
        own = self.clients.get(client_key(connection.client_host))
        if own is not None and connection in own:
            own.move_to_end(connection)

    def count_in(self, connection: FrontProtocol) -> None:
        """Count a connection among its client's."""
        if self.trusts(connection.client_host):
            return
        own = self.clients.setdefault(client_key(connection.client_host), OrderedDict())
        own[connection] = None
        if len(own) > self.bounds.connections_each:
            _longest_waiting(own, self.waiting, connection).leave()

    def count_out(self, connection: FrontProtocol) -> None:
        """Forget a connection among its client's."""
        key = client_key(connection.client_host)
        own = self.clients.get(key)
        if own is not None:
            own.pop(connection, None)
            if not own:
                del self.clients[key]

    def exit(self, connection: FrontProtocol) -> None:
        """Forget a connection that is closed."""
        self.count -= 1
        self.waiting.pop(connection, None)
        self.count_out(connection)


def _longest_waiting(
    among: Iterable[FrontProtocol], waiting: Container[FrontProtocol], else_: FrontProtocol
) -> FrontProtocol:
    """Who has waited longest; rather one that never said anything whole than one that rests between two requests."""
    first = None
    for each in among:
        if each in waiting:
            if not each.was_answered:
                return each
            first = first or each
    return first or else_


class _Line:
    """A transport; what is written to one that is closed goes nowhere.

    uvloop raises for it until it has told of the loss, and a client may hang up while its answer is made.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class FrontProtocol(HttpToolsProtocol):
    """Uvicorn's protocol with bounds."""

    def __init__(self, *, gate: Gate, **options: Any) -> None:
        super().__init__(**options)
        self._gate, self._bounds = gate, gate.bounds
        self._silent = 0
        """Bytes fed since the parser last said anything."""
        self._header_bytes = self._headers = self._body_bytes = 0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.was_answered = False
        """Whether a request of its was answered already."""
        self._answered: Reason | None = None
        self._preface: bytes | None = b"" if gate.proxy_protocol else None

    @property
    def client_host(self) -> str:
        """The client's address; empty where the socket has none."""
        return str(self.client[0]) if self.client else ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection and start its clock."""
        super().connection_made(_Line(transport))  # type: ignore[arg-type]
        if self._preface is not None and not self._gate.trusts(self.client_host):
            transport.abort()
            return
        self._gate.enter(self)
        self._wait(self._gate.patience_s())
        self._tick()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()
            self._gate.exit(self)

    def leave(self) -> None:
        """Make room: close a connection that holds no whole request."""
        self._gate.waiting.pop(self, None)
        self.transport.close()

    def refuse(self, reason: Reason) -> None:
        """Answer with the reason and hang up; nothing that still comes is read."""
        if self._answered is None and not self.transport.is_closing():
            self._answered = reason
            self._gate.refused(reason)
            status, phrase = _ANSWERS[reason]
            body = b'{"reason":"%s"}' % reason.encode()
            head = b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\n" % (status, phrase)
            self.transport.write(head + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP gets a reason, as everything else."""
        self.refuse(Reason.BAD_REQUEST)

    def data_received(self, data: bytes) -> None:
        """Feed the parser slice by slice, for as long as the bounds hold."""
        if self._preface is not None:
            found = self._without_preface(data)
            if found is None:
                return
            data = found
        for start in range(0, len(data), SLICE):
            part = data[start : start + SLICE]
            self._silent += len(part)
            if self._silent > self._bounds.header_bytes + SLICE:
                self.refuse(Reason.HEADERS_TOO_LARGE)
            if self._answered is not None or self.transport.is_closing():
                return
            super().data_received(part)

    def on_message_begin(self) -> None:
        """A request starts: its counts do."""
        super().on_message_begin()
        self._silent = self._header_bytes = self._headers = self._body_bytes = 0
        self._wait(self._bounds.head_s)

    def on_url(self, url: bytes) -> None:
        """Bound the address."""
        super().on_url(url)
        if len(self.url) > self._bounds.url_bytes:
            self.refuse(Reason.URL_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Bound number and bytes of headers and trailers."""
        self._silent = 0
        self._headers += 1
        self._header_bytes += len(name) + len(value)
        if self._headers > self._bounds.headers or self._header_bytes > self._bounds.header_bytes:
            self.refuse(Reason.HEADERS_TOO_LARGE)
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: from here on Uvicorn's application may answer."""
        if self._answered is not None:
            return
        if self.parser.get_http_version() not in {"1.0", "1.1"}:
            self.refuse(Reason.BAD_REQUEST)
            return
        if len(self.pipeline) > self._bounds.pipelined:
            self.refuse(Reason.TOO_LARGE)
            return
        self._silent = 0
        self._wait(self._bounds.body_s)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Bound the body as it comes, whatever its length was said to be."""
        if self._answered is not None:
            return
        self._silent = 0
        self._body_bytes += len(body)
        if self._body_bytes > self._bounds.body_bytes:
            self.refuse(Reason.TOO_LARGE)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole: the connection waits for nothing of the client's."""
        if self._answered is not None:
            return
        self._silent = 0
        self._gate.waiting.pop(self, None)
        self._wait(self._bounds.answer_s)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is given: the connection waits for the next request."""
        super().on_response_complete()
        if not self.pipeline and not self.transport.is_closing():
            self.was_answered = True
            self._gate.rest(self)
            self._wait(self._bounds.head_s)

    def _wait(self, seconds: float) -> None:
        self._deadline = self.loop.time() + seconds

    def _tick(self) -> None:
        """Look at the deadline. PERF: one timer a connection, moved on when it fires, and none a request."""
        left = self._deadline - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(left, self._tick)
            return
        self._timer = self.loop.call_later(self._bounds.answer_s, self._tick)
        if self in self._gate.waiting:
            self.refuse(Reason.TIMED_OUT)
        else:
            self.transport.abort()

    def _without_preface(self, data: bytes) -> bytes | None:
        """What comes behind the PROXY header, whose client is the connection's from here on; None: wait, or refused."""
        self._preface = (self._preface or b"") + data
        try:
            found = read_preface(self._preface)
        except ValueError:
            self.refuse(Reason.BAD_REQUEST)
            return None
        if found is None:
            return None
        client, rest = found
        self._preface = None
        if client is not None:
            self._gate.count_out(self)
            self.client = client
            self._gate.count_in(self)
        return rest


def read_preface(data: bytes) -> tuple[tuple[str, int] | None, bytes] | None:
    """The client that a PROXY header names (versions 1 and 2) and what comes behind it; None while it is not whole.

    The client is None where the proxy speaks for itself. Raises ``ValueError`` for what is no such header.
    """
    if data[:12] == PROXY_V2[: len(data)] and data:
        return _preface_v2(data)
    if not b"PROXY ".startswith(data[:6]):
        raise ValueError("no PROXY header")
    line, end, rest = data.partition(b"\r\n")
    if not end:
        if len(line) > MAX_PROXY_LINE:
            raise ValueError("a PROXY line without an end")
        return None
    words = line.decode("ascii", "replace").split(" ")
    if words[1:2] == ["UNKNOWN"]:
        return None, rest
    version = {"TCP4": 4, "TCP6": 6}.get(words[1])
    if len(words) != 6 or version is None or not all(re.fullmatch("[0-9]{1,5}", each) for each in words[4:]):
        raise ValueError("a PROXY line of another form")
    client, _ = (ipaddress.ip_address(each) for each in words[2:4])
    if client.version != version or int(words[4]) > 65_535:
        raise ValueError("a PROXY line of another form")
    return (str(address_of(words[2])), int(words[4])), rest


def _preface_v2(data: bytes) -> tuple[tuple[str, int] | None, bytes] | None:
    if len(data) < 16:
        return None
    version, family, length = struct.unpack("!BBH", data[12:16])
    if version >> 4 != 2 or version & 15 > 1 or length > 1_024:
        raise ValueError("a PROXY header of another version")
    if len(data) < 16 + length:
        return None
    body, rest = data[16 : 16 + length], data[16 + length :]
    sizes = {1: (socket.AF_INET, 4), 2: (socket.AF_INET6, 16)}
    if version & 15 == 0 or family >> 4 not in sizes:
        return None, rest
    kind, size = sizes[family >> 4]
    if length < 2 * size + 4:
        raise ValueError("a PROXY header that is cut off")
    (port,) = struct.unpack("!H", body[2 * size : 2 * size + 2])
    return (str(address_of(socket.inet_ntop(kind, body[:size]))), port), rest
