"""``segma backtest`` over a history that the flow made: what it answers, how it goes on when ended, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

import cli.backtest
import cli.backtesting.ranges
from analytics.clickhouse import ClickHouse, HistoryUnavailable
from analytics.erase import erase
from cli.__main__ import cli as segma_cli
from cli.backtesting.drain import calls_an_hour, drain
from cli.backtesting.plan import Work, leave_out
from cli.backtesting.words import drained_in_words
from contracts.rows import EventRow, MatchRow, MembershipRow
from tests.analytics.backtest_kills import PATIENCE_S, Killed
from tests.analytics.embedded import ROOT, Embedded
from tests.analytics.flow_history import FIRST, PEOPLE, SECOND, Past, apply, begun, event, version
from tests.analytics.story import at, put

KILLS = 2


@pytest.fixture(scope="module")
def past(embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """For tests that change nothing in the history."""
    with pytest.MonkeyPatch.context() as patched:
        found = begun(embedded, "t_backtest", tmp_path_factory.mktemp("past"), patched)
        yield found
        found.history.command("DROP DATABASE t_backtest", database=False)
        found.history.close()


@pytest.fixture
def own_past(embedded: Embedded, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Past]:
    """For a test that changes the history."""
    found = begun(embedded, database, tmp_path, monkeypatch)
    yield found
    found.history.command(f"DROP DATABASE {database}", database=False)
    found.history.close()


def standing(past: Past) -> dict[str, int]:
    """The ids of the matches that stand, and when they were complete."""
    found: dict[str, int] = {}
    for _, row in past.written:
        if isinstance(row, MatchRow) and row.kind == "retraction":
            found.pop(row.match_id)
        elif isinstance(row, MatchRow):
            found[row.match_id] = row.matched_at_ms
    return found


def test_progress_is_a_line_for_each_range(past: Past) -> None:
    said = past.run("keen", "--progress", "--json", "--anew")
    told = [json.loads(line) for line in said.stderr.splitlines() if line.startswith("{")]
    assert told[-1]["done"] == told[-1]["of"] == len(told)
    assert [each["done"] for each in told] == list(range(1, len(told) + 1))
    assert json.loads(said.stdout)["people"] > 0


def test_it_is_what_the_flow_emitted(past: Past, tmp_path: Path) -> None:
    file = tmp_path / "people.ndjson"
    answer = past.answer("keen", "--people", str(file))
    people = [json.loads(line) for line in file.read_text().splitlines()]
    expected = standing(past)
    assert len(expected) > 5
    assert {match["match_id"]: match["matched_at_ms"] for each in people for match in each["matches"]} == expected
    assert (answer["matches"], answer["people"]) == (len(expected), len(people))
    taken_back = [row for _, row in past.written if isinstance(row, MatchRow) and row.kind == "retraction"]
    assert (answer["taken_back"], answer["failed"]) == (len(taken_back), 0)
    assert len(taken_back) > 1
    assert sum(answer["days"].values()) == len(expected)
    assert answer["lists"] == [{"account": "mailbox", "list": "hot", "people": len(people)}]
    assert [each["stays"][0]["since_ms"] for each in people] == [each["matches"][0]["matched_at_ms"] for each in people]
    # Who has clicked and not looked waits for that.
    clicked = [number for number in range(PEOPLE) if number % 2 and number % 10 != 3]
    assert answer["in_flight"] == [
        {"version": 1, "element": 2, "of": 3, "runs": len(clicked), "waits_for": "looked"},
    ]
    assert [each["subscriber"] for each in answer["nearest"]] == [f"s_{number:02}" for number in reversed(clicked)]
    assert not (past.home / "data" / "backtests").exists() or not any((past.home / "data" / "backtests").iterdir())


def test_since_and_until_bound_what_is_told(past: Past) -> None:
    expected = standing(past)
    middle = sorted(expected.values())[len(expected) // 2]
    told = past.answer("keen", "--since", stamp(middle))
    assert told["matches"] == sum(at_ms >= middle for at_ms in expected.values())
    assert told["lists"][0]["people"] == len(expected)
    until = past.answer("keen", "--until", stamp(middle - 1))
    assert until["until_ms"] == middle - 1
    # A deadline is fired when it and the grace have passed.
    assert until["matches"] <= sum(at_ms < middle for at_ms in expected.values())


def stamp(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1_000, UTC).isoformat()


def test_against_another_version(own_past: Past) -> None:
    apply(own_past.home, [version(SECOND, 2)])
    answer = own_past.answer("keen@2", "--against", "1")
    compared = answer["against"]["compared"]
    # Version 2 takes the autumn's clicks too; of those who click in autumn nobody looks, all are odd.
    assert (compared["only"], compared["only_other"], compared["both"]) == (0, 0, answer["people"])
    third = (
        FIRST.replace("keen", "keen\nversion: 3")
        .replace("campaign: spring", 'campaign: "*"')
        .replace("action: page_viewed}", "any_of: [{action: page_viewed}, {action: email_clicked}]}")
    )
    (own_past.home / "third.yaml").write_text(
        third.replace("\n  - {step: looked", "\n  - {optional: true, step: looked")
    )
    against = own_past.answer(str(own_past.home / "third.yaml"), "--against", "1")["against"]
    assert against["compared"]["only"] > 0
    assert against["compared"]["only_other"] == 0
    assert 1 <= len(against["examples"]["only"]) <= 3
    story = against["examples"]["only"][0]["story"]
    assert [moment["what"] for moment in story] == ["email_clicked", "match of version 3"]


def test_in_words_and_as_a_page(own_past: Past, tmp_path: Path) -> None:
    put(own_past.history, [MembershipRow("w", "mailbox", "vip", "s_02", True, at(0))], first_offset=100_000)
    apply(own_past.home, [version(SECOND, 2)])
    file = tmp_path / "page.html"
    said = own_past.run("keen@1", "--against", "2", "--page", str(file), "--quota", "2/1h").output
    matches = len(standing(own_past))
    assert f"{matches} matches of {matches} people" in said
    assert "of those in mailbox/hot, 1 are in mailbox/vip now" in said
    assert "wait for looked (2 of 3)" in said
    assert f"mailbox: {matches} moves would take" in said
    page = file.read_text()
    assert page.startswith("<!doctype html>")
    assert "<svg" in page
    assert "mailbox/vip" in page
    assert "http" not in page


def test_several_processes_say_the_same(past: Past) -> None:
    alone = past.answer("keen")
    words = ["backtest", "keen", "--json", "--home", str(past.home), "--processes", "2"]
    said = CliRunner().invoke(segma_cli, words)
    assert json.loads(said.stdout) == alone


def test_ended_at_every_range_it_goes_on_where_it_stood(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = past.answer("keen")
    monkeypatch.setattr(cli.backtest, "RANGE_ROWS", 5)
    real, ends = cli.backtesting.ranges.do_range, 0

    class Killed(BaseException):
        """As a signal: nothing is caught."""

    def once(*given: Any) -> None:
        real(*given)
        raise Killed

    def before(*given: Any) -> None:
        raise Killed

    kills: list[Callable[..., None]] = [before, once]
    while True:
        monkeypatch.setattr(cli.backtesting.ranges, "do_range", kills[ends % 2])
        try:
            said = past.run("keen", "--json")
            break
        except Killed:
            ends += 1
    assert ends >= 20
    assert json.loads(said.stdout) == whole


@pytest.mark.slow
def test_killed_again_and_again_it_says_the_same(past: Past) -> None:
    whole = past.answer("keen")
    words = [sys.executable, "-m", "cli", "backtest", "keen", "--json", "--home", str(past.home), "--processes", "1"]
    code = (
        "import cli.backtest, cli.backtesting.ranges as r, os, signal, sys\n"
        "cli.backtest.RANGE_ROWS = 2; real = r.do_range\n"
        "def once(*given):\n    real(*given); os.kill(os.getpid(), signal.SIGKILL)\n"
        "r.do_range = once\nfrom cli.__main__ import cli\ncli(sys.argv[1:])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for kill in range(KILLS):
        ended = subprocess.run(
            [sys.executable, "-c", code, *words[3:]],
            env=environment,
            capture_output=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert ended.returncode == -signal.SIGKILL, (kill, ended.stderr)
    done = subprocess.run(words, env=environment, capture_output=True, check=True, timeout=PATIENCE_S)
    assert f"{KILLS} of ".encode() in done.stderr
    assert json.loads(done.stdout) == whole


@pytest.mark.slow
def test_killed_at_random_moments_it_says_the_same(past: Past) -> None:
    whole, killed = past.answer("keen"), Killed(past, Random(3))
    for _ in range(KILLS):
        killed.kill()
    assert killed.let_be() == whole


def test_who_was_forgotten_is_in_no_answer(own_past: Past, tmp_path: Path) -> None:
    before = own_past.answer("keen")
    gone = next(
        row.subscriber
        for _, row in own_past.written
        if isinstance(row, MatchRow) and row.match_id in standing(own_past)
    )
    erase(own_past.history, ("w", gone), at(30))
    file = tmp_path / "people.ndjson"
    answer = own_past.answer("keen", "--people", str(file))
    assert answer["people"] == before["people"] - 1
    assert gone not in file.read_text()
    assert "1 person forgotten: nothing of theirs is in it" in answer["notes"]


def test_who_is_forgotten_in_the_middle_is_in_no_answer(own_past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    before = own_past.answer("keen")
    gone = next(
        row.subscriber
        for _, row in own_past.written
        if isinstance(row, MatchRow) and row.match_id in standing(own_past)
    )
    real = cli.backtesting.ranges.do_ranges

    def and_forget(*given: Any) -> None:
        real(*given)
        erase(own_past.history, ("w", gone), at(30))

    monkeypatch.setattr(cli.backtest, "do_ranges", and_forget)
    assert own_past.answer("keen")["people"] == before["people"] - 1


def test_a_clickhouse_that_goes_away_is_told_and_nothing_is_lost(
    past: Past, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, embedded: Embedded
) -> None:
    whole = past.answer("keen")
    real, left = cli.backtesting.ranges.do_range, [1]

    def away(*given: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            given[3].close()
            monkeypatch.setenv("SEGMA_CLICKHOUSE_URL", "http://127.0.0.1:9")
            other = ClickHouse("http://127.0.0.1:9", "segma", "x", "nothing")
            given = (*given[:3], other, given[4])
        real(*given)

    monkeypatch.setattr(cli.backtesting.ranges, "do_range", away)
    file = tmp_path / "people.ndjson"
    said = past.run("keen", "--people", str(file))
    assert said.exit_code == 3, said.output
    assert "the same command goes on where it stood" in said.output
    assert "Traceback" not in said.output
    assert not file.exists()
    monkeypatch.setattr(cli.backtesting.ranges, "do_range", real)
    monkeypatch.setenv("SEGMA_CLICKHOUSE_URL", embedded.url)
    again = past.run("keen", "--json", "--people", str(file))
    assert "goes on where it stood: 1 of" in again.stderr
    assert json.loads(again.stdout) == whole
    assert file.exists()


def test_what_the_history_does_not_hold_is_said(own_past: Past) -> None:
    (own_past.home / "other.yaml").write_text(
        "listener: other\nsequence: [{action: form_submitted}, {action: page_viewed}]\n"
    )
    answer = own_past.answer(str(own_past.home / "other.yaml"))
    assert answer["people"] == 0
    assert "the history holds no `form_submitted`" in answer["notes"]
    put(own_past.history, [MembershipRow("w", "mailbox", "vip", "s_02", True, at(0))], first_offset=100_000)
    gap = event("gap", "s_02", "page_viewed", at(5), at(5), {})
    # A device whose clock stood still in 1999: late, and no beginning of the history.
    old = event("old", "s_02", "page_viewed", 915_148_800_000, at(5), {})
    put(own_past.history, [EventRow(gap), EventRow(old, reason="late")], first_offset=600_000_000)
    notes = own_past.answer("keen")["notes"]
    assert any("no event at all of 2026-10-26, 2026-10-27, 2026-10-28" in note for note in notes)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("nobody",), 1, "no nobody was applied; there is keen@1; or give the listener's file"),
        (("keen", "--against", "7"), 1, "no keen@7 was applied"),
        (("keen@9",), 1, "no keen@9 was applied"),
        (("keen", "--since", "soon"), 2, "no instant"),
        (("keen", "--since", "2026-11-01", "--until", "2026-10-01"), 2, "is after --until"),
        (("keen", "--since", "2999-01-01", "--until", "2999-02-01"), 2, "is still to come"),
        (("keen", "--quota", "many"), 2, "no quota"),
        (("keen", "--quota", "-5/1h"), 2, "no quota"),
        (("keen", "--people", "/nowhere/people.ndjson"), 2, "there is no folder /nowhere"),
        (("keen", "--page", "/nowhere/page.html"), 2, "there is no folder /nowhere"),
        (("keen", "--page", "/"), 2, "is a directory"),
        (("nowhere/keen.yaml",), 2, "nowhere/keen.yaml"),
        (("keen", "--workspace", "x"), 2, "must be one of"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    past: Past, words: tuple[str, ...], code: int, sentence: str
) -> None:
    said = past.run(*words)
    assert (said.exit_code, sentence in said.output.replace("\n", " ")) == (code, True), said.output
    assert "Traceback" not in said.output


def test_a_history_that_ends_before_what_is_asked_says_so(own_past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.backtest, "wall_clock_ms", lambda: at(90))
    said = own_past.run("keen", "--since", "-1d")
    assert (said.exit_code, "the history ends at" in said.output) == (1, True), said.output


def test_a_quota_of_nothing_is_never(past: Past) -> None:
    said = past.run("keen", "--quota", "0/1h").output
    assert "moves would never be done: 0 calls an hour" in said


def test_an_empty_history_is_said(own_past: Past) -> None:
    own_past.history.command("TRUNCATE TABLE event_rows")
    said = own_past.run("keen")
    assert (said.exit_code, "holds no event" in said.output) == (1, True)


def test_the_drain_lets_live_moves_go_first() -> None:
    assert drain(100, 10, [0]).hours == pytest.approx(10)
    assert drain(100, 10, [5]).hours == pytest.approx(19.5)
    assert drain(1, 10, [10]).hours is None
    assert drain(0, 10, [10]).hours == 0
    assert drain(5, None, []).hours is None
    # Live moves that come all at once are done before anything else goes on: 30 of the first hour take three.
    assert drain(10, 10, [30] + [0] * 167).hours == pytest.approx(4)
    assert calls_an_hour({"all": [(10, 1_000), (150, 60_000)], "search": [(5, 1_000)]}) == 9_000
    assert calls_an_hour({}) is None


def test_a_quota_slower_than_one_call_an_hour_is_no_quota_of_nothing() -> None:
    slow = calls_an_hour({"writes": [(1, 2 * 3_600_000)]})
    assert slow == 0.5
    assert drained_in_words(drain(5, slow, [])).startswith("5 moves would take 10.0 hours at one call in 2.0 hours")
    assert drain(5, slow, [1]).hours is None


def test_who_is_forgotten_is_left_out_of_what_was_worked_out_and_not_told_yet(tmp_path: Path) -> None:
    kept, gone = b'{"found":{"subscriber":"s_12"}}\n', b'{"found":{"subscriber":"s_1"}}\n'
    for folder in ("backtests", "backfills"):
        work = Work(tmp_path / folder / "asked")
        work.folder.mkdir(parents=True)
        work.write(work.range_file(0).name, kept + gone + kept)
        work.write(work.range_file(1).name, kept)
    leave_out(tmp_path, ["s_1", "s_2"])
    for folder in ("backtests", "backfills"):
        work = Work(tmp_path / folder / "asked")
        assert [work.range_file(number).read_bytes() for number in (0, 1)] == [kept + kept, kept]
        assert len(list(work.folder.iterdir())) == 2


def test_what_was_begun_days_ago_is_begun_anew(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[str]()

    def ended(*_: object) -> None:
        calls.append("ranges")
        raise HistoryUnavailable("away")

    with monkeypatch.context() as away:
        away.setattr(cli.backtest, "do_ranges", ended)
        assert past.run("keen", "--since", "2026-10-20").exit_code == 3
    (plan,) = (past.home / "data" / "backtests").glob("*/plan.json")
    plan.write_bytes(plan.read_bytes().replace(b'"until_ms":', b'"until_ms":1'))
    first = past.answer("keen", "--since", "2026-10-20")["until_ms"]
    with monkeypatch.context() as away:
        away.setattr(cli.backtest, "do_ranges", ended)
        assert past.run("keen", "--since", "2026-10-20").exit_code == 3
    plan.write_bytes(plan.read_bytes().replace(b'"until_ms":', b'"until_ms":1'))
    os.utime(plan, (0, 0))
    assert past.answer("keen", "--since", "2026-10-20")["until_ms"] < first


@pytest.mark.parametrize("data", [b"", b"{}", b'{"request": 1}', b"\xff"])
def test_a_plan_that_cannot_be_read_is_begun_anew(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(data)
    assert Work(tmp_path).plan() is None
