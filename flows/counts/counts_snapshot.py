"""The counts of waiting runs as a snapshot keeps them: what was told last, and up to when."""

from __future__ import annotations

from contracts.codec import Packed


class ElementCount(Packed, frozen=True):
    """What was told last of an element, as a snapshot keeps it."""

    workspace: str
    listener: str
    version: int
    element: int
    runs: int
    subscribers: int


class CountsSnapshot(Packed, frozen=True):
    """What a snapshot keeps: up to which log time was counted (0: never), and what was told, but for noughts.

    ``owes_day``: whether a day has begun since then of which nothing was said.
    """

    at_ms: int = 0
    told: tuple[ElementCount, ...] = ()
    owes_day: bool = False
