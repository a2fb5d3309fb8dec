"""Connections for queries: sessions, the current database, settings for one query alone, external tables."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from analytics.config import ANALYST
from analytics.embedded.analyst_guard import check_question
from analytics.embedded.engine import Connection, Engine, EngineError, Statement, engine_error
from analytics.embedded.request import QueryRequest

MAX_SESSIONS: Final = 1_000
HEAD_BYTES: Final = 262_144
"""ClickHouse's ``max_query_size``: an insert's words end before it, its data may go on for ever."""

_DATA_BEGINS = re.compile(rb"(?i)\bFORMAT\s+[A-Za-z0-9_]+(?=[\s;]|$)|\bVALUES\b")
_GAP = re.compile(rb";?[ \t\f]*\r?\n?")


@dataclass(slots=True)
class _Session:
    connection: Connection
    ends_s: float = 0.0
    busy: threading.Lock = field(default_factory=threading.Lock)


class Sessions:
    """Hands out connections. ``elapsed_s`` is a clock that never goes back; ``memory_bytes`` bounds an analyst."""

    def __init__(self, engine: Engine, *, elapsed_s: Callable[[], float], memory_bytes: int, query_s: int) -> None:
        self._engine, self._elapsed_s = engine, elapsed_s
        self._limits = {"max_memory_usage": str(memory_bytes), "max_execution_time": str(query_s)}
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._lock = threading.Lock()

    @contextmanager
    def connection(self, query: QueryRequest) -> Iterator[Connection]:
        """Yield a connection prepared for the query, and release it at the end."""
        if query.session:
            with self._session(query) as connection:
                before = {name: connection.setting(name) for name in query.settings}
                try:
                    self._prepare(connection, query)
                    yield connection
                finally:
                    if not query.readonly:
                        _restore(connection, before)
            return
        connection = self._engine.connect()
        try:
            self._prepare(connection, query)
            yield connection
        finally:
            connection.close()

    def close(self) -> None:
        """End every session."""
        with self._lock:
            for session in self._sessions.values():
                session.connection.close()
            self._sessions.clear()

    def _prepare(self, connection: Connection, query: QueryRequest) -> None:
        if connection.setting("readonly") == "1":
            if query.externals or query.settings:
                raise engine_error(164, "a read-only session takes settings in its first question only", "READONLY")
            return
        if query.database:
            connection.query(f"USE `{query.database.replace(chr(92), chr(92) * 2).replace('`', chr(92) + '`')}`")
        for name, value in query.settings.items():
            connection.set(name, value)
        for external in query.externals:
            connection.query(f"CREATE TEMPORARY TABLE `{external.name}` ({external.structure}) ENGINE = Memory")
            insert = connection.insert(f"INSERT INTO `{external.name}`", external.format)
            insert.append(external.data)
            insert.finish()
        if query.user == ANALYST:
            for name, value in self._limits.items():
                connection.set(name, value)
            connection.set("readonly", "1")

    @contextmanager
    def _session(self, query: QueryRequest) -> Iterator[Connection]:
        key = (query.user, query.session)
        with self._lock:
            self._expire()
            session = self._sessions.get(key)
            if session is None:
                if query.session_check:
                    raise engine_error(372, f"Session {query.session} not found", "SESSION_NOT_FOUND")
                if len(self._sessions) >= MAX_SESSIONS:
                    raise engine_error(202, "Too many sessions", "TOO_MANY_SIMULTANEOUS_QUERIES")
                session = self._sessions[key] = _Session(self._engine.connect())
            if not session.busy.acquire(blocking=False):
                raise engine_error(
                    373, f"Session {query.session} is locked by a concurrent client", "SESSION_IS_LOCKED"
                )
        try:
            yield session.connection
        finally:
            session.ends_s = self._elapsed_s() + query.session_timeout_s
            session.busy.release()

    def _expire(self) -> None:
        now_s = self._elapsed_s()
        for key, session in list(self._sessions.items()):
            if session.ends_s < now_s and not session.busy.locked():
                session.connection.close()
                del self._sessions[key]


def read_statement(connection: Connection, query: QueryRequest, head: bytes) -> tuple[Statement, bytes]:
    """The statement at the beginning of ``head``, and what of ``head`` is an insert's data.

    The engine's own parser decides where an insert's words end: at the first ``FORMAT name`` or ``VALUES`` up to which
    they are a whole statement. Raises :class:`EngineError`.
    """
    statement, data = _with_data(connection, head) or (None, b"")
    if statement is None:
        try:
            statement = connection.statement(head.decode())
        except UnicodeDecodeError:
            raise engine_error(117, "The query is not UTF-8", "INCORRECT_DATA") from None
    if query.readonly:
        check_question(statement, query.params)
    return statement, data


def _with_data(connection: Connection, head: bytes) -> tuple[Statement, bytes] | None:
    for found in _DATA_BEGINS.finditer(head):
        try:
            statement = connection.statement(head[: found.end()].decode())
        except (EngineError, UnicodeDecodeError):
            continue
        if statement.takes_data:
            gap = _GAP.match(head, found.end())
            return statement, head[gap.end() if gap else found.end() :]
        if not statement.is_insert:
            return None
    return None


def _restore(connection: Connection, before: dict[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            connection.query(f"SET {name} = DEFAULT")
        else:
            connection.set(name, value)
