"""A page as an answer: its template in the visitor's language, with who is signed in and where they can go."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from starlette.responses import HTMLResponse

from console.access.gate import Visit
from console.access.table import PAGES, Role
from console.render import language_of, rendered

_PAGES: Final = {page.name: page for page in PAGES}


NAVIGATION: Final = (
    ("inbox", "Inbox"),
    ("listeners", "Listeners"),
    ("people", "People"),
    ("list_sizes", "Lists"),
    ("lists", "Moves"),
    ("events", "Events"),
    ("sites", "Sites"),
    ("accounts", "Accounts"),
    ("audit", "Trail"),
)
"""Pages of the navigation, and what it calls them."""
DEMO: Final = frozenset({"inbox"})
"""Of them, those of the demo alone."""


class Link(NamedTuple):
    """A link of the navigation. ``here``: it leads to the page that it stands on."""

    path: str
    text: str
    here: bool


def workspace_of(visit: Visit) -> str:
    """The workspace whose pages the navigation leads to: that of the page, else the first of the user's."""
    return visit.workspace or next(iter(sorted(visit.session.roles)) if visit.session else iter(()), "")


def links_of(visit: Visit, *, demo: bool) -> list[Link]:
    """The pages that whoever is signed in may go to, in order."""
    session, workspace = visit.session, workspace_of(visit)
    if session is None or not workspace:
        return []
    wanted = [(_PAGES[name], text) for name, text in NAVIGATION if demo or name not in DEMO]
    allowed = [(page.path.format(workspace=workspace), text) for page, text in wanted if session.may(page, workspace)]
    here = visit.request.url.path
    return [Link(path, text, here == path or here.startswith(f"{path}/")) for path, text in allowed]


class View:
    """Makes pages."""

    def __init__(self, *, demo: bool) -> None:
        """``demo``: whether the demo's inbox is one of the pages."""
        self._demo = demo

    def page(self, visit: Visit, kind: str, status: int = 200, /, **values: Any) -> HTMLResponse:
        """The template ``{kind}.html``, filled in."""
        language = language_of(visit.request.headers.get("accept-language", ""))
        shown = {
            "kind": kind,
            "session": visit.session,
            "links": links_of(visit, demo=self._demo),
            "workspace": workspace_of(visit),
            "may_look": visit.holds(Role.MARKETER),
            **values,
        }
        return HTMLResponse(rendered(f"{kind}.html", language, shown), status, {"vary": "accept-language, cookie"})

    def refused(self, visit: Visit, status: int) -> HTMLResponse:
        """The page that says no."""
        return self.page(visit, "refused", status)
