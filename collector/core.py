"""What the collector's resources share: the sites, the way to the log, the meters, the shares of its clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import falcon
import falcon.asgi
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from collector.capture_requests import Captured
from collector.config import Bundle
from collector.intake import Intake
from collector.pipeline import STATUS, Arrival, Door
from collector.proxies import Proxies, client_key
from collector.shares import Share, Shares
from collector.sites import ServedSite, Sites
from collector.stored_events import StoredEvents
from contracts.codec import to_json
from contracts.dead_letters import LONGEST_SAMPLE, letter_from, set_aside
from contracts.errors import BadInput, SpoolFull
from contracts.log import Outgoing
from contracts.masking import without_ids
from contracts.reasons import Reason
from contracts.rows import DeadLetter
from contracts.traces import Tracer

RETRY_AFTER_S: Final = 5
LETTERS: Final = Share(20, 1_000)
"""Refused bodies kept: enough to see what is wrong, too few to fill a disk from outside."""
MAIL_SHARE: Final = Share(600, 10_000)
"""Clicks and opens of one client in ten seconds that are kept: a company's gateway, not a flood."""
log_line = structlog.get_logger("collector")


@dataclass(frozen=True, slots=True)
class ClockAndIds:
    """What the application takes from outside: the clock and chance."""

    now_ms: Callable[[], int]
    unique: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to what is not taken: a status and its reason as JSON."""

    status: int
    body: bytes

    @property
    def may_pass(self) -> bool:
        """Whether the same request may be taken a little later."""
        return self.status in {429, 503}

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers."""
        again = {"Retry-After": str(RETRY_AFTER_S)} if self.may_pass else {}
        return {"Content-Type": falcon.MEDIA_JSON, **again}

    def put_into(self, resp: falcon.asgi.Response) -> None:
        """Make it the answer of a Falcon resource."""
        resp.status, resp.data = self.status, self.body
        resp.set_headers(self.headers)


class Meters:
    """The metrics. Labels are closed sets."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.stored = Counter("segma_beacons_stored_total", "Stored, by door.", ["door"], registry=self.registry)
        self.refused = Counter("segma_beacons_refused_total", "Refused.", ["reason"], registry=self.registry)
        self.tokens = Counter(
            "segma_tokens_refused_total", "Tokens not believed.", ["door", "reason"], registry=self.registry
        )
        self.declined = Counter(
            "segma_mail_declined_total", "Clicks and opens not kept: GPC or DNT.", registry=self.registry
        )
        self.loads = Counter(
            "segma_sdk_loads_total",
            "Loads of the SDK by a site's pages; declined: the browser said no (GPC or DNT).",
            ["site", "declined"],
            registry=self.registry,
        )
        self.lost = Counter("segma_clicks_lost_total", "Redirects and pixels not stored.", registry=self.registry)
        self.spooled = Gauge("segma_spool_bytes", "Waiting for the log.", registry=self.registry)
        self.set_aside = Gauge(
            "segma_spool_set_aside_records", "Refused by the log for good, kept on this disk.", registry=self.registry
        )
        self.seconds = Histogram("segma_beacon_seconds", "From body to stored.", registry=self.registry)


class Core:
    """What all resources share."""

    def __init__(
        self,
        sites: Sites,
        bundle: Bundle,
        outside: ClockAndIds,
        open_intake: Callable[[], Intake],
        captured: Captured | None = None,
        *,
        proxies: Proxies | None = None,
        stored_events: StoredEvents | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.sites, self.bundle, self.outside = sites, bundle, outside
        self.captured = captured or Captured()
        self._proxies = proxies or Proxies()
        self.stored_events = stored_events or StoredEvents()
        self.meters = Meters()
        self.tracer = tracer
        self._open_intake = open_intake
        self._intake: Intake | None = None
        self._letters, self._mail = Shares(LETTERS, outside.now_ms), Shares(MAIL_SHARE, outside.now_ms)
        self._shares = {key: Shares(share_of(served), outside.now_ms) for key, served in sites.by_key.items()}
        self.door = Door(sites, self.admits)

    @property
    def intake(self) -> Intake:
        """The way to the log, opened with the event loop."""
        if self._intake is None:
            self._intake = self._open_intake()
            self.meters.spooled.set_function(self._spooled)
            self.meters.set_aside.set_function(self._set_aside_records)
        return self._intake

    def _spooled(self) -> float:
        return self._intake.spooled_bytes if self._intake is not None else 0

    def _set_aside_records(self) -> float:
        return self._intake.set_aside_records if self._intake is not None else 0

    def admits(self, served: ServedSite, client: str) -> bool:
        """Take one of a client's share; False if there is none left."""
        return self._shares[served.site.key].take(client_key(client))

    def admits_mail(self, client: str) -> bool:
        """Take one of a client's share of clicks and opens; False if there is none left."""
        return self._mail.take(client_key(client))

    def client_of(self, req: falcon.asgi.Request) -> str:
        """The address that a request came from, behind the proxies that are trusted; empty where it is not known."""
        known: str | None = req.context.get("client")
        if known is None:
            said = req.get_header(self._proxies.header) or ""
            known = req.context["client"] = self.client_behind(peer_of(req.scope), said)
        return known

    @property
    def proxies_header(self) -> bytes:
        """The name of the header in which trusted proxies say whom they speak for."""
        return self._proxies.header.encode()

    def client_behind(self, peer: str, said: str) -> str:
        """The address in front of the trusted proxies. ``said``: their header's value; empty where there is none."""
        return self._proxies.client(peer, said)

    async def refusal(self, arrival: Arrival, error: BadInput, *, keep: bool) -> Refusal:
        """The answer with the reason; the body is kept as a dead letter (never a server's: it may hold an address)."""
        self.meters.refused.labels(str(error.reason)).inc()
        refusal = Refusal(STATUS[error.reason], to_json({"reason": str(error.reason), "detail": error.detail}))
        if not refusal.may_pass and self._letters.take(""):
            letter = self._letter(arrival, error, keep=keep)
            try:
                await self.intake.store([set_aside(letter)])
            except SpoolFull:
                log_line.warning("refusal_not_kept", reason=str(error.reason))
        return refusal

    async def refuse(self, resp: falcon.asgi.Response, arrival: Arrival, error: BadInput, *, keep: bool) -> None:
        """Answer with the reason; ``keep`` and the dead letter as in :meth:`refusal`."""
        (await self.refusal(arrival, error, keep=keep)).put_into(resp)

    def set_aside(self, arrival: Arrival) -> list[Outgoing]:
        """The dead letters of the events that were set aside from a beacon which is stored."""
        if not arrival.set_aside:
            return []
        served = arrival.at()
        letters = [
            letter_from(
                "http",
                Reason.BAD_EVENT,
                detail,
                at_ms=arrival.received_at_ms,
                value=text,
                workspace=served.workspace,
                site=served.name,
            )
            for text, detail in arrival.set_aside
        ]
        self.meters.refused.labels(str(Reason.BAD_EVENT)).inc(len(letters))
        return [set_aside(letter) for letter in letters]

    def _letter(self, arrival: Arrival, error: BadInput, *, keep: bool) -> DeadLetter:
        served = arrival.served
        return letter_from(
            "http",
            error.reason,
            error.detail,
            at_ms=arrival.received_at_ms,
            # NOTE: what was refused may be damaged anywhere and no field is certain, so all that may be an id goes.
            value=without_ids(arrival.body[:LONGEST_SAMPLE]) if keep else b"",
            size=len(arrival.body),
            workspace=served.workspace if served is not None else "",
            site=served.name if served is not None else "",
        )

    async def close(self) -> None:
        """Release the log, and send the last spans."""
        if self._intake is not None:
            await self._intake.close()
            self._intake = None
        if self.tracer is not None:
            self.tracer.close()


def peer_of(scope: Mapping[str, Any]) -> str:
    """Who speaks to the server, as ASGI names it; empty where that is not known."""
    return str(next(iter(scope.get("client") or ()), ""))


def share_of(served: ServedSite) -> Share:
    """A client's share: ``rate_burst`` beacons in as many seconds as ``rate_per_s`` fills it."""
    seconds = max(round(served.site.rate_burst / served.site.rate_per_s), 1)
    return Share(served.site.rate_burst, 1_000 * seconds)
