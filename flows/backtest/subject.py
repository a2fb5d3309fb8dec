"""What is tested on the past: versions of one listener, and what they can start on and hear. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from contracts.actions import PROFILE_CHANGED
from contracts.membership import COMMAND_UNCHANGED, MEMBERSHIP, SESSION_ENDED
from contracts.time_zones import named_zone
from flows.backtest.openers import Starts, Way, bounded, starts_of
from flows.language.model import Condition, Listener, Not
from flows.machine.compiled import Tests, minds_membership, minds_profiles, minds_session_ends, minds_sessions
from flows.machine.program import ListenerProgram
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms


class Subject:
    """Versions of one listener at work in an engine of their own."""

    def __init__(self, workspace: str, deployed: Sequence[Deployed], terms: Terms) -> None:
        self.listeners = tuple(each.listener for each in deployed)
        self.engine = WorkspaceEngine(workspace, terms=terms, event_rows=False)
        self.engine.deploy(deployed)
        self._programs = [_program(listener, terms) for listener in self.listeners]

    @property
    def starts(self) -> Starts | None:
        """The ways in which an event may open a run, by its action; None where any action may."""
        found = starts_of(each for program in self._programs for each in _opening(program))
        # The end of a session is no row: the flow makes it of any event.
        return None if found is None or SESSION_ENDED in found else found

    @property
    def actions(self) -> frozenset[str] | None:
        """The actions whose events an answer may depend on; None: all.

        What asks of sessions hangs on every event; so does when a deadline fires, for time passes with each, and what
        a late fact changes: only what is not final by the newest of them.
        """
        return None if any(map(_hangs_on_all, self.listeners)) else self.heard

    @property
    def heard(self) -> frozenset[str] | None:
        """The actions whose properties an answer may depend on; None: all."""
        found: set[str] = set()
        for listener, program in zip(self.listeners, self._programs, strict=True):
            if any(test.actions is None for test in program.tests):
                return None
            found.update(*(test.actions or () for test in program.tests))
            if minds_session_ends(listener):
                return None
            if minds_profiles(listener):
                found.add(PROFILE_CHANGED)
            if minds_membership(listener):
                found |= MEMBERSHIP | {COMMAND_UNCHANGED}
        return frozenset(found)


def together(
    subjects: Iterable[Subject],
) -> tuple[Starts | None, frozenset[str] | None, frozenset[str] | None]:
    """Return what any of several subjects can start on, whose events they need, and whose properties."""
    each = list(subjects)
    starts = [subject.starts for subject in each]
    actions = _any([subject.actions for subject in each])
    heard = _any([subject.heard for subject in each])
    if None in starts:
        return None, actions, heard
    merged: dict[str, tuple[Way, ...]] = {}
    for found in starts:
        for action, ways in (found or {}).items():
            merged[action] = bounded(tuple(dict.fromkeys((*merged.get(action, ()), *ways))))
    return merged, actions, heard


def _opening(program: ListenerProgram) -> Iterator[Condition]:
    """The conditions of the steps that may be the first to take an event."""
    for slot in program.ahead[-1]:
        if slot < program.end:
            step = program.slots[slot].step
            yield from step.all_of
            if step.condition is not None:
                yield step.condition


def _hangs_on_all(listener: Listener) -> bool:
    asks = minds_sessions(listener) or minds_profiles(listener) or minds_membership(listener)
    return asks or isinstance(listener.sequence[-1], Not)


def _any(each: Sequence[frozenset[str] | None]) -> frozenset[str] | None:
    return None if None in each else frozenset[str]().union(*(found for found in each if found is not None))


def _program(listener: Listener, terms: Terms) -> ListenerProgram:
    return ListenerProgram(listener, Tests(named_zone(terms.time_zone)), max_runs=1)
