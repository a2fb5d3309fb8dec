"""The lane behind the live one: counted, stopped and paced apart; each command once, whatever is killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from contracts.accounts import AccountState
from contracts.codec import json_reader, to_json
from contracts.commands import Command, Outcome, Result
from contracts.log import Log, Outgoing
from contracts.rows import DirectoryEntry
from contracts.topics import (
    ACCOUNTS,
    OUTCOMES,
    SUBSCRIBERS,
    account_topics,
    backfill_topic,
    fixed_topics,
    lane_key,
    moves_topic,
    subscriber_key,
)
from sinks.delivery.guard import HOUR_MS, MoveLimits
from sinks.delivery.loop import Delivery
from sinks.toolkit.rate_limit import RateLimit
from tests.sinks.consent_bed import Crash as CrashAtTheLog
from tests.sinks.consent_bed import Fuse, MemoryLog
from tests.sinks.courier import command
from tests.sinks.memory import Crash, MemorySink

PEOPLE = [f"s_p{number}" for number in range(8)]
NOW_MS = 100 * HOUR_MS
_outcome = json_reader(Outcome)


class Bench:
    """One account over a log and lists in memory; its clock stands still unless a test moves it."""

    def __init__(self, **limits: int) -> None:
        self.now_ms = NOW_MS
        self.fuse = Fuse()
        log: Any = MemoryLog(lambda: self.now_ms, self.fuse)
        self.log: Log = log
        self.log.ensure([*fixed_topics(1), *account_topics("w", "mail")])
        self.limits = MoveLimits(**limits)
        self.sink = MemorySink({"news": {f"{each}@example.org" for each in PEOPLE}})
        self.put(*(self._entry(each) for each in PEOPLE))

    def _entry(self, person: str) -> Outgoing:
        return Outgoing(
            SUBSCRIBERS, subscriber_key("w", person), to_json(DirectoryEntry("w", person, f"{person}@example.org"))
        )

    def put(self, *records: Outgoing) -> None:
        self.log.publisher().publish(records)

    def live(self, *commands: Command) -> None:
        self.put(*(Outgoing(moves_topic("w", "mail"), b"k", to_json(each)) for each in commands))

    def behind(self, *commands: Command) -> None:
        self.put(*(Outgoing(backfill_topic("w", "mail"), b"k", to_json(each)) for each in commands))

    def stop(self, stopped: bool) -> None:
        state = AccountState("w", "mail", stopped, self.now_ms)
        self.put(Outgoing(ACCOUNTS, lane_key("w", "mail"), to_json(state)))

    def delivery(self, spare: Callable[[], bool] = lambda: True) -> Delivery:
        return Delivery(
            self.log,
            self.sink,
            workspace="w",
            account="mail",
            now_ms=lambda: self.now_ms,
            pause=lambda seconds: None,
            stopping=lambda: False,
            limits=self.limits,
            spare=spare,
        )

    def deliver(self, spare: Callable[[], bool] = lambda: True) -> None:
        loop = self.delivery(spare)
        while loop.round():
            pass

    def outcomes(self) -> dict[str, Outcome]:
        records = self.log.reader(OUTCOMES).poll(10_000)
        return {each.command_id: each for each in (_outcome(record.value or b"") for record in records)}

    def members(self, name: str) -> set[str]:
        return {each.partition("@")[0] for each in self.sink.lists.get(name, set())}


def past(person: str, number: int = 0, *, to: str = "hot", from_list: str = "news", at_ms: int = HOUR_MS) -> Command:
    """A command of the past."""
    return command(
        to,
        from_list,
        person=person.removeprefix("s_"),
        command_id=f"past-{person}-{number}",
        matched_at_ms=at_ms + number,
        backfill=True,
    )


def test_its_moves_are_counted_apart_and_wait_instead_of_stopping_the_account() -> None:
    bench = Bench(hour=3)
    bench.behind(*(past(each) for each in PEOPLE[:5]))
    bench.deliver()
    assert len(bench.members("hot")) == 3
    bench.live(*(command("warm", person=each[2:], matched_at_ms=NOW_MS) for each in PEOPLE[:3]))
    bench.deliver()
    assert len(bench.members("warm")) == 3, "of the live ones none is counted yet"
    assert {each.result for each in bench.outcomes().values()} == {Result.APPLIED}
    bench.now_ms += HOUR_MS + 1
    bench.deliver()
    assert bench.members("hot") == set(PEOPLE[:5])
    bench.live(*(command("warm", person=each[2:], matched_at_ms=NOW_MS) for each in PEOPLE[3:]))
    bench.deliver()
    assert len(bench.members("warm")) == 6, "and the live ones stop the account as ever"


def test_what_was_counted_apart_is_after_a_restart_too() -> None:
    bench = Bench(hour=2)
    bench.behind(*(past(each) for each in PEOPLE[:4]))
    for _ in range(3):
        bench.deliver()
    assert len(bench.members("hot")) == 2


def test_it_can_be_stopped_while_live_moves_go_on() -> None:
    bench = Bench()
    bench.stop(True)
    bench.behind(past(PEOPLE[0]))
    bench.live(command("warm", person=PEOPLE[1][2:]))
    bench.deliver()
    assert (bench.members("hot"), bench.members("warm")) == (set(), {PEOPLE[1]})
    bench.stop(False)
    bench.deliver()
    assert bench.members("hot") == {PEOPLE[0]}


def test_it_waits_where_half_of_the_quota_is_used() -> None:
    bench = Bench()
    bench.behind(past(PEOPLE[0]))
    bench.live(command("warm", person=PEOPLE[1][2:]))
    bench.deliver(lambda: False)
    assert (bench.members("hot"), bench.members("warm")) == (set(), {PEOPLE[1]})
    bench.deliver()
    assert bench.members("hot") == {PEOPLE[0]}


def test_a_live_move_waits_for_one_call_at_most() -> None:
    bench = Bench()
    bench.behind(*(past(each) for each in PEOPLE[:6]))
    loop = bench.delivery()
    assert loop.round() == 1
    bench.live(command("warm", person=PEOPLE[7][2:]))
    assert loop.round() == 1
    assert (len(bench.members("hot")), bench.members("warm")) == (1, {PEOPLE[7]})


def test_what_is_taken_back_before_its_turn_is_not_done() -> None:
    bench = Bench()
    given = past(PEOPLE[0])
    bench.behind(given)
    bench.live(command("hot", "news", person=PEOPLE[0][2:], undoes=given.command_id))
    bench.deliver()
    assert PEOPLE[0] in bench.members("news")
    assert bench.outcomes()[given.command_id].reason == "superseded"


def test_what_segma_changed_since_stands() -> None:
    bench = Bench()
    bench.live(command("cold", "news", person=PEOPLE[0][2:], matched_at_ms=50 * HOUR_MS))
    bench.deliver()
    bench.behind(past(PEOPLE[0]), past(PEOPLE[1]))
    bench.deliver()
    assert bench.members("cold") == {PEOPLE[0]}
    assert bench.members("hot") == {PEOPLE[1]}


def test_two_of_one_person_are_both_done_in_their_order() -> None:
    bench = Bench()
    bench.behind(past(PEOPLE[0], 0), past(PEOPLE[0], 1, to="best", from_list="hot"))
    bench.deliver()
    assert bench.members("best") == {PEOPLE[0]}
    assert PEOPLE[0] not in bench.members("hot") | bench.members("news")
    # An earlier one that comes later does not undo them.
    bench.behind(past(PEOPLE[0], -1, to="news", from_list="best"))
    bench.deliver()
    assert bench.members("best") == {PEOPLE[0]}


@pytest.mark.parametrize("seed", range(4))
def test_killed_anywhere_and_asked_again_it_moves_everybody_once(seed: int) -> None:
    _killed(Random(seed), kills=4)


@pytest.mark.slow
def test_killed_200_times_it_moves_everybody_once() -> None:
    chance = Random(22)
    for _ in range(25):
        _killed(chance, kills=8)


def _killed(chance: Random, kills: int) -> None:
    bench = Bench()
    commands = [past(each) for each in PEOPLE]
    live = [command("warm", person=each[2:], matched_at_ms=NOW_MS) for each in PEOPLE]
    for number in range(kills + 1):
        bench.fuse.steps = chance.randrange(1, 30) if number < kills else 0
        bench.sink.crash_at = len(bench.sink.calls) * 2 + chance.randrange(12) if number < kills else -1
        try:
            # The command was killed too: it asks again for all of which it does not know that it asked.
            bench.behind(*chance.sample(commands, len(commands)))
            bench.live(*chance.sample(live, 2))
            bench.deliver()
        except (Crash, CrashAtTheLog):
            continue
    bench.fuse.steps, bench.sink.crash_at = 0, -1
    bench.behind(*commands)
    bench.live(*live)
    bench.deliver()
    assert bench.members("hot") == set(PEOPLE)
    assert bench.members("warm") == set(PEOPLE)
    assert bench.members("news") == set()
    assert all(bench.outcomes()[each.command_id].result in {Result.APPLIED, Result.ALREADY} for each in commands)
    moves = [each for each in bench.sink.calls if "hot" in each.add]
    # A call in doubt is asked again; whatever has its outcome never is.
    assert len(moves) <= len(PEOPLE) + kills


def test_a_limit_has_half_to_spare_until_half_is_used(tmp_path: Path) -> None:
    now_ms = [1_000_000]
    limit = RateLimit(
        {"all": [(4, 1_000), (10, 60_000)]},
        path=tmp_path / "pace.db",
        now_ms=lambda: now_ms[0],
        pause=lambda seconds: None,
    )
    assert limit.spare()
    limit.acquire("all")
    assert limit.spare()
    limit.acquire("all")
    assert not limit.spare(), "two of four within a second"
    now_ms[0] += 1_200
    assert limit.spare()
    for _ in range(3):
        limit.acquire("all")
        now_ms[0] += 1_200
    assert not limit.spare(), "five of ten within a minute"
    now_ms[0] += 70_000
    assert limit.spare()
    limit.close()
    assert RateLimit({}, path=tmp_path / "none.db", now_ms=lambda: 0, pause=lambda seconds: None).spare()
