"""The state of one subscriber, and what one step of the flow emits for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
from flows.subscriber.past import NOTHING_HELD
from flows.subscriber.reapply import Timeline


@mypyc_attr(acyclic=True)
class Subscriber:
    """The state of one subscriber: the timeline, and the memory of decisions beside it."""

    __slots__ = (
        "dropped",
        "due_ms",
        "evidence",
        "generation",
        "held",
        "is_nobody",
        "past",
        "purchases",
        "timeline",
        "told",
    )

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
        self.held = NOTHING_HELD
        """What came since versions asked for their past."""
        self.is_nobody = is_anonymous(timeline.state.subscriber)
        self.due_ms = 0
        """Before this log time passing it does nothing; 0 where that is not known."""


@mypyc_attr(acyclic=True)
class Emitted:
    """What one step emits, in order.

    ``moved``: whether other listeners hear the subscriber from here on.
    """

    __slots__ = ("_commands", "_refused", "_restated", "_rows", "moved")

    def __init__(self) -> None:
        self.moved = False
        # PERF: most events emit nothing, and no list is made for them.
        self._rows: list[Row] | None = None
        self._commands: list[Command] | None = None
        self._restated: list[Command] | None = None
        self._refused: list[tuple[Reason, str, Match]] | None = None

    @property
    def is_silent(self) -> bool:
        """Whether nothing was emitted."""
        told = self._rows is not None or self._commands is not None or self._restated is not None
        return not told and self._refused is None

    @property
    def rows(self) -> list[Row]:
        """For the topic ``rows``."""
        return self._rows or []

    @property
    def commands(self) -> list[Command]:
        """For the accounts' topics."""
        return self._commands or []

    @property
    def restated(self) -> list[Command]:
        """For the accounts' topics, behind the commands: at which places those of amended matches stand now."""
        return self._restated or []

    @property
    def refused(self) -> list[tuple[Reason, str, Match]]:
        """For the dead letters: why, what was wanted, and the match that wanted it."""
        return self._refused or []

    def add_row(self, row: Row) -> None:
        """Emit a row."""
        if self._rows is None:
            self._rows = []
        self._rows.append(row)

    def add_rows(self, rows: Iterable[Row]) -> None:
        """Emit rows."""
        for row in rows:
            self.add_row(row)

    def add_commands(self, commands: Sequence[Command]) -> None:
        """Emit commands."""
        if commands:
            self._commands = [*(self._commands or ()), *commands]

    def add_restated(self, restated: Sequence[Command]) -> None:
        """Emit the new places of commands that were given before."""
        if restated:
            self._restated = [*(self._restated or ()), *restated]

    def add_refused(self, refused: Sequence[tuple[Reason, str, Match]]) -> None:
        """Emit responses that could not be resolved."""
        if refused:
            self._refused = [*(self._refused or ()), *refused]
