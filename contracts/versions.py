"""Versions of listeners as they travel in the compacted topic ``listeners`` (SEMANTICS 6; DESIGN 6). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, Final

from contracts.codec import Value, replaced, written

NOTICE_MS: Final = 2_000
"""How long before its log time a change is written, so that whoever reads events has read of it by then."""

AT_WORK: Final = frozenset({"live", "paused"})
"""The states of the version of a listener that follows people, whether it moves them or not."""
Pause = tuple[int, int | None]
"""From an instant on until before another (None: no end yet), ms since the epoch."""


class ListenerVersion(Value, frozen=True):
    """One version. ``text``: the YAML file that it stands in; name and version say which document.

    Log times: a shadow from ``shadow_from_ms``, live from ``live_from_ms`` (None: a shadow still), at work until
    ``until_ms`` (None: no end yet). All of it stays, so that a replay finds each version where it was.
    """

    SCHEMA: ClassVar[int] = 1

    workspace: str
    listener: str
    version: int
    text: str
    shadow_from_ms: int
    live_from_ms: int | None = None
    until_ms: int | None = None
    actions: tuple[str, ...] = ()
    """The workspace's own actions (``actions.yaml``) when it was applied: a running flow hears of new ones so."""
    trust: str = ""
    """The workspace's ``trust`` when it was applied: what it asks for where its text names none; empty: nothing."""
    backfilled: bool = False
    """Whether a back-fill gives the commands of what it matched as a shadow: taking such a match back undoes them."""
    past_from_ms: int | None = None
    past_until_ms: int | None = None
    """It takes over the recorded past from the one log time on; what came before the other comes from the history."""
    pauses: tuple[Pause, ...] = ()
    """When its listener was paused while this version was live: what completes then is a row and makes no command."""
    schema: int = written(1)

    @property
    def key(self) -> bytes:
        """Its key in the topic."""
        return f"{self.workspace}/{self.listener}/{self.version}".encode()

    def state(self, log_time_ms: int) -> str:
        """``coming``, ``shadow``, ``live``, ``paused`` or ``ended``, as of a log time."""
        if self.until_ms is not None and self.until_ms <= log_time_ms:
            return "ended"
        if self.shadow_from_ms > log_time_ms:
            return "coming"
        if self.live_from_ms is None or self.live_from_ms > log_time_ms:
            return "shadow"
        return "paused" if is_paused(self.pauses, log_time_ms) else "live"


def promoted(known: Iterable[ListenerVersion], one: ListenerVersion, at_ms: int) -> list[ListenerVersion]:
    """Return the records that make a version live from ``at_ms`` on: it, and those of its listener that it stops.

    A pause goes on in the new version.
    """
    before = [
        each
        for each in _others(known, one)
        if each.until_ms is None and (each.live_from_ms is not None or each.version < one.version)
    ]
    stopped = [replaced(each, until_ms=at_ms, pauses=_closed(each.pauses, at_ms)) for each in before]
    goes_on = any(_is_open(each.pauses) for each in before)
    pauses = (*one.pauses, (at_ms, None)) if goes_on else one.pauses
    return [*stopped, replaced(one, live_from_ms=at_ms, pauses=pauses)]


def ended(known: Iterable[ListenerVersion], workspace: str, listener: str, at_ms: int) -> list[ListenerVersion]:
    """Return the records that stop a listener; its pause ends with it."""
    return [
        replaced(each, until_ms=max(at_ms, each.shadow_from_ms), pauses=_closed(each.pauses, at_ms))
        for each in known
        if (each.workspace, each.listener) == (workspace, listener) and each.until_ms is None
    ]


def paused(known: Iterable[ListenerVersion], workspace: str, listener: str, at_ms: int) -> list[ListenerVersion]:
    """Return the records that pause a listener from ``at_ms`` on; none where no version is live, or it is paused."""
    return [
        replaced(each, pauses=(*each.pauses, (max(at_ms, each.live_from_ms), None)))
        for each in known
        if (each.workspace, each.listener) == (workspace, listener)
        and each.until_ms is None
        and each.live_from_ms is not None
        and not _is_open(each.pauses)
    ]


def resumed(known: Iterable[ListenerVersion], workspace: str, listener: str, at_ms: int) -> list[ListenerVersion]:
    """Return the records that let a listener go on from ``at_ms`` on; none where it is not paused."""
    return [
        replaced(each, pauses=_closed(each.pauses, at_ms))
        for each in known
        if (each.workspace, each.listener) == (workspace, listener) and _is_open(each.pauses)
    ]


def pauses_of(versions: Iterable[ListenerVersion]) -> tuple[Pause, ...]:
    """The pauses of one listener, whose versions these are: in order, those that meet as one."""
    return merged(pause for each in versions for pause in each.pauses)


def merged(pauses: Iterable[Pause]) -> tuple[Pause, ...]:
    """Pauses in order, those that meet as one."""
    found: list[Pause] = []
    for from_ms, until_ms in sorted(pauses, key=lambda pause: pause[0]):
        before = found[-1] if found else None
        if before is None or (before[1] is not None and before[1] < from_ms):
            found.append((from_ms, until_ms))
        elif before[1] is not None:
            found[-1] = (before[0], None if until_ms is None else max(before[1], until_ms))
    return tuple(found)


def is_paused(pauses: Iterable[Pause], at_ms: int) -> bool:
    """Whether an instant lies in a pause."""
    return any(from_ms <= at_ms and (until_ms is None or at_ms < until_ms) for from_ms, until_ms in pauses)


def _is_open(pauses: Iterable[Pause]) -> bool:
    return any(until_ms is None for _, until_ms in pauses)


def _closed(pauses: Sequence[Pause], at_ms: int) -> tuple[Pause, ...]:
    """The pauses, none of which lasts beyond an instant; one that would have begun at it or later is none."""
    ended_by = [(from_ms, at_ms if until_ms is None else until_ms) for from_ms, until_ms in pauses]
    return tuple((from_ms, until_ms) for from_ms, until_ms in ended_by if from_ms < until_ms)


def _others(known: Iterable[ListenerVersion], one: ListenerVersion) -> list[ListenerVersion]:
    return [
        each
        for each in known
        if (each.workspace, each.listener) == (one.workspace, one.listener) and each.version != one.version
    ]
