"""The live pages and their streams, which end with the session; the events' by person, action and site."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Container, Mapping
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import urlencode

from sse_starlette import EventSourceResponse
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from console.access.gate import Gate, Handler, Visit
from console.access.table import Role
from console.changes import changes
from console.desk import NO_TRAIL, Desk
from console.newest_events import EventFilter
from console.person_events import is_person, person_named
from console.watch import Watch
from contracts.actions import known_actions
from contracts.rows import Act

MOST_PEOPLE: Final = 20
"""One person has an id in each workspace."""


class NoFilter(ValueError):
    """The address asks for something that is not there, or that this user may not ask for. ``args``: the status."""


class LivePages:
    """The handlers."""

    def __init__(self, desk: Desk, watch: Watch, gate: Gate) -> None:
        self._desk, self._watch, self._gate = desk, watch, gate

    def handlers(self) -> Mapping[str, Handler]:
        """By the names of the table."""
        picture = self._watch.picture
        return {
            "lists": self._lists,
            "events": self._events,
            "filter_events": self._chosen,
            "live_lists": self._live(lambda own: {"lists": picture.lists(own), "moves": picture.moves(own)}),
            "live_events": self._live_events,
            "live_sites": self._live(lambda own: {"sites": picture.sites(own)}),
        }

    async def _lists(self, visit: Visit) -> Response:
        return self._desk.view.page(visit, "lists")

    async def _events(self, visit: Visit) -> Response:
        try:
            wanted = self._wanted(visit)
        except NoFilter as error:
            return self._desk.view.refused(visit, *error.args)
        may = bool(self._looks_up_in(visit))
        return self._desk.view.page(
            visit, "events", wanted=wanted, actions=self._actions(visit), sites=self._sites(visit), may_filter=may
        )

    async def _chosen(self, visit: Visit) -> Response:
        """The way to the events of a filter; an address goes no further than this."""
        given = {name: visit.form.get(name, "").strip() for name in ("person", "action", "site")}
        if given["person"] and not is_person(given["person"]):
            return self._desk.view.refused(visit, 400)
        if given["person"] and not self._looks_up_in(visit):
            return self._desk.view.refused(visit, 403)
        ids = [(own, person_named(self._desk.secrets[own], given["person"])) for own in self._looks_up_in(visit)]
        people = [("person", f"{own}/{person}") for own, person in ids if given["person"]]
        others = [(name, given[name]) for name in ("action", "site") if given[name]]
        query = urlencode([*people, *others])
        return RedirectResponse(f"/events?{query}" if query else "/events", 303)

    def _wanted(self, visit: Visit) -> EventFilter:
        """The filter of the page's address. Raises :class:`NoFilter`."""
        query = visit.request.query_params
        action, site = query.get("action", ""), query.get("site", "")
        people = {tuple(each.split("/", 1)) for each in query.getlist("person")}
        if (action and action not in self._actions(visit)) or (site and site not in self._sites(visit)):
            raise NoFilter(400)
        if len(people) > MOST_PEOPLE or not all(len(each) == 2 and is_person(each[1]) for each in people):
            raise NoFilter(400)
        own = self._looks_up_in(visit)
        if any(workspace not in own for workspace, _ in people):
            raise NoFilter(403)
        workspace, _, name = site.partition("/")
        ids = frozenset((own, each) for own, each in people)
        return EventFilter(frozenset(self._own(visit)), ids, action, (workspace, name) if site else None)

    def _own(self, visit: Visit) -> list[str]:
        """The workspaces in which the user has a role now."""
        return sorted(visit.session.roles) if visit.session is not None else []

    def _looks_up_in(self, visit: Visit) -> list[str]:
        """Those in which they may look people up."""
        return [own for own in self._own(visit) if visit.session and visit.session.roles[own] >= Role.MARKETER]

    def _actions(self, visit: Visit) -> list[str]:
        return sorted({name for own in self._own(visit) for name in known_actions(self._desk.board.actions(own))})

    def _sites(self, visit: Visit) -> list[str]:
        return [f"{own}/{site}" for own in self._own(visit) for site in sorted(self._desk.workspaces[own].sites)]

    def _live(self, look: Callable[[Container[str]], dict[str, Any]]) -> Handler:
        async def stream(visit: Visit) -> Response:
            told = changes(self._watch, lambda: look(self._own(visit)), self._goes_on(visit, frozenset()))
            return EventSourceResponse(told)

        return stream

    def _goes_on(self, visit: Visit, looked_up_in: frozenset[str]) -> Callable[[], bool]:
        """Whether the session lasts, in which the user may still look people up in these workspaces."""

        def goes_on() -> bool:
            return self._gate.session_of(visit.key, use=False) is not None and looked_up_in <= {
                *self._looks_up_in(visit)
            }

        return goes_on

    async def _live_events(self, visit: Visit) -> Response:
        """The stream of a filter. A look at a person is in the trail before anything is shown."""
        try:
            wanted = self._wanted(visit)
        except NoFilter as error:
            return self._desk.view.refused(visit, *error.args)
        for workspace, person in sorted(wanted.people):
            noted = self._desk.audit.note(workspace, visit.user, Act.LOOKED_UP, subscriber=person, target="events")
            if not await noted:
                return PlainTextResponse(NO_TRAIL, 503)
        return EventSourceResponse(self._filtered(visit, wanted))

    async def _filtered(self, visit: Visit, wanted: EventFilter) -> AsyncGenerator[dict[str, str], None]:
        """What comes of a filter, kept while the page is open: other events push none of it out."""
        watch, goes_on = self._watch, self._goes_on(visit, frozenset(own for own, _ in wanted.people))
        with watch.lock:
            newest = watch.picture.follow(wanted)
        try:
            told = changes(watch, lambda: {"events": watch.picture.told(newest, self._own(visit))}, goes_on)
            async with aclosing(told) as stream:
                async for each in stream:
                    yield each
        finally:
            with watch.lock:
                watch.picture.unfollow(newest)
