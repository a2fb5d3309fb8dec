"""The judge (DESIGN 8): what came of a run with faults, against what the pure machine says of the same scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from contracts.commands import Outcome, Result
from contracts.events import Event
from contracts.topics import moves_topic
from tests.recovery.people import People, expected_commands
from tests.recovery.world import SILENCE_S, World
from transport.embedded.log import EmbeddedLog

MOVES = moves_topic("demo", "mailbox")


def judge(world: World, people: list[People], rounds: Sequence[int], patience_s: float = SILENCE_S) -> dict[str, int]:
    """Let everybody finish, wait for the outcomes, and compare. ``rounds``: in the order in which they were walked.

    The figures of what was compared.
    """
    for each in people:
        each.rounds.put(None)
        each.join(patience_s)
        assert each.failure is None
        assert not each.is_alive()
    expected = expected_commands(world, rounds)
    outcomes = world.await_outcomes(set(expected))
    world.rest()
    more = [outcome for outcome in outcomes if outcome.command_id not in expected]
    assert more == [], f"moves that an undisturbed run does not make: {more}, of {_events_of(world, more)}"
    # On Kafka a record whose confirmation did not come may be in the log twice, as the same; and the call in doubt at a
    # kill may have two outcomes, where the first reached the broker after its process was dead and its heir had read
    # the ledger. The embedded log has each record once, or not at all.
    doubled = len({repr(outcome) for outcome in outcomes}) - len(expected)
    allowed = 0 if isinstance(world.log, EmbeddedLog) else world.kills["delivery"]
    assert doubled <= allowed, f"{doubled} commands have two outcomes, {allowed} may"
    assert len(outcomes) == len(expected) or not isinstance(world.log, EmbeddedLog), "the same outcome twice in the log"
    assert {outcome.result for outcome in outcomes} <= {Result.APPLIED, Result.ALREADY}
    acknowledged = judge_rows(world, people)
    repeated = judge_calls(world, expected)
    judge_lists(world)
    return {
        "beacons_acknowledged": acknowledged,
        "commands": len(expected),
        "calls_repeated": repeated,
        "outcomes_doubled": doubled,
        "commands_repeated_in_the_log": world.count(MOVES) - len(expected),
    }


def _events_of(world: World, outcomes: list[Outcome]) -> list[Event]:
    """What somebody did for whom there are outcomes, as the flow understood it."""
    subscribers = {outcome.subscriber for outcome in outcomes}
    return [row.event for row in world.event_rows() if row.event.subscriber in subscribers]


def judge_rows(world: World, people: list[People]) -> int:
    """Every acknowledged event is a row once: repetitions after a crash are the same bytes or marked as repetitions."""
    acknowledged = Counter(event_id for each in people for event_id in each.acknowledged)
    assert max(acknowledged.values()) == 1
    rows = [row for row in world.event_rows() if not row.reason]
    assert {row.event.event_id for row in rows} == set(acknowledged)
    assert len({row.event.event_id for row in rows}) == len({repr(row) for row in rows})
    return len(acknowledged)


def judge_calls(world: World, expected: dict[str, str]) -> int:
    """The platform was called once for each command, but for one call in doubt a kill; of one person, in order."""
    calls = world.calls()
    counted = Counter(command_id for command_id, _ in calls)
    assert set(counted) == set(expected)
    repeated = len(calls) - len(expected)
    assert repeated <= world.kills["delivery"], f"{repeated} calls came again, {world.kills['delivery']} were in doubt"
    # Deadlines fire when they fire; what events complete comes in the order of the events.
    order = {command_id: place for place, command_id in enumerate(expected) if expected[command_id] != "abandoned"}
    seen: dict[str, list[int]] = {}
    for command_id in dict.fromkeys(command_id for command_id, _ in calls):
        if command_id in order:
            seen.setdefault(dict(calls)[command_id], []).append(order[command_id])
    assert all(places == sorted(places) for places in seen.values()), "somebody's calls overtook each other"
    return repeated


def judge_lists(world: World) -> None:
    """The lists are those of an undisturbed run."""
    lists = world.lists()
    assert sorted(lists["engaged"]) == sorted(world.addresses)
    assert lists["newsletter"] == []
    assert sorted(lists["abandoned"]) == sorted(world.addresses[0::2])
