"""The gate before every page: who asks, whether the table lets them, and whether our own page asks for a change."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from console.access.requests import BadForm, form_of, is_from_here
from console.access.sessions import Session, Sessions
from console.access.table import PAGES, Page, Role
from console.access.users import User, Users
from contracts.errors import ConfigError

COOKIE: Final = "segma_session"
PAGE_ASKED: Final = "segma.page"
"""Where a request's scope has the name of its page, for who counts answers."""
DEMO_USER: Final = "demo"
"""What whoever entered the demo with one click is called. The session has no proof: no user's file ends it."""

logger = structlog.get_logger()


@dataclass(slots=True)
class Visit:
    """One request that the gate let through. ``session`` None: on a page that is open to everybody."""

    request: Request
    session: Session | None
    key: str = ""
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def workspace(self) -> str:
        """The workspace that the page is about."""
        found: str = self.request.path_params.get("workspace", "")
        return found

    @property
    def part(self) -> str:
        """Which part of the page is asked for alone; empty: the page."""
        return self.request.query_params.get("part", "")

    def holds(self, role: Role) -> bool:
        """Whether whoever is signed in has this role in the page's workspace."""
        held = self.session.roles.get(self.workspace) if self.session is not None else None
        return held is not None and held >= role

    @property
    def user(self) -> str:
        """The name of whoever is signed in."""
        return self.session.user if self.session is not None else ""


Handler = Callable[[Visit], Awaitable[Response]]
Refuse = Callable[[Visit, int], Response]


class Gate:
    """Lets a visit through to its page, or refuses it."""

    def __init__(
        self, users: Users, sessions: Sessions, refuse: Refuse, workspaces: frozenset[str], *, secure: bool
    ) -> None:
        """``refuse``: the page that says no, with a status. ``workspaces``: those that there are; a role in another
        counts for nothing. ``secure``: whether browsers come by HTTPS alone.
        """
        self.users, self.sessions, self._refuse, self._workspaces = users, sessions, refuse, workspaces
        self.secure = secure
        self.cookie = f"__Host-{COOKIE}" if secure else COOKIE

    def routes(self, handlers: Mapping[str, Handler]) -> list[Route]:
        """A route for each page of the table. Raises ``ValueError`` where a page has no handler, or the reverse."""
        if handlers.keys() != {page.name for page in PAGES}:
            raise ValueError(f"not in both: {sorted(handlers.keys() ^ {page.name for page in PAGES})}")
        return [
            Route(page.path, self._guarded(page, handlers[page.name]), methods=[page.method], name=page.name)
            for page in PAGES
        ]

    def session_of(self, key: str, *, use: bool = True) -> Session | None:
        """The session of a cookie's value, if its user still is one with the same password; roles are those of now.

        ``use``: as for :meth:`console.access.sessions.Sessions.find`.
        """
        session = self.sessions.find(key, use=use) if key else None
        if session is None or not session.proof:
            return session
        try:
            user = self.users.known().get(session.user)
        except ConfigError as error:
            logger.error("the users' file cannot be used", error=str(error))
            return None
        if user is None or user.password != session.proof:
            self.sessions.end(key)
            return None
        session.roles = self.roles_of(user)
        return session

    def roles_of(self, user: User) -> dict[str, Role]:
        """The roles of a user, in workspaces that there are."""
        roles = ((workspace, user.role_in(workspace)) for workspace in user.roles if workspace in self._workspaces)
        return {workspace: role for workspace, role in roles if role is not None}

    def signed_in(self, visit: Visit, key: str, target: Response) -> Response:
        """Put the key of a new session into the browser, in place of a former one, which ends."""
        self.sessions.end(visit.key)
        target.set_cookie(self.cookie, key, httponly=True, samesite="lax", secure=self.secure, path="/")
        return target

    def _guarded(self, page: Page, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            request.scope[PAGE_ASKED] = page.name
            key = request.cookies.get(self.cookie, "")
            visit = Visit(request, self.session_of(key), key)
            answer = self._not_allowed(page, visit) or await self._not_ours(page, visit) or await handler(visit)
            answer.headers.setdefault("cache-control", "no-store")
            return answer

        return serve

    def _not_allowed(self, page: Page, visit: Visit) -> Response | None:
        """The answer to somebody whom the table does not let through."""
        if page.least is None:
            return None
        if visit.session is None:
            if page.method == "GET" and not page.path.startswith("/live"):
                return RedirectResponse(f"/login?next={quote(_asked(visit.request), safe='')}", 303)
            return PlainTextResponse("sign in first", 401)
        if not visit.session.may(page, visit.request.path_params.get("workspace")):
            return self._refuse(visit, 403)
        return None

    async def _not_ours(self, page: Page, visit: Visit) -> Response | None:
        """The answer to a change that none of our own pages asked for."""
        if page.method == "GET":
            return None
        if not is_from_here(visit.request.headers, "https" if self.secure else "http"):
            return self._refuse(visit, 403)
        try:
            visit.form = await form_of(visit.request, long=page.long)
        except BadForm:
            return self._refuse(visit, 400)
        held = visit.session.csrf if visit.session is not None and page.least is not None else ""
        if not hmac.compare_digest(visit.form.get("csrf", "").encode(), held.encode()) and page.least is not None:
            return self._refuse(visit, 403)
        return None


def _asked(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path
