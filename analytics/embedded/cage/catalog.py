"""What the engine's own tables tell an analyst: of the history's database and the engine's own, and of no other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from analytics.embedded.engine import Connection, quoted

FILTERS: Final = "additional_table_filters"
"""The engine's setting: table → what must hold of its rows, wherever in a statement or a view it is read."""
WORDS: Final = (
    *("setting", "policy", "table function", "function", "keyword", "aggregate function combinator pair", "format"),
    *("merge tree setting", "table engine", "data type"),
)
"""What ``system.completions`` may complete: the language's own words, and no name of somebody's table."""
ENGINES_OWN: Final = ("system", "information_schema", "INFORMATION_SCHEMA")
_TABLES: Final = "SELECT DISTINCT table FROM system.columns WHERE database = 'system' AND name = 'database' ORDER BY 1"


def rows_told(connection: Connection, database: str) -> Mapping[str, str]:
    """Return the setting that leaves of the system's tables the rows about ``database``, and of temporary tables."""
    tables = connection.query(_TABLES, "TSVRaw")[0].decode().split()
    told = (database, *ENGINES_OWN)
    filters = {f"system.{table}": f"database IN ({_texts(('', *told))})" for table in tables}
    # NOTE: clients look for `default`, and are given the history where they ask for it.
    filters["system.databases"] = f"name IN ({_texts((*told, 'default'))})"
    filters["system.completions"] = f"context IN ({_texts(WORDS)})"
    return {FILTERS: "{" + ", ".join(f"{quoted(table)}: {quoted(kept)}" for table, kept in filters.items()) + "}"}


def _texts(words: Iterable[str]) -> str:
    return ", ".join(map(quoted, words))
