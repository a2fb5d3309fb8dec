"""What a deletion has replaced is taken off the disk before somebody counts as forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from analytics.clickhouse import HistoryError
from analytics.old_parts import TRIES, OldParts


class Disk:
    """A ClickHouse that has former parts of so many tables, one fewer at each look."""

    def __init__(self, *held: int) -> None:
        self.held, self.told, self.waited = list(held), list[str](), 0.0

    def command(self, sql: str, *_: Any) -> None:
        self.told.append(sql)

    def rows(self, sql: str, params: Any) -> list[tuple[int]]:
        assert params == {"tables": ["a", "b"]}
        return [(self.held.pop(0) if len(self.held) > 1 else self.held[0],)]

    def pause(self, seconds: float) -> None:
        self.waited += seconds


def old_parts(disk: Any) -> OldParts:
    return OldParts(disk, ("a", "b"), disk.pause)


BEFORE = [f"ALTER TABLE {each} MODIFY SETTING old_parts_lifetime = 0" for each in "ab"]
AFTER = [f"ALTER TABLE {each} RESET SETTING old_parts_lifetime" for each in "ab"]


def test_the_former_parts_are_waited_for_and_the_setting_is_as_before() -> None:
    disk = Disk(2, 2, 1, 0)
    with old_parts(disk) as old:
        assert disk.told == BEFORE
        disk.command("the deletion")
    assert disk.told == [*BEFORE, "the deletion", *AFTER]
    assert (old.left, disk.waited) == (0, 1.5)


def test_nobody_waits_for_ever() -> None:
    disk = Disk(1)
    with old_parts(disk) as old:
        pass
    assert (old.left, disk.waited) == (1, TRIES / 2)
    assert disk.told[2:] == AFTER


def test_a_deletion_that_fails_leaves_the_setting_as_it_was() -> None:
    disk = Disk(1)
    with pytest.raises(HistoryError), old_parts(disk):
        raise HistoryError("refused")
    assert disk.told == [*BEFORE, *AFTER]
    assert disk.waited == 0
