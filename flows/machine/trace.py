"""The trace of a machine at work, for ``segma explain``. The live flow traces nothing."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from contracts.events import Event
from flows.language.model import Not, Step

if TYPE_CHECKING:
    from flows.machine.runs import Run


class Turn(StrEnum):
    """A turn in a run's life."""

    OPENED = "opened"
    ADVANCED = "advanced"
    KILLED = "killed"
    EXPIRED = "expired"
    MATCHED = "matched"
    BLOCKED = "blocked"
    """No run opened, because a first ``not`` was seen."""
    OUTRUN = "outrun"
    """Another run matched first, with an event at or after this one's start."""
    IGNORED = "ignored"
    """Completed within the cooldown, or after the only match that ``repeat: once`` allows."""


class TraceEntry(NamedTuple):
    """One turn. ``run``: as it was before; ``at_ms``: when.

    ``event``: the one that did it, if any; ``element``: the step that took the event, or the ``not`` or step that
    killed the run; ``rule``: of a death, which rule it was (``within``, ``step within``, ``session``, ``until``,
    ``next``, ``cooldown``, ``once``).
    """

    turn: Turn
    run: Run
    at_ms: int
    event: Event | None = None
    element: Step | Not | None = None
    rule: str = ""


Trace = Callable[[TraceEntry], None]


def no_trace(entry: TraceEntry) -> None:
    """Trace nothing."""
