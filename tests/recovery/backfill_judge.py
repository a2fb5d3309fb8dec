"""What came of promotions with their past, beside what the recorded log comes to by the steps that run live.

Of a version that took its past over (``since``): all that it said from its promotion on, and its runs in flight at the
end, are those of a shadow that had heard the recorded log from where its past begins. Of one whose members were moved:
the commands of the past are those of the log before the instant of the promotion, each once.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from analytics.recorded import Arrival
from cli.backtesting.ranges import members_of
from contracts.codec import json_reader, replaced, to_json
from contracts.commands import Command, Outcome, Result
from contracts.installation import Workspace
from contracts.log import Record
from contracts.rows import MatchRow, Row
from contracts.topics import ROWS, backfill_topic, moves_topic
from contracts.versions import ListenerVersion
from flows.backtest.person import wanted
from flows.backtest.replay import Waiting, replay, waiting_runs
from flows.backtest.subject import Subject
from flows.config import terms_of
from flows.operators.lag import log_times
from flows.operators.logic import FollowLogic, Shared
from flows.rescale import bytewax_store
from flows.state.changelog import Changelog
from flows.state.recovery_dir import directory_of
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.generations import Deployed
from flows.versions.deployment import Deployments, Versions, listener_of
from tests.properties.past import arrivals_of, recorded
from tests.recovery.world import SILENCE_S, World
from transport.config import load_installation
from transport.embedded.log import EmbeddedLog

QUIET_MS: Final = 6_000
"""After the last event, in log time: every absence is known by then."""
MOVES, BEHIND = moves_topic("demo", "mailbox"), backfill_topic("demo", "mailbox")
_read_row = json_reader(Row)
_read_command = json_reader(Command)
Said = list[MatchRow | Command]


class Round(NamedTuple):
    """A promotion: with which back-fill, of which listener (its first version)."""

    kind: str
    name: str


class Told(NamedTuple):
    """What the log holds at the end. ``said``: by listener and person, rows before commands, each once."""

    heard: Sequence[tuple[Record, Row | Command]]
    said: Mapping[tuple[str, str], Said]
    behind: Mapping[tuple[str, str], list[Command]]
    end_ms: int


def judged(world: World, rounds: Sequence[Round], events: int) -> dict[str, int]:
    """Wait until all is at rest, stop the flow, and compare; the figures of what was compared."""
    told = _at_rest(world, events)
    own = load_installation(world.home / "segma.yaml").workspaces["demo"]
    with contextlib.closing(Versions(world.log)) as versions:
        known = {each.listener: each for each in versions.known}
    # NOTE: `stop` ends what is left.
    assert world.ask_to_stop("flow") == 0, world.said("flow")
    world.processes.pop("flow")
    runs = _runs(world, own, told.end_ms)
    figures = {"promotions": len(rounds), "events": events, "matches": 0, "moves_of_the_past": 0, "runs_in_flight": 0}
    lists = world.lists()
    for each in rounds:
        version = known[each.name]
        if each.kind == "since":
            figures["runs_in_flight"] += _judge_since(own, version, told, runs)
        else:
            figures["moves_of_the_past"] += _judge_members(own, version, told)
        said = {who: told.said.get((each.name, who), []) for who in world.subscribers}
        figures["matches"] += sum(isinstance(row, MatchRow) for rows in said.values() for row in rows)
        _judge_list(world, each.name, told, lists.get(each.name, []))
    return figures | _judge_moves(world, told)


def _at_rest(world: World, events: int) -> Told:
    until, end_ms = time.monotonic() + SILENCE_S, time.time_ns() // 1_000_000 + QUIET_MS
    while world.followed_events() < events or min(log_times(world.log).values()) < end_ms:
        world.rest()
        assert time.monotonic() < until, f"{world.followed_events()} of {events} events: {world.said('flow')}"
        threading.Event().wait(0.1)
    heard: list[tuple[Record, Row | Command]] = [
        (each, _read_row(each.value)) for each in world.records(ROWS) if each.value
    ]
    moves = [_read_command(each.value) for each in world.records(MOVES) if each.value]
    behind = [_read_command(each.value) for each in world.records(BEHIND) if each.value]
    world.await_outcomes({each.command_id for each in (*moves, *behind) if not each.restates})
    said: dict[tuple[str, str], Said] = {}
    for each in _once([*(row for _, row in heard if isinstance(row, MatchRow)), *moves]):
        said.setdefault((each.listener, each.subscriber), []).append(each)
    past: dict[tuple[str, str], list[Command]] = {}
    for command in behind:
        past.setdefault((command.listener, command.subscriber), []).append(command)
    return Told(heard, said, past, end_ms)


def _once(said: Iterable[MatchRow | Command]) -> Iterator[MatchRow | Command]:
    """What a crash repeats is the same."""
    yield from {to_json(each): each for each in said}.values()


def _heard(subject: Subject, told: Told) -> Mapping[str, list[Arrival]]:
    return arrivals_of(recorded(told.heard), subject.actions, subject.heard)


def _from(said: Iterable[MatchRow | Command], at_ms: int) -> Said:
    return [each for each in said if each.log_time_ms >= at_ms]


def _subject(own: Workspace, version: ListenerVersion, deployed: tuple[int, int | None], *, given: bool) -> Subject:
    """``deployed``: shadow from, live from. ``given``: whether its members are given, or its past is known."""
    shadow_ms, live_ms = deployed
    past = (None, None) if given else (shadow_ms, shadow_ms)
    listener = listener_of(version, ())
    return Subject("demo", [Deployed(listener, shadow_ms, live_ms, None, given, *past)], terms_of(own))


def _judge_since(
    own: Workspace, version: ListenerVersion, told: Told, runs: Mapping[tuple[str, str], list[Waiting]]
) -> int:
    """How many runs are in flight."""
    live_ms = version.live_from_ms
    assert live_ms is not None, version
    assert version.past_until_ms is not None, version
    subject, count = _subject(own, version, (version.past_from_ms or 0, live_ms), given=False), 0
    for who, arrivals in _heard(subject, told).items():
        found = replay(subject, arrivals, told.end_ms)
        expected = _from([*found.rows, *found.commands], live_ms)
        said = _from(told.said.get((version.listener, who), []), live_ms)
        assert said == expected, (version.listener, who)
        waiting = runs.get((version.listener, who), [])
        assert waiting == found.waiting, (version.listener, who)
        count += len(waiting)
    return count


def _judge_members(own: Workspace, version: ListenerVersion, told: Told) -> int:
    """How many commands of the past were given."""
    live_ms, name = version.live_from_ms, version.listener
    assert live_ms is not None, version
    always = _subject(own, replaced(version, shadow_from_ms=0), (0, 0), given=False)
    lived, count = _subject(own, version, (version.shadow_from_ms, live_ms), given=True), 0
    for who, arrivals in _heard(lived, told).items():
        found = replay(lived, arrivals, told.end_ms)
        said = _from(told.said.get((name, who), []), live_ms)
        assert said == _from([*found.rows, *found.commands], live_ms), (name, who)
        expected = [each for member in members_of(live_ms, [always], iter([arrivals])) for each in member.commands]
        given = told.behind.get((name, who), [])
        assert len(given) == len({each.command_id for each in given}), "asked for twice"
        assert {to_json(each) for each in given} <= {to_json(each) for each in expected}, (name, who)
        # Not asked for where a move of after the promotion has touched the list.
        assert len(given) == len(expected) or any(isinstance(each, Command) for each in said), (name, who)
        count += len(given)
    return count


def _judge_list(world: World, name: str, told: Told, addresses: Sequence[str]) -> None:
    expected = set[str]()
    for address, who in zip(world.addresses, world.subscribers, strict=True):
        live = [each for each in told.said.get((name, who), []) if isinstance(each, Command)]
        if any(stay.name == name for stay in wanted([*told.behind.get((name, who), []), *live])):
            expected.add(address)
    assert set(addresses) == expected, name


def _judge_moves(world: World, told: Told) -> dict[str, int]:
    """Each command has one outcome; a person was put into a list once, unless taken out in between."""
    every, first = world.outcomes(), dict[str, Outcome]()
    for each in every:
        first.setdefault(each.command_id, each)
    outcomes = first.values()
    # On a broker the call in doubt at a kill may have two: see `judge`.
    allowed = 0 if isinstance(world.log, EmbeddedLog) else world.kills["delivery"]
    assert len({repr(each) for each in every}) - len(outcomes) <= allowed
    inside = {(who, "newsletter") for who in world.subscribers}
    for each in outcomes:
        for change in each.changed:
            place = (each.subscriber, change[1:])
            assert (change[0] == "+") == (place not in inside), f"moved twice: {each}"
            inside ^= {place}
    applied = sum(each.result is Result.APPLIED for each in outcomes)
    return {"outcomes": len(outcomes), "lists_changed": applied, "repeated_in_the_log": _repeated(world)}


def _repeated(world: World) -> int:
    values = [each.value for each in world.records(MOVES) if each.value]
    return len(values) - len(set(values))


def _runs(world: World, own: Workspace, at_ms: int) -> dict[tuple[str, str], list[Waiting]]:
    """The runs in flight in the flow's own store, by listener and person."""
    engine = WorkspaceEngine("demo", terms=terms_of(own))
    found: dict[tuple[str, str], list[Waiting]] = {}
    directory = directory_of(world.home / "data", 0, 1)
    with (
        contextlib.closing(Versions(world.log)) as versions,
        contextlib.closing(Changelog(directory / "states")) as changelog,
    ):
        Deployments(versions, {"demo": engine}, {"demo": frozenset()})
        for step, _, state in bytewax_store.resumed(directory):
            if step == "segma.follow":
                logic = FollowLogic(Shared({}, {"demo": engine}, 1), changelog, state)
                people = logic._group._people
                for key in people.known():
                    person = people.get(key)
                    engine.pass_time(person, at_ms)
                    for waiting in waiting_runs(engine, person, at_ms):
                        found.setdefault((waiting.version[0], key.partition("/")[2]), []).append(waiting)
    return found
