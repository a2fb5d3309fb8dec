"""The page on which a listener is written: a form beside its YAML, each following the other, saved as a draft."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from console.access.gate import Handler, Visit
from console.desk import NO_LOG, NO_TRAIL, Desk
from console.dry_runs import DryRuns
from console.history import by_key
from console.writing.cells import LABELS, Form
from console.writing.checking import Checked, Terms, checked
from console.writing.drafts import Conflict, Draft, Drafts, NotSaved, is_name
from console.writing.merge import form_in, merged, reshaped
from console.writing.yaml_edit import NotEditable, set_value
from contracts.actions import ACTIONS, known_actions
from contracts.errors import LogError
from contracts.rows import Act
from contracts.versions import ListenerVersion

NEW: Final = """\
listener: new-listener
version: 1
sequence:
  - step: clicked
    action: email_clicked
then:
  - move: {{from: newsletter, to: warm, at: {account}}}
"""
PROPERTIES: Final = sorted({name for action in ACTIONS for name in action.sample})
SAVED: Final = "The draft is saved. Nobody is moved by it before it is brought to work."
NOT_SAVED: Final = "The draft was not saved."
MEANWHILE: Final = (
    "Somebody else saved this draft after you opened it. Yours is below and not saved; theirs stands beside it."
)
APART: Final = "The form and the YAML no longer fit together, so the YAML counts. What it says is shown."
UNREAD: Final = "The form shows nothing until the YAML can be read."


class Written(NamedTuple):
    """What is on the page: the text, of which listener it is a draft (empty: a new one), and the draft's token."""

    text: str
    name: str
    token: str


class Notes(NamedTuple):
    """What the page says about what was just done. ``theirs``: what another saved meanwhile."""

    done: str = ""
    problem: str = ""
    detail: str = ""
    theirs: Draft | None = None


class WritePages:
    """The handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._dry_runs = desk, DryRuns(desk)

    def handlers(self) -> Mapping[str, Handler]:
        """By the names of the table."""
        return {"write": self._write, "rewrite": self._rewrite}

    async def _write(self, visit: Visit) -> Response:
        if visit.part == "seen":
            return await self._seen(visit)
        name = visit.request.query_params.get("listener", "")
        if name and not is_name(name):
            return self._desk.problem(visit, "There is nothing of this name.", 404)
        known, away = await self._known(visit.workspace)
        try:
            opened = await asyncio.to_thread(self._opened, visit.workspace, name, known)
        except NotSaved as error:
            return self._desk.problem(visit, NOT_SAVED, 409, detail=str(error))
        if opened is None:
            return self._desk.problem(visit, "There is nothing of this name.", 404)
        return await self._shown(visit, opened, known, Notes(problem=away))

    async def unsaved(self, visit: Visit, text: str) -> Response:
        """The page with a text that is nobody's draft yet."""
        known, away = await self._known(visit.workspace)
        return await self._shown(visit, Written(text, "", ""), known, Notes(problem=away))

    async def _known(self, workspace: str) -> tuple[Sequence[ListenerVersion], str]:
        """The versions that were applied, or none and what is wrong: writing goes on without the log."""
        try:
            return await asyncio.to_thread(self._desk.board.versions, workspace), ""
        except LogError:
            return [], NO_LOG

    def _opened(self, workspace: str, name: str, known: Sequence[ListenerVersion]) -> Written | None:
        """The draft of a listener, else its file at work under the next version; a new one without a name."""
        if not name:
            return Written(NEW.format(account=next(iter(self._accounts(workspace)), "mailbox")), "", "")
        drafts = self._drafts(workspace)
        if (draft := drafts.read(name)).token:
            return Written(draft.text, name, draft.token)
        own = [each for each in known if each.listener == name]
        text = drafts.at_work(name) or next((each.text for each in own[::-1]), "")
        return Written(_next_version(text, own), name, "") if text else None

    async def _rewrite(self, visit: Visit) -> Response:
        given = {name: value.replace("\r\n", "\n") for name, value in visit.form.items()}
        known, away = await self._known(visit.workspace)
        text, notes = await asyncio.to_thread(self._followed, visit.workspace, given)
        written = Written(text, given.get("name", ""), given.get("token", ""))
        if given.get("do") == "save" and not notes.problem:
            return await self._saved(visit, written, known)
        return await self._shown(visit, written, known, notes if notes.problem else Notes(problem=away))

    def _followed(self, workspace: str, given: Mapping[str, str]) -> tuple[str, Notes]:
        """The text after what was changed in the form, and after a button that adds, drops or moves a part of it."""
        text = given.get("text", "")
        try:
            base = _form_or_none(given.get("base", ""))
            text = merged(text, base, given) if base is not None else text
            change, _, number = given.get("do", "").partition(":")
            account = next(iter(self._accounts(workspace)), "mailbox")
            return reshaped(text, change, int(number) if number.isdecimal() else 0, account), Notes()
        except NotEditable as error:
            return text, Notes(problem=APART, detail=str(error))

    async def _saved(self, visit: Visit, written: Written, known: Sequence[ListenerVersion]) -> Response:
        name = _name_in(written.text)
        if not is_name(name):
            notes = Notes(problem=NOT_SAVED, detail="listener: a name in kebab-case, such as basket-abandoned")
            return await self._shown(visit, written, known, notes)
        # NOTE: another name is another draft, whose token nobody on this page has seen.
        token = written.token if written.name in {"", name} else ""
        if await self._desk.noted(visit, Act.DRAFTED, target=name):
            return await self._shown(visit, written, known, Notes(problem=NO_TRAIL), 503)
        try:
            drafts = self._drafts(visit.workspace)
            draft, said = await asyncio.to_thread(drafts.save, name, written.text, token, visit.user)
        except Conflict as error:
            notes = Notes(problem=MEANWHILE, detail=error.user, theirs=error.theirs)
            return await self._shown(visit, Written(written.text, name, error.theirs.token), known, notes, 409)
        except NotSaved as error:
            return await self._shown(visit, written, known, Notes(problem=NOT_SAVED, detail=str(error)), 409)
        return await self._shown(visit, Written(draft.text, name, draft.token), known, Notes(SAVED, detail=said))

    async def _shown(
        self, visit: Visit, written: Written, known: Sequence[ListenerVersion], notes: Notes, status: int = 200
    ) -> Response:
        form = _form_or_none(written.text)
        terms = Terms(
            visit.workspace, self._desk.board.actions(visit.workspace), self._accounts(visit.workspace), known
        )
        cells = form or Form({}, 0, 0)
        found = await asyncio.to_thread(checked, written.text, cells, terms)
        tried = await self._dry_runs.of(visit, found.listener, cells)
        values = self._values(visit, written, notes, form, found)
        return self._desk.view.page(visit, "write", status, tried=tried, **values)

    def _values(
        self, visit: Visit, written: Written, notes: Notes, form: Form | None, found: Checked
    ) -> Mapping[str, Any]:
        return {
            "written": written,
            "notes": notes,
            "form": form,
            "cells": form.cells if form else {},
            "checked": found,
            "unread": UNREAD,
            "actions": sorted(known_actions(self._desk.board.actions(visit.workspace))),
            "accounts": list(self._accounts(visit.workspace)),
            "properties": PROPERTIES,
            "labels": LABELS,
        }

    async def _seen(self, visit: Visit) -> Response:
        """What the site really sends, as suggestions for the cells."""
        values, sizes = await asyncio.gather(
            self._desk.history.ask("seen_values", visit.workspace),
            self._desk.history.ask("sizes", visit.workspace, since="-1d"),
        )
        lists = sorted({str(row["list"]) for row in sizes.rows})
        seen = by_key(values.rows, "property")
        return self._desk.view.page(visit, "write_seen", seen=seen, lists=lists, problem=values.problem)

    def _drafts(self, workspace: str) -> Drafts:
        return self._desk.drafts[workspace]

    def _accounts(self, workspace: str) -> Sequence[str]:
        return list(self._desk.workspaces[workspace].accounts)


def _form_or_none(text: str) -> Form | None:
    try:
        return form_in(text)
    except NotEditable:
        return None


def _name_in(text: str) -> str:
    form = _form_or_none(text)
    return form.cells.get("listener", "") if form is not None else ""


def _next_version(text: str, own: Sequence[ListenerVersion]) -> str:
    """The text with a version that was not applied yet."""
    try:
        return set_value(
            text, ("version",), max((each.version for each in own), default=0) + 1, ("listener", "version")
        )
    except NotEditable:
        return text
