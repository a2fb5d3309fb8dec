"""Whether a listener is good for anything: tried over the last 30 days, and its lift over whom it held out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from analytics.lift import CONFIDENCE, Group, Lift
from console.access.gate import Handler, Visit
from console.desk import Desk, back_to
from console.history import Told
from console.listener_pages import line_of
from console.trials import Trial
from console.writing.drafts import NotSaved, is_name
from contracts.actions import known_actions
from contracts.errors import LogError
from contracts.installation import duration_ms
from contracts.rows import Act

NOTHING: Final = "There is nothing of this name."
NO_SPAN: Final = "Write a time such as 7d or 12h."
LONGEST_S: Final = 100_000_000


class TrialPages:
    """The handlers."""

    def __init__(self, desk: Desk, today: Callable[[], date]) -> None:
        """``today``: the day it is, UTC."""
        self._desk, self._today = desk, today

    def handlers(self) -> Mapping[str, Handler]:
        """By the names of the table."""
        return {"trial": self._trial, "try_out": self._try_out}

    async def _trial(self, visit: Visit) -> Response:
        name = visit.request.path_params["listener"]
        if visit.part == "lift":
            return await self._lift(visit, name)
        trial = self._desk.trials.of(visit.workspace, name)
        if visit.part:
            return self._desk.view.page(visit, "trial_state", name=name, **self._told(trial))
        try:
            numbers = await asyncio.to_thread(self._numbers, visit.workspace, name)
        except LogError as error:
            return self._desk.away(visit, error)
        draft = await asyncio.to_thread(self._draft, visit.workspace, name)
        if not numbers and not draft and trial is None:
            return self._desk.problem(visit, NOTHING, 404)
        query = visit.request.query_params
        goal, within = query.get("goal", ""), query.get("within", "7d")
        return self._desk.view.page(
            visit,
            "trial",
            name=name,
            numbers=numbers,
            draft=bool(draft),
            here=f"/w/{visit.workspace}/listeners/{quote(name, safe='')}/trial",
            goal=goal,
            within=within,
            lift=f"?part=lift&goal={quote(goal, safe='')}&within={quote(within, safe='')}" if goal else "",
            actions=sorted(known_actions(self._desk.board.actions(visit.workspace))),
            **self._told(trial),
        )

    def _told(self, trial: Trial | None) -> dict[str, Any]:
        """What a page shows of a trial."""
        days = trial.answer.get("days", {}) if trial is not None else {}
        rows = [{"day": date.fromisoformat(day), "matches": count} for day, count in days.items()]
        return {"trial": trial, "line": line_of(rows, self._today())}

    def _numbers(self, workspace: str, name: str) -> list[int]:
        """The numbers of a listener's versions, the newest first."""
        return [each.version for each in self._desk.board.versions(workspace) if each.listener == name][::-1]

    def _draft(self, workspace: str, name: str) -> str:
        try:
            return self._desk.drafts[workspace].read(name).text if is_name(name) else ""
        except NotSaved:
            return ""

    async def _try_out(self, visit: Visit) -> Response:
        """Begin a trial: of the draft, or of a version that was applied."""
        name, number = visit.request.path_params["listener"], visit.form.get("version", "")
        try:
            numbers = await asyncio.to_thread(self._numbers, visit.workspace, name)
        except LogError as error:
            return self._desk.away(visit, error)
        text = "" if number else await asyncio.to_thread(self._draft, visit.workspace, name)
        if not text and number not in map(str, numbers):
            return self._desk.problem(visit, NOTHING, 404)
        subject = name if text else f"{name}@{number}"
        if answer := await self._desk.noted(visit, Act.TRIED, target=subject):
            return answer
        self._desk.trials.begin(visit.workspace, name, subject, text)
        return back_to(visit, f"listeners/{quote(name, safe='')}/trial")

    async def _lift(self, visit: Visit, name: str) -> Response:
        query = visit.request.query_params
        seconds = _seconds(query.get("within", ""))
        if seconds is None:
            return self._desk.view.page(visit, "lift", goal="", lift=None, found={}, problem=NO_SPAN)
        goal = query.get("goal", "")[:100]
        asked = {"listener": name, "goal": goal, "seconds": str(seconds)}
        told: Told = await self._desk.history.ask("lift", visit.workspace, **asked)
        found = told.rows[0] if told.rows else {}
        lift = lift_of(found) if found else None
        return self._desk.view.page(
            visit, "lift", goal=goal, lift=lift, found=found, problem=told.problem, sure=round(100 * CONFIDENCE)
        )


def lift_of(row: Mapping[str, int]) -> Lift:
    """The two groups of the query's answer."""
    return Lift(Group(row["moved"], row["moved_did"]), Group(row["held_out"], row["held_out_did"]))


def _seconds(text: str) -> int | None:
    """A duration in seconds; None where it is none, or too long."""
    try:
        found = duration_ms(text) // 1_000
    except ValueError:
        return None
    return found if 1 <= found <= LONGEST_S else None
