"""Questions to the history: asked beside the pages, by few at once, each with an end to its time and to its rows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, TypeVar

import structlog

from analytics.clickhouse import ClickHouse, HistoryError, HistoryUnavailable
from analytics.named_queries import named_queries
from console.meters import history_seconds
from contracts.errors import ConfigError

AT_ONCE: Final = 4
"""Questions that ClickHouse is asked at the same time."""
TIMEOUT_S: Final = 10
"""Seconds after which a question is given up."""
SILENT_S: Final = 9
"""Seconds of silence after which the client itself ends: a server that hangs must not hold the threads."""
AHEAD_S: Final = 2
"""Seconds by which ClickHouse itself gives a question up before that."""
TIMEOUT_EXCEEDED: Final = 159
"""ClickHouse's code for it."""
MOST_ROWS: Final = 200

SLOW: Final = "The history did not answer in time. What does not need it is shown."
AWAY: Final = "The history cannot be reached now. What does not need it is shown."
WRONG: Final = "The history refused the question; the console's log says why."
_OUTCOMES: Final = {"": "answered", SLOW: "slow", AWAY: "away", WRONG: "refused"}

T = TypeVar("T")
logger = structlog.get_logger()


class Told(NamedTuple):
    """An answer. ``problem``: why there is none, in a sentence; ``cut``: there are more rows than are shown."""

    rows: list[dict[str, Any]]
    problem: str = ""
    cut: bool = False


class History:
    """Asks the named queries in threads of its own; a connection each."""

    def __init__(
        self, connect: Callable[[], ClickHouse], now_ms: Callable[[], int], timeout_s: float = TIMEOUT_S
    ) -> None:
        """``connect``: a new client; nothing is sent before the first question."""
        self._connect, self._now_ms, self._timeout_s = connect, now_ms, timeout_s
        self._threads = ThreadPoolExecutor(AT_ONCE, "history")
        self._mine = threading.local()

    async def ask(self, name: str, workspace: str, *, newest_by: str = "", **given: str) -> Told:
        """The first rows of a named query's answer; ``newest_by``: a column by which the greatest come first."""
        query = named_queries()[name]
        order = f"SELECT * FROM (\n{query.sql}\n) ORDER BY {newest_by} DESC" if newest_by else query.sql  # noqa: S608
        return await self._told(name, f"{order}\nLIMIT {MOST_ROWS + 1}\n{self._limit()}", workspace, given)

    async def ask_for_many(self, name: str, workspace: str, at_most: int) -> Told:
        """As :meth:`ask`, for so many rows, of which a page makes less."""
        sql = f"{named_queries()[name].sql}\nLIMIT {at_most + 1}\n{self._limit()}"
        return await self._told(name, sql, workspace, {}, at_most)

    async def ask_counted(self, name: str, workspace: str, *, order: str, **given: str) -> Told:
        """As :meth:`ask`, in the ``order`` of columns; each row has ``count``, how many rows the whole answer has."""
        counted = f"SELECT *, count() OVER () AS count FROM (\n{named_queries()[name].sql}\n)"  # noqa: S608
        return await self._told(
            name, f"{counted}\nORDER BY {order}\nLIMIT {MOST_ROWS + 1}\n{self._limit()}", workspace, given
        )

    def _limit(self) -> str:
        # NOTE: before the client takes the silence of a server that works for that of one that is away.
        return f"SETTINGS max_execution_time = {max(1, int(self._timeout_s) - AHEAD_S)}"

    async def _told(
        self, name: str, sql: str, workspace: str, given: Mapping[str, str], at_most: int = MOST_ROWS
    ) -> Told:
        def asked(clickhouse: ClickHouse) -> list[dict[str, Any]]:
            bound = named_queries()[name].bound(given, workspace=workspace, now_ms=self._now_ms())
            columns, rows = clickhouse.table(sql, bound)
            return [dict(zip(columns, row, strict=True)) for row in rows]

        rows, problem = await self.read(asked)
        return Told((rows or [])[:at_most], problem, len(rows or []) > at_most)

    async def read(self, question: Callable[[ClickHouse], T]) -> tuple[T | None, str]:
        """The answer to any question, or the sentence that says why there is none."""
        started_ms = self._now_ms()
        answer, problem = await self._read(question)
        history_seconds.labels(_OUTCOMES[problem]).observe(max(self._now_ms() - started_ms, 0) / 1_000)
        return answer, problem

    async def _read(self, question: Callable[[ClickHouse], T]) -> tuple[T | None, str]:
        running = asyncio.get_running_loop().run_in_executor(self._threads, self._asked, question)
        try:
            return await asyncio.wait_for(running, self._timeout_s), ""
        except TimeoutError:
            return None, SLOW
        except HistoryUnavailable as error:
            return None, SLOW if error.code == TIMEOUT_EXCEEDED else AWAY
        except (HistoryError, ConfigError) as error:
            logger.warning("the history refused a question", error=str(error))
            return None, WRONG

    def _asked(self, question: Callable[[ClickHouse], T]) -> T:
        clickhouse: ClickHouse | None = getattr(self._mine, "clickhouse", None)
        if clickhouse is None:
            clickhouse = self._mine.clickhouse = self._connect()
        return question(clickhouse)

    def close(self) -> None:
        """Take no more questions; those that are asked end by their own time."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def by_key(rows: list[dict[str, Any]], key: str) -> Mapping[str, list[dict[str, Any]]]:
    """Rows by the value of one of their columns, in their order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(str(row[key]), []).append(row)
    return found
