"""What becomes of moves when the platform has trouble: all of it for those behind HTTP, GNU Mailman for real."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from contracts.commands import Result
from contracts.reasons import Reason
from sinks.base import Change, Done, Fate, Trouble
from sinks.toolkit.http import MAX_BYTES
from tests.sinks.beds import SERVED, ServedBed, served_bed
from tests.sinks.courier import Courier, command, log_beside
from tests.sinks.memory import Crash
from tests.sinks.simulator.server import KEY

pytestmark = pytest.mark.slow

ANNA = "anna@example.org"


@pytest.fixture(params=SERVED)
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServedBed]:
    made = served_bed(request.param, tmp_path / "bed")
    yield made
    made.close()


@pytest.fixture
def courier(bed: ServedBed, tmp_path: Path) -> Iterator[Courier]:
    made = Courier(bed, tmp_path / "data", log=log_beside(bed))
    bed.put(ANNA, "old")
    yield made
    made.close()


def moved(courier: Courier) -> None:
    """The move from old to new ended exactly as wanted, and every mark of it is in the ledger."""
    bed = courier.bed
    assert (bed.members("new"), bed.members("old")) == ({ANNA}, set())
    (outcome,) = courier.outcomes()
    assert (outcome.result, set(outcome.changed)) == (Result.APPLIED, {"+new", "-old"})
    assert courier.letters() == []


@pytest.mark.parametrize("kind", ["throttle", "error", "drop", "done_drop"])
@pytest.mark.parametrize("writes", [False, True], ids=["reading", "writing"])
def test_trouble_that_passes_ends_in_the_wanted_lists(courier: Courier, kind: str, writes: bool) -> None:
    courier.bed.server.fail(kind, writes=writes, times=2)
    courier.send(command("new", "old"))
    courier.deliver()
    moved(courier)


@pytest.mark.parametrize("kind", ["hang", "done_hang"])
def test_a_time_out_in_the_middle_ends_in_the_wanted_lists(bed: ServedBed, tmp_path: Path, kind: str) -> None:
    courier = Courier(bed, tmp_path / "data", timeout="400ms", log=log_beside(bed))
    bed.put(ANNA, "old")
    bed.server.fail(kind, writes=True)
    courier.send(command("new", "old"))
    courier.deliver()
    moved(courier)
    courier.close()


def test_a_wrong_key_stops_the_account_and_loses_nothing(courier: Courier) -> None:
    courier.bed.server.fail("bad_key", times=1)
    courier.send(command("new", "old"), b"\xff poison", command("newer", person="ben"))
    with structlog.testing.capture_logs() as said:
        courier.deliver()
    state = courier.state()
    assert state is not None
    assert (state.stopped, state.reason) == (True, "bad_credentials")
    assert [each["event"] for each in said if each["log_level"] == "error"] == ["account_stopped"]
    assert (courier.outcomes(), courier.bed.writes()) == ([], [])
    courier.deliver()
    assert courier.outcomes() == []
    courier.resume()
    courier.deliver()
    assert [each.result for each in courier.outcomes()] == [Result.APPLIED] * 2
    assert [each.reason for each in courier.letters()] == ["undecodable"]
    assert courier.bed.members("newer") == {"ben@example.org"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_between_add_and_remove_ends_in_the_wanted_lists(
    courier: Courier, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink: Any = courier.bed.sink()
    remove = sink._platform.remove

    def dying(*arguments: Any) -> None:
        if when == "after":
            remove(*arguments)
        raise Crash

    monkeypatch.setattr(sink._platform, "remove", dying)
    courier.send(command("new", "old"))
    with pytest.raises(Crash):
        courier.deliver(sink)
    assert courier.bed.members("new") == {ANNA}
    written = len(courier.bed.writes())
    courier.deliver()
    moved(courier)
    assert len(courier.bed.writes()) - written <= 1, "only what had not been done was done"


def test_one_bad_address_fails_alone(bed: ServedBed) -> None:
    bad = "no-address-at-all" if bed.name == "mailman" else "bad@example.org"
    bed.server.world.bad.add(bad)
    people = [f"p{number}@example.org" for number in range(4)]
    changes = [Change(each, f"s_{each}", each, ("new",)) for each in (*people[:2], bad, *people[2:])]
    answers = bed.sink().apply(changes)
    assert [isinstance(each, Done) for each in answers] == [True, True, False, True, True]
    assert isinstance(answers[2], Trouble)
    assert answers[2].fate is Fate.LASTING
    assert bad not in repr(answers)
    assert bed.members("new") == set(people)


def test_a_list_that_vanished_is_made_again_and_is_gone_for_who_was_in_it(courier: Courier) -> None:
    sink = courier.bed.sink()
    courier.send(command("new", "old"))
    courier.deliver(sink)
    courier.bed.world.vanish_list("new")
    courier.send(command("", "new"), command("new", person="ben"), command("new"))
    courier.deliver(sink)
    assert courier.bed.members("new") == {ANNA, "ben@example.org"}
    assert courier.letters() == []


def test_a_person_who_is_gone_from_the_platform_is_made_anew_by_nobody(courier: Courier) -> None:
    sink = courier.bed.sink()
    courier.send(command("new", "old"))
    courier.deliver(sink)
    courier.bed.world.vanish_person(ANNA)
    courier.send(command("newer", "old"), command("", "new"))
    courier.deliver(sink)
    last, removal = courier.outcomes()[-2:]
    gone = Reason.UNSUBSCRIBED if courier.bed.name == "mailman" else Reason.GONE
    assert (last.result, last.reason) == (Result.SKIPPED, str(gone))
    assert removal.result is Result.ALREADY
    assert courier.bed.members("newer") == set()


def test_commands_of_one_person_in_one_batch_come_to_the_last_word(courier: Courier) -> None:
    first, second, third = command("new", "old"), command("old", "new"), command("new", "old")
    courier.send(first, second, third)
    courier.deliver()
    assert (courier.bed.members("new"), courier.bed.members("old")) == ({ANNA}, set())
    assert [set(each.changed) for each in courier.outcomes()] == [{"+new", "-old"}, {"+old", "-new"}, {"+new", "-old"}]
    courier.send(command("new", "old", undoes=third.command_id))
    courier.deliver()
    assert courier.bed.members("old") == {ANNA}


NAMES = (
    'he said "no"',
    "it's",
    "ünï çödé",
    "🦊 foxes 🦊",
    "a,b;c/d?e&f=g",
    "x" * 60,
    "two\nlines",
    "a\ttab and\r\nan end",
    "\"a\"\n'b' \\ 🦊",
)


@pytest.mark.parametrize("name", NAMES)
def test_lists_of_any_name(bed: ServedBed, name: str) -> None:
    bed.put("ben@example.org", "other")
    sink = bed.sink()
    for _ in range(2):
        (answer,) = sink.apply([Change("c", "s", "ann+tag@example.org", (name,))])
        assert isinstance(answer, Done)
    assert [each.address for each in bed.sink().members(name)] == ["ann+tag@example.org"]
    (gone,) = bed.sink().apply([Change("d", "s", "ann+tag@example.org", (), (name,))])
    assert gone[:2] == ((f"-{name}",), "changed")


HOSTILE = ("html", "not_json", "empty", "list", "deep", "huge", "endless", "redirect", "gzip")


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_answer_is_trouble_of_the_account_within_bounds(bed: ServedBed, kind: str) -> None:
    bed.put(ANNA, "old")
    sink = bed.sink(timeout="300ms" if kind == "endless" else "1s")
    bed.server.fail(kind)
    tracemalloc.start()
    (answer,) = sink.apply([Change("c", "s", ANNA, ("new",), ("old",))])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(answer, Trouble)
    assert answer.fate in {Fate.AWAY, Fate.FATAL}
    assert most < 4 * MAX_BYTES
    assert not {ANNA, KEY} & set(repr(answer).split())
    assert (bed.members("new"), bed.members("old")) == (set(), {ANNA})
    (again,) = bed.sink().apply([Change("c", "s", ANNA, ("new",), ("old",))])
    assert isinstance(again, Done)


def test_neither_an_address_nor_a_key_stands_in_a_log_an_outcome_or_a_letter(courier: Courier, caplog: Any) -> None:
    caplog.set_level("INFO")
    for kind in ("error", "drop", "html", "throttle", "not_json"):
        courier.bed.server.fail(kind)
    courier.bed.server.world.bad.add("ben@example.org")
    courier.send(command("new", "old"), command("new", person="ben"), b"\xff")
    with structlog.testing.capture_logs() as said:
        courier.deliver()
        courier.resume()
        courier.deliver()
    told = repr((said, caplog.text, courier.outcomes(), courier.letters(), courier.state()))
    assert "@example.org" not in told
    assert KEY not in told
    assert len(courier.outcomes()) == 2


def test_an_account_is_away_for_as_long_as_it_is_and_nobody_is_given_up(courier: Courier) -> None:
    courier.bed.server.fail("error", times=40)
    courier.send(command("new", "old"), command("new", person="ben"))
    courier.deliver()
    assert [each.result for each in courier.outcomes()] == [Result.APPLIED] * 2
    probing = courier.bed.server.calls[:40]
    assert len(probing) == 40
    assert courier.letters() == []


def test_nobody_who_unsubscribed_is_put_back_by_a_move(courier: Courier) -> None:
    courier.send(command("new", "old"))
    courier.deliver()
    courier.bed.leave(ANNA, "new")
    courier.send(command("newer" if courier.bed.leaves_everything else "new"))
    courier.deliver()
    assert courier.outcomes()[-1].reason == str(Reason.UNSUBSCRIBED)
    assert courier.bed.members("newer") == set()
    assert courier.bed.server.world.wrongs == []
