"""chDB as an engine of its own: connections, queries, streams, inserts, errors with ClickHouse's codes. No HTTP here.

One process owns a path: :class:`~analytics.embedded.directory.DataDirectory` sees to that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import chdb

from analytics.embedded.recent import MOST_LETTERS, Recent
from contracts.codec import json_reader
from contracts.errors import SegmaError

SYNTAX_ERROR: Final = 62
ACCESS_DENIED: Final = 497
UNKNOWN_EXCEPTION: Final = 1002

_CODE = re.compile(r"Code: (\d+)\. ")
_ECHO = re.compile(r"^(?:(?!Code: )[\w ]+: )?(?:Code: \d+\. DB::Exception: (?=Code: ))?")
_SCOPE = re.compile(r": In scope SELECT formatQuerySingleLine\(.*(?= \([A-Z_]+\))", re.DOTALL)
_FORMAT = re.compile(r" FORMAT (\w+)(?= SETTINGS .*$|$)", re.DOTALL)
_AT_ONCE: Final = "min_insert_block_size_rows = 1000000000000, min_insert_block_size_bytes = 1000000000000"
_SETTINGS = re.compile(r"(\w+) = ")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_read_json = json_reader(str)
_read_row = json_reader(list[Any])
_PARAM_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0", "\b": "\\b"})
_BYTE_ESCAPES: Final = {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)}

# NOTE: whether mypy sees types in chDB hangs on what else is installed; so it is told here.
_connect: Final[Callable[[str], Any]] = chdb.connect

Progress = Mapping[str, int]


class EngineError(SegmaError):
    """What ClickHouse answered instead of a result. ``code`` is ClickHouse's own; ``str`` begins ``Code: …``."""

    def __init__(self, text: str) -> None:
        found = _CODE.search(text)
        self.code = int(found[1]) if found else UNKNOWN_EXCEPTION
        super().__init__(_SCOPE.sub("", _ECHO.sub("", text)).strip().encode("utf-8", "replace").decode())


def engine_error(code: int, text: str, name: str) -> EngineError:
    """An error of ours in ClickHouse's words."""
    return EngineError(f"Code: {code}. DB::Exception: {text} ({name})")


class Statement:
    """A statement as the engine reads it: written anew by ClickHouse's own parser, comments and odd quoting gone."""

    def __init__(self, canonical: str) -> None:
        self.canonical = canonical
        # NOTE: what is in quotes is blanked and not cut, so that places stay.
        bare = _QUOTED.sub(lambda quoted: "_" * len(quoted[0]), canonical)
        found = next(reversed(list(_FORMAT.finditer(bare))), None)
        self.format = found[1] if found else ""
        self.without_format = canonical[: found.start()] + canonical[found.end() :] if found else canonical
        """The statement without its ``FORMAT``."""
        self.settings = _SETTINGS.findall(bare[bare.index(" SETTINGS ") :]) if " SETTINGS " in bare else []
        """Names of the settings that it changes (and names that only look like one)."""
        self.writes_a_file = " INTO OUTFILE " in bare
        self.is_insert = canonical.startswith("INSERT INTO ")
        self.takes_data = self.is_insert and bool(found) and bare.endswith(f" FORMAT {self.format}")
        self.reads_input = self.takes_data and " SELECT " in bare
        self.is_select = canonical.startswith(("SELECT ", "WITH ", "("))
        self.is_question = self.is_select or canonical.startswith(("SHOW ", "DESCRIBE ", "EXISTS ", "EXPLAIN "))

    @property
    def insert_head(self) -> str:
        """Of an insert that takes data: what stands before ``FORMAT``; and all is written at once, or nothing."""
        head = self.canonical.removesuffix(f" FORMAT {self.format}")
        return f"{head}{', ' if self.settings else ' SETTINGS '}{_AT_ONCE}"


@contextmanager
def unknown_tables(statement: Statement) -> Iterator[None]:
    """Tell an unknown table as ClickHouse does (60): in ``default`` the engine looks for a file of its name first."""
    try:
        yield
    except EngineError as error:
        if error.code == ACCESS_DENIED and "READ ON FILE" in str(error) and "file" not in statement.canonical.lower():
            raise engine_error(60, "Unknown table expression identifier", "UNKNOWN_TABLE") from None
        raise


class Connection:
    """One connection: settings and temporary tables are its own. One call at a time."""

    def __init__(self, path: str, statements: Recent[str, Statement]) -> None:
        self._chdb, self._statements = _connect(path), statements

    def query(self, sql: str, fmt: str = "TSV", params: Mapping[str, str] | None = None) -> tuple[bytes, Progress]:
        """The whole answer, and what it read. Raises :class:`EngineError`."""
        whole, read = _translated(lambda: _whole(self._chdb.query(raw(sql), fmt, params=_escaped(params))))
        return whole, read

    def stream(self, sql: str, fmt: str, params: Mapping[str, str] | None = None) -> Generator[bytes]:
        """The answer block by block, in a format that :mod:`~analytics.embedded.formats` streams. Closing cancels."""
        result: Any = _translated(lambda: self._chdb.send_query(raw(sql), fmt, params=_escaped(params)))
        try:
            while (block := _translated(result.fetch)) is not None:
                yield block.bytes()
        finally:
            _translated(result.cancel)

    def insert(self, head: str, fmt: str) -> Insert:
        """Begin an insert; bytes follow. Raises :class:`EngineError`."""
        return Insert(_translated(lambda: self._chdb.send_insert(raw(head), fmt)))

    def set(self, settings: Mapping[str, str]) -> None:
        """Change settings, from here on. Raises :class:`EngineError` where there is none of that name."""
        for name in settings:
            if not _NAME.fullmatch(name):
                raise engine_error(
                    115, f"Setting {name!r} is neither a builtin setting nor a custom one", "UNKNOWN_SETTING"
                )
        if settings:
            self.query("SET " + ", ".join(f"{name} = {quoted(value)}" for name, value in settings.items()))

    def reset(self, names: Iterable[str]) -> None:
        """Bring settings back to their defaults."""
        if listed := ", ".join(f"{name} = DEFAULT" for name in names if _NAME.fullmatch(name)):
            self.query(f"SET {listed}")

    def changed(self, names: Iterable[str]) -> dict[str, str]:
        """Return the values of those settings of ``names`` that do not stand at their default."""
        names = [name for name in names if _NAME.fullmatch(name)]
        if not names:
            return {}
        listed = ", ".join(quoted(name) for name in names)
        sql = f"SELECT name, toJSONString(value) FROM system.settings WHERE changed AND name IN ({listed})"  # noqa: S608
        rows = self.query(sql, "TSVRaw")[0].decode().splitlines()
        return {name: str(_read_json(value)) for name, _, value in (row.partition("\t") for row in rows)}

    def use(self, database: str) -> None:
        """Change the current database. Raises :class:`EngineError` (81) where there is none of that name."""
        self.query(f"USE {backquoted(database)}")

    def columns(self, select: str, params: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return the names and types of the columns that a select answers with."""
        rows = self.query(f"DESCRIBE ({select})", "JSONCompactEachRow", params)[0].splitlines()
        return [(str(row[0]), str(row[1])) for row in map(_read_row, rows)]

    def kill(self, tag: str) -> None:
        """End the query that runs under this ``log_comment`` on another connection."""
        self.query(f"KILL QUERY WHERE Settings['log_comment'] = {quoted(tag)} ASYNC")

    def syntax_tree(self, canonical: str, params: Mapping[str, str]) -> str:
        """Return the statement's tree, one node a line; nothing is looked up and nothing is run."""
        return text_of(self.query(f"EXPLAIN AST {canonical}", "TSVRaw", params)[0])

    def statement(self, sql: str) -> Statement:
        """What the engine's parser makes of one statement. Raises :class:`EngineError` (62) where it is none."""
        # PERF: a client says the same few statements again and again; reading one takes as long as a small answer.
        if len(sql) > MOST_LETTERS:
            return self._read(sql)
        return self._statements.get(sql, lambda: self._read(sql))

    def _read(self, sql: str) -> Statement:
        try:
            text, _ = self.query("SELECT formatQuerySingleLine({sql:String})", "TSVRaw", {"sql": param(sql)})
        except EngineError as error:
            if error.code == UNKNOWN_EXCEPTION and self._is_none(sql):
                raise engine_error(SYNTAX_ERROR, "Syntax error, in words that were lost", "SYNTAX_ERROR") from None
            raise
        return Statement(text_of(text).strip())

    def _is_none(self, sql: str) -> bool:
        """Whether this is no statement, asked so that the answer quotes nothing of it."""
        asked = "SELECT isNull(formatQuerySingleLineOrNull({sql:String}))"
        return self.query(asked, "TSVRaw", {"sql": param(sql)})[0].strip() == b"1"

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
    """The engine at a path that nobody else has. ``configuration``: the file that says what it grants."""

    def __init__(self, path: Path, configuration: Path) -> None:
        self._address = f"{path.resolve()}?config-file={configuration.resolve()}"
        self._statements = Recent[str, Statement]()
        # NOTE: the engine lives as long as one connection does.
        self._anchor = self.connect()

    def connect(self) -> Connection:
        """Open a connection: about 0.2 ms."""
        return Connection(self._address, self._statements)

    def close(self) -> None:
        """Let the path go."""
        self._anchor.close()


def quoted(text: str) -> str:
    """A string literal of ClickHouse's SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def backquoted(name: str) -> str:
    """Return an identifier of ClickHouse's SQL."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def param(text: str) -> str:
    """A value of a ``{name:String}`` placeholder, as ClickHouse wants it: escaped as in TabSeparated."""
    return text.translate(_PARAM_ESCAPES)


def text_of(data: bytes) -> str:
    """Return bytes of SQL as text: a literal may hold any bytes, and :func:`raw` gives the same ones back."""
    return data.decode("utf-8", "surrogateescape")


def raw(text: str) -> bytes:
    """Return the bytes that :func:`text_of` made a text of."""
    return text.encode("utf-8", "surrogateescape")


def _escaped(params: Mapping[str, str] | None) -> dict[str, str]:
    # NOTE: a parameter's value goes to the engine as text, in which escapes stand for the bytes that are none.
    return {name: value.translate(_BYTE_ESCAPES) for name, value in (params or {}).items()}


def _whole(result: Any) -> tuple[bytes, Progress]:
    read = {"read_rows": result.storage_rows_read(), "read_bytes": result.storage_bytes_read()}
    return result.bytes(), read


def _translated(call: Callable[[], Any]) -> Any:
    """Call the engine; its exceptions become ours."""
    try:
        return call()
    except UnicodeDecodeError as error:
        # NOTE: its own error's text, which quotes bytes that are no UTF-8. Now and then what it hands out has been
        # written over by then, and no word of it is left.
        text = error.object.decode("utf-8", "replace")
        if _CODE.search(text):
            raise EngineError(text) from None
        lost = "What is wrong was told in bytes that are no UTF-8, and lost"
        raise engine_error(UNKNOWN_EXCEPTION, lost, "UNKNOWN_EXCEPTION") from None
    except (RuntimeError, chdb.ChdbError) as error:
        raise EngineError(str(error)) from None
