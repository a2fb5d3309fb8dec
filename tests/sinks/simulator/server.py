"""A platform on loopback: it judges every request, keeps its quotas, has the faults that a test asks for, notes all.

A dialect (one file a platform) says what its requests do and how its refusals look; everything else is here.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlsplit

from tests.sinks.simulator.spec import description, verdict
from tests.sinks.simulator.world import World

KEY = "5e9aaccede5e9aaccede5e9a:" + b"simulator-key-that-may-stand-in-no-log".hex()
"""Of the form that the strictest platform asks for: a number, a colon and a secret, in hexadecimal digits."""


Quotas = Mapping[str, Sequence[tuple[int, float]]]
"""Bucket → (calls, seconds)."""


class Answer(NamedTuple):
    """What is sent back. ``body``: bytes as they are, anything else as JSON."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = {}
    media: str = "application/json"


class Asked(NamedTuple):
    """A request, read."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: Any
    raw: bytes


class Dialect(Protocol):
    """How one platform speaks."""

    name: str
    described: bool
    """Whether there is a description to judge requests by."""
    quotas: Quotas
    sends_tags: bool
    leaves_everything: bool
    """Whether people leave the platform as a whole, and not one list of it."""

    def bucket(self, asked: Asked) -> str: ...

    def admits(self, asked: Asked) -> Answer | None:
        """The refusal of a wrong key; None for a right one."""

    def bad_key(self) -> Answer: ...

    def throttled(self, wait_s: float) -> Answer: ...

    def handle(self, asked: Asked, world: World) -> Answer: ...

    def leave(self, world: World, address: str, list_name: str) -> None: ...


@dataclass
class Fault:
    """What goes wrong with the next request that fits. ``writes``: with a changing one only."""

    kind: str
    writes: bool = False
    times: int = 1
    path: str = ""
    answer: Answer | None = None


@dataclass
class Call:
    """One line of the call log."""

    at_s: float
    method: str
    path: str
    body: Any
    status: int = 0
    writes: bool = False
    bucket: str = ""
    form: Mapping[str, str] = field(default_factory=dict)
    idle: bool = False
    """A changing call that changed nobody's membership; of a platform that changes them later its jobs are counted."""


WRITES = re.compile(r"(?i)search|batch/read|/find$|/customers/attributes$|/oauth2/")


@dataclass
class Simulator:
    """A running platform. Use as a context."""

    dialect: Dialect
    validate: bool = True
    world: World = field(default_factory=World)
    latency_s: float = 0.0
    window: float = 1.0
    """Part of each quota's seconds that counts; below 1 where a loaded machine may delay a call on its way."""

    def __post_init__(self) -> None:
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.violations: list[str] = []
        self.refused_for_quota = self.most_in_a_window = 0
        self.most_at_once = 0
        self._at_once = 0
        self.busy_s = 0.0
        """Connection-seconds in which a request was being answered."""
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._history: dict[str, list[float]] = {}
        self._connections: set[socket.socket] = set()
        if type(self.world) is World:
            self.world = getattr(type(self.dialect), "world", World)()
        simulator = self
        if self.validate and self.dialect.described:
            description(self.dialect.name)  # read before the first request, which waits for no file

        class Handler(_Handler):
            owner = simulator

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fail(self, kind: str, **more: Any) -> None:
        self.faults.append(Fault(kind, **more))

    def leave(self, address: str, list_name: str) -> None:
        """The person unsubscribes, by themselves, from what this platform lets them leave."""
        with self._lock:
            self.dialect.leave(self.world, address, list_name)

    def writes(self) -> list[Call]:
        return [call for call in self.calls if call.writes]

    def answer(self, asked: Asked, target: str) -> Answer | None:
        """What to send back; None: nothing, ever."""
        with self._lock:
            started_s = time.monotonic()
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if self.latency_s:
                time.sleep(self.latency_s)  # the network's time, which is what a benchmark is about
            return self._answer(asked, target)
        finally:
            with self._lock:
                self._at_once -= 1
                self.busy_s += time.monotonic() - started_s

    def _answer(self, asked: Asked, target: str) -> Answer | None:
        if self.validate and self.dialect.described:
            self._judge(asked, target)
        with self._lock:
            writes = any(each.method != "GET" and not WRITES.search(each.path) for each in self._entries(asked))
            call = Call(time.monotonic(), asked.method, asked.path, asked.body, writes=writes)
            call.bucket = self.dialect.bucket(asked)
            if asked.body is None:
                call.form = dict(parse_qsl(asked.raw.decode("utf-8", "replace")))
            self.calls.append(call)
            fault_now = self._fault(call)
            reply = self._early(fault_now) if fault_now else None
            reply = reply or self.dialect.admits(asked) or self._over_quota(call)
            if reply is None and not (fault_now and fault_now.kind in {"drop", "hang"}):
                before = self.world.memberships() if writes else None
                reply = self.dialect.handle(asked, self.world)
                later = hasattr(self.dialect, "idle_jobs")
                call.idle = writes and not later and before == self.world.memberships()
            call.status = reply.status if reply is not None else 0
        if fault_now is not None and fault_now.kind in {"hang", "done_hang"}:
            self._closing.wait(30)
        return None if fault_now is not None and fault_now.kind in {"drop", "hang", "done_drop", "done_hang"} else reply

    def _entries(self, asked: Asked) -> list[Asked]:
        """The calls that a bundle holds, on a platform that has such; else the call itself."""
        entries: Callable[[Asked], list[Asked]] = getattr(self.dialect, "entries", lambda asked: [])
        return entries(asked) or [asked]

    def _judge(self, asked: Asked, target: str) -> None:
        """A bundle is judged, and each call in it as one of its own."""
        inner = [(each, quote(each.path)) for each in self._entries(asked) if each is not asked]
        undescribed: Sequence[tuple[str, str]] = getattr(self.dialect, "undescribed", ())
        for each, path in ((asked, target), *inner):
            if any(each.method == method and re.fullmatch(there, each.path) for method, there in undescribed):
                continue
            fault = verdict(self.dialect.name, each.method, path, each.headers, each.raw)
            if fault is not None:
                self.violations.append(fault)

    def _fault(self, call: Call) -> Fault | None:
        for fault in self.faults:
            if (call.writes or not fault.writes) and fault.path in f"{call.method} {call.path}":
                fault.times -= 1
                if not fault.times:
                    self.faults.remove(fault)
                return fault
        return None

    def _early(self, fault: Fault) -> Answer | None:
        """Answers that are given without anything being done."""
        if fault.answer is not None:
            return fault.answer
        made: dict[str, Callable[[], Answer]] = {
            "throttle": lambda: self.dialect.throttled(0.05),
            "bad_key": self.dialect.bad_key,
            "error": lambda: Answer(500, {"message": "Internal Server Error"}),
            "html": lambda: Answer(502, b"<html><body>Bad gateway</body></html>", media="text/html"),
            "not_json": lambda: Answer(200, b'{"data": [tru'),
            "empty": lambda: Answer(200, b""),
            "list": lambda: Answer(200, b"[1, 2]"),
            "deep": lambda: Answer(200, b"[" * 100_000),
            "huge": lambda: Answer(200, _Huge()),
            "endless": lambda: Answer(200, _Endless()),
            "redirect": lambda: Answer(302, b"", {"Location": "http://127.0.0.1:9/elsewhere"}),
            "gzip": lambda: Answer(200, b"\x1f\x8b" + b"\x00" * 100, {"Content-Encoding": "gzip"}),
        }
        return made[fault.kind]() if fault.kind in made else None

    def _over_quota(self, call: Call) -> Answer | None:
        for calls, seconds in self.dialect.quotas.get(call.bucket, ()):
            history = self._history.setdefault(call.bucket, [])
            since = [each for each in history if each > call.at_s - seconds * self.window]
            self.most_in_a_window = max(self.most_in_a_window, len(since) + 1)
            if len(since) >= calls:
                self.refused_for_quota += 1
                return self.dialect.throttled(seconds - (call.at_s - since[0]))
        if call.bucket in self.dialect.quotas:
            self._history[call.bucket] = [*self._history.get(call.bucket, [])[-2_000:], call.at_s]
        return None


class _Huge:
    """50 MB that nobody needs."""


class _Endless:
    """A body that goes on for ever, a little at a time."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in the middle is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: Simulator

    def log_message(self, *_: object) -> None:
        """The call log says it all."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        if len(raw) < length:
            self.close_connection = True  # a client that was killed in the middle: a server never judges half a request
            return
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = None
        asked = Asked(self.command, unquote(parts.path), query, dict(self.headers), body, raw)
        reply = self.owner.answer(asked, self.path)
        if reply is None:
            self.close_connection = True
            return
        if isinstance(reply.body, _Endless):
            self._trickle()
            return
        if isinstance(reply.body, _Huge):
            self._pour()
            return
        data = reply.body if isinstance(reply.body, bytes) else b"" if reply.body is None else _json(reply.body)
        lines = [f"HTTP/1.1 {reply.status} -", f"Content-Length: {len(data)}", f"Content-Type: {reply.media}"]
        lines += [f"{name}: {value}" for name, value in reply.headers.items()]
        self.wfile.write("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if reply.status == 204 else data))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _pour(self) -> None:
        piece = b" " * 50_000
        self.wfile.write(b"HTTP/1.1 200 -\r\nContent-Type: application/json\r\nContent-Length: 50000000\r\n\r\n")
        for _ in range(1_000):
            self.wfile.write(piece)

    def _trickle(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 -\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n")
        while not self.owner._closing.wait(0.02):
            self.wfile.write(b"1\r\n \r\n")


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
