"""``repeat`` across a change of versions, whatever is applied again over it (SEMANTICS 4, 6 and 8). Pure.

What a version matched while it was a shadow does not count once it is live; what an earlier live version matched does.
A late event may have the time before the change applied again under the versions of now: the places of what was matched
then are remembered (:class:`flows.machine.runs.Earlier`), so that it comes to the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from contracts.codec import replaced
from flows.language.model import Listener, Repeat
from flows.machine.compiled import Facts
from flows.machine.program import ListenerProgram
from flows.machine.runs import Earlier, Finished, ListenerRuns, Place, Version

KEPT_EARLIER: Final = 64
"""Matches that are remembered of a listener; what is older than the lateness is not applied again."""
_NOTHING: Final = Earlier()
_BEFORE_ALL: Final = -(1 << 62)


class VersionChange(NamedTuple):
    """``promoted``: shadows until now, whatever they are from here on. ``ended``: live versions that are at work no
    more and whose matches count for ``repeat``.
    """

    promoted: Collection[Version] = ()
    ended: Collection[Version] = ()


UNCHANGED: Final = VersionChange()


def earlier_of(
    listeners: Iterable[Listener],
    known: Mapping[Version, Earlier],
    change: VersionChange,
    told: Mapping[Version, Collection[Place]],
) -> dict[Version, Earlier]:
    """What is remembered of listeners after a change. ``told``: where the versions that it names matched."""
    found: dict[Version, Earlier] = {}
    for listener in listeners:
        version = listener.name, listener.version
        if listener.repeat is Repeat.EVERY:
            continue
        own = known.get(version, _NOTHING)
        gone = [each for each in change.ended if each[0] == listener.name]
        ended = {at for each in gone for at in (*known.get(each, _NOTHING).ended, *told.get(each, ()))}
        shadowed = {*own.shadowed, *(told.get(version, ()) if version in change.promoted else ())}
        earlier = Earlier(_newest(shadowed), _newest(ended.union(own.ended)))
        if earlier != _NOTHING:
            found[version] = earlier
    return found


def _newest(places: Iterable[Place]) -> tuple[Place, ...]:
    return tuple(sorted(places)[-KEPT_EARLIER:])


def on_event(
    program: ListenerProgram, held: ListenerRuns, facts: Facts, earlier: Earlier, live_from_ms: int
) -> tuple[ListenerRuns, Sequence[Finished]]:
    """As :meth:`ListenerProgram.on_event`. ``live_from_ms``: the log time at which the version was a shadow no more."""
    place, as_shadow = facts.event.place, facts.event.log_time_ms < live_from_ms
    last_ms = _last(program.listener, held, earlier, place, as_shadow=as_shadow)
    if program.listener.repeat is Repeat.ONCE:
        # What a shadow matched is found again only by what it heard, whatever counts by now.
        if any(each < place for each in earlier.shadowed) if as_shadow else last_ms is not None:
            return held, ()
        found = program.on_event(_with_last(held, None), facts)
    else:
        found = program.on_event(_with_last(held, last_ms), facts)
    return _counted(program.listener, held, found, last_ms, is_shadows=place in earlier.shadowed)


def on_time(
    program: ListenerProgram, held: ListenerRuns, now_ms: int, earlier: Earlier, live_from_ms: int
) -> tuple[ListenerRuns, list[Finished]]:
    """As :meth:`ListenerProgram.on_time`. ``live_from_ms``: the first deadline that did not fall due to a shadow."""
    finished: list[Finished] = []
    while (due_ms := program.due(held)) is not None and due_ms <= now_ms:
        place = place_of(due_ms)
        last_ms = _last(program.listener, held, earlier, place, as_shadow=due_ms < live_from_ms)
        once = program.listener.repeat is Repeat.ONCE
        found = program.on_time(_with_last(held, None if once else last_ms), due_ms)
        held, done = _counted(program.listener, held, found, last_ms, is_shadows=place in earlier.shadowed)
        finished.extend(done)
    return held, finished


def place_of(deadline_ms: int) -> Place:
    """The place of what a deadline completes: before all events of its time."""
    return (deadline_ms, _BEFORE_ALL, "")


def _last(listener: Listener, held: ListenerRuns, earlier: Earlier, place: Place, *, as_shadow: bool) -> int | None:
    """When the listener last matched, for what is complete at a place."""
    if place in earlier.shadowed:
        return None  # it is the shadow's: it was told before, and stands
    once = listener.repeat is Repeat.ONCE
    times = [each[0] for each in earlier.ended if once or each <= place]
    if held.last_ms is not None:
        times.append(held.last_ms)
    if as_shadow:
        times += [each[0] for each in earlier.shadowed if each < place]
    return max(times, default=None)


def _with_last(held: ListenerRuns, last_ms: int | None) -> ListenerRuns:
    return held if held.last_ms == last_ms else replaced(held, last_ms=last_ms)


def _counted(
    listener: Listener,
    before: ListenerRuns,
    found: tuple[ListenerRuns, Sequence[Finished]],
    last_ms: int | None,
    *,
    is_shadows: bool,
) -> tuple[ListenerRuns, Sequence[Finished]]:
    """What was found, with what counts from here on: a shadow's match does not."""
    after, finished = found
    if last_ms is not None and listener.repeat is Repeat.ONCE:
        finished = ()
    return (after if finished and not is_shadows else _with_last(after, before.last_ms)), finished
