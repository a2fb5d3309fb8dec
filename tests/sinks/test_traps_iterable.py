"""The traps of Iterable, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.reasons import Reason
from sinks.base import Change, Done, Fate, PlatformError, Standing, Trouble
from tests.sinks.beds import ServedBed
from tests.sinks.courier import Courier, command, log_beside
from tests.sinks.simulator.iterable import RECEIPTS, TEXTS
from tests.sinks.simulator.server import Answer, Fault
from tests.sinks.simulator.world import LEFT
from tests.sinks.trapped import ANNA, BEN, asked, bed_fixture, missing_rights, trouble

pytestmark = pytest.mark.slow


bed = bed_fixture("iterable")
NOT_YET = (Reason.WRONG_ANSWER, Fate.PASSING)


@pytest.mark.parametrize("wanted", [{"add": ("new",)}, {"remove": ("old",)}, {"fields": (("segma_token", "t"),)}])
def test_iterable_a_200_that_is_not_so_yet_is_no_success(bed: ServedBed, wanted: dict[str, Any]) -> None:
    """Each user is read back, and asked for again."""
    bed.put(ANNA, "old")
    bed.dialect.deaf = 1
    assert trouble(asked(bed, **wanted)) == NOT_YET
    assert isinstance(asked(bed, **wanted), Done)


def test_iterable_for_whom_a_200_did_nothing_is_told_by_name(bed: ServedBed) -> None:
    for each in (ANNA, BEN):
        bed.put(each, "old")
    bed.dialect.forgotten = {ANNA}
    changes = [Change(each, f"s_{each}", each, ("new",), ("old",)) for each in (ANNA, BEN)]
    first, second = bed.sink().apply(changes)
    assert trouble(first) == (Reason.FORGOTTEN, Fate.LASTING)
    assert isinstance(second, Done)
    assert (bed.members("new"), bed.members("old")) == ({BEN}, {ANNA})


def test_iterable_who_was_forgotten_is_made_by_nobody(bed: ServedBed) -> None:
    bed.dialect.forgotten = {ANNA}
    assert trouble(asked(bed, add=("new",))) == (Reason.FORGOTTEN, Fate.LASTING)
    assert bed.world.person(ANNA) is None


def test_iterable_nobody_is_unsubscribed_from_a_channel_nor_made_by_a_list(bed: ServedBed) -> None:
    """Its simulator counts each as a wrong."""
    bed.put(ANNA, "old")
    asked(bed, add=("new",), remove=("old",), fields=(("segma_token", "t"),))
    asked(bed, add=("new",), address=BEN, fields=(("segma_token", "t"),))
    assert bed.members("new") == {ANNA, BEN}
    assert bed.world.wrongs == []
    (removal,) = bed.writes("/unsubscribe")
    assert removal.body["channelUnsubscribe"] is False


@pytest.mark.parametrize("channel", [RECEIPTS, TEXTS])
def test_iterable_another_channel_than_email_for_marketing_is_no_leaving(bed: ServedBed, channel: int) -> None:
    bed.put(ANNA, "old")
    bed.dialect.unsubscribed = {bed.world.person(ANNA).id: {channel}}
    assert isinstance(asked(bed, add=("new",)), Done)
    (answer,) = bed.sink(channels=[channel]).apply([Change("c", "s", ANNA, ("newer",))])
    assert trouble(answer) == (Reason.UNSUBSCRIBED, Fate.LASTING), "the account says that this one is"


@pytest.mark.parametrize("kind", ["Dynamic", "Suppression", "Internal"])
def test_iterable_a_list_that_is_not_static_takes_nobody(bed: ServedBed, kind: str) -> None:
    bed.put(ANNA, "old")
    bed.dialect.kinds = {bed.world.made_list("vip").id: kind}
    assert trouble(asked(bed, add=("vip",))) == (Reason.LIST_REFUSED, Fate.LASTING)
    assert bed.writes("/subscribe") == []


def test_iterable_a_type_of_list_that_nobody_knows_is_no_answer(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.dialect.kinds = {bed.world.list_named("old").id: "Smart"}
    assert trouble(asked(bed, remove=("old",))) == (Reason.WRONG_ANSWER, Fate.AWAY)
    assert bed.members("old") == {ANNA}


def test_iterable_who_was_made_meanwhile_is_looked_at_again(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.leave(ANNA, "old")
    sink: Any = bed.sink()
    sink._platform._channels = sink._platform._read_channels()
    (found,) = sink._platform.enrol([Change("c", "s", ANNA, ("new",))])
    assert trouble(found) == NOT_YET
    assert bed.world.person(ANNA).standing == LEFT


def test_iterable_users_of_a_project_that_knows_them_by_id_are_named_by_it(bed: ServedBed) -> None:
    bed.dialect.by_user_id = True
    bed.put(ANNA, "old")
    sink = bed.sink(identified_by="user_id")
    for each in (ANNA, BEN):
        (answer,) = sink.apply([Change("c", "s", each, ("new",), ("old",), fields=(("segma_token", "t"),))])
        assert isinstance(answer, Done)
    assert (bed.members("new"), bed.members("old")) == ({ANNA, BEN}, set())
    assert bed.world.person(BEN).fields["userId"].startswith("segma-")
    assert {*bed.writes("/subscribe")[0].body["subscribers"][0]} == {"userId"}


def test_iterable_an_answer_about_somebody_else_is_nobodys(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    other = {"user": {"email": BEN, "userId": "", "dataFields": {"email": BEN, "emailListIds": []}}}
    bed.server.faults = [Fault("", path="GET /api/users/getByEmail", answer=Answer(200, other))]
    assert trouble(asked(bed, remove=("old",))) == (Reason.WRONG_ANSWER, Fate.PASSING)


@pytest.mark.parametrize("fields", [{}, {"": None}, {"firstName": "Anna"}, {"email": BEN, "emailListIds": []}])
def test_iterable_fields_that_name_nobody_are_no_user_on_no_list(bed: ServedBed, fields: dict[str, Any]) -> None:
    """Lists and channels are among the fields, and absent where they are empty: the user's address never is."""
    bed.put(ANNA, "old")
    told = {"user": {"email": ANNA, "userId": "", "dataFields": fields}}
    bed.server.faults = [Fault("", path="GET /api/users/getByEmail", answer=Answer(200, told))]
    assert trouble(asked(bed, remove=("old",))) == (Reason.WRONG_ANSWER, Fate.PASSING)
    assert bed.writes() == []


def test_iterable_a_429_says_in_its_body_how_long(bed: ServedBed, tmp_path: Path) -> None:
    courier = Courier(bed, tmp_path / "data", log=log_beside(bed))
    params = {"rateLimitLimit": 5, "rateLimitRemaining": 0, "rateLimitReset": 9}
    bed.server.faults = [Fault("", answer=Answer(429, {"code": "RateLimitExceeded", "msg": "", "params": params}))]
    courier.send(command("new"))
    courier.deliver()
    assert sum(courier.pauses) >= 9
    assert bed.members("new") == {ANNA}
    courier.close()


@pytest.mark.parametrize("reset", ["soon", -1, True, 1e99, None])
def test_iterable_a_429_of_another_form_waits_for_a_window(bed: ServedBed, reset: object) -> None:
    bed.server.faults = [Fault("", answer=Answer(429, {"params": {"rateLimitReset": reset}}))]
    answer = asked(bed, add=("new",))
    assert trouble(answer) == (Reason.THROTTLED, Fate.AWAY)
    assert isinstance(answer, Trouble)
    assert answer.wait_s == 1


def test_iterable_a_reading_of_a_list_is_plain_text(bed: ServedBed) -> None:
    """Whoever has no address stands there by an id, and is passed over; a page of HTML is no list of nobody."""
    for number in range(50):
        bed.put(f"p{number}@example.org", "news")
    bed.leave("p7@example.org", "news")
    found = {each.address: each.standing for each in bed.sink().members("news")}
    assert len(found) == 50
    assert found["p7@example.org"] is Standing.LEFT
    page = Answer(200, b"<html>Log in</html>", media="text/html")
    bed.server.faults = [Fault("", path="/getUsers", answer=page)]
    with pytest.raises(PlatformError):
        list(bed.sink().members("news"))


@pytest.mark.parametrize(
    ("denied", "missing"),
    [
        ("GET /api/lists", "reading lists"),
        ("GET /api/users/getByEmail", "reading users"),
        ("GET /api/channels", "reading channels"),
        ("GET /api/lists/getUsers", "reading the users of a list"),
        ("POST /api/users/update", "changing users"),
        ("POST /api/lists", "making lists"),
        ("POST /api/lists/subscribe", "putting on lists"),
        ("POST /api/lists/unsubscribe", "taking off lists"),
    ],
)
def test_iterable_a_check_tries_each_right_and_changes_nothing(bed: ServedBed, denied: str, missing: str) -> None:
    """A key of the wrong type is a 401 as well."""
    assert missing_rights(bed, denied) == {missing}
