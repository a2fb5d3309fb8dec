"""The faults: processes killed while they work, a broker killed, a broker away."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence

import requests

from contracts.codec import to_json
from contracts.tokens import Claims
from contracts.topics import OUTCOMES
from tests.broker import Broker
from tests.recovery.judge import MOVES
from tests.recovery.people import People
from tests.recovery.world import ORIGIN, PEOPLE, SILENCE_S, World

Say = Callable[[str], None]
BUYER_S = 240.0
"""How long a beacon may be refused because the spool is full: until the broker is back, on a slow machine too."""

REFUSED_S = 60.0
"""How long people may take to fill a spool."""


def walked(world: World) -> list[People]:
    """Everybody, ready to walk."""
    people = [People(world, person) for person in range(PEOPLE)]
    for each in people:
        each.start()
    return people


class Walking(threading.Thread):
    """A load: everybody is given a round, ``every_s`` after the one before, until it is stopped."""

    def __init__(self, people: Sequence[People], every_s: float) -> None:
        super().__init__(daemon=True)
        self._people, self._every_s = people, every_s
        self._stopped = threading.Event()
        self.rounds = 0
        """How many rounds were given: 0, 1 and so on."""

    def run(self) -> None:
        """Give rounds."""
        while not self._stopped.is_set():
            for each in self._people:
                each.rounds.put(self.rounds)
            self.rounds += 1
            self._stopped.wait(self._every_s)

    def stop(self) -> range:
        """End it; the rounds that were given."""
        self._stopped.set()
        self.join()
        return range(self.rounds)


def in_flight(world: World, target: str, people: list[People]) -> bool:
    """Whether a kill now interrupts work: what has gone in has not all come out."""
    if target == "collector":
        return any(each.open for each in people)
    if target in world.flows:
        return sum(len(each.acknowledged) for each in people) > world.followed_events()
    return world.count(MOVES) > world.count(OUTCOMES)


def await_in_flight(world: World, target: str, people: list[People], sent: int) -> bool:
    """Wait until work is in flight; False where ``sent`` rounds went through before it could be seen."""
    until = time.monotonic() + SILENCE_S
    while time.monotonic() < until:
        if in_flight(world, target, people):
            return True
        if all(each.walked == sent for each in people) and not in_flight(world, world.flows[0], people):
            return in_flight(world, target, people)
        threading.Event().wait(0.001)
    raise AssertionError(f"round {sent} neither went through nor was seen at work: {world.said(target)}")


def await_followed(world: World, people: list[People], sent: int) -> None:
    """Wait until ``sent`` rounds of everybody's have come out of the flow."""
    until = time.monotonic() + SILENCE_S
    while time.monotonic() < until:
        if all(each.walked == sent for each in people) and not in_flight(world, world.flows[0], people):
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"round {sent} did not come out of the flow: {world.said(world.flows[0])}")


def kill_at_random(
    world: World,
    targets: Sequence[str],
    people: list[People],
    chance: random.Random,
    *,
    rest_s: float = 1.6,
    say: Say = lambda _: None,
) -> int:
    """Kill one target after the other, a round of everybody's to each; how often that interrupted work in flight.

    Three of four kills come as soon as work is seen in flight, so the share asked for does not hang on the machine's
    speed; every fourth comes at any moment, also while the process is at rest or still reading its state.
    """
    interrupted = 0
    for number, target in enumerate(targets):
        for each in people:
            each.rounds.put(number)
        if number % 4:
            interrupted += await_in_flight(world, target, people, number + 2)
        else:
            threading.Event().wait(chance.uniform(0.0, 0.08))
            interrupted += in_flight(world, target, people)
        world.kill(target)
        world.start(target)
        threading.Event().wait(chance.uniform(0.0, rest_s))
        say(f"{number + 1} of {len(targets)} kills, {interrupted} of them of work in flight")
    return interrupted


class Buyer(threading.Thread):
    """Somebody who fills a basket and buys it at once, with an outage between the two: no absence, whatever comes when.

    Without a ``subscriber`` they are nobody's: a command for them would be one too many.
    """

    def __init__(self, world: World, name: str, subscriber: str = "") -> None:
        super().__init__(daemon=True)
        self.world, self.name = world, name
        self.token = world.keyring.seal(Claims("demo", subscriber or f"s_{name}", int(time.time())))
        self.acknowledged: list[str] = []

    def fill(self) -> None:
        """Fill the basket."""
        self.filled_ms = time.time_ns() // 1_000_000
        self._send("product_added", self.filled_ms)

    def run(self) -> None:
        """Buy it, 300 ms later by the browser's clock; again until it is answered."""
        self._send("product_bought", self.filled_ms + 300)

    def _send(self, action: str, at_ms: int) -> None:
        event = {"event_id": f"{self.name}.{action}", "action": action, "occurred_at_ms": at_ms, "order": at_ms % 10**9}
        until = time.monotonic() + BUYER_S
        while time.monotonic() < until:
            # As the SDK does: the time of sending is that of each try.
            beacon = {
                "site": "shop-key",
                "device": f"d-{self.name}",
                "sent_at_ms": time.time_ns() // 1_000_000,
                "token": self.token,
                "events": [event],
            }
            headers = {"Origin": ORIGIN}
            answer = requests.post(f"{self.world.url}/v1/beacons", data=to_json(beacon), headers=headers, timeout=30)
            if answer.status_code == 204:
                self.acknowledged.append(str(event["event_id"]))
                return
            threading.Event().wait(0.05)
        raise AssertionError(f"{self.name} was never answered")


def await_refused(people: Sequence[People]) -> None:
    """Wait until a beacon was refused."""
    until = time.monotonic() + REFUSED_S
    while not any(each.refused for each in people):
        assert time.monotonic() < until, "the spool was never full"
        threading.Event().wait(0.05)


def kill_broker(
    world: World,
    broker: Broker,
    people: list[People],
    chance: random.Random,
    *,
    times: int,
    away_s: float,
    say: Say = lambda _: None,
) -> None:
    """Kill the broker in the middle of everybody's round and start it again, so often; the last time it stays away.

    It stays away for ``away_s`` and until a beacon was refused, as the collectors' spools were full.
    Everything is at work before: one round more than kills is walked first. Into each outage somebody's purchase falls.
    """
    for each in people:
        each.rounds.put(times + 1)
    await_followed(world, people, 1)
    for number in range(times + 1):
        for each in people:
            each.rounds.put(number)
        buyer = Buyer(world, f"buyer{number}")
        buyer.fill()
        threading.Event().wait(chance.uniform(0.05, 0.3))
        broker.kill()
        buyer.start()
        threading.Event().wait(away_s if number == times else chance.uniform(0.0, 2.0))
        if number == times:
            await_refused(people)
        broker.start()
        world.rest()
        buyer.join(BUYER_S)
        people[0].acknowledged += buyer.acknowledged
        say(f"the broker was killed {number + 1} times" if number < times else f"it was away for {away_s:.0f} s")
