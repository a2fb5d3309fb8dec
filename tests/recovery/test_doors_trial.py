"""A minute of the doors' tries against a running installation; `./segma bench doors_fuzz` runs them for longer."""

from __future__ import annotations

import collections
from pathlib import Path

import pytest

from tests.recovery.doors_trial import MUST_BE_NONE, Counts, Trial, installation

pytestmark = pytest.mark.alone

TRIES = 3_000


@pytest.mark.slow
def test_no_input_ends_a_process_loses_an_event_or_leaks(tmp_path: Path) -> None:
    counts: Counts = collections.Counter()
    said: list[str] = []
    with installation(tmp_path) as running:
        trial = Trial(running, 16, counts, said.append)
        lost = trial.batch(0, TRIES)
        found = trial.search()
        trial.close()
    assert {name: counts[name] for name in MUST_BE_NONE} == dict.fromkeys(MUST_BE_NONE, 0), (lost, said)
    assert found == {}
    assert counts["tried"] == TRIES
    assert counts["events taken"] > TRIES, "the tries reach the history"
    assert len([name for name in counts if name.startswith("refused")]) > 12, "and are refused for what they should be"
