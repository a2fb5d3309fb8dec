"""The traps of Mautic, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.reasons import Reason
from sinks.base import Change, Done, Fate, Standing
from tests.sinks.beds import ServedBed
from tests.sinks.simulator.server import Answer, Fault
from tests.sinks.simulator.world import LEFT, UNDELIVERABLE
from tests.sinks.trapped import ANNA, BEN, asked, bed_fixture, missing_rights, trouble

pytestmark = pytest.mark.slow


bed = bed_fixture("mautic")


@pytest.mark.parametrize(
    ("standing", "wanted"),
    [(LEFT, Reason.UNSUBSCRIBED), ("by_hand", Reason.BLOCKED), (UNDELIVERABLE, Reason.UNDELIVERABLE)],
)
def test_mautic_who_is_not_to_be_contacted_is_added_nowhere(bed: ServedBed, standing: str, wanted: Reason) -> None:
    bed.put(ANNA, "old")
    bed.world.person(ANNA).standing = standing
    assert trouble(asked(bed, add=("new",))) == (wanted, Fate.LASTING)
    assert bed.writes() == []


def test_mautic_another_channel_is_no_leaving(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    told = bed.dialect._contact(bed.world.person(ANNA))
    entry = {"id": 1, "reason": 1, "comments": "", "channel": "sms", "channelId": None}
    found = {"total": "1", "contacts": {"1": {**told, "doNotContact": [entry]}}}
    bed.server.faults = [Fault("", path="GET /api/contacts", answer=Answer(200, found))]
    assert isinstance(asked(bed, add=("new",)), Done)


@pytest.mark.parametrize("details", [[], {}, {"7": {"success": True}}])
def test_mautic_a_success_of_nobody_is_none(bed: ServedBed, details: Any) -> None:
    """``success`` is true whatever became of each contact."""
    bed.put(ANNA, "old")
    bed.put(BEN, "new")
    answer = Answer(200, {"success": 1, "details": details})
    bed.server.faults = [Fault("", path="/contacts/add", answer=answer)]
    assert trouble(asked(bed, add=("new",), remove=("old",))) == (Reason.REFUSED_BY_PLATFORM, Fate.PASSING)
    assert bed.members("old") == {ANNA}, "nobody is in no list on the way"


@pytest.mark.parametrize("way", ["add", "remove"])
def test_mautic_a_segment_of_another_user_stops_no_account(bed: ServedBed, way: str) -> None:
    bed.put(ANNA, "theirs")
    bed.put(BEN, "theirs")
    bed.dialect.foreign = {bed.world.list_named("theirs").id}
    address = "cleo@example.org" if way == "add" else ANNA
    assert trouble(asked(bed, address=address, **{way: ("theirs",)})) == (Reason.LIST_REFUSED, Fate.LASTING)


@pytest.mark.parametrize("address", ["*@example.org", "an%@example.org", '"a"@example.org', "a|b@example.org"])
def test_mautic_a_pattern_is_nobodys_address(bed: ServedBed, address: str) -> None:
    bed.put(ANNA, "old")
    assert trouble(asked(bed, address=address, remove=("old",))) == (Reason.BAD_ADDRESS, Fate.LASTING)
    assert [call.path for call in bed.server.calls if call.path == "/api/contacts"] == []


def test_mautic_who_was_made_meanwhile_is_looked_at_again(bed: ServedBed) -> None:
    bed.world.enrol(ANNA).standing = LEFT
    sink: Any = bed.sink()
    (found,) = sink._platform.enrol([Change("c", "s", ANNA, ("new",))])
    assert trouble(found) == (Reason.REFUSED_BY_PLATFORM, Fate.PASSING)


def test_mautic_a_merge_that_gives_a_contact_another_id_is_no_erasure(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    before = bed.world.person(ANNA).id
    bed.world.vanish_person(ANNA)
    bed.put(ANNA, "old")
    assert bed.world.person(ANNA).id != before
    assert isinstance(asked(bed, add=("new",), remove=("old",), met=True, platform_id=before), Done)


def test_mautic_a_field_that_is_not_there_is_told(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.dialect.fields.remove("segma_token")
    assert trouble(asked(bed, fields=(("segma_token", "t1"),))) == (Reason.LIST_REFUSED, Fate.LASTING)


def test_mautic_no_call_writes_a_consent_and_fields_go_by_patch(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.world.person(ANNA).tags = {"cold"}
    asked(bed, add=("new",), remove=("old",), tag=("warm",), fields=(("segma_token", "t"),))
    assert bed.world.person(ANNA).tags == {"cold", "warm"}
    assert {call.method for call in bed.writes()} == {"POST", "PATCH"}
    assert bed.world.wrongs == []


def test_mautic_members_are_read_to_the_last_page_with_their_standing(bed: ServedBed) -> None:
    for number in range(201):
        bed.put(f"p{number}@example.org", "news")
    bed.leave("p200@example.org", "news")
    found = {each.address: each.standing for each in bed.sink().members("news")}
    assert (len(found), found["p200@example.org"]) == (201, Standing.LEFT)


@pytest.mark.parametrize(
    ("denied", "missing"),
    [
        ("GET /api/contacts", "reading contacts"),
        ("GET /api/segments", "reading segments"),
        ("POST /api/contacts/new", "changing contacts"),
        ("POST /api/segments/new", "making segments"),
    ],
)
def test_mautic_a_check_tries_each_right_and_changes_nothing(bed: ServedBed, denied: str, missing: str) -> None:
    assert missing_rights(bed, denied) == {missing}
