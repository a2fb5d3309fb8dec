"""Signing in and out: the pages that are open to everybody, and the end of a session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import structlog
from starlette.responses import JSONResponse, RedirectResponse, Response

from console.access.gate import DEMO_USER, Gate, Handler, Visit
from console.access.guesses import Guesses
from console.access.requests import place_here
from console.access.table import Role
from console.audit import Audit
from console.login_page import TOO_OFTEN, LoginPage, address_of, is_near
from contracts.errors import ConfigError
from contracts.rows import Act

WRONG: Final = "Name and password do not fit together."
AWAY: Final = "Nobody can sign in now: the users' file cannot be used. `segma doctor` and the console's log say why."
OFF: Final = "Names and passwords are switched off here. Sign in by your company's login."
AT_ONCE: Final = 2
"""Passwords checked at the same time: each takes 64 MiB."""

logger = structlog.get_logger()


class Doors:
    """The handlers of login, the demo's entrance, and logout."""

    def __init__(self, gate: Gate, page: LoginPage, audit: Audit, farewell: Callable[[], str]) -> None:
        """``farewell``: where whoever came by the company's login signs out of it too; empty: nowhere."""
        self._gate, self._page, self._audit, self._farewell = gate, page, audit, farewell
        self._guesses, self._checking = Guesses(), asyncio.Semaphore(AT_ONCE)

    def handlers(self) -> Mapping[str, Handler]:
        """By the names of the table."""
        return {
            "health": self._health,
            "login": self._login,
            "sign_in": self._sign_in,
            "enter_demo": self._enter_demo,
            "sign_out": self._sign_out,
        }

    async def _health(self, _: Visit) -> Response:
        return JSONResponse({"status": "ok"})

    async def _login(self, visit: Visit) -> Response:
        return self._page.shown(visit, place_here(visit.request.query_params.get("next", "/")))

    async def _sign_in(self, visit: Visit) -> Response:
        name, target = visit.form.get("name", ""), place_here(visit.form.get("next", "/"))
        if not self._page.local:
            return self._page.refused(visit, target, "switched_off", OFF, 403)
        if not self._guesses.may_try(name, address_of(visit)):
            return self._page.refused(visit, target, "too_often", TOO_OFTEN, 429)
        try:
            async with self._checking:
                user = await asyncio.to_thread(self._gate.users.checked, name, visit.form.get("password", ""))
        except ConfigError as error:
            logger.error("the users' file cannot be used", error=str(error))
            return self._page.refused(visit, target, "unavailable", AWAY, 503)
        if user is None:
            logger.warning("a password did not fit")
            return self._page.refused(visit, target, "wrong_password", WRONG, 401)
        roles = self._gate.roles_of(user)
        await self._noted(roles, user.name, Act.SIGNED_IN)
        key = self._gate.sessions.open(user.name, roles, user.password)
        return self._gate.signed_in(visit, key, RedirectResponse(target, 303))

    async def _enter_demo(self, visit: Visit) -> Response:
        if not self._page.demo or not is_near(visit):
            return self._page.view.refused(visit, 403)
        roles = dict.fromkeys(self._page.demo, Role.MARKETER)
        await self._noted(roles, DEMO_USER, Act.SIGNED_IN)
        key = self._gate.sessions.open(DEMO_USER, roles, "")
        target = place_here(visit.form.get("next", "/"))
        return self._gate.signed_in(visit, key, RedirectResponse(target, 303))

    async def _sign_out(self, visit: Visit) -> Response:
        self._gate.sessions.end(visit.key)
        await self._noted(visit.session.roles if visit.session else {}, visit.user, Act.SIGNED_OUT)
        answer = self._left(visit)
        answer.delete_cookie(self._gate.cookie, path="/", secure=self._gate.secure, httponly=True, samesite="lax")
        answer.headers["clear-site-data"] = '"cache"'
        return answer

    def _left(self, visit: Visit) -> Response:
        """The login; before it, for whoever came by the company's login, that one's own end."""
        place = self._farewell() if visit.session is not None and visit.session.company else ""
        if not place:
            return RedirectResponse("/login", 303)
        answer = self._page.view.page(Visit(visit.request, None), "signed_out", place=place)
        # NOTE: `form-action 'self'` ends a form's way at another site, also behind a redirect; this is a new way.
        answer.headers["refresh"] = f"0;url={place}"
        return answer

    async def _noted(self, roles: Iterable[str], user: str, act: Act) -> None:
        """Write the trail in each workspace of the user's. Without a log people come in and go all the same."""
        for workspace in roles:
            await self._audit.note(workspace, user, act)
