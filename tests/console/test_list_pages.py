"""The page of lists: who was in one at an instant, and who came and left since."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from analytics.clickhouse import HistoryUnavailable
from analytics.named_queries import named_queries
from console.history import AWAY, MOST_ROWS
from console.list_pages import instant_of
from tests.console.test_workspace_pages import EVIL, NOW, answer
from tests.console.visitor import Stage, signed_in

PAGE = "/w/demo/lists"
AS_OF = f"{PAGE}?part=as_of&list=warm&at=2026-01-02T03:04"
NOW_MS = int(datetime(2026, 11, 30, tzinfo=UTC).timestamp() * 1_000)


def members(stage: Stage, count: int, *people: str) -> None:
    """The history's answer to what is asked of members."""
    names = ["subscriber", "account", "since", "count"]
    stage.answers.tables["count() OVER () AS count"] = (
        names, [(person, "mailbox", NOW, count) for person in people],
    )  # fmt: skip


def test_who_was_in_a_list_then_and_who_came_and_left_since(stage: Stage) -> None:
    members(stage, 2, "s_was_there_then_1", "s_was_there_then_2")
    change = (NOW, "warm", "mailbox", "s_left_it_since_1", 0, "walked", 3)
    answer(stage, "SELECT command_id, listener", "list_changes", change)
    visitor = signed_in(stage.app())
    page = visitor.get(f"{PAGE}?list=warm&at=2026-01-02T03:04").text
    assert 'data-part="/w/demo/lists?part=as_of&amp;list=warm&amp;at=2026-01-02T03%3A04"' in page
    assert 'data-part="/w/demo/lists?part=all"' in page
    text = visitor.get(AS_OF).text
    for said in (
        "warm, as of 2026-01-02 03:04:00 UTC",
        "People in it then: 2.",
        "/people/s_was_there_then_2",
        "walked@3",
    ):
        assert said in text
    when = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    asked = [params for _, params in stage.answers.asked]
    assert [params.get("at", params.get("since")) for params in asked] == [when] * 2
    assert {params["list"] for params in asked} == {"warm"}


def test_a_viewer_sees_ids_in_part_alone(stage: Stage) -> None:
    members(stage, 1, "s_was_there_then_1")
    text = signed_in(stage.app(), "vera").get(AS_OF).text
    assert "s_was_ther…" in text
    assert "s_was_there_then_1" not in text


def test_a_large_list_is_counted_and_cut(stage: Stage) -> None:
    members(stage, 1_000_000, *(f"s{number}" for number in range(MOST_ROWS + 1)))
    text = signed_in(stage.app()).get(AS_OF).text
    assert "People in it then: 1000000." in text
    assert text.count("/people/") == MOST_ROWS
    assert "There is more than is shown." in text


@pytest.mark.parametrize(
    "query",
    [
        "list=warm", "at=2026-01-02", "list=&at=2026-01-02", "list=warm&at=soon", "list=warm&at=2999-01-01",
        "list=warm&at=1969-12-31T23:59", "list=warm&at=0001-01-01T00:00%2B14:00", "list=warm&at=9999-12-31T23:59-14:00",
        "list=warm&at=-99999d", f"list={'x' * 501}&at=2026-01-02",
    ],
)  # fmt: skip
def test_what_is_no_list_or_no_instant_that_has_passed_is_said(stage: Stage, query: str) -> None:
    visitor = signed_in(stage.app(clock=lambda: NOW_MS))
    for part in ("", "&part=as_of"):
        answered = visitor.get(f"{PAGE}?{query}{part}")
        assert (answered.status_code, "an instant that has passed" in answered.text) == (400, True)
    assert stage.answers.asked == []


@pytest.mark.parametrize("text", ["2026-01-02", "2026-01-02T03:04", "2026-01-02T03:04:05+02:00", "-7d", "now"])
def test_instants_are_those_of_the_queries(text: str) -> None:
    assert instant_of(text, NOW_MS) is not None


def test_the_history_away_is_a_sentence(stage: Stage) -> None:
    stage.answers.error = HistoryUnavailable("away")
    text = signed_in(stage.app()).get(AS_OF).text
    assert AWAY in text
    assert "People in it then" not in text


def test_nothing_of_a_list_is_markup(stage: Stage) -> None:
    members(stage, 1, EVIL)
    change = (NOW, EVIL, EVIL, EVIL, 1, EVIL, 1)
    answer(stage, "SELECT command_id, listener", "list_changes", change)
    answer(stage, "CROSS JOIN changes", "sizes", (NOW.date(), EVIL, 3))
    visitor = signed_in(stage.app())
    evil = "%3Cscript%3Ealert(1)%3C/script%3E%22'%26"
    for path in (
        f"{PAGE}?list={evil}&at=-7d",
        f"{PAGE}?list={evil}&at={evil}",
        f"{PAGE}?part=as_of&list={evil}&at=-7d",
        f"{PAGE}?part=all",
    ):
        assert "<script>alert" not in visitor.get(path).text


def test_the_count_is_that_of_the_named_query() -> None:
    assert {each.name for each in named_queries()["members"].parameters} == {"list", "account", "at"}
