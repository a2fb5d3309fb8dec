"""Making a version live, as the command line and the console both do it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.codec import replaced
from contracts.errors import SegmaError
from contracts.versions import AT_WORK, ListenerVersion, promoted


class NotPromotable(SegmaError):
    """The version cannot be made live; the text says why."""


def promotion(
    known: Sequence[ListenerVersion], workspace: str, listener: str, version: int, at_ms: int, *, past: bool = False
) -> list[ListenerVersion]:
    """The records that make a version live from ``at_ms`` on; none where it is already. ``past``: it knows the past
    that it has asked for; else that is given up.

    Raises :class:`NotPromotable` where it was never applied, or has ended.
    """
    own = {(each.listener, each.version): each for each in known if each.workspace == workspace}
    one = own.get((listener, version))
    if one is None:
        there = ", ".join(f"{each}@{number}" for each, number in own) or "none: apply them first"
        raise NotPromotable(f"no {listener}@{version} was applied; there is {there}")
    if one.until_ms is not None:
        raise NotPromotable(f"{listener}@{version} has ended: give it a higher version and apply that")
    if one.state(at_ms) in AT_WORK:
        return []
    return promoted(own.values(), one if past else replaced(one, past_from_ms=None, past_until_ms=None), at_ms)
