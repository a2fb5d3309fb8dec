"""chDB as an engine of its own: connections, queries, streams, inserts, errors with ClickHouse's codes. No HTTP here.

One process owns a path. ``flock`` says so before the engine does, because the engine's own message names neither the
path nor what to do.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Final

import chdb

from contracts.errors import AlreadyRunning, SegmaError

SYNTAX_ERROR: Final = 62
UNKNOWN_EXCEPTION: Final = 1002

STREAMABLE: Final = frozenset({"Native", "TabSeparated", "TSV", "TSVRaw", "CSV", "RowBinary", "JSONEachRow"})
"""Formats without head and foot: the engine gives each block as a whole of its own, and these can be joined."""

_CODE = re.compile(r"Code: (\d+)\. ")
_ECHO = re.compile(r"^(?:(?!Code: )[\w ]+: )?(?:Code: \d+\. DB::Exception: (?=Code: ))?")
_SCOPE = re.compile(r": In scope SELECT formatQuerySingleLine\(.*(?= \([A-Z_]+\))", re.DOTALL)
_FORMAT = re.compile(r" FORMAT (\w+)(?: SETTINGS .*)?$", re.DOTALL)
_PARAM_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\b": "\\b"})

Progress = Mapping[str, int]


class EngineError(SegmaError):
    """What ClickHouse answered instead of a result. ``code`` is ClickHouse's own; ``str`` begins ``Code: …``."""

    def __init__(self, text: str) -> None:
        found = _CODE.search(text)
        self.code = int(found[1]) if found else UNKNOWN_EXCEPTION
        super().__init__(_SCOPE.sub("", _ECHO.sub("", text)).strip())


def engine_error(code: int, text: str, name: str) -> EngineError:
    """An error of ours in ClickHouse's words."""
    return EngineError(f"Code: {code}. DB::Exception: {text} ({name})")


class Statement:
    """A statement as the engine reads it: written anew by ClickHouse's own parser, comments and odd quoting gone."""

    def __init__(self, canonical: str) -> None:
        self.canonical = canonical
        found = _FORMAT.search(canonical)
        self.format = found[1] if found else ""
        self.is_insert = canonical.startswith("INSERT INTO ")
        self.takes_data = self.is_insert and bool(self.format) and canonical.endswith(f" FORMAT {self.format}")
        self.is_select = canonical.startswith(("SELECT ", "WITH ", "("))

    @property
    def insert_head(self) -> str:
        """Of an insert that takes data: what stands before ``FORMAT``."""
        return self.canonical.removesuffix(f" FORMAT {self.format}")


class Connection:
    """One connection: settings and temporary tables are its own. One call at a time."""

    def __init__(self, path: str) -> None:
        self._chdb: Any = chdb.connect(path)  # type: ignore[no-untyped-call]

    def query(self, sql: str, fmt: str = "TSV", params: Mapping[str, str] | None = None) -> tuple[bytes, Progress]:
        """The whole answer, and what it read. Raises :class:`EngineError`."""
        whole, read = _translated(lambda: _whole(self._chdb.query(sql, fmt, params=dict(params or {}))))
        return whole, read

    def stream(self, sql: str, fmt: str, params: Mapping[str, str] | None = None) -> Generator[bytes]:
        """The answer block by block (:data:`STREAMABLE` formats). Closing the iterator cancels the query."""
        result: Any = _translated(lambda: self._chdb.send_query(sql, fmt, params=dict(params or {})))
        try:
            while (block := _translated(result.fetch)) is not None:
                yield block.bytes()
        finally:
            _translated(result.cancel)

    def insert(self, head: str, fmt: str) -> Insert:
        """Begin an insert; bytes follow. Raises :class:`EngineError`."""
        return Insert(_translated(lambda: self._chdb.send_insert(head, fmt)))

    def set(self, name: str, value: str) -> None:
        """A setting, from here on. Raises :class:`EngineError` where there is none of that name."""
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise engine_error(
                115, f"Setting {name!r} is neither a builtin setting nor a custom one", "UNKNOWN_SETTING"
            )
        self.query(f"SET {name} = {quoted(value)}")

    def setting(self, name: str) -> str | None:
        """A setting's value; None where it stands at its default."""
        sql = "SELECT value FROM system.settings WHERE name = {name:String} AND changed"
        found = self.query(sql, "TSVRaw", {"name": param(name)})[0]
        return found.decode().removesuffix("\n") if found else None

    def statement(self, sql: str) -> Statement:
        """What the engine's parser makes of one statement. Raises :class:`EngineError` (62) where it is none."""
        text, _ = self.query("SELECT formatQuerySingleLine({sql:String})", "TSVRaw", {"sql": param(sql)})
        return Statement(text.decode().strip())

    def watch(self, told: Callable[[Progress], None] | None) -> None:
        """Be told of the progress of the queries that follow."""
        self._chdb.set_progress_callback(told)

    def close(self) -> None:
        """Let go; temporary tables are gone."""
        self._chdb.close()


class Insert:
    """An insert under way. Without :meth:`finish` nothing that is still in its buffer is written."""

    def __init__(self, inserter: Any) -> None:
        self._inserter = inserter

    def append(self, data: bytes) -> None:
        """Some bytes of the format."""
        _translated(lambda: self._inserter.append(data))

    def finish(self) -> int:
        """Write the rest; how many rows were written in all."""
        return int(_translated(self._inserter.finish).rows_written)

    def cancel(self) -> None:
        """Leave it."""
        _translated(self._inserter.cancel)


class Engine:
    """The engine at a path. Raises :class:`AlreadyRunning` where another process has it."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = str(path.resolve())
        self._lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._lock)
            raise AlreadyRunning(
                f"the embedded ClickHouse in {path} is open in another process (pid {owner}); connect to its HTTP "
                "port, or stop it first"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        # NOTE: the engine lives as long as one connection does.
        self._anchor = self.connect()

    def connect(self) -> Connection:
        """A new connection: about 0.2 ms."""
        return Connection(self._path)

    def close(self) -> None:
        """Let the path go."""
        self._anchor.close()
        os.close(self._lock)


def quoted(text: str) -> str:
    """A string literal of ClickHouse's SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def param(text: str) -> str:
    """A value of a ``{name:String}`` placeholder, as ClickHouse wants it: escaped as in TabSeparated."""
    return text.translate(_PARAM_ESCAPES)


def _whole(result: Any) -> tuple[bytes, Progress]:
    read = {"read_rows": result.storage_rows_read(), "read_bytes": result.storage_bytes_read()}
    return result.bytes(), read


def _translated(call: Callable[[], Any]) -> Any:
    """Call the engine; its exceptions become ours."""
    try:
        return call()
    except (RuntimeError, chdb.ChdbError, UnicodeError) as error:
        raise EngineError(str(error)) from None
