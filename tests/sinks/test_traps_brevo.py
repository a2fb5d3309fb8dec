"""The traps of Brevo, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.reasons import Reason
from sinks.base import Answer as SinkAnswer
from sinks.base import Change, Done, Fate, PlatformError, Standing, Trouble
from tests.sinks.beds import ServedBed
from tests.sinks.courier import Courier, command, log_beside
from tests.sinks.simulator.server import Answer, Fault
from tests.sinks.simulator.world import LEFT, UNDELIVERABLE
from tests.sinks.trapped import ANNA, BEN, asked, bed_fixture, missing_rights

pytestmark = pytest.mark.slow

NOTHING_TO_DO = {"code": "invalid_parameter", "message": "Contact already in list and/or does not exist"}


bed = bed_fixture("brevo")


def reason(answer: SinkAnswer) -> Reason | None:
    return answer.reason if isinstance(answer, Trouble) else None


@pytest.mark.parametrize(
    ("standing", "why", "wanted"),
    [
        (LEFT, "", Reason.UNSUBSCRIBED),
        (LEFT, "complained", Reason.COMPLAINED),
        (LEFT, "old", Reason.UNSUBSCRIBED),
        (UNDELIVERABLE, "", Reason.UNDELIVERABLE),
        (UNDELIVERABLE, "old", Reason.UNSUBSCRIBED),
    ],
)
def test_brevo_who_is_blocklisted_has_left_unless_they_only_bounced(
    bed: ServedBed, standing: str, why: str, wanted: Reason
) -> None:
    """A blocklisting whose cause the statistics do not show is taken for a leaving."""
    bed.put(ANNA, "old")
    person = bed.world.person(ANNA)
    person.standing = standing
    if why:
        getattr(bed.dialect, why).add(person.id)
    assert reason(asked(bed, add=("new",))) is wanted
    assert bed.writes() == []


def test_brevo_who_left_one_list_is_not_put_into_it_again(bed: ServedBed) -> None:
    bed.put(ANNA, "news")
    bed.world.list_named("news").members[bed.world.person(ANNA).id] = LEFT
    assert reason(asked(bed, add=("news",))) is Reason.UNSUBSCRIBED
    assert isinstance(asked(bed, add=("other",)), Done), "it was that list alone"
    assert bed.writes("/contacts/add")[-1].path != f"/v3/contacts/lists/{bed.world.list_named('news').id}/contacts/add"
    assert {each.standing for each in bed.sink().members("news")} == {Standing.LEFT}


def test_brevo_who_leaves_while_they_are_put_in_is_taken_out_again(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    real = bed.dialect.handle

    def handle(request: Any, world: Any) -> Any:
        answer = real(request, world)
        if request.path.endswith("/contacts/add"):
            bed.dialect.leave(world, ANNA, "old")
        return answer

    bed.dialect.handle = handle
    assert reason(asked(bed, add=("new",), remove=("old",))) is Reason.UNSUBSCRIBED
    assert bed.members("new") == set()


def test_brevo_a_400_that_says_nothing_was_left_to_do_is_looked_at_again(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.put(BEN, "new")
    bed.server.faults = [Fault("", path="/contacts/add", answer=Answer(400, NOTHING_TO_DO))]
    answer = asked(bed, add=("new",))
    assert isinstance(answer, Trouble)
    assert answer.fate is Fate.PASSING
    bed.server.faults = [Fault("", path="/contacts/remove", answer=Answer(400, NOTHING_TO_DO))]
    assert isinstance(asked(bed, remove=("old",)), Done)


def test_brevo_a_201_is_no_success_of_those_whom_it_does_not_name(bed: ServedBed) -> None:
    for each in (ANNA, BEN):
        bed.put(each, "old")
    some = {"contacts": {"success": [int(bed.world.person(BEN).id)], "failure": [], "total": 1}}
    bed.put("cleo@example.org", "new")
    bed.server.faults = [Fault("", path="/contacts/add", answer=Answer(201, some))]
    first, second = bed.sink().apply([Change(each, each, each, ("new",), ("old",)) for each in (ANNA, BEN)])
    assert isinstance(first, Trouble)
    assert first.fate is Fate.PASSING
    assert isinstance(second, Done)
    assert ANNA in bed.members("old"), "nobody is in no list on the way"


@pytest.mark.parametrize("count", [0, 50, 100])
def test_brevo_lists_are_read_to_the_last_whole_page(bed: ServedBed, count: int) -> None:
    """A page past the end has no list of lists at all."""
    for number in range(count):
        bed.world.made_list(f"l{number}")
    assert isinstance(asked(bed, add=(f"l{count - 1}" if count else "new",)), Done)
    assert len(bed.world.lists) == max(count, 1)


def test_brevo_a_name_that_the_account_has_no_attribute_for_keeps_nobody_out(bed: ServedBed) -> None:
    bed.dialect.attributes = {"PRENOM"}
    assert isinstance(asked(bed, add=("new",), name="Anna"), Done)
    assert bed.world.person(ANNA).name == ""


def test_brevo_the_tokens_attribute_is_made_before_it_is_written(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    assert "SEGMA_TOKEN" not in bed.dialect.attributes
    assert isinstance(asked(bed, fields=(("SEGMA_TOKEN", "t1"),)), Done)
    assert bed.world.person(ANNA).fields == {"SEGMA_TOKEN": "t1"}


def test_brevo_a_429_waits_as_long_as_its_own_header_says(bed: ServedBed, tmp_path: Path) -> None:
    courier = Courier(bed, tmp_path / "data", log=log_beside(bed))
    slow = Answer(429, {"code": "too_many_requests", "message": ""}, {"x-sib-ratelimit-reset": "7"})
    bed.server.faults = [Fault("", answer=slow)]
    courier.send(command("new"))
    courier.deliver()
    assert sum(courier.pauses) >= 7
    courier.close()


def test_brevo_an_address_that_the_account_does_not_let_in_is_told(bed: ServedBed) -> None:
    said = {"code": "unauthorized", "message": "We have detected you are using an unrecognised IP address"}
    bed.server.faults = [Fault("", answer=Answer(401, said))]
    answer = asked(bed, add=("new",))
    assert isinstance(answer, Trouble)
    assert (answer.reason, answer.fate) == (Reason.BAD_CREDENTIALS, Fate.FATAL)
    assert "IP address" in answer.answer


def test_brevo_who_was_made_meanwhile_is_not_written_over(bed: ServedBed) -> None:
    bed.world.enrol(ANNA).standing = LEFT
    sink: Any = bed.sink()
    (found,) = sink._platform.enrol([Change("c", "s", ANNA, ("new",))])
    assert isinstance(found, Trouble)
    assert found.fate is Fate.PASSING
    assert bed.world.person(ANNA).standing == LEFT


def test_brevo_no_call_carries_a_consent(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    asked(bed, add=("new",), remove=("old",), fields=(("SEGMA_TOKEN", "t"),))
    asked(bed, add=("new",), address=BEN)
    assert all("lacklist" not in repr(call.body) for call in bed.writes())


def test_brevo_a_contact_without_an_address_is_no_member(bed: ServedBed) -> None:
    bed.put(ANNA, "news")
    bed.put("x@example.org", "news")
    phone = bed.world.people[""] = bed.world.people.pop("x@example.org")
    phone.address = ""
    assert [each.address for each in bed.sink().members("news")] == [ANNA]


@pytest.mark.parametrize(
    ("denied", "missing"),
    [
        ("GET /v3/contacts", "reading contacts"),
        ("GET /v3/contacts/lists", "reading lists"),
        ("GET /v3/contacts/attributes", "reading attributes"),
        ("POST /v3/contacts", "changing contacts"),
        ("POST /v3/contacts/lists", "making lists"),
    ],
)
def test_brevo_a_check_tries_each_right_and_changes_nothing(bed: ServedBed, denied: str, missing: str) -> None:
    assert missing_rights(bed, denied) == {missing}


def test_brevo_a_check_with_a_wrong_key_is_an_error(bed: ServedBed) -> None:
    bed.server.fail("bad_key")
    with pytest.raises(PlatformError):
        list(bed.sink().rights())


def test_brevo_keeps_to_ten_calls_a_second(bed: ServedBed) -> None:
    """Its pace is kept by the sink: the platform refuses nothing of it."""
    bed.dialect.quotas = {"all": [(10, 1.0)]}
    sink = bed.sink(quotas={})
    sink.apply([Change(f"c{n}", f"s_{n}", f"p{n}@example.org", (), ("old",)) for n in range(14)])
    assert len(bed.server.calls) == 15
    assert (bed.server.refused_for_quota, bed.server.most_in_a_window) == (0, 10)
