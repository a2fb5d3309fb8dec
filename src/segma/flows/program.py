"""One listener, compiled: what an event or the passing of time does to its runs. The rules of SEMANTICS 3, in order.

Pure: a :class:`Standing` and an event in, a :class:`Standing` and the finished runs out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from segma.contracts.events import Event
from segma.flows.language.compile import Key, Scope, Test, compile_condition
from segma.flows.language.model import Condition, Listener, Not, Op, Reference, Step
from segma.flows.language.model import Scope as Sharing
from segma.flows.language.paths import Values, frozen, is_number, values_at
from segma.flows.runs import Box, Finished, Run, Standing, Taken, best, thinned
from segma.flows.sessions import Session
from segma.flows.trace import Tell, Told, Turn, tell_nothing

MAX_VARIABLES: Final = 4
"""Properties that ``same_as`` (with ``per``) may refer to in one listener: boxes are kept per combination of values."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A step, compiled."""

    step: Step
    tests: tuple[Test, ...]
    """One, or of ``all_of`` one a member."""
    until: Test | None
    bound: tuple[tuple[Values, int], ...]
    """Properties that others refer to with ``same_as``: the value must be the box's."""
    notes: tuple[tuple[Values, bool, int], ...]
    """What to remember of its events: where, whether it is a list collected through ``[]``, the note's number."""
    amounts: Values | None
    """Of ``sum``: where the number stands."""
    marks: Values | None
    """Of ``distinct_by``: where the value stands."""

    @property
    def skippable(self) -> bool:
        """Whether a run may pass it by."""
        return self.step.optional or (self.step.sum is None and self.step.times.at_least == 0)

    @property
    def loops(self) -> bool:
        """Whether it may take several events in turn."""
        return not self.step.all_of and (self.step.sum is not None or not self.step.times.once)


class Facts:
    """What one event is to one listener: each condition's plain half, judged once."""

    __slots__ = ("_known", "event", "session")

    def __init__(self, event: Event, session: Session, size: int) -> None:
        self.event = event
        self.session = session
        self._known: list[bool | None] = [None] * size

    def plain(self, test: Test) -> bool:
        """Whether the event fits, its correlations aside."""
        known = self._known[test.number]
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


class Program:
    """A compiled listener."""

    def __init__(self, listener: Listener, *, max_runs: int, tell: Tell = tell_nothing) -> None:
        self.listener = listener
        self._max_runs = max_runs
        self._tell = tell
        self._size = 0
        self._read(listener)
        self._per = values_at(listener.per) if listener.per else None
        self._lone = self._only_the_oldest_can_win()
        self._empty_run = Run(noted=(None,) * len(self.scope.notes))
        self.empty_box = Box((None,) * self._variables, (), (None,) * len(self._first_nots))
        self.hears = _actions(self.tests)
        self.starts = tuple(
            test for slot in self._reachable(-1) if slot < len(self.slots) for test in self.slots[slot].tests
        ) + tuple(test for _, test in self._first_nots)

    # Compiling.

    def _read(self, listener: Listener) -> None:
        self.scope = _scope_of(listener)
        self._variables = len(self.scope.variables) + (1 if listener.per else 0)
        self.tests: list[Test] = []
        steps = [element for element in listener.sequence if isinstance(element, Step)]
        self._slot_of = {step.number: index for index, step in enumerate(steps)}
        nots = [element for element in listener.sequence if isinstance(element, Not)]
        self.slots = tuple(self._slot(step) for step in steps)
        tests = {guard.number: self._test(guard.condition) for guard in nots}
        self._nots = tuple((guard, tests[guard.number]) for guard in nots if guard.number > steps[0].number)
        self._first_nots = tuple((guard, tests[guard.number]) for guard in nots if guard.number < steps[0].number)
        self._tail = [guard for guard in nots if guard.number > steps[-1].number]
        self._sources = self._value_sources(listener)
        end = len(self.slots)
        self._guards = {
            (slot, ahead): tuple(
                (guard, test)
                for guard, test in self._nots
                if steps[slot].number < guard.number and (ahead == end or guard.number < steps[ahead].number)
            )
            for slot in range(end)
            for ahead in range(slot + 1, end + 1)
        }

    def _test(self, condition: Condition) -> Test:
        test = compile_condition(condition, self.scope, self._size)
        self._size += 1
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
        found |= {(line.path, self.scope.variables[line.operand]) for line in listener.lines() if line.op is Op.SAME_AS}
        if listener.per:
            found.add((listener.per, self._variables - 1))
        return tuple((values_at(path), variable) for path, variable in sorted(found))

    def _only_the_oldest_can_win(self) -> bool:
        """SEMANTICS 3: nothing can tell two runs apart but their start, so one is enough."""
        listener, first = self.listener, self.slots[0]
        return (
            listener.within_ms is None
            and listener.scope is Sharing.SUBSCRIBER
            and not self._nots
            and not self.scope.notes
            and not self._variables
            and not first.skippable
            and not first.loops
            and not any(_tells_runs_apart(slot.step) for slot in self.slots)
        )

    def _reachable(self, slot: int) -> Iterator[int]:
        """Slots reachable when ``slot`` has taken its last event: the next, and those behind steps to skip."""
        for ahead in range(slot + 1, len(self.slots)):
            yield ahead
            if not self.slots[ahead].skippable:
                return
        yield len(self.slots)

    # Time.

    def deadline(self, run: Run) -> int | None:
        """When a run that waits for its last ``not`` finishes; None for any other."""
        if run.slot < len(self.slots):
            return None
        for_ms = self._tail[-1].for_ms
        if for_ms is not None:
            return run.events[-1].at_ms + for_ms
        # The parser asks for `for` or the listener's `within`.
        return run.events[0].at_ms + (self.listener.within_ms or 0)

    def due(self, standing: Standing) -> int | None:
        """The earliest deadline."""
        if not self._tail:
            return None
        found = [self.deadline(run) for box in standing.boxes for run in box.runs if run.slot == len(self.slots)]
        return min((each for each in found if each is not None), default=None)

    def on_time(self, standing: Standing, now_ms: int) -> tuple[Standing, list[Finished]]:
        """Rule 1: fire the deadlines at or before ``now_ms``, in order of (deadline, first event)."""
        boxes: list[Box] = []
        finished: list[Finished] = []
        for box in standing.boxes:
            runs, done = self._fired(box.runs, now_ms)
            boxes.append(box._replace(runs=tuple(runs)))
            finished.extend(done)
        finished.sort(key=lambda each: (each.at_ms, each.run.preference))
        return self._settled(standing, boxes, finished)

    def _fired(self, runs: Sequence[Run], now_ms: int) -> tuple[list[Run], list[Finished]]:
        left, done = list(runs), list[Finished]()
        while True:
            waiting = [(at, run) for run in left if (at := self.deadline(run)) is not None and at <= now_ms]
            if not waiting:
                return left, done
            at = min(waiting, key=lambda each: each[0])[0]
            match = best([run for when, run in waiting if when == at])
            done.append(Finished(match, at, by_event=False))
            self._tell(Told(Turn.MATCHED, match, at))
            self._tell_outrun(match, [run for run in left if run.start <= match.last], at)
            left = [run for run in left if run.start > match.last]

    # Events.

    def on_event(self, standing: Standing, event: Event, session: Session) -> tuple[Standing, list[Finished]]:
        """Rules 1 (the drops) to 4 for one event; deadlines at or before it have been fired."""
        facts = Facts(event, session, self._size)
        finished: list[Finished] = []
        boxes = []
        per = {frozen(value) for value in self._per(event.properties)} if self._per else None
        for box in self._boxes_for(standing, event):
            if per is not None and box.key[-1] not in per:
                boxes.append(box)
                continue
            changed, match = self._in_box(box, facts)
            boxes.append(changed)
            if match is not None:
                finished.append(match)
        finished.sort(key=lambda each: each.run.preference)
        return self._settled(standing, boxes, finished)

    def _boxes_for(self, standing: Standing, event: Event) -> Sequence[Box]:
        """The boxes, with one more for each combination of values that the event shows for the first time.

        A value that was not seen is one that every box without a value (None) stands for, so its boxes are copies.
        """
        boxes: Sequence[Box] = standing.boxes or (self.empty_box,)
        if not self._variables or not (self.hears is None or event.action in self.hears):
            return boxes
        for values, variable in self._sources:
            known = {box.key[variable] for box in boxes}
            for value in sorted({frozen(each) for each in values(event.properties) if each is not None} - known):
                boxes = [*boxes, *(_keyed(box, variable, value) for box in boxes if box.key[variable] is None)]
                known.add(value)
        return boxes

    def _in_box(self, box: Box, facts: Facts) -> tuple[Box, Finished | None]:
        key, at_ms = box.key, facts.event.occurred_at_ms
        runs: list[Run] = []
        done: list[Run] = []
        for run in box.runs:
            if self._expired(run, facts):
                continue
            self._meet(run, facts, key, runs, done)
        if not (self._lone and runs):
            guard = self._blocking(box, at_ms)
            if guard is None:
                self._open(facts, key, runs, done)
            elif any(facts.plain(test) for index in self._reachable(-1) for test in self._tests_at(index)):
                self._tell(Told(Turn.BLOCKED, self._empty_run, at_ms, facts.event, guard))
        seen = tuple(
            at_ms if facts.plain(test) else last for (_, test), last in zip(self._first_nots, box.seen, strict=True)
        )
        if done:
            # Every run started at or before this event, the match's last one: all are dropped.
            match = best(done)
            self._tell(Told(Turn.MATCHED, match, at_ms, facts.event))
            self._tell_outrun(match, [*runs, *done], at_ms)
            return Box(key, (), seen), Finished(match, at_ms, by_event=True)
        return Box(key, tuple(thinned(self._restarted(runs, facts.event))), seen), None

    def _tell_outrun(self, match: Run, dropped: list[Run], at_ms: int) -> None:
        if self._tell is not tell_nothing:
            for run in dropped:
                if run.start != match.start:
                    self._tell(Told(Turn.OUTRUN, run, at_ms, rule=match.events[0].event_id))

    def _expired(self, run: Run, facts: Facts) -> bool:
        """Rule 1: windows are half-open; a run that waits only for its last ``not`` stays."""
        if run.slot == len(self.slots):
            return False
        listener, at_ms = self.listener, facts.event.occurred_at_ms
        if listener.within_ms is not None and at_ms - run.events[0].at_ms >= listener.within_ms:
            self._tell(Told(Turn.EXPIRED, run, run.events[0].at_ms + listener.within_ms, rule="within"))
            return True
        within_ms = self.slots[run.slot].step.within_ms
        if within_ms is not None and at_ms - run.anchor[0] >= within_ms:
            self._tell(
                Told(
                    Turn.EXPIRED, run, run.anchor[0] + within_ms, element=self.slots[run.slot].step, rule="step within"
                )
            )
            return True
        if run.session and run.session != facts.session.session_id:
            self._tell(Told(Turn.EXPIRED, run, at_ms, rule="session"))
            return True
        return False

    def _meet(self, run: Run, facts: Facts, key: Key, runs: list[Run], done: list[Run]) -> None:
        """Rule 2: what the event does to one run; its forks go to ``runs``, finished ones to ``done``."""
        for guard, test in self._guarding(run):
            if facts.fits(test, run, key):
                self._tell(Told(Turn.KILLED, run, facts.event.occurred_at_ms, event=facts.event, element=guard))
                return
        if run.slot == len(self.slots):
            runs.append(run)
            return
        slot = self.slots[run.slot]
        if slot.until is not None and facts.fits(slot.until, run, key):
            self._tell(
                Told(Turn.KILLED, run, facts.event.occurred_at_ms, event=facts.event, element=slot.step, rule="until")
            )
            return
        run = self._spoiled(run, facts, key)
        after_ms = slot.step.after_ms
        early = after_ms is not None and facts.event.occurred_at_ms - run.anchor[0] < after_ms
        if fitting := self._fitting(slot, run, facts, key):
            if early or not self._take(run, slot, fitting, facts, runs, done):
                runs.append(run)
        elif slot.step.next and self._described(facts):
            self._tell(
                Told(Turn.KILLED, run, facts.event.occurred_at_ms, event=facts.event, element=slot.step, rule="next")
            )
        else:
            runs.append(run)

    def _guarding(self, run: Run) -> Iterable[tuple[Not, Test]]:
        """The ``not``s that guard the pending slot."""
        if run.repeats:
            return self._guards[run.slot, run.slot + 1] if self.slots[run.slot].loops else ()
        if run.slot < len(self.slots) and run.filled:
            return ()
        return self._guards[self._slot_of[run.events[-1].step], run.slot]

    def _spoiled(self, run: Run, facts: Facts, key: Key) -> Run:
        """Mark the ``not``s behind skippable steps that are seen during a loop: see :attr:`Run.spoiled`."""
        if not run.repeats:
            return run
        *_, furthest = self._reachable(run.slot)
        spoiled = run.spoiled
        for guard, test in self._guards[run.slot, furthest]:
            if facts.fits(test, run, key):
                spoiled |= 1 << guard.number
        return run if spoiled == run.spoiled else run._replace(spoiled=spoiled)

    def _described(self, facts: Facts) -> bool:
        return any(facts.plain(test) for test in self.tests)

    def _fitting(self, slot: Slot, run: Run, facts: Facts, key: Key) -> list[int]:
        """The members of the step (0 where it is one condition) that the event could fill."""
        properties = facts.event.properties
        for values, variable in slot.bound:
            if not any(value is not None and frozen(value) == key[variable] for value in values(properties)):
                return []
        if slot.marks is not None:
            marks = {frozen(value) for value in slot.marks(properties) if value is not None}
            if not marks or not marks.isdisjoint(run.values):
                return []
        if slot.amounts is not None and not any(map(is_number, slot.amounts(properties))):
            return []
        return [
            member
            for member, test in enumerate(slot.tests)
            if not run.filled & 1 << member and facts.fits(test, run, key)
        ]

    def _blocking(self, box: Box, at_ms: int) -> Not | None:
        """The first ``not`` that forbids that a run opens now."""
        for (guard, _), last in zip(self._first_nots, box.seen, strict=True):
            if last is not None and (guard.ever or (guard.for_ms is not None and at_ms - last < guard.for_ms)):
                return guard
        return None

    def _tests_at(self, index: int) -> tuple[Test, ...]:
        return self.slots[index].tests if index < len(self.slots) else ()

    def _open(self, facts: Facts, key: Key, runs: list[Run], done: list[Run]) -> None:
        """Rule 3: a run opens at each slot reachable from the start that the event fits."""
        session = facts.session.session_id if self.listener.scope is Sharing.SESSION else ""
        for index in self._reachable(-1):
            if index == len(self.slots):
                return
            run, until = self._empty_run._replace(slot=index, session=session), self.slots[index].until
            if until is not None and facts.fits(until, run, key):
                continue
            if fitting := self._fitting(self.slots[index], run, facts, key):
                self._take(run, self.slots[index], fitting, facts, runs, done)

    def _take(  # noqa: PLR0917
        self, run: Run, slot: Slot, members: list[int], facts: Facts, runs: list[Run], done: list[Run]
    ) -> bool:
        """Let the run take the event, and fork. False where a stitched event would complete it: then it is not taken.

        SEMANTICS 7: history from before a device was somebody's advances and opens runs and never completes one.
        """
        forks = [fork for member in members for fork in self._forks(run, slot, member, facts)]
        finishing = [fork for fork in forks if fork.slot == len(self.slots)] if not self._tail else []
        if finishing and facts.event.stitched:
            return False
        turn = Turn.ADVANCED if run.events else Turn.OPENED
        self._tell(Told(turn, run, facts.event.occurred_at_ms, facts.event, slot.step))
        done.extend(finishing)
        runs.extend(fork for fork in forks if self._tail or fork.slot < len(self.slots))
        return True

    def _forks(self, run: Run, slot: Slot, member: int, facts: Facts) -> Iterator[Run]:
        event, step = facts.event, slot.step
        took = run._replace(
            events=(*run.events, Taken(*event.place, event.action, step.number)),
            noted=_noted(run.noted, slot, event),
            taken=run.taken | 1 << step.number,
            repeats=run.repeats + 1,
        )
        if step.all_of:
            took = took._replace(filled=run.filled | 1 << member, repeats=0)
            complete, again = took.filled.bit_count() == len(slot.tests), took.filled.bit_count() < len(slot.tests)
        elif step.sum is not None and slot.amounts is not None:
            took = took._replace(total=run.total + sum(filter(is_number, slot.amounts(event.properties))))
            complete, again = took.total >= step.sum.at_least, took.total < step.sum.at_least
        else:
            complete = took.repeats >= step.times.at_least
            again = step.times.at_most is None or took.repeats < step.times.at_most
        ahead = list(self._reachable(run.slot)) if complete else []
        ahead = [index for index in ahead if not self._is_spoiled(took, index)]
        if self._tail and not took.core and len(self.slots) in ahead:
            took = took._replace(core=len(took.events))
        if again:
            yield took._replace(values=_marked(run.values, slot, event))
        for index in ahead:
            yield took._replace(slot=index, repeats=0, total=0.0, values=(), filled=0, spoiled=0)

    def _is_spoiled(self, run: Run, ahead: int) -> bool:
        return bool(run.spoiled) and any(run.spoiled & 1 << guard.number for guard, _ in self._guards[run.slot, ahead])

    def _restarted(self, runs: list[Run], event: Event) -> list[Run]:
        """Of the forks of one run only the one with the newest event waits for the last ``not`` (SEMANTICS 3)."""
        if not self._tail:
            return runs
        end, place = len(self.slots), event.place
        newest = {run.events[: run.core] for run in runs if run.slot == end and run.last == place}
        return [run for run in runs if run.slot < end or run.last == place or run.events[: run.core] not in newest]

    # After an event or a deadline.

    def _settled(
        self, standing: Standing, boxes: Sequence[Box], finished: list[Finished]
    ) -> tuple[Standing, list[Finished]]:
        accepted, last_ms = self._accepted(standing.last_ms, finished)
        if last_ms is not None and self.listener.repeat == "once":
            return Standing((), last_ms, standing.dropped), accepted
        kept, dropped = self._bounded(self._without_idle(boxes))
        if len(kept) == 1 and kept[0] == self.empty_box:
            kept = ()
        return Standing(tuple(kept), last_ms, standing.dropped + dropped), accepted

    def _accepted(self, last_ms: int | None, finished: list[Finished]) -> tuple[list[Finished], int | None]:
        """``repeat``: once, every, or not again within the cooldown of the last that counted."""
        accepted: list[Finished] = []
        seen = set()
        for each in finished:
            identity = tuple(event.event_id for event in each.run.events)
            if identity in seen:
                continue  # boxes of values that the run never met complete the same run
            seen.add(identity)
            if last_ms is not None and self.listener.repeat == "once":
                continue
            cooldown_ms = self.listener.cooldown_ms
            if last_ms is not None and cooldown_ms is not None and each.at_ms - last_ms < cooldown_ms:
                self._tell(Told(Turn.IGNORED, each.run, each.at_ms, rule="cooldown"))
                continue
            if self.listener.repeat != "every":
                last_ms = each.at_ms
            accepted.append(each)
        return accepted, last_ms

    def _without_idle(self, boxes: Sequence[Box]) -> Sequence[Box]:
        """Without the boxes of values that are again as if they had never been seen."""
        for variable in range(self._variables):
            unseen = {_keyed(box, variable, None).key: box for box in boxes if box.key[variable] is None}
            telling = {
                box.key[variable]
                for box in boxes
                if (twin := unseen[_keyed(box, variable, None).key]).runs != box.runs or twin.seen != box.seen
            }
            boxes = [box for box in boxes if box.key[variable] is None or box.key[variable] in telling]
        return boxes

    def _bounded(self, boxes: Sequence[Box]) -> tuple[Sequence[Box], int]:
        """At most ``max_runs`` different pairs of first event and correlated values; the oldest go first."""
        if sum(len(box.runs) for box in boxes) <= self._max_runs:
            return boxes, 0
        pairs = sorted({self._pair(run, box.key) for box in boxes for run in box.runs}, key=repr_of_pair)
        gone = set(pairs[: max(len(pairs) - self._max_runs, 0)])
        if not gone:
            return boxes, 0
        return [
            box._replace(runs=tuple(run for run in box.runs if self._pair(run, box.key) not in gone)) for box in boxes
        ], len(gone)

    def _pair(self, run: Run, key: Key) -> tuple[tuple[int, int, str], tuple[str | None, ...]]:
        met = {variable for reference, variable in self.scope.variables.items() if run.taken & 1 << reference.step}
        if self._per:
            met.add(self._variables - 1)
        return run.start, tuple(value if index in met else None for index, value in enumerate(key))


def repr_of_pair(pair: tuple[tuple[int, int, str], tuple[str | None, ...]]) -> tuple[Any, ...]:
    """An order of pairs: by first event, then by values with the unseen first."""
    start, values = pair
    return (start, tuple((value is not None, value or "") for value in values))


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


def _keyed(box: Box, variable: int, value: str | None) -> Box:
    return box._replace(key=(*box.key[:variable], value, *box.key[variable + 1 :]))


def _noted(noted: tuple[Any, ...], slot: Slot, event: Event) -> tuple[Any, ...]:
    if not slot.notes:
        return noted
    changed = list(noted)
    for values, collected, note in slot.notes:
        found = list(values(event.properties))
        changed[note] = found if collected else found[0] if found else None
    return tuple(changed)


def _marked(values: tuple[str, ...], slot: Slot, event: Event) -> tuple[str, ...]:
    if slot.marks is None:
        return values
    return tuple(sorted({*values, *(frozen(value) for value in slot.marks(event.properties) if value is not None)}))


def _actions(tests: Iterable[Test]) -> frozenset[str] | None:
    found: set[str] = set()
    for test in tests:
        if test.actions is None:
            return None
        found |= test.actions
    return frozenset(found)


def _scope_of(listener: Listener) -> Scope:
    """Number the references: those of ``same_as`` are variables, all others (and the templates') are notes."""
    variables: dict[Reference, int] = {}
    notes: dict[Reference, int] = {}
    for line in listener.lines():
        for reference in line.references:
            table = variables if line.op is Op.SAME_AS else notes
            table.setdefault(reference, len(table))
    for response in listener.then:
        for template in (response.to_list, response.from_list):
            for part in template.parts if template else ():
                if isinstance(part, Reference):
                    notes.setdefault(part, len(notes))
    return Scope(notes, variables)
