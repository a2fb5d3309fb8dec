"""The traps of Dotdigital, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.reasons import Reason
from sinks.base import Done, Fate, Right, Standing, Trouble
from tests.sinks.beds import ServedBed
from tests.sinks.courier import Courier, command, log_beside
from tests.sinks.simulator.server import Answer, Fault
from tests.sinks.simulator.world import LEFT, PENDING
from tests.sinks.trapped import ANNA, BEN, asked, bed_fixture, missing_rights, trouble

pytestmark = pytest.mark.slow


bed = bed_fixture("dotdigital")
TOO_MANY = (
    {"message": "Error: ERROR_APIUSAGE_EXCEEDED"},
    {"message": "Your account has generated excess API activity and is being temporarily capped."},
)


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        ("softBounced", None),
        ("noSubscription", Reason.PENDING),
        ("pendingOptIn", Reason.PENDING),
        ("hardBounced", Reason.UNDELIVERABLE),
        ("unsubscribed", Reason.UNSUBSCRIBED),
        ("ispComplained", Reason.COMPLAINED),
        ("directComplaint", Reason.COMPLAINED),
        ("knownComplainer", Reason.COMPLAINED),
        ("suppressed", Reason.BLOCKED),
        ("sharedDomainSuppression", Reason.BLOCKED),
        ("spamTrap", Reason.BLOCKED),
        ("deleted", Reason.ARCHIVED),
        ("binned", Reason.ARCHIVED),
    ],
)
def test_dotdigital_each_status_of_the_email_channel(bed: ServedBed, status: str, wanted: Reason | None) -> None:
    bed.put(ANNA, "old")
    bed.world.person(ANNA).standing = status
    assert trouble(asked(bed, add=("new",))) == (wanted and (wanted, Fate.LASTING))


def test_dotdigital_a_status_that_nobody_knows_is_no_consent(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.world.person(ANNA).standing = "somethingNew"
    assert trouble(asked(bed, add=("new",))) == (Reason.WRONG_ANSWER, Fate.PASSING)
    assert bed.writes() == []


def test_dotdigital_who_left_one_list_is_not_put_into_it_again(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.put(ANNA, "new")
    bed.world.list_named("new").members[bed.world.person(ANNA).id] = LEFT
    assert trouble(asked(bed, add=("new",), remove=("old",))) == (Reason.UNSUBSCRIBED, Fate.LASTING)
    assert bed.writes() == []


def test_dotdigital_a_contact_without_lists_is_asked_about_them(bed: ServedBed) -> None:
    """Whether an answer without them means "in no list", no page says: version 2 has them."""
    bed.put(ANNA, "old")
    contact = bed.dialect._contact(bed.world.person(ANNA), bed.world)
    del contact["lists"]
    bed.server.faults = [Fault("", path="GET /contacts/v3/email", answer=Answer(200, contact))]
    answer = asked(bed, remove=("old",))
    assert isinstance(answer, Done)
    assert (answer.changed, bed.members("old")) == (("-old",), set())


def test_dotdigital_who_has_not_confirmed_a_list_is_in_none(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.put(ANNA, "new")
    bed.world.list_named("new").members[bed.world.person(ANNA).id] = PENDING
    assert trouble(asked(bed, add=("new",))) == (Reason.PENDING, Fate.LASTING)


def test_dotdigital_who_leaves_while_they_are_put_in_is_taken_out_again(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    handle = bed.dialect.handle

    def leaving(asked: Any, world: Any) -> Any:
        if asked.method == "PATCH":
            world.person(ANNA).standing = LEFT
        return handle(asked, world)

    bed.dialect.handle = leaving
    answer = asked(bed, add=("new",), remove=("old",))
    assert trouble(answer) == (Reason.UNSUBSCRIBED, Fate.LASTING)
    assert isinstance(answer, Trouble)
    assert answer.changed == ()
    assert (bed.members("new"), bed.members("old")) == (set(), {ANNA})


def test_dotdigital_whom_the_account_asks_to_confirm_is_in_no_list_before(bed: ServedBed) -> None:
    bed.dialect.enforces_double_optin = True
    assert trouble(asked(bed, add=("new",))) == (Reason.ASKED, Fate.LASTING)
    assert trouble(asked(bed, add=("new",))) == (Reason.PENDING, Fate.LASTING)
    assert bed.members("new") == set()
    bed.expected_mails = [f"opt-in to {bed.world.person(ANNA).id}"]
    said = {each.name: each.detail for each in bed.sink().rights()}
    assert "mails" in said["opt-in mails"]


def test_dotdigital_no_call_writes_a_status_or_asks_for_a_confirmation(bed: ServedBed) -> None:
    """Its simulator counts the one as a wrong and the other as a mail; ``verifiedDouble`` is no option."""
    bed.put(ANNA, "old")
    asked(bed, add=("new",), remove=("old",), fields=(("SEGMA_TOKEN", "t"),))
    asked(bed, add=("new",), address=BEN, fields=(("SEGMA_TOKEN", "t"),))
    assert bed.members("new") == {ANNA, BEN}
    assert (bed.world.wrongs, bed.world.mails) == ([], [])
    with pytest.raises(ValidationError):
        bed.sink(opt_in_type="verifiedDouble")


@pytest.mark.parametrize("wanted", [{"add": ("new",)}, {"fields": (("SEGMA_TOKEN", "t"),)}])
def test_dotdigital_a_200_whose_contact_is_not_so_is_no_success(bed: ServedBed, wanted: dict[str, Any]) -> None:
    bed.put(ANNA, "old")
    bed.dialect.deaf = 1
    assert trouble(asked(bed, **wanted)) == (Reason.WRONG_ANSWER, Fate.PASSING)
    assert isinstance(asked(bed, **wanted), Done)


def test_dotdigital_who_is_not_in_a_list_is_out_of_it(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    gone = Answer(404, {"message": "Error: ERROR_CONTACT_NOT_FOUND"})
    bed.server.faults = [Fault("", path="DELETE", answer=gone)]
    assert isinstance(asked(bed, remove=("old",)), Done)
    bed.server.faults = [Fault("", path="PATCH", answer=Answer(404, {"errorCode": "contacts:contactNotFound"}))]
    assert trouble(asked(bed, add=("new",))) == (Reason.REFUSED_BY_PLATFORM, Fate.PASSING)


def test_dotdigital_what_took_nobody_out_is_no_success(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.server.faults = [Fault("", path="DELETE", answer=Answer(200, {}))]
    assert trouble(asked(bed, remove=("old",))) == (Reason.WRONG_ANSWER, Fate.PASSING)


@pytest.mark.parametrize("body", TOO_MANY)
def test_dotdigital_too_many_calls_in_an_hour_are_a_400_and_waited_for(bed: ServedBed, body: dict[str, str]) -> None:
    bed.put(ANNA, "old")
    bed.server.faults = [Fault("", answer=Answer(400, body))]
    answer = asked(bed, add=("new",))
    assert trouble(answer) == (Reason.THROTTLED, Fate.AWAY)
    assert isinstance(answer, Trouble)
    assert answer.wait_s >= 60


def test_dotdigital_a_429_waits_until_its_window_ends(bed: ServedBed, tmp_path: Path) -> None:
    courier = Courier(bed, tmp_path / "data", log=log_beside(bed))
    headers = {"X-RateLimit-Reset": "1800000037", "Date": "Fri, 15 Jan 2027 08:00:00 GMT", "X-RateLimit-Scope": "high"}
    bed.server.faults = [Fault("", answer=Answer(429, {}, headers))]
    courier.send(command("new"))
    courier.deliver()
    assert 37 <= sum(courier.pauses) < 60
    assert bed.members("new") == {ANNA}
    courier.close()


def test_dotdigital_an_answer_about_somebody_else_is_nobodys(bed: ServedBed) -> None:
    for each in (ANNA, BEN):
        bed.put(each, "old")
    contact = bed.dialect._contact(bed.world.person(BEN), bed.world)
    bed.server.faults = [Fault("", path="GET /contacts/v3/email", answer=Answer(200, contact))]
    assert trouble(asked(bed, remove=("old",))) == (Reason.WRONG_ANSWER, Fate.PASSING)
    assert bed.members("old") == {ANNA, BEN}


@pytest.mark.parametrize("name", ["Test", "All contacts"])
def test_dotdigital_a_reserved_name_is_refused(bed: ServedBed, name: str) -> None:
    bed.put(ANNA, "old")
    assert trouble(asked(bed, add=(name,))) == (Reason.LIST_REFUSED, Fate.LASTING)


def test_dotdigital_members_are_read_to_the_last_page(bed: ServedBed) -> None:
    """By the marker, never the link; whoever has a telephone number alone is passed over."""
    bed.dialect.page = 3
    for number in range(10):
        bed.put(f"p{number}@example.org", "news")
    bed.leave("p7@example.org", "news")
    found = {each.address: each.standing for each in bed.sink().members("news")}
    assert len(found) == 10
    assert found["p7@example.org"] is Standing.LEFT


@pytest.mark.parametrize(
    ("denied", "missing"),
    [
        ("GET /v2/address-books", "reading lists"),
        ("GET /contacts/v3/email/nobody@example.invalid", "reading contacts"),
        ("POST /contacts/v3", "making contacts"),
        ("PATCH /contacts/v3/contactId/0", "changing contacts"),
        ("POST /v2/address-books", "making lists"),
        ("DELETE /v2/address-books/0/contacts/0", "taking out of lists"),
        ("GET /v2/data-fields", "reading data fields"),
        ("POST /v2/data-fields", "making data fields"),
    ],
)
def test_dotdigital_a_check_tries_each_right_and_changes_nothing(bed: ServedBed, denied: str, missing: str) -> None:
    assert missing_rights(bed, denied) == {missing}


def test_dotdigital_a_check_names_the_region_of_the_account(bed: ServedBed) -> None:
    bed.dialect.region = "r2"
    (right,) = [each for each in bed.sink().rights() if each.name == "region"]
    endpoint = "https://r2-api.dotdigital.com/"
    assert right == Right("region", works=False, detail=f"the account's endpoint is {endpoint}")
