"""A back-test asked of a real ClickHouse: the same arrivals as were written, so the same answer as was emitted."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from analytics.clickhouse import ClickHouse
from analytics.recorded import Asked, Range, arrivals, capped, ranges, reach, unheard
from contracts.events import Event
from contracts.rows import EventRow
from flows.backtest.replay import replay
from flows.backtest.subject import Subject, together
from flows.language.parse import parse_listeners
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms
from tests.analytics.story import at, put
from tests.properties.past import WORKSPACE, emitted, installation, live, put_into, recorded
from tests.properties.test_backtest_equals_live import subjects

TERMS = Terms(600_000, 1_800_000, 86_400_000, 2_000)


def subject(text: str) -> Subject:
    known = {"email_clicked", "page_viewed", "product_added", "product_bought"}
    (listener,) = parse_listeners([("l.yaml", f"listener: l\n{text}".encode())], known_actions=known)
    return Subject("demo", [Deployed(listener)], TERMS)


@pytest.mark.parametrize("seed", range(6))
def test_equal_to_live(history: ClickHouse, seed: int, tmp_path: Path) -> None:
    made = installation(Random(1_000 + seed))
    written = live(made, tmp_path / "states")
    put_into(history, written)
    for name, tested in subjects(made).items():
        asked = Asked(WORKSPACE, made.until_ms, *together([tested]))
        found = {}
        for people in ranges(history, asked, 5):
            marks = capped(history, WORKSPACE, name, people)
            for own in arrivals(history, asked, people):
                person = own[0].event.subscriber
                found[person] = replay(tested, own, made.until_ms, capped=marks.get(person, ()))
        for who in ("s_one", "s_two", "a_nobody"):
            told = (found[who].rows, found[who].commands) if who in found else ([], [])
            assert told == emitted(written, name, who), (seed, name, who)
    # What the stand-in of the other property keeps is what the real one keeps.
    everything = Asked(WORKSPACE, made.until_ms, None, None, None)
    kept = list(arrivals(history, everything, Range("", None)))
    assert {each.event.event_id for own in kept for each in own} == {
        row.value.event.event_id for row in recorded(written)
    }


def rows(*events: tuple[str, str, int, dict[str, str]]) -> list[EventRow]:
    return [
        EventRow(
            Event("demo", who, f"{who}{number}", action, at(0, ms), properties=given, log_time_ms=at(0, ms)),
            watermark_ms=at(0, ms),
        )
        for number, (who, action, ms, given) in enumerate(events)
    ]


def test_only_who_can_start_and_only_what_is_heard(history: ClickHouse) -> None:
    put(
        history,
        rows(
            ("ann", "email_clicked", 0, {"campaign": "spring"}),
            ("ann", "page_viewed", 1, {"path": "/a"}),
            ("ann", "product_bought", 2, {}),
            ("ben", "email_clicked", 0, {"campaign": "autumn"}),
            ("ben", "page_viewed", 1, {}),
            ("cleo", "page_viewed", 0, {}),
        ),
    )
    tested = subject("sequence: [{action: email_clicked, where: {campaign: spring}}, {action: page_viewed}]\n")
    asked = Asked("demo", at(1), *together([tested]))
    (people,) = ranges(history, asked, 1_000)
    assert [[each.event.event_id for each in own] for own in arrivals(history, asked, people)] == [["ann0", "ann1"]]
    # Time passes with what is not heard, where a deadline waits; what stands in it does not matter.
    waits = subject("sequence: [{action: email_clicked, where: {campaign: spring}}, {not: page_viewed, for: 1s}]\n")
    asked = Asked("demo", at(1), *together([waits]))
    (own,) = arrivals(history, asked, ranges(history, asked, 1_000)[0])
    assert [(each.event.action, each.event.properties) for each in own] == [
        ("email_clicked", {"campaign": "spring"}),
        ("page_viewed", {"path": "/a"}),
        ("product_bought", {}),
    ]
    assert unheard(history, asked._replace(heard=frozenset({"email_clicked", "form_submitted"}))) == ["form_submitted"]
    earlier = Asked("demo", at(0) - 1, *together([waits]))
    assert ranges(history, earlier, 1_000) == []


@pytest.mark.parametrize(
    ("where", "people"),
    [
        ("{campaign: [spring, autumn]}", ["ann", "ben"]),
        ('{campaign: "s*"}', ["ann", "dora"]),
        ('{campaign: "*g"}', ["ann", "ben", "cleo", "dora"]),
        ("{campaign: {equals: spring}, kind: mail}", ["ann"]),
        ("{kind: [mail, 'p%']}", ["ann", "cleo"]),
        ("{kind: 'p%'}", ["cleo"]),
        ("{number: [1, mail]}", ["ann", "ben", "cleo", "dora"]),
    ],
)
def test_what_a_step_asks_of_texts_is_asked_of_the_history(history: ClickHouse, where: str, people: list[str]) -> None:
    given = {
        "ann": {"campaign": "spring", "kind": "mail"},
        "ben": {"campaign": "autumn"},
        "cleo": {"kind": "p%"},
        "dora": {"campaign": "summer", "kind": "page"},
    }
    put(history, rows(*((who, "email_clicked", number, said) for number, (who, said) in enumerate(given.items()))))
    tested = subject(f"sequence: [{{action: email_clicked, where: {where}}}]\n")
    nested = subject(
        f"sequence: [{{any_of: [{{action: product_bought}}, {{action: email_clicked}}], where: {where}}}]\n"
    )
    for each in (tested, nested):
        asked = Asked("demo", at(1), *together([each]))
        found = [own for part in ranges(history, asked, 1_000) for own in arrivals(history, asked, part)]
        assert [own[0].event.subscriber for own in found] == people


def test_ranges_part_the_people_and_leave_nobody_out(history: ClickHouse) -> None:
    put(history, rows(*((f"s{number:03}", "page_viewed", number, {}) for number in range(100))))
    asked = Asked("demo", at(1), *together([subject("sequence: [{action: page_viewed}]\n")]))
    parts = ranges(history, asked, 7)
    assert len(parts) == 15
    assert all(one.end == other.first for one, other in pairwise(parts))
    people = [own[0].event.subscriber for part in parts for own in arrivals(history, asked, part)]
    assert people == [f"s{number:03}" for number in range(100)]


def test_days_without_any_event_are_gaps(history: ClickHouse) -> None:
    assert reach(history, "demo").events == 0
    put(history, [EventRow(Event("demo", "ann", f"e{day}", "page_viewed", at(day))) for day in (0, 1, 4)])
    assert [str(day) for day in reach(history, "demo").gaps] == ["2026-10-26", "2026-10-27"]
