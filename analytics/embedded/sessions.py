"""Connections for queries: sessions, the current database, settings for one query alone, external tables."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final

from analytics.config import ANALYST
from analytics.embedded.cage.analyst import AnalystRules, check_format
from analytics.embedded.cage.settings import check_settings
from analytics.embedded.engine import Connection, Engine, EngineError, Statement, backquoted, engine_error, text_of
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
    """Hands out connections. ``elapsed_s`` is a clock that never goes back; ``limits`` bound a query of an analyst."""

    def __init__(
        self, engine: Engine, *, elapsed_s: Callable[[], float], database: str, limits: Mapping[str, str]
    ) -> None:
        self._engine, self._elapsed_s, self._database, self._limits = engine, elapsed_s, database, limits
        self._control = engine.connect()
        self._control_lock = threading.Lock()
        self._rules = AnalystRules(self._control, database)
        self._sessions: dict[tuple[str, str], _Session] = {}
        self._lock = threading.Lock()

    @contextmanager
    def connection(self, query: QueryRequest, tag: str) -> Iterator[Connection]:
        """Yield a connection prepared for the query, and release it at the end.

        What belongs to one query is taken back: its settings, its database, its external tables. An analyst's session
        keeps nothing but its name, so each query of an analyst begins on a connection of its own. ``tag`` is what
        :meth:`kill` knows the query by.
        """
        with self._session(query) if query.session else nullcontext() as kept:
            if kept is not None and query.user != ANALYST:
                with _borrowed(kept, query, tag):
                    yield kept
                return
            connection = self._engine.connect()
            try:
                self._prepare(connection, query, tag)
                yield connection
            finally:
                connection.close()

    def kill(self, tag: str) -> None:
        """End the query that runs under this tag, if one does."""
        with self._control_lock:
            self._control.kill(tag)

    def close(self) -> None:
        """End every session."""
        self._control.close()
        with self._lock:
            for session in self._sessions.values():
                session.connection.close()
            self._sessions.clear()

    def statement(self, connection: Connection, query: QueryRequest, head: bytes) -> tuple[Statement, bytes]:
        """Read the statement at the beginning of ``head``; return it, and what of ``head`` is an insert's data.

        Raises :class:`EngineError`: no statement, or none that this user may send by this method.
        """
        statement, data = read_statement(connection, head)
        if statement.writes_a_file:
            raise engine_error(175, "INTO OUTFILE is not allowed", "INTO_OUTFILE_NOT_ALLOWED")
        if query.user == ANALYST:
            if statement.is_insert:
                raise engine_error(164, "analyst: Cannot execute INSERT in readonly mode", "READONLY")
            self._rules.check(connection, statement, query.params, self._database_of(query))
            check_format(query.format)
        elif query.readonly and not statement.is_question:
            raise engine_error(164, "Cannot execute it in readonly mode: a GET does not write", "READONLY")
        return statement, data

    def _database_of(self, query: QueryRequest) -> str:
        return self._database if query.database in {"", "default"} else query.database

    def _prepare(self, connection: Connection, query: QueryRequest, tag: str) -> None:
        if query.user != ANALYST:
            _apply(connection, query, tag)
            return
        database = self._database_of(query)
        self._rules.check_database(database)
        check_settings(query.settings, self._limits)
        for external in query.externals:
            check_format(external.format)
        connection.use(database)
        _put_externals(connection, query)
        own = {name: value for name, value in query.settings.items() if name != "readonly"}
        connection.set({**self._limits, **own, **self._rules.settings, "log_comment": tag, "readonly": "1"})

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
            if query.close_session:
                with self._lock:
                    del self._sessions[key]
                session.connection.close()
            session.busy.release()

    def _expire(self) -> None:
        now_s = self._elapsed_s()
        for key, session in list(self._sessions.items()):
            if session.ends_s < now_s and not session.busy.locked():
                session.connection.close()
                del self._sessions[key]


def read_statement(connection: Connection, head: bytes) -> tuple[Statement, bytes]:
    """Read the statement at the beginning of ``head``; return it, and what of ``head`` is an insert's data.

    The engine's own parser decides where an insert's words end: at the first ``FORMAT name`` or ``VALUES`` up to which
    they are a whole statement. Raises :class:`EngineError`.
    """
    found = _with_data(connection, head)
    if found:
        return found
    return connection.statement(text_of(head)), b""


def _with_data(connection: Connection, head: bytes) -> tuple[Statement, bytes] | None:
    for found in _DATA_BEGINS.finditer(head):
        try:
            statement = connection.statement(text_of(head[: found.end()]))
        except EngineError:
            continue
        if statement.takes_data:
            gap = _GAP.match(head, found.end())
            return statement, head[gap.end() if gap else found.end() :]
        if not statement.is_insert:
            return None
    return None


@contextmanager
def _borrowed(connection: Connection, query: QueryRequest, tag: str) -> Iterator[None]:
    """Prepare a session's connection for one query, and take back what was that query's alone."""
    before = connection.changed(query.settings)
    database = connection.query("SELECT currentDatabase()", "TSVRaw")[0].decode().strip() if query.database else ""
    try:
        _apply(connection, query, tag)
        yield
    finally:
        for external in query.externals:
            connection.query(f"DROP TEMPORARY TABLE IF EXISTS {backquoted(external.name)}")
        if database:
            connection.use(database)
        connection.reset(name for name in query.settings if name not in before)
        connection.set(before)


def _apply(connection: Connection, query: QueryRequest, tag: str) -> None:
    if query.database:
        connection.use(query.database)
    connection.set({**query.settings, "log_comment": tag})
    _put_externals(connection, query)


def _put_externals(connection: Connection, query: QueryRequest) -> None:
    for external in query.externals:
        columns = ", ".join(f"{column.name} {column.type}" for column in external.columns)
        connection.query(f"CREATE TEMPORARY TABLE {backquoted(external.name)} ({columns}) ENGINE = Memory")
        insert = connection.insert(f"INSERT INTO {backquoted(external.name)}", external.format)
        insert.append(external.data)
        insert.finish()
