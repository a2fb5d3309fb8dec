"""The pages of listeners: all of them, and one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from console.access.gate import Handler, Visit
from console.access.table import Role
from console.board import Shown, difference
from console.desk import Desk
from console.history import by_key
from contracts.errors import LogError

DAYS: Final = 30
HEIGHT: Final = 24
MOST_DAYS: Final = 1_000 * (DAYS + 1)
"""Days of all listeners together that are asked for: of a thousand listeners each one."""


def line_of(days: Sequence[Mapping[str, Any]], today: date) -> str:
    """Matches a day as the points of an SVG's line: a unit wide a day, :data:`HEIGHT` high, today at the right."""
    counts = {row["day"]: int(row["matches"]) for row in days}
    shown = [counts.get(today - timedelta(days=ago), 0) for ago in reversed(range(DAYS))]
    most = max([*shown, 1])
    return " ".join(f"{place},{HEIGHT - HEIGHT * count / most:.1f}" for place, count in enumerate(shown))


def activity_of(rows: Sequence[Mapping[str, Any]], today: date) -> dict[str, Any]:
    """What one listener did in :data:`DAYS`."""
    return {
        "line": line_of(rows, today),
        "matches": sum(int(row["matches"]) for row in rows),
        "failed": sum(int(row["failed"]) for row in rows),
        "last": max(row["last_match"] for row in rows),
    }


class ListenerPages:
    """The handlers."""

    def __init__(self, desk: Desk, today: Callable[[], date]) -> None:
        """``today``: the day it is, UTC."""
        self._desk, self._today = desk, today

    def handlers(self) -> Mapping[str, Handler]:
        """By the names of the table."""
        return {
            "listeners": self._listeners,
            "listener": self._listener,
        }

    async def _listeners(self, visit: Visit) -> Response:
        if visit.part == "activity":
            return await self._activity(visit)
        try:
            shown = await asyncio.to_thread(self._desk.board.newest, visit.workspace)
        except LogError as error:
            return self._desk.away(visit, error)
        drafts = await asyncio.to_thread(self._desk.drafts[visit.workspace].names)
        may_write = visit.holds(Role.MARKETER)
        return self._desk.view.page(visit, "listeners", shown=shown, drafts=drafts, may_write=may_write)

    async def _activity(self, visit: Visit) -> Response:
        """What each did: the contents of cells that the page has by name. The table is sent once."""
        told = await self._desk.history.ask_for_many("listener_days", visit.workspace, MOST_DAYS)
        today = self._today()
        activity = {name: activity_of(rows, today) for name, rows in by_key(told.rows, "listener").items()}
        return self._desk.view.page(visit, "listeners_activity", activity=activity, told=told)

    async def _listener(self, visit: Visit) -> Response:
        name = visit.request.path_params["listener"]
        if visit.part == "steps":
            told = await self._desk.history.ask("funnel", visit.workspace, listener=name, since=f"-{DAYS}d")
            return self._desk.view.page(visit, "listener_steps", told=told)
        try:
            versions = await asyncio.to_thread(self._desk.board.of, visit.workspace, name)
        except LogError as error:
            return self._desk.away(visit, error)
        if not versions:
            return self._desk.problem(visit, "There is nothing of this name.", 404)
        changes = [(after, difference(before, after)) for before, after in pairwise(versions)]
        return self._desk.view.page(
            visit,
            "listener",
            name=name,
            versions=versions[::-1],
            chosen=_chosen(versions),
            changes=changes[::-1],
            may_change=visit.holds(Role.MARKETER),
            steps=f"/w/{visit.workspace}/listeners/{quote(name, safe='')}?part=steps",
            confirm=f"/w/{visit.workspace}/listeners/{quote(name, safe='')}/confirm",
        )


def _chosen(versions: Sequence[Shown]) -> Shown:
    """The version that is live, else the newest."""
    return next((each for each in reversed(versions) if each.is_at_work), versions[-1])
