"""The traps of HubSpot, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

import pytest

from contracts.reasons import Reason
from sinks.base import Change, Fate, Trouble
from tests.sinks.beds import ServedBed
from tests.sinks.simulator.server import Answer, Fault
from tests.sinks.trapped import ANNA, BEN, asked, bed, fate, on

__all__ = ["bed"]
pytestmark = pytest.mark.slow


@on("hubspot")
def test_hubspot_a_200_with_the_record_missing_did_nothing(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.put(BEN, "new")
    told = {"recordsIdsAdded": [], "recordIdsRemoved": [], "recordIdsMissing": [bed.world.person(ANNA).id]}
    bed.server.faults = [Fault("", path="/memberships/add", answer=Answer(200, told))]
    assert fate(asked(bed, add=("new",))) is Fate.PASSING


@on("hubspot")
def test_hubspot_a_lock_is_waited_for(bed: ServedBed) -> None:
    bed.put(BEN, "new")
    bed.server.faults = [Fault("", path="/memberships/add", answer=Answer(423, {"category": "LOCKED"}))]
    assert fate(asked(bed, add=("new",))) is Fate.AWAY


@on("hubspot")
def test_hubspot_an_invalid_address_refuses_its_whole_hundred_and_is_found(bed: ServedBed) -> None:
    bed.world.bad.add("bad@example.org")
    people = [*(f"p{n}@example.org" for n in range(40)), "bad@example.org", *(f"q{n}@example.org" for n in range(30))]
    answers = bed.sink().apply([Change(each, f"s_{each}", each, ("new",)) for each in people])
    assert [people[n] for n, each in enumerate(answers) if isinstance(each, Trouble)] == ["bad@example.org"]


@on("hubspot")
def test_hubspot_who_opted_out_is_added_nowhere(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.leave(ANNA, "old")
    answer = asked(bed, add=("new",))
    assert isinstance(answer, Trouble)
    assert answer.reason is Reason.UNSUBSCRIBED
