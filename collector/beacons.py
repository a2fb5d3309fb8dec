"""The doors of beacons and of server-side calls.

``POST /v1/beacons`` is most of what a collector does, so it is answered from what Uvicorn gives, without Falcon's
request and response (ADR 25). Both ways lead through :meth:`Beacons.answer`.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final, NamedTuple

import falcon
import falcon.asgi
import structlog

from collector.bodies import media_fault, sent_body, text_of
from collector.core import Core, Refusal, peer_of
from collector.pipeline import Arrival, DoorStep, passed
from collector.sites import Sites
from collector.stored_events import HEADER
from collector.traced import Storing, tell_stored
from contracts.beacons import event_ids_of
from contracts.codec import to_msgpack
from contracts.errors import BadInput, SpoolFull
from contracts.installation import MAX_BODY_BYTES
from contracts.log import Outgoing
from contracts.reasons import Reason
from contracts.topics import BEACONS

PATH: Final = "/v1/beacons"
log_line = structlog.get_logger("collector")
_EXPOSED: Final = (b"access-control-expose-headers", f"Retry-After, {HEADER}".encode())
Headers = Mapping[bytes, bytes]
"""As ASGI has them, the names in lower case."""
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Gone(Exception):
    """Whoever sent a body hung up before its end."""


class Answer(NamedTuple):
    """What a door answers; ``refusal`` is None for 204."""

    headers: tuple[tuple[bytes, bytes], ...]
    refusal: Refusal | None = None


class Beacons:
    """``POST /v1/beacons`` and ``POST /v1/events``."""

    def __init__(self, core: Core, steps: Sequence[DoorStep], door: str, *, cross_origin: bool) -> None:
        self._core, self._steps, self._cross_origin = core, steps, cross_origin
        self._stored = core.meters.stored.labels(door)

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Store a beacon: 204 when it is safe."""
        headers = {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in req.headers.items()}
        body = functools.partial(sent_body, req, MAX_BODY_BYTES)
        answer = await self.answer(headers, self._core.client_of(req), body)
        resp.status = 204
        if answer.refusal is not None:
            answer.refusal.put_into(resp)
        for name, value in answer.headers:
            resp.set_header(name.decode("latin-1"), value.decode("latin-1"))

    async def direct(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> bool:
        """Store a beacon, spoken to by Uvicorn itself; False, and nothing is read, where Falcon has to read the head.

        Falcon knows how a header that stands there twice is read.
        """
        # NOTE: ASGI promises iterables, which may be read once; Falcon reads them again.
        pairs = scope["headers"] = list(map(tuple, scope["headers"]))
        headers = dict(pairs)
        if len(headers) < len(pairs):
            return False
        client = self._core.client_behind(peer_of(scope), _text(headers, self._core.proxies_header))
        try:
            answer = await self.answer(headers, client, functools.partial(_received, receive, headers, MAX_BODY_BYTES))
        except Gone:
            return True
        except Exception as error:  # a defect of ours: said without the request's content
            log_line.error("unforeseen", path=PATH, error=type(error).__name__)
            answer = Answer((), Refusal(500, b""))
        await _send(answer, send)
        return True

    async def answer(self, headers: Headers, client: str, body: Callable[[], Awaitable[bytes]]) -> Answer:
        """Take one request through the door.

        Args:
            headers: The request's.
            client: The address that it came from, behind the proxies that are trusted.
            body: Reads the body as it was sent. Raises :class:`BadInput` for one that is too large.
        """
        core, origin = self._core, _text(headers, b"origin")
        authorization = "" if self._cross_origin else _text(headers, b"authorization")
        agent = _text(headers, b"user-agent")
        arrival = Arrival(b"", core.outside.now_ms(), origin, authorization, client, agent)
        answered = cors(core.sites, origin) if self._cross_origin else ()
        try:
            arrival.body = await body()
            arrival.body = text_of(arrival.body, _text(headers, b"content-encoding"), MAX_BODY_BYTES)
            await self._store(arrival)
        except BadInput as error:
            fault = media_fault(error, _text(headers, b"content-type"))
            return Answer(answered, await core.refusal(arrival, fault, keep=self._cross_origin))
        except SpoolFull:
            return Answer(answered, await core.refusal(arrival, BadInput(Reason.SPOOL_FULL), keep=False))
        self._stored.inc()
        core.meters.seconds.observe((core.outside.now_ms() - arrival.received_at_ms) / 1_000)
        return Answer(answered + self._what_came(arrival))

    async def _store(self, arrival: Arrival) -> None:
        core = self._core
        record = passed(arrival, core.door, self._steps)
        if arrival.token_problem:
            core.meters.tokens.labels("sdk", arrival.token_problem).inc()
        stored = [] if record is None else [Outgoing(BEACONS, arrival.key, to_msgpack(record))]
        started_ns = core.tracer.now_ns() if core.tracer is not None else 0
        in_log = await core.intake.store([*stored, *core.set_aside(arrival)])
        envelope = arrival.beacon or arrival.server
        if core.tracer is not None and record is not None and envelope is not None:
            storing = Storing(record.workspace, record.site, record.source, arrival.received_at_ms, started_ns, in_log)
            tell_stored(core.tracer, event_ids_of(envelope.events), storing)

    def _what_came(self, arrival: Arrival) -> tuple[tuple[bytes, bytes], ...]:
        beacon = arrival.beacon
        if beacon is None or arrival.is_emptied:
            return ()
        self._core.stored_events.remember(beacon)
        return ((HEADER.lower().encode(), self._core.stored_events.answer(beacon).encode()),) if beacon.asked else ()

    async def on_options(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The preflight of a page that sends JSON as such."""
        if self._cross_origin:
            for name, value in cors(self._core.sites, req.get_header("Origin") or ""):
                resp.set_header(name.decode("latin-1"), value.decode("latin-1"))
            resp.set_header("Access-Control-Allow-Methods", "POST")
            resp.set_header("Access-Control-Allow-Headers", "Content-Type, Content-Encoding")
            resp.set_header("Access-Control-Max-Age", "86400")
        resp.status = 204


def cors(sites: Sites, origin: str) -> tuple[tuple[bytes, bytes], ...]:
    """CORS: an answer may be read by the pages of our sites, and by nobody else's."""
    headers = [(b"vary", b"Origin")]
    if sites.allows_origin(origin):
        headers.append((b"access-control-allow-origin", origin.encode("latin-1")))
        headers.append(_EXPOSED)
    return tuple(headers)


def _text(headers: Headers, name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


async def _received(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The body that an ASGI server hands over, at most ``limit`` bytes. Raises :class:`BadInput`, :class:`Gone`."""
    # NOTE: the front's parser takes digits alone.
    length = int(headers.get(b"content-length", b"0"))
    if length > limit:
        raise BadInput(Reason.TOO_LARGE, f"{length} bytes")
    body, has_more = b"", True
    while has_more and len(body) <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        has_more = message.get("more_body", False)
    if len(body) > limit:
        raise BadInput(Reason.TOO_LARGE, f"more than {limit} bytes")
    return body


async def _send(answer: Answer, send: Send) -> None:
    status, headers, body = 204, list(answer.headers), b""
    if answer.refusal is not None:
        status, body = answer.refusal.status, answer.refusal.body
        own = {**answer.refusal.headers, "Content-Length": str(len(body))}
        headers += [(name.lower().encode(), value.encode()) for name, value in own.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
