"""A page as an answer: its template in the visitor's language, with who is signed in and where they can go."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from starlette.responses import HTMLResponse

from console.access.gate import Visit
from console.access.table import PAGES
from console.render import language_of, rendered

_PAGES: Final = {page.name: page for page in PAGES}


NAVIGATION: Final = (("inbox", "Inbox"), ("lists", "Lists"), ("events", "Events"))
"""Pages of the navigation, and what it calls them."""


class Link(NamedTuple):
    """A link of the navigation. ``here``: it leads to the page that it stands on."""

    path: str
    text: str
    here: bool


def links_of(visit: Visit, *, demo: bool) -> list[Link]:
    """The pages that whoever is signed in may go to, in order."""
    wanted = [each for each in NAVIGATION if demo or each[0] != "inbox"]
    session = visit.session
    if session is None:
        return []
    here = visit.request.url.path
    allowed = [(_PAGES[name].path, text) for name, text in wanted if session.may(_PAGES[name], None)]
    return [Link(path, text, path == here) for path, text in allowed]


class View:
    """Makes pages."""

    def __init__(self, *, demo: bool) -> None:
        """``demo``: whether the demo's inbox is one of the pages."""
        self._demo = demo

    def page(self, visit: Visit, kind: str, status: int = 200, /, **values: Any) -> HTMLResponse:
        """The template ``{kind}.html``, filled in."""
        language = language_of(visit.request.headers.get("accept-language", ""))
        shown = {"kind": kind, "session": visit.session, "links": links_of(visit, demo=self._demo), **values}
        return HTMLResponse(rendered(f"{kind}.html", language, shown), status, {"vary": "accept-language, cookie"})

    def refused(self, visit: Visit, status: int) -> HTMLResponse:
        """The page that says no."""
        return self.page(visit, "refused", status)
