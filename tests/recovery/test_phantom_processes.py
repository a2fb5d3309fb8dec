"""The phantom with real processes: two flows on Kafka, killed between a deadline's command and their snapshot."""

from __future__ import annotations

import functools
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.codec import json_reader
from contracts.commands import Command
from contracts.log import Consumer
from tests.broker import Broker
from tests.recovery.faults import Buyer
from tests.recovery.judge import MOVES
from tests.recovery.world import PEOPLE, SILENCE_S, World

pytestmark = pytest.mark.alone

ROUNDS = 3
EPOCH_MS = "5000"
"""Long enough that a flow that is killed as soon as it has spoken has not saved what it said."""
_read_command = json_reader(Command)


def until(reader: Consumer, commands: list[Command], enough: Callable[[], bool]) -> None:
    """Read commands until there are enough."""
    while not enough():
        records = reader.poll(1_000, timeout_s=SILENCE_S)
        assert records, f"silence after {len(commands)} commands"
        commands += [_read_command(record.value) for record in records if record.value]


@pytest.mark.slow
def test_a_denial_behind_a_kill_takes_back_what_was_said_before_it(tmp_path: Path, broker: Broker) -> None:
    chance, commands = random.Random(5), list[Command]()
    with World(tmp_path / "home", log=broker.settings(tmp_path), flows=2, SEGMA_EPOCH_MS=EPOCH_MS) as world:
        world.start("collector", *world.flows, "delivery")
        reader = world.log.reader(MOVES)

        def standing() -> set[str]:
            undone = {command.undoes for command in commands if command.undoes}
            return {each.subscriber for each in commands if not each.undoes and each.command_id not in undone}

        def covered(whose: set[str]) -> bool:
            return standing() >= whose

        buying = set[str]()
        for number in range(ROUNDS):
            whose = set(world.subscribers[number :: PEOPLE // 8])
            buyers = [Buyer(world, f"r{number}p{place}", subscriber) for place, subscriber in enumerate(sorted(whose))]
            for buyer in buyers:
                buyer.fill()
            until(reader, commands, functools.partial(covered, whose))
            for name in chance.sample(world.flows, 2):
                world.kill(name)
            # Every second one did buy in time; that is heard of only now.
            for buyer, subscriber in list(zip(buyers, sorted(whose), strict=True))[::2]:
                buyer.run()
                buying.add(subscriber)
            world.start(*chance.sample(world.flows, 2))
            until(reader, commands, lambda: not standing() & buying)
        outcomes = world.await_outcomes({command.command_id for command in commands})
        world.rest()
        reader.close()
        again = sum(count > 1 for count in Counter(command.command_id for command in commands).values())
        assert again >= ROUNDS * 4, f"{again} commands came again: the kills came behind the snapshots"
        assert len(outcomes) == len({outcome.command_id for outcome in outcomes})
        stay = [address for address, each in zip(world.addresses, world.subscribers, strict=True) if each not in buying]
        assert sorted(world.lists()["abandoned"]) == sorted(stay)
