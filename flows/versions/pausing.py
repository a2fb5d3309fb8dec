"""Pausing a listener and letting it go on, as the command line and the console both do it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.errors import SegmaError
from contracts.versions import ListenerVersion, paused, resumed


class NotPausable(SegmaError):
    """There is nothing to pause, or to let go on; the text says why."""


def pausing(known: Sequence[ListenerVersion], workspace: str, listener: str, at_ms: int) -> list[ListenerVersion]:
    """The records that pause a listener from ``at_ms`` on; none where it is paused already.

    Raises :class:`NotPausable` where none of its versions is live.
    """
    own = _own(known, workspace, listener)
    if not any(each.until_ms is None and each.live_from_ms is not None for each in own):
        raise NotPausable(f"no version of {listener} is live: it moves nobody")
    return paused(own, workspace, listener, at_ms)


def resuming(known: Sequence[ListenerVersion], workspace: str, listener: str, at_ms: int) -> list[ListenerVersion]:
    """The records that let a listener go on from ``at_ms`` on; none where it is not paused.

    Raises :class:`NotPausable` where it was never applied.
    """
    return resumed(_own(known, workspace, listener), workspace, listener, at_ms)


def _own(known: Sequence[ListenerVersion], workspace: str, listener: str) -> list[ListenerVersion]:
    own = [each for each in known if (each.workspace, each.listener) == (workspace, listener)]
    if not own:
        raise NotPausable(f"no version of {listener} was applied")
    return own
