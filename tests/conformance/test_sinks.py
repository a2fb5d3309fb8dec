"""What every sink promises (sinks/base.py). Each sink runs all of it, GNU Mailman for real."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.errors import ConfigError
from contracts.reasons import Reason
from sinks.base import Answer, Change, Done, Fate, Marks, Sink, Standing, Trouble
from tests.sinks.beds import ALL, Bed, bed_of

pytestmark = pytest.mark.slow

ANNA, BEN = "anna@example.org", "ben@example.org"


@pytest.fixture(params=ALL)
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bed]:
    made = bed_of(request.param, tmp_path)
    yield made
    made.close()


@pytest.fixture
def sink(bed: Bed) -> Sink:
    return bed.sink()


def change(number: int = 1, *, add: str = "", remove: str = "", address: str = ANNA, only_if_in: str = "") -> Change:
    lists = [tuple(each.split()) for each in (add, remove, only_if_in)]
    return Change(f"c{number}", f"s_{number}", address, lists[0], lists[1], lists[2])


def asked(sink: Sink, *, taken_out: tuple[str, ...] = (), **wanted: str) -> Answer:
    (answer,) = sink.apply([change(**wanted)._replace(taken_out=taken_out)])  # type: ignore[arg-type]
    return answer


def members(sink: Sink, name: str) -> list[str]:
    return sorted(each.address for each in sink.members(name) if each.standing is not Standing.LEFT)


def test_a_missing_list_is_made_and_what_changed_is_said(sink: Sink) -> None:
    answer = asked(sink, add="new")
    assert isinstance(answer, Done)
    assert answer.changed == ("+new",)
    assert members(sink, "new") == [ANNA]


def test_a_wanted_state_is_done_once_however_often_it_is_asked(sink: Sink) -> None:
    asked(sink, add="old")
    first = asked(sink, add="new", remove="old")
    again = asked(sink, add="new", remove="old")
    assert isinstance(first, Done)
    assert isinstance(again, Done)
    assert (first.changed, again.changed) == (("+new", "-old"), ())
    assert (members(sink, "new"), members(sink, "old")) == ([ANNA], [])


def test_already_gone_is_success_and_an_emptied_list_stays(sink: Sink) -> None:
    answer = asked(sink, remove="never-there")
    assert isinstance(answer, Done)
    assert answer.changed == ()
    asked(sink, add="x")
    asked(sink, remove="x")
    assert members(sink, "x") == []


def test_nobody_who_is_no_longer_where_they_were_put_is_added(sink: Sink) -> None:
    asked(sink, add="there", address=BEN)
    answer = asked(sink, add="back", remove="there", only_if_in="there")
    assert isinstance(answer, Trouble)
    assert (answer.reason, answer.fate) == (Reason.UNSUBSCRIBED, Fate.LASTING)
    with pytest.raises(ConfigError):
        members(sink, "back")


def test_nobody_who_left_is_added_again(bed: Bed) -> None:
    bed.put(ANNA, "news")
    bed.put(BEN, "news")
    bed.leave(ANNA, "news")
    name = "vip" if bed.leaves_everything else "news"
    answer = asked(bed.sink(), add=name, only_if_in="" if bed.remembers_leaving else "news")
    assert isinstance(answer, Trouble)
    assert (answer.reason, answer.fate) == (Reason.UNSUBSCRIBED, Fate.LASTING)


def test_who_left_may_still_be_taken_out(bed: Bed) -> None:
    bed.put(ANNA, "news")
    bed.put(ANNA, "other")
    bed.leave(ANNA, "other")
    assert isinstance(asked(bed.sink(), remove="news"), Done)
    assert bed.members("news") == set()


def test_what_is_about_to_be_changed_is_told_before_it_is(bed: Bed) -> None:
    bed.put(ANNA, "old")
    sink = bed.sink()
    told: list[tuple[dict[str, Marks], set[str]]] = []
    sink.apply([change(7, add="new", remove="old")], lambda marks: told.append((dict(marks), set(bed.members("new")))))
    assert told == [({"c7": ("+new", "-old")}, set())]


def test_answers_come_in_the_order_of_the_changes(sink: Sink) -> None:
    changes = [change(number, add=f"l{number % 2}", address=f"p{number}@example.org") for number in range(6)]
    answers = sink.apply(changes)
    assert [answer.changed for answer in answers if isinstance(answer, Done)] == [
        (f"+l{number % 2}",) for number in range(6)
    ]


def test_an_unknown_list_cannot_be_imported(sink: Sink) -> None:
    with pytest.raises(ConfigError):
        members(sink, "nowhere")
    with pytest.raises(ConfigError):
        members(sink, "")


@pytest.mark.parametrize("address", ["ann+spring@example.org", "Ann.Upper@Example.org", "o'hara@example.org"])
def test_addresses_of_every_kind(sink: Sink, address: str) -> None:
    assert isinstance(asked(sink, add="new", address=address), Done)
    again = asked(sink, add="new", address=address)
    assert isinstance(again, Done)
    assert again.changed == ()
    assert [each.lower() for each in members(sink, "new")] == [address.lower()]


def test_no_more_than_a_batch_is_needed_for_many(bed: Bed) -> None:
    sink = bed.sink()
    people = [f"p{number}@example.org" for number in range(sink.traits.batch)][:120]
    changes = [change(number, add="many", address=each) for number, each in enumerate(people)]
    assert all(isinstance(answer, Done) for answer in sink.apply(changes))
    assert {each.lower() for each in bed.members("many")} == set(people)


STATES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from("xyz")), max_size=12)
_beds = itertools.count()


@pytest.mark.parametrize("name", ALL)
def test_a_sink_behaves_as_sets(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    @settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
    @given(moves=STATES)
    def behaves(moves: list[tuple[str, str, str]]) -> None:
        bed = bed_of(name, tmp_path_factory.mktemp("bed"))
        sink, model, taken = bed.sink(), dict[str, set[str]](), set[tuple[str, str]]()
        for person, to_list, from_list in moves:
            address = f"{person}@example.org"
            expected = [f"+{to_list}"] if address not in model.get(to_list, set()) else []
            model.setdefault(to_list, set()).add(address)
            if from_list != to_list:
                expected += [f"-{from_list}"] if address in model.get(from_list, set()) else []
                model.get(from_list, set()).discard(address)
            ours = (to_list,) if (address, to_list) in taken else ()
            remove = from_list if from_list != to_list else ""
            answer = asked(sink, taken_out=ours, add=to_list, remove=remove, address=address)
            taken = (taken | {(address, remove)}) - {(address, to_list)}
            assert isinstance(answer, Done)
            assert list(answer.changed) == expected
        for each, people in model.items():
            assert members(sink, each) == sorted(people)
        bed.close()

    behaves()
