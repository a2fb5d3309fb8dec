"""ClickHouse as the rooms see it: a client, and its errors in our words."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import clickhouse_connect
import requests
import urllib3
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError

from contracts.errors import SegmaError

DATA_FAULTS: Final = frozenset({6, 25, 26, 27, 33, 34, 38, 41, 53, 69, 70, 72, 117, 130, 131, 321, 349, 407, 467, 676})
"""ClickHouse's codes where a row is at fault, not the server: ``CANNOT_PARSE_…``, ``…_OVERFLOW`` and such."""

# NOTE: its warnings repeat, with a traceback, what it raises.
logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)


class HistoryError(SegmaError):
    """ClickHouse refused it. ``code`` is ClickHouse's own, 0 where it gave none."""

    def __init__(self, text: str, code: int = 0) -> None:
        self.code = code
        super().__init__(text)


class HistoryUnavailable(HistoryError):
    """ClickHouse cannot be reached, or is too busy: try again later."""


_ONE_BLOCK: Final = {"max_partitions_per_insert_block": 1_000}
BUSY: Final = frozenset({159, 202, 209, 210, 241, 243, 252, 285, 319, 425})
"""Codes that pass by themselves: too many queries or parts, no memory or disk space now, a broken connection."""


class ClickHouse:
    """A client of one database. One thread at a time."""

    def __init__(self, url: str, user: str, password: str, database: str, timeout_s: int | None = None) -> None:
        """``timeout_s``: whole seconds of silence after which the server counts as away; None: the driver's own."""
        parts = urlsplit(url)
        self._database = database
        self._options: dict[str, Any] = {
            "interface": parts.scheme,
            "host": parts.hostname or "",
            "port": parts.port or (8443 if parts.scheme == "https" else 8123),
            "username": user,
            "password": password,
            "autogenerate_session_id": False,
            "query_retries": 0,
            "show_clickhouse_errors": "scrub",
        }
        if timeout_s is not None:
            self._options |= {"connect_timeout": timeout_s, "send_receive_timeout": timeout_s}
        self._client: Any = None

    def command(self, sql: str, params: Mapping[str, Any] | None = None, *, database: bool = True) -> None:
        """A statement without an answer. ``database`` False: where the database is not there yet."""
        with _translated():
            self._ready(database=database).command(sql, parameters=params, use_database=database)

    def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of an answer."""
        return self.table(sql, params)[1]

    def table(self, sql: str, params: Mapping[str, Any] | None = None) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The names of an answer's columns, and its rows."""
        with _translated():
            answer = self._ready().query(sql, parameters=params)
            return list(answer.column_names), list(answer.result_rows)

    def stream(self, sql: str, params: Mapping[str, Any] | None = None) -> Iterator[Sequence[Any]]:
        """Yield the rows of an answer as they come: a block at a time is held."""
        with _translated(), self._ready().query_row_block_stream(sql, parameters=params) as blocks:
            for block in blocks:
                yield from block

    def insert(self, table: str, lines: Sequence[bytes], token: str = "") -> None:
        """Rows as JSON objects, all in one insert. With a ``token`` the same insert again changes nothing."""
        settings = {**_ONE_BLOCK, "input_format_skip_unknown_fields": 0}
        with _translated():
            self._ready().raw_insert(
                f"{self._database}.{table}",
                insert_block=b"\n".join(lines),
                fmt="JSONEachRow",
                settings={**settings, **({"insert_deduplication_token": token} if token else {})},
            )

    def insert_arrow(self, table: str, columns: Sequence[str], stream: bytes, token: str) -> None:
        """Insert an Arrow stream of these columns; ``token`` as for :meth:`insert`."""
        settings = {**_ONE_BLOCK, **({"insert_deduplication_token": token} if token else {})}
        with _translated():
            self._ready().raw_insert(
                f"{self._database}.{table}", columns, insert_block=stream, fmt="ArrowStream", settings=settings
            )

    def columns(self, table: str) -> dict[str, str]:
        """Return the names and types of a table's columns."""
        return {str(name): str(kind) for name, kind, *_ in self.rows(f"DESCRIBE TABLE {table}")}

    def close(self) -> None:
        """Release the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _ready(self, *, database: bool = True) -> Any:
        if self._client is None:
            self._client = clickhouse_connect.get_client(**self._options, database="default")
        if database:
            self._client.database = self._database
        return self._client


@contextmanager
def _translated() -> Iterator[None]:
    """ClickHouse's and the network's exceptions become ours: the one place where that is done."""
    try:
        yield
    except (ClickHouseError, urllib3.exceptions.HTTPError, requests.RequestException, OSError) as error:
        code = int(getattr(error, "code", None) or 0)
        answered = isinstance(error, DatabaseError) and not isinstance(error, OperationalError) and code
        if answered and code not in BUSY:
            raise HistoryError(_sentence(error), code) from None
        raise HistoryUnavailable(f"ClickHouse does not answer now: {_sentence(error)}", code) from None


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:2_000]
