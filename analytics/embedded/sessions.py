"""One question's connection: sessions, the database, settings for this question alone, tables that came with it."""

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
from analytics.embedded.request import Asked

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


class Desk:
    """Hands out connections. ``elapsed_s`` is a clock that never goes back; ``memory_bytes`` bounds an analyst."""

    def __init__(self, engine: Engine, *, elapsed_s: Callable[[], float], memory_bytes: int, query_s: int) -> None:
        self._engine, self._elapsed_s = engine, elapsed_s
        self._limits = {"max_memory_usage": str(memory_bytes), "max_execution_time": str(query_s)}
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._lock = threading.Lock()

    @contextmanager
    def connection(self, asked: Asked) -> Iterator[Connection]:
        """A connection on which the question can be put; given back at the end."""
        if asked.session:
            with self._session(asked) as connection:
                before = {name: connection.setting(name) for name in asked.settings}
                try:
                    self._prepare(connection, asked)
                    yield connection
                finally:
                    if not asked.readonly:
                        _restore(connection, before)
            return
        connection = self._engine.connect()
        try:
            self._prepare(connection, asked)
            yield connection
        finally:
            connection.close()

    def close(self) -> None:
        """End every session."""
        with self._lock:
            for session in self._sessions.values():
                session.connection.close()
            self._sessions.clear()

    def _prepare(self, connection: Connection, asked: Asked) -> None:
        if connection.setting("readonly") == "1":
            if asked.externals or asked.settings:
                raise engine_error(164, "a read-only session takes settings in its first question only", "READONLY")
            return
        if asked.database:
            connection.query(f"USE `{asked.database.replace(chr(92), chr(92) * 2).replace('`', chr(92) + '`')}`")
        for name, value in asked.settings.items():
            connection.set(name, value)
        for external in asked.externals:
            connection.query(f"CREATE TEMPORARY TABLE `{external.name}` ({external.structure}) ENGINE = Memory")
            insert = connection.insert(f"INSERT INTO `{external.name}`", external.format)
            insert.append(external.data)
            insert.finish()
        if asked.user == ANALYST:
            for name, value in self._limits.items():
                connection.set(name, value)
            connection.set("readonly", "1")

    @contextmanager
    def _session(self, asked: Asked) -> Iterator[Connection]:
        key = (asked.user, asked.session)
        with self._lock:
            self._expire()
            session = self._sessions.get(key)
            if session is None:
                if asked.session_check:
                    raise engine_error(372, f"Session {asked.session} not found", "SESSION_NOT_FOUND")
                if len(self._sessions) >= MAX_SESSIONS:
                    raise engine_error(202, "Too many sessions", "TOO_MANY_SIMULTANEOUS_QUERIES")
                session = self._sessions[key] = _Session(self._engine.connect())
            if not session.busy.acquire(blocking=False):
                raise engine_error(
                    373, f"Session {asked.session} is locked by a concurrent client", "SESSION_IS_LOCKED"
                )
        try:
            yield session.connection
        finally:
            session.ends_s = self._elapsed_s() + asked.session_timeout_s
            session.busy.release()

    def _expire(self) -> None:
        now_s = self._elapsed_s()
        for key, session in list(self._sessions.items()):
            if session.ends_s < now_s and not session.busy.locked():
                session.connection.close()
                del self._sessions[key]


def read_statement(connection: Connection, asked: Asked, head: bytes) -> tuple[Statement, bytes]:
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
    if asked.readonly:
        check_question(statement, asked.params)
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
