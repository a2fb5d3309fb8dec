"""Links and pictures in mails: the click redirect and the open pixel."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qs, unquote_to_bytes

import falcon
import falcon.asgi

from collector.bursts import Bursts, NetworkClick
from collector.core import Core
from collector.pipeline import Arrival, truncated
from collector.scanners import is_machine_open, scanner_sign
from collector.sites import ServedSite, destination
from collector.traced import Storing, tell_stored
from contracts.beacons import BeaconRecord, Source
from contracts.codec import replaced, to_msgpack
from contracts.errors import BadInput, BadToken
from contracts.log import Outgoing
from contracts.masking import masked_text
from contracts.reasons import Reason
from contracts.tokens import Claims
from contracts.topics import BEACONS
from contracts.urls import landing_url, plain_url

REDIRECT_WAIT_S: Final = 0.3
"""How long a redirect waits for its record: a customer's mail must never hang on our log."""
MAX_CAMPAIGN: Final = 200
MAX_DESTINATION: Final = 500
PIXEL: Final = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")


def has_declined(req: falcon.asgi.Request) -> bool:
    """Whether a request says no on a person's behalf: Global Privacy Control, Do Not Track."""
    return req.get_header("Sec-GPC") == "1" or req.get_header("DNT") == "1"


class Mail:
    """Links and pictures in mails. They always answer, whatever becomes of their record."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def declines(self, req: falcon.asgi.Request) -> bool:
        """Whether the reader's program asks that nothing be kept (Global Privacy Control, Do Not Track)."""
        if has_declined(req):
            self._core.meters.declined.inc()
            return True
        return False

    def admits(self, req: falcon.asgi.Request) -> bool:
        """Whether the client has a share left; without one nothing is kept, and the mail works all the same."""
        if not self._core.admits_mail(self._core.client_of(req)):
            self._core.meters.refused.labels(str(Reason.RATE_LIMITED)).inc()
            return False
        return True

    def record(self, req: falcon.asgi.Request, claims: Claims | None, workspace: str, **more: Any) -> BeaconRecord:
        """The record of a click or an open."""
        core = self._core
        return BeaconRecord(
            workspace=workspace,
            received_at_ms=core.outside.now_ms(),
            body=b"",
            subscriber=core.door.current(claims.workspace, claims.subscriber) if claims is not None else "",
            token_issued_at_s=claims.issued_at_s if claims is not None else 0,
            ip=truncated(core.client_of(req)),
            user_agent=masked_text(req.user_agent or "")[:256],
            **more,
        )

    async def store(self, records: Sequence[Outgoing], traced: BeaconRecord | None = None) -> None:
        """Store a click or an open, waiting for a moment only. ``traced``: the click whose trace begins here."""
        storing = asyncio.ensure_future(self._stored(records, traced))
        storing.add_done_callback(self._counted)
        await asyncio.wait([storing], timeout=REDIRECT_WAIT_S)

    async def _stored(self, records: Sequence[Outgoing], click: BeaconRecord | None) -> None:
        tracer = self._core.tracer
        started_ns = tracer.now_ns() if tracer is not None else 0
        in_log = await self._core.intake.store(records)
        if tracer is not None and click is not None:
            storing = Storing(click.workspace, click.site, click.source, click.received_at_ms, started_ns, in_log)
            tell_stored(tracer, [f"c-{click.click}"], storing)

    def _counted(self, storing: asyncio.Future[None]) -> None:
        if storing.cancelled() or storing.exception() is not None:
            self._core.meters.lost.inc()
        else:
            self._core.meters.stored.labels("mail").inc()

    def claims(self, token: str) -> tuple[Claims | None, str]:
        """What a token says; or why it is not believed."""
        now_s = self._core.outside.now_ms() // 1_000
        try:
            return self._core.sites.keyring.open(token, workspace=None, now_s=now_s), ""
        except BadToken as error:
            self._core.meters.tokens.labels("mail", str(error.reason)).inc()
            return None, str(error.reason)


def outgoing(record: BeaconRecord, click: str = "") -> Outgoing:
    """The record as it is published: a person's under their key, a click of nobody's under its own."""
    return Outgoing(BEACONS, f"{record.workspace}/{record.subscriber or click}".encode(), to_msgpack(record))


class Redirect(Mail):
    """``GET /r/{token}``: to the token's destination, or to one on the site's allow-list.

    ``GET /r/{token}/fragment`` lands with the token and the click's id behind ``#``, where no server's log and no
    ``Referer`` has them; the campaign stands in the query in both.
    """

    def __init__(self, core: Core, *, fragment: bool = False) -> None:
        super().__init__(core)
        self._fragment = fragment
        self._bursts = Bursts()

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, token: str = "") -> None:
        """302, with the person's token and this click's id as parameters."""
        core = self._core
        claims, problem = self.claims(token)
        sealed = claims.destination if claims is not None else ""
        url = plain_url(sealed) if sealed else destination(req.scope["query_string"])
        workspace = claims.workspace if claims is not None else None
        served = core.sites.leading_to(url, workspace) if url is not None else None
        if served is None and sealed and claims is not None:
            served = core.sites.first_of(claims.workspace)
        if url is None or served is None:
            arrival = Arrival(b"", core.outside.now_ms())
            await core.refuse(resp, arrival, BadInput(Reason.BAD_DESTINATION), keep=False)
            return
        shown, own = await self._noted(req, claims, problem, served, url)
        resp.set_header("Cache-Control", "no-store")
        resp.set_header("Referrer-Policy", "no-referrer")
        # NOTE: not `resp.location`, which encodes what is encoded once more where other signs stand beside it.
        resp.set_header("Location", landing_url(url, shown, own, fragment=self._fragment))
        resp.status = 302

    async def _noted(
        self, req: falcon.asgi.Request, claims: Claims | None, problem: str, served: ServedSite, url: str
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Keep what may be kept of a click; the parameters of the landing: the campaign, and whose it is."""
        site, core = served.site, self._core
        given = _given(req.scope["query_string"], site.campaign_param)
        shown = {site.campaign_param: given[:MAX_CAMPAIGN]} if given else {}
        if self.declines(req):
            return shown, {}
        # NOTE: sealed anew, so a token that was damaged on its way reaches the page whole.
        whose = {site.token_param: core.sites.keyring.seal(replaced(claims, destination=""))} if claims else {}
        if not self.admits(req):
            return shown, whose
        click = core.outside.unique()
        campaign = given or _campaign_in(url, site.campaign_param)
        record = self.record(
            req,
            claims,
            served.workspace,
            site=served.name,
            source=Source.REDIRECT,
            click=click,
            token_problem=problem,
            properties=_told(req, url, campaign),
        )
        if claims is None:
            await self.store([outgoing(record, click)], record)
            return shown, {}
        await self.store([outgoing(record), *self._burst(record)], record)
        return shown, whose | {site.click_param: click}

    def _burst(self, record: BeaconRecord) -> list[Outgoing]:
        """The clicks of a burst from one network, told once more, as one."""
        again = outgoing(replaced(record, properties={"scanner": "network_burst"}))
        link = record.subscriber, record.properties["link"]
        return self._bursts.found(record.ip, NetworkClick(record.received_at_ms, link, again))

    async def on_head(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, token: str = "") -> None:
        """A scanner's look: the same answer, noted as such."""
        await self.on_get(req, resp, token)


def _told(req: falcon.asgi.Request, url: str, campaign: str) -> dict[str, str]:
    """What a record says of a click: where it led, and what speaks against it."""
    properties = {
        "campaign": masked_text(_readable(campaign))[:MAX_CAMPAIGN],
        "destination": masked_text(re.split("[?#]", url.partition("://")[2], maxsplit=1)[0])[:MAX_DESTINATION],
        "link": hashlib.sha256(url.encode()).hexdigest()[:16],
    }
    if sign := scanner_sign(req.method, req.user_agent or "", req.headers):
        properties["scanner"] = sign
    return properties


def _given(query: bytes, name: str) -> str:
    """The campaign that a link's own query names, the last where there are several; bytes that are no UTF-8 as escapes.

    An ``&`` in front of it may have been escaped once too often.
    """
    pairs = [each.replace(b"+", b" ").partition(b"=") for each in query.split(b"&")]
    values = [value for key, _, value in pairs if value and key.decode("latin-1") in {name, f"amp;{name}"}]
    return unquote_to_bytes(values[-1]).decode("utf-8", "surrogateescape") if values else ""


def _readable(text: str) -> str:
    """The text with a replacement character for each byte that was no UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _campaign_in(url: str, name: str) -> str:
    """What a destination says of the campaign by itself."""
    found = parse_qs(url.partition("#")[0].partition("?")[2], keep_blank_values=True, max_num_fields=None).get(name)
    return found[-1] if found else ""


class Pixel(Mail):
    """``GET /o/{token}.gif``: a picture, always."""

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, token: str) -> None:
        """200 with one transparent point."""
        claims, _ = self.claims(token.removesuffix(".gif"))
        if claims is not None and not self.declines(req) and self.admits(req):
            campaign = masked_text(_readable(_given(req.scope["query_string"], "utm_campaign")))[:MAX_CAMPAIGN]
            machine = {"machine": "true"} if is_machine_open(req.user_agent or "", req.headers) else {}
            properties = {"campaign": campaign, **machine}
            record = self.record(req, claims, claims.workspace, site="", source=Source.PIXEL, properties=properties)
            await self.store([outgoing(record)])
        resp.content_type = "image/gif"
        resp.set_header("Cache-Control", "no-store, private")
        resp.data = PIXEL
