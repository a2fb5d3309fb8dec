"""One listener, compiled: what an event or the passing of time does to its runs. The rules of SEMANTICS 3, in order.

Pure: a :class:`ListenerRuns` and an event in, a :class:`ListenerRuns` and the finished runs out.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Final

from contracts.codec import replaced
from contracts.events import Event
from flows.language.compile import Key
from flows.language.model import Listener, Not, Repeat, Scope
from flows.language.paths import frozen, is_number
from flows.machine.compiled import CompiledListener, Facts, Guards, Opening, Slot, Tests, marked_by, noted_by
from flows.machine.correlation import bounded, correlations_for, shown_values, without_idle
from flows.machine.runs import Correlation, Finished, ListenerRuns, Run, best, outlasting, thinned
from flows.machine.trace import Trace, TraceEntry, Turn, no_trace

_ONLY: Final = (0,)
"""The only member of a step with one condition."""
_NONE: Final[tuple[int, ...]] = ()


class ListenerProgram(CompiledListener):
    """A compiled listener that runs."""

    def __init__(self, listener: Listener, tests: Tests, *, max_runs: int, trace: Trace = no_trace) -> None:
        super().__init__(listener, tests)
        self._max_runs = max_runs
        self._trace = trace
        # PERF: nothing is told in the live flow, and making what would be told costs as much as the rules.
        self._tracing = trace is not no_trace
        self._opening = None if self._tracing else self.opening

    # Time.

    def on_time(self, held: ListenerRuns, now_ms: int) -> tuple[ListenerRuns, list[Finished]]:
        """Rule 1: fire the deadlines at or before ``now_ms``, in order of (deadline, first event)."""
        correlations: list[Correlation] = []
        finished: list[Finished] = []
        for correlation in held.correlations:
            runs, done = self._fired(correlation.runs, now_ms)
            correlations.append(replaced(correlation, runs=tuple(runs)))
            finished.extend(done)
        finished.sort(key=lambda each: (each.at_ms, each.run.preference))
        return self._settled(held, correlations, finished)

    def _fired(self, runs: Sequence[Run], now_ms: int) -> tuple[list[Run], list[Finished]]:
        left, done = list(runs), list[Finished]()
        while True:
            waiting = [(at, run) for run in left if (at := self.deadline(run)) is not None and at <= now_ms]
            if not waiting:
                return left, done
            at = min(waiting, key=lambda each: each[0])[0]
            match = best([run for when, run in waiting if when == at])
            done.append(Finished(match, at, by_event=False))
            if self._tracing:
                self._trace(TraceEntry(Turn.MATCHED, match, at))
                self._trace_outrun(match, [run for run in left if run.start <= match.last], at)
            left = [run for run in left if run.start > match.last]

    # Events.

    def on_event(self, held: ListenerRuns, facts: Facts) -> tuple[ListenerRuns, Sequence[Finished]]:
        """Rules 1 (the drops) to 4 for one event; deadlines at or before it have been fired.

        The very same standing comes back where nothing has changed.
        """
        if self._opening is not None and not held.correlations:
            return self._opened(held, facts, self._opening), ()
        if self.variables:
            alone = self.variables == 1 and not self.per
            return self._for_each_value(held, facts) if alone else self._in_correlations(held, facts)
        correlation = held.correlations[0] if held.correlations else self.empty_correlation
        changed, match = self._in_correlation(correlation, facts)
        if match is None and (changed is correlation or len(changed.runs) <= self._max_runs):
            return (held if changed is correlation else self._stood(held, changed)), ()
        return self._settled(held, (changed,), [] if match is None else [match])

    def _opened(self, held: ListenerRuns, facts: Facts, opening: Opening) -> ListenerRuns:
        """A first run. PERF: listeners that begin alike share one value, whatever they wait for then."""
        if not facts.plain(self.slots[0].tests[0]):
            return held
        fresh = facts.opened.get(opening)
        if fresh is None:
            correlation, _ = self._in_correlation(self.empty_correlation, facts)
            fresh = facts.opened[opening] = ListenerRuns((correlation,))
        if held.last_ms is None and not held.dropped:
            return fresh
        return ListenerRuns(fresh.correlations, held.last_ms, held.dropped)

    def _stood(self, held: ListenerRuns, correlation: Correlation) -> ListenerRuns:
        if correlation.runs or correlation.seen != self.empty_correlation.seen:
            return ListenerRuns((correlation,), held.last_ms, held.dropped)
        return ListenerRuns((), held.last_ms, held.dropped)

    def _for_each_value(self, held: ListenerRuns, facts: Facts) -> tuple[ListenerRuns, Sequence[Finished]]:
        """As :meth:`_in_correlations` with one variable, the commonest: idle ones are never kept."""
        correlations = held.correlations or (self.empty_correlation,)
        unseen = correlations[0]
        known = [correlation.key[0] for correlation in correlations]
        shown = shown_values(self, facts.event).difference(known)
        first, match = self._in_correlation(unseen, facts)
        kept, finished = [first], [] if match is None else [match]
        for correlation in (
            *correlations[1:],
            *(Correlation((value,), unseen.runs, unseen.seen) for value in sorted(shown)),
        ):
            changed, match = self._in_correlation(correlation, facts)
            if match is not None:
                finished.append(match)
            if changed.runs != first.runs or changed.seen != first.seen:
                kept.append(changed)
        if finished or sum(len(correlation.runs) for correlation in kept) > self._max_runs:
            finished.sort(key=lambda each: each.run.preference)
            return self._settled(held, kept, finished)
        if len(kept) == 1:
            return (held if first is unseen and len(correlations) == 1 else self._stood(held, first)), ()
        return ListenerRuns(tuple(kept), held.last_ms, held.dropped), ()

    def _in_correlations(self, held: ListenerRuns, facts: Facts) -> tuple[ListenerRuns, Sequence[Finished]]:
        event = facts.event
        correlations: list[Correlation] = []
        finished: list[Finished] = []
        per = {frozen(value) for value in self.per(event.properties)} if self.per else None
        for correlation in correlations_for(self, held.correlations or (self.empty_correlation,), event):
            if per is not None and correlation.key[-1] not in per:
                correlations.append(correlation)
                continue
            changed, match = self._in_correlation(correlation, facts)
            correlations.append(changed)
            if match is not None:
                finished.append(match)
        finished.sort(key=lambda each: each.run.preference)
        return self._settled(held, correlations, finished)

    def _in_correlation(self, correlation: Correlation, facts: Facts) -> tuple[Correlation, Finished | None]:
        key, at_ms = correlation.key, facts.event.occurred_at_ms
        runs: list[Run] = []
        done: list[Run] = []
        for run in correlation.runs:
            if not self._expired(run, facts):
                self._meet(run, facts, key, runs, done)
        if not (self.lone and runs):
            self._start(correlation, facts, runs, done)
        seen = self._seen(correlation, facts) if self.first_nots else correlation.seen
        if done:
            # Every run started at or before this event, the match's last one: all are dropped.
            match = best(done)
            if self._tracing:
                self._trace(TraceEntry(Turn.MATCHED, match, at_ms, facts.event))
                self._trace_outrun(match, [*runs, *done], at_ms)
            return Correlation(key, (), seen), Finished(match, at_ms, by_event=True)
        if seen == correlation.seen and _same(runs, correlation.runs):
            return correlation, None
        if self.forking:
            runs = thinned(self._restarted(runs, facts.event))
        return Correlation(key, tuple(runs), seen), None

    def _start(self, correlation: Correlation, facts: Facts, runs: list[Run], done: list[Run]) -> None:
        """Rule 3, unless a first ``not`` forbids it."""
        # PERF: most events that touch a listener open nothing; a plain loop says so soonest.
        for test in self.openers:
            if facts.plain(test):
                break
        else:
            return
        guard = self._blocking(correlation, facts.event.occurred_at_ms) if self.first_nots else None
        if guard is None:
            self._open(facts, correlation.key, runs, done)
        elif self._tracing:
            self._trace(TraceEntry(Turn.BLOCKED, self.empty_run, facts.event.occurred_at_ms, facts.event, guard))

    def _seen(self, correlation: Correlation, facts: Facts) -> tuple[int | None, ...]:
        at_ms = facts.event.occurred_at_ms
        return tuple(
            at_ms if facts.plain(test) else last
            for (_, test), last in zip(self.first_nots, correlation.seen, strict=True)
        )

    def _trace_outrun(self, match: Run, dropped: list[Run], at_ms: int) -> None:
        for run in dropped:
            if run.start != match.start:
                self._trace(TraceEntry(Turn.OUTRUN, run, at_ms, rule=match.events[0].event_id))

    def _expired(self, run: Run, facts: Facts) -> bool:
        """Rule 1: windows are half-open; a run that waits only for its last ``not`` stays."""
        if run.slot == self.end:
            return False
        within_ms, at_ms = self.listener.within_ms, facts.event.occurred_at_ms
        if within_ms is not None and at_ms - run.events[0].at_ms >= within_ms:
            return self._over(TraceEntry(Turn.EXPIRED, run, run.events[0].at_ms + within_ms, rule="within"))
        step = self.slots[run.slot].step
        if step.within_ms is not None and at_ms - run.anchor[0] >= step.within_ms:
            over_ms = run.anchor[0] + step.within_ms
            return self._over(TraceEntry(Turn.EXPIRED, run, over_ms, element=step, rule="step within"))
        if run.session and run.session != facts.session.session_id:
            return self._over(TraceEntry(Turn.EXPIRED, run, at_ms, rule="session"))
        return False

    def _over(self, entry: TraceEntry) -> bool:
        self._trace(entry)
        return True

    def _meet(self, run: Run, facts: Facts, key: Key, runs: list[Run], done: list[Run]) -> None:
        """Rule 2: what the event does to one run; its forks go to ``runs``, finished ones to ``done``."""
        if self.nots:
            for guard, test in self._guarding(run):
                if facts.fits(test, run, key):
                    self._trace(
                        TraceEntry(Turn.KILLED, run, facts.event.occurred_at_ms, event=facts.event, element=guard)
                    )
                    return
        if run.slot == self.end:
            runs.append(run)
            return
        slot = self.slots[run.slot]
        if slot.until is not None and facts.fits(slot.until, run, key):
            self._kill(run, slot, facts, "until")
            return
        if run.repeats and self.spoilers[run.slot]:
            run = self._spoiled(run, facts, key)
        after_ms = slot.step.after_ms
        early = after_ms is not None and facts.event.occurred_at_ms - run.anchor[0] < after_ms
        if fitting := self._fitting(slot, run, facts, key):
            if early or not self._accept(run, slot, fitting, facts, runs, done):
                runs.append(run)
        elif slot.step.next and self._described(facts):
            self._kill(run, slot, facts, "next")
        else:
            runs.append(run)

    def _kill(self, run: Run, slot: Slot, facts: Facts, rule: str) -> None:
        self._trace(TraceEntry(Turn.KILLED, run, facts.event.occurred_at_ms, facts.event, slot.step, rule))

    def _guarding(self, run: Run) -> Guards:
        """The ``not``s that guard the pending slot."""
        if run.repeats:
            return self.guards[run.slot][run.slot + 1] if self.slots[run.slot].loops else ()
        if run.slot < self.end and run.filled:
            return ()
        return self.guards[self.slot_of[run.events[-1].step]][run.slot]

    def _spoiled(self, run: Run, facts: Facts, key: Key) -> Run:
        """Mark the ``not``s behind skippable steps that are seen during a loop: see :attr:`Run.spoiled`."""
        spoiled = run.spoiled
        for guard, test in self.spoilers[run.slot]:
            if facts.fits(test, run, key):
                spoiled |= 1 << guard.number
        return run if spoiled == run.spoiled else replaced(run, spoiled=spoiled)

    def _described(self, facts: Facts) -> bool:
        return any(facts.plain(test) for test in self.tests)

    def _fitting(self, slot: Slot, run: Run, facts: Facts, key: Key) -> Sequence[int]:
        """The members of the step (0 where it is one condition) that the event could fill."""
        if slot.plain:
            return _ONLY if facts.fits(slot.tests[0], run, key) else _NONE
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

    def _blocking(self, correlation: Correlation, at_ms: int) -> Not | None:
        """The first ``not`` that forbids that a run opens now."""
        for (guard, _), last in zip(self.first_nots, correlation.seen, strict=True):
            if last is not None and (guard.ever or (guard.for_ms is not None and at_ms - last < guard.for_ms)):
                return guard
        return None

    def _open(self, facts: Facts, key: Key, runs: list[Run], done: list[Run]) -> None:
        """Rule 3: a run opens at each slot reachable from the start that the event fits."""
        session = facts.session.session_id if self.listener.scope is Scope.SESSION else ""
        for index in self.ahead[-1]:
            if index == self.end:
                return
            slot, run = self.slots[index], self.empty_run
            if index or session:
                run = replaced(run, slot=index, session=session)
            if slot.until is not None and facts.fits(slot.until, run, key):
                continue
            if fitting := self._fitting(slot, run, facts, key):
                self._accept(run, slot, fitting, facts, runs, done)

    def _accept(  # noqa: PLR0917
        self, run: Run, slot: Slot, members: Sequence[int], facts: Facts, runs: list[Run], done: list[Run]
    ) -> bool:
        """Let the run take the event, and fork. False where a stitched event would complete it: then it is not taken.

        SEMANTICS 7: history from before a device was somebody's advances and opens runs and never completes one.
        """
        forks = [fork for member in members for fork in self._forked(run, slot, member, facts)]
        finishing = [fork for fork in forks if fork.slot == self.end] if not self.tail else []
        if finishing and facts.event.stitched:
            return False
        if self._tracing:
            turn = Turn.ADVANCED if run.events else Turn.OPENED
            self._trace(TraceEntry(turn, run, facts.event.occurred_at_ms, facts.event, slot.step))
        if finishing:
            done.extend(finishing)
            forks = [fork for fork in forks if fork.slot < self.end]
        runs.extend(forks)
        return True

    def _forked(self, run: Run, slot: Slot, member: int, facts: Facts) -> list[Run]:
        """The run with the event, once for the loop again and once for each slot reachable behind it."""
        event, step = facts.event, slot.step
        events = (*run.events, facts.taken(step.number))
        noted = noted_by(run.noted, slot, event) if slot.notes else run.noted
        taken = run.taken | 1 << step.number
        repeats, total, filled = run.repeats + 1, run.total, run.filled
        if step.all_of:
            repeats, filled = 0, filled | 1 << member
            complete = filled.bit_count() == len(slot.tests)
            again = not complete
        elif step.sum is not None and slot.amounts is not None:
            total += sum(filter(is_number, slot.amounts(event.properties)))
            complete = total >= step.sum.at_least
            again = not complete
        else:
            complete = repeats >= step.times.at_least
            again = step.times.at_most is None or repeats < step.times.at_most
        ahead: Sequence[int] = self.ahead[run.slot] if complete else ()
        if run.spoiled:
            ahead = [index for index in ahead if not self._is_spoiled(run, index)]
        core = len(events) if self.tail and not run.core and self.end in ahead else run.core
        # PERF: a Run made at once is three times as fast as one replaced.
        forks = [Run(events, index, 0, 0.0, (), 0, noted, taken, 0, core, run.session) for index in ahead]
        if again:
            values = marked_by(run.values, slot, event) if slot.marks is not None else run.values
            forks.insert(
                0,
                Run(events, run.slot, repeats, total, values, filled, noted, taken, run.spoiled, core, run.session),
            )
        return forks

    def _is_spoiled(self, run: Run, ahead: int) -> bool:
        return any(run.spoiled & 1 << guard.number for guard, _ in self.guards[run.slot][ahead])

    def _restarted(self, runs: list[Run], event: Event) -> list[Run]:
        """Of the forks of one run only the one with the newest event waits for the last ``not`` (SEMANTICS 3)."""
        if not self.tail:
            return runs
        if self.tail[-1].for_ms is None:
            return outlasting(runs, self.end)
        end, place = self.end, event.place
        newest = {run.completed for run in runs if run.slot == end and run.last == place}
        return [run for run in runs if run.slot < end or run.last == place or run.completed not in newest]

    # After an event or a deadline.

    def _settled(
        self, held: ListenerRuns, correlations: Sequence[Correlation], finished: list[Finished]
    ) -> tuple[ListenerRuns, list[Finished]]:
        accepted, last_ms = self._accepted(held.last_ms, finished)
        if last_ms is not None and self.listener.repeat is Repeat.ONCE:
            return ListenerRuns((), last_ms, held.dropped), accepted
        kept, dropped = bounded(self, without_idle(correlations, self.variables), self._max_runs)
        if len(kept) == 1 and kept[0] == self.empty_correlation:
            kept = ()
        return ListenerRuns(tuple(kept), last_ms, held.dropped + dropped), accepted

    def _accepted(self, last_ms: int | None, finished: list[Finished]) -> tuple[list[Finished], int | None]:
        """``repeat``: once, every, or not again within the cooldown of the last that counted."""
        accepted: list[Finished] = []
        seen = set()
        for each in finished:
            identity = tuple(event.event_id for event in each.run.events)
            if identity in seen:
                continue  # correlations of values that the run never met complete the same run
            seen.add(identity)
            if last_ms is not None and self.listener.repeat is Repeat.ONCE:
                continue
            cooldown_ms = self.listener.cooldown_ms
            if last_ms is not None and cooldown_ms is not None and each.at_ms - last_ms < cooldown_ms:
                self._trace(TraceEntry(Turn.IGNORED, each.run, each.at_ms, rule="cooldown"))
                continue
            if self.listener.repeat is not Repeat.EVERY:
                last_ms = each.at_ms
            accepted.append(each)
        return accepted, last_ms


def _same(runs: Sequence[Run], others: Sequence[Run]) -> bool:
    return len(runs) == len(others) and all(map(operator.is_, runs, others))
