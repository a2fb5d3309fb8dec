"""The traps of Kit, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.reasons import Reason
from sinks.base import Change, Done, Fate, Standing
from tests.sinks.beds import ServedBed
from tests.sinks.courier import Courier, command, log_beside
from tests.sinks.simulator.server import Answer, Fault
from tests.sinks.simulator.world import LEFT, PENDING, UNDELIVERABLE
from tests.sinks.trapped import ANNA, BEN, asked, bed_fixture, missing_rights, trouble

pytestmark = pytest.mark.slow


bed = bed_fixture("kit")


@pytest.mark.parametrize(
    ("standing", "wanted"),
    [
        (LEFT, Reason.UNSUBSCRIBED),
        ("complained", Reason.COMPLAINED),
        (PENDING, Reason.PENDING),
        (UNDELIVERABLE, Reason.UNDELIVERABLE),
    ],
)
def test_kit_who_is_not_active_is_seen_all_the_same(bed: ServedBed, standing: str, wanted: Reason) -> None:
    """Without ``status=all`` they would be strangers, and be brought in."""
    bed.put(ANNA, "old")
    bed.world.person(ANNA).standing = standing
    assert trouble(asked(bed, add=("new",))) == (wanted, Fate.LASTING)
    assert bed.writes() == []


def test_kit_who_was_made_meanwhile_is_looked_at_again(bed: ServedBed) -> None:
    bed.world.enrol(ANNA).standing = LEFT
    sink: Any = bed.sink()
    (found,) = sink._platform.enrol([Change("c", "s", ANNA, ("new",))])
    assert trouble(found) == (Reason.REFUSED_BY_PLATFORM, Fate.PASSING)
    assert bed.world.person(ANNA).standing == LEFT


def test_kit_no_call_writes_a_state(bed: ServedBed) -> None:
    """Its simulator counts one as a wrong, and a changed address as well."""
    bed.put(ANNA, "old")
    asked(bed, add=("new",), remove=("old",), fields=(("segma_token", "t"),))
    asked(bed, add=("new",), address=BEN, fields=(("segma_token", "t"),))
    assert bed.members("new") == {ANNA, BEN}
    assert bed.world.person(BEN).fields == {"segma_token": "t"}
    assert bed.world.wrongs == []


def test_kit_a_429_is_plain_text_and_waits_for_a_part_of_the_window(bed: ServedBed, tmp_path: Path) -> None:
    courier = Courier(bed, tmp_path / "data", log=log_beside(bed))
    bed.server.faults = [Fault("", answer=Answer(429, b"Retry later\n", media="text/plain"))]
    courier.send(command("new"))
    courier.deliver()
    assert sum(courier.pauses) >= 10
    assert bed.members("new") == {ANNA}
    courier.close()


def test_kit_a_full_queue_is_waited_for(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.server.faults = [Fault("", writes=True, answer=Answer(413, {"errors": ["Queue is full"]}))]
    assert trouble(asked(bed, remove=("old",))) == (Reason.THROTTLED, Fate.AWAY)


def test_kit_a_404_of_a_removal_is_already_so_and_of_an_adding_is_not(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.put(BEN, "new")
    gone = Answer(404, {"errors": ["Not Found"]})
    bed.server.faults = [Fault("", path="DELETE", answer=gone)]
    assert isinstance(asked(bed, remove=("old",)), Done)
    bed.server.faults = [Fault("", path="POST /v4/tags/", answer=gone)]
    assert trouble(asked(bed, add=("new",))) == (Reason.REFUSED_BY_PLATFORM, Fate.PASSING)


def test_kit_a_field_that_the_account_does_not_have_is_told(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.dialect.fields.clear()
    assert trouble(asked(bed, fields=(("segma_token", "t1"),))) == (Reason.REFUSED_BY_PLATFORM, Fate.LASTING)


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (Answer(202, {}), (Reason.REFUSED_BY_PLATFORM, Fate.PASSING)),
        (Answer(200, {"subscriber": {"fields": {}}}), (Reason.LIST_REFUSED, Fate.LASTING)),
    ],
)
def test_kit_what_was_not_written_is_no_success(bed: ServedBed, answer: Answer, wanted: tuple[Reason, Fate]) -> None:
    bed.put(ANNA, "old")
    bed.server.faults = [Fault("", path="PUT", answer=answer)]
    assert trouble(asked(bed, fields=(("segma_token", "t1"),))) == wanted


def test_kit_tags_and_members_are_read_to_the_last_page(bed: ServedBed) -> None:
    bed.dialect.page = 3
    for number in range(10):
        bed.world.made_list(f"l{number}")
        bed.put(f"p{number}@example.org", "news")
    bed.put(ANNA, "hot")
    bed.leave("p7@example.org", "news")
    answer = asked(bed, add=("hot",))
    assert isinstance(answer, Done)
    assert answer.changed == ()
    found = {each.address: each.standing for each in bed.sink().members("news")}
    assert len(found) == 10
    assert found["p7@example.org"] is Standing.LEFT


@pytest.mark.parametrize(
    ("denied", "missing"),
    [
        ("GET /v4/subscribers", "reading subscribers"),
        ("GET /v4/tags", "reading tags"),
        ("POST /v4/subscribers", "changing subscribers"),
        ("POST /v4/tags", "making tags"),
    ],
)
def test_kit_a_check_tries_each_right_and_changes_nothing(bed: ServedBed, denied: str, missing: str) -> None:
    assert missing_rights(bed, denied) == {missing}
