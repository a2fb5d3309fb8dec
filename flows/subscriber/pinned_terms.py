"""What an input was applied under, as bytes: the listeners at work and the settings. Inputs are applied again under it.

A worker may know of a listener later than the listener's own instant, and settings may be others after a restart: what
was said stands, so what is applied again must be applied as it was then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final, NamedTuple

from contracts.codec import Value, msgpack_reader, to_msgpack, written


class Terms(NamedTuple):
    """What of a workspace an answer depends on: four times in ms, the name of its time zone, and its cap: how many
    matches may change a person's lists within how many ms; 0: as many as there are.
    """

    lateness_ms: int
    session_gap_ms: int
    max_delay_ms: int
    grace_ms: int = 0
    time_zone: str = "UTC"
    cap_moves: int = 0
    cap_ms: int = 0


class PinnedTerms(Value, frozen=True):
    """``versions``: listener, version, and the log time from which it hears; ``shadows``: those that are no more.
    ``promoted``: those that were shadows, with the log time of their promotion. ``past``: those that have heard their
    past, with the log time up to which it came from the history.
    """

    SCHEMA: ClassVar[int] = 1

    workspace: str
    terms: Terms
    from_ms: int
    versions: tuple[tuple[str, int, int], ...]
    shadows: tuple[tuple[str, int], ...] = ()
    promoted: tuple[tuple[str, int, int], ...] = ()
    past: tuple[tuple[str, int, int], ...] = ()
    schema: int = written(1)

    def encoded(self) -> bytes:
        """As bytes; equal pins are equal bytes."""
        return to_msgpack(self)


read_pinned_terms: Final[Callable[[bytes], PinnedTerms]] = msgpack_reader(PinnedTerms)
