"""How many runs wait where, as rows: once a minute of log time, of each key group, and only where it has changed.

Between two minutes nothing is counted; it is noted who is touched, with the state before. At the minute what they
had is taken off and what they have now is put on: the cost follows those to whom something happened, and is nothing
where no run has changed. The log is the clock here as everywhere, so the same log gives the same rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Final

from mypy_extensions import mypyc_attr

from contracts.rows import RunCount, RunsRow
from flows.counts.counts_snapshot import CountsSnapshot, ElementCount
from flows.counts.tally import EVERY_MS, Tally, TreeTally, stays_of
from flows.language.model import Listener, Not, Step
from flows.machine.machine import NEVER_MS, Machine, Version
from flows.machine.states import MachineState
from flows.state.store import StateStore
from flows.subscriber.engine import Subscriber, WorkspaceEngine
from flows.subscriber.generations import Generation

DAY_MS: Final = 86_400_000
"""Whole days of log time (UTC) begin with everything: who asks for an instant need not look further back."""
MOST_NOTED: Final = 65_536
"""People of all key groups of whom is noted how they stood at the last minute."""
A_BATCH: Final = 8
AT_A_MINUTE: Final = 32
"""People who are counted after a restart, with each batch and at each minute: a count of all at once would hold the
events up. Until all have been counted nothing is said."""

ElementKey = tuple[str, Version, int]
"""Workspace, version, and the number of the element that is waited for."""
MOST_GENERATIONS: Final = 16
"""Of which is remembered how their listeners are numbered."""
ELEMENTS: Final = 1 << 12
"""More than a sequence has. PERF: while it is counted an element is one number, that of its version times this and its
own."""


@mypyc_attr(acyclic=True)
class CountedState:
    """A subscriber's machine state at the last count, with the listeners that it belongs to."""

    __slots__ = ("generation", "state")

    def __init__(self, generation: Generation, state: MachineState) -> None:
        self.generation = generation
        self.state = state


class ListenerNumbers:
    """How a generation's listeners are counted. ``firsts``: by listener, the number of the element before its first."""

    __slots__ = ("firsts", "trees")

    def __init__(self, firsts: list[int], trees: list[TreeTally]) -> None:
        self.firsts = firsts
        self.trees = trees


class RunGauges:
    """Counts the waiting runs of one key group, from the states that its :class:`StateStore` holds."""

    def __init__(
        self,
        engines: Mapping[str, WorkspaceEngine],
        people: StateStore[Subscriber],
        resumed: CountsSnapshot,
        most: Callable[[], int],
    ) -> None:
        """``most``: how many people may be noted."""
        self._engines, self._people, self._most = engines, people, most
        self._limit = most()
        self._at_ms = resumed.at_ms
        self._told: dict[ElementKey, tuple[int, int]] = {
            (each.workspace, (each.listener, each.version), each.element): (each.runs, each.subscribers)
            for each in resumed.told
        }
        self._tally = Tally()
        self._versions: list[tuple[str, Version]] = []
        """Every version that was counted, with its workspace; its place here is its number."""
        self._places: dict[tuple[str, Version], int] = {}
        self._counting: dict[Generation, ListenerNumbers] = {}
        self._noted: dict[str, CountedState | None] = {}
        self._uncounted = dict.fromkeys(key for key in people.known() if _workspace(key) in engines)
        self._touched = bool(self._uncounted)
        """Whether anybody may stand otherwise than at the last count."""
        self._owes_day = resumed.owes_day
        """Whether a day has begun while not all had been counted: what is said next is everything."""

    def note(self, key: str, person: Subscriber, log_time_ms: int) -> None:
        """Note a subscriber's state before an input changes it. ``log_time_ms``: of that input."""
        if key in self._noted:
            return
        self._touched = True
        if not self._at_ms:
            self._at_ms = log_time_ms // EVERY_MS * EVERY_MS
        if key in self._uncounted:
            del self._uncounted[key]
            self._noted[key] = None
        else:
            self._noted[key] = CountedState(person.generation, person.timeline.advanced)
        if len(self._noted) > self._limit:
            self._settle(len(self._noted) // 2)

    def leave(self, key: str) -> None:
        """Take a subscriber off the counts. Call it before the state store lets go of them."""
        self._touched = True
        if key in self._uncounted:
            del self._uncounted[key]
            return
        self._uncount(key, self._people.peek(key))

    def lose(self, key: str, person: Subscriber) -> None:
        """Take off a subscriber whose state was dropped. ``person``: as they stood then."""
        self._touched = True
        if key in self._uncounted:
            del self._uncounted[key]
        else:
            self._uncount(key, person)

    def _uncount(self, key: str, person: Subscriber) -> None:
        moment = self._noted.pop(key, CountedState(person.generation, person.timeline.advanced))
        if moment is not None:
            self._change(key, moment, -1)

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
        """The log time at which a count next changes by itself, without an input."""
        found = [self._tally.next_ms, self._people.next_due_ms()]
        found += [each.changes_after(self._at_ms) for each in self._engines.values()]
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
        self._change(key, CountedState(person.generation, person.timeline.advanced), 1)

    def _change(self, key: str, moment: CountedState, by: int, unlike: MachineState | None = None) -> None:
        """Add a subscriber's runs to the counts (``by`` 1) or take them off (-1), without those equal in ``unlike``."""
        generation = moment.generation
        machine = generation.reapplier.machine
        alone, together = machine.runs_alone(moment.state, unlike), machine.runs_together(moment.state, unlike)
        if not alone and not together:
            return
        counting = self._counting.get(generation)
        if counting is None:
            if len(self._counting) > MOST_GENERATIONS:
                self._trace()
                self._counting = {}
            counting = self._counting[generation] = self._numbered(_workspace(key), machine)
        if alone:
            self._tally.change(stays_of(alone, counting.firsts), by)
        for index, runs in together:
            counting.trees[index].change(runs, by)

    def _trace(self) -> None:
        """Put on the tally what has changed of listeners that begin alike."""
        for counting in self._counting.values():
            for tree in counting.trees:
                tree.trace(self._tally)

    def _numbered(self, workspace: str, machine: Machine) -> ListenerNumbers:
        firsts: list[int] = []
        for listener in machine.listeners:
            version = (workspace, (listener.name, listener.version))
            place = self._places.get(version)
            if place is None:
                place = self._places[version] = len(self._versions)
                self._versions.append(version)
            firsts.append(place * ELEMENTS)
        trees = [
            TreeTally([firsts[number] for number, _ in members], [window for _, window in members])
            for members in machine.trees_windows()
        ]
        return ListenerNumbers(firsts, trees)

    def _settle(self, most: int) -> None:
        for key in list(islice(self._noted, most)):
            before = self._noted.pop(key)
            person = self._people.peek(key)
            generation, state = person.generation, person.timeline.advanced
            if before is None:
                self._change(key, CountedState(generation, state), 1)
            elif before.generation is not generation:
                self._change(key, before, -1)
                self._change(key, CountedState(generation, state), 1)
            elif before.state is not state:
                self._change(key, before, -1, state)
                self._change(key, CountedState(generation, state), 1, before.state)

    def rows(self, at_ms: int, place: tuple[int, int]) -> Iterator[RunsRow]:
        """The rows of a minute that :meth:`next_ms` named. Call it when every deadline up to then has fired.

        Nothing while some have not been counted since a restart; what has changed is said at the first minute after.
        """
        self._tally.pass_time(at_ms)
        self._count_first(AT_A_MINUTE)
        self._settle(len(self._noted))
        self._trace()
        self._at_ms, self._limit = at_ms, self._most()
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

    def _now(self, at_ms: int) -> dict[ElementKey, tuple[int, int]]:
        """What is not nothing, of the versions at work."""
        at_work = {workspace: set(engine.at_work(at_ms)) for workspace, engine in self._engines.items()}
        found: dict[ElementKey, tuple[int, int]] = {}
        for element, runs in self._tally.runs.items():
            if runs:
                workspace, version = self._versions[element // ELEMENTS]
                if version in at_work[workspace]:
                    found[workspace, version, element % ELEMENTS] = (runs, self._tally.subscribers[element])
        return found

    def _count_of(self, element: ElementKey, runs: int, subscribers: int) -> RunCount:
        workspace, version, number = element
        engine = self._engines.get(workspace)
        listener = None if engine is None else engine.listener(version)
        if listener is None:
            return RunCount(*version, number, 0, str(number), "", runs, subscribers)
        element_of = listener.step(number)
        step = element_of.key if isinstance(element_of, Step) else str(number)
        name = name_of(listener, number)
        return RunCount(*version, number, len(listener.sequence), step, name, runs, subscribers)

    def snapshot(self) -> CountsSnapshot:
        """What has to be known again after a restart; everything else is counted from the states."""
        told = tuple(
            ElementCount(workspace, *version, number, runs, subscribers)
            for (workspace, version, number), (runs, subscribers) in sorted(self._told.items())
        )
        return CountsSnapshot(self._at_ms, told, self._owes_day)


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
