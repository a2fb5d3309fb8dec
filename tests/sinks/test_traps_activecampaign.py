"""The traps of ActiveCampaign, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

import pytest

from contracts.reasons import Reason
from sinks.base import Done, Fate, Trouble
from tests.sinks.beds import ServedBed
from tests.sinks.simulator.server import Answer, Fault
from tests.sinks.trapped import ANNA, asked, bed, fate, on

__all__ = ["bed"]
pytestmark = pytest.mark.slow


@on("activecampaign")
def test_activecampaign_a_login_page_is_a_wrong_key(bed: ServedBed) -> None:
    bed.server.fail("bad_key")
    answer = asked(bed, add=("new",))
    assert isinstance(answer, Trouble)
    assert (answer.reason, answer.fate) == (Reason.BAD_CREDENTIALS, Fate.FATAL)


@on("activecampaign")
def test_activecampaign_a_400_that_means_slow_down_is_waited_for(bed: ServedBed) -> None:
    bed.server.faults = [Fault("", writes=True, answer=Answer(400, {"message": "Rate limit exceeded"}))]
    assert fate(asked(bed, add=("new",))) is Fate.AWAY


@on("activecampaign")
def test_activecampaign_lists_are_tags_unless_the_account_says_otherwise(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    assert isinstance(asked(bed, add=("new",), remove=("old",)), Done)
    assert bed.writes("contactLists") == []
    assert bed.members("new") == {ANNA}


@on("activecampaign-lists")
def test_activecampaign_status_1_is_never_written_for_who_unsubscribed(bed: ServedBed) -> None:
    bed.put(ANNA, "news")
    bed.leave(ANNA, "news")
    asked(bed, add=("news",))
    assert bed.writes("contactLists") == []


@on("activecampaign-lists")
def test_activecampaign_whom_segma_took_out_may_come_back(bed: ServedBed) -> None:
    bed.put(ANNA, "news")
    assert isinstance(asked(bed, remove=("news",)), Done)
    assert fate(asked(bed, add=("news",))) is Fate.LASTING
    assert isinstance(asked(bed, add=("news",), taken_out=("news",)), Done)
    assert bed.members("news") == {ANNA}


@on("activecampaign")
def test_activecampaign_a_tag_is_taken_away_by_the_id_of_its_setting(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    assert asked(bed, remove=("old",))[:2] == (("-old",), "changed")
    assert bed.members("old") == set()
