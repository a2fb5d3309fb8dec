"""The traps of Constant Contact, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from contracts.reasons import Reason
from sinks.base import Change, Done, Fate
from sinks.registry import SINKS
from tests.sinks.beds import ServedBed
from tests.sinks.simulator.world import ACTIVE, LEFT, PENDING, UNDELIVERABLE
from tests.sinks.trapped import ANNA, BEN, asked, bed_fixture, missing_rights, trouble

pytestmark = pytest.mark.slow


bed = bed_fixture("constantcontact")


def test_constantcontact_a_201_is_not_done_before_its_activity_is(bed: ServedBed) -> None:
    """Whoever is put in is taken out of the other list once the activity has ended."""
    bed.put(ANNA, "old")
    bed.world.made_list("new")
    bed.dialect.lag = 4
    assert isinstance(asked(bed, add=("new",), remove=("old",)), Done)
    polled = [call.path for call in bed.server.calls if call.method == "GET" and "/activities/" in call.path]
    assert len(polled) > len(set(polled)) == 2, "each activity is asked about until it ends"
    assert (bed.members("new"), bed.members("old")) == ({ANNA}, set())


def test_constantcontact_an_activity_that_does_not_end_holds_up_the_account_and_loses_nothing(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.world.made_list("new")
    bed.dialect.lag = 10_000
    assert trouble(asked(bed, add=("new",), remove=("old",))) == (Reason.THROTTLED, Fate.AWAY)
    assert bed.members("old") == {ANNA}
    assert bed.writes("remove_list_memberships") == []


@pytest.mark.parametrize("ended", ["completed", "failed", "timed_out", "cancelled"])
def test_constantcontact_whom_an_activity_passes_over_is_told_so(bed: ServedBed, ended: str) -> None:
    """It counts whom it has done; where that is not everybody, each one is looked at."""
    for each in (ANNA, BEN):
        bed.put(each, "old")
    bed.put(ANNA, "new")
    bed.world.list_named("new").members.clear()
    bed.dialect.passed_over = {BEN}
    bed.dialect.ends_as = ended
    first, second = bed.sink().apply([Change(each, each, each, ("new",), ("old",)) for each in (ANNA, BEN)])
    assert isinstance(first, Done) is (ended == "completed")
    assert trouble(second) == (Reason.REFUSED_BY_PLATFORM, Fate.PASSING)
    done = {ANNA} if ended == "completed" else set()
    assert (bed.members("new"), bed.members("old")) == (done, {ANNA, BEN} - done)


@pytest.mark.parametrize(
    ("standing", "wanted"),
    [(ACTIVE, None), (LEFT, Reason.UNSUBSCRIBED), (PENDING, Reason.PENDING), (UNDELIVERABLE, Reason.UNDELIVERABLE)],
)
def test_constantcontact_each_permission_to_send(bed: ServedBed, standing: str, wanted: Reason | None) -> None:
    bed.put(ANNA, "old")
    bed.put(BEN, "old")
    bed.world.person(ANNA).standing = standing
    bed.dialect.explicit = {BEN}
    assert trouble(asked(bed, add=("new",))) == (None if wanted is None else (wanted, Fate.LASTING))
    assert isinstance(asked(bed, address=BEN, add=("new",)), Done)
    assert bed.members("new") == ({BEN} if wanted else {ANNA, BEN})


def test_constantcontact_whom_somebody_deleted_is_not_restored(bed: ServedBed) -> None:
    """The contact is kept, shown among all alone, and any write would restore it."""
    bed.put(ANNA, "old")
    bed.dialect.deleted = {ANNA}
    assert trouble(asked(bed, add=("new",))) == (Reason.GONE, Fate.LASTING)
    assert trouble(asked(bed, fields=(("segma_token", "t1"),))) == (Reason.GONE, Fate.LASTING)
    assert bed.writes() == []


def test_constantcontact_a_stranger_is_made_with_an_implied_permission_and_no_mail(bed: ServedBed) -> None:
    """``sign_up_form`` would say that they signed up, and ask them by a mail where the account confirms opt-ins."""
    assert isinstance(asked(bed, add=("new",), name="Anna"), Done)
    (made,) = [call.body for call in bed.writes() if call.path == "/v3/contacts"]
    email = {"address": ANNA, "permission_to_send": "implicit"}
    assert made == {"email_address": email, "create_source": "Account", "first_name": "Anna"}
    assert bed.writes("sign_up_form") == []


def test_constantcontact_a_field_is_written_with_what_else_the_contact_has(bed: ServedBed) -> None:
    """A ``PUT`` empties what it leaves out, and replaces the lists where it names any."""
    for name in ("old", "vip"):
        bed.put(ANNA, name)
    bed.dialect.explicit = {ANNA}
    person = bed.world.person(ANNA)
    person.name = "Anna"
    bed.dialect.cores = {person.id: {"job_title": "Judge", "birthday_month": 2, "birthday_day": 3}}
    other = {"custom_field_id": "00000000-0000-0000-0000-000000000009", "value": "blue"}
    bed.dialect.other_fields = {person.id: [other]}
    assert isinstance(asked(bed, fields=(("segma_token", "t1"),)), Done)
    assert (person.name, person.fields) == ("Anna", {"segma_token": "t1"})
    assert bed.dialect.cores == {person.id: {"job_title": "Judge", "birthday_month": 2, "birthday_day": 3}}
    assert bed.dialect.other_fields == {person.id: [other]}
    assert (bed.members("old"), bed.members("vip")) == ({ANNA}, {ANNA})
    (put,) = [call.body for call in bed.server.calls if call.method == "PUT"]
    assert not {"list_memberships", "taggings"} & put.keys()
    assert (put["update_source"], put["email_address"]["permission_to_send"]) == ("Account", "explicit")


def test_constantcontact_no_field_is_written_over_a_leaving(bed: ServedBed) -> None:
    """Also of somebody who leaves between the look and the write."""
    bed.put(ANNA, "old")
    bed.leave(ANNA, "old")
    assert trouble(asked(bed, fields=(("segma_token", "t1"),))) == (Reason.UNSUBSCRIBED, Fate.LASTING)
    assert [call for call in bed.server.calls if call.method == "PUT"] == []


def test_constantcontact_a_missing_field_and_a_missing_tag_are_made(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.dialect.fields.clear()
    found = asked(bed, fields=(("segma_token", "t1"),), tag=("vip",))
    assert isinstance(found, Done)
    assert found.changed == ("=segma_token", "t+vip")
    assert (bed.world.person(ANNA).fields, bed.world.person(ANNA).tags) == ({"segma_token": "t1"}, {"vip"})
    assert isinstance(asked(bed, untag=("vip", "unknown")), Done)
    assert bed.world.person(ANNA).tags == set()


def login_file(bed: ServedBed) -> Path:
    (found,) = Path(bed._directory).rglob("login.w.mail.json")
    return found


def test_constantcontact_a_refresh_token_is_kept_before_anything_is_done_by_it(bed: ServedBed) -> None:
    """It is good once: the process that comes next goes on with the one that came for it."""
    bed.dialect.rotates = True
    bed.put(ANNA, "old")
    sink: Any = bed.sink(fresh=False)
    ask, kept = sink._platform._http.ask, list[str]()

    def asking(*arguments: Any, **named: Any) -> Any:
        kept.append(json.loads(login_file(bed).read_bytes())["refresh"])
        return ask(*arguments, **named)

    sink._platform._http.ask = asking
    assert isinstance(sink.apply([Change("c1", "s", ANNA, ("new",))])[0], Done)
    assert set(kept) == {"refresh-1"}
    assert stat.S_IMODE(login_file(bed).stat().st_mode) == 0o600
    assert isinstance(bed.sink(fresh=False).apply([Change("c2", "s", ANNA, (), ("new",))])[0], Done)
    assert bed.dialect.issued == 1, "an access token that is good is used by the next process too"


def test_constantcontact_an_access_token_that_is_not_taken_is_replaced_once(bed: ServedBed) -> None:
    bed.dialect.rotates = True
    bed.put(ANNA, "old")
    sink = bed.sink(fresh=False)
    assert isinstance(sink.apply([Change("c1", "s", ANNA, ("new",))])[0], Done)
    bed.dialect.access.clear()
    assert isinstance(sink.apply([Change("c2", "s", ANNA, (), ("new",))])[0], Done)
    assert bed.dialect.issued == 2
    bed.server.fail("bad_key", times=10, path="/v3/")
    (stopped,) = sink.apply([Change("c3", "s", ANNA, ("new",))])
    assert trouble(stopped) == (Reason.BAD_CREDENTIALS, Fate.FATAL)


def test_constantcontact_a_refresh_token_that_is_spent_stops_the_account(bed: ServedBed) -> None:
    bed.dialect.good_once.clear()
    found: Any = asked(bed, add=("new",))
    assert trouble(found) == (Reason.BAD_CREDENTIALS, Fate.FATAL)
    assert "authorise anew" in found.answer


def test_constantcontact_a_429_of_the_day_waits_for_midnight(bed: ServedBed, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no header: its word alone tells the day's quota from the second's."""
    monkeypatch.setattr("tests.sinks.beds.now_ms", lambda: 20 * 3_600_000)
    waits = []
    for word in ("throttled", "quota_exceeded"):
        bed.dialect.exhausted = word
        bed.server.fail("throttle", path="/v3/")
        found: Any = asked(bed, add=("new",))
        assert trouble(found) == (Reason.THROTTLED, Fate.AWAY)
        waits.append(found.wait_s)
    assert waits == [1.0, 4 * 3_600.0]
    assert SINKS["constantcontact"].quotas == {"all": [(4, 1_000), (10_000, 86_400_000)]}


def test_constantcontact_members_and_lists_are_read_to_the_last_page(bed: ServedBed) -> None:
    """By the question in the link to the next page, whatever its host."""
    people = {f"p{number}@example.org" for number in range(90)}
    for each in people:
        bed.put(each, "news")
    for number in range(50):
        bed.world.made_list(f"list {number}")
    bed.dialect.page = 20
    assert {each.address for each in bed.sink().members("news")} == people
    assert isinstance(asked(bed, add=("list 49",)), Done)
    assert (len(bed.world.lists), bed.members("list 49")) == (51, {ANNA})


def test_constantcontact_an_address_that_is_too_long_spoils_nobody_elses(bed: ServedBed) -> None:
    long = f"{'a' * 60}@{'b' * 20}.example.org"
    changes = [Change("c1", "s_1", long, ("new",)), Change("c2", "s_2", BEN, ("new",))]
    first, second = bed.sink().apply(changes)
    assert trouble(first) == (Reason.BAD_ADDRESS, Fate.LASTING)
    assert isinstance(second, Done)


def test_constantcontact_fifty_moves_are_two_activities(bed: ServedBed) -> None:
    people = [f"p{number}@example.org" for number in range(50)]
    for each in people:
        bed.put(each, "old")
    bed.world.made_list("new")
    bed.sink().apply([Change(each, each, each, ("new",), ("old",)) for each in people])
    kinds = [call.path.rsplit("/", 1)[1] for call in bed.writes()]
    assert kinds == ["add_list_memberships", "remove_list_memberships"]
    assert (bed.members("new"), bed.members("old")) == (set(people), set())


@pytest.mark.parametrize(
    ("denied", "missing"),
    [
        ("GET /v3/contacts", "reading contacts"),
        ("GET /v3/contact_lists", "reading lists"),
        ("GET /v3/contact_tags", "reading tags"),
        ("GET /v3/contact_custom_fields", "reading custom fields"),
        ("POST /v3/contacts", "making contacts"),
        ("POST /v3/contact_lists", "making lists"),
        ("POST /v3/activities/add_list_memberships", "putting into lists"),
        ("POST /v3/activities/remove_list_memberships", "taking out of lists"),
    ],
)
def test_constantcontact_a_check_tries_each_right_and_changes_nothing(
    bed: ServedBed, denied: str, missing: str
) -> None:
    assert missing_rights(bed, denied) == {missing}
