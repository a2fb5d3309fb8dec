"""The traps of SendGrid, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from contracts.reasons import Reason
from sinks.base import Change, Done, Fate, PlatformError, Standing
from tests.sinks.beds import ServedBed
from tests.sinks.simulator.server import Answer, Fault
from tests.sinks.simulator.world import LEFT, UNDELIVERABLE
from tests.sinks.trapped import ANNA, BEN, asked, bed_fixture, missing_rights, trouble

pytestmark = pytest.mark.slow


bed = bed_fixture("sendgrid")


def test_sendgrid_a_202_is_not_done_before_its_job_is(bed: ServedBed) -> None:
    """Whoever is put in is taken out of the other list once the job says so, and the reading after it."""
    bed.put(ANNA, "old")
    bed.world.made_list("new")
    bed.dialect.lag = 4
    assert isinstance(asked(bed, add=("new",), remove=("old",)), Done)
    polled = [call.path for call in bed.server.calls if "/imports/" in call.path]
    assert len(polled) > len(set(polled)) == 2, "each job is asked about until it ends"
    assert (bed.members("new"), bed.members("old")) == ({ANNA}, set())


def test_sendgrid_a_job_that_does_not_end_holds_up_the_account_and_loses_nothing(bed: ServedBed) -> None:
    """Absence says nothing until it ends, so nobody's later change may overtake it."""
    bed.put(ANNA, "old")
    bed.world.made_list("new")
    bed.dialect.lag = 10_000
    assert trouble(asked(bed, add=("new",), remove=("old",))) == (Reason.THROTTLED, Fate.AWAY)
    assert bed.members("old") == {ANNA}
    assert [call.path for call in bed.writes("DELETE")] == []


def test_sendgrid_whom_a_job_passed_over_is_told_so(bed: ServedBed) -> None:
    """Its errors are in a file; whom it did is read back."""
    for each in (ANNA, BEN):
        bed.put(each, "old")
    bed.world.made_list("new")
    bed.dialect.passed_over = {BEN}
    changes = [Change(each, each, each, ("new",), ("old",)) for each in (ANNA, BEN)]
    first, second = bed.sink().apply(changes)
    assert isinstance(first, Done)
    assert trouble(second) == (Reason.REFUSED_BY_PLATFORM, Fate.PASSING)
    assert (bed.members("new"), bed.members("old")) == ({ANNA}, {BEN})


def test_sendgrid_a_stranger_whom_a_job_passed_over_is_refused(bed: ServedBed) -> None:
    bed.dialect.passed_over = {ANNA}
    assert trouble(asked(bed, add=("new",))) == (Reason.REFUSED_BY_PLATFORM, Fate.PASSING)


def test_sendgrid_one_address_that_is_none_spoils_nobody_elses(bed: ServedBed) -> None:
    """A request, be it to look or to write, is refused as a whole for it."""
    people = [f"p{number}@example.org" for number in range(5)]
    bed.world.bad = {people[3]}
    answers = bed.sink().apply([Change(each, each, each, ("new",)) for each in people])
    assert [isinstance(each, Done) for each in answers] == [True, True, True, False, True]
    assert bed.members("new") == set(people) - {people[3]}


@pytest.mark.parametrize(
    ("standing", "wanted"),
    [
        (LEFT, Reason.UNSUBSCRIBED),
        ("complained", Reason.COMPLAINED),
        (UNDELIVERABLE, Reason.UNDELIVERABLE),
    ],
)
def test_sendgrid_who_is_suppressed_is_added_nowhere(bed: ServedBed, standing: str, wanted: Reason) -> None:
    bed.put(ANNA, "old")
    bed.world.person(ANNA).standing = standing
    assert trouble(asked(bed, add=("new",))) == (wanted, Fate.LASTING)
    assert bed.writes("contacts", "lists") == [call for call in bed.writes() if "search" in call.path]


def test_sendgrid_who_is_suppressed_and_no_contact_any_more_is_no_stranger(bed: ServedBed) -> None:
    bed.dialect.suppressed = {ANNA}
    assert trouble(asked(bed, add=("new",))) == (Reason.UNSUBSCRIBED, Fate.LASTING)
    assert bed.world.person(ANNA) is None


@pytest.mark.parametrize(("groups", "wanted"), [((), Reason.UNSUBSCRIBED), ((42,), Reason.UNSUBSCRIBED), ((7,), None)])
def test_sendgrid_who_left_a_group_has_left(bed: ServedBed, groups: tuple[int, ...], wanted: Reason | None) -> None:
    """Any group, or one of those that the account names."""
    bed.put(ANNA, "old")
    bed.dialect.group = {ANNA}
    (found,) = bed.sink(groups=groups).apply([Change("c", "s", ANNA, ("new",))])
    assert trouble(found) == (None if wanted is None else (wanted, Fate.LASTING))


def test_sendgrid_a_429_names_the_second_from_when_on_it_is_over(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    soon = Answer(429, {}, {"X-RateLimit-Reset": "99999999999"})
    bed.server.faults = [Fault("", answer=soon)]
    found: Any = asked(bed, add=("new",))
    assert trouble(found) == (Reason.THROTTLED, Fate.AWAY)
    assert found.wait_s == 86_400, "as long as is waited at most"


def test_sendgrid_a_second_address_of_a_contact_is_nobody_to_be_moved(bed: ServedBed) -> None:
    """A search finds whoever has it as a second one: an upsert by it would be about somebody else."""
    bed.put(BEN, "old")
    bed.dialect.seconds = {ANNA: BEN}
    found: Any = asked(bed, add=("new",), remove=("old",))
    assert trouble(found) == (Reason.REFUSED_BY_PLATFORM, Fate.LASTING)
    assert (bed.members("old"), bed.members("new")) == ({BEN}, set())


def test_sendgrid_an_address_that_no_search_takes_is_asked_for_by_none(bed: ServedBed) -> None:
    long = f"{'a' * 60}@{'b' * 40}.example.org"
    bed.world.made_list("new")
    changes = [Change("c1", "s_1", long, ("new",)), Change("c2", "s_2", BEN, ("new",))]
    first, second = bed.sink().apply(changes)
    assert trouble(first) == (Reason.BAD_ADDRESS, Fate.LASTING)
    assert isinstance(second, Done)
    assert bed.members("new") == {BEN}


def test_sendgrid_a_field_is_made_and_written_by_its_id(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.dialect.fields = {"other": "e1_T"}
    assert isinstance(asked(bed, fields=(("segma_token", "t1"),)), Done)
    assert bed.dialect.fields == {"other": "e1_T", "segma_token": "e2_T"}
    assert bed.world.person(ANNA).fields == {"segma_token": "t1"}


@pytest.mark.parametrize("packed", [False, True])
def test_sendgrid_members_are_the_files_of_an_export_and_no_key_reaches_them(bed: ServedBed, packed: bool) -> None:
    people = [f"p{number}@example.org" for number in range(90)]
    for each in people:
        bed.put(each, "news")
    bed.world.person(people[0]).standing = LEFT
    bed.world.person(people[1]).standing = UNDELIVERABLE
    bed.dialect.group = {people[2]}
    bed.dialect.pack = gzip.compress if packed else bytes
    found = {each.address: each for each in bed.sink().members("news")}
    assert set(found) == set(people)
    left, gone = Standing.LEFT, Standing.UNDELIVERABLE
    assert [found[each].standing for each in people[:4]] == [left, gone, left, Standing.ACTIVE]
    assert found[people[3]].person == bed.world.person(people[3]).id
    files = [call for call in bed.server.calls if call.path.startswith("/files/")]
    assert [call.status for call in files] == [200, 200, 200]


@pytest.mark.parametrize(
    "url",
    ["https://files.elsewhere.example/a.csv", "http://bucket.s3.amazonaws.com/a.csv", "https://notamazonaws.com/a.csv"],
)
def test_sendgrid_a_file_is_fetched_from_known_hosts_alone(bed: ServedBed, url: str) -> None:
    bed.put(ANNA, "news")
    bed.dialect.urls = [url]
    with pytest.raises(PlatformError) as caught:
        list(bed.sink().members("news"))
    assert caught.value.trouble.reason is Reason.WRONG_ANSWER


def test_sendgrid_lists_are_read_to_the_last_page(bed: ServedBed) -> None:
    for number in range(1_003):
        bed.world.made_list(f"list {number}")
    bed.put(BEN, "hot")
    assert isinstance(asked(bed, add=("hot",)), Done)
    assert (len(bed.world.lists), bed.members("hot")) == (1_004, {ANNA, BEN})


def test_sendgrid_a_hundred_moves_are_two_jobs(bed: ServedBed) -> None:
    people = [f"p{number}@example.org" for number in range(100)]
    for each in people:
        bed.put(each, "old")
    bed.world.made_list("new")
    bed.sink().apply([Change(each, each, each, ("new",), ("old",)) for each in people])
    done = [call.method for call in bed.server.calls if call.method in {"PUT", "DELETE"}]
    assert done == ["PUT", "DELETE"]
    assert (bed.members("new"), bed.members("old")) == (set(people), set())


@pytest.mark.parametrize(
    ("denied", "missing"),
    [
        ("GET /v3/marketing/lists", "reading lists"),
        ("GET /v3/marketing/field_definitions", "reading custom fields"),
        ("GET /v3/asm/groups", "reading unsubscribe groups"),
        ("GET /v3/suppression/unsubscribes", "reading global unsubscribes"),
        ("GET /v3/suppression/spam_reports", "reading spam reports"),
        ("GET /v3/suppression/bounces", "reading bounces"),
        ("POST /v3/marketing/contacts/search/emails", "reading contacts"),
        ("PUT /v3/marketing/contacts", "changing contacts"),
        ("POST /v3/marketing/lists", "making lists"),
    ],
)
def test_sendgrid_a_check_tries_each_right_and_changes_nothing(bed: ServedBed, denied: str, missing: str) -> None:
    bed.server.validate = False  # a list without a name is what shows that lists may be made
    assert missing_rights(bed, denied) == {missing}
