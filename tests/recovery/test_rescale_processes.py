"""1, 3 and 2 flow processes one after the other, under load, with kills: the same moves, none doubled."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.recovery.rescale_kills import NUMBERS, rescaled

pytestmark = [pytest.mark.alone, pytest.mark.slow]


def test_rescales_under_load_with_kills_change_no_move(tmp_path: Path) -> None:
    figures = rescaled(tmp_path / "home", NUMBERS, 2, random.Random(3), lambda text: None)
    assert figures["calls_repeated"] == 0
    assert figures["interrupted"] >= 1
