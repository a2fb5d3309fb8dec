"""The people of :mod:`bench.month`: who comes by when, and the beacons that their browsers send."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from random import Random
from typing import Any, Final, NamedTuple

CATEGORIES: Final = 4
LATE_PART, TOO_LATE_PART, BAD_PART, REPEATED_PART = 0.02, 0.002, 0.002, 0.01
LISTENERS: Final = "\n---\n".join(
    [
        "listener: abandoned\nsequence:\n  - action: product_added\n  - {not: product_bought, for: 30m}\n"
        "then: [{move: {from: newsletter, to: abandoned, at: mail}}]",
        "listener: back\nsequence: [{action: product_bought}]\n"
        "then: [{move: {from: abandoned, to: newsletter, at: mail}}]",
        *(
            f"listener: likes-{number}\nwithin: {number + 1}h\nsequence: [{{action: page_viewed, where:"
            f" {{category: c{number}}}}}, {{action: product_added}}]\n"
            f"then: [{{add: {{to: likes-c{number}, at: mail}}}}]"
            for number in range(CATEGORIES)
        ),
        "listener: cold\nsequence:\n  - action: email_clicked\n  - {not: product_added, for: 2h}\n"
        "then: [{add: {to: cold, at: mail}}]",
        "listener: warm\nsequence: [{action: email_clicked}, {action: product_bought}]\n"
        "then: [{remove: {from: cold, at: mail}}]",
        "listener: engaged\nwithin: 1d\nsequence: [{action: page_viewed, times: 3}]\nrepeat: {cooldown: 6h}\n"
        "then: [{add: {to: engaged, at: mail}}]",
        "listener: same\nwithin: 2h\nsequence: [{step: s, action: product_added}, {action: product_bought, where:"
        " {category: {same_as: s.category}}}]\nthen: [{remove: {from: engaged, at: mail}}]",
    ]
)
"""Ten, with windows, absences, moves there and back, and additions and removals of one list by different ones."""
VISITS: Final = (
    ("page_viewed", "page_viewed"),
    ("page_viewed", "product_added"),
    ("email_clicked", "page_viewed"),
    ("page_viewed", "product_added", "product_bought"),
    ("email_clicked", "page_viewed", "product_bought"),
    ("page_viewed",),
)


class Sent(NamedTuple):
    """A beacon: when it reaches the collector, whose it is, and the numbers and words of its events."""

    at_ms: int
    person: int
    numbers: tuple[int, ...]
    events: list[dict[str, Any]]


def device_of(person: int) -> str:
    """A browser's own id."""
    return hashlib.sha256(f"device {person}".encode()).hexdigest()[:24]


def address_of(person: int) -> str:
    """An address."""
    return f"person{person}@example.org"


def beacon_of(sent: Sent, token: str, now_ms: int) -> bytes:
    """The bytes that the browser sends."""
    envelope = {
        "site": "shop-key",
        "device": device_of(sent.person),
        "sent_at_ms": now_ms,
        "events": sent.events,
        "token": token,
    }
    return json.dumps(envelope, separators=(",", ":")).encode()


class People:
    """So many, who come by at random times; some beacons come late, some too late, some twice, some events are bad."""

    def __init__(self, people: int, visits: float, seed: int) -> None:
        """``visits``: of one person in 24 hours, on average."""
        self._people, self._visits = people, visits
        self._random = Random(seed)
        self._number = 0
        self._waiting: list[Sent] = []
        self.made = 0
        """Events so far."""

    def arriving(self, from_ms: int, to_ms: int) -> Iterator[Sent]:
        """The beacons that arrive in a stretch of time, in order."""
        mean = self._people * self._visits * (to_ms - from_ms) / 86_400_000
        count = int(mean) + (self._random.random() < mean % 1)
        self._waiting += [each for _ in range(count) for each in self._visit(from_ms, to_ms)]
        due = sorted(each for each in self._waiting if each.at_ms < to_ms)
        self._waiting = [each for each in self._waiting if each.at_ms >= to_ms]
        return iter(due)

    def left(self) -> list[Sent]:
        """Those that are on their way still."""
        waiting, self._waiting = sorted(self._waiting), []
        return waiting

    def _visit(self, from_ms: int, to_ms: int) -> Iterator[Sent]:
        chance = self._random
        at_ms, person = chance.randrange(from_ms, to_ms), chance.randrange(self._people)
        events = [self._event(action, at_ms + 1_000 * place) for place, action in enumerate(chance.choice(VISITS))]
        if chance.random() < BAD_PART:
            events[-1]["action"] = "never_heard_of"
        numbers = tuple(int(each["event_id"][1:]) for each in events)
        luck = chance.random()
        delay_ms = 1_000 * len(events)
        if luck < TOO_LATE_PART:
            delay_ms = chance.randrange(2 * 3_600_000, 20 * 3_600_000)
        elif luck < TOO_LATE_PART + LATE_PART:
            delay_ms = chance.randrange(30_000, 500_000)
        yield Sent(at_ms + delay_ms, person, numbers, events)
        if chance.random() < REPEATED_PART:
            yield Sent(at_ms + delay_ms + 2_000, person, numbers, events)

    def _event(self, action: str, at_ms: int) -> dict[str, Any]:
        self._number += 1
        self.made += 1
        properties = {"category": f"c{self._random.randrange(CATEGORIES)}", "path": "/shoes", "sku": "a-1"}
        return {"event_id": f"e{self._number}", "action": action, "occurred_at_ms": at_ms, "properties": properties}
