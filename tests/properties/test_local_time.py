"""Listeners with hours in random streams over clock changes: the brute force's answer, in any order of arrival.

``python -m tests.properties.test_local_time`` runs 2,000 histories; the tests fewer.
"""

from __future__ import annotations

from random import Random
from typing import Any

from contracts.codec import replaced
from contracts.errors import ListenerError
from contracts.events import Event
from contracts.time_zones import named_zone
from flows.language.model import Listener
from flows.machine.machine import Machine
from flows.subscriber.pinned_terms import Terms
from flows.subscriber.reapply import Reapplier
from tests.properties.case import answer
from tests.properties.generate import Data, listener_data, parsed, stream
from tests.properties.oracle import Answer, brute_force

COUNT = 150
STRETCHED = 900
"""A second of the generated streams becomes a quarter of an hour."""
GAP_MS = 6_000 * STRETCHED
ENOUGH_MS = 1 << 50
STARTS_S = {"Europe/Berlin": 1_792_875_600, "America/New_York": 1_772_922_600, "Asia/Kathmandu": 1_780_000_000}
"""A night before the clocks change, where they do."""


def hours_data(random: Random) -> Data:
    found: Data = {}
    if random.random() < 0.7:
        start = random.randrange(0, 96)
        end = (start + random.choice((1, 4, 12, 40, 90))) % 96
        found["between"] = [f"{quarter // 4:02}:{quarter % 4 * 15:02}" for quarter in (start, end)]
    if random.random() < 0.5 or not found:
        days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
        found["weekdays"] = random.sample(days, k=random.randint(1, 5))
    return found


def with_hours(random: Random, data: Any) -> Any:
    """The data of a listener with hours beside some of its conditions, and its durations stretched."""
    if isinstance(data, list):
        return [with_hours(random, each) for each in data]
    if not isinstance(data, dict):
        return data
    found = {name: stretched(name, with_hours(random, each)) for name, each in data.items()}
    if {"action", "not"} & set(found) and random.random() < 0.4:
        found |= hours_data(random)
    return found


def stretched(name: str, value: Any) -> Any:
    if isinstance(value, str) and name in {"within", "after", "for", "cooldown"} and value != "ever":
        return f"{int(value[:-1]) * STRETCHED}s"
    if name == "duration":
        return {operator: f"{int(each[:-1]) * STRETCHED}s" for operator, each in value.items()}
    return value


def histories(seed: int, count: int) -> Any:
    random, made = Random(seed), 0
    while made < count:
        try:
            listener = parsed(with_hours(random, listener_data(random)))
        except ListenerError:
            continue
        zone = random.choice(sorted(STARTS_S))
        events = [
            replaced(each, occurred_at_ms=(STARTS_S[zone] * 1_000) + each.occurred_at_ms * STRETCHED)
            for each in stream(random)
        ]
        made += 1
        yield listener, zone, events, random


def arrived(listener: Listener, zone: str, events: list[Event], end_ms: int) -> list[Answer]:
    reapplier = Reapplier(
        Machine([listener], zone=named_zone(zone)), Terms(ENOUGH_MS, GAP_MS, ENOUGH_MS, time_zone=zone)
    )
    timeline, found = reapplier.new("s"), dict[str, Answer]()
    for event in events:
        applied = reapplier.put(timeline, event, log_time_ms=event.occurred_at_ms)
        for match in applied.retractions:
            del found[match.match_id]
        found |= {match.match_id: answer(match) for match in (*applied.matches, *applied.amended)}
    found |= {match.match_id: answer(match) for match in reapplier.advance(timeline, end_ms).matches}
    return sorted(found.values(), key=lambda each: (each[3], each[2]))


def compare(seed: int, count: int) -> int:
    """Compare so many histories in order and in two other orders of arrival; how many matches there were."""
    found = 0
    for listener, zone, events, random in histories(seed, count):
        end_ms = events[-1].occurred_at_ms + 20_000 * STRETCHED
        said = brute_force(listener, events, gap_ms=GAP_MS, end_ms=end_ms, zone=zone)
        expected = sorted(said, key=lambda each: (each[3], each[2]))
        found += len(expected)
        for order in (events, random.sample(events, k=len(events)), events[::-1]):
            assert arrived(listener, zone, order, end_ms) == expected, (listener, zone, order)
    return found


def test_any_order_of_arrival_ends_with_the_brute_force_answer() -> None:
    assert compare(91, COUNT) > COUNT // 8


if __name__ == "__main__":
    print(compare(92, 2_000), "matches in 2,000 histories")
