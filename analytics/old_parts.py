"""The parts that a deletion has replaced: ClickHouse keeps them on the disk for minutes, with the rows in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from analytics.clickhouse import ClickHouse

EACH_S: Final = 0.5
TRIES: Final = 180
"""A minute and a half: ClickHouse cleans up every thirty seconds at most, if it is not busy."""


class OldParts:
    """While open, the parts that deletions in these tables replace are taken off the disk at once.

    At the end it waits until they are, but not for ever: ``left`` then says of how many tables some are left.
    ``pause`` waits for so many seconds.
    """

    def __init__(self, clickhouse: ClickHouse, tables: Sequence[str], pause: Callable[[float], None]) -> None:
        self._clickhouse, self._tables, self._pause = clickhouse, tables, pause
        self.left = 0

    def __enter__(self) -> Self:
        self._each("MODIFY SETTING old_parts_lifetime = 0")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            self._each("RESET SETTING old_parts_lifetime")

    def _wait(self) -> None:
        for _ in range(TRIES):
            self.left = self._held()
            if not self.left:
                return
            self._pause(EACH_S)

    def _held(self) -> int:
        sql = (
            "SELECT uniqExact(table) FROM system.parts "
            "WHERE database = currentDatabase() AND table IN {tables:Array(String)} AND NOT active"
        )
        return int(self._clickhouse.rows(sql, {"tables": list(self._tables)})[0][0])

    def _each(self, change: str) -> None:
        for table in self._tables:
            self._clickhouse.command(f"ALTER TABLE {table} {change}")
