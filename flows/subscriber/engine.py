"""One workspace's listeners at work: which versions hear a subscriber's event, and what they make of it.

:class:`WorkspaceEngine` knows the generations of listeners and the terms of now; what a single event does stands in
:mod:`flows.subscriber.steps`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from contracts.codec import to_msgpack
from contracts.events import Event
from contracts.past import PastState
from flows.derived.verdicts import is_news
from flows.language.model import Listener
from flows.machine.earlier import VersionChange
from flows.machine.machine import Version
from flows.machine.matches import from_stored, to_stored
from flows.state.rows import Input
from flows.subscriber.decide import Past
from flows.subscriber.evidence import Evidence, is_late_verdict
from flows.subscriber.generations import Deployed, Generation, Generations
from flows.subscriber.limits import Limit, LimitHits
from flows.subscriber.past import Arrival, Held, with_past
from flows.subscriber.pinned_terms import Terms, read_pinned_terms
from flows.subscriber.steps import SubscriberSteps
from flows.subscriber.stored import StoredSubscriber, read_event, read_subscriber
from flows.subscriber.subscriber import Emitted, Subscriber
from flows.subscriber.woven import reapplier_of

__all__ = ["Emitted", "Subscriber", "Terms", "WorkspaceEngine"]


class WorkspaceEngine:
    """The listeners of one workspace, applied to its subscribers one event at a time."""

    def __init__(
        self, workspace: str, listeners: Iterable[Listener] = (), *, terms: Terms, event_rows: bool = True
    ) -> None:
        """``listeners``: live from the beginning; :meth:`deploy` replaces them. ``event_rows``: emit a row an event."""
        self._workspace, self._terms = workspace, terms
        self._ghosts: dict[tuple[Version, int], WorkspaceEngine] = {}
        self.bounds = LimitHits()
        self._generations = Generations(workspace, terms, reapplier_of)
        self._steps = SubscriberSteps(
            workspace,
            terms,
            self._generations.listeners,
            self.bounds,
            event_rows=event_rows,
            backfilled=self._generations.backfilled,
            pauses=self._generations.pauses,
        )
        self._pinned: dict[bytes, tuple[SubscriberSteps, Generation]] = {}
        self._newest_ms = 0
        self.deploy([Deployed(listener) for listener in listeners])

    def deploy(self, deployed: Iterable[Deployed]) -> None:
        """Replace what is known of the workspace's versions: all that there ever were."""
        self._generations.deploy(deployed)

    def at_work(self, log_time_ms: int) -> list[Version]:
        """The versions that hear events at a log time."""
        return self._generations.at(log_time_ms).versions

    def listeners_at(self, log_time_ms: int) -> list[Listener]:
        """The listeners of the versions that hear events at a log time."""
        return [self._generations.listeners[version] for version in self.at_work(log_time_ms)]

    def listener(self, version: Version) -> Listener | None:
        """The listener of a version that there is or was."""
        return self._generations.listeners.get(version)

    def changes_after(self, log_time_ms: int) -> int | None:
        """The next log time known at which other versions are at work."""
        return self._generations.changes_after(log_time_ms)

    def new(self, subscriber: str, log_time_ms: int | None = None) -> Subscriber:
        """A subscriber of whom nothing is known, as of a log time: where none is given, the newest that was applied."""
        generation = self._generations.at(self._newest_ms if log_time_ms is None else log_time_ms)
        return Subscriber(generation.reapplier.new(subscriber), generation)

    def apply(
        self,
        person: Subscriber,
        event: Event,
        log_time_ms: int,
        source: bytes | None = None,
        *,
        emitted: Emitted | None = None,
    ) -> Emitted:
        """Apply one event. Deadlines at or before ``log_time_ms`` minus the grace fire first (DESIGN 6).

        ``source``: the JSON that it came as. ``emitted``: where what it emits goes, also where this raises.
        """
        emitted = self.pass_time(person, max(log_time_ms, event.log_time_ms), watermark_ms=log_time_ms, emitted=emitted)
        self._steps.apply(person, event, emitted, log_time_ms, source)
        return emitted

    def take_over(
        self, person: Subscriber, past: PastState, log_time_ms: int, *, emitted: Emitted | None = None
    ) -> Emitted:
        """Let a version take over what came to a person before it was at work. Raises ``BadRecord``.

        Nothing is, where it does not await that, has it already, or where the person is not known (or was erased).
        """
        emitted = self.pass_time(person, log_time_ms, emitted=emitted)
        version, awaited = (past.listener, past.version), person.generation.awaited
        is_done = (*version, past.until_ms) in person.held.done
        if awaited.get(version) != past.until_ms or is_done or person.held.over or person.timeline.newest_ms is None:
            return emitted
        self._steps.settle(person, emitted, log_time_ms)
        ghosts = self._ghosts_of(version, person.generation)
        ghost = ghosts.decode(past.state)
        for source, watermark_ms, matched in person.held.arrivals:
            event = read_event(source)
            if max(watermark_ms, event.log_time_ms) >= past.until_ms:
                ghosts.hear(ghost, event, watermark_ms, matched=matched)
        ghosts.pass_time(ghost, log_time_ms)
        ghosts.settle(ghost, log_time_ms)
        own, other = person.generation.reapplier, ghost.generation.reapplier
        graft = with_past(own, person.timeline, other, ghost.timeline, version)
        self._steps.take_over(person, graft, ghost.evidence, emitted, log_time_ms)
        person.held = person.held.taken(version, past.until_ms, awaited)
        emitted.moved = True
        return emitted

    def hear(
        self, person: Subscriber, event: Event, watermark_ms: int, *, matched: bool, emitted: Emitted | None = None
    ) -> Emitted:
        """Apply an event as it was heard before. ``matched``: whether it was matched then; else it came late or twice.

        ``emitted``: see :meth:`apply`.
        """
        if matched:
            return self.apply(person, event, watermark_ms, emitted=emitted)
        log_time_ms = max(watermark_ms, event.log_time_ms)
        # Time passed with it all the same, and other versions may have been at work from then on.
        revokes = is_late_verdict(event) and not _is_weighed(person, event)
        emitted = self.pass_time(person, log_time_ms, watermark_ms=watermark_ms, emitted=emitted)
        if revokes:
            self._steps.revoke(person, event, emitted, watermark_ms)
        return emitted

    def settle(self, person: Subscriber, log_time_ms: int) -> None:
        """Put what waits of a person in its place now, and tell nothing of it."""
        self._steps.settle(person, Emitted(), log_time_ms)

    def _ghosts_of(self, version: Version, generation: Generation) -> WorkspaceEngine:
        """The engine in which a version is alone, a shadow from where its past begins."""
        from_ms = next(each[2] for each in generation.heard_from if each[:2] == version)
        found = self._ghosts.get((version, from_ms))
        if found is None:
            found = WorkspaceEngine(self._workspace, terms=self._terms, event_rows=False)
            found.deploy([Deployed(self._generations.listeners[version], from_ms, None)])
            self._ghosts[version, from_ms] = found
        return found

    def revoke(self, person: Subscriber, click: Event, log_time_ms: int) -> Emitted:
        """Take in a verdict that came after the lateness: what rests on the click is taken back."""
        emitted = self.pass_time(person, max(log_time_ms, click.log_time_ms), watermark_ms=log_time_ms)
        self._steps.revoke(person, click, emitted, log_time_ms)
        return emitted

    def pass_time(
        self,
        person: Subscriber,
        log_time_ms: int,
        *,
        watermark_ms: int | None = None,
        emitted: Emitted | None = None,
    ) -> Emitted:
        """Let log time pass. ``watermark_ms``: up to where absences are believed, where that is not all of it.

        ``emitted``: see :meth:`apply`.
        """
        emitted = Emitted() if emitted is None else emitted
        self._newest_ms = max(self._newest_ms, log_time_ms)
        passed_ms = log_time_ms if watermark_ms is None else watermark_ms
        if self._generations.at(log_time_ms) is not person.generation:
            for generation in self._generations.between(person.generation, log_time_ms):
                self._steps.fire(person, min(generation.from_ms, passed_ms), emitted)
                self._steps.settle(person, emitted, min(generation.from_ms, passed_ms))
                emitted.moved = _move(person, generation) or emitted.moved
        if passed_ms >= person.due_ms:
            self._steps.fire(person, passed_ms, emitted)
        return emitted

    def due_ms(self, person: Subscriber) -> int:
        """The log time at which :meth:`pass_time` or :meth:`is_forgotten` next has something to do."""
        return self._steps.due_ms(person)

    def is_forgotten(self, person: Subscriber, log_time_ms: int) -> bool:
        """Whether nothing need be kept of a subscriber any more."""
        return self._steps.is_forgotten(person, log_time_ms)

    def encode(self, person: Subscriber) -> bytes:
        """The subscriber as bytes; :meth:`decode` makes an equal one of them."""
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
                tuple(person.past.named.items()),
                tuple([(each.source, each.watermark_ms, each.matched) for each in person.held.arrivals]),
                person.held.over,
                person.held.done,
            )
        )

    def decode(self, data: bytes) -> Subscriber:
        """The subscriber of what :meth:`encode` made. Raises ``BadRecord``."""
        stored = read_subscriber(data)
        return _decoded(stored, self._generations.at(stored.from_ms))

    def replay(self, subscriber: str, whole: bytes | None, inputs: Sequence[Input]) -> Subscriber:
        """The subscriber of a snapshot (None: new) after the inputs behind it; what came of them was emitted before.

        Each input is applied under the listeners and settings of then. Raises what :meth:`prepare` does.
        """
        steps, generation = self._as_of(inputs[0].under)
        if whole is None:
            person = Subscriber(generation.reapplier.new(subscriber), generation)
        else:
            person = _decoded(read_subscriber(whole), generation)
        emitted = Emitted()
        for data, at_ms, _ in inputs:
            steps.fire(person, at_ms, emitted)
            if data:
                steps.apply(person, read_event(data), emitted, at_ms, data)
        return person

    def prepare(self, pinned: bytes) -> None:
        """Make ready what inputs were applied under. Raises ``BadRecord``, and ``KeyError`` of an unknown version."""
        self._as_of(pinned)

    def _as_of(self, pinned: bytes) -> tuple[SubscriberSteps, Generation]:
        """The steps under the settings of then, counting for themselves, and the listeners of then."""
        found = self._pinned.get(pinned)
        if found is None:
            then = read_pinned_terms(pinned)
            steps = SubscriberSteps(
                self._workspace,
                then.terms,
                self._generations.listeners,
                LimitHits(),
                event_rows=False,
                pauses=self._generations.pauses,
            )
            found = self._pinned[pinned] = (steps, self._generations.pinned(then))
        return found

    def in_flight(self, person: Subscriber, now_ms: int) -> Iterator[tuple[Listener, int, int]]:
        """Each run of a subscriber whose window has not passed: listener, awaited element, when it was opened."""
        machine = person.generation.reapplier.machine
        for number, waits, opened_ms, over_ms in machine.in_flight(person.timeline.advanced):
            if now_ms < over_ms:
                yield machine.listeners[number], waits, opened_ms


def _decoded(stored: StoredSubscriber, generation: Generation) -> Subscriber:
    person = Subscriber(generation.reapplier.decode(stored.timeline), generation)
    named = dict(stored.named)
    person.past, person.told = Past(dict(stored.origins), dict(stored.spent), named), stored.told
    person.dropped = generation.reapplier.dropped(person.timeline)
    matches = {match.match_id: match for match in from_stored(stored.matches)}
    person.evidence, person.purchases = Evidence(matches, stored.revoked), stored.purchases
    arrivals = tuple(Arrival(*each) for each in stored.held)
    person.held = Held(arrivals, sum(len(each.source) for each in arrivals), stored.held_over, stored.held_done)
    return person


def _is_weighed(person: Subscriber, verdict: Event) -> bool:
    """Whether the click stands in the timeline with a verdict that this one does not outrank."""
    return any(
        entry.event_id == verdict.event_id and not is_news(entry.event, verdict) for entry in person.timeline.entries
    )


def _move(person: Subscriber, generation: Generation) -> bool:
    """Move a subscriber to another generation of listeners: runs of versions that are gone are dropped.

    Returns: whether anything was known of the subscriber.
    """
    before, timeline = person.generation, person.timeline
    person.generation = generation
    person.held = person.held.moved(before.awaited, generation.awaited)
    person.due_ms = 0
    if timeline.newest_ms is None and not timeline.entries:
        person.timeline = generation.reapplier.new(timeline.state.subscriber)
        person.timeline.facts, person.timeline.memberships = timeline.facts, timeline.memberships
        person.timeline.unmade, person.timeline.depths = timeline.unmade, timeline.depths
        person.timeline.cap, person.timeline.last = timeline.cap, timeline.last
        # NOTE: the inputs that made these were applied under other listeners, and inputs are applied again as of one.
        return bool(timeline.facts or timeline.memberships or timeline.unmade or timeline.depths)
    promoted, ended = before.shadows - generation.shadows, before.counting.difference(generation.versions)
    change = VersionChange(promoted - generation.with_past, ended)
    _mark_shadows(person, promoted)
    data = before.reapplier.encode(timeline, whole=True)
    person.timeline = generation.reapplier.decode(data, change)
    return True


def _mark_shadows(person: Subscriber, versions: Collection[Version]) -> None:
    """Remember which matches that may be taken back were a shadow's: no command stands for them."""
    if not versions or person.is_nobody:
        return
    timeline = person.timeline
    told = (*(match for entry in timeline.entries for match in entry.made), *timeline.tail)
    every = (*person.evidence.matches.values(), *told)
    person.past = person.past.with_shadows(match for match in every if (match.listener, match.version) in versions)
