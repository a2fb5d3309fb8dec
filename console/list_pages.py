"""The pages of lists: how many people are in each, who came and left, and who was in one at an instant."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from starlette.responses import Response

from analytics.named_queries import instant
from console.access.gate import Handler, Visit
from console.desk import Desk
from console.history import MOST_ROWS, by_key

LONGEST: Final = 500
"""Characters of a list's name."""
NEWEST: Final = str(MOST_ROWS + 1)
"""Changes that the history looks up: as many as are shown, and one that says there are more."""
NO_INSTANT: Final = "Write a list, and an instant that has passed, such as 2026-04-01T12:00."


class ListPages:
    """The handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def handlers(self) -> Mapping[str, Handler]:
        """By the names of the table."""
        return {"list_sizes": self._lists}

    async def _lists(self, visit: Visit) -> Response:
        query, here = visit.request.query_params, f"/w/{visit.workspace}/lists"
        if visit.part == "all":
            return await self._sizes(visit)
        name, at = query.get("list", "").strip(), query.get("at", "").strip()
        asked = bool(name or at)
        when = instant_of(at, self._desk.now_ms()) if name and len(name) <= LONGEST else None
        if visit.part and when is not None:
            return await self._as_of(visit, name, when)
        later = f"{here}?{urlencode({'part': 'as_of', 'list': name, 'at': at})}" if when is not None else ""
        problem, status = (NO_INSTANT, 400) if asked and when is None else ("", 200)
        return self._desk.view.page(
            visit, "list_sizes", status, here=here, name=name, at=at, as_of=later, problem=problem
        )

    async def _sizes(self, visit: Visit) -> Response:
        sizes, changed = await asyncio.gather(
            self._desk.history.ask("sizes", visit.workspace, since="-1d"),
            self._desk.history.ask("list_changes", visit.workspace, most=NEWEST),
        )
        newest = {name: rows[-1] for name, rows in by_key(sizes.rows, "list").items()}
        return self._desk.view.page(visit, "list_changes", sizes=newest, changed=changed, problem=sizes.problem)

    async def _as_of(self, visit: Visit, name: str, when: datetime) -> Response:
        """The members at an instant, and who came and left since."""
        at = when.isoformat()
        members, changed = await asyncio.gather(
            self._desk.history.ask_counted("members", visit.workspace, order="since, subscriber", list=name, at=at),
            self._desk.history.ask("list_changes", visit.workspace, list=name, since=at, most=NEWEST),
        )
        problem = members.problem or changed.problem
        count = int(members.rows[0]["count"]) if members.rows else 0
        values = {"name": name, "when": when, "count": count, "members": members, "changed": changed}
        return self._desk.view.page(visit, "list_as_of", problem=problem, **values)


def instant_of(text: str, now_ms: int) -> datetime | None:
    """An instant that has passed since 1970, UTC where the text says nothing else; None: it is none."""
    try:
        found = instant(text, now_ms)
    except ValueError:
        return None
    return found if 0 <= found.timestamp() * 1_000 <= now_ms else None
