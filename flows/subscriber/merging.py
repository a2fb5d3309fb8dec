"""Applying a stretch of a timeline again with events put among it."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.events import Event
from flows.derived.profile import ProfileFact, known_at, profiled
from flows.derived.sessions import Session, extended
from flows.machine.machine import Machine, MachineState, Match
from flows.subscriber.timeline import Entry, entry_of, moved

Late = Sequence[tuple[Event, bytes | Event]]
"""Events that came late, each with the JSON that it came as."""
Fell = list[tuple[Event, Session | None]]
"""Events that were put in their places, each with the session that it fell into."""


class Merging:
    """What becomes of a stretch of entries when late events are put among them: one pass, in order."""

    def __init__(
        self, machine: Machine, gap_ms: int, first: Entry, facts: Sequence[ProfileFact], *, learned: bool
    ) -> None:
        """``first``: the first entry of the stretch. ``learned``: whether the facts are others than before."""
        self._machine, self._gap_ms = machine, gap_ms
        self._facts = facts if machine.minds_profiles else ()
        self._alike = not machine.minds_sessions and not learned
        self.state, self.session = first.state, first.session
        """After what was put in last."""
        self.entries: list[Entry] = []
        self.fell: list[tuple[Event, Session]] = []
        """The events that were inserted, with the session that each fell into."""
        self.told: list[Match] = []
        """The matches that the entries had made before."""
        self.now: list[Match] = []
        """The matches that all make now."""

    def _apply(self, event: Event, session: Session) -> tuple[MachineState, tuple[Match, ...]]:
        return self._machine.apply(self.state, event, profiled(session, known_at(self._facts, event.place)))

    def insert(self, event: Event, source: bytes | Event) -> None:
        """Put in an event that was not there before."""
        own = extended(self.session, event, gap_ms=self._gap_ms)
        after, made = self._apply(event, own)
        self.entries.append(entry_of(event, source, self.state, self.session, made))
        self.now.extend(made)
        self.fell.append((event, own))
        self.state, self.session = after, own

    def repeat(self, entry: Entry, after: MachineState) -> None:
        """Put in the next entry of the stretch. ``after``: the state that it led to before."""
        event = entry.event
        own = extended(self.session, event, gap_ms=self._gap_ms)
        made = entry.made
        if not (self._alike and self.state is entry.state):
            after, made = self._apply(event, own)
        self.entries.append(moved(entry, self.state, self.session, made))
        self.told.extend(entry.made)
        self.now.extend(made)
        self.state, self.session = after, own
