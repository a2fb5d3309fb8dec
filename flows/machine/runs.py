"""Runs: the partly completed sequences of one listener and one subscriber, as values.

A run is the events taken so far and exactly one pending slot. Everything that may differ between two runs of a listener
stands in it; what is the same for all stands in the listener (:mod:`flows.machine.program`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from contracts.codec import Packed, replaced


class Taken(Packed, frozen=True):
    """An event in a run: its place in the stream (the first three fields), its action, the number of its step."""

    at_ms: int
    order: int
    event_id: str
    action: str
    step: int

    @property
    def place(self) -> Place:
        """Its place in the stream."""
        return (self.at_ms, self.order, self.event_id)


Version = tuple[str, int]
"""A listener's name and its version."""
Place = tuple[int, int, str]


class Run(Packed, frozen=True):
    """One run. ``slot`` is the index of the pending step among the listener's steps; their number means that it waits
    for the deadline of the last ``not``.
    """

    events: tuple[Taken, ...] = ()
    slot: int = 0
    repeats: int = 0
    """Events that the pending step has taken already."""
    total: float = 0.0
    """Of a pending ``sum``: the sum so far."""
    values: tuple[str, ...] = ()
    """Of a pending ``distinct_by``: the values in the loop, frozen."""
    filled: int = 0
    """Of a pending ``all_of``: bit n is set when member n has its event."""
    noted: tuple[Any, ...] = ()
    """Per reference of the listener: the value at the last event of that step; None where there is none."""
    taken: int = 0
    """Bit n is set when step number n has taken an event."""
    spoiled: int = 0
    """Bit n is set when ``not`` number n, which stands behind a loop and steps that may be skipped, was seen during the
    loop: it guards from the loop's first event if those steps are skipped (SEMANTICS 3, Guards)."""
    core: int = 0
    """Events taken when the sequence first was complete but for its last ``not``; 0 before. Runs that share those
    events are forks of one run whose wait restarts."""
    session: str = ""
    """With ``scope: session``: the session that all steps must share."""

    @property
    def start(self) -> Place:
        """The place of the first event."""
        return self.events[0].place

    @property
    def last(self) -> Place:
        """The place of the last event."""
        return self.events[-1].place

    @property
    def preference(self) -> tuple[Any, ...]:
        """The less, the better, of runs that are finished at once (SEMANTICS 3, rule 4, and 5 where the events are the
        same): the oldest first event, the most events, the earliest events, the earliest steps.
        """
        places = tuple(event.place for event in self.events)
        return (places[0], -len(places), places, tuple(event.step for event in self.events))

    @property
    def completed(self) -> tuple[Place, ...]:
        """The places of the events with which the sequence first was complete but for its last ``not``, whichever steps
        they fill: runs that share them are forks of one run.
        """
        return tuple(event.place for event in self.events[: self.core])

    @property
    def future(self) -> tuple[Any, ...]:
        """All that what is still to come can depend on. Of two runs with an equal future one can never win."""
        return (
            self.events[0].place,
            self.events[-1].place,
            self.anchor,
            self.slot,
            self.repeats,
            self.total,
            self.values,
            self.filled,
            tuple(map(repr, self.noted)),
            self.taken,
            self.spoiled,
            self.events[: self.core],
            self.session,
        )

    @property
    def anchor(self) -> Place:
        """The place that the pending step's ``within`` and ``after`` count from: of the event taken before it; in an
        ``all_of`` that has begun, of the event before its first member (or that member, where none was before).
        """
        return self.events[max(len(self.events) - 1 - self.filled.bit_count(), 0)].place


class Correlation(Packed, frozen=True):
    """The machine of one combination of correlated values (SEMANTICS 3, *Correlation by same_as is scope*).

    ``key``: per variable its value, frozen; None stands for every value not seen yet. ``seen``: per first ``not`` the
    time of the last event that fitted it.
    """

    key: tuple[str | None, ...] = ()
    runs: tuple[Run, ...] = ()
    seen: tuple[int | None, ...] = ()


class ListenerRuns(Packed, frozen=True):
    """One listener's runs of one subscriber. ``correlations`` empty: only the one without values, and no run in it.

    ``last_ms``: when it last matched (for ``repeat``); ``dropped``: runs dropped over the bound.
    """

    correlations: tuple[Correlation, ...] = ()
    last_ms: int | None = None
    dropped: int = 0


class Earlier(Packed, frozen=True):
    """Where a listener matched before a change of its versions, for ``repeat``: places of what completed it, in order.

    ``shadowed``: as a shadow that is live by now. ``ended``: versions of it that were live and are at work no more.
    """

    shadowed: tuple[Place, ...] = ()
    ended: tuple[Place, ...] = ()


class TreeRun(Packed, frozen=True):
    """One run of several listeners that begin alike (:mod:`flows.machine.tree`).

    ``who``: bit n is set for the tree's listener n. ``node``: the tree's node reached. ``noted``: what the node's steps
    note, in order.
    """

    who: int
    node: int
    events: tuple[Taken, ...]
    noted: tuple[Any, ...] = ()


class TreeRuns(Packed, frozen=True):
    """A tree's runs of one subscriber. ``runs``: by their first event; of one first event the bits differ.

    ``dropped``: pairs of a listener's bit and how many of its runs were dropped over the bound.
    """

    runs: tuple[TreeRun, ...] = ()
    dropped: tuple[tuple[int, int], ...] = ()


class Finished(Packed, frozen=True):
    """A completed run: at what time, and whether an event or a deadline completed it."""

    run: Run
    at_ms: int
    by_event: bool


def best(runs: list[Run]) -> Run:
    """The run that is the match, of those that finished at once."""
    return runs[0] if len(runs) == 1 else min(runs, key=lambda run: run.preference)


def thinned(runs: list[Run]) -> list[Run]:
    """The runs without those that can never win: equal futures, and the other is preferred. Order is kept.

    Of two runs with an equal future every later event does the same to both, so the one preferred now is preferred in
    the end; leaving the other out changes no answer and keeps overlapping loops from growing without end.
    """
    if len(runs) < 2:
        return runs
    kept: dict[tuple[Any, ...], Run] = {}
    for run in runs:
        future = run.future
        other = kept.get(future)
        if other is None or run.preference < other.preference:
            kept[future] = run
    return runs if len(kept) == len(runs) else list(kept.values())


def inherited(version: Version, found: Mapping[Version, ListenerRuns], here: Collection[Version]) -> ListenerRuns:
    """A version's standing: its own, and when versions of its listener that are gone last matched."""
    own = found.get(version, ListenerRuns())
    gone = [held for other, held in found.items() if other not in here]
    if not gone:
        return own
    lasts = [each.last_ms for each in (own, *gone) if each.last_ms is not None]
    dropped = own.dropped + sum(each.dropped for each in gone)
    return replaced(own, last_ms=max(lasts, default=None), dropped=dropped)


def outlasting(runs: list[Run], end: int) -> list[Run]:
    """The runs without those that wait at ``end`` for a last ``not`` without ``for`` and can never win. Order is kept.

    There no wait restarts: all forks of a run have one deadline, and rule 4 says which of them is the match. Of those
    that the same events can kill only the preferred one can win.
    """
    kept: dict[tuple[Any, ...], Run] = {}
    for run in runs:
        if run.slot == end:
            alike = (run.start, run.events[-1].step, run.taken, tuple(map(repr, run.noted)))
            other = kept.get(alike)
            if other is None or run.preference < other.preference:
                kept[alike] = run
    waiting = set(map(id, kept.values()))
    return [run for run in runs if run.slot < end or id(run) in waiting]
