"""What is taken back, against a naive model: of each list the newest command that stands counts, else the start."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.codec import replaced
from contracts.commands import Command, Verb
from tests.sinks.courier import Courier, command
from tests.sinks.memory import MemorySink

LISTS = ("a", "b")
PEOPLE = ("anna", "ben", "cleo", "dora", "emil", "finn", "gina", "hugo")
ANNA = "anna@example.org"

WISHES = st.tuples(st.sampled_from(["", *LISTS]), st.sampled_from(["", *LISTS])).filter(lambda pair: pair[0] != pair[1])
Step = tuple[tuple[str, str] | int, bool]
STEPS = st.lists(st.tuples(st.one_of(WISHES, st.integers(0, 9)), st.booleans()), min_size=6, max_size=12)
"""A move, an adding or a removal; or a number: which of those that stand is taken back. True: a new process."""


def told(person: str, steps: list[Step], *, named: bool) -> tuple[list[tuple[Command, bool]], list[Command]]:
    """The commands of these steps, and those that stand in the end. ``named``: an undo names the lists as well."""
    sent: list[tuple[Command, bool]] = []
    standing: list[Command] = []
    for step, fresh in steps:
        if isinstance(step, tuple):
            standing.append(command(*step, person=person))
            sent.append((standing[-1], fresh))
        elif standing:
            gone = standing.pop(step % len(standing))
            lists = (gone.to_list, gone.from_list) if named else ()
            sent.append((command(*lists, person=person, verb=Verb.MOVE, undoes=gone.command_id), fresh))
    return sent, standing


def wanted(at_first: set[str], standing: list[Command]) -> set[str]:
    """In which lists somebody is: the naive model."""
    now = dict.fromkeys(at_first, True)
    for each in standing:
        now |= {each.from_list: False} if each.from_list else {}
        now |= {each.to_list: True} if each.to_list else {}
    return {name for name, into in now.items() if into}


def delivered(courier: Courier, sink: MemorySink, sent: list[tuple[Command, bool]]) -> None:
    """Deliver; each ``True`` is where one process has ended and the next begins."""
    batch: list[Command] = []
    for each, fresh in sent:
        if fresh and batch:
            courier.send(*batch)
            courier.deliver(sink)
            batch = []
        batch.append(each)
    courier.send(*batch)
    courier.deliver(sink)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    at_first=st.sets(st.sampled_from(LISTS)),
    stories=st.lists(STEPS, min_size=4, max_size=len(PEOPLE)),
    named=st.booleans(),
)
def test_whatever_is_taken_back_the_lists_are_as_the_commands_that_stand_want_them(
    tmp_path_factory: pytest.TempPathFactory, at_first: set[str], stories: list[list[Step]], named: bool
) -> None:
    people = PEOPLE[: len(stories)]
    told_of = {name: told(name, steps, named=named) for name, steps in zip(people, stories, strict=True)}
    courier = Courier(None, tmp_path_factory.mktemp("data"), *people)  # type: ignore[arg-type]
    sink = MemorySink({name: set(courier.addresses.values()) if name in at_first else set() for name in LISTS})
    turns = itertools.zip_longest(*(sent for sent, _ in told_of.values()))
    delivered(courier, sink, [each for turn in turns for each in turn if each is not None])
    courier.close()
    for name, (_, standing) in told_of.items():
        inside = {each for each, members in sink.lists.items() if f"{name}@example.org" in members}
        assert inside == wanted(at_first, standing)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("fresh", [False, True], ids=["one process", "a process each"])
def test_two_who_want_the_same_list_and_both_are_taken_back(tmp_path: Path, first: int, fresh: bool) -> None:
    courier, sink = Courier(None, tmp_path), MemorySink({"a": set()})  # type: ignore[arg-type]
    both = [command("a"), command("a")]
    gone = [command("a", undoes=both[index].command_id) for index in (first, 1 - first)]
    delivered(courier, sink, [(each, fresh) for each in (*both, gone[0])])
    assert sink.lists["a"] == {ANNA}, "one of them still wants her there"
    delivered(courier, sink, [(gone[1], fresh)])
    assert sink.lists["a"] == set()
    courier.close()


def in_place(standing: list[Command]) -> list[Command]:
    """By the places of their matches; of one match by their positions."""
    return sorted(standing, key=lambda each: (each.matched_at_ms, each.listener, each.position))


PLACED = st.lists(
    st.tuples(st.one_of(WISHES, st.integers(0, 9)), st.booleans(), st.permutations(range(12))), min_size=4, max_size=12
)
"""As :data:`STEPS`; the permutation's first number is when the match was complete."""


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    at_first=st.sets(st.sampled_from(LISTS)),
    stories=st.lists(PLACED, min_size=4, max_size=len(PEOPLE)),
)
def test_in_any_order_of_arrival_the_lists_are_as_the_matches_that_stand_want_them_in_their_places(
    tmp_path_factory: pytest.TempPathFactory, at_first: set[str], stories: list[list[tuple[Any, bool, list[int]]]]
) -> None:
    people = PEOPLE[: len(stories)]
    courier = Courier(None, tmp_path_factory.mktemp("data"), *people)  # type: ignore[arg-type]
    sink = MemorySink({name: set(courier.addresses.values()) if name in at_first else set() for name in LISTS})
    told_of: dict[str, tuple[list[tuple[Command, bool]], list[Command]]] = {}
    for name, steps in zip(people, stories, strict=True):
        sent, standing = told(name, [(step, fresh) for step, fresh, _ in steps], named=False)
        places = {
            each.command_id: {"matched_at_ms": 1_000 * places[0], "listener": f"l{places[1]}"}
            for (each, _), (_, _, places) in zip(sent, steps, strict=False)
        }
        told_of[name] = (
            [(replaced(each, **places[each.command_id]), fresh) for each, fresh in sent],
            [replaced(each, **places[each.command_id]) for each in standing],
        )
    turns = itertools.zip_longest(*(sent for sent, _ in told_of.values()))
    delivered(courier, sink, [each for turn in turns for each in turn if each is not None])
    courier.close()
    for name, (_, standing) in told_of.items():
        inside = {each for each, members in sink.lists.items() if f"{name}@example.org" in members}
        assert inside == wanted(at_first, in_place(standing))


def outcomes(courier: Courier) -> list[tuple[str, str]]:
    return [(str(each.result), each.reason) for each in courier.outcomes()]


@pytest.mark.parametrize("fresh", [False, True], ids=["one round", "a round each"])
def test_an_add_whose_event_came_late_leaves_out_whom_a_later_removal_took_out(tmp_path: Path, fresh: bool) -> None:
    courier, sink = Courier(None, tmp_path), MemorySink({"h": set()})  # type: ignore[arg-type]
    out, into = command(from_list="h", matched_at_ms=5_000), command("h", matched_at_ms=1_000)
    delivered(courier, sink, [(out, False), (into, fresh)])
    assert sink.lists["h"] == set()
    assert outcomes(courier) == [("already", ""), ("skipped", "superseded")]
    delivered(courier, sink, [(command(from_list="h", undoes=out.command_id), True)])
    assert sink.lists["h"] == {ANNA}, "the removal is no more, and the add stands"
    delivered(courier, sink, [(command("h", undoes=into.command_id), True)])
    assert sink.lists["h"] == set()
    courier.close()


def test_of_a_move_that_came_late_only_what_no_later_command_settled_is_done(tmp_path: Path) -> None:
    courier, sink = Courier(None, tmp_path), MemorySink({"a": {ANNA}, "b": {ANNA}})  # type: ignore[arg-type]
    delivered(courier, sink, [(command(from_list="b", matched_at_ms=5_000), False)])
    delivered(courier, sink, [(command("b", "a", matched_at_ms=1_000), False)])
    assert (sink.lists["a"], sink.lists["b"]) == (set(), set())
    assert [each.changed for each in courier.outcomes()] == [("-b",), ("-a",)]
    courier.close()


def test_of_one_match_and_instant_the_last_name_and_position_win(tmp_path: Path) -> None:
    courier, sink = Courier(None, tmp_path), MemorySink({"h": set()})  # type: ignore[arg-type]
    opposite = [command("h", listener="l2"), command(from_list="h", listener="l1", position=7)]
    delivered(courier, sink, [(each, True) for each in opposite])
    assert sink.lists["h"] == {ANNA}
    delivered(courier, sink, [(command(from_list="h", listener="l2", position=1), True)])
    assert sink.lists["h"] == set()
    courier.close()


def test_what_no_match_wants_counts_when_it_is_given(tmp_path: Path) -> None:
    courier, sink = Courier(None, tmp_path), MemorySink({"h": set()})  # type: ignore[arg-type]
    mending = command(from_list="h", matched_at_ms=1_000, match_id="", listener="consent")
    delivered(courier, sink, [(command("h", matched_at_ms=5_000), True), (mending, True)])
    assert sink.lists["h"] == set(), "whoever left is taken out, whatever wanted them in before"
    delivered(courier, sink, [(command("h", matched_at_ms=4_000), True)])
    assert sink.lists["h"] == set()
    delivered(courier, sink, [(command("h", matched_at_ms=6_000), True)])
    assert sink.lists["h"] == {ANNA}
    courier.close()


def test_a_restated_command_stands_at_its_new_place_and_changes_only_what_that_decides(tmp_path: Path) -> None:
    courier, sink = Courier(None, tmp_path), MemorySink({"h": set()})  # type: ignore[arg-type]
    into, out = command("h", matched_at_ms=3_000), command(from_list="h", matched_at_ms=5_000)
    later = command("h", matched_at_ms=7_000, restates=into.command_id)
    earlier = command("h", matched_at_ms=4_000, restates=into.command_id)
    delivered(courier, sink, [(into, False), (out, True)])
    assert sink.lists["h"] == set()
    delivered(courier, sink, [(later, True)])
    assert sink.lists["h"] == {ANNA}
    delivered(courier, sink, [(earlier, True)])
    assert sink.lists["h"] == set()
    delivered(courier, sink, [(command(undoes=out.command_id, verb=Verb.REMOVE), True)])
    assert sink.lists["h"] == {ANNA}
    delivered(courier, sink, [(command(undoes=into.command_id, verb=Verb.ADD), True)])
    assert sink.lists["h"] == set()
    nobody = command("h", matched_at_ms=9_000, restates="c-nobody-knows")
    delivered(courier, sink, [(nobody, True)])
    assert sink.lists["h"] == set(), "what stands nowhere is put nowhere"
    courier.close()
