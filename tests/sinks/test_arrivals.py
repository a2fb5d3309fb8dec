"""What was long under way counts for as long: the platform's clock looks at a call when it arrives."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from sinks.toolkit.rate_limit import RateLimit

WINDOW_MS = 1_000
MOST = 4
BACK_MS = 10
"""How long an answer takes back from the platform."""


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_000_000.0
        self.alarm: Callable[[], None] = lambda: None

    def pause(self, seconds: float) -> None:
        self.now_ms += seconds * 1_000
        self.alarm()


def limited(clock: Clock, path: Path, most: int = MOST) -> RateLimit:
    rates = {"all": [(most, WINDOW_MS)]}
    return RateLimit(rates, path=path / "pace.db", now_ms=lambda: int(clock.now_ms), pause=clock.pause)


def arrivals(limit: RateLimit, clock: Clock, delays_ms: list[int]) -> list[float]:
    """When each of calls one after the other reaches the platform."""
    found = []
    for delay_ms in delays_ms:
        with limit.call("all", "GET"):
            clock.now_ms += delay_ms
            found.append(clock.now_ms)
            clock.now_ms += BACK_MS
    limit.close()
    return found


@pytest.mark.parametrize("seed", range(2))
def test_no_window_of_the_platforms_has_a_call_too_many_however_long_some_are_under_way(
    seed: int, tmp_path: Path
) -> None:
    clock, dice = Clock(), random.Random(seed)
    delays_ms = [5] * 30 + [dice.choice((5, 5, 5, 7, 80, 300, 900, 1_500)) for _ in range(200)]
    found = arrivals(limited(clock, tmp_path), clock, delays_ms)
    gaps_ms = [later - one for one, later in zip(found, found[MOST:], strict=False)]
    assert min(gaps_ms) >= WINDOW_MS
    assert sum(gap_ms < 1.2 * WINDOW_MS for gap_ms in gaps_ms) > 30, "the quota is used all the same"


def test_calls_that_are_all_quick_use_what_is_allowed(tmp_path: Path) -> None:
    clock = Clock()
    found = arrivals(limited(clock, tmp_path), clock, [5] * 200)
    assert 200 / (found[-1] - found[0]) > 0.95 * MOST / WINDOW_MS


def test_a_call_without_an_answer_counts_until_it_has_one(tmp_path: Path) -> None:
    clock = Clock()
    limit = limited(clock, tmp_path, most=2)
    with ExitStack() as under_way:
        under_way.enter_context(limit.call("all", "GET"))
        started_ms = clock.now_ms
        clock.now_ms += 3 * WINDOW_MS
        clock.alarm = lambda: under_way.close() if clock.now_ms > started_ms + 3.5 * WINDOW_MS else None
        limit.acquire("all")
        assert clock.now_ms == started_ms + 3 * WINDOW_MS, "there is room for one beside it"
        limit.acquire("all")
        limit.acquire("all")
    assert clock.now_ms > started_ms + 4.5 * WINDOW_MS
    limit.close()
