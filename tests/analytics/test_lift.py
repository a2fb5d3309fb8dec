"""``segma lift``: its interval over simulated trials, whom the hash holds out, and the command over a real history."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy
import pytest
from click.testing import CliRunner, Result

from analytics.clickhouse import ClickHouse
from analytics.lift import Group, Lift, difference_limits, limits
from bench.lift import SIZES, coverage, share_held_out
from cli.__main__ import cli
from cli.lift import in_words
from tests.analytics.embedded import Embedded
from tests.analytics.story import ask, at, matched, put, the_trial


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("holdout", "held_out_rate", "moved_rate"),
    [(0.05, 0.9, 0.98), (0.1, 0.1, 0.05), (0.1, 0.03, 0.04), (0.5, 0.3, 0.6)],
)
def test_intervals_cover_the_truth(size: int, holdout: float, held_out_rate: float, moved_rate: float) -> None:
    # The rates at which others of the methods compared (ADR 0022) fall below, and common ones.
    random = numpy.random.default_rng(size)
    assert coverage(random, size, holdout, moved_rate, held_out_rate, trials=10_000) >= 0.94


def test_a_coverage_that_is_missed_is_seen() -> None:
    def too_narrow(*counts: object) -> tuple[object, object]:
        low, high = difference_limits(*counts)
        return low * 0.5 + high * 0.5 - 0.01, low * 0.5 + high * 0.5 + 0.01

    random = numpy.random.default_rng(1)
    assert coverage(random, 200, 0.1, 0.3, 0.3, trials=1_000, interval=too_narrow) < 0.5


@pytest.mark.parametrize("percent", [1, 10, 50])
def test_the_share_held_out_is_right_within_chance(percent: int) -> None:
    people, share = 40_000, Fraction(percent, 100)
    spread = (people * share * (1 - share)) ** Fraction(1, 2)
    assert abs(share_held_out(share, people) - people * share) < 4 * float(spread)


def test_limits_of_a_rate_are_the_exact_ones() -> None:
    # Worked: of 10, none: 1 - 0.025^(1/10); all: 0.025^(1/10). 3 of 10: Clopper and Pearson's tables.
    assert [float(each) for each in limits(0, 10)] == pytest.approx([0, 1 - 0.025**0.1])
    assert [float(each) for each in limits(10, 10)] == pytest.approx([0.025**0.1, 1])
    assert [float(each) for each in limits(3, 10)] == pytest.approx([0.0667, 0.6525], abs=1e-4)


def test_a_difference_that_is_told_and_one_that_is_not() -> None:
    told, open_ = Lift(Group(1_000, 300), Group(1_000, 200)), Lift(Group(18, 4), Group(2, 0))
    assert (told.is_told, open_.is_told) == (True, False)
    assert told.interval[0] > 0.05
    assert told.interval[1] < 0.15
    # 20 % against 30 % at 5 % and 80 %, equal groups: 291 each by the usual formula (unpooled, two-sided).
    assert told.needed == pytest.approx(2 * 291, abs=6)
    assert Lift(Group(10, 1), Group(10, 1)).needed is None
    assert Lift(Group(10, 1), Group(0, 0)).interval == (-1.0, 1.0)


def test_in_words() -> None:
    lift = Lift(Group(900, 90), Group(100, 5))
    assert in_words("keen", "product_bought", lift, {"open": 12}) == [
        "keen: who did product_bought after their first match",
        "  moved                                   ────────●──────── 10.0 % (90 of 900; 8.1 % to 12.1 %)",
        "  held out       ─────────────●─────────────────────────    5.0 % (5 of 100; 1.6 % to 11.3 %)",
        "           0 %                                       12.1 %",
        "  12 more have not had their whole time yet.",
        "It cannot be told yet whether the moved did it more often: +5.0 points (between -1.6 points and +9.0 points, "
        "95 % sure).",
        "A difference as large as this one would take about 2,055 people in this share (80 % likely); there are 1,000.",
    ]


@pytest.fixture
def home(embedded: Embedded, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose history is the embedded server's."""
    (tmp_path / "segma.yaml").write_text("token_keys: {file: keys}\nworkspaces: {demo: {secret: {file: secret}}}\n")
    (tmp_path / "data").symlink_to(embedded.home / "data")
    monkeypatch.setenv("SEGMA_CLICKHOUSE_DATABASE", database)
    monkeypatch.setenv("SEGMA_CLICKHOUSE_URL", embedded.url)
    monkeypatch.setenv("SEGMA_CLICKHOUSE_PASSWORD_FILE", str(embedded.home / "data" / "clickhouse-segma.password"))
    return tmp_path


def test_whose_time_is_not_over_has_not_failed_because_somebody_asks_beyond_now(history: ClickHouse) -> None:
    put(history, the_trial())
    asked = {"listener": "keen", "goal": "product_bought", "seconds": "604800"}
    now = ask(history, "lift", **asked, now_ms=at(10))
    assert now[0][4] == 1, "Fay's week is not over"
    assert ask(history, "lift", **asked, now_ms=at(10), until="2999-01-01") == now


def lift(home: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["lift", *words, "--home", str(home)])


def test_the_command_over_a_history(home: Path, history: ClickHouse) -> None:
    put(history, the_trial())
    until = ("--until", "2026-11-03T12:00:00")
    said = lift(home, "keen", "--goal", "product_bought", *until, "--json")
    told = json.loads(said.stdout)
    assert (told["moved"]["people"], told["moved"]["did"]) == (3, 1)
    assert (told["held_out"]["people"], told["held_out"]["did"], told["open"]) == (2, 1, 1)
    assert (told["told"], said.exit_code, said.stderr) == (False, 0, "")
    words = lift(home, "keen", "--goal", "product_bought", *until).output
    assert "It cannot be told yet" in words
    assert "people in this share" in words


def test_what_the_history_does_not_hold_is_said(home: Path, history: ClickHouse) -> None:
    none = lift(home, "keen", "--goal", "product_bought")
    assert none.exit_code == 1
    assert "no match of `keen`" in none.output
    assert "nobody who did `product_bought`" in none.output
    put(history, [matched("ann", 1_792_843_200_000)])
    alone = lift(home, "keen", "--goal", "product_bought")
    assert (alone.exit_code, "Nobody was held out" in alone.output) == (1, True)
    turned = lift(home, "keen", "--goal", "product_bought", "--since", "-1d", "--until", "-2d")
    assert (turned.exit_code, "is not before --until" in turned.output) == (2, True)
    to_come = lift(home, "keen", "--goal", "product_bought", "--since", "2998-01-01", "--until", "2999-01-01")
    assert (to_come.exit_code, "is still to come" in to_come.output) == (2, True)
    for wrong, sentence in {"soon": "within", "5ms": "at least one", "1500ms": "whole seconds"}.items():
        refused = lift(home, "keen", "--goal", "product_bought", "--within", wrong)
        assert (refused.exit_code, sentence in refused.output) == (2, True)
