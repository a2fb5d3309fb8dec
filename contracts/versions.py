"""Versions of listeners as they travel in the compacted topic ``listeners`` (SEMANTICS 6; DESIGN 6). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Final

from contracts.codec import Value, replaced, written

NOTICE_MS: Final = 2_000
"""How long before its log time a change is written, so that whoever reads events has read of it by then."""


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
    schema: int = written(1)

    @property
    def key(self) -> bytes:
        """Its key in the topic."""
        return f"{self.workspace}/{self.listener}/{self.version}".encode()

    def state(self, log_time_ms: int) -> str:
        """``coming``, ``shadow``, ``live`` or ``ended``, as of a log time."""
        if self.until_ms is not None and self.until_ms <= log_time_ms:
            return "ended"
        if self.shadow_from_ms > log_time_ms:
            return "coming"
        return "live" if self.live_from_ms is not None and self.live_from_ms <= log_time_ms else "shadow"


def promoted(known: Iterable[ListenerVersion], one: ListenerVersion, at_ms: int) -> list[ListenerVersion]:
    """Return the records that make a version live from ``at_ms`` on: it, and those of its listener that it stops."""
    stopped = [
        replaced(each, until_ms=at_ms)
        for each in _others(known, one)
        if each.until_ms is None and (each.live_from_ms is not None or each.version < one.version)
    ]
    return [*stopped, replaced(one, live_from_ms=at_ms)]


def ended(known: Iterable[ListenerVersion], workspace: str, listener: str, at_ms: int) -> list[ListenerVersion]:
    """Return the records that stop a listener."""
    return [
        replaced(each, until_ms=max(at_ms, each.shadow_from_ms))
        for each in known
        if (each.workspace, each.listener) == (workspace, listener) and each.until_ms is None
    ]


def _others(known: Iterable[ListenerVersion], one: ListenerVersion) -> list[ListenerVersion]:
    return [
        each
        for each in known
        if (each.workspace, each.listener) == (one.workspace, one.listener) and each.version != one.version
    ]
