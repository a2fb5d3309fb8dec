"""The traps of listmonk, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

import pytest

from contracts.reasons import Reason
from sinks.base import Done, Trouble
from tests.sinks.beds import ServedBed
from tests.sinks.trapped import ANNA, asked, bed, on

__all__ = ["bed"]
pytestmark = pytest.mark.slow


@on("listmonk")
def test_listmonk_taking_out_is_remove_and_never_unsubscribe(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    asked(bed, remove=("old",))
    assert [call.body["action"] for call in bed.writes("/subscribers/lists")] == ["remove"]


@on("listmonk")
def test_listmonk_add_would_confirm_who_unsubscribed_so_they_are_left_alone(bed: ServedBed) -> None:
    bed.put(ANNA, "news")
    bed.leave(ANNA, "news")
    answer = asked(bed, add=("news",))
    assert isinstance(answer, Trouble)
    assert answer.reason is Reason.UNSUBSCRIBED


@on("listmonk")
def test_listmonk_who_is_on_the_blocklist_is_added_nowhere(bed: ServedBed) -> None:
    bed.world.enrol(ANNA).standing = "left"
    answer = asked(bed, add=("new",))
    assert isinstance(answer, Trouble)
    assert answer.reason is Reason.BLOCKED


@on("listmonk")
def test_listmonk_writing_a_token_keeps_lists_and_attributes(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.world.person(ANNA).fields["city"] = "Bern"
    assert isinstance(asked(bed, fields=(("segma_token", "t1"),)), Done)
    assert bed.members("old") == {ANNA}
    assert bed.world.person(ANNA).fields == {"city": "Bern", "segma_token": "t1"}


@on("listmonk")
def test_listmonk_an_address_with_a_quote_is_a_text_and_no_query(bed: ServedBed) -> None:
    bed.put("o'hara@example.org", "old")
    assert isinstance(asked(bed, address="o'hara@example.org", add=("new",), remove=("old",)), Done)
    sly = "x') OR ('1'='1@example.org"
    assert isinstance(asked(bed, address=sly, add=("new",), remove=("old",)), Done)
    assert bed.members("new") == {"o'hara@example.org", sly.lower()}
