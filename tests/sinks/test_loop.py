"""The delivery loop around a platform: who may be added, what comes first, when an account stops and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from contracts.accounts import AccountState, Veto
from contracts.codec import to_json
from contracts.commands import Result, Verb
from contracts.errors import LogUnavailable
from contracts.log import Outgoing, Record
from contracts.topics import ACCOUNTS, VETOES, account_key, moves_topic, veto_key
from sinks.delivery.guard import MoveLimits
from sinks.delivery.plan import Wish, before, marks_of, waves
from tests.sinks.beds import ServedBed, now_ms, served_bed
from tests.sinks.courier import Courier, command
from tests.sinks.simulator.server import Answer, Fault
from transport.embedded.reader import EmbeddedConsumer

ANNA, BEN = "anna@example.org", "ben@example.org"


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[ServedBed]:
    made = served_bed("klaviyo", tmp_path / "bed")
    yield made
    made.close()


@pytest.fixture
def courier(bed: ServedBed, tmp_path: Path) -> Iterator[Courier]:
    made = Courier(bed, tmp_path / "data")
    yield made
    made.close()


def veto(courier: Courier, person: str, list_name: str, *, lift: bool = False) -> None:
    value = None if lift else to_json(Veto("w", "mail", f"s_{person}", list_name, 5, "email_unsubscribed"))
    courier.publish(Outgoing(VETOES, veto_key("w", "mail", f"s_{person}", list_name), value))


@pytest.mark.parametrize("list_name", ["", "news"])
def test_a_veto_holds_at_once_and_until_it_is_lifted(courier: Courier, list_name: str) -> None:
    veto(courier, "anna", list_name)
    courier.send(command("news"), command("news", person="ben"), command("", "old"))
    courier.deliver()
    results = [(each.result, each.reason) for each in courier.outcomes()]
    assert results[0] == (Result.SKIPPED, "unsubscribed")
    assert {result for result, _ in results[1:]} <= {Result.APPLIED, Result.ALREADY}
    assert courier.bed.members("news") == {BEN}
    veto(courier, "anna", list_name, lift=True)
    courier.send(command("news"))
    courier.deliver()
    assert courier.bed.members("news") == {ANNA, BEN}


def test_a_veto_of_one_list_leaves_the_others_alone(courier: Courier) -> None:
    veto(courier, "anna", "news")
    courier.send(command("other"))
    courier.deliver()
    assert courier.bed.members("other") == {ANNA}


def test_a_log_that_cannot_be_read_for_a_moment_is_asked_again(
    courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll, locked = EmbeddedConsumer.poll, [True]

    def locked_once(consumer: EmbeddedConsumer, max_records: int, timeout_s: float = 0.0) -> list[Record]:
        found = poll(consumer, max_records, timeout_s)
        if locked and any(each.topic == moves_topic("w", "mail") for each in found):
            locked.clear()
            consumer.seek(0, found[0].offset)
            raise LogUnavailable("database is locked")
        return found

    monkeypatch.setattr(EmbeddedConsumer, "poll", locked_once)
    courier.send(command("news"))
    courier.deliver()
    assert not locked
    assert courier.bed.members("news") == {ANNA}


def test_live_moves_come_before_back_fill(courier: Courier) -> None:
    courier.send(*(command(verb=Verb.TOKEN, person=name) for name in ("anna", "ben")), backfill=True)
    courier.send(command("news"), command("news", person="ben"))
    courier.deliver()
    assert [each.verb for each in courier.outcomes()] == ["add", "add", "token", "token"]
    assert courier.bed.world.person(ANNA).fields == {"segma_token": "token-of-s_anna"}


def test_a_listener_that_moves_too_many_pauses_the_account_and_a_person_lets_it_go_on(courier: Courier) -> None:
    courier.send(*(command(f"l{number}", listener="greedy") for number in range(5)), command("x", listener="modest"))
    courier.deliver(max_moves=3)
    assert len(courier.outcomes()) == 3
    state = courier.state()
    assert state is not None
    assert (state.stopped, state.reason) == (True, "too_many_moves")
    assert "greedy" in state.detail
    courier.resume()
    courier.deliver(max_moves=3)
    assert [each.result for each in courier.outcomes()] == [Result.APPLIED] * 6


def test_all_together_pause_the_account_too_and_what_a_person_has_looked_at_counts_no_more(courier: Courier) -> None:
    courier.send(command("news", listener="one"), command("news", person="ben", listener="other"))
    courier.deliver(limits=MoveLimits(account_day=1))
    state = courier.state()
    assert state is not None
    assert (state.stopped, state.reason) == (True, "too_many_moves")
    assert state.detail == "all listeners together, other last: more than 1 move in a day"
    courier.resume()
    courier.deliver(limits=MoveLimits(account_day=1))
    assert [each.result for each in courier.outcomes()] == [Result.APPLIED] * 2


def test_an_account_that_is_away_for_long_is_told_and_so_is_its_return(
    courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.delivery.account_state.AWAY_MS", 0)
    courier.bed.server.faults = [Fault("", times=4, answer=Answer(503, {}))]
    seen: list[AccountState | None] = []
    measured: list[float] = []
    pause = courier.pause

    def looking(seconds: float) -> None:
        pause(seconds)
        seen.append(courier.state())
        measured.append(REGISTRY.get_sample_value("segma_account_away", {"account": "w/mail"}) or 0.0)

    courier.pause = looking  # type: ignore[method-assign]
    before = REGISTRY.get_sample_value("segma_account_outcomes_total", {"account": "w/mail", "result": "applied"})
    courier.send(command("news"))
    with structlog.testing.capture_logs() as said:
        courier.deliver()
    told = [each for each in seen if each is not None]
    assert {(each.stopped, each.reason, each.detail) for each in told} == {(False, "unreachable", "503")}
    assert set(measured) == {1.0}
    assert courier.state() is None, "it is back"
    assert [each["event"] for each in said if each["event"].startswith("account_")] == ["account_away", "account_back"]
    assert REGISTRY.get_sample_value("segma_account_away", {"account": "w/mail"}) == 0.0
    after = REGISTRY.get_sample_value("segma_account_outcomes_total", {"account": "w/mail", "result": "applied"})
    assert after == (before or 0.0) + 1


def test_each_result_is_counted_from_nothing_on(courier: Courier) -> None:
    courier.deliver()
    for result in Result:
        labels = {"account": "w/mail", "result": str(result)}
        assert REGISTRY.get_sample_value("segma_account_outcomes_total", labels) is not None


def test_an_outage_that_is_short_is_told_to_nobody(courier: Courier) -> None:
    courier.bed.server.faults = [Fault("", times=4, answer=Answer(503, {}))]
    courier.send(command("news"))
    courier.deliver()
    assert courier.state() is None


def test_an_alert_never_lets_an_account_go_on_that_a_person_has_stopped(
    courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.delivery.account_state.AWAY_MS", 0)
    courier.bed.server.faults = [Fault("", times=1_000, answer=Answer(503, {}))]
    pause = courier.pause

    def stopping(seconds: float) -> None:
        pause(seconds)
        state = AccountState("w", "mail", stopped=True, at_ms=now_ms(), reason="paused")
        courier.publish(Outgoing(ACCOUNTS, account_key("w", "mail"), to_json(state)))

    courier.pause = stopping  # type: ignore[method-assign]
    courier.send(command("news"))
    courier.deliver()
    state = courier.state()
    assert state is not None
    assert (state.stopped, state.reason) == (True, "paused")
    assert REGISTRY.get_sample_value("segma_account_stopped", {"account": "w/mail"}) == 1.0


def test_a_person_pauses_an_account_that_waits(courier: Courier) -> None:
    courier.bed.server.faults = [Fault("", times=1_000, answer=Answer(503, {}))]
    stopped: list[float] = []
    pause = courier.pause

    def waiting(seconds: float) -> None:
        pause(seconds)
        stopped.append(seconds)
        if len(stopped) == 3:
            state = AccountState("w", "mail", stopped=True, at_ms=now_ms(), reason="paused")
            courier.publish(Outgoing(ACCOUNTS, account_key("w", "mail"), to_json(state)))

    courier.pause = waiting  # type: ignore[method-assign]
    courier.send(command("news"))
    courier.deliver()
    assert (courier.outcomes(), courier.letters()) == ([], [])
    courier.bed.server.faults = []
    courier.resume()
    courier.deliver()
    assert courier.bed.members("news") == {ANNA}


def test_a_replayed_command_that_was_overtaken_is_skipped(courier: Courier) -> None:
    bad = command("news", person="ben")
    courier.bed.world.bad.add(BEN)
    courier.send(bad)
    courier.deliver()
    courier.bed.world.bad.clear()
    courier.send(command("", "news", person="ben"))
    courier.deliver()
    courier.send(bad, backfill=True)
    courier.deliver()
    assert [each.result for each in courier.outcomes()] == [Result.FAILED, Result.ALREADY, Result.SKIPPED]
    assert courier.bed.members("news") == set()


def test_a_crash_before_the_outcome_forgets_nothing_of_what_was_changed(
    courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    courier.bed.put(ANNA, "old")
    courier.bed.put(ANNA, "kept")
    first = command("new", "old")
    courier.send(first, command("kept", "old", person="ben"))
    from sinks.delivery.loop import Delivery
    from tests.sinks.memory import Crash

    def dying(*_: Any) -> None:
        raise Crash

    monkeypatch.setattr(Delivery, "_publish", dying)
    with pytest.raises(Crash):
        courier.deliver()
    monkeypatch.undo()
    courier.deliver()
    told = {each.command_id: set(each.changed) for each in courier.outcomes()}
    assert told[first.command_id] == {"+new", "-old"}
    courier.send(command("new", "old", undoes=first.command_id))
    courier.deliver()
    assert (courier.bed.members("old"), courier.bed.members("new")) == ({ANNA}, set())


PLACES = st.sampled_from(["a", "b", "c"])
MOVES = st.lists(st.tuples(PLACES, PLACES).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=8)


@settings(max_examples=200, deadline=None)
@given(moves=MOVES, start=st.sets(PLACES))
def test_what_came_together_is_told_apart_as_if_it_had_come_one_by_one(
    moves: list[tuple[str, str]], start: set[str]
) -> None:
    wishes = [Wish(command(to, of), {f":{of}": False, f":{to}": True}) for to, of in moves]
    lists, expected = set(start), []
    for to, of in moves:
        marks = {f"+{to}"} - {f"+{each}" for each in lists} | {f"-{of}"} & {f"-{each}" for each in lists}
        lists = (lists | {to}) - {of}
        expected.append(marks)
    touched = {name for pair in moves for name in pair}
    changed = [f"+{name}" for name in sorted((lists - start) & touched)]
    changed += [f"-{name}" for name in sorted((start - lists) & touched)]
    assert [set(marks) for marks in marks_of(wishes, before(wishes, tuple(changed), {}))] == expected


@settings(max_examples=200, deadline=None)
@given(people=st.lists(st.tuples(st.sampled_from("abcde"), st.booleans()), max_size=12), most=st.integers(1, 4))
def test_waves_keep_every_command_in_its_persons_order(people: list[tuple[str, bool]], most: int) -> None:
    given_ = [
        (number, command("x", "y", person=name, undoes="c0" if undo else ""))
        for number, (name, undo) in enumerate(people)
    ]
    found = waves(given_, most=most, apart=False)
    assert [index for wave in found for index in wave] == [index for index, _ in given_]
    for wave in found:
        names = [people[index][0] for index in wave]
        assert len(set(names)) <= most
        undone = [names.index(people[index][0]) == place for place, index in enumerate(wave) if people[index][1]]
        assert all(undone), "an undo waits for the outcomes of what came before"
