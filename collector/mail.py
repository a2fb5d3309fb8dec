"""Links and pictures in mails: the click redirect and the open pixel."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final
from urllib.parse import parse_qs

import falcon
import falcon.asgi

from collector.core import Core, client_of
from collector.pipeline import Arrival, truncated
from collector.scanners import is_proxy, scanner_sign
from collector.sites import destination
from contracts.beacons import BeaconRecord, Source
from contracts.codec import replaced, to_msgpack
from contracts.errors import BadInput, BadToken
from contracts.log import Outgoing
from contracts.masking import masked_text
from contracts.reasons import Reason
from contracts.tokens import Claims
from contracts.topics import BEACONS
from contracts.urls import plain_url, with_parameters

REDIRECT_WAIT_S: Final = 0.3
"""How long a redirect waits for its record: a customer's mail must never hang on our log."""
MAX_CAMPAIGN: Final = 200
MAX_DESTINATION: Final = 500
PIXEL: Final = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")


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
            ip=truncated(client_of(req)),
            user_agent=masked_text((req.user_agent or "")[:256]),
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
        url = plain_url(sealed) if sealed else destination(req.scope["query_string"])
        workspace = claims.workspace if claims is not None else None
        served = core.sites.leading_to(url, workspace) if url is not None else None
        if served is None and sealed and claims is not None:
            served = core.sites.first_of(claims.workspace)
        if url is None or served is None:
            arrival = Arrival(b"", core.outside.now_ms())
            await core.refuse(resp, arrival, BadInput(Reason.BAD_DESTINATION), keep=False)
            return
        site = served.site
        given = (req.get_param(site.campaign_param) or "")[:MAX_CAMPAIGN]
        parameters = {site.campaign_param: given} if given else {}
        if claims is not None:
            click = core.outside.unique()
            # NOTE: sealed anew, so a token that was damaged on its way reaches the page whole.
            parameters |= {site.token_param: core.sites.keyring.seal(replaced(claims, destination=""))}
            parameters |= {site.click_param: click}
            record = self._click(req, click, url, given or _campaign_in(url, site.campaign_param))
            await self.store(req, claims, served.name, record)
        resp.set_header("Cache-Control", "no-store")
        resp.set_header("Referrer-Policy", "no-referrer")
        # NOTE: not `resp.location`, which encodes what is encoded once more where other signs stand beside it.
        resp.set_header("Location", with_parameters(url, parameters))
        resp.status = 302

    def _click(self, req: falcon.asgi.Request, click: str, url: str, campaign: str) -> dict[str, Any]:
        """What a record says of a click beside whose it is."""
        properties = {
            "campaign": masked_text(campaign)[:MAX_CAMPAIGN],
            "destination": masked_text(re.split("[?#]", url.partition("://")[2], maxsplit=1)[0])[:MAX_DESTINATION],
        }
        if sign := scanner_sign(req.method, req.user_agent or ""):
            properties["scanner"] = sign
        return {"source": Source.REDIRECT, "click": click, "properties": properties}

    async def on_head(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, token: str) -> None:
        """A scanner's look: the same answer, noted as such."""
        await self.on_get(req, resp, token)


def _campaign_in(url: str, name: str) -> str:
    """What a destination says of the campaign by itself."""
    found = parse_qs(url.partition("#")[0].partition("?")[2], keep_blank_values=True, max_num_fields=None).get(name)
    return found[-1] if found else ""


class Pixel(Mail):
    """``GET /o/{token}.gif``: a picture, always."""

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, token: str) -> None:
        """200 with one transparent point."""
        claims = self.claims(token.removesuffix(".gif"))
        if claims is not None:
            campaign = masked_text(req.get_param("utm_campaign") or "")[:MAX_CAMPAIGN]
            properties = {"campaign": campaign} | ({"machine": "true"} if is_proxy(req.user_agent or "") else {})
            await self.store(req, claims, "", {"source": Source.PIXEL, "properties": properties})
        resp.content_type = "image/gif"
        resp.set_header("Cache-Control", "no-store, private")
        resp.data = PIXEL
