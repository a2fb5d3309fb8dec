"""How long an account would take for so many moves beside what it has to do anyway. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

HOUR_MS: Final = 3_600_000
LONGEST_H: Final = 5 * 8_766


class Drain(NamedTuple):
    """``hours``: until the last of ``moves`` is done; None: never, live moves use up all that the account may do.

    ``an_hour``: what it may do in an hour; None: nothing bounds it that Segma knows of.
    """

    moves: int
    an_hour: float | None
    live_an_hour: float
    hours: float | None


def pace(calls: float, window_ms: int) -> float:
    """Return how many calls that is in an hour: whole ones, but for a pace that is slower than one."""
    an_hour = calls * HOUR_MS / window_ms
    return int(an_hour) if an_hour >= 1 else an_hour


def calls_an_hour(quotas: Mapping[str, Sequence[tuple[int, int]]]) -> float | None:
    """Return the fewest calls of any kind that an hour of the published quotas allows; None without any."""
    found = [pace(calls, window_ms) for rates in quotas.values() for calls, window_ms in rates]
    return min(found, default=None)


def drain(moves: int, an_hour: float | None, live: Sequence[int]) -> Drain:
    """Simulate hour by hour: live moves first, the others in what is left. A call moves one person.

    ``live``: moves of each hour of a week, which comes again and again.
    """
    average = sum(live) / len(live) if live else 0.0
    if an_hour is None or not moves:
        return Drain(moves, an_hour, average, 0.0 if not moves else None)
    left, waiting = float(moves), 0.0
    for hour in range(LONGEST_H):
        waiting += live[hour % len(live)] if live else 0
        done = min(waiting, an_hour)
        waiting -= done
        free = an_hour - done
        if free >= left:
            return Drain(moves, an_hour, average, hour + left / an_hour)
        left -= free
    return Drain(moves, an_hour, average, None)
