"""A query's progress in the headers of its answer, and the calls that watch it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

from analytics.embedded.engine import Connection, Progress
from analytics.embedded.request import QueryRequest
from contracts.codec import to_json

SUMMARY: Final = (
    "read_rows",
    "read_bytes",
    "written_rows",
    "written_bytes",
    "total_rows_to_read",
    "result_rows",
    "result_bytes",
    "elapsed_ns",
)


def summary(progress: Progress) -> str:
    """Return the value of ``X-ClickHouse-Summary``: the numbers as strings, as ClickHouse writes them."""
    return to_json({name: str(progress.get(name, 0)) for name in SUMMARY}).decode()


def written(seen: Sequence[Progress]) -> Progress:
    """Return the rows and bytes written by the last of these; empty where none was seen."""
    return {name: seen[-1].get(name, 0) for name in ("written_rows", "written_bytes")} if seen else {}


def with_progress(response: Response, query: QueryRequest, seen: list[Progress]) -> Response:
    """Put the progress up to the answer's beginning, if the query asks for it, and its last state into the headers."""
    for progress in seen[-20:] if query.progress else ():
        response.headers.append("X-ClickHouse-Progress", summary(progress))
    response.headers["X-ClickHouse-Summary"] = summary(seen[-1] if seen else {})
    return response


def watched(connection: Connection, query: QueryRequest, sql: str, seen: list[Progress]) -> tuple[bytes, Progress]:
    """Run a query and append each progress that the engine reports to ``seen``."""
    connection.watch(lambda progress: seen.append(dict(progress)))
    try:
        return connection.query(sql, query.format, query.params)
    finally:
        connection.watch(None)
