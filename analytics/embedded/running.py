"""Which queries run, under which ids, and how a user ends one of their own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from analytics.embedded.engine import engine_error

_KILL: Final = re.compile(
    rb"\s*KILL\s+QUERY\s+WHERE\s+query_id\s*=\s*'([\x20-\x26\x28-\x5b\x5d-\x7e]{1,200})'\s*(?:A?SYNC)?\s*"
    rb"(?:FORMAT\s+\w+)?\s*;?\s*",
    re.IGNORECASE,
)


class RunningQuery(NamedTuple):
    """A query under way. ``tag`` is how the engine knows it: nobody outside can guess it."""

    user: str
    query_id: str
    tag: str


class Running:
    """The queries under way. One event loop."""

    def __init__(self, unique: Callable[[], str]) -> None:
        self._unique = unique
        self._by_id: dict[str, RunningQuery] = {}

    @contextmanager
    def entered(self, user: str, query_id: str) -> Iterator[RunningQuery]:
        """Note a query for as long as it runs. Raises :class:`EngineError` (216) where its id runs already."""
        if query_id in self._by_id:
            text = f"Query with id = {query_id} is already running."
            raise engine_error(216, text, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING")
        query = self._by_id[query_id] = RunningQuery(user, query_id, self._unique())
        try:
            yield query
        finally:
            del self._by_id[query_id]

    def tags(self, user: str, query_id: str) -> list[str]:
        """Return the tags of a user's running query of this id: one, or none."""
        found = self._by_id.get(query_id)
        return [found.tag] if found and found.user == user else []


def kill_wanted(sql: bytes) -> str:
    """Return the id that ``KILL QUERY WHERE query_id = '…'`` names; empty where the SQL is anything else."""
    found = _KILL.fullmatch(sql)
    return found[1].decode() if found else ""
