"""Any order of arrival within the lateness ends with the answer of the ordered stream (SEMANTICS 2, 4, 7; DESIGN 6).

A :class:`Timeline` keeps, for the last ``lateness`` of event time, the events that came and the immutable state before
each. An event in order is applied once, to the newest state, at once. A late one is put in its place and the events
after it are applied again; what then no longer holds is a retraction, what is new is a match. The verdict on a click is
the same thing: the event comes again under its id, in its place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from operator import attrgetter
from typing import Final

from contracts.actions import PROFILE_CHANGED
from contracts.events import Event
from contracts.membership import MEMBERSHIP
from contracts.reasons import Reason
from flows.derived.membership import sent_by_others
from flows.derived.profile import facts_of, known_at, profiled, takes_everything_away, with_facts
from flows.derived.sessions import Session, SessionChange, extended
from flows.derived.verdicts import is_news, with_verdict
from flows.machine.earlier import UNCHANGED, VersionChange
from flows.machine.machine import Machine, MachineState, Match
from flows.machine.matches import changed, missing
from flows.subscriber.cap import Cap, CapJudge
from flows.subscriber.evidence import CLICKED
from flows.subscriber.merging import Fell, Late, Merging
from flows.subscriber.noting import forget, note, take_back, told
from flows.subscriber.pinned_terms import Terms
from flows.subscriber.stored import Applied, joined
from flows.subscriber.timeline import (
    NO_TIME,
    Timeline,
    changed_sessions,
    entry_of,
    expires_ms,
    is_late,
    let_go,
    moved,
    place_among,
    remember_ids,
    shifted,
    size_of,
    too_old,
)
from flows.subscriber.timeline_codec import TimelineCodec
from flows.subscriber.wishes import Wishes

__all__ = ["Applied", "Fell", "Late", "Reapplier", "Timeline"]

_SAME: Final[tuple[SessionChange, ...]] = ()
_NEVER: Final = -(1 << 62)
_FACTS: Final = MEMBERSHIP | {PROFILE_CHANGED}
DEFAULT_MAX_EVENTS: Final = 2_000
"""Events kept per subscriber for re-application; past it the oldest are final and ``overflowed`` counts them."""
WAITS_BEHIND: Final = 64
"""A late event that comes before more events than this waits until :data:`MERGE_AFTER_MS`, and is put in its place with
all others that wait: applying the later events again costs the same for one as for a thousand. Those that displace
fewer are put in their places at once."""
MERGE_AFTER_MS: Final = 1_000
"""Log time; shorter than the default grace, and no deadline fires before what waits is in its place."""


class Reapplier:
    """Applies events to timelines. Pure but for the timeline it is given; share it freely."""

    def __init__(
        self, machine: Machine, terms: Terms, wishes: Wishes | None = None, *, max_events: int = DEFAULT_MAX_EVENTS
    ) -> None:
        """``wishes``: what matches make of a person; if not given, all of them what their listeners say."""
        self._machine, self._codec = machine, TimelineCodec(machine)
        self._wishes = Wishes("", machine.listeners) if wishes is None else wishes
        self._grace_ms = terms.grace_ms
        self.cap = CapJudge(Cap(terms.cap_moves, terms.cap_ms), self._wishes)
        self._lateness_ms = terms.lateness_ms
        self._session_gap_ms = terms.session_gap_ms
        self._max_delay_ms = terms.max_delay_ms
        self._max_events = max_events

    def new(self, subscriber: str) -> Timeline:
        """The timeline of a subscriber of whom nothing is known."""
        return Timeline(self._machine.start(subscriber))

    def put(
        self, timeline: Timeline, event: Event, *, log_time_ms: int, source: bytes | Event | None = None
    ) -> Applied:
        """Put an event in its place. ``log_time_ms``: when the log took it; ``source``: the JSON that it came as.

        An event whose id is known is a duplicate, unless it brings the verdict on a click that was provisional, or
        that a click which counted was a machine's.
        """
        entries, event_id = timeline.entries, event.event_id
        if event.action in _FACTS:
            is_profile = event.action == PROFILE_CHANGED
            return self._learned(timeline, event) if is_profile else self._told(timeline, event, log_time_ms)
        if event_id in timeline.ids:
            return self._repeated(timeline, event)
        if self._is_late(timeline, event, log_time_ms):
            return Applied(Reason.LATE)
        newest = entries[-1] if entries else None
        # PERF: most events come in order, and most of those with a later time: no place is made for them.
        if newest is None or event.occurred_at_ms > newest.at_ms or event.place > newest.place:
            return self._appended(timeline, event, source or event)
        index = place_among(entries, event)
        if len(entries) - index > WAITS_BEHIND and event.action != CLICKED:
            return self._waits(timeline, event, log_time_ms, source or event)
        return self._reapplied(timeline, index, index, event, source or event)

    def _waits(self, timeline: Timeline, event: Event, log_time_ms: int, source: bytes | Event) -> Applied:
        if not timeline.waiting:
            timeline.merge_ms = log_time_ms + MERGE_AFTER_MS
        timeline.waiting.append((event, source))
        timeline.waits_from_ms = min(timeline.waits_from_ms, event.occurred_at_ms)
        timeline.ids[event.event_id] = event.occurred_at_ms
        if len(timeline.waiting) >= self._max_events:
            timeline.merge_ms = log_time_ms
        return Applied(waits=True)

    def merge(self, timeline: Timeline) -> tuple[Fell, Applied]:
        """Put the events that wait in their places, all at once.

        Returns: each with the session that it fell into, and what they changed together. One that comes before what is
        kept by now is too late (None), and counted as any that is more than is kept.
        """
        late = sorted(timeline.waiting, key=lambda each: each[0].place)
        timeline.waiting, timeline.merge_ms, timeline.waits_from_ms = [], 0, NO_TIME
        floor, over = timeline.floor, list[tuple[Event, Session | None]]()
        if floor is not None:
            over = [(event, None) for event, _ in late if event.place <= floor]
            timeline.overflowed += len(over)
            late = late[len(over) :]
        first = place_among(timeline.entries, late[0][0]) if late else 0
        if late and first == len(timeline.entries):
            return self._merged_behind(timeline, late, over)
        return self._again(timeline, first, late, over) if late else (over, Applied())

    def _learned(self, timeline: Timeline, event: Event) -> Applied:
        """Take in what became known of the person, whenever it was; the events after it see it."""
        before = timeline.facts
        timeline.facts = with_facts(before, facts_of(event), timeline.floor)
        if takes_everything_away(event):
            forget(timeline)
        first = place_among(timeline.entries, event)
        if timeline.facts == before or first == len(timeline.entries) or not self._machine.minds_profiles:
            return Applied()
        return self._again(timeline, first, (), [], learned=True)[1]

    def _told(self, timeline: Timeline, event: Event, log_time_ms: int) -> Applied:
        """Take in that others put the person into a list, or took them out."""
        return Applied(None if told(timeline, sent_by_others(event)) else Reason.DUPLICATE)

    def take_in(self, timeline: Timeline, gone: Sequence[Match], made: Sequence[Match], log_time_ms: int) -> None:
        """Take in what matches made of the person's lists, and what those that are taken back had made."""
        note(timeline, self._wishes, gone, made, log_time_ms)

    def take_back(self, timeline: Timeline, event_ids: Collection[str]) -> Applied:
        """Take back events that matches made."""
        take_back(timeline, event_ids)
        return Applied()

    def _again(
        self, timeline: Timeline, first: int, late: Late, over: Fell, *, learned: bool = False
    ) -> tuple[Fell, Applied]:
        """Apply the entries from ``first`` on again, late events among them; see :meth:`merge`."""
        self._recall(timeline)
        old, newest = timeline.entries[first:], timeline.session
        prior, before = old[0].session, [*(entry.session for entry in old[1:]), newest]
        states = [*(entry.state for entry in old[1:]), timeline.state]
        merging = Merging(self._machine, self._session_gap_ms, old[0], timeline.facts, learned=learned)
        at = 0
        for entry, after in zip(old, states, strict=True):
            while at < len(late) and late[at][0].place < entry.place:
                merging.insert(*late[at])
                at += 1
            merging.repeat(entry, after)
        for event, source in late[at:]:
            merging.insert(event, source)
        if first < timeline.unfolded:
            timeline.unfolded += len(late)
        timeline.size += sum(size_of(source) for _, source in late)
        timeline.entries[first:] = merging.entries
        timeline.session = merging.session
        told = [*merging.told, *timeline.tail]
        self._newest(timeline, merging.state)
        now = [*merging.now, *timeline.tail]
        after_each = [*(entry.session for entry in merging.entries[1:]), merging.session]
        others = changed_sessions(prior, before, after_each)
        self._grow_old(timeline, timeline.tail)
        return [*over, *merging.fell], Applied(
            None, None, missing(told, now), missing(now, told), changed(told, now), others
        )

    def _merged_behind(self, timeline: Timeline, late: Late, fell: Fell) -> tuple[Fell, Applied]:
        """Apply what waited behind all that is left, as if it came now in order. ``fell``: those too late."""
        each = [self._appended(timeline, event, source) for event, source in late]
        fell.extend((event, applied.session) for (event, _), applied in zip(late, each, strict=True))
        return fell, joined(each)

    def _repeated(self, timeline: Timeline, event: Event) -> Applied:
        """An event whose id is known."""
        at_ms = timeline.ids[event.event_id]
        for known in range(bisect_left(timeline.entries, at_ms, key=attrgetter("at_ms")), len(timeline.entries)):
            entry = timeline.entries[known]
            if entry.at_ms != at_ms:
                break
            if entry.event_id == event.event_id:
                before = entry.event
                if not is_news(before, event):
                    return Applied(Reason.DUPLICATE, weighed=True)
                judged = with_verdict(before, event)
                return self._reapplied(timeline, known, known + 1, judged, judged)
        return Applied(Reason.DUPLICATE)

    def advance(self, timeline: Timeline, now_ms: int) -> Applied:
        """Let log time pass: fire the deadlines at or before ``now_ms``."""
        if timeline.clock_ms is not None and now_ms <= timeline.clock_ms:
            return Applied()
        timeline.clock_ms = now_ms
        timeline.advanced, matches = self._machine.advance(timeline.advanced, now_ms)
        timeline.tail += matches
        self._grow_old(timeline, matches)
        return Applied(matches=matches)

    def next_deadline(self, timeline: Timeline) -> int | None:
        """When :meth:`advance` has something to do, in ms of log time."""
        return self._machine.next_deadline(timeline.advanced)

    def dropped(self, timeline: Timeline) -> int:
        """How many runs were dropped."""
        return self._machine.dropped(timeline.state)

    @property
    def machine(self) -> Machine:
        """The machine of the listeners."""
        return self._machine

    def encode(self, timeline: Timeline, *, whole: bool = False) -> bytes:
        """The timeline as bytes. ``whole``: with the states between the events, for a machine with other listeners."""
        if whole:
            self._recall(timeline)
            # One more: the next event meets a state that does not follow from the last one under other listeners.
            timeline.unfolded = len(timeline.entries) + 1
        return self._codec.encode(timeline)

    def decode(self, data: bytes, change: VersionChange = UNCHANGED) -> Timeline:
        """The timeline of these bytes. Matches of versions that are gone cannot be taken back. Raises ``BadRecord``."""
        return self._codec.decode(data, change)

    def expires_ms(self, timeline: Timeline) -> int | None:
        """The log time after which :meth:`let_go` has something to do."""
        return expires_ms(timeline, self._max_delay_ms)

    def let_go(self, timeline: Timeline, log_time_ms: int) -> None:
        """Let go of events before which nothing can be put any more: what came there would be late in any case."""
        let_go(timeline, log_time_ms, self._max_delay_ms, self._max_events)

    def _is_late(self, timeline: Timeline, event: Event, log_time_ms: int) -> bool:
        return is_late(timeline, event, log_time_ms, self._lateness_ms, self._max_delay_ms)

    def _appended(self, timeline: Timeline, event: Event, source: bytes | Event) -> Applied:
        """Apply an event behind all others: once, to the newest state."""
        before, state = timeline.session, timeline.state
        own = extended(before, event, gap_ms=self._session_gap_ms)
        after, made = self._apply(timeline, state, event, own)
        timeline.entries.append(entry_of(event, source, state, before, made))
        timeline.size += size_of(source)
        timeline.ids[event.event_id] = event.occurred_at_ms
        timeline.session = own
        sessions = _SAME if before is not None and own.session_id == before.session_id else (SessionChange(own),)
        if timeline.tail or after.due_ms is not None:
            told = timeline.tail
            self._newest(timeline, after)
            now = (*made, *timeline.tail)
            self._grow_old(timeline, timeline.tail)
            return Applied(None, own, missing(told, now), missing(now, told), changed(told, now), sessions)
        timeline.state = timeline.advanced = after
        self._grow_old(timeline, ())
        return Applied(None, own, (), made, (), sessions)

    def _reapplied(self, timeline: Timeline, first: int, rest: int, event: Event, source: bytes | Event) -> Applied:
        """Apply ``event`` at index ``first``, then again the entries from ``rest`` on.

        Where applying again has come to the very state that was there, the answers from there on are those of before.
        """
        self._recall(timeline)
        old, gap_ms = timeline.entries[first:], self._session_gap_ms
        prior, newest = old[0].session, timeline.session
        before = [entry.session for entry in old[1:]]
        own = extended(prior, event, gap_ms=gap_ms)
        state, made = self._apply(timeline, old[0].state, event, own)
        again, session = [entry_of(event, source, old[0].state, prior, made)], own
        told = [match for entry in old[: rest - first] for match in entry.made]
        now, settled = list(made), False
        for index in range(rest - first, len(old)):
            each = old[index]
            settled = settled or (state is each.state and not self._machine.minds_sessions)
            if settled and session == each.session:
                again.extend(old[index:])  # nothing is another from here on
                session = newest or session
                break
            after_it = before[index] if index < len(before) else newest
            into = shifted(session, each, after_it) if settled else None
            if settled and into is not None:
                again.append(moved(each, each.state, session, each.made))
                session = into
                continue
            again_event = each.event
            into = extended(session, again_event, gap_ms=gap_ms)
            if settled:
                again.append(moved(each, each.state, session, each.made))
            else:
                after, made = self._apply(timeline, state, again_event, into)
                again.append(moved(each, state, session, made))
                told.extend(each.made)
                now.extend(made)
                state = after
            session = into
        # Nothing of the timeline is changed before here, so whatever raises leaves it whole.
        timeline.size += size_of(source) - sum(size_of(entry.source) for entry in old[: rest - first])
        timeline.ids[event.event_id] = event.occurred_at_ms
        timeline.entries[first:] = again
        timeline.unfolded += first == rest and first < timeline.unfolded
        timeline.session = session
        if not settled:
            told.extend(timeline.tail)
            self._newest(timeline, state)
            now.extend(timeline.tail)
        others = changed_sessions(prior, [*before, newest], [*(entry.session for entry in again[1:]), session])
        self._grow_old(timeline, timeline.tail)
        return Applied(None, own, missing(told, now), missing(now, told), changed(told, now), others)

    def _apply(
        self, timeline: Timeline, state: MachineState, event: Event, session: Session
    ) -> tuple[MachineState, tuple[Match, ...]]:
        if timeline.facts and self._machine.minds_profiles:
            session = profiled(session, known_at(timeline.facts, event.place))
        return self._machine.apply(state, event, session)

    def _recall(self, timeline: Timeline) -> None:
        """Find the states and sessions between the entries again: they follow from the first ones and the events."""
        if timeline.unknown < 2:
            return
        state, session = timeline.entries[0].state, timeline.entries[0].session
        for index, entry in enumerate(timeline.entries[: timeline.unknown]):
            before = entry.state if index < timeline.unfolded else state
            timeline.entries[index] = moved(entry, before, session, entry.made)
            is_needed = timeline.unfolded <= index + 1 < timeline.unknown
            state, session = self._stepped(timeline, before, session, entry.event, is_needed=is_needed)
        timeline.unknown = 0

    def _stepped(
        self, timeline: Timeline, state: MachineState, session: Session | None, event: Event, *, is_needed: bool
    ) -> tuple[MachineState, Session | None]:
        """The state and the session after an event. ``is_needed``: the state is; else it is the one of before."""
        own = extended(session, event, gap_ms=self._session_gap_ms)
        return (self._apply(timeline, state, event, own)[0] if is_needed else state), own

    def _newest(self, timeline: Timeline, state: MachineState) -> None:
        """This is the state after the last event; what log time does to it comes after."""
        timeline.state = timeline.advanced = state
        timeline.tail = ()
        if timeline.clock_ms is not None:
            timeline.advanced, timeline.tail = self._machine.advance(state, timeline.clock_ms)

    def _grow_old(self, timeline: Timeline, fired: Sequence[Match]) -> None:
        """Move the newest time on, and let go of what is older than the lateness, or more than is kept."""
        entries = timeline.entries
        newest = timeline.newest_ms
        newest_ms = _NEVER if newest is None else newest
        if entries and entries[-1].at_ms > newest_ms:
            newest_ms = entries[-1].at_ms
        for match in fired:
            newest_ms = max(newest_ms, match.matched_at_ms)
        if newest_ms != _NEVER:
            self._let_go_old(timeline, newest_ms)

    def _let_go_old(self, timeline: Timeline, newest_ms: int) -> None:
        timeline.newest_ms = newest_ms
        entries = timeline.entries
        # What waits still needs what comes behind it.
        oldest_ms = min(newest_ms - self._lateness_ms, timeline.waits_from_ms)
        gone = self._whole(timeline, too_old(timeline, oldest_ms, self._max_events))
        if gone:
            timeline.size -= sum([size_of(entry.source) for entry in entries[:gone]])
            if gone < timeline.unknown:
                self._recall(timeline)
            timeline.unknown = max(timeline.unknown - gone, 0)
            timeline.unfolded = max(timeline.unfolded - gone, 0)
            timeline.floor = entries[gone - 1].place
            old = entries[:gone]
            del entries[:gone]
            remember_ids(timeline, old, self._max_delay_ms, self._max_events)

    def _whole(self, timeline: Timeline, gone: int) -> int:
        return gone
