"""In which lists a person must still be for a change to be made (docs/semantics.md 8.1, 10 and 11)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.accounts import Intent
from contracts.commands import Command
from contracts.rows import DirectoryEntry
from contracts.topics import account_topics, fixed_topics
from sinks.base import Change, Done, Marks, Traits
from sinks.delivery.leavings import Leavings
from sinks.delivery.ledger import Ledger
from sinks.delivery.outcomes import outcome_of
from sinks.delivery.plan import Known, change_of, wish_of
from tests.sinks.consent_bed import Fuse, MemoryLog
from tests.sinks.consent_histories import fault_of
from tests.sinks.consent_steps import Step
from tests.sinks.courier import command

ANNA = DirectoryEntry("w", "s_anna", "anna@example.org")


@pytest.fixture
def known() -> Known:
    log: Any = MemoryLog(lambda: 10, Fuse())
    log.ensure([*fixed_topics(1), *account_topics("w", "mail")])
    return Known(Ledger(log, "w", "mail"), Leavings(), Traits(), "mail")


def carried_out(known: Known, given: Command, *changed: str) -> None:
    known.ledger.add(outcome_of(given, Done(changed), calls=1, at_ms=5))


def in_doubt(known: Known, marks: Marks, *given: Command) -> None:
    """The call was about to change this, and its outcome was never written."""
    ids = {"s_anna": tuple(each.command_id for each in given)}
    known.ledger.intend(Intent("w", "mail", 7, ids, {"s_anna": marks}))


def change(known: Known, *given: Command) -> Change:
    wishes = [wish_of(each, known) for each in given]
    return change_of([each for each in wishes if each is not None], ANNA, known, {})


def test_whoever_an_undo_moves_back_must_still_be_where_the_move_put_them(known: Known) -> None:
    first = command("hot", "news")
    carried_out(known, first, "+hot", "-news")
    undo, onward = command("hot", "news", undoes=first.command_id), command("vip", "news")
    assert change(known, undo).only_if_in == ("hot",)
    assert change(known, undo, onward).only_if_in == ("hot",)


def test_whom_a_call_in_doubt_may_have_taken_out_is_not_expected_there(known: Known) -> None:
    """Killed after the call and asked again: that they are gone is that call's own doing."""
    first = command("hot", "news")
    carried_out(known, first, "+hot", "-news")
    undo, onward = command("hot", "news", undoes=first.command_id), command("vip", "news")
    in_doubt(known, ("+vip", "-hot"), undo, onward)
    found = change(known, undo, onward)
    assert (found.only_if_in, found.expected_in) == ((), ())
    assert found.taken_out == ("hot", "news")


def test_a_doubt_about_another_list_excuses_nobody(known: Known) -> None:
    first = command("hot", "news")
    carried_out(known, first, "+hot", "-news")
    undo = command("hot", "news", undoes=first.command_id)
    in_doubt(known, ("+vip",), command("vip"))
    assert change(known, undo).only_if_in == ("hot",)


@pytest.mark.parametrize("platform", ["klaviyo", "listmonk"])
def test_an_undo_and_a_move_that_are_killed_at_any_step_end_as_if_they_were_not(platform: str, tmp_path: Path) -> None:
    for steps in range(1, 40):
        history = [
            Step("put", "anna", "news"),
            Step("move", "anna", "news", "hot", 1),
            Step("undo", number=9),  # a number that 3 divides: given out, and not delivered before the next
            Step("move", "anna", "news", "vip", 3),
            Step("crash", number=steps),
        ]
        assert fault_of(platform, history, tmp_path, "add")[0] == "", steps
