"""What befalls the installation of the simulated month of :mod:`bench.month`, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Final, NamedTuple

from bench.month_installation import START_MS, Installation
from tests.sinks.simulator.server import Fault

HOUR_MS: Final = 3_600_000
TROUBLES: Final = ("throttle", "error", "done_drop", "html", "drop", "not_json")
"""Of the platform, in turn; each for an hour."""
RELEASES: Final = 2
RESCALES: Final = (3, 2, 4, 1, 2)
AWAY_MS: Final = HOUR_MS
"""How long the broker is away."""
CHANCE_OF_KILL: Final = 0.5


class Incident(NamedTuple):
    """At a time, in the words of the report, something happens."""

    at_ms: int
    name: str
    happen: Callable[[Installation], None]


def incidents(days: int, seed: int) -> list[Incident]:
    """A month's, or so many days', in order."""
    chance = Random(seed)
    found = [each for day in range(days) for each in _of_day(START_MS + day * 24 * HOUR_MS, chance)]
    found += [_release(_share_of(days, number, RELEASES)) for number in range(RELEASES)]
    found += [_rescale(_share_of(days, number, len(RESCALES)), after) for number, after in enumerate(RESCALES)]
    found += list(_troubles(days))
    return sorted(found, key=lambda each: each.at_ms)


def _share_of(days: int, number: int, of: int) -> int:
    """When the so-manieth of some things that are spread over the days happens, at noon or at two."""
    return START_MS + (days * (2 * number + 1) // (2 * of) * 24 + 12 + 2 * (of == RELEASES)) * HOUR_MS


def _of_day(day_ms: int, chance: Random) -> Iterator[Incident]:
    broker_ms = day_ms + chance.randrange(2, 9) * HOUR_MS
    left, killed = chance.randrange(12), [chance.random() < CHANCE_OF_KILL for _ in range(4)]
    yield Incident(broker_ms, "broker away", lambda world: _lose_broker(world, left, killed))
    yield Incident(broker_ms + AWAY_MS, "", _find_broker)
    history_ms = day_ms + chance.randrange(10, 22) * HOUR_MS
    yield Incident(history_ms, "ClickHouse away", _lose_history)
    yield Incident(history_ms + HOUR_MS, "", _find_history)


def _lose_broker(world: Installation, left: int, killed: list[bool]) -> None:
    """It takes a few more records, perhaps in the middle of somebody's work; some processes die with it."""
    world.outage.left = left
    if killed[0]:
        world.end_delivery(kill=True)
    if killed[1]:
        world.end_loader(kill=True)
    for index in range(world.flows):
        if killed[2 + index % 2]:
            world.end_flow(index)
            world.counts.ended["flow"] += 1


def _find_broker(world: Installation) -> None:
    world.outage.left, world.outage.away = None, False


def _lose_history(world: Installation) -> None:
    world.books.away = True


def _find_history(world: Installation) -> None:
    world.books.away, world.books.loses_answers = False, 1


def _troubles(days: int) -> Iterator[Incident]:
    for number, hour in enumerate(range(2, days * 24, 3)):
        kind = TROUBLES[number % len(TROUBLES)]
        at_ms = START_MS + hour * HOUR_MS
        yield Incident(at_ms, f"platform: {kind}", partial(_trouble, kind))
        yield Incident(at_ms + HOUR_MS, "", _end_trouble)


def _trouble(kind: str, world: Installation) -> None:
    world.forget_calls()
    world.platform.faults.append(Fault(kind, times=1_000_000_000))


def _end_trouble(world: Installation) -> None:
    world.forget_calls()
    world.platform.faults.clear()


def _release(at_ms: int) -> Incident:
    return Incident(at_ms, "release", _take_release)


def _take_release(world: Installation) -> None:
    world.stop_all()
    world.start_all()


def _rescale(at_ms: int, after: int) -> Incident:
    return Incident(at_ms, f"rescale to {after}", lambda world: world.rescale(after))
