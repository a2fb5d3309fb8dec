"""``kill -9`` at random moments: the same moves as without it, none doubled (DESIGN 8)."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.recovery.world import PEOPLE, SILENCE_S, People, World, expected_commands

from segma.contracts.commands import Result
from segma.contracts.topics import OUTCOMES, moves_topic

KILLS = 20
ROUNDS = KILLS + 1
MOVES = moves_topic("demo", "mailbox")


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(tmp_path / "home", delay_ms=4 if "delivery" in request.node.name else 0)
    made.start("collector", "flow", "delivery")
    yield made
    made.stop()


def walked(world: World) -> list[People]:
    people = [People(world, person) for person in range(PEOPLE)]
    for each in people:
        each.start()
    return people


def in_flight(world: World, target: str, people: list[People]) -> bool:
    """Whether a kill now interrupts work: what has gone in has not all come out."""
    if target == "collector":
        return any(each.open for each in people)
    if target == "flow":
        return sum(len(each.acknowledged) for each in people) > world.followed_events()
    return world.count(MOVES) > world.count(OUTCOMES)


def await_in_flight(world: World, target: str, people: list[People], sent: int) -> bool:
    """Wait until work is in flight; False where ``sent`` rounds went through before it could be seen."""
    until = time.monotonic() + SILENCE_S
    while time.monotonic() < until:
        if in_flight(world, target, people):
            return True
        if all(each.walked == sent for each in people) and not in_flight(world, "flow", people):
            return in_flight(world, target, people)
        threading.Event().wait(0.001)
    raise AssertionError(f"round {sent} neither went through nor was seen at work: {world.said(target)}")


def killed_at_random(world: World, target: str, people: list[People], chance: random.Random) -> int:
    """Kill the target :data:`KILLS` times; how often that interrupted work in flight.

    Three of four kills come as soon as work is seen in flight, so the share asked for does not hang on the machine's
    speed; every fourth comes at any moment, also while the process is at rest or still reading its state.
    """
    interrupted = 0
    for number in range(KILLS):
        for each in people:
            each.rounds.put(number)
        if number % 4:
            interrupted += await_in_flight(world, target, people, number + 2)
        else:
            threading.Event().wait(chance.uniform(0.0, 0.08))
            interrupted += in_flight(world, target, people)
        world.kill(target)
        world.start(target)
        threading.Event().wait(chance.uniform(0.0, 1.6))
    return interrupted


def judge(world: World, people: list[People]) -> None:
    """Compare what came of it with what the pure machine says of the same scripts."""
    for each in people:
        each.rounds.put(None)
        each.join(60)
        assert each.failure is None
        assert not each.is_alive()
    expected = expected_commands(world, ROUNDS)
    outcomes = world.await_outcomes(set(expected))
    assert {outcome.command_id for outcome in outcomes} == set(expected)
    assert max(Counter(outcome.command_id for outcome in outcomes).values()) == 1
    assert {outcome.result for outcome in outcomes} <= {Result.APPLIED, Result.ALREADY}

    acknowledged = Counter(event_id for each in people for event_id in each.acknowledged)
    assert max(acknowledged.values()) == 1
    rows = [row for row in world.event_rows() if not row.reason]
    assert {row.event.event_id for row in rows} == set(acknowledged)
    # Rows may repeat after a crash, but only identically.
    assert len({row.event.event_id for row in rows}) == len({repr(row) for row in rows})

    lists = world.lists()
    engaged = sorted(world.addresses)
    assert sorted(lists["engaged"]) == engaged
    assert lists["newsletter"] == []
    assert sorted(lists["abandoned"]) == sorted(world.addresses[0::2])


@pytest.mark.slow
def test_an_undisturbed_run_does_what_the_pure_machine_says(world: World) -> None:
    people = walked(world)
    for each in people:
        for number in range(ROUNDS):
            each.rounds.put(number)
    judge(world, people)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["flow", "collector", "delivery"])
def test_kills_change_no_move_and_double_none(world: World, target: str) -> None:
    people = walked(world)
    for each in people:
        each.rounds.put(KILLS)  # the last round first, so that there is work before the first kill
    interrupted = killed_at_random(world, target, people, random.Random(7))
    assert interrupted >= KILLS / 2, f"only {interrupted} of {KILLS} kills interrupted work"
    judge(world, people)
