"""The entry of one key in :mod:`flows.state.store`."""

from __future__ import annotations

from typing import Any, Final

from mypy_extensions import mypyc_attr

from flows.state.rows import SnapshotAndTail
from flows.state.timers import NO_TIMER

FRESH: Final = -1
"""No input came since a state was written."""


@mypyc_attr(acyclic=True)
class Page:
    """A page of :mod:`flows.state.arena`. ``keys``: whose bytes were put into it, in order."""

    __slots__ = ("data", "keys", "used")

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.keys: list[str] = []
        self.used = 0


@mypyc_attr(acyclic=True)
class StateEntry:
    """The entry of one key. PERF: one record where each of its parts would be looked up in a table of its own.

    NOTE: what is generic cannot be kept out of the garbage collector's sight; :class:`Keeper` knows what ``state`` is.
    """

    __slots__ = ("chain", "due_ms", "grown", "key", "page", "place", "saved", "size", "state", "used_ms", "whole")

    def __init__(self, key: str) -> None:
        self.key = key
        """The one text of it that is kept, whoever asks."""
        self.state: Any = None
        """Decoded, while it is at work."""
        self.saved: bytes | None = None
        """Whole, as long as that is current and at hand: not of who was written while at work, nor on the shelf."""
        self.page: Page | None = None
        """Where it stands on the shelf while it rests, from which byte, and how many they are."""
        self.place = self.size = 0
        self.chain: SnapshotAndTail | None = None
        """What a resume found, where inputs are part of it and nobody has asked for it since."""
        self.whole = 0
        """Bytes of key and whole state, as written last (of none: of the key); 0: nothing is, or is to be."""
        self.grown = FRESH
        """Bytes of the inputs since then."""
        self.due_ms = NO_TIMER
        """The time under which it stands among the dues."""
        self.used_ms = 0
        """The log time of the last input."""

    @property
    def waits_ms(self) -> int | None:
        """:attr:`due_ms`, None where nothing waits."""
        return None if self.due_ms == NO_TIMER else self.due_ms
