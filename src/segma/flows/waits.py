"""How many runs wait where, as rows: once a minute of log time, of each key group, and only where it has changed.

Between two minutes nothing is counted; it is noted who is touched, with the state before. At the minute what they
had is taken off and what they have now is put on: the cost follows those to whom something happened, and is nothing
where no run has changed. The log is the clock here as everywhere, so the same log gives the same rows.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

from segma.contracts.rows import RunCount, RunsRow
from segma.flows.follow import Following, Person
from segma.flows.generations import Generation
from segma.flows.keeper import Keeper
from segma.flows.language.model import Listener, Not, Step
from segma.flows.matcher import Version
from segma.flows.states import Counted, State, Told

EVERY_MS: Final = 60_000
"""Between two counts. NOTE: a row's id holds its time, so another value makes other rows of the same log."""
DAY_MS: Final = 86_400_000
"""Whole days of log time (UTC) begin with everything: who asks for an instant need not look further back."""
NEVER_MS: Final = 1 << 62
MOST_NOTED: Final = 65_536
"""People of all groups of whom is noted how they stood at the last minute."""
A_BATCH: Final = 8
AT_A_MINUTE: Final = 32
"""People who are counted after a restart, with each batch and at each minute: a count of all at once would hold the
events up. Until all have been counted nothing is said."""

Element = tuple[str, Version, int]
"""Workspace, version, and the number of the element that is waited for."""


class Moment(NamedTuple):
    """Somebody's state between two events."""

    generation: Generation
    state: State


Stay = tuple[Version, int, int, int]
"""Version, awaited element, and from which minute to which (not with it) it is waited for if nothing comes."""
Counts = dict[Element, int]


class Tally:
    """Runs and subscribers by element. A run goes by itself when its window is over."""

    def __init__(self) -> None:
        self.runs: Counts = defaultdict(int)
        self.subscribers: Counts = defaultdict(int)
        self._now_ms = 0
        self._to_come: dict[int, tuple[Counts, Counts]] = {}
        self._times: list[int] = []

    @property
    def next_ms(self) -> int | None:
        """The minute at which something changes by itself."""
        return self._times[0] if self._times else None

    def change(self, workspace: str, before: list[Stay], after: list[Stay]) -> None:
        """Somebody has these runs in place of those."""
        if before == after:
            return
        self._change(workspace, before, after, 0)
        self._change(workspace, _merged(before), _merged(after), 1)

    def _change(self, workspace: str, before: list[Stay], after: list[Stay], which: int) -> None:
        changes: dict[Stay, int] = {}
        for stay in before:
            changes[stay] = changes.get(stay, 0) - 1
        for stay in after:
            changes[stay] = changes.get(stay, 0) + 1
        for (version, number, from_ms, end_ms), by in changes.items():
            if by:
                element = (workspace, version, number)
                self._at(from_ms, which)[element] += by
                if end_ms < NEVER_MS:
                    self._at(end_ms, which)[element] -= by

    def _at(self, time_ms: int, which: int) -> Counts:
        """Where to note what happens at a minute: what is past happens now."""
        if time_ms <= self._now_ms:
            return self.subscribers if which else self.runs
        if time_ms not in self._to_come:
            self._to_come[time_ms] = defaultdict(int), defaultdict(int)
            heapq.heappush(self._times, time_ms)
        return self._to_come[time_ms][which]

    def pass_time(self, now_ms: int) -> None:
        """Let happen what happens by itself."""
        self._now_ms = now_ms
        while self._times and self._times[0] <= now_ms:
            for totals, changes in zip(
                (self.runs, self.subscribers), self._to_come.pop(heapq.heappop(self._times)), strict=True
            ):
                for element, by in changes.items():
                    totals[element] += by


def _stays(moment: Moment, unlike: Moment | None = None) -> list[Stay]:
    """Where somebody's runs wait, of the listeners that stand otherwise in ``unlike``.

    A run that forked counts once, where it is furthest; when that fork's window is over, where the next one is.
    """
    other = unlike.state if unlike is not None and unlike.generation is moment.generation else None
    forks: dict[tuple[Version, int], list[tuple[int, int]]] = {}
    for listener, number, opened_ms, over_ms in moment.generation.follower.in_flight(moment.state, other):
        end_ms = NEVER_MS if over_ms is None else -(-over_ms // EVERY_MS) * EVERY_MS
        key = ((listener.name, listener.version), opened_ms)
        if key in forks:
            forks[key].append((number, end_ms))
        else:
            forks[key] = [(number, end_ms)]
    runs: list[Stay] = []
    for (version, _), found in forks.items():
        if len(found) == 1:
            runs.append((version, found[0][0], 0, found[0][1]))
            continue
        from_ms = 0
        for number, end_ms in sorted(found, reverse=True):
            if end_ms > from_ms:
                runs.append((version, number, from_ms, end_ms))
                from_ms = end_ms
    return runs


def _merged(stays: list[Stay]) -> list[Stay]:
    """Stays at the same element that overlap or touch made one."""
    if len(stays) < 2:
        return stays
    found: list[Stay] = []
    for stay in sorted(stays):
        version, number, from_ms, end_ms = stay
        last = found[-1] if found else None
        if last is not None and last[:2] == (version, number) and from_ms <= last[3]:
            found[-1] = (version, number, last[2], max(last[3], end_ms))
        else:
            found.append(stay)
    return found


class Waits:
    """The counts of one key group, from the states that its :class:`Keeper` holds."""

    def __init__(
        self, following: Mapping[str, Following], people: Keeper[Person], resumed: Counted, most: Callable[[], int]
    ) -> None:
        """``most``: how many people may be noted."""
        self._following, self._people, self._most = following, people, most
        self._at_ms = resumed.at_ms
        self._told: dict[Element, tuple[int, int]] = {
            (each.workspace, (each.listener, each.version), each.element): (each.runs, each.subscribers)
            for each in resumed.told
        }
        self._tally = Tally()
        self._noted: dict[str, Moment | None] = {}
        self._uncounted = dict.fromkeys(key for key in people.known() if _workspace(key) in following)
        self._touched = bool(self._uncounted)
        """Whether anybody may stand otherwise than at the last count."""
        self._owes_day = resumed.owes_day
        """Whether a day has begun while not all had been counted: what is said next is everything."""

    def note(self, key: str, person: Person, log_time_ms: int) -> None:
        """Somebody is about to be touched. ``log_time_ms``: when the log took what touches them."""
        if key in self._noted:
            return
        self._touched = True
        if not self._at_ms:
            self._at_ms = log_time_ms // EVERY_MS * EVERY_MS
        if key in self._uncounted:
            del self._uncounted[key]
            self._noted[key] = None
        else:
            self._noted[key] = Moment(person.generation, person.timeline.advanced)
        if len(self._noted) > self._most():
            self._settle(len(self._noted) // 2)

    def leave(self, key: str) -> None:
        """Nothing will be known of somebody any more: say it before."""
        self._touched = True
        if key in self._uncounted:
            del self._uncounted[key]
            return
        person = self._people.peek(key)
        moment = self._noted.pop(key, Moment(person.generation, person.timeline.advanced))
        if moment is not None:
            self._tally.change(_workspace(key), _stays(moment), [])

    def next_ms(self, log_time_ms: int) -> int | None:
        """The minute before ``log_time_ms`` at which :meth:`rows` may have something to say next."""
        first_ms = self._at_ms + EVERY_MS
        if log_time_ms <= first_ms or not self._at_ms:
            return None
        if not self._touched:
            first_ms = max(first_ms, -(-self._next_change() // EVERY_MS) * EVERY_MS)
        if first_ms < log_time_ms:
            return first_ms
        # Of the minutes up to now nothing is to be said.
        self._at_ms = (log_time_ms - 1) // EVERY_MS * EVERY_MS
        return None

    def _next_change(self) -> int:
        """A time before which the counts stay as they are when nobody is touched."""
        found = [self._tally.next_ms, self._people.next_due_ms()]
        found += [each.changes_after(self._at_ms) for each in self._following.values()]
        if self._told:
            found.append((self._at_ms // DAY_MS + 1) * DAY_MS)
        return min((each for each in found if each is not None), default=NEVER_MS)

    def count_some(self) -> None:
        """After a restart: count some of those who have not been."""
        if self._uncounted:
            self._count_first(A_BATCH)

    def _count_first(self, most: int) -> None:
        for key in list(islice(self._uncounted, most)):
            self._count(key)

    def _count(self, key: str) -> None:
        del self._uncounted[key]
        person = self._people.peek(key)
        self._tally.change(_workspace(key), [], _stays(Moment(person.generation, person.timeline.advanced)))

    def _settle(self, most: int) -> None:
        for key in list(islice(self._noted, most)):
            before = self._noted.pop(key)
            person = self._people.peek(key)
            after = Moment(person.generation, person.timeline.advanced)
            if before is None:
                self._tally.change(_workspace(key), [], _stays(after))
            elif before.state is not after.state or before.generation is not after.generation:
                self._tally.change(_workspace(key), _stays(before, after), _stays(after, before))

    def rows(self, at_ms: int, place: tuple[int, int]) -> Iterator[RunsRow]:
        """What is to be said at a minute that :meth:`next_ms` named, once all that was due by then has been done.

        Nothing while some have not been counted since a restart; what has changed is said at the first minute after.
        """
        self._tally.pass_time(at_ms)
        self._count_first(AT_A_MINUTE)
        self._settle(len(self._noted))
        self._at_ms = at_ms
        self._owes_day = self._owes_day or at_ms % DAY_MS == 0
        if self._uncounted:
            return
        whole, self._owes_day, self._touched = self._owes_day, False, False
        now = self._now(at_ms)
        said: dict[str, list[RunCount]] = defaultdict(list)
        for element in sorted(now.keys() | self._told.keys()):
            runs, subscribers = now.get(element, (0, 0))
            if whole or self._told.get(element, (0, 0)) != (runs, subscribers):
                said[element[0]].append(self._count_of(element, runs, subscribers))
        self._told = now
        for workspace, counts in said.items():
            yield RunsRow(workspace, *place, at_ms, tuple(counts))

    def _now(self, at_ms: int) -> dict[Element, tuple[int, int]]:
        """What is not nothing, of the versions at work."""
        found: dict[Element, tuple[int, int]] = {}
        for workspace, following in self._following.items():
            here = set(following.at_work(at_ms))
            for element, runs in self._tally.runs.items():
                if runs and element[0] == workspace and element[1] in here:
                    found[element] = (runs, self._tally.subscribers[element])
        return found

    def _count_of(self, element: Element, runs: int, subscribers: int) -> RunCount:
        workspace, version, number = element
        following = self._following.get(workspace)
        listener = None if following is None else following.listener(version)
        if listener is None:
            return RunCount(*version, number, 0, str(number), "", runs, subscribers)
        element_of = listener.step(number)
        step = element_of.key if isinstance(element_of, Step) else str(number)
        name = name_of(listener, number)
        return RunCount(*version, number, len(listener.sequence), step, name, runs, subscribers)

    def snapshot(self) -> Counted:
        """What has to be known again after a restart; everything else is counted from the states."""
        told = tuple(
            Told(workspace, *version, number, runs, subscribers)
            for (workspace, version, number), (runs, subscribers) in sorted(self._told.items())
        )
        return Counted(self._at_ms, told, self._owes_day)


def _workspace(key: str) -> str:
    return key.partition("/")[0]


def name_of(listener: Listener, number: int) -> str:
    """What a run waits for, in a word: the step's name or action, or the end of a last ``not``."""
    element = listener.step(number)
    if isinstance(element, Not):
        return f"no {element.condition.action or 'such event'} until the deadline"
    if element.name:
        return element.name
    return (element.condition.action if element.condition else None) or "all of several"
