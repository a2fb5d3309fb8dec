"""Any order of arrival within the lateness ends with the answer of the ordered stream (SEMANTICS 2, 4, 7; DESIGN 6).

A :class:`Timeline` keeps, for the last ``lateness`` of event time, the events that came and the immutable state before
each. An event in order is applied once, to the newest state, at once. A late one is put in its place and the events
after it are applied again; what then no longer holds is a retraction, what is new is a match. The verdict on a click is
the same thing: the event comes again under its id, in its place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar, Final, NamedTuple

from segma.contracts.codec import Value, msgpack_reader, replaced, to_msgpack, written
from segma.contracts.events import Event
from segma.contracts.reasons import Reason
from segma.flows.matcher import Machine, Match, State, StoredMatch, Version, from_stored, to_stored
from segma.flows.sessions import Session, SessionChange, changes, extended

DEFAULT_MAX_EVENTS: Final = 2_000
"""Events kept per subscriber for re-application; past it the oldest are final and ``overflowed`` counts them."""


class Applied(NamedTuple):
    """What an event, or the passing of time, changed.

    ``reason``: ``late`` or ``duplicate`` where the event was not matched, else None. ``session``: the one that the
    event fell into, None where it was not matched. Retractions come before matches.
    ``amended``: matches that stand (the same events, so the same id) with another share of the events to the steps.
    ``sessions``: those that began or that a late event changed; not the one that an event in order only extended.
    """

    reason: Reason | None = None
    session: Session | None = None
    retractions: tuple[Match, ...] = ()
    matches: tuple[Match, ...] = ()
    amended: tuple[Match, ...] = ()
    sessions: tuple[SessionChange, ...] = ()


class _Entry(NamedTuple):
    """An event with the state and session before it, and the matches that applying it made."""

    event: Event
    state: State
    session: Session | None
    made: tuple[Match, ...]


class Timeline:
    """One subscriber's recent past. Belongs to the :class:`Follower` that made it."""

    __slots__ = (
        "advanced",
        "clock_ms",
        "entries",
        "floor",
        "gone",
        "known",
        "newest_ms",
        "overflowed",
        "session",
        "state",
        "tail",
    )

    def __init__(self, state: State) -> None:
        self.state = state
        """After the last event, no time passed since."""
        self.session: Session | None = None
        self.entries: list[_Entry] = []
        self.known: set[str] = set()
        """The ids of :attr:`entries`."""
        self.gone: dict[str, int] = {}
        """Ids that were let go, oldest first, with their times: a beacon that is sent again late comes with the same
        ids and another skew, so its time alone does not tell that it is a repetition."""
        self.clock_ms: int | None = None
        """Up to where the log time has fired deadlines."""
        self.advanced = state
        """:attr:`state` at :attr:`clock_ms`."""
        self.tail: tuple[Match, ...] = ()
        """The matches that only the log time has made so far."""
        self.newest_ms: int | None = None
        self.floor: tuple[int, int, str] | None = None
        """The place of the newest event that is no longer kept: nothing can be put before it."""
        self.overflowed = 0


class _StoredEntry(Value, frozen=True):
    event: Event
    state: bytes
    session: Session | None
    made: tuple[StoredMatch, ...]


class _StoredTimeline(Value, frozen=True):
    SCHEMA: ClassVar[int] = 1

    state: bytes
    session: Session | None
    entries: tuple[_StoredEntry, ...]
    clock_ms: int | None
    tail: tuple[StoredMatch, ...]
    newest_ms: int | None
    floor: tuple[int, int, str] | None
    overflowed: int
    gone: tuple[tuple[str, int], ...] = ()
    schema: int = written(1)


_read_timeline = msgpack_reader(_StoredTimeline)


class Follower:
    """Applies events to timelines. Pure but for the timeline it is given; share it freely."""

    def __init__(
        self,
        machine: Machine,
        *,
        lateness_ms: int,
        session_gap_ms: int,
        max_delay_ms: int,
        max_events: int = DEFAULT_MAX_EVENTS,
    ) -> None:
        self._machine = machine
        self._lateness_ms = lateness_ms
        self._session_gap_ms = session_gap_ms
        self._max_delay_ms = max_delay_ms
        self._max_events = max_events

    def new(self, subscriber: str) -> Timeline:
        """The timeline of somebody of whom nothing is known."""
        return Timeline(self._machine.start(subscriber))

    def put(self, timeline: Timeline, event: Event, *, log_time_ms: int) -> Applied:
        """Put an event in its place. ``log_time_ms``: when the log took it.

        An event whose id is known is a duplicate, unless it brings the verdict on a click that was provisional, or
        that a click which counted was a machine's.
        """
        entries = timeline.entries
        if event.event_id in timeline.gone:
            return Applied(Reason.DUPLICATE)
        if event.event_id in timeline.known:
            known = next(index for index, entry in enumerate(entries) if entry.event.event_id == event.event_id)
            if not _is_news(entries[known].event, event):
                return Applied(Reason.DUPLICATE)
            return self._reapplied(timeline, known, known + 1, _judged(entries[known].event, event))
        if self._is_late(timeline, event, log_time_ms):
            return Applied(Reason.LATE)
        place = event.place
        if not entries or place > entries[-1].event.place:
            return self._reapplied(timeline, len(entries), len(entries), event)
        index = bisect_left(entries, place, key=lambda entry: entry.event.place)
        return self._reapplied(timeline, index, index, event)

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
        """How many runs were dropped over the bound, so far."""
        return self._machine.dropped(timeline.state)

    def encode(self, timeline: Timeline) -> bytes:
        """The timeline as bytes."""
        machine = self._machine
        entries = tuple(
            _StoredEntry(entry.event, machine.encode(entry.state), entry.session, tuple(map(to_stored, entry.made)))
            for entry in timeline.entries
        )
        return to_msgpack(
            _StoredTimeline(
                machine.encode(timeline.state),
                timeline.session,
                entries,
                timeline.clock_ms,
                tuple(map(to_stored, timeline.tail)),
                timeline.newest_ms,
                timeline.floor,
                timeline.overflowed,
                tuple(timeline.gone.items()),
            )
        )

    def decode(self, data: bytes, *, promoted: Collection[Version] = ()) -> Timeline:
        """The timeline of these bytes; matches of versions that are gone can no longer be taken back.

        ``promoted``: versions whose matches so far were a shadow's. Raises ``BadRecord``.
        """
        stored: _StoredTimeline = _read_timeline(data)
        machine = self._machine
        timeline = Timeline(machine.decode(stored.state, promoted=promoted))
        timeline.session = stored.session
        timeline.entries = [
            _Entry(
                entry.event, machine.decode(entry.state, promoted=promoted), entry.session, self._still_here(entry.made)
            )
            for entry in stored.entries
        ]
        timeline.known = {entry.event.event_id for entry in timeline.entries}
        timeline.gone = dict(stored.gone)
        timeline.clock_ms, timeline.newest_ms = stored.clock_ms, stored.newest_ms
        timeline.tail = self._still_here(stored.tail)
        timeline.floor, timeline.overflowed = stored.floor, stored.overflowed
        timeline.advanced = timeline.state
        if timeline.clock_ms is not None:
            timeline.advanced, _ = machine.advance(timeline.state, timeline.clock_ms)
        return timeline

    def expires_ms(self, timeline: Timeline) -> int | None:
        """The log time after which :meth:`let_go` has something to do."""
        if timeline.entries:
            return timeline.entries[-1].event.occurred_at_ms + self._max_delay_ms
        if timeline.gone:
            return max(timeline.gone.values()) + 2 * self._max_delay_ms
        return None

    def let_go(self, timeline: Timeline, log_time_ms: int) -> None:
        """Let go of events before which nothing can be put any more: whatever came there would be late in any case.

        Their ids are kept as long again, for what is sent again under another time.
        """
        entries = timeline.entries
        if entries and log_time_ms - entries[-1].event.occurred_at_ms > self._max_delay_ms:
            timeline.floor = entries[-1].event.place
            self._remember(timeline, [entry.event for entry in entries])
            timeline.entries = []
        if not timeline.entries and all(
            log_time_ms - at_ms > 2 * self._max_delay_ms for at_ms in timeline.gone.values()
        ):
            timeline.gone = {}

    def _still_here(self, matches: Iterable[StoredMatch]) -> tuple[Match, ...]:
        return tuple(match for match in map(from_stored, matches) if self._machine.knows(match))

    def _is_late(self, timeline: Timeline, event: Event, log_time_ms: int) -> bool:
        if log_time_ms - event.occurred_at_ms > self._max_delay_ms:
            return True
        if timeline.floor is not None and event.place <= timeline.floor:
            return True
        return timeline.newest_ms is not None and timeline.newest_ms - event.occurred_at_ms > self._lateness_ms

    def _reapplied(self, timeline: Timeline, first: int, rest: int, event: Event) -> Applied:
        """Apply ``event`` at index ``first``, then again the entries from ``rest`` on."""
        entries = timeline.entries
        before = [match for entry in entries[first:] for match in entry.made] + list(timeline.tail)
        if first < len(entries):
            state, session = entries[first].state, entries[first].session
        else:
            state, session = timeline.state, timeline.session
        again = [event, *(entry.event for entry in entries[rest:])]
        prior, in_order = session, first == len(entries)
        sessions = () if in_order else _sessions(timeline, first)
        del entries[first:]
        timeline.known.add(event.event_id)
        own: Session | None = None
        for each in again:
            into = extended(session, each, gap_ms=self._session_gap_ms)
            after, made = self._machine.apply(state, each, into)
            entries.append(_Entry(each, state, session, made))
            state, session = after, into
            own = own or into
        timeline.state, timeline.session = state, session
        timeline.advanced, timeline.tail = state, ()
        if timeline.clock_ms is not None:
            timeline.advanced, timeline.tail = self._machine.advance(state, timeline.clock_ms)
        now = [match for entry in entries[first:] for match in entry.made] + list(timeline.tail)
        changed: tuple[SessionChange, ...] = ()
        if not in_order:
            changed = changes((prior, *sessions), (prior, *_sessions(timeline, first)))
        elif own is not None and (prior is None or own.session_id != prior.session_id):
            changed = (SessionChange(own),)
        self._grow_old(timeline, timeline.tail)
        return Applied(None, own, _missing(before, now), _missing(now, before), _changed(before, now), changed)

    def _grow_old(self, timeline: Timeline, fired: Sequence[Match]) -> None:
        """Move the newest time on, and let go of what is older than the lateness, or more than is kept."""
        entries = timeline.entries
        times = [match.matched_at_ms for match in fired]
        if entries:
            times.append(entries[-1].event.occurred_at_ms)
        if timeline.newest_ms is not None:
            times.append(timeline.newest_ms)
        if not times:
            return
        timeline.newest_ms = max(times)
        oldest_ms = timeline.newest_ms - self._lateness_ms
        gone = 0
        while gone < len(entries) and entries[gone].event.occurred_at_ms < oldest_ms:
            gone += 1
        over = len(entries) - gone - self._max_events
        if over > 0:
            timeline.overflowed += over
            gone += over
        if gone:
            timeline.floor = entries[gone - 1].event.place
            self._remember(timeline, [entry.event for entry in entries[:gone]])
            del entries[:gone]

    def _remember(self, timeline: Timeline, events: Sequence[Event]) -> None:
        """Keep the ids of events that are let go for as long as a repetition could still count."""
        newest_ms = timeline.newest_ms or 0
        for event in events:
            timeline.known.discard(event.event_id)
            timeline.gone[event.event_id] = event.occurred_at_ms
        while timeline.gone:
            oldest, at_ms = next(iter(timeline.gone.items()))
            if len(timeline.gone) <= self._max_events and newest_ms - at_ms <= self._max_delay_ms:
                return
            del timeline.gone[oldest]


def _sessions(timeline: Timeline, first: int) -> tuple[Session | None, ...]:
    """The session after each entry from ``first`` on."""
    return (*(entry.session for entry in timeline.entries[first + 1 :]), timeline.session)


def _is_news(known: Event, event: Event) -> bool:
    """Whether an event that comes again brings a verdict that changes something."""
    if event.provisional:
        return False
    return known.provisional or (event.verdict.startswith("machine") and not known.verdict.startswith("machine"))


def _judged(before: Event, verdict: Event) -> Event:
    """A provisional click with its verdict: it keeps its place, and knows what both ends of it knew."""
    return replaced(
        before,
        provisional=False,
        verdict=verdict.verdict,
        properties={**before.properties, **verdict.properties},
        device=verdict.device or before.device,
    )


def _missing(matches: Iterable[Match], others: Iterable[Match]) -> tuple[Match, ...]:
    """The matches whose ids the others lack."""
    ids = {match.match_id for match in others}
    return tuple(match for match in matches if match.match_id not in ids)


def _changed(before: Iterable[Match], now: Iterable[Match]) -> tuple[Match, ...]:
    """The matches that were there before with other evidence."""
    steps = {match.match_id: match.steps for match in before}
    return tuple(match for match in now if steps.get(match.match_id, match.steps) != match.steps)
