"""Timelines of people whose matches are events themselves (SEMANTICS 9): every change is applied by
:mod:`flows.subscriber.weaving`. Used where a listener asks for it; of all others nothing here costs anything.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from operator import attrgetter

from contracts.events import Event
from contracts.reasons import Reason
from flows.derived.membership import is_heard, sent_by_others, with_membership
from flows.derived.session_ends import ended_ms, last_of
from flows.derived.sessions import EXTENDS_NONE, Session, SessionChange
from flows.machine.machine import Machine, MachineState, Match
from flows.machine.matches import changed, missing
from flows.subscriber.cap import CapState
from flows.subscriber.noting import take_back, told
from flows.subscriber.pinned_terms import Terms
from flows.subscriber.reapply import Fell, Late, Reapplier
from flows.subscriber.stored import Applied
from flows.subscriber.timeline import Entry, Timeline, changed_sessions, size_of
from flows.subscriber.weaving import Weaving, as_seen, belongs_to, is_behind
from flows.subscriber.wishes import Wishes

KEPT_DEPTHS = 400
"""Deep matches that are remembered of a person."""


class WovenReapplier(Reapplier):
    """Applies events to timelines, and the events that matches make of them."""

    def advance(self, timeline: Timeline, now_ms: int) -> Applied:
        """Let log time pass: fire the deadlines at or before ``now_ms``, and what comes of them."""
        if timeline.clock_ms is not None and now_ms <= timeline.clock_ms:
            return Applied()
        due_ms, first = self.next_deadline(timeline), self._from_end(timeline, len(timeline.entries))
        timeline.clock_ms = now_ms
        if due_ms is None or due_ms > now_ms:
            return Applied()
        return self._woven(timeline, first)[1]

    def next_deadline(self, timeline: Timeline) -> int | None:
        """When a deadline fires, or the end of the newest session is known: once no event can be of it any more."""
        due_ms, end_ms = timeline.advanced.due_ms, self._end_ms(timeline)
        known = [each for each in (due_ms, None if end_ms is None else end_ms + 1) if each is not None]
        return min(known, default=None)

    def _end_ms(self, timeline: Timeline) -> int | None:
        """When the newest session is over, where that is to be told and was not yet."""
        if timeline.session is None or not self._machine.minds_session_ends:
            return None
        end_ms = ended_ms(timeline.session, self._session_gap_ms)
        is_past = timeline.clock_ms is not None and timeline.clock_ms > end_ms
        return None if is_past or is_behind(timeline, len(timeline.entries), end_ms) else end_ms

    def _from_end(self, timeline: Timeline, first: int) -> int:
        """The first entry to apply again: an end that is not told yet comes before what matches made at its time."""
        end_ms = self._end_ms(timeline)
        return first if end_ms is None else min(first, _first_at(timeline.entries, end_ms))

    def take_in(self, timeline: Timeline, gone: Sequence[Match], made: Sequence[Match], log_time_ms: int) -> None:
        """Nothing: it was woven in."""

    def take_back(self, timeline: Timeline, event_ids: Collection[str]) -> Applied:
        """Take back events that matches made, and apply what comes after them again."""
        at_ms = min((fact.at_ms for fact in timeline.memberships if fact.event_id in event_ids), default=None)
        take_back(timeline, event_ids)
        first = len(timeline.entries) if at_ms is None else _first_at(timeline.entries, at_ms)
        if first == len(timeline.entries):
            return Applied()
        return self._woven(timeline, first, without=event_ids)[1]

    def _told(self, timeline: Timeline, event: Event, log_time_ms: int) -> Applied:
        """What others tell fits a step where it is not late, and is known to all events behind it in any case."""
        event = sent_by_others(event)
        late = self._is_late(timeline, event, log_time_ms)
        if not told(timeline, event):
            return Applied(Reason.DUPLICATE)
        first = _first_at(timeline.entries, event.occurred_at_ms)
        if not late:
            return self._put_in(timeline, first, ((event, event),))
        if first == len(timeline.entries):
            return Applied(Reason.LATE)
        applied = self._woven(timeline, first)[1]
        return Applied(Reason.LATE, None, applied.retractions, applied.matches, applied.amended, applied.sessions)

    def _again(
        self, timeline: Timeline, first: int, late: Late, over: Fell, *, learned: bool = False
    ) -> tuple[Fell, Applied]:
        at_ms = min([timeline.entries[first].at_ms, *(event.occurred_at_ms for event, _ in late)])
        fell, applied = self._woven(timeline, _first_at(timeline.entries, at_ms), late)
        return [*over, *fell], applied

    def _appended(self, timeline: Timeline, event: Event, source: bytes | Event) -> Applied:
        return self._put_in(timeline, _first_at(timeline.entries, event.occurred_at_ms), ((event, source),))

    def _reapplied(self, timeline: Timeline, first: int, rest: int, event: Event, source: bytes | Event) -> Applied:
        without = [entry.event_id for entry in timeline.entries[first:rest]]
        start = _first_at(timeline.entries, event.occurred_at_ms)
        return self._put_in(timeline, start, ((event, source),), without=without)

    def _put_in(self, timeline: Timeline, first: int, late: Late, *, without: Collection[str] = ()) -> Applied:
        first = self._from_end(timeline, first)
        ((_, session),), applied = self._woven(timeline, first, late, without=without)
        own = applied.retractions, applied.matches, applied.amended, applied.sessions
        return Applied(None, session, *own)

    def _woven(
        self, timeline: Timeline, first: int, late: Late = (), *, without: Collection[str] = ()
    ) -> tuple[Fell, Applied]:
        """Apply the entries from ``first`` on again, late events among them. Returns: as :meth:`merge`."""
        if first < len(timeline.entries):
            self._recall(timeline)
        old = timeline.entries[first:]
        weaving = self._weave(timeline, first, late, without)
        mute = self._mute(timeline, weaving)
        if mute:
            weaving = self._weave(timeline, first, late, without, mute=mute)
        cap = self._capped(timeline, weaving)
        new = {match.match_id for match in missing(weaving.now, weaving.told)}
        if not new.isdisjoint(cap.capped):
            # What is capped makes no event: woven again, with places for those alone that found one.
            only = new.difference(cap.capped)
            weaving = self._weave(timeline, first, late, without, only, mute=mute)
            cap = self._capped(timeline, weaving, only)
        sessions = self._sessions(timeline, old, weaving)
        retractions, news = missing(weaving.told, weaving.now), missing(weaving.now, weaving.told)
        timeline.cap = cap
        self._settle(timeline, first, late, weaving, retractions)
        return list(weaving.fell), Applied(None, None, retractions, news, changed(weaving.told, weaving.now), sessions)

    def _weave(
        self,
        timeline: Timeline,
        first: int,
        late: Late,
        without: Collection[str],
        only: Collection[str] | None = None,
        *,
        mute: Collection[str] = (),
    ) -> Weaving:
        weaving = Weaving(
            self._machine,
            self._wishes,
            self._session_gap_ms,
            self._grace_ms,
            timeline,
            first,
            late,
            without=without,
            only=only,
            mute=mute,
        )
        weaving.run()
        return weaving

    def _mute(self, timeline: Timeline, weaving: Weaving) -> frozenset[str]:
        """The new matches that stand for one which made nothing, a shadow's of then: they make no event either."""
        gone, made = missing(weaving.told, weaving.now), missing(weaving.now, weaving.told)
        if not gone or not made:
            return frozenset()
        moved = {fact.match_id for fact in timeline.memberships}
        heirs = self._wishes.heirs(gone, made, timeline.depths | weaving.depths)
        return frozenset(name for name, former in heirs.items() if former.match_id not in moved)

    def _capped(self, timeline: Timeline, weaving: Weaving, only: Collection[str] | None = None) -> CapState:
        if not self.cap.is_set:
            return timeline.cap
        gone, made = missing(weaving.told, weaving.now), missing(weaving.now, weaving.told)
        depths = timeline.depths | weaving.depths
        return self.cap.judged(timeline.cap, gone, made, depths, timeline.now_ms, only=only)

    def _sessions(self, timeline: Timeline, old: Sequence[Entry], weaving: Weaving) -> tuple[SessionChange, ...]:
        before = timeline.session
        if not old:
            began = [own for event, own in weaving.fell if event.action not in EXTENDS_NONE]
            return tuple(SessionChange(own) for own in began if before is None or own.session_id != before.session_id)
        after = [*(entry.session for entry in weaving.entries[1:]), weaving.session]
        return changed_sessions(old[0].session, [*(entry.session for entry in old[1:]), before], after)

    def _settle(
        self, timeline: Timeline, first: int, late: Late, weaving: Weaving, retractions: Sequence[Match]
    ) -> None:
        """Make the timeline what was woven. Nothing of it is changed before, so whatever raises leaves it whole."""
        old = timeline.entries[first:]
        timeline.size += sum(size_of(entry.source) for entry in weaving.entries)
        timeline.size -= sum(size_of(entry.source) for entry in old)
        timeline.entries[first:] = weaving.entries
        timeline.ids |= {event.event_id: event.occurred_at_ms for event, _ in late}
        timeline.unfolded = min(timeline.unfolded, first + 1)
        timeline.session, timeline.state, timeline.advanced = weaving.session, weaving.state, weaving.advanced
        timeline.tail = tuple(weaving.tail)
        timeline.depths = dict([*(timeline.depths | weaving.depths).items()][-KEPT_DEPTHS:])
        self._remember(timeline, weaving, retractions)
        own = [event.occurred_at_ms for event, _ in late if event.action not in EXTENDS_NONE]
        fired = [match.matched_at_ms for match in weaving.now if not match.completed_by]
        known = [] if timeline.newest_ms is None else [timeline.newest_ms]
        if newest := [*own, *fired, *known]:
            self._let_go_old(timeline, max(newest))

    def _remember(self, timeline: Timeline, weaving: Weaving, retractions: Sequence[Match]) -> None:
        gone = {match.match_id for match in retractions if not self._wishes.keeps((match.listener, match.version))}
        left = {fact.event_id for fact in weaving.memberships if fact.match_id in gone}
        # What a match made before a listener asked for it has no entry, and goes with the match.
        without = left - {entry.event_id for entry in weaving.entries}
        timeline.memberships = with_membership(weaving.memberships, (), timeline.floor, without=without)

    def _whole(self, timeline: Timeline, gone: int) -> int:
        """What was made at one time is kept with what made it; of a session that goes on its last event is known."""
        entries = timeline.entries
        while 0 < gone < len(entries) and entries[gone].at_ms == entries[gone - 1].at_ms:
            gone -= 1
        if gone and self._machine.minds_session_ends:
            if gone < len(entries) and gone < timeline.unknown:
                self._recall(timeline)
            session = entries[gone].session if gone < len(entries) else timeline.session
            old = (entry.event for entry in reversed(entries[:gone]))
            timeline.last = None if session is None else last_of(session, old, timeline.last)
        return gone

    def _stepped(
        self, timeline: Timeline, state: MachineState, session: Session | None, event: Event, *, is_needed: bool
    ) -> tuple[MachineState, Session | None]:
        own = belongs_to(session, event, self._session_gap_ms)
        if is_needed and is_heard(timeline.memberships, event):
            seen = as_seen(own, event, timeline.facts, timeline.memberships)
            state, _ = self._machine.apply(state, event, seen)
        elif is_needed:
            state, _ = self._machine.advance(state, event.occurred_at_ms)
        return state, session if event.action in EXTENDS_NONE else own


def reapplier_of(machine: Machine, terms: Terms, wishes: Wishes | None = None) -> Reapplier:
    """The reapplier that a machine's listeners need."""
    return (WovenReapplier if machine.minds_membership else Reapplier)(machine, terms, wishes)


def _first_at(entries: Sequence[Entry], at_ms: int) -> int:
    """The first entry at or behind a time: what is at one time is applied together."""
    return bisect_left(entries, at_ms, key=attrgetter("at_ms"))
