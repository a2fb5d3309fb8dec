"""What a marketer changes about a listener: a page that says what will happen, then what the command line does."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from console.access.gate import Handler, Visit
from console.board import Shown, difference
from console.commands import CommandLost, Ended
from console.desk import Desk, back_to
from console.writing.cells import only_document
from console.writing.drafts import NotSaved, is_name
from console.writing.yaml_edit import NotEditable, set_value
from contracts.errors import LogError
from contracts.rows import Act
from contracts.versions import ListenerVersion
from flows.language.source import Report
from flows.versions.pausing import NotPausable
from flows.versions.promotion import NotPromotable

CHANGES: Final = ("apply", "promote", "pause", "resume", "end", "roll_back")
OF_ALL: Final = ("pause", "resume", "end")
"""The changes of a listener whatever its versions are."""
NOTHING: Final = "There is nothing of this name."
REFUSED: Final = "It was not brought to work: `segma listeners apply` refused it."
NOT_LIVE: Final = "This version cannot be made live."
NOT_AT_WORK: Final = "No version of it is live, so there is nothing to pause."
NO_FILE: Final = "It is at work; the file in the listeners' folder could not be written."


class ChangePages:
    """The handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def handlers(self) -> Mapping[str, Handler]:
        """By the names of the table."""
        return {
            "confirm": self._confirm,
            "apply": self._apply,
            "promote": self._promote,
            "pause_listener": self._pause,
            "resume_listener": self._resume,
            "end_listener": self._end,
            "roll_back": self._roll_back,
        }

    async def _confirm(self, visit: Visit) -> Response:
        """What a change would do: which version begins, which end, and what is otherwise then."""
        name, query = visit.request.path_params["listener"], visit.request.query_params
        change, number = query.get("change", ""), _number(query.get("version", "0"))
        if change not in CHANGES or number is None:
            return self._desk.view.refused(visit, 400)
        try:
            versions = await asyncio.to_thread(self._desk.board.of, visit.workspace, name)
            if change == "promote":
                await asyncio.to_thread(self._desk.board.foreseen, visit.workspace, name, number)
        except NotPromotable as error:
            return self._desk.problem(visit, NOT_LIVE, 409, detail=str(error))
        except LogError as error:
            return self._desk.away(visit, error)
        chosen = next((each for each in versions if each.version.version == number), None)
        if chosen is None and not (change == "apply" and is_name(name)) and not (change in OF_ALL and versions):
            return self._desk.problem(visit, NOTHING, 404)
        live = next((each for each in versions if each.is_at_work), None)
        return self._desk.view.page(
            visit,
            "confirm",
            name=name,
            change=change,
            number=number,
            live=live,
            ends=[each for each in versions if change == "end" and each.version.until_ms is None],
            newest=max((each.version.version for each in versions), default=0),
            lines=difference(live, chosen) if live is not None and chosen is not None and live != chosen else [],
        )

    async def _promote(self, visit: Visit) -> Response:
        name, number = visit.request.path_params["listener"], _number(visit.form.get("version", ""))
        if number is None:
            return self._desk.view.refused(visit, 400)
        if answer := await self._desk.noted(visit, Act.PROMOTED, target=f"{name}@{number}"):
            return answer
        try:
            await asyncio.to_thread(self._desk.board.promote, visit.workspace, name, number)
        except NotPromotable as error:
            return self._desk.problem(visit, NOT_LIVE, 409, detail=str(error))
        except LogError as error:
            return self._desk.away(visit, error)
        return _back(visit, name)

    async def _end(self, visit: Visit) -> Response:
        return await self._done(visit, Act.ENDED, self._desk.board.end)

    async def _pause(self, visit: Visit) -> Response:
        return await self._done(visit, Act.PAUSED_LISTENER, self._desk.board.pause)

    async def _resume(self, visit: Visit) -> Response:
        return await self._done(visit, Act.RESUMED_LISTENER, self._desk.board.resume)

    async def _done(self, visit: Visit, act: Act, change: Callable[[str, str], None]) -> Response:
        """Change a listener, whatever its versions are; the trail first."""
        name = visit.request.path_params["listener"]
        if answer := await self._desk.noted(visit, act, target=name):
            return answer
        try:
            await asyncio.to_thread(change, visit.workspace, name)
        except NotPausable as error:
            return self._desk.problem(visit, NOT_AT_WORK, 409, detail=str(error))
        except LogError as error:
            return self._desk.away(visit, error)
        return _back(visit, name)

    async def _apply(self, visit: Visit) -> Response:
        """Bring a draft to work: as a shadow, or live at once."""
        name, live = visit.request.path_params["listener"], visit.form.get("live") == "yes"
        drafts = self._desk.drafts[visit.workspace]
        try:
            draft = await asyncio.to_thread(drafts.read, name)
        except NotSaved:
            draft = None
        if draft is None or not draft.token:
            return self._desk.problem(visit, NOTHING, 404)
        if answer := await self._desk.noted(visit, Act.PROMOTED if live else Act.APPLIED, target=name):
            return answer
        return await self._brought(visit, name, draft.text, live=live, message=f"Bring {name} to work")

    async def _roll_back(self, visit: Visit) -> Response:
        """Make live again what a former version did: its text under the next number."""
        name, number = visit.request.path_params["listener"], _number(visit.form.get("version", ""))
        if number is None or not is_name(name):
            return self._desk.view.refused(visit, 400)
        try:
            versions = await asyncio.to_thread(self._desk.board.of, visit.workspace, name)
            text = again(versions, number)
        except NotEditable as error:
            return self._desk.problem(visit, NOT_LIVE, 409, detail=str(error))
        except LogError as error:
            return self._desk.away(visit, error)
        if answer := await self._desk.noted(visit, Act.ROLLED_BACK, target=f"{name}@{number}"):
            return answer
        return await self._brought(visit, name, text, live=True, message=f"Roll {name} back to version {number}")

    async def _brought(self, visit: Visit, name: str, text: str, *, live: bool, message: str) -> Response:
        try:
            ended = await asyncio.to_thread(self._applied, visit.workspace, name, text, live=live)
        except (CommandLost, OSError) as error:
            return self._desk.problem(visit, REFUSED, detail=str(error))
        if ended.code:
            return self._desk.problem(visit, REFUSED, 409, detail=_refusal(ended))
        try:
            await asyncio.to_thread(self._desk.drafts[visit.workspace].put_to_work, name, text, visit.user, message)
        except NotSaved as error:
            return self._desk.problem(visit, NO_FILE, 500, detail=str(error))
        return _back(visit, name)

    def _applied(self, workspace: str, name: str, text: str, *, live: bool) -> Ended:
        """As ``segma listeners apply``, of a file with this text alone."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{name}.yaml"
            file.write_text(text, encoding="utf-8")
            words = ["listeners", "apply", str(file), *(["--promote"] if live else []), "--json"]
            return self._desk.commands.run(*words, workspace=workspace)


def again(versions: Sequence[Shown], number: int) -> str:
    """The text of a former version under the next number. Raises :class:`NotEditable`."""
    known: dict[int, ListenerVersion] = {each.version.version: each.version for each in versions}
    former = known.get(number)
    if former is None or only_document(former.text, Report("")) is None:
        raise NotEditable(f"there is no version {number} with a text of its own")
    return set_value(former.text, ("version",), max(known) + 1, ("listener", "version"))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _back(visit: Visit, name: str) -> Response:
    return back_to(visit, f"listeners/{quote(name, safe='')}")


def _refusal(ended: Ended) -> str:
    """What the command said is wrong, without the folder that its file lay in."""
    told = [f"{each['field']}: {each['found']}; {each['wanted']}" for each in ended.lines if "found" in each]
    return " · ".join(told) or " ".join(ended.said.split())[-500:]
