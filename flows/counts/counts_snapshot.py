"""The counts of waiting runs in a snapshot: the rows written last, and up to which log time."""

from __future__ import annotations

from contracts.codec import Packed


class ElementCount(Packed, frozen=True):
    """The count of one awaited element in the last row that was written."""

    workspace: str
    listener: str
    version: int
    element: int
    runs: int
    subscribers: int


class CountsSnapshot(Packed, frozen=True):
    """The counts of one key group: up to which log time (0: never), and the last row's counts above nought.

    ``owes_day``: whether a day has begun since then of which nothing was said.
    """

    at_ms: int = 0
    told: tuple[ElementCount, ...] = ()
    owes_day: bool = False
