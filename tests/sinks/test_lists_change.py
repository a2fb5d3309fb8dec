"""Lists that change at the platform: renamed, deleted and made anew, merged (docs/semantics.md 8.1, 15)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.commands import Result
from tests.sinks.beds import SERVED, ServedBed, served_bed
from tests.sinks.courier import Courier, command, log_beside
from tests.sinks.simulator.world import MailingList

pytestmark = pytest.mark.slow

ANNA, BEN = "anna@example.org", "ben@example.org"
NUMBERED = tuple(name for name in SERVED if name not in {"mailman", "sympa"})
"""Where a list has a number beside its name; a mailing list's name is its address, and it cannot be renamed."""


@pytest.fixture(params=NUMBERED)
def courier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Courier]:
    """Anna was in ``news``, and Segma has moved her to ``hot``."""
    bed: ServedBed = served_bed(request.param, tmp_path / "bed")
    bed.put(ANNA, "news")
    bed.put(BEN, "news")
    made = Courier(bed, tmp_path / "data", "anna", "ben", log=log_beside(bed))
    assert ended(made, command("hot", "news")) == ("applied", "")
    yield made
    made.close()
    bed.close()


def ended(courier: Courier, given: Any, sink: Any = None) -> tuple[str, str]:
    """How a command ends; without a sink a new process carries it out."""
    courier.send(given)
    courier.deliver(sink)
    outcome = courier.outcomes()[-1]
    return str(outcome.result), outcome.reason


def test_a_renamed_list_is_left_by_nobody_and_its_former_name_is_another_list(courier: Courier) -> None:
    bed = courier.bed
    bed.world.list_named("hot").name = "warm"
    assert ended(courier, command("vip", "hot")) == ("applied", "")
    assert ended(courier, command("hot", "news", person="ben")) == ("applied", "")
    assert (bed.members("warm"), bed.members("hot"), bed.members("vip")) == ({ANNA}, {BEN}, {ANNA})


def test_a_list_deleted_and_made_anew_while_the_process_runs_is_found_by_its_new_number(courier: Courier) -> None:
    bed = courier.bed
    sink = bed.sink(pause=courier.pause)
    assert ended(courier, command("hot", person="ben"), sink) == ("applied", "")
    bed.world.vanish_list("hot")
    bed.world.made_list("hot")
    assert ended(courier, command("hot", "news"), sink)[0] == "applied"
    assert bed.members("hot") == {ANNA}


def test_whose_list_was_merged_into_another_has_left_nothing(courier: Courier) -> None:
    bed = courier.bed
    merged = bed.world.list_named("hot")
    bed.world.made_list("vip").members.update(merged.members)
    bed.world.vanish_list("hot")
    assert ended(courier, command("news", "hot")) == ("applied", "")
    assert (bed.members("news"), bed.members("vip")) == ({ANNA, BEN}, {ANNA})


def test_a_name_that_two_lists_bear_is_refused_and_changes_nothing(courier: Courier) -> None:
    bed = courier.bed
    twin = MailingList(bed.world.fresh_id(), "hot")
    bed.world.lists[twin.id] = twin
    before = bed.world.memberships()
    result, reason = ended(courier, command("hot", "news", person="ben"))
    assert (result, reason) == (Result.FAILED, "list_refused")
    assert bed.world.memberships() == before
