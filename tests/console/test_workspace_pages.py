"""The pages of a workspace, by a browser without a screen: what they show, change, refuse, and write into the trail."""

from __future__ import annotations

import html
import re
from datetime import UTC, date, datetime
from typing import Any

import pytest

from analytics.clickhouse import HistoryError, HistoryUnavailable
from analytics.named_queries import named_queries
from console.history import AWAY, MOST_ROWS, SLOW, TIMEOUT_EXCEEDED, WRONG
from contracts.account_states import read_states
from contracts.codec import to_json, to_msgpack
from contracts.commands import Command, Verb
from contracts.errors import LogError, LogUnavailable
from contracts.letter_commands import command_of
from contracts.log import Outgoing, Stored
from contracts.reading import all_of
from contracts.rows import Act, DeadLetter
from contracts.tokens import subscriber_id
from contracts.topics import DEAD_LETTERS, backfill_topic
from contracts.versions import NOTICE_MS, ListenerVersion
from flows.versions.deployment import Versions
from tests.console.visitor import Answer, Stage, Visitor, signed_in

EVIL = "<script>alert(1)</script>\"'&{{7*7}}"
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
TEXT = """listener: {name}
version: {version}
description: {description}
sequence: [{{action: email_clicked}}, {{action: page_viewed}}]
then: [{{move: {{from: newsletter, to: warm, at: mailbox}}}}]
"""


def version(name: str, number: int, description: str = "Looks.", **times: Any) -> ListenerVersion:
    text = TEXT.format(name=name, version=number, description=description)
    return ListenerVersion("demo", name, number, text, **{"shadow_from_ms": 0, **times})


def write(stage: Stage, *versions: ListenerVersion) -> None:
    known = Versions(stage.log)
    known.write(versions)
    known.close()


def state_of(stage: Stage, name: str) -> dict[int, str]:
    later = stage.desk.now_ms() + 60_000
    return {each.version.version: each.version.state(later) for each in stage.desk.board.of("demo", name)}


def answer(stage: Stage, word: str, name: str, *rows: tuple[Any, ...]) -> None:
    """What the history says to a question; ``word`` is in its SQL."""
    assert word in named_queries()[name].sql
    head = named_queries()[name].sql
    stage.answers.tables[word] = (COLUMNS[name], list(rows))
    assert all(len(row) == len(COLUMNS[name]) for row in rows), head


COLUMNS = {
    "seen_values": ["property", "value", "events"],
    "site_events": ["site", "first_at", "last_at", "last_action", "last_path", "five_minutes", "day", "devices"],
    "refusals": ["site", "reason", "origin", "refused", "last_at"],
    "tokens": ["problem", "campaign", "site", "events", "devices", "last_at"],
    "listener_days": ["listener", "day", "matches", "moves", "failed", "last_match"],
    "person_lists": ["list", "account", "since", "until"],
    "timeline": ["at", "what", "detail", "id"],
    "list_changes": ["at", "list", "account", "subscriber", "came", "listener", "listener_version"],
    "sizes": ["day", "list", "people"],
    "account_health": ["account", "waiting", "oldest", "done", "skipped", "failed", "last_answer"],
    "audit": ["at", "user", "act", "subscriber", "target"],
    "funnel": ["step", "action", "did_it", "people", "matches", "p50_s", "p95_s", "waiting"],
    "why": [
        "account", "valid_from", "valid_to", "came_by", "listener", "listener_version", "match_id", "matched_at",
        "from_list", "undoes", "evidence", "result", "answer", "answered_at", "command_id",
    ],
}  # fmt: skip


def posted(visitor: Visitor, path: str, **form: str) -> Answer:
    return visitor.post(path, {"csrf": visitor.get("/").csrf, **form})


def test_every_listener_is_shown_with_its_sentence_its_state_and_its_days(stage: Stage) -> None:
    write(stage, version("shown", 1, live_from_ms=0), version("shown", 2, "Newer."), version("draft", 1))
    answer(
        stage, "countIf(result = 'failed'), max(matched_at)", "listener_days",
        ("shown", date(2026, 11, 28), 3, 3, 1, NOW), ("shown", date(2026, 11, 29), 5, 5, 0, NOW),
    )  # fmt: skip
    visitor = signed_in(stage.app(), "vera")
    page = visitor.get("/w/demo/listeners").text
    assert ": Segma moves them from the list &#34;newsletter&#34; to the list &#34;warm&#34; at mailbox." in page
    assert ">live<" in page
    assert ">shadow<" in page
    part = visitor.get("/w/demo/listeners?part=activity").text
    assert "Matches in 30 days: 8" in part
    assert "<html" not in part


def test_the_table_of_listeners_is_sent_once_and_what_comes_in_has_its_place_there(stage: Stage) -> None:
    names = [f"many-{number}" for number in range(40)]
    write(stage, *(version(name, 1, live_from_ms=0) for name in names))
    days = [(name, date(2026, 11, day), 5, 5, 1, NOW) for name in names for day in range(1, 30)]
    answer(stage, "countIf(result = 'failed'), max(matched_at)", "listener_days", *days)
    visitor = signed_in(stage.app(), "vera")
    page, part = (visitor.get(f"/w/demo/listeners{more}").text for more in ("", "?part=activity"))
    both = page + part
    assert both.count("<table>") == 1
    for name in names:
        assert both.count(f'<a href="/w/demo/listeners/{name}">') == 1
    fills = re.findall(r'data-fills="([^"]+)"', part)
    assert fills == [f"did-{name}" for name in names], "of each, however many days there are of all together"
    assert [each for each in fills if page.count(f'id="{each}"') != 1] == []
    assert page.count("to the list &#34;warm&#34; at mailbox") >= len(names)
    assert "to the list" not in part


def test_one_listener_has_its_words_its_versions_and_what_changed(stage: Stage) -> None:
    write(stage, version("one", 1, "Old words.", live_from_ms=0), version("one", 2, "New words."))
    page = signed_in(stage.app(), "vera").get("/w/demo/listeners/one").text
    assert "Old words." in page
    assert "+New words." in page
    assert "Make it live" not in page
    assert 'id="end"' not in page
    assert "Make it live" in signed_in(stage.app(), "mara").get("/w/demo/listeners/one").text
    assert signed_in(stage.app(), "vera").get("/w/demo/listeners/none").status_code == 404


def test_a_marketer_makes_a_version_live_and_ends_a_listener_and_it_is_written_down(stage: Stage) -> None:
    write(stage, version("promoted", 1, live_from_ms=0), version("promoted", 2))
    visitor, before = signed_in(stage.app(), "mara"), len(stage.trail())
    done = posted(visitor, "/w/demo/listeners/promoted/promote", version="2")
    assert (done.status_code, done.headers["location"]) == (303, "/w/demo/listeners/promoted")
    assert state_of(stage, "promoted") == {1: "ended", 2: "live"}
    again = posted(visitor, "/w/demo/listeners/promoted/promote", version="1")
    assert (again.status_code, "has ended" in again.text) == (409, True)
    for wrong in ("", "x", "-1", "9" * 40, "²"):
        assert posted(visitor, "/w/demo/listeners/promoted/promote", version=wrong).status_code == 400
    assert posted(visitor, "/w/demo/listeners/promoted/end").status_code == 303
    assert state_of(stage, "promoted") == {1: "ended", 2: "ended"}
    assert [(row.user, row.act, row.target) for row in stage.trail()[before:]] == [
        ("mara", Act.PROMOTED, "promoted@2"), ("mara", Act.PROMOTED, "promoted@1"), ("mara", Act.ENDED, "promoted"),
    ]  # fmt: skip


def test_a_marketer_pauses_a_listener_and_lets_it_go_on_and_it_is_written_down(stage: Stage) -> None:
    write(stage, version("halted", 1, live_from_ms=0), version("halted", 2), version("still-shadow", 1))
    visitor, before = signed_in(stage.app(), "mara"), len(stage.trail())
    here = "/w/demo/listeners/halted"
    assert 'id="pause"' in visitor.get(here).text
    assert "moved nowhere" in visitor.get(f"{here}/confirm?change=pause").text
    done = posted(visitor, f"{here}/pause")
    assert (done.status_code, done.headers["location"]) == (303, here)
    assert state_of(stage, "halted") == {1: "paused", 2: "shadow"}
    from_ms = stage.desk.now_ms() - 1
    write(stage, version("halted", 1, live_from_ms=0, pauses=((from_ms, None),)))
    page = visitor.get(here).text
    assert 'id="resume"' in page
    assert 'id="pause"' not in page
    assert "Paused since" in page
    assert '<span class="state paused">' in visitor.get("/w/demo/listeners").text
    assert "not moved after all" in visitor.get(f"{here}/confirm?change=resume").text
    assert posted(visitor, f"{here}/resume").status_code == 303
    assert state_of(stage, "halted") == {1: "live", 2: "shadow"}
    ((began_ms, until_ms),) = stage.desk.board.pauses("demo", "halted")
    assert began_ms == from_ms
    assert until_ms is not None
    assert until_ms > from_ms + NOTICE_MS
    nothing = posted(visitor, "/w/demo/listeners/still-shadow/pause")
    assert (nothing.status_code, "nothing to pause" in nothing.text) == (409, True)
    assert [(row.user, row.act, row.target) for row in stage.trail()[before:]] == [
        ("mara", Act.PAUSED_LISTENER, "halted"), ("mara", Act.RESUMED_LISTENER, "halted"),
        ("mara", Act.PAUSED_LISTENER, "still-shadow"),
    ]  # fmt: skip
    assert 'id="pause"' not in signed_in(stage.app(), "vera").get(here).text


def test_somebody_is_looked_up_by_address_and_the_address_goes_no_further(stage: Stage) -> None:
    visitor, before = signed_in(stage.app(), "mara"), len(stage.trail())
    person = subscriber_id(b"s" * 32, "Ann@Example.org")
    found = posted(visitor, "/w/demo/people", person=" ann@example.org ")
    assert found.headers["location"] == f"/w/demo/people/{person}"
    answer(stage, "ORDER BY until IS NOT NULL", "person_lists", ("warm", "mailbox", NOW, None))
    answer(stage, "started_at, 'session'", "timeline", (NOW, "event", "page_viewed", "e1"))
    page = visitor.get(found.headers["location"])
    assert len(stage.trail()) == before
    (part,) = re.findall(r'data-part="([^"]+)"', page.text)
    life = visitor.get(part).text
    assert "page_viewed" in life
    assert f"/w/demo/people/{person}?list=warm" in life
    assert [(row.act, row.subscriber) for row in stage.trail()[before:]] == [(Act.LOOKED_UP, person)]
    assert all(params.get("person", person) == person for _, params in stage.answers.asked)
    assert "example.org" not in repr(stage.trail())
    assert posted(visitor, "/w/demo/people", person="").status_code == 400
    assert posted(visitor, "/w/demo/people", person="x" * 999).status_code == 400


def test_why_somebody_is_in_a_list_is_one_sentence_with_its_evidence(stage: Stage) -> None:
    stay = (
        "mailbox", NOW, None, "move", "keen", 2, "m1", NOW, "newsletter", "",
        [("clicked", "email_clicked", NOW, "e1")], "applied", "200", NOW, "c1",
    )  # fmt: skip
    answer(stage, "if(m.command_id = '', 'import', 'move')", "why", stay)
    visitor = signed_in(stage.app(), "mara")
    page = visitor.get("/w/demo/people/s1?list=warm").text
    assert "part=why&amp;list=warm" in page
    words = visitor.get("/w/demo/people/s1?part=why&list=warm").text
    assert "In warm since 2026-11-29 12:00:00.000: keen version 2 matched" in words
    assert "clicked: email_clicked at" in words


def test_why_not_runs_the_listener_over_what_somebody_did(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    write(stage, version("near", 1, live_from_ms=0))
    row = ("s1", "e1", "email_clicked", 1_000, 0, "{}", "browser", False, False, "", 1_000, 1_000, 1_000, "")
    stage.answers.stream = lambda sql, params: iter([row])  # type: ignore[attr-defined]
    visitor = signed_in(stage.app(), "mara")
    words = visitor.get("/w/demo/people/s1?part=why_not&listener=near").text
    assert "near, version 1, for s1: 1 event, 0 matches." in words
    write(stage, version("near", 1, live_from_ms=0, pauses=((500, 5_000),)))
    rows = [row, *(("s1", f"v{n}", "page_viewed", n, 0, *row[5:10], n, n, n, "") for n in (2_000, 3_000))]
    stage.answers.stream = lambda sql, params: iter(rows)  # type: ignore[attr-defined]
    words = visitor.get("/w/demo/people/s1?part=why_not&listener=near").text
    assert words.count("listener_paused: a row and no command") == words.count("Match ") > 0
    stage.answers.stream = lambda sql, params: iter([])  # type: ignore[attr-defined]
    assert "No event of this person" in visitor.get("/w/demo/people/s1?part=why_not&listener=near").text
    assert visitor.get("/w/demo/people/s1?part=why_not&listener=none").status_code == 404


def letter_at(stage: Stage, workspace: str, person: str, detail: str = "") -> int:
    command = Command(
        f"c-{person}", workspace, "mailbox", person, Verb.ADD, "keen", 1, "m", 0, 5, to_list="warm"
    )  # fmt: skip
    value = to_json(command)
    letter = DeadLetter(
        "failed", f"moves.{workspace}.mailbox", 0, 1, 5, detail, workspace, value=value, size=len(value)
    )
    (stored,) = stage.log.publisher().publish([Outgoing(DEAD_LETTERS, b"moves", to_msgpack(letter))])
    assert isinstance(stored, Stored)
    return stored.offset


def test_an_engineer_pauses_resumes_and_tries_again(stage: Stage) -> None:
    number, foreign = letter_at(stage, "demo", "s1", EVIL), letter_at(stage, "other", "s2")
    visitor, before = signed_in(stage.app(), "enno"), len(stage.trail())
    page = visitor.get("/w/demo/accounts").text
    assert f"letters/{number}/replay" in page
    assert f"letters/{foreign}/replay" not in page
    assert posted(visitor, "/w/demo/accounts/mailbox/pause").status_code == 303
    assert read_states(stage.log)["demo", "mailbox"].stopped
    assert "accounts/mailbox/resume" in visitor.get("/w/demo/accounts").text
    assert posted(visitor, "/w/demo/accounts/mailbox/resume").status_code == 303
    assert not read_states(stage.log)["demo", "mailbox"].stopped
    assert posted(visitor, "/w/demo/accounts/nobodys/pause").status_code == 404
    assert posted(visitor, f"/w/demo/letters/{number}/replay").status_code == 303
    for wrong in (foreign, 10**6):
        assert posted(visitor, f"/w/demo/letters/{wrong}/replay").status_code == 404
    again = [record.value for record in all_of(stage.log, backfill_topic("demo", "mailbox"))]
    assert len(again) == 1
    assert list(all_of(stage.log, backfill_topic("other", "mailbox"))) == []
    assert [(row.act, row.target) for row in stage.trail()[before:]] == [
        (Act.PAUSED, "mailbox"), (Act.RESUMED, "mailbox"), (Act.REPLAYED, str(number)),
    ]  # fmt: skip
    assert 'button class="quiet">Pause' not in signed_in(stage.app(), "mara").get("/w/demo/accounts").text


PARTS = (
    "/w/demo/listeners?part=activity", "/w/demo/listeners/evil?part=steps", "/w/demo/people/s1?part=life",
    "/w/demo/people/s1?part=why&list=warm", "/w/demo/lists?part=all", "/w/demo/accounts?part=health",
    "/w/demo/audit?part=rows",
)  # fmt: skip


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (HistoryUnavailable("away"), AWAY),
        (HistoryUnavailable("timeout exceeded", TIMEOUT_EXCEEDED), SLOW),
        (HistoryError("bad"), WRONG),
    ],
)
def test_a_page_says_that_the_history_is_away_and_shows_what_it_has(stage: Stage, error: Exception, said: str) -> None:
    write(stage, version("evil", 1, live_from_ms=0))
    stage.answers.error = error
    visitor = signed_in(stage.app(), "enno")
    for path in PARTS:
        part = visitor.get(path)
        assert part.status_code == 200
        assert html.escape(said, quote=False).replace("'", "&#39;") in part.text
    assert "/listeners/evil" in visitor.get("/w/demo/listeners").text


def test_without_a_trail_nobody_is_looked_up_and_nothing_is_changed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(stage, version("still", 1))
    visitor = signed_in(stage.app(), "enno")
    csrf = visitor.get("/").csrf

    async def not_noted(*_: object, **__: object) -> bool:
        return False

    monkeypatch.setattr("console.audit.Audit.note", not_noted)
    assert visitor.get("/w/demo/people/s1?part=life").status_code == 503
    assert stage.answers.asked == []
    assert visitor.post("/w/demo/listeners/still/promote", {"csrf": csrf, "version": "1"}).status_code == 503
    assert visitor.post("/w/demo/accounts/mailbox/pause", {"csrf": csrf}).status_code == 503
    assert state_of(stage, "still") == {1: "shadow"}
    assert Visitor(stage.app()).sign_in("vera").status_code == 303


def test_the_log_away_is_a_sentence(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise LogUnavailable("no broker")

    monkeypatch.setattr("console.board.Board.versions", away)
    monkeypatch.setattr("console.account_pages.AccountPages._seen", away)
    visitor = signed_in(stage.app(), "enno")
    for path in ("/w/demo/listeners", "/w/demo/listeners/x", "/w/demo/accounts"):
        page = visitor.get(path)
        assert (page.status_code, "The log cannot be read now." in page.text) == (503, True)
    assert visitor.get("/w/demo/people/s1").status_code == 200
    assert issubclass(LogUnavailable, LogError)


def test_nothing_from_outside_is_markup(stage: Stage) -> None:
    write(stage, version("evil", 1, f"'{EVIL.replace(chr(39), '')}'", live_from_ms=0), version("evil", 2))
    letter_at(stage, "demo", EVIL, EVIL)
    day = date(2026, 11, 29)
    answer(stage, "countIf(result = 'failed'), max(matched_at)", "listener_days", ("evil", day, 1, 1, 0, NOW))
    answer(stage, "ORDER BY until IS NOT NULL", "person_lists", (EVIL, EVIL, NOW, NOW))
    answer(stage, "started_at, 'session'", "timeline", (NOW, EVIL, EVIL, EVIL))
    answer(stage, "SELECT command_id, listener", "list_changes", (NOW, EVIL, EVIL, EVIL, 1, EVIL, 1))
    answer(stage, "CROSS JOIN changes", "sizes", (day, EVIL, 3))
    answer(stage, "minOrNullIf", "account_health", (EVIL, 1, None, 1, 1, 1, None))
    answer(stage, "FROM audit", "audit", (NOW, EVIL, EVIL, EVIL, EVIL))
    answer(stage, "WINDOW steps AS", "funnel", (EVIL, EVIL, 1, 1, 1, 1.0, 1.0, 1))
    stay = ("m", NOW, NOW, "move", EVIL, 1, EVIL, NOW, EVIL, "", [(EVIL, EVIL, NOW, EVIL)], EVIL, EVIL, NOW, EVIL)
    answer(stage, "if(m.command_id = '', 'import', 'move')", "why", stay)
    visitor = signed_in(stage.app(), "enno")
    shells = (
        "/w/demo/listeners",
        "/w/demo/listeners/evil",
        "/w/demo/people/s1?list=%3Cscript%3E&listener=%3Cscript%3E",
    )
    for path in (*shells, *PARTS, "/w/demo/accounts", "/w/demo/people/%3Cscript%3Ealert(1)%3C%2Fscript%3E"):
        for language in ("en", "de"):
            text = visitor.get(path, accept_language=language).text
            assert "<script>" not in text
            assert "alert(1)</script>" not in text
            assert "\"'&{" not in text
            assert "49" not in re.findall(r"alert\(1\)[^ ]*", text)


def test_many_rows_are_cut_and_say_so(stage: Stage) -> None:
    rows = [(NOW, "event", f"page_viewed {number}", "e") for number in range(MOST_ROWS + 1)]
    answer(stage, "started_at, 'session'", "timeline", *rows)
    text = signed_in(stage.app()).get("/w/demo/people/s1?part=life").text
    assert text.count("<li>") == MOST_ROWS
    assert "There is more than is shown." in text
    (asked,) = [sql for sql, _ in stage.answers.asked if "started_at, 'session'" in sql]
    assert asked.endswith(f"LIMIT {MOST_ROWS + 1}\nSETTINGS max_execution_time = 3")


def test_a_command_of_a_letter_that_was_cut_is_none() -> None:
    assert command_of(DeadLetter("failed", "moves.demo.mailbox", 0, 1, 5, value=b"{}", size=9)) is None
