"""What the pages of a workspace are made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.responses import RedirectResponse, Response

from console.access.gate import Visit
from console.audit import Audit
from console.board import Board
from console.commands import Commands
from console.history import History
from console.trials import Trials
from console.view import View
from console.writing.drafts import Drafts
from contracts.errors import LogError
from contracts.installation import Workspace
from contracts.log import Log
from contracts.rows import Act

NO_TRAIL = "The log cannot be written now, so nobody could see later who did this. Nothing was done."
NO_LOG = "The log cannot be read now."


@dataclass(frozen=True, slots=True)
class Desk:
    """The installation, as the pages see it. ``secrets``: of each workspace, what people's ids are made with;
    ``drafts``: of each workspace, those of its listeners.
    """

    view: View
    log: Log
    history: History
    board: Board
    audit: Audit
    workspaces: Mapping[str, Workspace]
    secrets: Mapping[str, bytes]
    drafts: Mapping[str, Drafts]
    commands: Commands
    trials: Trials
    now_ms: Callable[[], int]

    def close(self) -> None:
        """Release what the pages were made with, but the log."""
        self.history.close()
        self.trials.close()
        self.board.close()
        self.audit.close()

    async def noted(self, visit: Visit, act: Act, *, subscriber: str = "", target: str = "") -> Response | None:
        """Write the trail of what is about to be done; the answer where that cannot be."""
        noted = await self.audit.note(visit.workspace, visit.user, act, subscriber=subscriber, target=target)
        return None if noted else self.problem(visit, NO_TRAIL)

    def problem(self, visit: Visit, text: str, status: int = 503, *, detail: str = "") -> Response:
        """A page that says what is wrong. ``detail``: in the words of whoever found it."""
        return self.view.page(visit, "problem", status, problem=text, detail=detail)

    def away(self, visit: Visit, error: LogError) -> Response:
        """The page that says that the log is away."""
        return self.problem(visit, NO_LOG, detail=str(error))


def back_to(visit: Visit, page: str) -> Response:
    """The way back to a page of the workspace after a change."""
    return RedirectResponse(f"/w/{visit.workspace}/{page}", 303)
