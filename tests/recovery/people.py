"""People who walk through fixed scripts in a :class:`World`, and the commands that their walks come to."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

import requests

from contracts.actions import VOCABULARY
from contracts.codec import to_json
from contracts.events import Event
from flows.derived.sessions import extended
from flows.language.files import load_listeners
from flows.machine.machine import Machine, Match
from flows.subscriber.decide import Occasion, Past, decide
from tests.recovery.world import ORIGIN, SILENCE_S, World


def script(person: int, round_number: int) -> list[list[dict[str, Any]]]:
    """The beacons of one person's round, in order; each is a list of events without times."""
    base = f"p{person}.r{round_number}"

    def event(number: int, action: str, **properties: Any) -> dict[str, Any]:
        order = round_number * 10 + number
        return {"event_id": f"{base}.{number}", "action": action, "order": order, "properties": properties}

    basket = [event(4, "product_added", sku="shoe")]
    if person % 2:
        basket.append(event(5, "product_bought", sku="shoe"))
    return [
        [event(1, "email_clicked", campaign="spring")],
        [event(2, "page_viewed", category=f"c{person % 3}")],
        [event(3, "page_viewed", category=f"c{round_number % 4}")],
        basket,
    ]


class People(threading.Thread):
    """One person a thread; each walks a round when told to, repeating a beacon until it is answered 2xx."""

    def __init__(self, world: World, person: int) -> None:
        super().__init__(daemon=True)
        self.world, self.person = world, person
        self.rounds: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self.acknowledged: list[str] = []
        self.open = False
        self.failure: BaseException | None = None
        self.repeated = 0
        self.refused = 0
        self.walked = 0
        """Rounds that were answered whole."""

    def run(self) -> None:
        """Walk until there is nothing more to walk."""
        try:
            with requests.Session() as session:
                while (number := self.rounds.get()) is not None:
                    for events in script(self.person, number):
                        self._send(session, events)
                    self.walked += 1
        except BaseException as error:
            self.failure = error
            raise

    def _send(self, session: requests.Session, events: list[dict[str, Any]]) -> None:
        now_ms = time.time_ns() // 1_000_000
        beacon = {
            "site": "shop-key",
            "device": f"device{self.person}",
            "sent_at_ms": now_ms,
            "token": self.world.tokens[self.person],
            "events": [{**event, "occurred_at_ms": now_ms} for event in events],
        }
        body = to_json(beacon)
        until = time.monotonic() + SILENCE_S
        while True:
            self.open = True
            try:
                answer = session.post(f"{self.world.url}/v1/beacons", data=body, headers={"Origin": ORIGIN}, timeout=30)
            except requests.RequestException:
                self.repeated += 1
                assert time.monotonic() < until, "no answer"
                threading.Event().wait(0.02)
                continue
            finally:
                self.open = False
            if answer.status_code == 204:
                break
            assert answer.status_code == 503, (answer.status_code, answer.text)
            self.refused += 1
            threading.Event().wait(0.05)
        self.acknowledged += [event["event_id"] for event in events]


def expected_commands(world: World, rounds: Sequence[int]) -> dict[str, str]:
    """Command id → listener, of a run without any trouble: what the pure machine says of the scripts, in order."""
    listeners = load_listeners(world.home / "listeners", world.home / "actions.yaml")
    versions, machine = {(each.name, each.version): each for each in listeners}, Machine(listeners)
    assert {step.condition.action for each in listeners for step in each.sequence if step.condition} <= VOCABULARY
    found: dict[str, str] = {}
    for person, subscriber in enumerate(world.subscribers):
        state, session, at_ms = machine.start(subscriber), None, 0
        matches: list[Match] = []
        for number in rounds:
            for sent in (event for beacon in script(person, number) for event in beacon):
                at_ms += 10
                event = Event(
                    workspace="demo",
                    subscriber=subscriber,
                    event_id=sent["event_id"],
                    action=sent["action"],
                    occurred_at_ms=at_ms,
                    order=sent["order"],
                    properties=sent["properties"],
                )
                session = extended(session, event, gap_ms=1_800_000)
                state, made = machine.apply(state, event, session)
                matches.extend(made)
        matches.extend(machine.advance(state, at_ms + 10_000)[1])
        decision = decide(versions, (), matches, Past(), Occasion("demo", 0, 0))
        found |= {command.command_id: command.listener for command in decision.commands}
    return found
