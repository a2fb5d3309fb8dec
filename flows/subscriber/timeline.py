"""The timeline of one subscriber: the events of the last ``lateness`` and the state before each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mypy_extensions import mypyc_attr

from contracts.codec import to_json
from contracts.events import Event
from flows.derived.membership import MembershipFact
from flows.derived.profile import ProfileFact
from flows.derived.session_ends import SessionLast
from flows.derived.sessions import Session, SessionChange, changes
from flows.machine.machine import MachineState, Match
from flows.machine.runs import Place
from flows.subscriber.cap import CapState
from flows.subscriber.stored import read_event

NO_TIME: Final = 1 << 60
"""Later than any time."""
MAX_BYTES: Final = 1 << 20
"""Of the JSON of the events that are kept for re-application; past it the oldest are final."""


@mypyc_attr(acyclic=True)
class Entry:
    """An event with the state and session before it, and the matches that applying it made. Never changed.

    ``source``: the event, or the JSON that it came as. PERF: the JSON takes a third of the memory, is stored as it is,
    and is read again only where a late event comes before it.
    """

    __slots__ = ("at_ms", "event_id", "made", "order", "session", "source", "state")

    def __init__(  # noqa: PLR0917
        self,
        source: bytes | Event,
        event_id: str,
        at_ms: int,
        order: int,
        state: MachineState,
        session: Session | None,
        made: tuple[Match, ...],
    ) -> None:
        self.source = source
        self.event_id = event_id
        self.at_ms = at_ms
        self.order = order
        self.state = state
        self.session = session
        self.made = made

    @property
    def event(self) -> Event:
        """The event."""
        source = self.source
        return source if isinstance(source, Event) else read_event(source)

    @property
    def place(self) -> Place:
        """The event's place in the subscriber's order."""
        return (self.at_ms, self.order, self.event_id)


@mypyc_attr(acyclic=True)
class Timeline:
    """One subscriber's recent past. Belongs to the :class:`flows.subscriber.reapply.Reapplier` that made it."""

    __slots__ = (
        "advanced",
        "cap",
        "clock_ms",
        "depths",
        "entries",
        "facts",
        "floor",
        "ids",
        "last",
        "memberships",
        "merge_ms",
        "newest_ms",
        "now_ms",
        "oldest_ms",
        "overflowed",
        "session",
        "size",
        "state",
        "tail",
        "unfolded",
        "unknown",
        "unmade",
        "waiting",
        "waits_from_ms",
    )

    def __init__(self, state: MachineState) -> None:
        self.state = state
        """After the last event, no time passed since."""
        self.session: Session | None = None
        self.entries: list[Entry] = []
        self.ids: dict[str, int] = {}
        """Of :attr:`entries` and of those that were let go, with their times: a beacon that is sent again late comes
        with the same ids and another skew, so its time alone does not tell that it is a repetition."""
        self.oldest_ms = NO_TIME
        """The least time of the ids that were let go."""
        self.clock_ms: int | None = None
        """Up to where the log time has fired deadlines."""
        self.advanced = state
        """:attr:`state` at :attr:`clock_ms`."""
        self.tail: tuple[Match, ...] = ()
        """The matches that only the log time has made so far."""
        self.newest_ms: int | None = None
        self.floor: Place | None = None
        """The place of the newest event that is no longer kept: nothing can be put before it."""
        self.overflowed = 0
        self.unknown = 0
        """How many of the first entries are not known whole (but the first of all): after a restart the states and
        sessions between them are found again from the events, once somebody asks."""
        self.unfolded = 0
        """How many of the first entries are stored with their states: those that came under other listeners."""
        self.size = 0
        """Bytes of the entries' events as JSON."""
        self.waiting: list[tuple[Event, bytes | Event]] = []
        """Late events, with the JSON that they came as, that wait to be put in their places together."""
        self.waits_from_ms = NO_TIME
        """The least time of what waits."""
        self.merge_ms = 0
        """The log time at which they are, at the latest."""
        self.facts: tuple[ProfileFact, ...] = ()
        """What is known of the person, in the order of the facts' places."""
        self.memberships: tuple[MembershipFact, ...] = ()
        """Who put them into which list and took them out, in the order of the facts' places."""
        self.unmade: tuple[str, ...] = ()
        """Ids of events that matches made and that are taken back: they are not made again."""
        self.depths: dict[str, int] = {}
        """Match id → how many moves lie behind it, itself included, where that is more than one."""
        self.cap = CapState()
        """Which matches have taken their places under the cap, and which found none."""
        self.last: SessionLast | None = None
        """Of the session before the first entry, where a listener hears the ends of sessions."""
        self.now_ms = 0
        """The log time of what is applied now; not stored."""


def place_among(entries: list[Entry], event: Event) -> int:
    """How many entries come before an event: found in the logarithm of how many there are."""
    at_ms, place = event.occurred_at_ms, event.place
    low, high = 0, len(entries)
    while low < high:
        middle = (low + high) // 2
        entry = entries[middle]
        if entry.at_ms < at_ms or (entry.at_ms == at_ms and entry.place < place):
            low = middle + 1
        else:
            high = middle
    return low


def size_of(source: bytes | Event) -> int:
    """Bytes of an event as JSON: the same before and after it was stored."""
    return len(to_json(source)) if isinstance(source, Event) else len(source)


def let_go_ids(timeline: Timeline) -> list[tuple[str, int]]:
    """The ids of :attr:`Timeline.ids` whose events are not kept any more, with their times, in order of these."""
    kept = {entry.event_id for entry in timeline.entries}
    found = [(at_ms, event_id) for event_id, at_ms in timeline.ids.items() if event_id not in kept]
    return [(event_id, at_ms) for at_ms, event_id in sorted(found)]


def forget_ids(timeline: Timeline, before_ms: int, most: int) -> None:
    """Forget ids that were let go: those from before a time, and the oldest of more than ``most``.

    PERF: to be called now and then. What is forgotten depends on no order of arrival, so somebody who was stored and
    read again forgets the same.
    """
    gone = let_go_ids(timeline)
    first = max(len(gone) - most, 0)
    while first < len(gone) and gone[first][1] < before_ms:
        first += 1
    for event_id, _ in gone[:first]:
        del timeline.ids[event_id]
    timeline.oldest_ms = gone[first][1] if first < len(gone) else NO_TIME


def remember_ids(timeline: Timeline, old: Sequence[Entry], kept_ms: int, most: int) -> None:
    """Keep the ids of entries that were let go for as long as a repetition could still count, and somewhat longer: an
    eighth of that time (``kept_ms``), or as many again (``most``).
    """
    oldest_ms = timeline.oldest_ms
    for entry in old:
        oldest_ms = min(oldest_ms, entry.at_ms)
    timeline.oldest_ms = oldest_ms
    before_ms = (timeline.newest_ms or 0) - kept_ms
    over = len(timeline.ids) - len(timeline.entries) - most
    # PERF: all of them are looked through, so this is done for many at once.
    if over > most or oldest_ms < before_ms - kept_ms // 8:
        forget_ids(timeline, before_ms, most)


def expires_ms(timeline: Timeline, max_delay_ms: int) -> int | None:
    """The log time after which :func:`let_go` has something to do."""
    if timeline.entries:
        return timeline.entries[-1].at_ms + max_delay_ms
    if timeline.ids:
        return max(timeline.ids.values()) + 2 * max_delay_ms
    return None


def let_go(timeline: Timeline, log_time_ms: int, max_delay_ms: int, most: int) -> None:
    """Let go of events before which nothing can be put any more, and of their ids after as long again: what is sent
    again may come under another time.
    """
    entries = timeline.entries
    if entries and log_time_ms - entries[-1].at_ms > max_delay_ms:
        timeline.floor = entries[-1].place
        timeline.entries, timeline.size = [], 0
        remember_ids(timeline, entries, max_delay_ms, most)
        timeline.unknown, timeline.unfolded = 0, min(timeline.unfolded, 1)
    if not timeline.entries and all(log_time_ms - at_ms > 2 * max_delay_ms for at_ms in timeline.ids.values()):
        timeline.ids, timeline.oldest_ms = {}, NO_TIME


def is_late(timeline: Timeline, event: Event, log_time_ms: int, lateness_ms: int, max_delay_ms: int) -> bool:
    """Whether an event is too late to be put in its place."""
    at_ms, newest_ms, floor = event.occurred_at_ms, timeline.newest_ms, timeline.floor
    if log_time_ms - at_ms > max_delay_ms:
        return True
    if floor is not None and at_ms <= floor[0] and event.place <= floor:
        return True
    return newest_ms is not None and newest_ms - at_ms > lateness_ms


def too_old(timeline: Timeline, oldest_ms: int, most: int) -> int:
    """How many of the first entries are older than a time, or more than is kept; the latter are counted."""
    entries, count = timeline.entries, len(timeline.entries)
    gone = 0
    while gone < count and entries[gone].at_ms < oldest_ms:
        gone += 1
    over = count - gone - most
    if over > 0:
        timeline.overflowed += over
        gone += over
    if timeline.size > MAX_BYTES:  # PERF: what goes is summed up by the caller; here only where it may not be enough
        left = timeline.size - sum([size_of(entry.source) for entry in entries[:gone]])
        while left > MAX_BYTES and gone < count - 1:
            left -= size_of(entries[gone].source)
            timeline.overflowed += 1
            gone += 1
    return gone


def entry_of(
    event: Event, source: bytes | Event, state: MachineState, session: Session | None, made: tuple[Match, ...]
) -> Entry:
    """An entry of an event."""
    return Entry(source, event.event_id, event.occurred_at_ms, event.order, state, session, made)


def moved(entry: Entry, state: MachineState, session: Session | None, made: tuple[Match, ...]) -> Entry:
    """An entry of the same event, where other things came before it."""
    return Entry(entry.source, entry.event_id, entry.at_ms, entry.order, state, session, made)


def shifted(session: Session, entry: Entry, after: Session | None) -> Session | None:
    """The session after an entry that an event more came before, where it differs by that event's count alone.

    None: it has to be found from the event. PERF: the event is not read.
    """
    was = entry.session
    if was is None or after is None or was.session_id != session.session_id or after.session_id != was.session_id:
        return None
    alike = was.last_at_ms == session.last_at_ms and was.landing_path == session.landing_path
    if not alike or was.campaign != session.campaign or was.started_at_ms != session.started_at_ms:
        return None
    count = after.events + session.events - was.events
    return Session(after.session_id, after.started_at_ms, after.last_at_ms, count, after.landing_path, after.campaign)


def changed_sessions(
    prior: Session | None, before: Sequence[Session | None], now: Sequence[Session | None]
) -> tuple[SessionChange, ...]:
    """As :func:`flows.derived.sessions.changes`, of the session after each event.

    PERF: most often it is one session.
    """
    first, old, new = prior, before[-1], now[-1]
    if first is not None and old is not None and new is not None:
        name = first.session_id
        if old.session_id == name and new.session_id == name:
            return (SessionChange(new),) if old != new else ()
    return changes((prior, *before), (prior, *now))
