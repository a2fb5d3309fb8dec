"""Gauges of partial matches: how many runs wait at each element, and when a gauge changes because a window ends.

An element that is waited for (a step of a version, or its last ``not``) is a number here, and
:mod:`flows.counts.run_counts` knows which.
"""

from __future__ import annotations

import heapq
from typing import Final

from flows.machine.machine import NEVER_MS, InFlight, TreeRunPlace

EVERY_MS: Final = 60_000
"""Between two counts. NOTE: a row's id holds its time, so another value makes other rows of the same log."""
Counts = dict[int, int]
Stay = tuple[int, int, int]
"""The number of an awaited element, and from which minute to which (not with it) it is waited for if nothing comes."""
TreeChange = tuple[int, int, int]
"""An element's number in its sequence, whose it is as bits, and when the runs were opened (:data:`NEVER_MS`: their
listeners have no window)."""


class Tally:
    """Runs and subscribers by element. A run goes by itself when its window is over."""

    def __init__(self) -> None:
        self.runs: Counts = {}
        self.subscribers: Counts = {}
        self._now_ms = 0
        self._to_come: dict[int, tuple[Counts, Counts]] = {}
        self._times: list[int] = []

    @property
    def next_ms(self) -> int | None:
        """The minute at which something changes by itself."""
        return self._times[0] if self._times else None

    def change(self, stays: list[Stay], by: int) -> None:
        """Add one subscriber's stays (``by`` 1), or take them off (-1)."""
        for element, from_ms, end_ms in stays:
            self.add(element, from_ms, end_ms, by, 0)
        for element, from_ms, end_ms in _merged(stays):
            self.add(element, from_ms, end_ms, by, 1)

    def add(self, element: int, from_ms: int, end_ms: int, by: int, which: int) -> None:
        """Add ``by`` to an element's count from one minute to another: of runs (``which`` 0) or subscribers (1)."""
        counts = self._at(from_ms, which)
        counts[element] = counts.get(element, 0) + by
        if end_ms < NEVER_MS:
            counts = self._at(end_ms, which)
            counts[element] = counts.get(element, 0) - by

    def _at(self, time_ms: int, which: int) -> Counts:
        """The counts of a minute: those of now, where it has passed."""
        if time_ms <= self._now_ms:
            return self.subscribers if which else self.runs
        found = self._to_come.get(time_ms)
        if found is None:
            found = self._to_come[time_ms] = ({}, {})
            heapq.heappush(self._times, time_ms)
        return found[which]

    def pass_time(self, now_ms: int) -> None:
        """Apply every change that is due by a log time."""
        self._now_ms = now_ms
        while self._times and self._times[0] <= now_ms:
            runs, subscribers = self._to_come.pop(heapq.heappop(self._times))
            _add(self.runs, runs)
            _add(self.subscribers, subscribers)


def _add(totals: Counts, changes: Counts) -> None:
    for element, by in changes.items():
        totals[element] = totals.get(element, 0) + by


def stays_of(runs: list[InFlight], firsts: list[int]) -> list[Stay]:
    """The stays of one subscriber's runs. ``firsts``: by listener, the number before its first element's.

    A run that forked counts once, where it is furthest; when that fork's window is over, where the next one is.
    """
    if len(runs) == 1:
        listener, waits, _, over_ms = runs[0]
        return [(firsts[listener] + waits, 0, minute_after(over_ms))]
    forks: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for listener, waits, opened_ms, over_ms in runs:
        fork = (firsts[listener] + waits, minute_after(over_ms))
        key = (listener, opened_ms)
        others = forks.get(key)
        if others is None:
            forks[key] = [fork]
        else:
            others.append(fork)
    stays: list[Stay] = []
    for found in forks.values():
        from_ms = 0
        for element, end_ms in found if len(found) == 1 else sorted(found, reverse=True):
            if end_ms > from_ms:
                stays.append((element, from_ms, end_ms))
                from_ms = end_ms
    return stays


def minute_after(time_ms: int) -> int:
    """The first whole minute that is not before a time."""
    return NEVER_MS if time_ms >= NEVER_MS else -(-time_ms // EVERY_MS) * EVERY_MS


def _merged(stays: list[Stay]) -> list[Stay]:
    """Stays at the same element that overlap or touch made one."""
    if len(stays) < 2:
        return stays
    found: list[Stay] = []
    for stay in sorted(stays):
        element, from_ms, end_ms = stay
        if found:
            last = found[-1]
            if last[0] == element and from_ms <= last[2]:
                found[-1] = (element, last[1], max(last[2], end_ms))
                continue
        found.append(stay)
    return found


class TreeTally:
    """The listeners of a tree. What changes for some of them alike is one change until it is put on a tally.

    PERF: a hundred listeners that begin alike have a hundred runs where the tree has one.
    """

    def __init__(self, firsts: list[int], windows: list[int]) -> None:
        """By bit: the number of the element that is none of its sequence, and the window (:data:`NEVER_MS`: none)."""
        self._firsts, self._windows = firsts, windows
        self._endless = sum(1 << bit for bit, window in enumerate(windows) if window == NEVER_MS)
        # Runs that were opened in one minute end in one minute, if windows are whole minutes.
        self._by_minute = all(window % EVERY_MS == 0 for window in windows if window != NEVER_MS)
        self._runs: dict[TreeChange, int] = {}
        self._subscribers: dict[TreeChange, int] = {}

    def change(self, runs: list[TreeRunPlace], by: int) -> None:
        """A person has these runs (``by`` 1), or has them no more (-1). Of runs opened at once the furthest counts."""
        if len(runs) == 1:
            opened_ms, waits, who = runs[0]
            self._note(self._runs, waits, who, opened_ms, by)
            self._note(self._subscribers, waits, who, opened_ms, by)
            return
        here: dict[int, int] = {}
        claimed, at_ms = 0, NEVER_MS
        # The newest first: it is the one for which somebody is counted longest.
        for opened_ms, waits, who in sorted(runs, reverse=True):
            if opened_ms != at_ms:
                claimed, at_ms = 0, opened_ms
            own = who & ~claimed
            claimed |= own
            self._note(self._runs, waits, own, opened_ms, by)
            before = here.get(waits, 0)
            self._note(self._subscribers, waits, own & ~before, opened_ms, by)
            here[waits] = before | own

    def _note(self, changes: dict[TreeChange, int], waits: int, who: int, opened_ms: int, by: int) -> None:
        endless = who & self._endless
        if endless:
            key = (waits, endless, NEVER_MS)
            changes[key] = changes.get(key, 0) + by
            who &= ~endless
        if who:
            key = (waits, who, minute_after(opened_ms) if self._by_minute else opened_ms)
            changes[key] = changes.get(key, 0) + by

    def trace(self, tally: Tally) -> None:
        """Put on a tally what has changed."""
        self._trace(tally, self._runs, 0)
        self._trace(tally, self._subscribers, 1)
        self._runs, self._subscribers = {}, {}

    def _trace(self, tally: Tally, changes: dict[TreeChange, int], which: int) -> None:
        for (waits, who, opened_ms), by in changes.items():
            left = who if by else 0
            while left:
                lowest = left & -left
                left ^= lowest
                bit = lowest.bit_length() - 1
                end_ms = NEVER_MS if opened_ms == NEVER_MS else minute_after(opened_ms + self._windows[bit])
                tally.add(self._firsts[bit] + waits, 0, end_ms, by, which)
