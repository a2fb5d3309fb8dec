"""The page on which a site is set up: its script tag, what has come of it, and what was refused and why."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from console.access.gate import Handler, Visit
from console.desk import Desk
from console.site_loads import LoadCounts, NoLoads
from contracts.installation import Site

QUIET: Final = timedelta(days=1)
"""After so long without an event a site is said to be silent."""


class SitePages:
    """The handlers."""

    def __init__(self, desk: Desk, collector: str, loads: LoadCounts) -> None:
        """``collector``: its public address."""
        self._desk, self._collector, self._loads = desk, collector, loads

    def handlers(self) -> Mapping[str, Handler]:
        """By the names of the table."""
        return {"sites": self._sites}

    async def _sites(self, visit: Visit) -> Response:
        parts = {"seen": self._seen, "refused": self._refused, "tokens": self._tokens, "declined": self._declined}
        if visit.part in parts:
            return await parts[visit.part](visit)
        shown = [(name, site, tag_of(site, self._collector)) for name, site in self._own(visit).items()]
        return self._desk.view.page(visit, "sites", sites=shown)

    def _own(self, visit: Visit) -> Mapping[str, Site]:
        return self._desk.workspaces[visit.workspace].sites

    async def _seen(self, visit: Visit) -> Response:
        told = await self._desk.history.ask("site_events", visit.workspace)
        now = datetime.fromtimestamp(self._desk.now_ms() / 1_000, UTC).replace(tzinfo=None)
        sites = [] if told.problem else seen_of(list(self._own(visit)), told.rows, now)
        return self._desk.view.page(visit, "site_seen", sites=sites, problem=told.problem)

    async def _refused(self, visit: Visit) -> Response:
        told = await self._desk.history.ask("refusals", visit.workspace)
        return self._desk.view.page(visit, "site_refusals", told=told)

    async def _tokens(self, visit: Visit) -> Response:
        told = await self._desk.history.ask("tokens", visit.workspace)
        return self._desk.view.page(visit, "site_tokens", told=told)

    async def _declined(self, visit: Visit) -> Response:
        try:
            found = await asyncio.to_thread(self._loads.of, visit.workspace)
        except NoLoads as error:
            return self._desk.view.page(visit, "site_declined", loads={}, unknown=str(error))
        loads = {name: found[name] for name in self._own(visit) if name in found}
        return self._desk.view.page(visit, "site_declined", loads=loads, unknown="")


def tag_of(site: Site, collector: str) -> str:
    """The script tag that the site's pages hold, as ``segma init`` prints it."""
    return f'<script async src="{collector}/sdk/segma.js" data-site="{site.key}"></script>'


def seen_of(names: Sequence[str], rows: Sequence[Mapping[str, Any]], now: datetime) -> list[dict[str, Any]]:
    """What has come from each site, in the order of ``names``. ``silent``: nothing for :data:`QUIET`."""
    known = {str(row["site"]): row for row in rows}
    found = []
    for name in names:
        row = known.get(name)
        last = row["last_at"].replace(tzinfo=None) if row is not None else None
        found.append({"name": name, "row": row, "silent": last is not None and now - last > QUIET})
    return found
