"""What is known of one subscriber, as values, and as it is stored. Nothing here decides anything.

NOTE: these classes stay Python where the rules around them are compiled: msgspec reads their annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from contracts.codec import Packed, Value, json_reader, msgpack_reader, written
from contracts.events import Event
from contracts.reasons import Reason
from flows.derived.sessions import Session, SessionChange
from flows.machine.matches import Match, StoredMatches
from flows.machine.runs import Place, SharedStanding, Standing, Taken


class State(Packed, frozen=True):
    """One subscriber's state. ``standings``: by listener; one without runs or memory is absent.

    ``due_ms``: the earliest deadline of all, None if nothing waits. ``shared``: by tree, of listeners that begin alike.
    """

    subscriber: str
    standings: Mapping[int, Standing] = {}
    due_ms: int | None = None
    shared: Mapping[int, SharedStanding] = {}


class StoredRun(Packed, frozen=True):
    """A run of a tree. ``tree``: its place among ``together``; ``who``: the least byte first; ``noted``: step, path,
    value.
    """

    tree: int
    who: bytes
    events: tuple[Taken, ...]
    noted: tuple[tuple[int, str, Any], ...] = ()


class StoredState(Packed, frozen=True):
    """One state: per listener its name, version and standing; the trees' runs; tree, bit and count of dropped runs."""

    standings: tuple[tuple[str, int, Standing], ...] = ()
    runs: tuple[StoredRun, ...] = ()
    dropped: tuple[tuple[int, int, int], ...] = ()


class StoredStates(Value, frozen=True):
    """States of one subscriber. ``together``: per tree the bits, names and versions of its listeners that are in it."""

    SCHEMA: ClassVar[int] = 1

    subscriber: str
    states: tuple[StoredState, ...]
    together: tuple[tuple[tuple[int, str, int], ...], ...] = ()
    schema: int = written(1)


read_states: Final[Callable[[bytes], StoredStates]] = msgpack_reader(StoredStates)


class Told(Packed, frozen=True):
    """What was told last of an element, as a snapshot keeps it."""

    workspace: str
    listener: str
    version: int
    element: int
    runs: int
    subscribers: int


class Counted(Packed, frozen=True):
    """What a snapshot keeps: up to which log time was counted (0: never), and what was told, but for noughts.

    ``owes_day``: whether a day has begun since then of which nothing was said.
    """

    at_ms: int = 0
    told: tuple[Told, ...] = ()
    owes_day: bool = False


class Applied(Packed, frozen=True):
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


read_event: Final[Callable[[bytes], Event]] = json_reader(Event)


class StoredEntry(Packed, frozen=True):
    """``state``: the place of the state before it among the timeline's ``states``; -1: it follows from those before."""

    source: bytes
    event_id: str
    at_ms: int
    order: int
    state: int
    made: tuple[StoredMatches, ...] = ()


class StoredSession(Packed, frozen=True):
    """As :class:`flows.derived.sessions.Session`."""

    session_id: str
    started_at_ms: int
    last_at_ms: int
    events: int
    landing_path: str = ""
    campaign: str = ""


class StoredTimeline(Value, frozen=True):
    """``states``: all that differ, the newest last (:class:`StoredStates`). ``prior``: the session before the first."""

    SCHEMA: ClassVar[int] = 1

    states: bytes
    prior: StoredSession | None
    session: StoredSession | None
    entries: tuple[StoredEntry, ...]
    clock_ms: int | None
    tail: tuple[StoredMatches, ...]
    newest_ms: int | None
    floor: Place | None
    overflowed: int
    gone: tuple[tuple[str, int], ...] = ()
    unfolded: int = 0
    schema: int = written(1)


read_timeline: Final[Callable[[bytes], StoredTimeline]] = msgpack_reader(StoredTimeline)
