"""The company's login: off to its provider, and back with what the provider says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import structlog
from starlette.responses import RedirectResponse, Response

from console.access.begun_logins import BegunLogin, BegunLogins
from console.access.company_claims import name_of, roles_of
from console.access.gate import Gate, Handler, Visit
from console.access.guesses import Guesses
from console.access.provider import LoginRefused, Provider, ProviderAway
from console.access.requests import place_here
from console.audit import Audit
from console.login_page import TOO_OFTEN, LoginPage, address_of
from contracts.rows import Act

COOKIE: Final = "segma_login"
AT_ONCE: Final = 2
"""Questions that the provider is asked at the same time."""
TIMEOUT_S: Final = 15
"""Seconds after which one is given up."""
MOST_CODE: Final = 8_192
"""Letters of a code."""

AWAY: Final = "Your company's login does not answer now. Try it again later."
STALE: Final = "This login is over, or was begun in another browser. Begin it again."
DENIED: Final = "Your company's login did not let you in."
DOUBTED: Final = "What your company's login says of you cannot be believed. The console's log says why."
NO_ROLE: Final = "Your company's login knows you, but you have no role here. Ask whoever looks after Segma."

T = TypeVar("T")
logger = structlog.get_logger()


class CompanyDoors:
    """The handlers of the company's login. ``provider`` None: there is none, and its pages lead to the login's."""

    def __init__(
        self, gate: Gate, page: LoginPage, audit: Audit, begun: BegunLogins, provider: Provider | None
    ) -> None:
        self._gate, self._page, self._audit, self._begun, self._provider = gate, page, audit, begun, provider
        self._guesses, self._threads = Guesses(), ThreadPoolExecutor(AT_ONCE, "provider")
        self._cookie = f"__Host-{COOKIE}" if gate.secure else COOKIE

    def handlers(self) -> Mapping[str, Handler]:
        """By the names of the table."""
        return {"begin_oidc": self._begin, "end_oidc": self._return}

    def farewell(self) -> str:
        """Where to sign out of the provider; empty where there is no such place."""
        return self._provider.farewell() if self._provider is not None else ""

    async def _begin(self, visit: Visit) -> Response:
        target = place_here(visit.request.query_params.get("next", "/"))
        if self._provider is None:
            return RedirectResponse(f"/login?{urlencode({'next': target})}", 303)
        if not self._guesses.may_go_on(address_of(visit)):
            return self._page.refused(visit, target, "too_often", TOO_OFTEN, 429)
        key, begun = self._begun.begin(target)
        try:
            address = await self._asked(self._provider.address, begun)
        except ProviderAway as error:
            return self._away(visit, target, error)
        answer = RedirectResponse(address, 303)
        # NOTE: the provider's site sends the browser back, so `Strict` would keep the cookie from coming along.
        answer.set_cookie(self._cookie, key, httponly=True, samesite="lax", secure=self._gate.secure, path="/")
        return answer

    async def _return(self, visit: Visit) -> Response:
        if self._provider is None:
            return RedirectResponse("/login", 303)
        if not self._guesses.may_go_on(address_of(visit)):
            return self._page.refused(visit, "/", "too_often", TOO_OFTEN, 429)
        said = visit.request.query_params
        begun = self._begun.take(said.get("state", ""), visit.request.cookies.get(self._cookie, ""))
        if begun is None:
            return self._page.refused(visit, "/", "stale", STALE, 400)
        return self._left(await self._come_back(visit, begun, self._provider))

    async def _come_back(self, visit: Visit, begun: BegunLogin, provider: Provider) -> Response:
        """The answer to whoever comes back from the provider, whatever that says."""
        said = visit.request.query_params
        code = said.get("code", "")
        if "error" in said or not 0 < len(code) <= MOST_CODE:
            logger.warning("the company's login let nobody in")
            return self._page.refused(visit, begun.target, "denied", DENIED, 403)
        try:
            claims = await self._asked(provider.claims, begun, code, said.get("iss"))
        except ProviderAway as error:
            return self._away(visit, begun.target, error)
        except LoginRefused as error:
            logger.warning("an answer of the company's login is not believed", reason=str(error))
            return self._page.refused(visit, begun.target, "doubted", DOUBTED, 403)
        return await self._let_in(visit, begun, claims, provider)

    async def _let_in(self, visit: Visit, begun: BegunLogin, claims: Mapping[str, Any], provider: Provider) -> Response:
        """A session for whoever the provider vouches for, with their roles; nobody without any comes in."""
        roles = roles_of(claims, provider.settings)
        if not roles:
            logger.warning("somebody of the company has no role here")
            return self._page.refused(visit, begun.target, "no_role", NO_ROLE, 403)
        user = name_of(claims, provider.settings)
        for workspace in roles:
            await self._audit.note(workspace, user, Act.SIGNED_IN, target=str(claims["sub"])[:255])
        key = self._gate.sessions.open(user, roles, "", company=True)
        return self._gate.signed_in(visit, key, RedirectResponse(begun.target, 303))

    def _away(self, visit: Visit, target: str, error: ProviderAway) -> Response:
        logger.error("the company's login is away", reason=str(error))
        return self._page.refused(visit, target, "unavailable", AWAY, 503)

    def _left(self, answer: Response) -> Response:
        """The same, with the login's key taken out of the browser."""
        answer.delete_cookie(self._cookie, path="/", secure=self._gate.secure, httponly=True, samesite="lax")
        return answer

    async def _asked(self, question: Callable[..., T], *given: object) -> T:
        """A question to the provider, in a thread of its own. Raises what it raises, and :class:`ProviderAway`."""
        asked = asyncio.get_running_loop().run_in_executor(self._threads, question, *given)
        try:
            return await asyncio.wait_for(asked, TIMEOUT_S)
        except TimeoutError:
            raise ProviderAway("no answer in time") from None
