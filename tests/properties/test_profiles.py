"""Listeners that ask what is known of a person, in random histories: the brute force's answer in any order of arrival.

``python -m tests.properties.test_profiles`` runs 2,000 histories; the test fewer.
"""

from __future__ import annotations

from random import Random
from typing import Any

from contracts.actions import PROFILE_CHANGED
from contracts.codec import replaced
from contracts.errors import ListenerError
from contracts.events import Event, Trust
from flows.language.model import Listener
from flows.machine.machine import Machine
from flows.subscriber.pinned_terms import Terms
from flows.subscriber.reapply import Reapplier
from tests.properties.case import answer
from tests.properties.generate import GAP_MS, listener_data, parsed, stream
from tests.properties.oracle import Answer, brute_force

COUNT = 150
ENOUGH_MS = 1 << 50
ZONES = ("Europe/Berlin", "Asia/Tokyo", "Nowhere/Land", "", None)


def with_profile(random: Random, data: Any) -> Any:
    """The data of a listener with a profile, or hours, beside some of its conditions."""
    if isinstance(data, list):
        return [with_profile(random, each) for each in data]
    if not isinstance(data, dict):
        return data
    found = {name: with_profile(random, each) for name, each in data.items()}
    if {"action", "not"} & set(found) and random.random() < 0.5:
        tests: Any = ("DE", ["DE", "FR"], {"not_equals": "DE"}, {"exists": True}, {"exists": False}, "D*")
        found["profile"] = {"country": random.choice(tests)}
        if random.random() < 0.3:
            found["profile"]["points"] = {random.choice(("at_least", "less_than")): 3}
    if {"action", "not"} & set(found) and random.random() < 0.15:
        found["between"] = random.choice((["00:00", "00:30"], ["01:00", "02:00"], ["09:00", "10:00"]))
    return found


def facts(random: Random, events: list[Event]) -> list[Event]:
    """Facts among the events, some at the very time of one."""
    found = []
    for number in range(random.randint(0, 5)):
        fields: dict[str, Any] = {"country": random.choice(("DE", "FR", "", None, 7))}
        fields |= {"points": random.randint(0, 5)} if random.random() < 0.4 else {}
        fields |= {"time_zone": random.choice(ZONES)} if random.random() < 0.4 else {}
        near = random.choice(events)
        found.append(
            replaced(
                near,
                event_id=f"p{number}",
                action=PROFILE_CHANGED,
                occurred_at_ms=max(near.occurred_at_ms + random.choice((-1_500, -500, 0, 0, 500)), 0),
                order=random.randint(0, 20),
                properties=fields,
                trust=random.choice((Trust.SERVER, Trust.TOKEN, Trust.TOKEN, Trust.BROWSER)),
                provisional=False,
                verdict="",
            )
        )
    return found


def histories(seed: int, count: int) -> Any:
    random, made = Random(seed), 0
    while made < count:
        try:
            listener = parsed(with_profile(random, listener_data(random)))
        except ListenerError:
            continue
        events = stream(random)
        made += 1
        yield listener, [*events, *facts(random, events)], random


def arrived(listener: Listener, order: list[Event], end_ms: int) -> list[Answer]:
    reapplier = Reapplier(Machine([listener]), Terms(ENOUGH_MS, GAP_MS, ENOUGH_MS))
    timeline, found = reapplier.new("s"), dict[str, Answer]()
    for number, event in enumerate(order):
        applied = reapplier.put(timeline, event, log_time_ms=event.occurred_at_ms)
        for match in applied.retractions:
            del found[match.match_id]
        found |= {match.match_id: answer(match) for match in (*applied.matches, *applied.amended)}
        if number % 4 == 3:
            timeline = reapplier.decode(reapplier.encode(timeline))
    found |= {match.match_id: answer(match) for match in reapplier.advance(timeline, end_ms).matches}
    return sorted(found.values(), key=lambda each: (each[3], each[2]))


def compare(seed: int, count: int) -> int:
    """Compare so many histories in order and in two other orders of arrival; how many matches there were."""
    found = 0
    for listener, events, random in histories(seed, count):
        end_ms = max(each.occurred_at_ms for each in events) + 20_000
        said = brute_force(listener, events, gap_ms=GAP_MS, end_ms=end_ms)
        expected = sorted(said, key=lambda each: (each[3], each[2]))
        found += len(expected)
        in_order = sorted(events, key=lambda each: each.place)
        for order in (in_order, random.sample(events, k=len(events)), in_order[::-1], events):
            assert arrived(listener, order, end_ms) == expected, (listener, order)
    return found


def test_any_order_of_arrival_ends_with_the_brute_force_answer() -> None:
    assert compare(71, COUNT) > COUNT // 8


if __name__ == "__main__":
    print(compare(72, 2_000), "matches in 2,000 histories")
