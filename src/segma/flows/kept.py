"""What is kept of one key by :mod:`segma.flows.keeper`."""

from __future__ import annotations

from typing import Any, Final

from mypy_extensions import mypyc_attr

from segma.flows.chains import Chain
from segma.flows.dues import UNDUE

FRESH: Final = -1
"""No input came since a state was written."""


@mypyc_attr(acyclic=True)
class Kept:
    """One key's state. PERF: one record where each of its parts would be looked up in a table of its own.

    NOTE: what is generic cannot be kept out of the garbage collector's sight; :class:`Keeper` knows what ``state`` is.
    """

    __slots__ = ("chain", "due_ms", "grown", "key", "saved", "state", "used_ms", "whole")

    def __init__(self, key: str) -> None:
        self.key = key
        """The one text of it that is kept, whoever asks."""
        self.state: Any = None
        """Decoded, while it is at work."""
        self.saved: bytes | None = None
        """Whole and packed, while it rests, and until an input comes. Not of who was written while at work."""
        self.chain: Chain | None = None
        """What a resume found, where inputs are part of it and nobody has asked for it since."""
        self.whole = 0
        """Bytes of key and whole state, as written last (of none: of the key); 0: nothing is, or is to be."""
        self.grown = FRESH
        """Bytes of the inputs since then."""
        self.due_ms = UNDUE
        """The time under which it stands among the dues."""
        self.used_ms = 0
        """The log time of the last input."""
