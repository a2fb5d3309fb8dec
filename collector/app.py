"""The Falcon application: beacons in, records out (DESIGN 1, 5, 8)."""

from __future__ import annotations

import dataclasses
import json
from importlib import resources
from typing import Any, Final

import falcon
import falcon.asgi
import structlog
import yaml

from collector.beacons import PATH, Beacons
from collector.codings import IDENTITY, coding_for
from collector.core import Core
from collector.hooks import HookDoor, Hooks
from collector.mail import Pixel, Redirect, has_declined
from collector.pipeline import SDK_STEPS, SERVER_STEPS
from collector.platform_ids import Known
from contracts.codec import to_json

CONFIG_FRESH_S: Final = 60
"""How long a browser's cache may answer for a site's configuration: a listener put live reaches open shops soon."""
log_line = structlog.get_logger("collector")


class Sdk:
    """The browser SDK: under its hash for ever, under its name for five minutes; ``f`` names the features in it."""

    def __init__(self, core: Core) -> None:
        self._core, self._bundle = core, core.bundle

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, digest: str = "") -> None:
        """The script."""
        named = req.get_param_as_list("f")
        features = None if named is None else [name for each in named for name in each.split(",")]
        script = self._bundle.by_digest.get(digest) if digest else self._bundle.with_features(features)
        if script is None:
            raise falcon.HTTPNotFound
        self._count(req)
        resp.content_type = "text/javascript; charset=utf-8"
        resp.set_header("Cache-Control", "public, max-age=31536000, immutable" if digest else "public, max-age=300")
        resp.set_header("Access-Control-Allow-Origin", "*")
        resp.set_header("Cross-Origin-Resource-Policy", "cross-origin")
        resp.set_header("Vary", "Accept-Encoding")
        # NOTE: a weak tag: it is the script's, in whatever coding.
        resp.set_header("ETag", f'W/"{script.digest}"')
        if script.digest in (req.if_none_match or ()):
            resp.status = 304
            return
        coding = coding_for(req.get_header("Accept-Encoding"), script.packed)
        if coding != IDENTITY:
            resp.set_header("Content-Encoding", coding)
        resp.data = script.packed.get(coding, script.data)

    def _count(self, req: falcon.asgi.Request) -> None:
        """Count the load, and whether the browser says no: of its visit nothing else is ever heard."""
        served = self._core.sites.of_page(req.get_header("Referer") or "")
        if served is None:
            return
        found = "yes" if has_declined(req) else "no"
        for declined in ("yes", "no"):
            # NOTE: both are there from the first load on: a share of which nothing was counted is 0, not unknown.
            self._core.meters.loads.labels(f"{served.workspace}/{served.name}", declined).inc(declined == found)


class SiteConfig:
    """``GET /v1/sites/{key}/config.json``: what the SDK should know of its site. Nothing secret."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, key: str) -> None:
        """What live listeners ask of its pages, the names of the parameters, the limits, the SDK's immutable path."""
        served = self._core.sites.by_key.get(key)
        if served is None:
            raise falcon.HTTPNotFound
        site, script = served.site, self._core.bundle.full
        resp.set_header("Access-Control-Allow-Origin", "*")
        resp.set_header("Cache-Control", f"public, max-age={CONFIG_FRESH_S}")
        resp.content_type = falcon.MEDIA_JSON
        resp.data = to_json(
            {
                "capture": self._core.captured.of(served.workspace, site.capture),
                "token_param": site.token_param,
                "campaign_param": site.campaign_param,
                "click_param": site.click_param,
                "max_body_bytes": site.max_body_bytes,
                "max_events": site.max_events,
                "sdk": f"/sdk/{script.digest}/segma.js",
                "integrity": script.integrity,
            }
        )


class Health:
    """``/health``: it lives. ``/ready``: it can keep what comes. ``/openapi.json``."""

    def __init__(self, core: Core) -> None:
        self._core = core
        text = resources.files("collector").joinpath("openapi.yaml").read_text(encoding="utf-8")
        self._openapi = json.dumps(yaml.safe_load(text)).encode()

    async def on_get_health(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """204: the process answers."""
        resp.status = 204

    async def on_get_ready(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """200: the log's door or the spool is open."""
        resp.content_type = falcon.MEDIA_JSON
        intake = self._core.intake
        resp.data = to_json({"spooled_bytes": intake.spooled_bytes, "set_aside_records": intake.set_aside_records})

    async def on_get_openapi(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """This collector's description."""
        resp.content_type = falcon.MEDIA_JSON
        resp.data = self._openapi


class _Lifespan:
    """Opens the log with the event loop, and lets it go with it."""

    def __init__(self, core: Core, known: Known) -> None:
        self._core, self._known = core, known

    async def process_startup(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        """The worker has started."""
        _ = self._core.intake
        self._core.captured.start()
        self._known.start()

    async def process_shutdown(self, scope: dict[str, Any], event: dict[str, Any]) -> None:
        """Open requests have been answered."""
        self._core.captured.stop()
        self._known.stop()
        await self._core.close()


class CollectorApp(falcon.asgi.App[Any, Any]):
    """The routes; a beacon's own is answered ahead of them."""

    beacons: Beacons

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:  # type: ignore[override]
        """Answer one request."""
        # PERF: Falcon's request, response and routing are a third of what a beacon costs behind the socket (ADR 25).
        is_beacon = scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST"
        if is_beacon and await self.beacons.direct(scope, receive, send):
            return
        await super().__call__(scope, receive, send)


async def _unforeseen(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, params: dict[str, Any]
) -> None:
    """A defect of ours: said in the log without the request's content, answered 500."""
    log_line.error("unforeseen", path=req.uri_template, error=type(error).__name__)
    resp.status = 500


def create_app(core: Core, hooks: Hooks | None = None, known: Known | None = None) -> falcon.asgi.App[Any, Any]:
    """The application with its routes. ``hooks``: the doors of the email platforms' webhooks; ``known``: who is who."""
    known = known or Known()
    core.door = dataclasses.replace(core.door, current=known.current)
    lifespan: Any = _Lifespan(core, known)
    app = CollectorApp(middleware=lifespan)
    app.req_options.auto_parse_form_urlencoded = False
    app.req_options.strip_url_path_trailing_slash = True
    app.add_error_handler(Exception, _unforeseen)
    health, sdk = Health(core), Sdk(core)
    app.beacons = Beacons(core, SDK_STEPS, "sdk", cross_origin=True)
    app.add_route(PATH, app.beacons)
    app.add_route("/v1/events", Beacons(core, SERVER_STEPS, "server", cross_origin=False))
    door = HookDoor(core, hooks or {}, known)
    app.add_route("/v1/hooks/{workspace}/{account}", door)
    app.add_route("/v1/hooks/{workspace}/{account}/{secret}", door)
    # NOTE: `/r/` is a link whose merge field nobody filled in: it leads on, for nobody.
    for path, redirect in (("", Redirect(core)), ("/fragment", Redirect(core, fragment=True))):
        app.add_route(f"/r{path}", redirect)
        app.add_route(f"/r/{{token}}{path}", redirect)
    app.add_route("/o/{token}", Pixel(core))
    app.add_route("/sdk/segma.js", sdk)
    app.add_route("/sdk/{digest}/segma.js", sdk)
    app.add_route("/v1/sites/{key}/config.json", SiteConfig(core))
    for name in ("health", "ready"):
        app.add_route(f"/{name}", health, suffix=name)
    app.add_route("/openapi.json", health, suffix="openapi")
    return app
