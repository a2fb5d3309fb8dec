"""A short run of the doors' tries in one process; `./segma bench doors_fuzz` runs them for as long as one likes."""

from __future__ import annotations

import collections
from pathlib import Path

import pytest

from tests.coroutines import run_apart
from tests.recovery.door_tries import Tries
from tests.recovery.doors_fuzz import run

pytestmark = pytest.mark.slow
TRIES = 2_000


def test_no_input_is_a_defect_loses_an_event_or_leaks(tmp_path: Path) -> None:
    counts: collections.Counter[str] = collections.Counter()
    run_apart(run(tmp_path, 18, 0, TRIES, counts))
    assert {name: counts[name] for name in ("5xx", "lost", "states not written", "canaries")} == {
        "5xx": 0,
        "lost": 0,
        "states not written": 0,
        "canaries": 0,
    }
    assert counts["tried"] + counts["not sent"] == TRIES
    assert len([name for name in counts if name.startswith("refused")]) > 8, "the tries reach what they should"


def test_a_try_is_the_same_whenever_it_is_run() -> None:
    assert [Tries(3).request(number) for number in range(50)] == [Tries(3).request(number) for number in range(50)]
    assert Tries(3).request(1) != Tries(4).request(1)
