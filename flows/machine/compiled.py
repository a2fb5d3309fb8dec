"""One listener, compiled: its steps, its ``not``s, what is reachable from where, and what can tell two runs apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any

from contracts.events import Event
from contracts.membership import SESSION_ENDED
from flows.derived.sessions import Session
from flows.language.compile import MADE, Key, ReferenceNumbers, Test, compile_condition
from flows.language.model import Condition, Listener, Not, Op, Reference, Scope, Step, Times
from flows.language.paths import Values, frozen, values_at
from flows.machine.runs import Correlation, ListenerRuns, Run, Taken

Guards = tuple[tuple[Not, Test], ...]
Opening = tuple[int, Times, tuple[int, ...], bool, int, bool]
"""All that a first run depends on, its event aside: two listeners of one opening open equal runs."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A step, compiled."""

    step: Step
    tests: tuple[Test, ...]
    """One, or of ``all_of`` one a member."""
    until: Test | None
    bound: tuple[tuple[Values, int], ...]
    """Properties that others refer to with ``same_as``: the value must be the correlation's."""
    notes: tuple[tuple[Values, bool, int], ...]
    """What to remember of its events: where, whether it is a list collected through ``[]``, the note's number."""
    amounts: Values | None
    """Of ``sum``: where the number stands."""
    marks: Values | None
    """Of ``distinct_by``: where the value stands."""

    @property
    def plain(self) -> bool:
        """Whether one condition is all that an event must fit."""
        return len(self.tests) == 1 and not self.bound and self.marks is None and self.amounts is None

    @property
    def skippable(self) -> bool:
        """Whether a run may pass it by."""
        return self.step.optional or (self.step.sum is None and self.step.times.at_least == 0)

    @property
    def loops(self) -> bool:
        """Whether it may take several events in turn."""
        return not self.step.all_of and (self.step.sum is not None or not self.step.times.once)


class Facts:
    """What one event is to all listeners: each condition's plain half is judged once."""

    __slots__ = ("_known", "_taken", "event", "opened", "session")

    def __init__(self, event: Event, session: Session) -> None:
        self.event = event
        self.session = session
        self.opened: dict[Opening, ListenerRuns] = {}
        """What opening a first run comes to, by the way in which listeners begin."""
        self._known: dict[int, bool] = {}
        self._taken: Taken | None = None

    def taken(self, step: int) -> Taken:
        """The event as the one that a step took."""
        taken = self._taken
        if taken is None or taken.step != step:
            event = self.event
            taken = self._taken = Taken(event.occurred_at_ms, event.order, event.event_id, event.action, step)
        return taken

    def plain(self, test: Test) -> bool:
        """Whether the event fits, its correlations aside."""
        known = self._known.get(test.number)
        if known is None:
            actions = test.actions
            known = (actions is None or self.event.action in actions) and test.plain(self.event, self.session)
            self._known[test.number] = known
        return known

    def fits(self, test: Test, run: Run, key: Key) -> bool:
        """Whether the event fits, for this run."""
        if not self.plain(test):
            return False
        return test.tied is None or test.tied(self.event, self.session, run, key)


class Tests:
    """Compiled conditions; listeners that ask the same share one, so that it is judged once an event."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        """``zone``: the workspace's."""
        self._zone = zone
        self._shared: dict[str, Test] = {}
        self._size = 0

    def of(self, condition: Condition, scope: ReferenceNumbers) -> Test:
        """The compiled condition."""
        # NOTE: by its text, because True equals 1 and the conditions that ask for them are two.
        text = repr(condition)
        shared = self._shared.get(text)
        if shared is not None:
            return shared
        test = compile_condition(condition, scope, self._size, self._zone)
        self._size += 1
        if test.tied is None:
            self._shared[text] = test
        return test


class CompiledListener:
    """What of a listener never changes while it runs.

    ``ahead[slot]``: the slots reachable from one that is done; ``ahead[-1]``: from the start. ``guards[slot][ahead]``:
    the ``not``s between two slots. ``end``: the number of slots, at which a run waits for its last ``not``.
    """

    def __init__(self, listener: Listener, compiled: Tests) -> None:
        self.listener = listener
        self._compiled = compiled
        self.tests: list[Test] = []
        self._read(listener)
        self.end = len(self.slots)
        # The last entry, at index -1, is that of the start.
        self.ahead = tuple(tuple(self._reachable(slot)) for slot in (*range(self.end), -1))
        self.guards = tuple(
            tuple(self._between(slot, ahead) if ahead > slot else () for ahead in range(self.end + 1))
            for slot in range(self.end)
        )
        self.spoilers = tuple(self._spoiling(slot) for slot in range(self.end))
        self.per = values_at(listener.per) if listener.per else None
        self.lone = self._only_the_oldest_can_win()
        self.forking = self._forks()
        self.empty_run = Run(noted=(None,) * len(self.scope.notes))
        self.empty_correlation = Correlation((None,) * self.variables, (), (None,) * len(self.first_nots))
        self.opening = self._opening_alike()
        self.hears = _actions(self.tests)
        self.openers = tuple(test for slot in self.ahead[-1] if slot < self.end for test in self.slots[slot].tests)
        self.starts = (*self.openers, *(test for _, test in self.first_nots))

    def _read(self, listener: Listener) -> None:
        self.scope = scope_of(listener)
        self.variables = len(self.scope.variables) + (1 if listener.per else 0)
        steps = [element for element in listener.sequence if isinstance(element, Step)]
        self.slot_of = {step.number: index for index, step in enumerate(steps)}
        nots = [element for element in listener.sequence if isinstance(element, Not)]
        self.slots = tuple(self._slot(step) for step in steps)
        tests = {guard.number: self._test(guard.condition) for guard in nots}
        self.nots = tuple((guard, tests[guard.number]) for guard in nots if guard.number > steps[0].number)
        self.first_nots = tuple((guard, tests[guard.number]) for guard in nots if guard.number < steps[0].number)
        self.tail = [guard for guard in nots if guard.number > steps[-1].number]
        self.sources = self._value_sources(listener)

    def _test(self, condition: Condition) -> Test:
        test = self._compiled.of(condition, self.scope)
        self.tests.append(test)
        return test

    def _slot(self, step: Step) -> Slot:
        conditions = step.all_of or (step.condition,)
        return Slot(
            step,
            tuple(self._test(condition) for condition in conditions if condition is not None),
            self._test(step.until) if step.until else None,
            tuple(
                (values_at(reference.path), variable)
                for reference, variable in self.scope.variables.items()
                if reference.step == step.number
            ),
            tuple(
                (values_at(reference.path), "[]" in reference.path, note)
                for reference, note in self.scope.notes.items()
                if reference.step == step.number
            ),
            values_at(step.sum.of) if step.sum else None,
            values_at(step.distinct_by) if step.distinct_by else None,
        )

    def _value_sources(self, listener: Listener) -> tuple[tuple[Values, int], ...]:
        """Where an event may carry a value of a variable: at either end of each ``same_as``, and ``per``."""
        found = {(reference.path, variable) for reference, variable in self.scope.variables.items()}
        found |= {(line.path, self.scope.variables[line.operand]) for line in listener.lines() if line.op == Op.SAME_AS}
        if listener.per:
            found.add((listener.per, self.variables - 1))
        return tuple((values_at(path), variable) for path, variable in sorted(found))

    def _only_the_oldest_can_win(self) -> bool:
        """SEMANTICS 3: nothing can tell two runs apart but their start, so one is enough."""
        listener, first = self.listener, self.slots[0]
        return (
            listener.within_ms is None
            and listener.scope is Scope.SUBSCRIBER
            and not self.nots
            and not self.scope.notes
            and not self.variables
            and not first.skippable
            and not first.loops
            and not any(_tells_runs_apart(slot.step) for slot in self.slots)
        )

    def _reachable(self, slot: int) -> Iterator[int]:
        """Slots reachable when ``slot`` has taken its last event: the next, and those behind steps to skip."""
        for ahead in range(slot + 1, self.end):
            yield ahead
            if not self.slots[ahead].skippable:
                return
        yield self.end

    def _between(self, slot: int, ahead: int) -> Guards:
        """The ``not``s that stand between two slots; behind the last step stand those at the end."""
        numbers = [each.step.number for each in self.slots]
        return tuple(
            (guard, test)
            for guard, test in self.nots
            if numbers[slot] < guard.number and (ahead == self.end or guard.number < numbers[ahead])
        )

    def _spoiling(self, slot: int) -> Guards:
        """The ``not``s behind a loop and steps to skip: see :attr:`Run.spoiled`."""
        return tuple(
            each for each in self._between(slot, self.ahead[slot][-1]) if each not in self.guards[slot][slot + 1]
        )

    def deadline(self, run: Run) -> int | None:
        """When a run that waits for its last ``not`` finishes; None for any other."""
        if run.slot < self.end:
            return None
        for_ms = self.tail[-1].for_ms
        if for_ms is not None:
            return run.events[-1].at_ms + for_ms
        # The parser asks for `for` or the listener's `within`.
        return run.events[0].at_ms + (self.listener.within_ms or 0)

    def over_ms(self, run: Run) -> int | None:
        """When a run's window is over if nothing comes, in ms; None where it has none, or waits for its deadline."""
        if run.slot == self.end:
            return None
        within_ms, step_ms = self.listener.within_ms, self.slots[run.slot].step.within_ms
        ends = [] if within_ms is None else [run.events[0].at_ms + within_ms]
        if step_ms is not None:
            ends.append(run.anchor[0] + step_ms)
        return min(ends, default=None)

    def due(self, held: ListenerRuns) -> int | None:
        """The earliest deadline."""
        if not self.tail:
            return None
        found = [
            self.deadline(run) for correlation in held.correlations for run in correlation.runs if run.slot == self.end
        ]
        return min((each for each in found if each is not None), default=None)

    def _opening_alike(self) -> Opening | None:
        """How a first run opens, where it opens in one plain way; None where it needs the rules."""
        slot, ahead = self.slots[0], self.ahead[0]
        rules = (self.variables, self.first_nots, slot.skippable, not slot.plain, slot.notes, slot.until)
        waits = self.end in ahead and bool(self.tail)
        if any(rules) or (self.end in ahead and not waits):
            return None
        notes, by_session = len(self.scope.notes), self.listener.scope is Scope.SESSION
        return (slot.step.number, slot.step.times, ahead, waits and ahead[-1] == self.end, notes, by_session)

    def _forks(self) -> bool:
        """Whether a run may become several, so that two runs can have the same first event."""
        return any(
            slot.skippable or slot.step.all_of or (slot.loops and not slot.step.sum and not _exact(slot.step.times))
            for slot in self.slots
        )


def _exact(times: Times) -> bool:
    return times.at_least == times.at_most


def _tells_runs_apart(step: Step) -> bool:
    """Whether two runs that wait at this step may fare differently for another reason than their start."""
    return bool(
        step.next
        or step.until
        or step.sum
        or step.distinct_by
        or step.all_of
        or step.within_ms is not None
        or step.after_ms is not None
    )


def _actions(tests: Iterable[Test]) -> frozenset[str] | None:
    found: set[str] = set()
    for test in tests:
        if test.actions is None:
            return None
        found |= test.actions
    return frozenset(found)


def minds_membership(listener: Listener) -> bool:
    """Whether a listener asks in which lists a person is, or waits for an event that the flow makes."""
    return any(_minds_membership(condition) for condition in _conditions(listener))


def _minds_membership(condition: Condition) -> bool:
    asks = bool(condition.memberships) or condition.action in MADE
    return asks or any(map(_minds_membership, condition.any_of))


def minds_session_ends(listener: Listener) -> bool:
    """Whether a listener waits for the end of a session."""
    return any(_minds_session_end(condition) for condition in _conditions(listener))


def _minds_session_end(condition: Condition) -> bool:
    return condition.action == SESSION_ENDED or any(map(_minds_session_end, condition.any_of))


def _conditions(listener: Listener) -> Iterator[Condition]:
    for element in listener.sequence:
        yield from element.conditions() if isinstance(element, Step) else (element.condition,)


def minds_profiles(listener: Listener) -> bool:
    """Whether a listener asks what is known of a person, their time zone included."""
    return any(_minds_profile(condition) for condition in _conditions(listener))


def _minds_profile(condition: Condition) -> bool:
    return bool(condition.profile or condition.hours) or any(map(_minds_profile, condition.any_of))


def minds_sessions(listener: Listener) -> bool:
    """Whether a listener asks anything of sessions."""
    return listener.scope is Scope.SESSION or any(map(_minds_session, _conditions(listener)))


def _minds_session(condition: Condition) -> bool:
    return bool(condition.session) or any(map(_minds_session, condition.any_of))


def scope_of(listener: Listener) -> ReferenceNumbers:
    """Number the references: those of ``same_as`` are variables, all others (and the templates') are notes."""
    variables: dict[Reference, int] = {}
    notes: dict[Reference, int] = {}
    for line in listener.lines():
        for reference in line.references:
            table = variables if line.op == Op.SAME_AS else notes
            table.setdefault(reference, len(table))
    for response in listener.then:
        for template in (response.to_list, response.from_list):
            for part in template.parts if template else ():
                if isinstance(part, Reference):
                    notes.setdefault(part, len(notes))
    return ReferenceNumbers(notes, variables)


def noted_by(noted: tuple[Any, ...], slot: Slot, event: Event) -> tuple[Any, ...]:
    """What a run remembers once the slot has taken the event."""
    changed = list(noted)
    for values, collected, note in slot.notes:
        found = list(values(event.properties))
        changed[note] = found if collected else found[0] if found else None
    return tuple(changed)


def marked_by(values: tuple[str, ...], slot: Slot, event: Event) -> tuple[str, ...]:
    """The values of ``distinct_by`` in the loop once the slot has taken the event."""
    if slot.marks is None:
        return values
    return tuple(sorted({*values, *(frozen(value) for value in slot.marks(event.properties) if value is not None)}))
