"""A listener recorded on the site: a link for one's own browser, what is done there as it comes, the steps of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import Response

from console.access.gate import Handler, Visit
from console.desk import Desk, back_to
from console.recordings import Key, Recordings, link_of, step_of
from console.writing.yaml_edit import append
from contracts.events import Event
from contracts.installation import Site
from contracts.rows import Act
from contracts.urls import fits_origin, plain_url

EMPTY: Final = """\
listener: new-listener
version: 1
sequence: []
then:
  - move: {{from: newsletter, to: warm, at: {account}}}
"""
NO_PAGE: Final = "Write the address of a page of one of the workspace's sites."
OVER: Final = "This recording is over, or it is another user's."
NOTHING_CHOSEN: Final = "Choose what counts."
LONGEST_CAMPAIGN: Final = 200


class RecordPages:
    """The handlers."""

    def __init__(
        self,
        desk: Desk,
        recordings: Recordings,
        unique: Callable[[], str],
        unsaved: Callable[[Visit, str], Awaitable[Response]],
    ) -> None:
        """``unique``: a new text that nobody can guess; ``unsaved``: the page on which a text is written further."""
        self._desk, self._recordings, self._unique, self._unsaved = desk, recordings, unique, unsaved

    def handlers(self) -> Mapping[str, Handler]:
        """By the names of the table."""
        return {"record": self._record, "begin_recording": self._begin, "recording": self._seen, "recorded": self._made}

    async def _record(self, visit: Visit) -> Response:
        return self._desk.view.page(visit, "record", problem="", url="", campaign="")

    async def _begin(self, visit: Visit) -> Response:
        url, campaign = visit.form.get("url", "").strip(), visit.form.get("campaign", "").strip()
        site = self._site_of(visit.workspace, url)
        if site is None or len(campaign) > LONGEST_CAMPAIGN:
            return self._desk.view.page(visit, "record", 400, problem=NO_PAGE, url=url, campaign=campaign)
        if answer := await self._desk.noted(visit, Act.RECORDED, target=site.key):
            return answer
        code = self._unique()
        key = Key(visit.workspace, visit.user, code)
        self._recordings.begin(key, link_of(url, site, code, campaign), self._desk.now_ms())
        return back_to(visit, f"record/{code}")

    def _site_of(self, workspace: str, url: str) -> Site | None:
        """The site to which a page belongs, by its origin."""
        if plain_url(url) != url:
            return None
        parts = urlsplit(url)
        sites = self._desk.workspaces[workspace].sites.values()
        return next((site for site in sites if fits_origin(f"{parts.scheme}://{parts.netloc}", site.origins)), None)

    def _found(self, visit: Visit) -> tuple[str, list[Event]] | None:
        key = Key(visit.workspace, visit.user, visit.request.path_params["code"])
        return self._recordings.of(key, self._desk.now_ms())

    async def _seen(self, visit: Visit) -> Response:
        """The recording as it goes on; with ``choose`` as it is now, to choose the steps of."""
        found = self._found(visit)
        if found is None:
            return self._desk.problem(visit, OVER, 404)
        link, events = found
        shown = [(event, step_of(event).get("where", {})) for event in events]
        if visit.part:
            return self._desk.view.page(visit, "recording_seen", shown=shown)
        choose = bool(visit.request.query_params.get("choose"))
        here = f"/w/{visit.workspace}/record/{visit.request.path_params['code']}"
        return self._desk.view.page(visit, "recording", link=link, shown=shown, choose=choose, here=here)

    async def _made(self, visit: Visit) -> Response:
        """The page of writing, with the chosen actions as the steps."""
        found = self._found(visit)
        if found is None:
            return self._desk.problem(visit, OVER, 404)
        chosen = [event for event in found[1] if visit.form.get(f"e-{event.event_id}")]
        if not chosen:
            return self._desk.problem(visit, NOTHING_CHOSEN, 400)
        text = EMPTY.format(account=next(iter(self._desk.workspaces[visit.workspace].accounts), "mailbox"))
        for event in chosen:
            text = append(text, ("sequence",), step_of(event))
        return await self._unsaved(visit, text)
