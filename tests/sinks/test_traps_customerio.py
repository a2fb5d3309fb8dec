"""The traps of Customer.io, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.reasons import Reason
from sinks.base import Change, Done, Fate, Right, Standing, Trouble
from tests.sinks.beds import ServedBed
from tests.sinks.courier import Courier, command, log_beside
from tests.sinks.simulator.server import Answer, Fault
from tests.sinks.simulator.world import ACTIVE, LEFT
from tests.sinks.trapped import ANNA, BEN, asked, bed_fixture, missing_rights, trouble

pytestmark = pytest.mark.slow


bed = bed_fixture("customerio")
NOT_YET = (Reason.WRONG_ANSWER, Fate.PASSING)


@pytest.mark.parametrize("wanted", [{"add": ("new",)}, {"remove": ("old",)}, {"fields": (("segma_token", "t"),)}])
def test_customerio_a_200_that_did_nothing_is_no_success(bed: ServedBed, wanted: dict[str, Any]) -> None:
    """The Track API answers 200 with nothing in it, whatever becomes of the call: so it is read back."""
    bed.put(ANNA, "old")
    bed.dialect.deaf = 1
    assert trouble(asked(bed, **wanted)) == NOT_YET
    assert isinstance(asked(bed, **wanted), Done)


def test_customerio_a_move_that_is_carried_out_late_ends_in_the_wanted_lists(bed: ServedBed, tmp_path: Path) -> None:
    courier = Courier(bed, tmp_path / "data", log=log_beside(bed))
    bed.put(ANNA, "old")
    bed.dialect.deaf = 2
    courier.send(command("new", "old"))
    courier.deliver()
    assert (bed.members("new"), bed.members("old")) == ({ANNA}, set())
    assert courier.letters() == []
    courier.close()


def test_customerio_a_suppressed_person_is_made_by_nobody_and_said_so(bed: ServedBed) -> None:
    bed.dialect.suppressed = {ANNA}
    assert trouble(asked(bed, add=("new",))) == NOT_YET
    assert bed.world.person(ANNA) is None


def test_customerio_whoever_has_no_id_is_not_moved_half_way(bed: ServedBed) -> None:
    """The API takes nobody without an ``id`` out of a segment: said before anything is changed."""
    bed.put(ANNA, "old")
    bed.dialect.without_id = {bed.world.person(ANNA).id}
    answer = asked(bed, add=("new",), remove=("old",))
    assert trouble(answer) == (Reason.UNSUPPORTED, Fate.LASTING)
    assert isinstance(answer, Trouble)
    assert "no `id`" in answer.answer
    assert (bed.members("new"), bed.members("old"), bed.writes()) == (set(), {ANNA}, [])
    assert isinstance(asked(bed, add=("new",)), Done), "adding needs none"


def test_customerio_whoever_left_and_has_no_id_is_told_as_one_who_left(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.dialect.without_id = {bed.world.person(ANNA).id}
    bed.leave(ANNA, "old")
    assert trouble(asked(bed, add=("new",), remove=("old",))) == (Reason.UNSUBSCRIBED, Fate.LASTING)
    assert trouble(asked(bed, remove=("old",))) == (Reason.UNSUPPORTED, Fate.LASTING)


@pytest.mark.parametrize("by", ["email", "id"])
def test_customerio_whoever_is_made_can_be_taken_out_again(bed: ServedBed, by: str) -> None:
    bed.dialect.addresses_are_ids = by == "email"
    sink = bed.sink(identified_by=by)
    for add, remove in ((("new",), ()), (("newer",), ("new",))):
        (answer,) = sink.apply([Change("c", "s", "ann+tag@example.org", add, remove)])
        assert isinstance(answer, Done)
    assert (bed.members("new"), bed.members("newer")) == (set(), {"ann+tag@example.org"})
    assert bed.world.person("ann+tag@example.org").fields["id"].startswith("segma-")


@pytest.mark.parametrize(("standing", "with_id"), [(ACTIVE, True), (LEFT, True), (LEFT, False)])
def test_customerio_who_was_made_meanwhile_is_looked_at_again(bed: ServedBed, standing: str, *, with_id: bool) -> None:
    """By their own ``id``; whoever had none has Segma's now, and may have left all the same."""
    bed.put(ANNA, "old")
    person = bed.world.person(ANNA)
    person.standing = standing
    if not with_id:
        bed.dialect.without_id = {person.id}
    sink: Any = bed.sink()
    (found,) = sink._platform.enrol([Change("c", "s", ANNA, ("new",))])
    assert trouble(found) == NOT_YET
    assert person.standing == standing


def test_customerio_an_address_of_several_people_moves_none_of_them(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.dialect.twins = {ANNA}
    answer = asked(bed, add=("new",), remove=("old",))
    assert trouble(answer) == (Reason.REFUSED_BY_PLATFORM, Fate.LASTING)
    assert bed.writes() == []


def test_customerio_a_data_driven_segment_takes_no_members(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.dialect.data_driven = {bed.world.made_list("vip").id}
    assert trouble(asked(bed, add=("vip",))) == (Reason.LIST_REFUSED, Fate.LASTING)
    assert bed.writes("add_customers") == []


def test_customerio_no_call_writes_a_consent(bed: ServedBed) -> None:
    """Its simulator counts one as a wrong."""
    bed.put(ANNA, "old")
    asked(bed, add=("new",), remove=("old",), fields=(("segma_token", "t"),))
    asked(bed, add=("new",), address=BEN, fields=(("segma_token", "t"),))
    assert bed.members("new") == {ANNA, BEN}
    assert bed.world.person(BEN).fields["segma_token"] == "t"
    assert bed.world.wrongs == []


@pytest.mark.parametrize("said", ["true", True])
def test_customerio_an_unsubscription_among_the_attributes_is_one(bed: ServedBed, said: object) -> None:
    bed.put(ANNA, "old")
    bed.world.person(ANNA).fields["unsubscribed"] = said
    assert trouble(asked(bed, add=("new",))) == (Reason.UNSUBSCRIBED, Fate.LASTING)


def test_customerio_a_429_waits_for_a_window(bed: ServedBed, tmp_path: Path) -> None:
    courier = Courier(bed, tmp_path / "data", log=log_beside(bed))
    bed.server.faults = [Fault("", answer=Answer(429, {"meta": {"error": "too many requests"}}))]
    courier.send(command("new"))
    courier.deliver()
    assert sum(courier.pauses) >= 1
    assert bed.members("new") == {ANNA}
    courier.close()


def test_customerio_a_redirect_names_the_region(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.server.faults = [Fault("", answer=Answer(301, b"", {"Location": "https://track-eu.customer.io/"}))]
    answer = asked(bed, add=("new",))
    assert trouble(answer) == (Reason.WRONG_ANSWER, Fate.AWAY)
    assert isinstance(answer, Trouble)
    assert "region" in answer.answer


def test_customerio_members_are_read_to_the_last_page(bed: ServedBed) -> None:
    bed.dialect.page = 60
    for number in range(130):
        bed.put(f"p{number}@example.org", "news")
    bed.leave("p127@example.org", "news")
    found = {each.address: each.standing for each in bed.sink().members("news")}
    assert len(found) == 130
    assert found["p127@example.org"] is Standing.LEFT


@pytest.mark.parametrize(
    ("denied", "missing"),
    [
        ("GET /v1/segments", "reading segments"),
        ("GET /v1/customers", "reading people"),
        ("POST /v1/customers/attributes", "reading attributes"),
        ("GET /v1/customers/0/segments", "reading a person's segments"),
        ("POST /v1/segments", "making segments"),
        ("GET /api/v1/accounts/region", "changing people and segments"),
    ],
)
def test_customerio_a_check_tries_each_right_and_changes_nothing(bed: ServedBed, denied: str, missing: str) -> None:
    assert missing_rights(bed, denied) == {missing}


def test_customerio_a_check_names_the_region_of_the_account(bed: ServedBed) -> None:
    bed.dialect.region = "eu"
    (right,) = [each for each in bed.sink().rights() if each.name == "changing people and segments"]
    assert right == Right(right.name, works=False, detail="the account is in `region: eu`")
