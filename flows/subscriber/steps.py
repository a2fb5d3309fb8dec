"""What one event, or the passing of time, does to one subscriber under given terms: rows and commands. Pure but for the
subscriber.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from contracts.events import Event, Trust
from contracts.membership import COMMAND_UNCHANGED
from contracts.reasons import Reason
from contracts.rows import CommandRow, EventRow, MatchRow, SessionRow
from flows.derived.profile import takes_everything_away
from flows.derived.purchases import BOUGHT, bought
from flows.derived.sessions import Session, SessionChange
from flows.language.model import Listener
from flows.machine.machine import Match, Version
from flows.machine.matches import changed, missing
from flows.subscriber.decide import Occasion, Past, decide
from flows.subscriber.evidence import Evidence, is_late_verdict, noted, revoked
from flows.subscriber.limits import Limit, LimitHits
from flows.subscriber.past import Graft
from flows.subscriber.pinned_terms import Terms
from flows.subscriber.stored import Applied
from flows.subscriber.subscriber import Emitted, Subscriber
from flows.subscriber.wishes import NEVER_PAUSED, Pauses

KEPT_ORIGINS: Final = 200
"""Amended matches whose first match is remembered per subscriber; a match that old is final."""
_NEVER: Final = 1 << 62
DAY_MS: Final = 86_400_000
PERSON_KEPT_MS: Final = 400 * DAY_MS
ANONYMOUS_KEPT_MS: Final = 30 * DAY_MS
"""How long after the last event somebody is remembered: as long as a token is believed; a device that is nobody's less
(DESIGN 5 hands over 24 hours of it, its open runs may still become rows)."""


class SubscriberSteps:
    """Steps every subscriber of a workspace under one set of terms.

    Holds no state of any subscriber; what a step changes stands in the :class:`Subscriber` that it is given.
    """

    def __init__(
        self,
        workspace: str,
        terms: Terms,
        listeners: Mapping[Version, Listener],
        limits: LimitHits,
        *,
        event_rows: bool = True,
        backfilled: Collection[Version] = (),
        pauses: Pauses = NEVER_PAUSED,
    ) -> None:
        """``listeners``: of every version there ever was, kept current by its owner. ``event_rows``: a row an event.

        ``backfilled``: the versions of which a back-fill gives what they matched as shadows, and ``pauses``, kept
        current likewise.
        """
        self._workspace, self._terms, self._listeners = workspace, terms, listeners
        self._limits, self._event_rows, self._backfilled, self._pauses = limits, event_rows, backfilled, pauses
        self._session_gap_ms, self._grace_ms = terms.session_gap_ms, terms.grace_ms

    def apply(self, person: Subscriber, event: Event, emitted: Emitted, log_time_ms: int, source: bytes | None) -> None:
        """Apply one event, whatever is due before it having been fired.

        ``source``: the JSON that the event came as; None where there is none.
        """
        if event.action == COMMAND_UNCHANGED:
            self._unchanged(person, event, emitted, log_time_ms)
            return
        applied = self._put(person, event, emitted, log_time_ms, source)
        if person.generation.awaited:
            self._hold(person, event, source, log_time_ms, matched=applied.reason is None)
        if applied.waits:
            if person.timeline.merge_ms <= log_time_ms:
                self._merge(person, emitted, log_time_ms)
            return
        if applied.reason is not None and not applied.weighed and is_late_verdict(event):
            self.revoke(person, event, emitted, log_time_ms)
        if event.action == BOUGHT and applied.reason is None:
            self._bought(person, event, emitted, log_time_ms)

    def _hold(self, person: Subscriber, event: Event, source: bytes | None, log_time_ms: int, *, matched: bool) -> None:
        """Hold an event for versions that are about to take their past over; of who was erased none does."""
        if takes_everything_away(event):
            person.held = person.held.given_up()
        elif person.held.awaits(person.generation.awaited):
            was_over = person.held.over
            person.held = person.held.with_arrival(event, source, log_time_ms, matched=matched)
            if person.held.over and not was_over:
                self._limits.hit(Limit.PAST)

    def take_over(
        self, person: Subscriber, graft: Graft, evidence: Evidence, emitted: Emitted, log_time_ms: int
    ) -> None:
        """Go on with a timeline in which a version knows its past. ``evidence``: of that version alone."""
        matches, version = person.evidence.matches, graft.version
        others = {name: match for name, match in matches.items() if (match.listener, match.version) != version}
        gone = tuple(dict.fromkeys((*person.evidence.revoked, *evidence.revoked)))
        person.evidence = Evidence({**evidence.matches, **others}, gone)
        graft.timeline.now_ms = log_time_ms
        person.timeline, person.due_ms = graft.timeline, 0
        told, now = graft.told, graft.now
        changes = Applied(None, None, missing(told, now), missing(now, told), changed(told, now))
        self._decide(person, changes, emitted, log_time_ms, 0)

    def _bought(self, person: Subscriber, event: Event, emitted: Emitted, log_time_ms: int) -> None:
        person.purchases, similar = bought(person.purchases, event, self._terms.lateness_ms)
        for each in similar:
            self._put(person, each, emitted, log_time_ms)

    def settle(self, person: Subscriber, emitted: Emitted, log_time_ms: int) -> None:
        """Put every event that waits in its place now: before other listeners hear the subscriber."""
        while person.timeline.waiting:
            self._merge(person, emitted, log_time_ms)

    def _merge(self, person: Subscriber, emitted: Emitted, log_time_ms: int) -> None:
        """Put the late events that wait in their places, and tell all that it changes."""
        timeline = person.timeline
        person.due_ms, timeline.now_ms = 0, log_time_ms
        newest, overflowed = timeline.session, timeline.overflowed
        fell, applied = person.generation.reapplier.merge(timeline)
        if timeline.overflowed != overflowed:
            self._limits.hit(Limit.UNDO_LOG, timeline.overflowed - overflowed)
        if self._event_rows:
            emitted.add_rows(
                EventRow(event, "", str(Reason.LATE), log_time_ms)
                if session is None
                else EventRow(event, session.session_id, watermark_ms=log_time_ms)
                for event, session in fell
            )
        if applied.sessions:
            self._tell_changes(person, newest, applied.sessions, emitted)
        received_at_ms = max([event.received_at_ms for event, _ in fell], default=0)
        self._decide(person, applied, emitted, log_time_ms, received_at_ms)
        for event, session in fell:
            if event.action == BOUGHT and session is not None:
                self._bought(person, event, emitted, log_time_ms)

    def fire(self, person: Subscriber, log_time_ms: int, emitted: Emitted) -> None:
        """Fire what is due at a log time: deadlines, ends of sessions, events that wait for their places.

        One after the other and each under its own time, so that rows and commands are the same whatever the batches are
        in which a worker happens to read.
        """
        reapplier, timeline = person.generation.reapplier, person.timeline
        person.due_ms = 0
        while True:
            deadline_ms = reapplier.next_deadline(timeline)
            fires_ms = _NEVER if deadline_ms is None else deadline_ms + self._grace_ms
            session = timeline.session
            ends_ms = _NEVER if session is None or person.told == session.events else self._ends_ms(session)
            if timeline.waiting and min(timeline.merge_ms, fires_ms, ends_ms) <= log_time_ms:
                # No deadline fires, and no session ends, of which what waits may know better.
                self._merge(person, emitted, min(timeline.merge_ms, fires_ms, ends_ms))
            elif deadline_ms is not None and fires_ms <= ends_ms and fires_ms <= log_time_ms:
                timeline.now_ms = fires_ms
                self._decide(person, reapplier.advance(timeline, deadline_ms), emitted, fires_ms, 0)
            elif session is not None and ends_ms <= log_time_ms:
                self._tell(person, SessionChange(session), emitted)
            else:
                break
        expires_ms = reapplier.expires_ms(timeline)
        if expires_ms is not None and expires_ms < log_time_ms:
            reapplier.let_go(timeline, log_time_ms)

    def _put(
        self, person: Subscriber, event: Event, emitted: Emitted, log_time_ms: int, source: bytes | None = None
    ) -> Applied:
        timeline = person.timeline
        person.due_ms, timeline.now_ms = 0, log_time_ms
        newest, overflowed = timeline.session, timeline.overflowed
        applied = person.generation.reapplier.put(
            timeline, event, log_time_ms=max(log_time_ms, event.log_time_ms), source=source
        )
        if applied.waits:
            return applied
        if timeline.overflowed != overflowed:
            self._limits.hit(Limit.UNDO_LOG, timeline.overflowed - overflowed)
        if self._event_rows and not takes_everything_away(event):
            reason = str(applied.reason) if applied.reason is not None else ""
            session = applied.session.session_id if applied.session is not None else ""
            emitted.add_row(EventRow(event, session, reason, log_time_ms))
        if applied.sessions:
            self._tell_changes(person, newest, applied.sessions, emitted)
        self._decide(person, applied, emitted, log_time_ms, event.received_at_ms)
        return applied

    def _tell_changes(
        self, person: Subscriber, before: Session | None, found: Iterable[SessionChange], emitted: Emitted
    ) -> None:
        """The rows of sessions that began, that ended by that, or that a late event changed.

        The newest session is told when it begins and when it ends: what extends it in between is no news.
        """
        newest = person.timeline.session
        was_told = before is not None and person.told == before.events
        for change in found:
            session = change.session
            if session is not newest:
                self._tell(person, change, emitted)
            elif before is None or session.session_id != before.session_id:
                if before is not None and before.last_at_ms < session.started_at_ms and not was_told:
                    self._tell(person, SessionChange(before), emitted)
                self._tell(person, change, emitted)
            elif change.joined or was_told:
                self._tell(person, change, emitted)

    def _tell(self, person: Subscriber, change: SessionChange, emitted: Emitted) -> None:
        session = change.session
        emitted.add_row(
            SessionRow(
                workspace=self._workspace,
                subscriber=person.timeline.state.subscriber,
                session=session.session_id,
                started_at_ms=session.started_at_ms,
                ended_at_ms=session.last_at_ms,
                events=session.events,
                landing_path=session.landing_path,
                campaign=session.campaign,
                joined=change.joined,
            )
        )
        if session is person.timeline.session:
            person.told = session.events

    def revoke(self, person: Subscriber, click: Event, emitted: Emitted, log_time_ms: int) -> None:
        """A verdict that came after the lateness: what rests on the click is taken back, nothing is matched anew."""
        self._fall(person, {click.event_id}, emitted, Occasion(self._workspace, log_time_ms, click.received_at_ms))

    def _unchanged(self, person: Subscriber, told: Event, emitted: Emitted, log_time_ms: int) -> None:
        """A command changed nothing: the events that its match made are none after all (SEMANTICS 9)."""
        name, position = told.properties.get("match"), told.properties.get("position")
        if told.trust is not Trust.SERVER or not name:
            return
        if self._event_rows:
            emitted.add_row(EventRow(told, "", ""))
        # Where the match was amended, another stands for the command.
        standing = {match for match, origin in person.past.origins.items() if origin.partition("#")[0] == name}
        timeline, facts = person.timeline, person.timeline.memberships
        timeline.cap = timeline.cap.without({name, *standing}, position)
        gone = {each.event_id for each in facts if each.match_id in {name, *standing} and each.position == position}
        moment = Occasion(self._workspace, log_time_ms, told.received_at_ms)
        self._take_back(person, gone, emitted, moment)

    def _take_back(self, person: Subscriber, event_ids: Collection[str], emitted: Emitted, moment: Occasion) -> None:
        """Take back events that matches made, and all that rests on them."""
        if not event_ids:
            return
        person.due_ms, person.timeline.now_ms = 0, moment.log_time_ms
        applied = person.generation.reapplier.take_back(person.timeline, event_ids)
        self._decide(person, applied, emitted, moment.log_time_ms, moment.received_at_ms)
        self._fall(person, event_ids, emitted, moment)

    def _fall(self, person: Subscriber, event_ids: Collection[str], emitted: Emitted, moment: Occasion) -> None:
        """Take back the matches that hold one of these events, however old they are."""
        person.evidence, victims = revoked(person.evidence, event_ids)
        if not victims:
            return
        self._say(person, victims, (), emitted, moment)
        undone = {each.match_id for each in victims if self._listeners[each.listener, each.version].undo}
        facts = person.timeline.memberships
        self._take_back(person, {each.event_id for each in facts if each.match_id in undone}, emitted, moment)

    def _decide(
        self, person: Subscriber, applied: Applied, emitted: Emitted, log_time_ms: int, received_at_ms: int
    ) -> None:
        if not (applied.retractions or applied.matches or applied.amended):
            return
        gone, made, amended = (
            [match for match in matches if match.match_id not in person.evidence.revoked]
            for matches in (applied.retractions, applied.matches, applied.amended)
        )
        again = person.evidence.revoked
        person.timeline.cap = person.timeline.cap.without(again) if again else person.timeline.cap
        person.evidence, over = noted(person.evidence, gone, (*made, *amended), log_time_ms)
        if over:
            self._limits.hit(Limit.EVIDENCE, over)
        moment = Occasion(self._workspace, log_time_ms, received_at_ms)
        self._say(person, gone, made, emitted, moment)
        emitted.add_rows(_amendment(match, moment, self._mark(person, match)) for match in amended)

    def _mark(self, person: Subscriber, match: Match) -> str:
        return self._remembered(person).mark(self._listeners[match.listener, match.version], match, self._workspace)

    def _remembered(self, person: Subscriber) -> Past:
        """The past of a person's decisions, with what their timeline knows of it."""
        past, timeline = person.past, person.timeline
        return Past(past.origins, past.spent, past.named, timeline.depths, timeline.cap.capped, self._pauses)

    def _say(
        self,
        person: Subscriber,
        gone: Iterable[Match],
        made: Iterable[Match],
        emitted: Emitted,
        moment: Occasion,
    ) -> None:
        listeners, shadows = self._listeners, person.generation.shadows
        taken_back, new = tuple(gone), tuple(made)
        timeline, reapplier = person.timeline, person.generation.reapplier
        timeline.cap = reapplier.cap.judged(timeline.cap, taken_back, new, timeline.depths, moment.log_time_ms)
        before = self._remembered(person)
        decision = decide(listeners, taken_back, new, before, moment, shadows=shadows, backfilled=self._backfilled)
        own = [match for match in new if not decision.stands_for_shadows(match)]
        reapplier.take_in(timeline, taken_back, own, moment.log_time_ms)
        past, over = _bounded(decision.past)
        person.past = past
        if over:
            self._limits.hit(Limit.ORIGINS, over)
        self._limits.without_command.update(row.reason for row in decision.rows if row.kind == "match" and row.reason)
        emitted.add_rows(decision.rows)
        emitted.add_rows(CommandRow(command) for command in decision.commands)
        emitted.add_commands(decision.commands)
        emitted.add_restated(decision.restated)
        emitted.add_refused(decision.refused)

    def due_ms(self, person: Subscriber) -> int:
        """The log time at which :meth:`fire` or :meth:`is_forgotten` next has something to do."""
        timeline, reapplier = person.timeline, person.generation.reapplier
        deadline_ms = reapplier.next_deadline(timeline)
        expires_ms = reapplier.expires_ms(timeline)
        if expires_ms is not None:
            due_ms = expires_ms + 1
        else:
            due_ms = self._forgotten_ms(person) if deadline_ms is None else deadline_ms + self._grace_ms
        session = timeline.session
        if session is not None and person.told != session.events:
            due_ms = min(due_ms, self._ends_ms(session))
        if deadline_ms is not None:
            due_ms = min(due_ms, deadline_ms + self._grace_ms)
        if timeline.waiting:
            due_ms = min(due_ms, timeline.merge_ms)
        return due_ms

    def is_forgotten(self, person: Subscriber, log_time_ms: int) -> bool:
        """Whether nothing need be kept of a subscriber any more."""
        if person.timeline.entries:
            return False
        if person.timeline.newest_ms is None and not person.timeline.facts and not person.timeline.memberships:
            return True
        waits = person.generation.reapplier.next_deadline(person.timeline) is not None
        return not waits and self._forgotten_ms(person) <= log_time_ms

    def _forgotten_ms(self, person: Subscriber) -> int:
        kept_ms = ANONYMOUS_KEPT_MS if person.is_nobody else PERSON_KEPT_MS
        timeline = person.timeline
        told = [facts[-1].at_ms for facts in (timeline.facts, timeline.memberships) if facts]
        return max(timeline.newest_ms or 0, *told, 0) + kept_ms

    def _ends_ms(self, session: Session) -> int:
        """The log time at which nothing can extend a session any more but what comes late."""
        return session.last_at_ms + self._session_gap_ms + 1 + self._grace_ms


def _bounded(past: Past) -> tuple[Past, int]:
    """At most so much of the past, and how much was let go. Names are bounded by the share of each person."""
    over = [max(len(each) - KEPT_ORIGINS, 0) for each in (past.origins, past.spent)]
    if not any(over):
        return past, 0
    origins, spent = dict(list(past.origins.items())[over[0] :]), dict(list(past.spent.items())[over[1] :])
    return past._replace(origins=origins, spent=spent), sum(over)


def _amendment(match: Match, moment: Occasion, mark: str) -> MatchRow:
    return MatchRow(
        kind="amendment",
        workspace=moment.workspace,
        subscriber=match.subscriber,
        listener=match.listener,
        version=match.version,
        match_id=match.match_id,
        matched_at_ms=match.matched_at_ms,
        evidence=dict(match.steps),
        replaces=match.match_id,
        reason=mark,
        log_time_ms=moment.log_time_ms,
    )
