"""The traps of Mailchimp, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.reasons import Reason
from sinks.base import Change, Done, Fate, Trouble
from tests.sinks.beds import ServedBed
from tests.sinks.simulator.server import Answer, Fault
from tests.sinks.trapped import ANNA, BEN, asked, bed, fate, on

__all__ = ["bed"]
pytestmark = pytest.mark.slow


@on("mailchimp")
def test_mailchimp_403_without_json_is_too_many_at_once_and_with_json_a_wrong_key(bed: ServedBed) -> None:
    bed.server.faults = [Fault("", answer=Answer(403, b"<html>slow down</html>", media="text/html"))]
    assert fate(asked(bed, add=("new",))) is Fate.AWAY
    bed.server.faults = [Fault("", answer=Answer(403, {"title": "Forbidden", "status": 403}))]
    assert fate(asked(bed, add=("new",))) is Fate.FATAL


@on("mailchimp")
def test_mailchimp_bringing_people_in_writes_no_status_of_who_is_there(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.leave(ANNA, "old")
    sink: Any = bed.sink()
    (found,) = sink._platform.enrol([Change("c", "s", ANNA, ("new",))])
    assert fate(found) is Fate.PASSING
    assert bed.world.wrongs == []


@on("mailchimp")
def test_mailchimp_compliance_state_and_a_forgotten_address_each_have_a_reason_of_their_own(bed: ServedBed) -> None:
    bed.dialect.compliance.add(ANNA)
    bed.dialect.forgotten.add(BEN)
    left, forgotten = asked(bed, add=("new",)), asked(bed, add=("new",), address=BEN)
    assert isinstance(left, Trouble)
    assert isinstance(forgotten, Trouble)
    assert (left.reason, left.fate) == (Reason.COMPLIANCE, Fate.LASTING)
    assert (forgotten.reason, forgotten.fate) == (Reason.FORGOTTEN, Fate.LASTING)


@on("mailchimp")
def test_mailchimp_has_at_most_ten_connections(bed: ServedBed) -> None:
    bed.server.latency_s = 0.1
    sink = bed.sink(connections=50)
    sink.apply([Change(f"c{n}", f"s_{n}", f"p{n}@example.org", ("new",)) for n in range(40)])
    assert bed.server.most_at_once <= 10


@on("mailchimp")
def test_mailchimp_a_200_that_ignored_a_stranger_is_no_success(bed: ServedBed) -> None:
    error = {"email_addresses": [ANNA], "error": "not in the audience"}
    bed.put(ANNA, "old")
    told = {"members_added": [], "members_removed": [], "errors": [error]}
    bed.server.faults = [Fault("", path="POST /3.0/lists/aud1/segments/", answer=Answer(200, told))]
    bed.put(BEN, "new")
    assert fate(asked(bed, add=("new",))) is Fate.PASSING


@on("mailchimp")
def test_mailchimp_taking_out_neither_archives_nor_deletes(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    assert isinstance(asked(bed, remove=("old",)), Done)
    assert bed.world.person(ANNA) is not None
    assert {call.method for call in bed.writes()} == {"POST"}


@on("mailchimp")
def test_mailchimp_who_was_archived_is_not_put_back(bed: ServedBed) -> None:
    bed.world.enrol(ANNA).standing = "archived"
    answer = asked(bed, add=("new",))
    assert isinstance(answer, Trouble)
    assert answer.reason is Reason.ARCHIVED
