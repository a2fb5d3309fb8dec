"""What is known of one subscriber, and what came of following them a little further."""

from __future__ import annotations

from mypy_extensions import mypyc_attr

from contracts.commands import Command
from contracts.reasons import Reason
from contracts.rows import Row
from contracts.tokens import is_anonymous
from flows.derived.purchases import Purchase
from flows.machine.matches import Match
from flows.subscriber.decide import Past
from flows.subscriber.evidence import Evidence
from flows.subscriber.generations import Generation
from flows.subscriber.reapply import Timeline


@mypyc_attr(acyclic=True)
class Subscriber:
    """What is known of one subscriber."""

    __slots__ = ("dropped", "due_ms", "evidence", "generation", "is_nobody", "past", "purchases", "timeline", "told")

    def __init__(self, timeline: Timeline, generation: Generation) -> None:
        self.timeline = timeline
        self.generation = generation
        """The listeners that the timeline belongs to."""
        self.past = Past()
        self.told = 0
        """How many events the newest session had when it was last told."""
        self.dropped = 0
        """Runs dropped over the bound, as far as counted."""
        self.evidence = Evidence()
        self.purchases: tuple[Purchase, ...] = ()
        self.is_nobody = is_anonymous(timeline.state.subscriber)
        self.due_ms = 0
        """Before this log time passing it does nothing; 0 where that is not known."""


@mypyc_attr(acyclic=True)
class Emitted:
    """What came of it. ``refused``: wishes that could not be resolved.

    ``moved``: whether other listeners follow somebody from here on.
    """

    __slots__ = ("_commands", "_refused", "_rows", "moved")

    def __init__(self) -> None:
        self.moved = False
        # PERF: most events say nothing, and no list is made for them.
        self._rows: list[Row] | None = None
        self._commands: list[Command] | None = None
        self._refused: list[tuple[Reason, str, Match]] | None = None

    @property
    def is_silent(self) -> bool:
        """Whether nothing is said."""
        return self._rows is None and self._commands is None and self._refused is None

    @property
    def rows(self) -> list[Row]:
        """To the topic ``rows``."""
        if self._rows is None:
            self._rows = []
        return self._rows

    @property
    def commands(self) -> list[Command]:
        """To the accounts' topics."""
        if self._commands is None:
            self._commands = []
        return self._commands

    @property
    def refused(self) -> list[tuple[Reason, str, Match]]:
        """To the dead letters."""
        if self._refused is None:
            self._refused = []
        return self._refused
