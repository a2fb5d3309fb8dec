"""Machines with one rule broken each: the generated cases must find every one, or they prove nothing."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Final

from flows.machine import program

MUTANTS: Final[dict[str, tuple[str, str]]] = {
    "a window includes its end": (
        "at_ms - run.events[0].at_ms >= within_ms",
        "at_ms - run.events[0].at_ms > within_ms",
    ),
    "a step's window includes its end": (
        "at_ms - run.anchor[0] >= step.within_ms",
        "at_ms - run.anchor[0] > step.within_ms",
    ),
    "after excludes its end": (
        "facts.event.occurred_at_ms - run.anchor[0] < after_ms",
        "facts.event.occurred_at_ms - run.anchor[0] <= after_ms",
    ),
    "an early event is lost on a run": (
        "            if early or not self._accept(run, slot, fitting, facts, runs, done):",
        "            if not early and not self._accept(run, slot, fitting, facts, runs, done):",
    ),
    "a not does not win over the step": (
        "        if self.nots:\n            for guard, test in self._guarding(run):",
        "        if self.nots and run.slot == self.end:\n            for guard, test in self._guarding(run):",
    ),
    "a not after a loop does not guard its repetitions": (
        "            return self.guards[run.slot][run.slot + 1] if self.slots[run.slot].loops else ()",
        "            return ()",
    ),
    "a not behind skipped steps does not guard the loop": (
        "        if run.repeats and self.spoilers[run.slot]:",
        "        if False:",
    ),
    "until does not end a wait": (
        "        if slot.until is not None and facts.fits(slot.until, run, key):\n            self._kill",
        "        if False and slot.until is not None:\n            self._kill",
    ),
    "until lets a run open": (
        "            if slot.until is not None and facts.fits(slot.until, run, key):\n                continue\n",
        "",
    ),
    "next lets everything pass": ("slot.step.next and self._described(facts)", "False"),
    "a stitched event completes": ("        if finishing and facts.event.stitched:", "        if False:"),
    "a first not never forbids": (
        "            if last is not None and (guard.ever or",
        "            if last is not None and False and (guard.ever or",
    ),
    "a first not's window includes its end": ("at_ms - last < guard.for_ms", "at_ms - last <= guard.for_ms"),
    "a deadline waits for the instant after it": (
        "is not None and at <= now_ms",
        "is not None and at < now_ms",
    ),
    "a deadline's match drops nothing else": (
        "            left = [run for run in left if run.start > match.last]",
        "            left = [run for run in left if run != match]",
    ),
    "an event's match drops nothing else": (
        "return Correlation(key, (), seen), Finished(",
        "return Correlation(key, tuple(runs), seen), Finished(",
    ),
    "a trailing loop does not restart the wait": (
        "            runs = thinned(self._restarted(runs, facts.event))",
        "            runs = thinned(runs)",
    ),
    "a sum stops one short": ("complete = total >= step.sum.at_least", "complete = total > step.sum.at_least"),
    "a loop goes on beyond its end": ("repeats < step.times.at_most", "repeats <= step.times.at_most"),
    "distinct_by takes what it has": (
        "if not marks or not marks.isdisjoint(run.values):",
        "if not marks:",
    ),
    "a session does not bound a run": ("if run.session and run.session != facts.session.session_id:", "if False:"),
    "a cooldown includes its end": ("each.at_ms - last_ms < cooldown_ms", "each.at_ms - last_ms <= cooldown_ms"),
    "an ignored completion extends the cooldown": (
        'rule="cooldown"))\n                continue',
        'rule="cooldown"))\n                last_ms = each.at_ms\n                continue',
    ),
    "correlated values do not bind the step referred to": (
        "            if not any(value is not None and frozen(value) == key[variable] for value in values(properties)):",
        "            if False:",
    ),
}


def mutated(name: str) -> type[program.ListenerProgram]:
    """The class with one rule broken. The text to break must stand in the source exactly once."""
    source = Path(program.__file__).read_text(encoding="utf-8")
    before, after = MUTANTS[name]
    assert source.count(before) == 1, f"{name}: found {source.count(before)} times"
    module = types.ModuleType("flows.mutant")
    exec(compile(source.replace(before, after), "mutant.py", "exec"), module.__dict__)
    kind: type[program.ListenerProgram] = module.__dict__["ListenerProgram"]
    return kind
