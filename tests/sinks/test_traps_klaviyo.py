"""The traps of Klaviyo, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.reasons import Reason
from sinks.base import Change, Done, Fate, Trouble
from tests.sinks.beds import ServedBed
from tests.sinks.simulator.server import Answer, Fault
from tests.sinks.trapped import ANNA, asked, bed, fate, on

__all__ = ["bed"]
pytestmark = pytest.mark.slow


@on("klaviyo")
def test_klaviyo_only_the_neutral_calls_change_lists(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    assert isinstance(asked(bed, add=("new",), remove=("old",)), Done)
    changing = {
        (call.method, call.path.rpartition("/api/lists/")[2].partition("/")[2]) for call in bed.writes("/lists/")
    }
    assert changing == {("POST", "relationships/profiles"), ("DELETE", "relationships/profiles")}
    assert bed.world.person(ANNA).standing == "active"


@on("klaviyo")
@pytest.mark.parametrize("status", [410, 415])
def test_klaviyo_a_retired_revision_stops_the_account(bed: ServedBed, status: int) -> None:
    bed.server.faults = [Fault("", answer=Answer(status, {"errors": []}))]
    assert fate(asked(bed, add=("new",))) is Fate.FATAL


@on("klaviyo")
def test_klaviyo_a_duplicate_profile_names_the_id_to_use(bed: ServedBed) -> None:
    person = bed.world.enrol(ANNA)
    error = {"status": 409, "code": "duplicate_profile", "meta": {"duplicate_profile_id": person.id}}
    bed.server.faults = [Fault("", path="POST /api/profile-import", answer=Answer(409, {"errors": [error]}))]
    sink: Any = bed.sink()
    assert sink._platform.enrol([Change("c", "s", ANNA)]) == [person.id]


@on("klaviyo")
def test_klaviyo_the_link_to_the_next_page_is_not_followed_but_its_cursor_is(bed: ServedBed) -> None:
    for number in range(120):
        bed.put(f"p{number}@example.org", "old")
    assert len(list(bed.sink().members("old"))) == 120


@on("klaviyo")
@pytest.mark.parametrize(
    ("reason", "wanted"), [("USER_SUPPRESSED", Reason.BLOCKED), ("SPAM_COMPLAINT", Reason.COMPLAINED)]
)
def test_klaviyo_a_suppression_by_the_person_is_a_leaving(bed: ServedBed, reason: str, wanted: Reason) -> None:
    email = {"marketing": {"consent": "SUBSCRIBED", "suppression": [{"reason": reason}]}}
    attributes = {"email": ANNA, "properties": {}, "subscriptions": {"email": email}}
    found = Answer(200, {"data": [{"type": "profile", "id": "p1", "attributes": attributes}], "links": {}})
    bed.server.faults = [Fault("", path="GET /api/profiles", answer=found)]
    answer = asked(bed, add=("new",))
    assert isinstance(answer, Trouble)
    assert answer.reason is wanted


@on("klaviyo")
def test_klaviyo_adding_to_a_list_clears_no_unsubscription(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.leave(ANNA, "old")
    asked(bed, add=("new",))
    assert bed.writes("profile-subscription", "profile-suppression", "relationships") == []
