"""One subscriber's events to rows and commands: the timeline, then what its matches want. Pure but for the person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from contracts.codec import to_msgpack
from contracts.events import Event
from contracts.rows import CommandRow, EventRow, MatchRow, SessionRow
from flows.derived.purchases import BOUGHT, bought
from flows.derived.sessions import Session, SessionChange
from flows.language.model import Listener
from flows.machine.machine import Machine, Match, Version
from flows.machine.matches import from_stored, to_stored
from flows.state.rows import Input
from flows.subscriber.decide import Occasion, Past, decide
from flows.subscriber.evidence import Evidence, is_late_verdict, noted, revoked
from flows.subscriber.generations import Deployed, Generation, Generations
from flows.subscriber.limits import Limit, LimitHits
from flows.subscriber.pinned_terms import Terms, read_pinned_terms
from flows.subscriber.reapply import Applied, Reapplier
from flows.subscriber.stored import StoredSubscriber, read_event, read_subscriber
from flows.subscriber.subscriber import Emitted, Subscriber

__all__ = ["Emitted", "Subscriber", "WorkspaceEngine"]

KEPT_ORIGINS: Final = 200
"""Amended matches whose first match is remembered per subscriber; a match that old is final."""
_NEVER: Final = 1 << 62
DAY_MS: Final = 86_400_000
PERSON_KEPT_MS: Final = 400 * DAY_MS
ANONYMOUS_KEPT_MS: Final = 30 * DAY_MS
"""How long after the last event somebody is remembered: as long as a token is believed; a device that is nobody's less
(DESIGN 5 hands over 24 hours of it, its open runs may still become rows)."""


class WorkspaceEngine:
    """One workspace's listeners at work."""

    def __init__(
        self,
        workspace: str,
        listeners: Iterable[Listener] = (),
        *,
        lateness_ms: int,
        session_gap_ms: int,
        max_delay_ms: int,
        grace_ms: int,
        event_rows: bool = True,
    ) -> None:
        """``listeners``: live from the beginning; :meth:`deploy` tells of others. ``event_rows``: a row an event."""
        self._event_rows = event_rows
        self._workspace = workspace
        self._lateness_ms, self._session_gap_ms = lateness_ms, session_gap_ms
        self._max_delay_ms, self._grace_ms = max_delay_ms, grace_ms
        terms = Terms(lateness_ms, session_gap_ms, max_delay_ms, grace_ms)
        self._generations = Generations(workspace, terms, self._reapplier)
        self._former: dict[bytes, tuple[WorkspaceEngine, Generation]] = {}
        self._newest_ms = 0
        self.bounds = LimitHits()
        self.deploy([Deployed(listener) for listener in listeners])

    def deploy(self, deployed: Iterable[Deployed]) -> None:
        """These are all versions that there ever were in this workspace."""
        self._generations.deploy(deployed)

    def at_work(self, log_time_ms: int) -> list[Version]:
        """The versions that hear events at a log time."""
        return self._generations.at(log_time_ms).versions

    def listeners_at(self, log_time_ms: int) -> list[Listener]:
        """Their listeners."""
        return [self._generations.listeners[version] for version in self.at_work(log_time_ms)]

    def listener(self, version: Version) -> Listener | None:
        """The listener of a version that there is or was."""
        return self._generations.listeners.get(version)

    def changes_after(self, log_time_ms: int) -> int | None:
        """The next log time known at which other versions are at work."""
        return self._generations.changes_after(log_time_ms)

    def _reapplier(self, machine: Machine) -> Reapplier:
        return Reapplier(
            machine,
            lateness_ms=self._lateness_ms,
            session_gap_ms=self._session_gap_ms,
            max_delay_ms=self._max_delay_ms,
        )

    def new(self, subscriber: str) -> Subscriber:
        """Somebody of whom nothing is known."""
        generation = self._generations.at(self._newest_ms)
        return Subscriber(generation.reapplier.new(subscriber), generation)

    def apply(self, person: Subscriber, event: Event, log_time_ms: int, source: bytes | None = None) -> Emitted:
        """One event. Deadlines at or before ``log_time_ms`` minus the grace fire first (DESIGN 6).

        ``source``: the JSON that it came as.
        """
        emitted = self.pass_time(person, max(log_time_ms, event.log_time_ms), watermark_ms=log_time_ms)
        self._apply(person, event, emitted, log_time_ms, source)
        return emitted

    def _apply(
        self, person: Subscriber, event: Event, emitted: Emitted, log_time_ms: int, source: bytes | None
    ) -> None:
        applied = self._put(person, event, emitted, log_time_ms, source)
        if applied.reason is not None and is_late_verdict(event):
            self._revoke(person, event, emitted, log_time_ms)
        if event.action == BOUGHT and applied.reason is None:
            person.purchases, similar = bought(person.purchases, event, self._lateness_ms)
            for each in similar:
                self._put(person, each, emitted, log_time_ms)

    def pass_time(self, person: Subscriber, log_time_ms: int, *, watermark_ms: int | None = None) -> Emitted:
        """Let log time pass. ``watermark_ms``: up to where absences are believed, where that is not all of it."""
        emitted = Emitted()
        self._newest_ms = max(self._newest_ms, log_time_ms)
        passed_ms = log_time_ms if watermark_ms is None else watermark_ms
        if self._generations.at(log_time_ms) is not person.generation:
            for generation in self._generations.between(person.generation, log_time_ms):
                self._fire(person, min(generation.from_ms, passed_ms), emitted)
                emitted.moved = _move(person, generation) or emitted.moved
        if passed_ms >= person.due_ms:
            self._fire(person, passed_ms, emitted)
        return emitted

    def due_ms(self, person: Subscriber) -> int:
        """The log time at which :meth:`pass_time` or :meth:`is_forgotten` has something to do."""
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
        person.due_ms = due_ms
        return due_ms

    def is_forgotten(self, person: Subscriber, log_time_ms: int) -> bool:
        """Whether nothing need be kept of somebody any more."""
        if person.timeline.entries:
            return False
        if person.timeline.newest_ms is None:
            return True
        waits = person.generation.reapplier.next_deadline(person.timeline) is not None
        return not waits and self._forgotten_ms(person) <= log_time_ms

    def encode(self, person: Subscriber) -> bytes:
        """Somebody as bytes."""
        dropped = person.generation.reapplier.dropped(person.timeline)
        if dropped > person.dropped:
            self.bounds.hit(Limit.RUNS, dropped - person.dropped)
            person.dropped = dropped
        return to_msgpack(
            StoredSubscriber(
                person.generation.reapplier.encode(person.timeline),
                tuple(person.past.origins.items()),
                tuple(person.past.spent.items()),
                person.generation.from_ms,
                person.told,
                to_stored(person.evidence.matches.values()),
                person.evidence.revoked,
                person.purchases,
            )
        )

    def decode(self, data: bytes) -> Subscriber:
        """Somebody of these bytes. Raises ``BadRecord``."""
        stored = read_subscriber(data)
        return self._decoded(stored, self._generations.at(stored.from_ms))

    def replay(self, subscriber: str, whole: bytes | None, inputs: Sequence[Input]) -> Subscriber:
        """Somebody of these bytes (None: new) after these inputs; what came of them was said before.

        They are applied as they were: under the listeners and settings of then. Raises what :meth:`prepare` does.
        """
        former, generation = self._as_of(inputs[0].under)
        if whole is None:
            person = Subscriber(generation.reapplier.new(subscriber), generation)
        else:
            person = former._decoded(read_subscriber(whole), generation)
        said = Emitted()
        for data, at_ms, _ in inputs:
            former._fire(person, at_ms, said)
            if data:
                former._apply(person, read_event(data), said, at_ms, data)
        return person

    def prepare(self, pin: bytes) -> None:
        """Make ready what inputs were applied under. Raises ``BadRecord``, and ``KeyError`` of an unknown version."""
        self._as_of(pin)

    def _as_of(self, pin: bytes) -> tuple[WorkspaceEngine, Generation]:
        """This workspace with the settings of then, counting for itself, and its listeners of then."""
        found = self._former.get(pin)
        if found is None:
            then = read_pinned_terms(pin)
            former = WorkspaceEngine(self._workspace, event_rows=False, **then.terms._asdict())
            former._generations.listeners = self._generations.listeners
            own = self._generations if former._generations.terms == self._generations.terms else former._generations
            found = self._former[pin] = (former, own.pinned(then))
        return found

    def _decoded(self, stored: StoredSubscriber, generation: Generation) -> Subscriber:
        person = Subscriber(generation.reapplier.decode(stored.timeline), generation)
        person.past, person.told = Past(dict(stored.origins), dict(stored.spent)), stored.told
        person.dropped = generation.reapplier.dropped(person.timeline)
        matches = {match.match_id: match for match in from_stored(stored.matches)}
        person.evidence, person.purchases = Evidence(matches, stored.revoked), stored.purchases
        return person

    def in_flight(self, person: Subscriber, now_ms: int) -> Iterator[tuple[Listener, int, int]]:
        """Each run of somebody whose window has not passed: listener, awaited element, when it was opened."""
        machine = person.generation.reapplier.machine
        for number, waits, opened_ms, over_ms in machine.in_flight(person.timeline.advanced):
            if now_ms < over_ms:
                yield machine.listeners[number], waits, opened_ms

    def _forgotten_ms(self, person: Subscriber) -> int:
        kept_ms = ANONYMOUS_KEPT_MS if person.is_nobody else PERSON_KEPT_MS
        return (person.timeline.newest_ms or 0) + kept_ms

    def _ends_ms(self, session: Session) -> int:
        """The log time at which nothing can extend a session any more but what comes late."""
        return session.last_at_ms + self._session_gap_ms + 1 + self._grace_ms

    def _fire(self, person: Subscriber, log_time_ms: int, emitted: Emitted) -> None:
        """What is due at a log time, under the listeners that somebody is followed by.

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
            if deadline_ms is not None and fires_ms <= ends_ms and fires_ms <= log_time_ms:
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
        person.due_ms = 0
        newest, overflowed = timeline.session, timeline.overflowed
        applied = person.generation.reapplier.put(
            timeline, event, log_time_ms=max(log_time_ms, event.log_time_ms), source=source
        )
        if timeline.overflowed != overflowed:
            self.bounds.hit(Limit.UNDO_LOG, timeline.overflowed - overflowed)
        if self._event_rows:
            reason = str(applied.reason) if applied.reason is not None else ""
            session = applied.session.session_id if applied.session is not None else ""
            emitted.rows.append(EventRow(event, session, reason))
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
        emitted.rows.append(
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

    def _revoke(self, person: Subscriber, click: Event, emitted: Emitted, log_time_ms: int) -> None:
        """A verdict that came after the lateness: what rests on the click is taken back, nothing is matched anew."""
        person.evidence, victims = revoked(person.evidence, click.event_id)
        if victims:
            self._say(person, victims, (), emitted, Occasion(self._workspace, log_time_ms, click.received_at_ms))

    def _decide(
        self, person: Subscriber, applied: Applied, emitted: Emitted, log_time_ms: int, received_at_ms: int
    ) -> None:
        if not (applied.retractions or applied.matches or applied.amended):
            return
        gone, made, amended = (
            [match for match in matches if match.match_id not in person.evidence.revoked]
            for matches in (applied.retractions, applied.matches, applied.amended)
        )
        person.evidence, over = noted(person.evidence, gone, (*made, *amended), log_time_ms)
        if over:
            self.bounds.hit(Limit.EVIDENCE, over)
        moment = Occasion(self._workspace, log_time_ms, received_at_ms)
        self._say(person, gone, made, emitted, moment)
        emitted.rows.extend(_amendment(match, moment) for match in amended)

    def _say(
        self,
        person: Subscriber,
        gone: Iterable[Match],
        made: Iterable[Match],
        emitted: Emitted,
        moment: Occasion,
    ) -> None:
        listeners, shadows = self._generations.listeners, person.generation.shadows
        decision = decide(listeners, tuple(gone), tuple(made), person.past, moment, shadows=shadows)
        past, over = _bounded(decision.past)
        person.past = past
        if over:
            self.bounds.hit(Limit.ORIGINS, over)
        emitted.rows.extend(decision.rows)
        emitted.rows.extend(CommandRow(command) for command in decision.commands)
        emitted.commands.extend(decision.commands)
        emitted.refused.extend(decision.refused)


def _bounded(past: Past) -> tuple[Past, int]:
    """At most so much of the past, and how much was let go."""
    over = [max(len(each) - KEPT_ORIGINS, 0) for each in past]
    if not any(over):
        return past, 0
    origins, spent = dict(list(past.origins.items())[over[0] :]), dict(list(past.spent.items())[over[1] :])
    return Past(origins, spent), sum(over)


def _move(person: Subscriber, generation: Generation) -> bool:
    """Let somebody be followed by other listeners: runs of versions that are gone are dropped.

    Whether anything was known of them.
    """
    before, timeline = person.generation, person.timeline
    person.generation = generation
    person.due_ms = 0
    if timeline.newest_ms is None and not timeline.entries:
        person.timeline = generation.reapplier.new(timeline.state.subscriber)
        return False
    promoted = before.shadows - generation.shadows
    data = before.reapplier.encode(timeline, whole=True)
    person.timeline = generation.reapplier.decode(data, promoted=promoted)
    return True


def _amendment(match: Match, moment: Occasion) -> MatchRow:
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
        log_time_ms=moment.log_time_ms,
    )
