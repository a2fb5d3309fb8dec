"""What every sink promises (sinks/base.py). Each sink runs all of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sinks.memory import MemorySink

from segma.contracts.errors import ConfigError
from segma.contracts.reasons import Reason
from segma.sinks.base import Answer, Change, Done, Fate, Sink, Trouble
from segma.sinks.file import FileSink

ANNA = "anna@example.org"


def file_sink(directory: Path) -> Sink:
    return FileSink(directory, delay_ms=0, pause=lambda seconds: None)


def memory_sink(directory: Path) -> Sink:
    return MemorySink()


@pytest.fixture(params=[file_sink, memory_sink])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Sink:
    make: Callable[[Path], Sink] = request.param
    return make(tmp_path / "lists")


def asked(sink: Sink, *, add: str = "", remove: str = "", address: str = ANNA, only_if_in: str = "") -> Answer:
    change = Change("c", "s_anna", address, tuple(add.split()), tuple(remove.split()), tuple(only_if_in.split()))
    (answer,) = sink.apply([change])
    return answer


def members(sink: Sink, name: str) -> list[str]:
    return [member.address for member in sink.members(name)]


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


def test_nobody_who_left_is_added(sink: Sink) -> None:
    asked(sink, add="there", address="ben@example.org")
    answer = asked(sink, add="back", remove="there", only_if_in="there")
    assert isinstance(answer, Trouble)
    assert (answer.reason, answer.fate) == (Reason.UNSUBSCRIBED, Fate.LASTING)
    with pytest.raises(ConfigError):
        members(sink, "back")


def test_answers_come_in_the_order_of_the_changes(sink: Sink) -> None:
    changes = [Change(str(number), "s", f"p{number}@example.org", (f"l{number % 2}",)) for number in range(6)]
    answers = sink.apply(changes)
    assert [answer.changed for answer in answers if isinstance(answer, Done)] == [
        (f"+l{number % 2}",) for number in range(6)
    ]


def test_an_unknown_list_cannot_be_imported(sink: Sink) -> None:
    with pytest.raises(ConfigError):
        members(sink, "nowhere")


STATES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.sampled_from("xyz")), max_size=20)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=STATES)
def test_a_sink_behaves_as_sets(tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, str, str]]) -> None:
    for make in (file_sink, memory_sink):
        sink, model = make(tmp_path_factory.mktemp("lists")), dict[str, set[str]]()
        for person, to_list, from_list in moves:
            address = f"{person}@example.org"
            expected = [f"+{to_list}"] if address not in model.get(to_list, set()) else []
            model.setdefault(to_list, set()).add(address)
            if from_list != to_list:
                expected += [f"-{from_list}"] if address in model.get(from_list, set()) else []
                model.get(from_list, set()).discard(address)
            remove = from_list if from_list != to_list else ""
            answer = asked(sink, add=to_list, remove=remove, address=address)
            assert isinstance(answer, Done)
            assert list(answer.changed) == expected
        for name, people in model.items():
            assert members(sink, name) == sorted(people)
