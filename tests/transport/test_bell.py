"""Waking readers in other processes."""

from __future__ import annotations

import os
from pathlib import Path

from transport.embedded.bell import Bell, ring


def test_every_bell_rings_once_and_one_that_nobody_has_open_is_taken_down(tmp_path: Path) -> None:
    bells = [Bell(tmp_path / "bells") for _ in range(2)]
    left = tmp_path / "bells" / "1-0"
    os.mkfifo(left)
    ring(tmp_path / "bells")
    ring(tmp_path / "bells")
    assert not left.exists()
    assert [bell.wait(0) for bell in bells] == [True, True]
    assert [bell.wait(0) for bell in bells] == [False, False]
    for bell in bells:
        bell.close()
    ring(tmp_path / "bells")
    ring(tmp_path / "of a topic that nobody reads")
