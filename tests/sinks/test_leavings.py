"""Leavings and joinings in the order of their times, whatever the order in which they are told (8.1, 5 and 6)."""

from __future__ import annotations

import itertools

import pytest

from contracts.accounts import Fact, Veto
from contracts.codec import to_json
from contracts.log import Record
from contracts.reasons import Reason
from contracts.topics import VETOES, fact_key, veto_key
from sinks.base import Leaving
from sinks.delivery.leavings import Leavings, Standing

LEFT = Veto("w", "mail", "s_anna", "news", 10, "email_unsubscribed")
JOINED = Veto("w", "mail", "s_anna", "news", 20, fact=Fact.JOINED)
NEWS = Standing(Leaving("news", Reason.UNSUBSCRIBED))


def stands(*vetoes: Veto, lists: tuple[str, ...] = ("news",)) -> list[Standing]:
    leavings = Leavings()
    for each in vetoes:
        leavings.take(Record(VETOES, 0, 0, 0, fact_key(each), to_json(each)))
    return list(leavings.standing("s_anna", lists))


def at(veto: Veto, at_ms: int, **more: object) -> Veto:
    return Veto(**{**{name: getattr(veto, name) for name in veto.__struct_fields__}, "at_ms": at_ms, **more})


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ((LEFT, JOINED), []),
        ((LEFT, JOINED, at(LEFT, 30)), [NEWS]),
        ((LEFT, at(JOINED, 5)), [NEWS]),
        ((LEFT, at(JOINED, 10)), [NEWS]),
        ((LEFT, at(JOINED, 20, list_name="hot")), [NEWS]),
        ((at(LEFT, 10, reason="email_complained"), at(JOINED, 5)), [Standing(Leaving("", Reason.COMPLAINED))]),
        ((LEFT, at(JOINED, 20, timed=False)), [Standing(Leaving("news", Reason.UNSUBSCRIBED), "news")]),
        ((at(LEFT, 10, list_name=""), at(JOINED, 20, list_name="hot")), []),
        ((at(LEFT, 10, list_name=""), LEFT, at(JOINED, 20, list_name="hot")), [NEWS]),
    ],
)
def test_the_newest_counts_in_whatever_order_they_are_told(facts: tuple[Veto, ...], found: list[Standing]) -> None:
    for order in itertools.permutations(facts):
        assert stands(*order, *order[:1]) == found


def test_of_lists_without_a_name_joining_one_lifts_that_one_alone() -> None:
    seven, eight = (at(LEFT, 10, list_name="", list_id=number) for number in ("7", "8"))
    joined = at(JOINED, 20, list_name="", list_id="7")
    assert stands(seven, joined, lists=("hot",)) == []
    assert stands(seven, eight, joined, lists=("hot",)) == [Standing(Leaving("", Reason.UNSUBSCRIBED))]


def test_a_record_of_a_former_release_is_lifted_by_one_without_a_value() -> None:
    leavings = Leavings()
    key = veto_key("w", "mail", "s_anna", "news")
    leavings.take(Record(VETOES, 0, 0, 0, key, to_json(LEFT)))
    assert list(leavings.standing("s_anna", ("news",))) == [NEWS]
    leavings.take(Record(VETOES, 0, 1, 0, key, None))
    assert list(leavings.standing("s_anna", ("news",))) == []
