"""``kill -9`` of the delivery loop in the middle of calls; for longer: ``python -m tests.recovery.delivery_kills``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recovery.delivery_kills import Run

pytestmark = pytest.mark.alone


@pytest.mark.slow
def test_kills_of_the_delivery_loop_change_no_list_and_no_consent(tmp_path: Path) -> None:
    run = Run(tmp_path, kills=40, moves=800, seed=3)
    try:
        figures = run.run()
    finally:
        run.close()
    assert figures["wrong"] == {}
