"""Timelines as bytes, and back, also for a machine with other listeners."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from contracts.codec import to_json, to_msgpack
from contracts.events import Event
from flows.derived.membership import is_made
from flows.machine.earlier import VersionChange, place_of
from flows.machine.machine import Machine, MachineState, Match, Version
from flows.machine.matches import StoredMatches, from_stored, to_stored
from flows.machine.runs import Place
from flows.subscriber.cap import CapState
from flows.subscriber.stored import (
    StoredEntry,
    StoredTimeline,
    read_event,
    read_timeline,
    session_of,
    stored_session,
)
from flows.subscriber.timeline import NO_TIME, Entry, Timeline, let_go_ids


class TimelineCodec:
    """Encodes and decodes the timelines of one machine."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def encode(self, timeline: Timeline) -> bytes:
        """The timeline as bytes."""
        # PERF: the states between follow from the first and the events. They would be most of the bytes of a busy
        # subscriber, and few are ever asked for again.
        entries, states = timeline.entries, list[MachineState]()
        stored: list[StoredEntry] = []
        for index, entry in enumerate(entries):
            place = -1
            if index == 0 or index < timeline.unfolded:
                if not states or entry.state is not states[-1]:
                    states.append(entry.state)
                place = len(states) - 1
            source = entry.source
            if isinstance(source, Event):
                source = to_json(source)
            made = to_stored(entry.made) if entry.made else ()
            stored.append(StoredEntry(source, entry.event_id, entry.at_ms, entry.order, place, made))
        if not states or timeline.state is not states[-1]:
            states.append(timeline.state)
        return to_msgpack(
            StoredTimeline(
                self._machine.encode_all(states),
                stored_session(entries[0].session if entries else timeline.session),
                stored_session(timeline.session),
                tuple(stored),
                timeline.clock_ms,
                to_stored(timeline.tail),
                timeline.newest_ms,
                timeline.floor,
                timeline.overflowed,
                tuple(let_go_ids(timeline)),
                timeline.unfolded,
                tuple([to_json(each) if isinstance(each, Event) else each for _, each in timeline.waiting]),
                timeline.merge_ms,
                timeline.facts,
                timeline.memberships,
                timeline.unmade,
                tuple(timeline.depths.items()),
                timeline.cap.places,
                timeline.cap.capped,
                timeline.last,
            )
        )

    def decode(self, data: bytes, change: VersionChange) -> Timeline:
        """The timeline of these bytes; matches of versions that are gone can no longer be taken back.

        ``change``: from the versions that it was stored with. Raises ``BadRecord``.
        """
        stored = read_timeline(data)
        machine = self._machine
        states = machine.decode_all(stored.states, change, _told(stored, {*change.promoted, *change.ended}))
        timeline = Timeline(states[-1])
        timeline.session = session_of(stored.session)
        session = session_of(stored.prior)
        for entry in stored.entries:
            made = self._still_here(entry.made) if entry.made else ()
            before = states[max(entry.state, 0)]
            timeline.entries.append(
                Entry(entry.source, entry.event_id, entry.at_ms, entry.order, before, session, made)
            )
            session = None
        timeline.unknown, timeline.unfolded = len(timeline.entries), stored.unfolded
        timeline.ids = dict(stored.gone)
        timeline.oldest_ms = min(timeline.ids.values(), default=NO_TIME)
        for each in timeline.entries:
            if not is_made(each.order):
                timeline.ids[each.event_id] = each.at_ms
        timeline.size = sum(len(entry.source) for entry in stored.entries)
        for source in stored.waiting:
            event = read_event(source)
            timeline.waiting.append((event, source))
            timeline.waits_from_ms = min(timeline.waits_from_ms, event.occurred_at_ms)
            timeline.ids[event.event_id] = event.occurred_at_ms
        timeline.merge_ms, timeline.facts = stored.merge_ms, stored.facts
        timeline.memberships, timeline.unmade = stored.memberships, stored.unmade
        timeline.depths, timeline.last = dict(stored.depths), stored.last
        timeline.clock_ms, timeline.newest_ms = stored.clock_ms, stored.newest_ms
        timeline.tail = self._still_here(stored.tail)
        timeline.cap = CapState(stored.places, stored.capped)
        timeline.floor, timeline.overflowed = stored.floor, stored.overflowed
        timeline.advanced = timeline.state
        if timeline.clock_ms is not None:
            timeline.advanced, _ = machine.advance(timeline.state, timeline.clock_ms)
        return timeline

    def _still_here(self, matches: Iterable[StoredMatches]) -> tuple[Match, ...]:
        return tuple(match for match in from_stored(matches) if self._machine.knows(match))


def _told(stored: StoredTimeline, versions: Collection[Version]) -> dict[Version, list[Place]]:
    """Where versions matched, as far as it may still be applied again."""
    found: dict[Version, list[Place]] = {}
    made = [(each, (entry.at_ms, entry.order, entry.event_id)) for entry in stored.entries for each in entry.made]
    for group, place in (*made, *((each, None) for each in stored.tail)) if versions else ():
        for match in from_stored((group,)):
            version, by_event = (match.listener, match.version), place if match.completed_by else None
            if version in versions:
                found.setdefault(version, []).append(by_event or place_of(match.matched_at_ms))
    return found
