"""The Falcon application: beacons in, records out (DESIGN 1, 5, 8)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import falcon
import falcon.asgi
import limits
import structlog
import yaml
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from segma.collector.config import Bundle
from segma.collector.intake import Intake
from segma.collector.pipeline import (
    MAX_BODY_BYTES,
    SDK_STEPS,
    SERVER_STEPS,
    STATUS,
    Arrival,
    Door,
    Step,
    passed,
    truncated,
)
from segma.collector.scanners import is_proxy, scanner_sign
from segma.collector.sites import Place, Sites, destination, with_parameters
from segma.contracts.beacons import BeaconRecord, Source
from segma.contracts.codec import to_json, to_msgpack
from segma.contracts.errors import BadInput, BadToken, SpoolFull
from segma.contracts.log import Outgoing
from segma.contracts.reasons import Reason
from segma.contracts.rows import DeadLetter
from segma.contracts.tokens import Claims
from segma.contracts.topics import BEACONS, DEAD_LETTERS

RETRY_AFTER_S: Final = 5
REDIRECT_WAIT_S: Final = 0.3
"""How long a redirect waits for its record: a customer's mail must never hang on our log."""
HANDFUL: Final = 16
MAX_CLIENTS: Final = 10_000
"""Clients whose handful is remembered; what was paid for is forgotten with them."""
LETTERS_PER_S: Final = 20
"""Refused bodies kept a second: enough to see what is wrong, too few to fill a disk from outside."""
PIXEL: Final = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
log_line = structlog.get_logger("collector")


@dataclass(frozen=True, slots=True)
class Outside:
    """What the application takes from outside: the clock and chance."""

    now_ms: Callable[[], int]
    unique: Callable[[], str]


class Meters:
    """The metrics. Labels are closed sets."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.stored = Counter("segma_beacons_stored_total", "Stored, by door.", ["door"], registry=self.registry)
        self.refused = Counter("segma_beacons_refused_total", "Refused.", ["reason"], registry=self.registry)
        self.lost = Counter("segma_clicks_lost_total", "Redirects and pixels not stored.", registry=self.registry)
        self.spooled = Gauge("segma_spool_bytes", "Waiting for the log.", registry=self.registry)
        self.seconds = Histogram("segma_beacon_seconds", "From body to stored.", registry=self.registry)


class Core:
    """What all resources share."""

    def __init__(self, sites: Sites, bundle: Bundle, outside: Outside, open_intake: Callable[[], Intake]) -> None:
        self.sites, self.bundle, self.outside = sites, bundle, outside
        self.meters = Meters()
        self._open_intake = open_intake
        self._intake: Intake | None = None
        self._paid: dict[tuple[str, str], int] = {}
        self._limiter = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())
        self._letters = limits.RateLimitItemPerSecond(LETTERS_PER_S)
        self._shares = {key: share_of(place) for key, place in sites.by_key.items()}
        self.door = Door(sites, self.admits)

    @property
    def intake(self) -> Intake:
        """The way to the log, opened with the event loop."""
        if self._intake is None:
            self._intake = self._open_intake()
        return self._intake

    def admits(self, place: Place, client: str) -> bool:
        """Take one of a client's share; False if there is none left."""
        # PERF: the limiter costs more than all other steps, so a client's share is taken a handful at a time.
        whose = (place.site.key, client)
        left = self._paid.get(whose, 0)
        if not left:
            share = self._shares[place.site.key]
            handful = max(min(HANDFUL, share.amount // 8), 1)
            if self._limiter.hit(share, *whose, cost=handful):
                left = handful
            elif not self._limiter.hit(share, *whose):
                return False
            else:
                left = 1
        if len(self._paid) > MAX_CLIENTS:
            self._paid.clear()
        self._paid[whose] = left - 1
        return True

    async def refuse(self, resp: falcon.asgi.Response, arrival: Arrival, error: BadInput, *, keep: bool) -> None:
        """Answer with the reason, and keep the body as a dead letter (never a server's: it may hold an address)."""
        self.meters.refused.labels(str(error.reason)).inc()
        resp.status = STATUS[error.reason]
        resp.content_type = falcon.MEDIA_JSON
        resp.data = to_json({"reason": str(error.reason), "detail": error.detail})
        if STATUS[error.reason] in {429, 503}:
            resp.set_header("Retry-After", str(RETRY_AFTER_S))
        elif self._limiter.hit(self._letters, "letters"):
            letter = self._letter(arrival, error, keep=keep)
            try:
                await self.intake.store([Outgoing(DEAD_LETTERS, b"http", to_msgpack(letter))])
            except SpoolFull:
                log_line.warning("refusal_not_kept", reason=str(error.reason))

    def _letter(self, arrival: Arrival, error: BadInput, *, keep: bool) -> DeadLetter:
        place = arrival.place
        return DeadLetter(
            reason=str(error.reason),
            topic="http",
            partition=-1,
            offset=-1,
            at_ms=arrival.received_at_ms,
            detail=error.detail,
            workspace=place.workspace if place is not None else "",
            site=place.name if place is not None else "",
            value=arrival.body[: DeadLetter.MAX_SAMPLE_BYTES] if keep else b"",
            size=len(arrival.body),
        )

    async def close(self) -> None:
        """Release the log."""
        if self._intake is not None:
            await self._intake.close()
            self._intake = None


def share_of(place: Place) -> limits.RateLimitItem:
    """A client's share: ``rate_burst`` beacons in as many seconds as ``rate_per_s`` fills it."""
    seconds = max(round(place.site.rate_burst / place.site.rate_per_s), 1)
    return limits.RateLimitItemPerSecond(place.site.rate_burst, seconds)


class Beacons:
    """``POST /v1/beacons`` and ``POST /v1/events``."""

    def __init__(self, core: Core, steps: Sequence[Step], door: str, *, cross_origin: bool) -> None:
        self._core, self._steps, self._cross_origin = core, steps, cross_origin
        self._stored = core.meters.stored.labels(door)

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Store a beacon: 204 when it is safe."""
        core = self._core
        origin = req.get_header("Origin") or ""
        if self._cross_origin:
            allow_origin(core.sites, resp, origin)
        arrival = Arrival(
            b"",
            core.outside.now_ms(),
            origin,
            "" if self._cross_origin else req.get_header("Authorization") or "",
            req.remote_addr,
            req.user_agent or "",
        )
        try:
            if (req.content_length or 0) > MAX_BODY_BYTES:
                raise BadInput(Reason.TOO_LARGE, f"{req.content_length} bytes")
            arrival.body = await req.stream.read(MAX_BODY_BYTES + 1)
            record = passed(arrival, core.door, self._steps)
            await core.intake.store((Outgoing(BEACONS, arrival.key, to_msgpack(record)),))
        except BadInput as error:
            await core.refuse(resp, arrival, error, keep=self._cross_origin)
            return
        except SpoolFull:
            await core.refuse(resp, arrival, BadInput(Reason.SPOOL_FULL), keep=False)
            return
        self._stored.inc()
        core.meters.seconds.observe((core.outside.now_ms() - arrival.received_at_ms) / 1_000)
        resp.status = 204

    async def on_options(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The preflight of a page that sends JSON as such."""
        if self._cross_origin:
            allow_origin(self._core.sites, resp, req.get_header("Origin") or "")
            resp.set_header("Access-Control-Allow-Methods", "POST")
            resp.set_header("Access-Control-Allow-Headers", "Content-Type")
            resp.set_header("Access-Control-Max-Age", "86400")
        resp.status = 204


def allow_origin(sites: Sites, resp: falcon.asgi.Response, origin: str) -> None:
    """CORS: an answer may be read by the pages of our sites, and by nobody else's."""
    resp.set_header("Vary", "Origin")
    if sites.allows_origin(origin):
        resp.set_header("Access-Control-Allow-Origin", origin)


class Mail:
    """Links and pictures in mails. They always answer, whatever becomes of their record."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def store(self, req: falcon.asgi.Request, claims: Claims, site: str, record: dict[str, Any]) -> None:
        """Store a click or an open, waiting for a moment only."""
        core = self._core
        value = BeaconRecord(
            workspace=claims.workspace,
            site=site,
            received_at_ms=core.outside.now_ms(),
            body=b"",
            subscriber=claims.subscriber,
            token_issued_at_s=claims.issued_at_s,
            ip=truncated(req.remote_addr),
            user_agent=(req.user_agent or "")[:256],
            **record,
        )
        key = f"{claims.workspace}/{claims.subscriber}".encode()
        storing = asyncio.ensure_future(core.intake.store([Outgoing(BEACONS, key, to_msgpack(value))]))
        storing.add_done_callback(self._counted)
        await asyncio.wait([storing], timeout=REDIRECT_WAIT_S)

    def _counted(self, storing: asyncio.Future[None]) -> None:
        if storing.cancelled() or storing.exception() is not None:
            self._core.meters.lost.inc()
        else:
            self._core.meters.stored.labels("mail").inc()

    def claims(self, token: str) -> Claims | None:
        """What a token says; None if it is not believed."""
        now_s = self._core.outside.now_ms() // 1_000
        try:
            return self._core.sites.keyring.open(token, workspace=None, now_s=now_s)
        except BadToken as error:
            self._core.meters.refused.labels(str(error.reason)).inc()
            return None


class Redirect(Mail):
    """``GET /r/{token}``: to the token's destination, or to one on the site's allow-list."""

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, token: str) -> None:
        """302, with the person's token and this click's id as parameters."""
        core = self._core
        claims = self.claims(token)
        sealed = claims.destination if claims is not None else ""
        url = sealed or req.get_param("u") or ""
        place = core.sites.leading_to(url, claims.workspace if claims is not None else None)
        if place is None and sealed and claims is not None:
            place = core.sites.first_of(claims.workspace)
        parts = destination(url)
        if parts is None or place is None:
            arrival = Arrival(b"", core.outside.now_ms())
            await core.refuse(resp, arrival, BadInput(Reason.BAD_DESTINATION), keep=False)
            return
        site = place.site
        campaign = req.get_param(site.campaign_param) or ""
        parameters = {site.campaign_param: campaign[:200]}
        if claims is not None:
            click = core.outside.unique()
            parameters |= {site.token_param: token, site.click_param: click}
            properties = {"campaign": campaign[:200], "destination": f"{parts.netloc}{parts.path}"[:500]}
            if sign := scanner_sign(req.method, req.user_agent or ""):
                properties["scanner"] = sign
            await self.store(
                req, claims, place.name, {"source": Source.REDIRECT, "click": click, "properties": properties}
            )
        resp.set_header("Cache-Control", "no-store")
        resp.set_header("Referrer-Policy", "no-referrer")
        resp.location = with_parameters(parts, parameters)
        resp.status = 302

    async def on_head(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, token: str) -> None:
        """A scanner's look: the same answer, noted as such."""
        await self.on_get(req, resp, token)


class Pixel(Mail):
    """``GET /o/{token}.gif``: a picture, always."""

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, token: str) -> None:
        """200 with one transparent point."""
        claims = self.claims(token.removesuffix(".gif"))
        if claims is not None:
            campaign = (req.get_param("utm_campaign") or "")[:200]
            properties = {"campaign": campaign} | ({"machine": "true"} if is_proxy(req.user_agent or "") else {})
            await self.store(req, claims, "", {"source": Source.PIXEL, "properties": properties})
        resp.content_type = "image/gif"
        resp.set_header("Cache-Control", "no-store, private")
        resp.data = PIXEL


class Sdk:
    """The browser SDK: under its hash for ever, under its name for five minutes."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, digest: str = "") -> None:
        """The script."""
        if digest and digest != self._bundle.digest:
            raise falcon.HTTPNotFound
        resp.content_type = "text/javascript; charset=utf-8"
        resp.set_header("Cache-Control", "public, max-age=31536000, immutable" if digest else "public, max-age=300")
        resp.set_header("Access-Control-Allow-Origin", "*")
        resp.set_header("Cross-Origin-Resource-Policy", "cross-origin")
        resp.data = self._bundle.data


class SiteConfig:
    """``GET /v1/sites/{key}/config.json``: what the SDK should know of its site. Nothing secret."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, key: str) -> None:
        """The names of the parameters, the limits, the SDK's immutable path."""
        place = self._core.sites.by_key.get(key)
        if place is None:
            raise falcon.HTTPNotFound
        site = place.site
        resp.set_header("Access-Control-Allow-Origin", "*")
        resp.set_header("Cache-Control", "public, max-age=300")
        resp.content_type = falcon.MEDIA_JSON
        resp.data = to_json(
            {
                "token_param": site.token_param,
                "campaign_param": site.campaign_param,
                "click_param": site.click_param,
                "max_body_bytes": site.max_body_bytes,
                "max_events": site.max_events,
                "sdk": f"/sdk/{self._core.bundle.digest}/segma.js",
            }
        )


class Health:
    """``/health``: it lives. ``/ready``: it can keep what comes. ``/metrics``. ``/openapi.json``."""

    def __init__(self, core: Core) -> None:
        self._core = core
        text = resources.files("segma.collector").joinpath("openapi.yaml").read_text(encoding="utf-8")
        self._openapi = json.dumps(yaml.safe_load(text)).encode()

    async def on_get_health(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """204: the process answers."""
        resp.status = 204

    async def on_get_ready(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """200: the log's door or the spool is open."""
        resp.content_type = falcon.MEDIA_JSON
        resp.data = to_json({"spooled_bytes": self._core.intake.spooled_bytes})

    async def on_get_metrics(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Prometheus' text format."""
        self._core.meters.spooled.set(self._core.intake.spooled_bytes)
        resp.content_type = CONTENT_TYPE_LATEST
        resp.data = generate_latest(self._core.meters.registry)

    async def on_get_openapi(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """This collector's description."""
        resp.content_type = falcon.MEDIA_JSON
        resp.data = self._openapi


class _Lifespan:
    """Opens the log with the event loop, and lets it go with it."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def process_startup(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        """The worker has started."""
        _ = self._core.intake

    async def process_shutdown(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        """Open requests have been answered."""
        await self._core.close()


async def _unforeseen(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, params: dict[str, Any]
) -> None:
    """A defect of ours: said in the log without the request's content, answered 500."""
    log_line.error("unforeseen", path=req.uri_template, error=type(error).__name__)
    resp.status = 500


def create_app(core: Core) -> falcon.asgi.App[Any, Any]:
    """The application with its routes."""
    lifespan: Any = _Lifespan(core)
    app = falcon.asgi.App(middleware=lifespan)
    app.req_options.auto_parse_form_urlencoded = False
    app.add_error_handler(Exception, _unforeseen)
    health, sdk = Health(core), Sdk(core.bundle)
    app.add_route("/v1/beacons", Beacons(core, SDK_STEPS, "sdk", cross_origin=True))
    app.add_route("/v1/events", Beacons(core, SERVER_STEPS, "server", cross_origin=False))
    app.add_route("/r/{token}", Redirect(core))
    app.add_route("/o/{token}", Pixel(core))
    app.add_route("/sdk/segma.js", sdk)
    app.add_route("/sdk/{digest}/segma.js", sdk)
    app.add_route("/v1/sites/{key}/config.json", SiteConfig(core))
    for name in ("health", "ready", "metrics"):
        app.add_route(f"/{name}", health, suffix=name)
    app.add_route("/openapi.json", health, suffix="openapi")
    return app
