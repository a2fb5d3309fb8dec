"""A listener tried over the history from its page, and its lift; ``segma backtest`` is stood in for by a script."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from analytics.clickhouse import ClickHouse
from console.commands import Commands
from console.history import AT_ONCE, AWAY, History
from console.trials import Stage as Progress
from console.trials import Trials
from contracts.rows import Act
from tests.console.test_workspace_pages import EVIL, posted, version, write
from tests.console.test_write_pages import saved
from tests.console.visitor import Stage, ran, signed_in

ANSWER = {
    "listener": "tried", "matches": 7, "people": 5, "days": {"2026-11-29": 7}, "taken_back": 1,
    "lists": [{"account": "mailbox", "list": EVIL, "people": 5}, {"account": "mailbox", "tag": "hot", "people": 2}],
    "in_flight": [{"waits_for": "looked", "runs": 3}],
    "drain": {
        "mailbox": {"moves": 5, "an_hour": 600, "live_an_hour": 0.0, "hours": 0.25},
        "full": {"moves": 5, "an_hour": 1, "live_an_hour": 9.0, "hours": None},
        "own": {"moves": 5, "an_hour": None, "live_an_hour": 0.0, "hours": None},
    },
    "notes": ["2 people were forgotten"],
}  # fmt: skip
"""As ``segma backtest --json`` answers (``cli/backtesting/result.py``), of the parts that the page shows."""
BACKTEST = f"""
import json, pathlib, signal, sys
words = sys.argv[1:]
assert words[0] == "backtest" and words[2:4] == ["--since", "-30d"], words
subject = words[1]
text = pathlib.Path(subject).read_text() if subject.endswith(".yaml") else ""
if "too long" in text:
    signal.pause()
if "refused" in text:
    print("segma: the history of workspace `demo` holds no event", file=sys.stderr)
    sys.exit(1)
print('{{"done": 1, "of": 4}}', file=sys.stderr)
pathlib.Path(words[words.index("--people") + 1]).write_text(json.dumps({{"subscriber": "s1"}}) + chr(10))
print(json.dumps({{**{ANSWER!r}, "subject": subject}}))
"""
HERE = "/w/demo/listeners/{}/trial"


@contextmanager
def trying(stage: Stage, timeout_s: float = 120) -> Iterator[Stage]:
    commands = Commands([sys.executable, "-c", BACKTEST], stage.folder)
    with closing(Trials(commands, stage.desk.now_ms, timeout_s)) as trials:
        yield replace(stage, desk=replace(stage.desk, trials=trials))


def ended(stage: Stage, name: str) -> Progress:
    trial = stage.desk.trials.of("demo", name)
    assert trial is not None
    assert trial.ended.wait(120)
    return trial.stage


def test_a_draft_is_tried_before_it_moves_anybody(stage: Stage) -> None:
    with trying(stage) as it:
        visitor = signed_in(it.app())
        saved(it, visitor, "tried")
        before, here = len(it.trail()), HERE.format("tried")
        assert "the draft" in visitor.get(here).text
        assert posted(visitor, here).headers["location"] == here
        assert ended(it, "tried") == Progress.DONE
        page = visitor.get(f"{here}?part=state").text
        for told in (
            "Matches: 7, of people: 5; came and were taken back: 1", "would be in &lt;script&gt;",
            "would be in hot at mailbox: 2", "mailbox, moves: 5; done in 0.2 h, by calls an hour: 600",
            "full, moves: 5; never done", "own, moves: 5; no quota",
            "Runs that would wait for looked: 3", "2 people were forgotten",
            'href="/w/demo/people/s1"',
        ):  # fmt: skip
            assert told in page
        assert "<script>alert" not in page
        assert "data-again" not in page
        trial = it.desk.trials.of("demo", "tried")
        assert trial is not None
        assert (trial.done, trial.of) == (1, 4)
        assert [(row.act, row.target) for row in it.trail()[before:]] == [(Act.TRIED, "tried")]


def test_a_version_is_tried_under_its_name(stage: Stage) -> None:
    write(stage, version("numbered", 2))
    with trying(stage) as it:
        visitor = signed_in(it.app())
        assert posted(visitor, HERE.format("numbered"), version="2").status_code == 303
        assert ended(it, "numbered") == Progress.DONE
        trial = it.desk.trials.of("demo", "numbered")
        assert trial is not None
        assert trial.answer["subject"] == "numbered@2"
        for wrong in ("3", "x", "", "2; rm"):
            assert posted(visitor, HERE.format("numbered"), version=wrong).status_code == 404
        assert visitor.get(HERE.format("none")).status_code == 404


@pytest.mark.parametrize(
    ("says", "stage_of_it", "told"),
    [("too long", Progress.TOO_LONG, "It took longer"), ("refused", Progress.FAILED, "`demo` holds no event")],
)
def test_a_trial_that_comes_to_no_answer_says_so(stage: Stage, says: str, stage_of_it: Progress, told: str) -> None:
    with trying(stage, 1 if says == "too long" else 120) as it:
        visitor = signed_in(it.app())
        saved(it, visitor, "ending", description=says)
        posted(visitor, HERE.format("ending"))
        assert ended(it, "ending") == stage_of_it
        assert told in visitor.get(HERE.format("ending")).text


def test_one_that_runs_is_looked_at_and_ends_with_the_console(stage: Stage) -> None:
    with trying(stage) as it:
        visitor = signed_in(it.app())
        saved(it, visitor, "endless", description="too long")
        posted(visitor, HERE.format("endless"))
        part = visitor.get(f"{HERE.format('endless')}?part=state").text
        assert "data-again" in part
        first = it.desk.trials.of("demo", "endless")
        posted(visitor, HERE.format("endless"))
        assert it.desk.trials.of("demo", "endless") is first
    assert ended(it, "endless") == Progress.FAILED


def test_the_lift_of_a_listener_is_a_part_of_its_page(stage: Stage) -> None:
    write(stage, version("lifted", 1, live_from_ms=0))
    names = ["moved", "moved_did", "held_out", "held_out_did", "open", "matches", "reached_by"]
    answer_lift = {"sql": "HAVING at >= {since", "row": (900, 300, 100, 10, 7, 1_007, 310)}
    stage.answers.tables[str(answer_lift["sql"])] = (names, [answer_lift["row"]])  # type: ignore[list-item]
    visitor = signed_in(stage.app())
    page = visitor.get(f"{HERE.format('lifted')}?goal=product_bought&within=7d").text
    assert "part=lift&amp;goal=product_bought&amp;within=7d" in page
    part = visitor.get(f"{HERE.format('lifted')}?part=lift&goal=product_bought&within=7d").text
    assert "33.3 %" in part
    assert "+23.3 points" in part
    assert "That is told." in part
    assert "7 more have not had their whole time yet." in part
    (asked,) = [params for sql, params in stage.answers.asked if str(answer_lift["sql"]) in sql]
    assert (asked["listener"], asked["goal"], asked["seconds"]) == ("lifted", "product_bought", 7 * 86_400)
    stage.answers.tables[str(answer_lift["sql"])] = (names, [(9, 3, 0, 0, 0, 9, 3)])
    assert "Nobody was held out" in visitor.get(f"{HERE.format('lifted')}?part=lift&goal=x&within=1h").text
    for wrong in ("", "7", "7y", "-1d", "9" * 30 + "d", "10ms"):
        assert "Write a time" in visitor.get(f"{HERE.format('lifted')}?part=lift&goal=x&within={wrong}").text


def test_a_history_that_hangs_holds_no_thread_for_long() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]

        def connected() -> ClickHouse:
            return ClickHouse(f"http://127.0.0.1:{port}", "u", "p", "d", 1)

        history = History(connected, lambda: 0, timeout_s=60)

        async def asked() -> None:
            told = await asyncio.gather(*(history.ask("audit", "demo") for _ in range(AT_ONCE + 1)))
            assert {each.problem for each in told} == {AWAY}
            assert await history.read(lambda clickhouse: 7) == (7, "")

        ran(asked())
        history.close()
