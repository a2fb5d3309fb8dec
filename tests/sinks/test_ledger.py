"""What is taken back, against a naive model: of each list the newest command that stands counts, else the start."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
