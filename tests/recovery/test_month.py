"""``segma bench month`` in small: two simulated days with every fault end as two days in peace do; its judge judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress

from bench.month import Month, judged, month
from bench.month_judge import Sample, growth

DAYS, PEOPLE, VISITS, STEP_S = 2, 40, 3.0, 1_800
GOOD: dict[str, Any] = {
    "days": 12,
    "events_kept": {"accepted": 3, "matched": 3, "lost": 0},
    "rows_of_nobody": 0,
    "drift": {"reconcile": 0, "commands": 0, "wrongs": 0},
}


def ran(home: Path, *, faults: bool) -> Month:
    with Progress(disable=True) as progress:
        return month(home, PEOPLE, DAYS, VISITS, 7, step_s=STEP_S, faults=faults, progress=progress)


@pytest.mark.slow
def test_two_days_of_faults_end_as_two_days_in_peace_do(quick_disk: Path) -> None:
    found, peace = ran(quick_disk / "faults", faults=True), ran(quick_disk / "peace", faults=False)
    figures = found.figures
    assert {"platform", "broker away", "ClickHouse away", "release", "rescale to 3", "rescale to 1"} <= set(
        figures["incidents"]
    )
    assert set(figures["processes_ended"]) >= {"flow", "delivery", "loader"}
    for name in ("beacons_spooled", "calls_in_trouble", "states_moved_by_rescales"):
        assert figures[name] > 0, f"no {name}: a test of less than it says"
    assert judged(found) == judged(peace) == []
    assert figures["events_kept"]["accepted"] == figures["events"] == peace.figures["events"]
    assert figures["events_kept"] == peace.figures["events_kept"]
    assert found.lists == peace.lists
    assert len(found.lists) > 5, "nobody is moved: a test of nothing"


def samples(*resident_mb: float) -> list[Sample]:
    return [Sample(day, each, 10.0, 100, {}) for day, each in enumerate(resident_mb)]


@pytest.mark.parametrize(
    ("change", "resident_mb", "word"),
    [
        ({"events_kept": {"accepted": 3, "matched": 2, "lost": 1}}, [5.0] * 12, "events are lost"),
        ({"rows_of_nobody": 1}, [5.0] * 12, "events are lost"),
        ({"drift": {"reconcile": 0, "commands": 1, "wrongs": 0}}, [5.0] * 12, "drifted"),
        ({}, [float(100 + 10 * day) for day in range(12)], "resident_mb grows"),
    ],
)
def test_what_is_wrong_with_a_month_is_said(change: dict[str, Any], resident_mb: list[float], word: str) -> None:
    (said,) = judged(Month({**GOOD, **change}, samples(*resident_mb), {}))
    assert word in said


def test_a_month_that_rises_at_first_and_then_is_flat_is_good() -> None:
    assert judged(Month(dict(GOOD), samples(1, 30, 60, 90, 100, 101, 100, 102, 101, 103, 100, 102), {})) == []
    assert growth([1, 2, 3, 4, 5, 6]) == pytest.approx(5.5 / 3.5)
