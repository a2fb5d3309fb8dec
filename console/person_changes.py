"""What an engineer does for one person: everything that is known of them, a link for a mail, and the end of it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from console.access.gate import Handler, Visit
from console.commands import CommandLost, Ended
from console.desk import Desk
from contracts.rows import Act

CHANGES: Final = ("export", "link", "forget")
NOBODY: Final = "There is nothing of this name."
NOT_DONE: Final = "It was not done; the command says why."
NOT_ENDED: Final = "It did not come to an end. Do it again: what is done by now stays done."
LONGEST: Final = {"url": 2_048, "campaign": 200}
TIMEOUT_S: Final = 180
"""Above the minute and a half that ``segma forget`` waits until ClickHouse has the rows off its disk."""
AT_ONCE: Final = 2
"""Commands that run at the same time; others wait."""

_ID: Final = re.compile(r"[A-Za-z0-9_]{1,100}")


def is_id(person: str) -> bool:
    """Whether this has the form of a subscriber's id: no address, and no option of a command."""
    return _ID.fullmatch(person) is not None


class PersonChanges:
    """The handlers. Each does what the command of its name does, after a page that says what that is."""

    def __init__(self, desk: Desk, collector: str) -> None:
        """``collector``: its public address, through whose redirect links lead."""
        self._desk, self._collector = desk, collector
        self._running = asyncio.Semaphore(AT_ONCE)

    def handlers(self) -> Mapping[str, Handler]:
        """By the names of the table."""
        return {
            "person_confirm": self._confirm,
            "export": self._export,
            "link": self._link,
            "forget": self._forget,
        }

    async def _confirm(self, visit: Visit) -> Response:
        person, change = visit.request.path_params["person"], visit.request.query_params.get("change", "")
        if change not in CHANGES or not is_id(person):
            return self._desk.problem(visit, NOBODY, 404)
        if visit.part == "lists":
            if answer := await self._desk.noted(visit, Act.LOOKED_UP, subscriber=person):
                return answer
            told = await self._desk.history.ask("person_lists", visit.workspace, person=person)
            return self._desk.view.page(visit, "person_lists", told=told)
        here = f"/w/{visit.workspace}/people/{quote(person, safe='')}"
        return self._desk.view.page(visit, "person_confirm", person=person, change=change, here=here)

    async def _export(self, visit: Visit) -> Response:
        """The answer is a file: what it holds is for the person alone, and stands on no page."""
        person = visit.request.path_params["person"]
        ended = await self._ended(visit, Act.EXPORTED, "export", person)
        if isinstance(ended, Response):
            return ended
        text = json.dumps(ended.lines[0], ensure_ascii=False, indent=2)
        name = {"content-disposition": f'attachment; filename="{person}.json"'}
        return Response(text, media_type="application/json", headers=name)

    async def _link(self, visit: Visit) -> Response:
        person, given = visit.request.path_params["person"], visit.form
        if any(len(given.get(field, "")) > most for field, most in LONGEST.items()):
            return self._desk.view.refused(visit, 400)
        options = [f"--{field}={given.get(field, '')}" for field in LONGEST]
        redirect = [f"--redirect={self._collector}"] if given.get("redirect") == "yes" else []
        words = ("link", visit.workspace, person, *options, *redirect, "--json")
        ended = await self._ended(visit, Act.LINKED, *words, workspace="")
        if isinstance(ended, Response):
            return ended
        return self._desk.view.page(visit, "person_link", person=person, link=ended.lines[0]["link"], said=ended.said)

    async def _forget(self, visit: Visit) -> Response:
        person = visit.request.path_params["person"]
        ended = await self._ended(visit, Act.FORGOT, "forget", person, "--yes", "--json")
        if isinstance(ended, Response):
            return ended
        return self._desk.view.page(visit, "person_forgotten", proof=ended.lines[0], said=ended.said)

    async def _ended(self, visit: Visit, act: Act, *words: str, workspace: str | None = None) -> Ended | Response:
        """The command, ended well, or the answer that says why not. It is in the trail before it begins."""
        person = visit.request.path_params["person"]
        if not is_id(person):
            return self._desk.problem(visit, NOBODY, 404)
        if answer := await self._desk.noted(visit, act, subscriber=person):
            return answer
        own = visit.workspace if workspace is None else workspace
        try:
            async with self._running:
                ended = await asyncio.to_thread(
                    self._desk.commands.run, *words, workspace=own, timeout_s=TIMEOUT_S
                )  # fmt: skip
        except CommandLost as error:
            return self._desk.problem(visit, NOT_ENDED, detail=str(error))
        if ended.code or not ended.lines:
            return self._desk.problem(visit, NOT_DONE, 409, detail=" ".join(ended.said.split())[-500:])
        return ended
