"""The rules of SEMANTICS 3, written from that page alone, slow and plain: one machine, no index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flows.language.model import Listener, Not, Step
from tests.properties.naive_language import Events, Key, Run, Seen, ahead, fillable, fits, is_complete, is_loop

from tests.properties.naive_language import home, rank, takes_more  # isort: skip


class Simulation:
    def __init__(self, listener: Listener, stream: Sequence[Seen], key: Key) -> None:
        self.listener, self.stream, self.key = listener, stream, key
        self.steps = [element for element in listener.sequence if isinstance(element, Step)]
        self.nots = [element for element in listener.sequence if isinstance(element, Not)]
        self.first = [guard for guard in self.nots if guard.number < self.steps[0].number]
        self.tail = [guard for guard in self.nots if guard.number > self.steps[-1].number]
        self.conditions = [c for step in self.steps for c in step.conditions()] + [n.condition for n in self.nots]
        self.end, self.runs, self.found = len(self.steps), list[Run](), list[Any]()

    def at(self, index: int) -> int:
        return self.stream[index][0].occurred_at_ms

    def numbered(self, run: Run, before: int) -> Events:
        return [(self.stream[index][0], self.steps[slot].number) for index, slot in run.taken if index < before]

    def of_step(self, run: Run, slot: int) -> list[Any]:
        return [self.stream[index][0] for index, each in run.taken if each == slot]

    def unbroken(self, run: Run, to: int, now: int) -> bool:
        """No `not` between the last step (from its first event on, if it is a loop) and slot `to` was seen."""
        last = run.taken[-1][1]
        since = (
            next(index for index, slot in run.taken if slot == last) if is_loop(self.steps[last]) else run.taken[-1][0]
        )
        until = self.steps[to].number if to < self.end else 99
        guards = [guard for guard in self.nots if self.steps[last].number < guard.number < until]
        return not any(fits(guard.condition, self.stream[index], self.numbered(run, index), self.key)
                       for index in range(since + 1, now + 1) for guard in guards)  # fmt: skip

    def core(self, run: Run) -> list[int]:
        """The events that completed all but the last `not`s: what the forks of one waiting run share."""
        prefixes = [Run(run.taken[:count]) for count in range(1, len(run.taken) + 1)]
        return next([at for at, _ in one.taken] for one in prefixes if self.end in ahead(self.steps, one.taken[-1][1])
                    and is_complete(self.steps[one.taken[-1][1]], self.of_step(one, one.taken[-1][1])))  # fmt: skip

    def deadline(self, run: Run) -> int:
        for_ms = self.tail[-1].for_ms
        return self.at(run.taken[-1 if for_ms else 0][0]) + (for_ms or self.listener.within_ms or 0)

    def fire(self, now_ms: int, now: int) -> None:
        while waiting := [(self.deadline(run), rank(run), run) for run in self.runs if run.slot == self.end
                          and self.deadline(run) <= now_ms and self.unbroken(run, self.end, now)]:  # fmt: skip
            at_ms, _, match = min(waiting)
            self.found.append((at_ms, 0, match))
            self.runs = [run for run in self.runs if run.taken[0][0] > match.taken[-1][0]]

    def is_gone(self, run: Run, step: Step, now: int) -> bool:
        within_ms, anchor, opened = self.listener.within_ms, self.anchor(run), run.taken[0][0]
        again = any(slot == run.slot for _, slot in run.taken)
        return bool((within_ms and self.at(now) - self.at(opened) >= within_ms)
                    or (step.within_ms and self.at(now) - anchor >= step.within_ms)
                    or (self.listener.scope == "session" and home(self.stream[now]) != home(self.stream[opened]))
                    or (not run.filled and not self.unbroken(run, run.slot + again, now)))  # fmt: skip

    def forbids(self, guard: Not, index: int, now: int) -> bool:
        near = guard.ever or self.at(now) - self.at(index) < (guard.for_ms or 0)
        return near and fits(guard.condition, self.stream[index], [], self.key)

    def anchor(self, run: Run) -> int:
        return self.at(run.taken[max(len(run.taken) - 1 - len(run.filled), 0)][0]) if run.taken else 0

    def meet(self, run: Run, now: int, done: list[Run]) -> list[Run]:
        if run.slot == self.end:
            return [run]
        step, seen = self.steps[run.slot], self.stream[now]
        if run.taken and self.is_gone(run, step, now):
            return []
        if step.until and fits(step.until, seen, self.numbered(run, now), self.key):
            return []
        members = fillable(step, run.filled, seen, self.numbered(run, now), self.of_step(run, run.slot), self.key)
        if not members:
            described = any(fits(condition, seen, [], self.key, described=True) for condition in self.conditions)
            return [] if step.next and described else [run]
        if run.taken and step.after_ms and self.at(now) - self.anchor(run) < step.after_ms:
            return [run]
        forks: list[Run] = []
        for member in members:
            took = Run((*run.taken, (now, run.slot)), run.slot, run.filled | ({member} if step.all_of else set()))
            mine = self.of_step(took, run.slot)
            forks += [took] if takes_more(step, mine) else []
            forks += [Run(took.taken, slot) for slot in ahead(self.steps, run.slot) if is_complete(step, mine)
                      and (slot < self.end or self.unbroken(took, slot, now))]  # fmt: skip
        finished = [fork for fork in forks if fork.slot == self.end and not self.tail]
        if finished and seen[0].stitched:
            return [run]
        done += finished
        return [fork for fork in forks if fork not in finished]

    def simulate(self, end_ms: int | None) -> list[Any]:
        for now in range(len(self.stream)):
            self.fire(self.at(now), now - 1)
            done: list[Run] = []
            self.runs = [fork for run in self.runs for fork in self.meet(run, now, done)]
            if not any(self.forbids(guard, index, now) for guard in self.first for index in range(now)):
                starts = [Run((), slot) for slot in ahead(self.steps, -1) if slot < self.end]
                self.runs += [run for start in starts for run in self.meet(start, now, done) if run.taken]
            if done:
                self.found.append((self.at(now), 1, min(done, key=rank)))
                self.runs = []
            waiting = [run for run in self.runs if run.slot == self.end and self.tail[-1].for_ms]
            ends = [(self.core(run), run.taken[-1][0]) for run in waiting]
            self.runs = [run for run in self.runs if run.slot < self.end
                         or all(last <= run.taken[-1][0] for core, last in ends if core == self.core(run))]  # fmt: skip
        self.fire(end_ms, len(self.stream) - 1) if end_ms is not None else None
        return self.found
