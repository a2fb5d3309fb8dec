"""The login's page: the ways in that there are, and why one did not lead in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from console.access.gate import Visit
from console.meters import sign_ins_refused
from console.view import View

LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
TOO_OFTEN: Final = "Too many tries: wait a minute."


@dataclass(frozen=True, slots=True)
class LoginPage:
    """``demo``: the workspaces that the demo's entrance opens; ``local``: whether name and password are a way in;
    ``company``: what the company's login is called, empty where there is none.
    """

    view: View
    demo: frozenset[str] = frozenset()
    local: bool = True
    company: str = ""

    def shown(self, visit: Visit, target: str, problem: str = "", status: int = 200) -> Response:
        """The page. ``target``: the page of the console to go on to; ``problem``: a sentence."""
        ways = {"demo": bool(self.demo) and is_near(visit), "local": self.local, "company": self.company}
        return self.view.page(visit, "login", status, next=target, problem=problem, **ways)

    def refused(self, visit: Visit, target: str, reason: str, problem: str, status: int) -> Response:
        """The page again, for somebody who did not come in; counted under ``reason``, a word of few."""
        sign_ins_refused.labels(reason).inc()
        return self.shown(visit, target, problem, status)


def is_near(visit: Visit) -> bool:
    """Whether the visitor's program runs on this machine."""
    return visit.request.client is not None and visit.request.client.host in LOOPBACK


def address_of(visit: Visit) -> str:
    """The visitor's address, by which tries are counted."""
    return visit.request.client.host if visit.request.client else ""
