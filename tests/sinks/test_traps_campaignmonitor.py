"""The traps of Campaign Monitor, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from contracts.reasons import Reason
from sinks.base import Change, Done, Fate, Standing, Trouble
from tests.sinks.beds import ServedBed
from tests.sinks.simulator.campaignmonitor import CLIENT
from tests.sinks.simulator.server import Answer, Asked, Fault
from tests.sinks.simulator.world import ACTIVE, LEFT, PENDING, UNDELIVERABLE
from tests.sinks.trapped import ANNA, BEN, asked, bed_fixture, missing_rights, trouble

pytestmark = pytest.mark.slow


bed = bed_fixture("campaignmonitor")


def imported(bed: ServedBed) -> list[dict[str, Any]]:
    return [each.body for each in bed.writes("/import")]


def test_campaignmonitor_who_is_taken_back_into_a_list_is_alone_resubscribed(bed: ServedBed) -> None:
    """A to B to A: the platform says first who is deleted there, and only they are brought back."""
    for each in (ANNA, BEN):
        bed.put(each, "old")
    assert isinstance(asked(bed, add=("new",), remove=("old",)), Done)
    both = [Change(each, f"s_{each}", each, ("old",)) for each in (ANNA, "carl@example.org")]
    assert all(isinstance(each, Done) for each in bed.sink().apply(both))
    assert bed.members("old") == {ANNA, BEN, "carl@example.org"}
    again = [each for each in imported(bed) if each["Resubscribe"]]
    assert [[who["EmailAddress"] for who in each["Subscribers"]] for each in again] == [[ANNA]]


@pytest.mark.parametrize(
    ("state", "wanted"),
    [(LEFT, Reason.UNSUBSCRIBED), (PENDING, Reason.PENDING), (UNDELIVERABLE, Reason.UNDELIVERABLE)],
)
def test_campaignmonitor_each_state_in_a_list(bed: ServedBed, state: str, wanted: Reason) -> None:
    bed.put(ANNA, "old")
    bed.put(ANNA, "new")
    bed.world.list_named("new").members[bed.world.person(ANNA).id] = state
    assert trouble(asked(bed, add=("new",), remove=("old",))) == (wanted, Fate.LASTING)
    assert bed.writes() == []


@pytest.mark.parametrize(
    ("state", "wanted"),
    [(LEFT, Reason.UNSUBSCRIBED), (PENDING, Reason.PENDING), (UNDELIVERABLE, Reason.UNDELIVERABLE)],
)
def test_campaignmonitor_what_happens_before_the_import_is_said_by_its_codes(
    bed: ServedBed, state: str, wanted: Reason
) -> None:
    bed.put(ANNA, "old")
    handle = bed.dialect.handle

    def meanwhile(request: Asked, world: Any) -> Answer:
        if request.path.endswith("/import.json"):
            world.list_named("new").members[world.person(ANNA).id] = state
        answer: Answer = handle(request, world)
        return answer

    bed.dialect.handle = meanwhile
    assert trouble(asked(bed, add=("new",), remove=("old",))) == (wanted, Fate.LASTING)
    assert bed.members("old") == {ANNA}


def test_campaignmonitor_a_state_that_nobody_knows_is_no_consent(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    number = f"{int(bed.world.list_named('old').id):032x}"
    row = {"ListID": number, "ListName": "old", "SubscriberState": "Paused", "DateSubscriberAdded": "2026-01-01"}
    bed.server.faults = [Fault("", path="listsforemail", answer=Answer(200, [row]))]
    assert trouble(asked(bed, add=("new",))) == (Reason.WRONG_ANSWER, Fate.PASSING)
    assert bed.writes() == []


@pytest.mark.parametrize(("why", "wanted"), [("Unsubscribed", Reason.UNSUBSCRIBED), ("Somewhat", Reason.BLOCKED)])
def test_campaignmonitor_who_is_suppressed_is_put_into_no_list_they_never_were_in(
    bed: ServedBed, why: str, wanted: Reason
) -> None:
    """An import would take them in: its code 204 is of lists that they were in before."""
    bed.put(ANNA, "old")
    bed.world.person(ANNA).standing = LEFT
    bed.dialect.reasons[bed.world.person(ANNA).id] = why
    assert trouble(asked(bed, add=("new",))) == (wanted, Fate.LASTING)


def test_campaignmonitor_who_left_all_lists_by_one_is_in_none(bed: ServedBed) -> None:
    bed.dialect.all_lists = True
    for name in ("old", "other"):
        bed.put(ANNA, name)
    bed.leave(ANNA, "other")
    assert trouble(asked(bed, add=("new",), remove=("old",))) == (Reason.UNSUBSCRIBED, Fate.LASTING)


def test_campaignmonitor_who_leaves_all_while_they_are_brought_back_is_taken_out_again(bed: ServedBed) -> None:
    """To resubscribe takes them off the suppression list as well: what they left in the other list shows it."""
    for name in ("old", "new"):
        bed.put(ANNA, name)
    asked(bed, remove=("new",))
    handle = bed.dialect.handle

    def leaving(request: Asked, world: Any) -> Answer:
        if request.path.endswith("/import.json") and request.body["Resubscribe"]:
            world.list_named("old").members[world.person(ANNA).id] = LEFT
        answer: Answer = handle(request, world)
        return answer

    bed.dialect.handle = leaving
    answer = asked(bed, add=("new",), remove=("old",), consent_in=("old",))
    assert trouble(answer) == (Reason.UNSUBSCRIBED, Fate.LASTING)
    assert isinstance(answer, Trouble)
    assert (answer.changed, bed.members("new")) == ((), set())


def test_campaignmonitor_the_suppression_list_is_read_as_far_as_it_is_not_known(bed: ServedBed) -> None:
    """One page where nobody is new; all of it where somebody was let go."""
    bed.dialect.page = 10
    for number in range(35):
        bed.world.enrol(f"p{number}@example.org").standing = LEFT
    sink: Any = bed.sink()
    suppressions = sink._platform._suppressions
    assert len(suppressions.now()) == 35
    for before, wanted in (("", 1), ("p34@example.org", 2), ("p3@example.org", 5)):
        calls = len(bed.server.calls)
        if before:
            standing = bed.world.enrol("q@example.org" if before == "p34@example.org" else before)
            standing.standing = LEFT if before == "p34@example.org" else ACTIVE
        found = suppressions.now()
        assert len(bed.server.calls) - calls == wanted
    assert "p3@example.org" not in found
    assert "q@example.org" in found


def test_campaignmonitor_an_adding_waits_in_no_queue_and_starts_journeys(bed: ServedBed) -> None:
    """The single call would answer 201 for somebody who is still to be added; an import starts nothing by itself."""
    bed.dialect.slow = True
    bed.put(ANNA, "old")
    assert isinstance(asked(bed, add=("new",)), Done)
    assert bed.members("new") == {ANNA}
    (body,) = imported(bed)
    assert body["QueueSubscriptionBasedAutoresponders"] is True
    assert body["Resubscribe"] is body["RestartSubscriptionBasedAutoresponders"] is False
    assert {each["ConsentToTrack"] for each in body["Subscribers"]} == {"Unchanged"}


def test_campaignmonitor_a_token_goes_along_into_the_next_list(bed: ServedBed) -> None:
    """Fields are each list's own: in the new one the mail that a move starts would have no token."""
    bed.put(ANNA, "old")
    asked(bed, fields=(("segmatoken", "t-1"),))
    asked(bed, add=("new",), remove=("old",))
    number = bed.world.list_named("new").id
    assert bed.dialect.values[bed.world.person(ANNA).id, number] == {"segmatoken": "t-1"}
    assert asked(bed, fields=(("segmatoken", "t-1"),)) == Done((), "already so")


def test_campaignmonitor_a_token_is_written_in_every_list(bed: ServedBed) -> None:
    for name in ("old", "other"):
        bed.put(ANNA, name)
    asked(bed, fields=(("segmatoken", "t-1"),))
    bed.dialect.values[bed.world.person(ANNA).id, bed.world.list_named("other").id] = {}
    answer = asked(bed, fields=(("segmatoken", "t-1"),))
    assert isinstance(answer, Done)
    assert answer.changed == ("=segmatoken",)
    assert {each["segmatoken"] for each in bed.dialect.values.values()} == {"t-1"}


def test_campaignmonitor_an_import_that_does_not_account_for_everybody_is_no_success(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    counts = {"TotalUniqueEmailsSubmitted": 1, "TotalExistingSubscribers": 0, "TotalNewSubscribers": 0}
    result = {"FailureDetails": [], "DuplicateEmailsInSubmission": [], **counts}
    bed.server.faults = [Fault("", path="/import", answer=Answer(201, result))]
    assert trouble(asked(bed, add=("new",), remove=("old",))) == (Reason.WRONG_ANSWER, Fate.PASSING)
    assert bed.members("old") == {ANNA}


def test_campaignmonitor_a_list_that_vanished_is_a_401_and_stops_no_account(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.put(ANNA, "new")
    sink = bed.sink()
    sink.apply([Change("c1", "s_1", ANNA, remove=("new",))])
    bed.world.vanish_list("new")
    (answer,) = sink.apply([Change("c2", "s_1", ANNA, add=("new",))])
    assert isinstance(answer, Done)
    assert bed.members("new") == {ANNA}


def test_campaignmonitor_a_right_that_a_token_lacks_is_no_wrong_key(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.dialect.denied = {"POST /api/v3.3/subscribers/LIST/import.json"}
    assert trouble(asked(bed, add=("new",))) == (Reason.MISSING_RIGHT, Fate.FATAL)


def test_campaignmonitor_a_429_waits_until_its_window_ends(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    answer = Answer(429, {"Code": 429, "Message": "Rate limit exceeded"}, {"X-RateLimit-Reset": "348"})
    bed.server.faults = [Fault("", path="listsforemail", answer=answer)]
    found = asked(bed, add=("new",))
    assert trouble(found) == (Reason.THROTTLED, Fate.AWAY)
    assert isinstance(found, Trouble)
    assert found.wait_s == 348


def test_campaignmonitor_who_bounced_stays_with_the_record_of_it(bed: ServedBed) -> None:
    """In no list, so taken out of none: to delete them would let the next move mail a dead address."""
    bed.put(ANNA, "old")
    members = bed.world.list_named("old").members
    members[bed.world.person(ANNA).id] = UNDELIVERABLE
    assert trouble(asked(bed, add=("new",))) == (Reason.UNDELIVERABLE, Fate.LASTING)
    assert asked(bed, remove=("old",)) == Done((), "already so")
    assert members == {bed.world.person(ANNA).id: UNDELIVERABLE}


def test_campaignmonitor_who_bounced_elsewhere_and_is_mailed_again_is_well(bed: ServedBed) -> None:
    for name in ("old", "dead"):
        bed.put(ANNA, name)
    bed.world.list_named("dead").members[bed.world.person(ANNA).id] = UNDELIVERABLE
    assert isinstance(asked(bed, add=("new",), remove=("old",)), Done)


def test_campaignmonitor_a_list_of_confirmed_opt_in_asks_strangers_once(bed: ServedBed) -> None:
    bed.strangers = "opt_in"
    bed.world.made_list("new").optin = "double"
    answer = asked(bed, add=("new",))
    assert isinstance(answer, Done)
    assert answer.changed == ("?new",)
    assert bed.members("new") == set()
    assert trouble(asked(bed, add=("other",), asked=True)) == (Reason.ASKED, Fate.LASTING)
    bed.expected_mails = [f"opt-in to {bed.world.person(ANNA).id}"]


def test_campaignmonitor_members_are_read_state_by_state_to_the_last_page(bed: ServedBed) -> None:
    bed.dialect.page = 10
    for number in range(25):
        bed.put(f"p{number}@example.org", "news")
    members = bed.world.list_named("news").members
    for number, state in ((7, LEFT), (8, PENDING), (9, UNDELIVERABLE)):
        members[bed.world.person(f"p{number}@example.org").id] = state
    bed.world.person("p3@example.org").standing = LEFT
    asked(bed, address="p4@example.org", remove=("news",))
    found = {each.address: each.standing for each in bed.sink().members("news")}
    assert len(found) == 24
    assert "p4@example.org" not in found
    few = {number: found[f"p{number}@example.org"] for number in (3, 7, 8, 9, 10)}
    assert few == {
        3: Standing.LEFT,
        7: Standing.LEFT,
        8: Standing.PENDING,
        9: Standing.UNDELIVERABLE,
        10: Standing.ACTIVE,
    }


@pytest.mark.parametrize(
    ("denied", "missing"),
    [
        (f"GET /api/v3.3/clients/{CLIENT}/listsforemail.json", "reading subscribers"),
        (f"GET /api/v3.3/clients/{CLIENT}/suppressionlist.json", "reading suppressions"),
        (f"POST /api/v3.3/lists/{CLIENT}.json", "making lists"),
        ("POST /api/v3.3/subscribers/LIST/import.json", "importing"),
        ("DELETE /api/v3.3/subscribers/LIST.json", "taking out of lists"),
        ("POST /api/v3.3/lists/LIST/customfields.json", "making fields"),
    ],
)
def test_campaignmonitor_a_check_tries_each_right_and_changes_nothing(
    bed: ServedBed, denied: str, missing: str
) -> None:
    assert missing_rights(bed, denied) == {missing}


def test_campaignmonitor_the_client_is_an_id_and_no_path(bed: ServedBed) -> None:
    with pytest.raises(ValidationError):
        bed.sink(client="../clients")
