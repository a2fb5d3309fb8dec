"""The pages of people: looking one up, their life, why they are in a list, and why a listener did not move them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from urllib.parse import quote

from starlette.responses import RedirectResponse, Response

from analytics.why import why_in_words
from console.access.gate import Handler, Visit
from console.access.table import Role
from console.desk import Desk
from console.person_changes import is_id
from console.person_events import Whose, is_person, person_named, recorded
from contracts.errors import LogError
from contracts.rows import Act


class PeoplePages:
    """The handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def handlers(self) -> Mapping[str, Handler]:
        """By the names of the table."""
        return {"people": self._people, "look_up": self._look_up, "person": self._person}

    async def _people(self, visit: Visit) -> Response:
        return self._desk.view.page(visit, "people", problem="")

    async def _look_up(self, visit: Visit) -> Response:
        """An address goes no further than this: the next page is under the opaque id."""
        wanted = visit.form.get("person", "").strip()
        if not is_person(wanted):
            return self._desk.view.page(visit, "people", 400, problem="Write an address, or a subscriber's id.")
        person = person_named(self._desk.secrets[visit.workspace], wanted)
        return RedirectResponse(f"/w/{visit.workspace}/people/{quote(person, safe='')}", 303)

    async def _person(self, visit: Visit) -> Response:
        person, query = visit.request.path_params["person"], visit.request.query_params
        if visit.part:
            if answer := await self._desk.noted(visit, Act.LOOKED_UP, subscriber=person):
                return answer
            return await self._part(visit, person)
        try:
            names = await asyncio.to_thread(self._desk.board.names, visit.workspace)
        except LogError:
            names = []
        here = f"/w/{visit.workspace}/people/{quote(person, safe='')}"
        parts = [f"{here}?part=life"]
        if query.get("list"):
            parts.insert(0, f"{here}?part=why&list={quote(query['list'], safe='')}")
        if query.get("listener"):
            parts.insert(0, f"{here}?part=why_not&listener={quote(query['listener'], safe='')}")
        may = visit.holds(Role.ENGINEER) and is_id(person)
        return self._desk.view.page(
            visit, "person", person=person, parts=parts, here=here, listeners=names, may_change=may
        )

    async def _part(self, visit: Visit, person: str) -> Response:
        query = visit.request.query_params
        if visit.part == "why":
            return await self._why(visit, person, query.get("list", ""))
        if visit.part == "why_not":
            return await self._why_not(visit, person, query.get("listener", ""))
        lists, life = await asyncio.gather(
            self._desk.history.ask("person_lists", visit.workspace, person=person),
            self._desk.history.ask("timeline", visit.workspace, newest_by="at", person=person),
        )
        return self._desk.view.page(visit, "person_life", lists=lists, life=life, person=person)

    async def _why(self, visit: Visit, person: str, list_name: str) -> Response:
        given = {"person": person, "list": list_name}
        stays, attempts = await asyncio.gather(
            self._desk.history.ask("why", visit.workspace, **given),
            self._desk.history.ask("attempts", visit.workspace, **given),
        )
        problem = stays.problem or attempts.problem
        lines = [] if problem else why_in_words(list_name, stays.rows, attempts.rows)
        return self._desk.view.page(visit, "words", title=list_name, lines=lines, problem=problem)

    async def _why_not(self, visit: Visit, person: str, name: str) -> Response:
        try:
            listener = await asyncio.to_thread(self._desk.board.listener, visit.workspace, name)
            pauses = await asyncio.to_thread(self._desk.board.pauses, visit.workspace, name)
        except LogError as error:
            return self._desk.away(visit, error)
        if listener is None:
            return self._desk.problem(visit, "There is nothing of this name.", 404)
        whose = Whose(visit.workspace, self._desk.workspaces[visit.workspace], person, self._desk.now_ms())
        told, problem = await self._desk.history.read(partial(recorded, whose, listener, pauses=pauses))
        return self._desk.view.page(visit, "words", title=name, lines=(told or "").split("\n"), problem=problem)
