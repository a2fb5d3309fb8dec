"""Every named query against answers worked out by hand from ``story.py``."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from analytics.clickhouse import ClickHouse
from analytics.named_queries import named_queries
from contracts.commands import Outcome
from contracts.errors import ConfigError
from contracts.events import Event
from contracts.rows import Act, AuditRow, DeadLetter, EventRow, SessionRow
from tests.analytics.story import ask, at, baseline, put, runs, the_runs, the_story, the_trial, when

COVERED = {
    "members",
    "why",
    "attempts",
    "timeline",
    "funnel",
    "daily",
    "overlap",
    "sizes",
    "conversion",
    "latency",
    "campaigns",
    "letters",
    "tokens",
    "waiting",
    "waiting_over_time",
    "lift",
    "listener_days",
    "person_lists",
    "list_changes",
    "account_health",
    "audit",
    "seen_values",
    "site_events",
    "refusals",
}


def test_every_named_query_has_a_worked_answer_here() -> None:
    assert set(named_queries()) == COVERED


def test_members_now_and_at_an_instant(story: ClickHouse) -> None:
    assert ask(story, "members", list="hot") == [
        ("ann", "mailbox", when(at(0, 10_200)), None),
        ("ben", "mailbox", when(at(1, 30_400)), None),
    ]
    assert ask(story, "members", list="newsletter") == [("cleo", "mailbox", when(at(-1)), None)]
    # One millisecond before Ann's platform answered, and at that very instant.
    before, then = when(at(0, 10_199)).isoformat(), when(at(0, 10_200)).isoformat()
    assert [row[0] for row in ask(story, "members", list="newsletter", at=before)] == ["ann", "ben", "cleo"]
    assert [row[0] for row in ask(story, "members", list="newsletter", at=then)] == ["ben", "cleo"]
    assert ask(story, "members", list="newsletter", at=before)[0][3] == when(at(0, 10_200))
    assert ask(story, "members", list="newsletter", account="other") == []
    assert ask(story, "members", list="newsletter", at=when(at(-1) - 1).isoformat()) == []


def test_why_says_evidence_and_answer(story: ClickHouse) -> None:
    (row,) = ask(story, "why", person="ann", list="hot")
    evidence = [
        ("step1", "email_clicked", when(at(0)), "ann1"),
        ("step2", "page_viewed", when(at(0, 10_000)), "ann2"),
    ]
    assert row == (
        *("mailbox", when(at(0, 10_200)), None, "move", "keen", 2, "m-ann", when(at(0, 10_000)), "newsletter", ""),
        *(evidence, "applied", "200 moved", when(at(0, 10_200)), "c-ann"),
    )
    (imported,) = ask(story, "why", person="cleo", list="newsletter")
    assert imported[3] == "import"
    assert ask(story, "why", person="cleo", list="hot") == []


def test_attempts_says_every_move_about_a_list(story: ClickHouse) -> None:
    (row,) = ask(story, "attempts", person="ben", list="newsletter")
    assert row[:8] == (when(at(1, 30_000)), "keen", 2, "move", "newsletter", "hot", "", "applied")


def test_timeline_is_everything_in_order(story: ClickHouse) -> None:
    assert ask(story, "timeline", person="ann") == [
        (when(at(-1)), "import", "in newsletter", ""),
        (when(at(0)), "session", "2 events in 10 s from spring", "s-ann"),
        (when(at(0)), "event", "email_clicked", "ann1"),
        (when(at(0, 10_000)), "event", "page_viewed", "ann2"),
        (when(at(0, 10_000)), "match", "keen@2", "m-ann"),
        (when(at(0, 10_000)), "move", "move newsletter → hot", "c-ann"),
        (when(at(0, 10_200)), "answer", "applied: +hot -newsletter", "c-ann"),
        (when(at(0, 12_000)), "event", "page_viewed [late]", "ann4"),
        (when(at(2)), "event", "product_bought", "ann3"),
    ]
    assert len(ask(story, "timeline", person="ann", since=when(at(1)).isoformat())) == 1
    assert [row[2] for row in ask(story, "timeline", person="cleo") if row[1] == "session"] == ["1 event in 0 s"]


def test_funnel_counts_people_and_times_between_steps(story: ClickHouse) -> None:
    # Clicked: Ann, Ben. Viewed at all: Ann, Ben, Cleo, Dan; in a match after 10 s and 30 s.
    assert ask(story, "funnel", listener="keen") == [
        ("step1", "email_clicked", 2, 2, 2, 0.0, 0.0, 0),
        ("step2", "page_viewed", 4, 2, 2, 30.0, 30.0, 0),
    ]
    assert ask(story, "funnel", listener="keen", until=when(at(0, 20_000)).isoformat()) == [
        ("step1", "email_clicked", 1, 1, 1, 0.0, 0.0, 0),
        ("step2", "page_viewed", 3, 1, 1, 10.0, 10.0, 0),
    ]
    # With the runs: at the next noon one and five wait for a view, and two for a deadline that nobody's match names.
    put(story, the_runs(), first_offset=500)
    assert ask(story, "funnel", listener="keen", until=when(at(1)).isoformat()) == [
        ("step1", "email_clicked", 2, 1, 1, 0.0, 0.0, 0),
        ("step2", "page_viewed", 3, 1, 1, 10.0, 10.0, 6),
        ("3", "", 0, 0, 0, 0.0, 0.0, 2),
    ]


WAITED_FOR = (3, "step2", "page_viewed"), (3, "3", "no product_bought until the deadline")


def test_waiting_says_how_many_runs_wait_where_at_an_instant(history: ClickHouse) -> None:
    put(history, the_runs())
    # The same rows again, as after a crash.
    put(history, the_runs(), first_offset=100)

    def waiting(at_ms: int, **given: Any) -> list[tuple[Any, ...]]:
        return ask(history, "waiting", at=when(at_ms).isoformat(), **given)

    view, deadline = WAITED_FOR
    assert waiting(at(0, 59_999)) == []
    assert waiting(at(0, 60_000)) == [("keen", 2, 2, *view, 3, 2, when(at(0, 60_000)))]
    assert waiting(at(0, 120_000)) == [
        ("keen", 2, 2, *view, 8, 7, when(at(0, 120_000))),
        ("keen", 2, 3, *deadline, 2, 1, when(at(0, 120_000))),
    ]
    assert [row[6:8] for row in waiting(at(1))] == [(6, 6), (2, 1)]
    assert [row[6:8] for row in waiting(at(1, 120_000))] == [(5, 5), (2, 1)]
    assert waiting(at(1), listener="other") == []
    # A group that says everything at midnight and nothing more for days does not run.
    assert waiting(at(3)) == []
    put(history, [runs(4, at(0, 180_000), (3, 0, 0))], first_offset=200)
    assert [row[2] for row in waiting(at(0, 180_000))] == [2]


def test_waiting_over_time_is_waiting_again_and_again(history: ClickHouse) -> None:
    put(history, the_runs())
    times: dict[str, Any] = {
        "since": when(at(0)).isoformat(),
        "until": when(at(0, 1_900_000)).isoformat(),
        "minutes": "10",
    }
    assert ask(history, "waiting_over_time", listener="keen", **times) == [
        (when(at(0)), 2, 2, "step2", 0, 0),
        (when(at(0)), 2, 3, "3", 0, 0),
        (when(at(0, 600_000)), 2, 2, "step2", 6, 6),
        (when(at(0, 600_000)), 2, 3, "3", 2, 1),
        (when(at(0, 1_200_000)), 2, 2, "step2", 6, 6),
        (when(at(0, 1_200_000)), 2, 3, "3", 2, 1),
        (when(at(0, 1_800_000)), 2, 2, "step2", 6, 6),
        (when(at(0, 1_800_000)), 2, 3, "3", 2, 1),
    ]
    later: dict[str, Any] = {"since": when(at(1)).isoformat(), "until": when(at(1, 3_600_000)).isoformat()}
    found = ask(history, "waiting_over_time", listener="keen", **later)
    assert [row[4] for row in found if row[2] == 2] == [6, 5]
    for row in found:
        asked = ask(history, "waiting", listener="keen", at=row[0].isoformat())
        assert row[4:6] == next(each[6:8] for each in asked if each[2] == row[2])


def test_daily_entries_and_exits(story: ClickHouse) -> None:
    assert ask(story, "daily") == [
        (date(2026, 10, 23), "newsletter", 3, 0),
        (date(2026, 10, 24), "hot", 1, 0),
        (date(2026, 10, 24), "newsletter", 0, 1),
        (date(2026, 10, 25), "hot", 1, 0),
        (date(2026, 10, 25), "newsletter", 0, 1),
    ]


def test_overlap_counts_who_is_in_both(history: ClickHouse) -> None:
    put(history, the_story())
    assert ask(history, "overlap") == []
    put(
        history,
        [baseline("ann", "vip", at(1)), baseline("cleo", "vip", at(1)), baseline("dan", "vip", at(1))],
        first_offset=900,
    )
    # hot: ann, ben. newsletter: cleo. vip: ann, cleo, dan. In all four people touch hot or vip.
    assert ask(history, "overlap") == [("hot", "vip", 1, 2, 3, 0.25), ("newsletter", "vip", 1, 1, 3, 0.3333)]
    assert ask(history, "overlap", at=when(at(0)).isoformat()) == []


def test_sizes_day_by_day(story: ClickHouse) -> None:
    assert ask(story, "sizes", since="2026-10-22", until="2026-10-25T23:00:00") == [
        (date(2026, 10, 22), "hot", 0),
        (date(2026, 10, 22), "newsletter", 0),
        (date(2026, 10, 23), "hot", 0),
        (date(2026, 10, 23), "newsletter", 3),
        (date(2026, 10, 24), "hot", 1),
        (date(2026, 10, 24), "newsletter", 2),
        (date(2026, 10, 25), "hot", 2),
        (date(2026, 10, 25), "newsletter", 1),
    ]


def test_conversion_against_people_active_on_the_same_days(story: ClickHouse) -> None:
    # Entered hot: Ann (day 0, buys on day 2), Ben (day 1, buys nothing). Never in it and active on those days: Cleo on
    # day 0 and 1, Dan on day 0 (buys on day 3). So of the entered 1 of 2; on day 0 one of two others, on day 1 none of
    # one: weighted by the entered of each day (1 and 1) that is 0.25.
    assert ask(story, "conversion", list="hot", action="product_bought") == [(2, 1, 0.5, 3, 1, 0.25, 0.25)]
    # Within one day nobody converted.
    assert ask(story, "conversion", list="hot", action="product_bought", days="1") == [(2, 0, 0.0, 3, 0, 0.0, 0.0)]


def test_lift_counts_each_person_once_from_their_first_match_on(history: ClickHouse) -> None:
    put(history, the_trial())
    # Moved: Ann (buys within the week), Ben (buys after nine days), Eve (had bought before). Held out: Cleo, and Dan
    # (buys). Fay's week is not over. Gus was moved by a version that held nobody out; Hal's match was taken back.
    until = when(at(10)).isoformat()
    asked: dict[str, Any] = {"listener": "keen", "goal": "product_bought"}
    assert ask(history, "lift", **asked, until=until) == [(3, 1, 2, 1, 1, 7, 5)]
    longer: dict[str, Any] = {"seconds": str(10 * 86_400), "until": when(at(12)).isoformat()}
    assert ask(history, "lift", **asked, **longer) == [(3, 2, 2, 1, 1, 7, 5)]
    assert ask(history, "lift", **asked, until=until, since=when(at(0, 2)).isoformat()) == [(2, 0, 1, 1, 1, 7, 5)]
    assert ask(history, "lift", listener="keen", goal="form_submitted") == [(4, 0, 2, 0, 0, 7, 0)]
    assert ask(history, "lift", listener="other", goal="product_bought") == [(0, 0, 0, 0, 0, 0, 5)]


def test_lift_takes_no_scanners_click_for_the_goal(history: ClickHouse) -> None:
    put(history, the_trial())
    clicks = [
        EventRow(Event("demo", "ann", "c1", "email_clicked", at(1), provisional=True)),
        EventRow(Event("demo", "ben", "c2", "email_clicked", at(1), verdict="machine:scanner")),
        EventRow(Event("demo", "eve", "c3", "email_clicked", at(1), properties={"machine": True})),
        EventRow(Event("demo", "cleo", "c4", "email_clicked", at(1), verdict="confirmed:script")),
    ]
    put(history, clicks, first_offset=500)
    assert ask(history, "lift", listener="keen", goal="email_clicked", until=when(at(10)).isoformat())[0][:4] == (
        *(3, 0),
        *(2, 1),
    )


def test_latency_of_each_hop(story: ClickHouse) -> None:
    # Both events reached the collector after 20 ms and matched 10 ms later; the answers came 170 and 370 ms after that.
    assert ask(story, "latency") == [
        ("keen", "event to collector", 2, 20, 20, 20),
        ("keen", "collector to match", 2, 10, 10, 10),
        ("keen", "match to answer", 2, 370, 370, 370),
        ("keen", "collector to answer", 2, 380, 380, 380),
    ]
    assert ask(story, "latency", until=when(at(0, 11_000)).isoformat())[2] == (
        "keen",
        "match to answer",
        1,
        170,
        170,
        170,
    )


def test_sessions_by_campaign(story: ClickHouse) -> None:
    assert ask(story, "campaigns") == [("spring", 2, 2, 4, 2.0, 30), ("", 1, 1, 1, 1.0, 0)]


def test_what_was_really_sent_the_most_frequent_first(story: ClickHouse) -> None:
    seen = ask(story, "seen_values", since="1970-01-01")
    assert seen[0] == ("action", "page_viewed", 6)
    assert ("sku", "runner", 2) in seen
    assert [count for name, _, count in seen if name == "action"] == sorted(
        (count for name, _, count in seen if name == "action"), reverse=True
    )
    assert all(value for _, value, _ in seen)
    assert ask(story, "seen_values") == []  # the story was long ago


def test_a_session_that_was_joined_is_not_counted(history: ClickHouse) -> None:
    put(history, the_story())
    joined = SessionRow("demo", "cleo", "s-whole", at(0), at(0, 60_000), 5, "/", "spring", ("s-cleo",))
    put(history, [joined], first_offset=900)
    assert ask(history, "campaigns") == [("spring", 3, 3, 9, 3.0, 30)]


def test_tokens_that_were_not_believed_by_campaign(history: ClickHouse) -> None:
    def event(number: int, **properties: str) -> EventRow:
        found = Event("demo", f"a_{number}", f"c-{number}", "email_clicked", at(0), properties=properties, site="shop")
        return EventRow(found)

    unfilled = {"token_problem": "token_malformed", "campaign": "spring"}
    put(history, [event(1, **unfilled), event(2, **unfilled), event(3, campaign="spring")])
    assert ask(history, "tokens", since="1970-01-01") == [("token_malformed", "spring", "shop", 2, 2, when(at(0)))]


def test_dead_letters_by_reason(story: ClickHouse) -> None:
    assert ask(story, "letters") == [
        ("unknown_action", "beacons", 2, when(at(1)), when(at(2)), "zipped"),
        ("not_json", "http", 1, when(at(2)), when(at(2)), "line 1"),
    ]
    assert story.rows("SELECT sample FROM dead_letters WHERE offset = 9") == [("\\xff\x00",)]


def test_what_has_come_from_each_site(story: ClickHouse) -> None:
    # Of the second day Ben's click and Cleo's look are more than five minutes old, Ben's look is not.
    assert ask(story, "site_events", now_ms=at(1, 310_000), since="1970-01-01") == [
        ("shop", when(at(0, 20)), when(at(1, 30_020)), "page_viewed", "", 1, 3, 2)
    ]
    assert ask(story, "site_events", now_ms=at(90)) == []


def test_what_was_refused_of_each_site_and_from_where(history: ClickHouse) -> None:
    def letter(number: int, reason: str, detail: str, site: str = "shop", workspace: str = "demo") -> DeadLetter:
        return DeadLetter(reason, "http", -1, -1, at(0, number), detail, workspace, site, b"", b"", 0)

    origin = "https://other.example"
    put(
        history,
        [
            letter(1, "wrong_origin", origin), letter(2, "wrong_origin", origin), letter(3, "wrong_origin", "null"),
            letter(4, "not_json", "line 1"), letter(5, "not_json", "line 2", "blog"), letter(6, "unknown_site", "", ""),
            letter(7, "not_json", "", "shop", "other"),
        ],
    )  # fmt: skip
    assert ask(history, "refusals", since="1970-01-01") == [
        ("blog", "not_json", "", 1, when(at(0, 5))),
        ("shop", "wrong_origin", origin, 2, when(at(0, 2))),
        ("shop", "not_json", "", 1, when(at(0, 4))),
        ("shop", "wrong_origin", "null", 1, when(at(0, 3))),
    ]
    assert ask(history, "refusals") == []  # long ago


def test_a_listeners_days(story: ClickHouse) -> None:
    since = "2026-10-01"
    assert ask(story, "listener_days", since=since) == [
        ("keen", date(2026, 10, 24), 1, 1, 0, when(at(0, 10_000))),
        ("keen", date(2026, 10, 25), 1, 1, 0, when(at(1, 30_000))),
    ]
    assert ask(story, "listener_days", since=since, listener="other") == []


def test_the_lists_of_a_person_those_of_now_first(story: ClickHouse) -> None:
    assert ask(story, "person_lists", person="ann") == [
        ("hot", "mailbox", when(at(0, 10_200)), None),
        ("newsletter", "mailbox", when(at(-1)), when(at(0, 10_200))),
    ]


def test_who_came_and_left_and_by_which_listener(story: ClickHouse) -> None:
    came = ask(story, "list_changes", list="hot", since="2026-10-01")
    assert came == [
        (when(at(1, 30_400)), "hot", "mailbox", "ben", 1, "keen", 2),
        (when(at(0, 10_200)), "hot", "mailbox", "ann", 1, "keen", 2),
    ]
    assert [row[3:6] for row in ask(story, "list_changes", list="newsletter", since="2026-10-01")] == [
        ("ben", 0, "keen"), ("ann", 0, "keen"), ("ann", 1, ""), ("ben", 1, ""), ("cleo", 1, ""),
    ]  # fmt: skip


def test_how_an_account_does(history: ClickHouse) -> None:
    told = the_story()
    put(history, [each for each in told if not (isinstance(each, Outcome) and each.subscriber == "ben")])
    assert ask(history, "account_health", since="2026-10-01") == [
        ("mailbox", 1, when(at(1, 30_030)), 1, 0, 0, when(at(0, 10_200)))
    ]


def test_what_users_did(history: ClickHouse) -> None:
    put(history, [
        AuditRow("demo", "mara", Act.LOOKED_UP, at(0), "1", subscriber="ann"),
        AuditRow("demo", "mara", Act.PROMOTED, at(1), "2", target="keen@2"),
        AuditRow("other", "mara", Act.PROMOTED, at(1), "3", target="keen@2"),
    ])  # fmt: skip
    assert ask(history, "audit", since="2026-10-01") == [
        (when(at(1)), "mara", "promoted", "", "keen@2"),
        (when(at(0)), "mara", "looked_up", "ann", ""),
    ]


def test_a_missing_an_unknown_and_a_bad_parameter_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as told:
        named_queries()["conversion"].bound(
            {"list": "x", "days": "soon", "since": "later", "whom": "me"}, workspace="demo", now_ms=0
        )
    assert {problem.field for problem in told.value.problems} == {"whom", "action", "days", "since"}


def test_the_document_says_of_each_query_what_the_query_says_of_itself() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "analytics.md").read_text("utf-8")
    documented = dict(re.findall(r"^\| `(\w+)` \| ((?:`[^`]+`(?:, )?)+ \| .+) \|$", text, re.MULTILINE))
    expected = {}
    for name, query in named_queries().items():
        words = [each.name if each.default is None else f"[{each.name}]" for each in query.parameters]
        expected[name] = f"{', '.join(f'`{word}`' for word in words)} | {query.question}"
    assert documented == expected
