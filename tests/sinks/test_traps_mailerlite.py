"""The traps of MailerLite, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.reasons import Reason
from sinks.base import Change, Done, Fate, Standing
from tests.sinks.beds import ServedBed
from tests.sinks.simulator.server import Answer, Fault
from tests.sinks.simulator.world import LEFT, PENDING, UNDELIVERABLE
from tests.sinks.trapped import ANNA, BEN, asked, bed_fixture, missing_rights, trouble

pytestmark = pytest.mark.slow


bed = bed_fixture("mailerlite")


def bundle(*codes: int) -> Answer:
    told: list[dict[str, Any]] = [
        {"code": code, "body": {"data": {}} if code < 300 else {"message": "no"}} for code in codes
    ]
    return Answer(200, {"total": len(told), "successful": 0, "failed": 0, "responses": told})


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        (404, (Reason.REFUSED_BY_PLATFORM, Fate.PASSING)),
        (422, (Reason.REFUSED_BY_PLATFORM, Fate.LASTING)),
        (429, (Reason.THROTTLED, Fate.AWAY)),
        (500, (Reason.UNREACHABLE, Fate.AWAY)),
    ],
)
def test_mailerlite_a_bundle_is_a_200_whatever_became_of_what_it_holds(
    bed: ServedBed, code: int, wanted: tuple[Reason, Fate]
) -> None:
    for each in (ANNA, BEN):
        bed.put(each, "old")
    bed.world.made_list("new")
    bed.server.faults = [Fault("", writes=True, answer=bundle(code, 200))]
    changes = [Change(each, each, each, ("new",), ("old",)) for each in (ANNA, BEN)]
    first, second = bed.sink().apply(changes)
    assert trouble(first) == wanted
    assert isinstance(second, Done)
    assert ANNA in bed.members("old"), "nobody is in no list on the way"


def test_mailerlite_fewer_answers_than_calls_are_no_answer(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.server.faults = [Fault("", writes=True, answer=bundle())]
    assert trouble(asked(bed, remove=("old",))) == (Reason.WRONG_ANSWER, Fate.AWAY)


def test_mailerlite_a_429_within_a_bundle_of_readings_is_the_accounts(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.server.faults = [Fault("", path="/api/batch", answer=bundle(429))]
    assert trouble(asked(bed, add=("new",))) == (Reason.THROTTLED, Fate.AWAY)


def test_mailerlite_no_call_writes_a_status_or_brings_anybody_back(bed: ServedBed) -> None:
    """Its simulator counts a status, ``resubscribe`` or groups in a subscriber's body as a wrong."""
    bed.put(ANNA, "old")
    asked(bed, add=("new",), remove=("old",), fields=(("segma_token", "t"),))
    asked(bed, add=("new",), address=BEN)
    assert bed.members("new") == {ANNA, BEN}
    assert bed.world.wrongs == []


def test_mailerlite_whom_the_account_asks_to_confirm_is_in_no_group_before(bed: ServedBed) -> None:
    bed.dialect.double_optin = True
    assert trouble(asked(bed, add=("new",))) == (Reason.ASKED, Fate.LASTING)
    assert trouble(asked(bed, add=("new",))) == (Reason.PENDING, Fate.LASTING)
    assert bed.members("new") == set()
    bed.expected_mails = [f"opt-in to {bed.world.person(ANNA).id}"]
    said = {each.name: each.detail for each in bed.sink().rights()}
    assert "mail" in said["double opt-in"]


def test_mailerlite_who_was_made_meanwhile_is_looked_at_again(bed: ServedBed) -> None:
    bed.world.enrol(ANNA).standing = LEFT
    sink: Any = bed.sink()
    (found,) = sink._platform.enrol([Change("c", "s", ANNA, ("new",))])
    assert trouble(found) == (Reason.REFUSED_BY_PLATFORM, Fate.PASSING)
    assert bed.world.person(ANNA).standing == LEFT


def test_mailerlite_a_field_that_the_account_does_not_have_is_told(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.dialect.fields.remove("segma_token")
    assert trouble(asked(bed, fields=(("segma_token", "t1"),))) == (Reason.LIST_REFUSED, Fate.LASTING)


@pytest.mark.parametrize(
    ("standing", "wanted"),
    [
        (LEFT, Reason.UNSUBSCRIBED),
        ("junk", Reason.COMPLAINED),
        (PENDING, Reason.PENDING),
        (UNDELIVERABLE, Reason.UNDELIVERABLE),
    ],
)
def test_mailerlite_who_marked_a_mail_as_spam_complained(bed: ServedBed, standing: str, wanted: Reason) -> None:
    bed.put(ANNA, "old")
    bed.world.person(ANNA).standing = standing
    assert trouble(asked(bed, add=("new",))) == (wanted, Fate.LASTING)
    assert bed.writes() == []


def test_mailerlite_members_are_of_every_status(bed: ServedBed) -> None:
    for each, standing in (("a", "active"), ("b", LEFT), ("c", PENDING), ("d", UNDELIVERABLE), ("e", "junk")):
        bed.put(f"{each}@example.org", "news")
        bed.world.person(f"{each}@example.org").standing = standing
    found = {each.address[0]: each.standing for each in bed.sink().members("news")}
    out, undeliverable = Standing.LEFT, Standing.UNDELIVERABLE
    assert found == {"a": Standing.ACTIVE, "b": out, "c": Standing.PENDING, "d": undeliverable, "e": out}


def test_mailerlite_groups_are_read_to_the_last_page(bed: ServedBed) -> None:
    """Their names are found by a part of them."""
    for number in range(130):
        bed.world.made_list(f"hot {number:03}")
    bed.world.made_list("hot")
    assert isinstance(asked(bed, add=("hot",)), Done)
    assert (len(bed.world.lists), bed.members("hot")) == (131, {ANNA})


def test_mailerlite_strangers_are_no_import(bed: ServedBed) -> None:
    """A bundle of nothing but new subscribers would be one, and five of those are all that a minute has."""
    people = [f"p{number}@example.org" for number in range(7)]
    bed.sink().apply([Change(each, each, each, ("new",)) for each in people])
    assert {call.bucket for call in bed.server.calls} == {"all"}
    assert bed.members("new") == set(people)


def test_mailerlite_fifty_moves_are_three_calls(bed: ServedBed) -> None:
    people = [f"p{number}@example.org" for number in range(50)]
    for each in people:
        bed.put(each, "old")
    bed.world.made_list("new")
    sink = bed.sink()
    sink.apply([Change(each, each, each, ("new",), ("old",)) for each in people])
    assert [call.path for call in bed.server.calls if "batch" in call.path] == ["/api/batch"] * 3
    assert (bed.members("new"), bed.members("old")) == (set(people), set())


@pytest.mark.parametrize(
    ("denied", "missing"),
    [
        ("GET /api/subscribers", "reading subscribers"),
        ("GET /api/groups", "reading groups"),
        ("POST /api/subscribers", "changing subscribers"),
        ("POST /api/groups", "making groups"),
    ],
)
def test_mailerlite_a_check_tries_each_right_and_changes_nothing(bed: ServedBed, denied: str, missing: str) -> None:
    assert missing_rights(bed, denied) == {missing}
