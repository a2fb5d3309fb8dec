"""A listener run over one person's events before it is saved, told run by run: those of a real person, or a sample."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final, NamedTuple

from console.access.gate import Visit
from console.desk import NO_TRAIL, Desk
from console.person_events import Whose, explained, is_person, person_named, recorded
from console.writing.cells import Form
from console.writing.samples import as_events, sample_of
from contracts.actions import known_actions
from contracts.errors import ListenerError
from contracts.installation import duration_ms
from contracts.rows import Act
from flows.language.model import Listener

PERSON: Final = "try_person"
SAMPLE: Final = "try_sample"
QUIET: Final = "30d"
"""For so long nothing more happens after a sample, unless the user says otherwise."""
LONGEST_MS: Final = 10 * 365 * 86_400_000

NO_LISTENER: Final = "A listener with a problem cannot be tried: mend what is written under its fields first."
NOBODY: Final = "Write an address, or a subscriber's id."
NO_EVENTS: Final = "These are no events; write each as in this line."
NO_SPAN: Final = "Write a time such as 7d or 12h."
LIKE: Final = "- {at: 10s, event: page_viewed, with: {path: /products/a}}"


class DryRun(NamedTuple):
    """What the page shows of it. ``person`` is an id: an address is not written back. ``lines``: the transcript."""

    person: str = ""
    sample: str = ""
    quiet: str = QUIET
    lines: tuple[str, ...] = ()
    problem: str = ""
    detail: str = ""


class DryRuns:
    """Tries listeners. Nothing of it is kept, and nobody is moved."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def of(self, visit: Visit, listener: Listener | None, form: Form) -> DryRun:
        """What the visit asks for: ``do`` is :data:`PERSON` or :data:`SAMPLE`, or nothing is tried."""
        given = visit.form
        blank, do = DryRun(sample=given.get("sample", ""), quiet=given.get("quiet", QUIET)), given.get("do", "")
        if do not in {PERSON, SAMPLE}:
            return blank
        if listener is None:
            return blank._replace(problem=NO_LISTENER)
        if do == PERSON:
            return await self._person(visit, listener, given.get("person", "").strip(), blank)
        return await asyncio.to_thread(self._sample, visit.workspace, listener, form, blank)

    async def _person(self, visit: Visit, listener: Listener, wanted: str, blank: DryRun) -> DryRun:
        """Over what somebody did, as far as the history knows. The look is in the trail before it is taken."""
        if not is_person(wanted):
            return blank._replace(problem=NOBODY)
        person = person_named(self._desk.secrets[visit.workspace], wanted)
        if await self._desk.noted(visit, Act.TRIED, subscriber=person, target=listener.name):
            return blank._replace(person=person, problem=NO_TRAIL)
        whose = Whose(visit.workspace, self._desk.workspaces[visit.workspace], person, self._desk.now_ms())
        told, problem = await self._desk.history.read(partial(recorded, whose, listener))
        return blank._replace(person=person, lines=tuple((told or "").split("\n")), problem=problem)

    def _sample(self, workspace: str, listener: Listener, form: Form, blank: DryRun) -> DryRun:
        """Over the events that the user wrote; where there are none, over some that the steps ask for, from now on."""
        made = blank._replace(sample=blank.sample.strip() or sample_of(form))
        try:
            quiet_ms = min(duration_ms(made.quiet.strip()), LONGEST_MS)
        except ValueError:
            return made._replace(problem=NO_SPAN)
        try:
            actions = known_actions(self._desk.board.actions(workspace))
            events = as_events(made.sample, actions, self._desk.now_ms())
        except ListenerError as error:
            said = " · ".join(f"{each.field}: {each.found}; {each.wanted}" for each in error.problems[:5])
            return made._replace(problem=NO_EVENTS, detail=f"{LIKE} · {said}")
        final_ms = max(each.occurred_at_ms for each in events) + quiet_ms
        told = explained(listener, events, self._desk.workspaces[workspace], final_ms)
        return made._replace(lines=tuple(told.split("\n")))
