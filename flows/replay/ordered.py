"""One person's events in their order, applied once: what the commands that replay events look at. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from contracts.actions import PROFILE_CHANGED
from contracts.events import Event
from contracts.membership import MEMBERSHIP
from flows.derived.membership import fact_of, sent_by_others, with_membership
from flows.derived.profile import facts_of, with_facts, with_profiles
from flows.machine.machine import Machine, MachineState, Match
from flows.subscriber.timeline import Timeline
from flows.subscriber.weaving import Weaving
from flows.subscriber.wishes import NEVER_PAUSED, Pauses, Wishes


class Replayed(NamedTuple):
    """``matches``: in order; ``state``: at the end; ``seen``: the events that a listener may have judged."""

    matches: list[Match]
    state: MachineState
    seen: list[Event]


def replayed(
    machine: Machine, events: Iterable[Event], *, gap_ms: int, final_ms: int | None, pauses: Pauses = NEVER_PAUSED
) -> Replayed:
    """Apply the events of one person, in their order, and let time pass to ``final_ms``.

    Where a listener asks for joinings and leavings, matches make theirs, as all listeners of the machine say; none that
    completed in one of its listener's ``pauses``.
    """
    every = list(events)
    if machine.minds_membership:
        return _woven(machine, every, gap_ms, final_ms, pauses)
    state, found, seen = machine.start(_subscriber(every)), list[Match](), list[Event]()
    for event, session in with_profiles(every, gap_ms=gap_ms):
        state, matches = machine.apply(state, event, session)
        found.extend(matches)
        seen.append(event)
    if final_ms is not None:
        state, matches = machine.advance(state, final_ms)
        found.extend(matches)
    return Replayed(found, state, seen)


def _subscriber(events: list[Event]) -> str:
    return events[0].subscriber if events else ""


def _woven(machine: Machine, events: list[Event], gap_ms: int, final_ms: int | None, pauses: Pauses) -> Replayed:
    timeline = Timeline(machine.start(_subscriber(events)))
    timeline.clock_ms = final_ms
    own = list[Event]()
    for event in events:
        if event.action == PROFILE_CHANGED:
            timeline.facts = with_facts(timeline.facts, facts_of(event), None)
        else:
            own.append(sent_by_others(event) if event.action in MEMBERSHIP else event)
    facts = [fact for event in own if event.action in MEMBERSHIP and (fact := fact_of(event)) is not None]
    timeline.memberships = with_membership((), facts, None)
    wishes = Wishes("", machine.listeners, pauses=pauses)
    weaving = Weaving(machine, wishes, gap_ms, 0, timeline, 0, [(event, event) for event in own])
    weaving.run()
    return Replayed(weaving.now, weaving.advanced, [entry.event for entry in weaving.entries])
