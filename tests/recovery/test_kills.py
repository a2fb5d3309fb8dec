"""``kill -9`` at random moments: the same moves as without it, none doubled (DESIGN 8).

``python -m tests.recovery`` does it for longer and prints its figures.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.broker import Broker
from tests.recovery.faults import kill_at_random, kill_broker, walked
from tests.recovery.judge import judge
from tests.recovery.world import World

pytestmark = pytest.mark.alone

KILLS = 20
PROCESSES = ("collector", "flow", "delivery")


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.broker)])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    log = None
    if request.param == "kafka":
        broker: Broker = request.getfixturevalue("broker")
        log = broker.settings(tmp_path)
    with World(tmp_path / "home", delay_ms=4 if "delivery" in request.node.name else 0, log=log) as made:
        made.start(*PROCESSES)
        yield made


@pytest.mark.slow
def test_an_undisturbed_run_does_what_the_pure_machine_says(world: World) -> None:
    people = walked(world)
    for each in people:
        for number in range(KILLS + 1):
            each.rounds.put(number)
    assert judge(world, people, range(KILLS + 1))["calls_repeated"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("world", ["embedded"], indirect=True)
@pytest.mark.parametrize("target", PROCESSES)
def test_kills_change_no_move_and_double_none(world: World, target: str) -> None:
    people = walked(world)
    for each in people:
        each.rounds.put(KILLS)  # the last round first, so that there is work before the first kill
    interrupted = kill_at_random(world, [target] * KILLS, people, random.Random(7))
    assert interrupted >= KILLS / 2, f"only {interrupted} of {KILLS} kills interrupted work"
    judge(world, people, [KILLS, *range(KILLS)])


@pytest.mark.slow
@pytest.mark.parametrize("world", ["kafka"], indirect=True)
def test_on_kafka_kills_of_everything_change_no_move_and_double_none(world: World) -> None:
    people, chance = walked(world), random.Random(11)
    targets = [*PROCESSES] * 6
    chance.shuffle(targets)
    for each in people:
        each.rounds.put(len(targets))
    interrupted = kill_at_random(world, targets, people, chance, rest_s=1.0)
    assert interrupted >= len(targets) / 2, f"only {interrupted} of {len(targets)} kills interrupted work"
    judge(world, people, [len(targets), *range(len(targets))])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_broker_killed_and_away_with_a_full_spool_changes_no_move(tmp_path: Path, broker: Broker) -> None:
    with Broker(tmp_path / "broker") as own:
        settings = own.settings(tmp_path).model_copy(update={"kafka_timeout_ms": 2_000})
        with World(tmp_path / "home", log=settings, SEGMA_SPOOL_MAX_BYTES="6000") as world:
            world.start(*PROCESSES)
            people = walked(world)
            kill_broker(world, own, people, random.Random(3), times=1, away_s=5)
            figures = judge(world, people, [2, 0, 1])
            assert figures["calls_repeated"] == 0
