"""What ClickHouse says of its formats over HTTP, and which of them can be joined block by block."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

STREAMABLE: Final = frozenset(
    {"Native", "TabSeparated", "TSV", "TSVRaw", "CSV", "RowBinary", "JSONEachRow", "ArrowStream"}
)
"""Formats whose blocks, each of which the engine gives as a whole of its own, can be joined: those without head and
foot, and ArrowStream (:mod:`~analytics.embedded.arrow`)."""

_OCTETS: Final = "application/octet-stream"
_BY_NAME: Final = {
    **dict.fromkeys(
        ("JSON", "JSONCompact", "JSONStrings", "JSONColumns", "JSONColumnsWithMetadata"), "application/json"
    ),
    **dict.fromkeys(
        ("JSONCompactStrings", "JSONCompactColumns", "JSONObjectEachRow", "JSONColumnsWithMetadata"), "application/json"
    ),
    "XML": "application/xml",
    "Markdown": "text/markdown",
    "Parquet": _OCTETS,
    "SQLInsert": "text/plain",
}


def is_streamed(fmt: str, settings: Set[str]) -> bool:
    """Whether an answer goes out block by block. ``settings``: the names of those that the query changes."""
    # NOTE: each block would bring a dictionary of its own, which not every reader of Arrow takes.
    return fmt in STREAMABLE and "output_format_arrow_low_cardinality_as_dictionary" not in settings


def content_type(fmt: str) -> str:
    """Return the ``Content-Type`` of an answer in a format."""
    if fmt.startswith("CSV"):
        return f"text/csv; charset=UTF-8; header={'present' if 'WithNames' in fmt else 'absent'}"
    if fmt.startswith(("TabSeparated", "TSV")):
        return "text/tab-separated-values; charset=UTF-8"
    if fmt in _BY_NAME:
        return _with_charset(_BY_NAME[fmt])
    if fmt.startswith(("JSON", "NDJSON")):
        return "application/x-ndjson; charset=UTF-8"
    if fmt.startswith(("Pretty", "Vertical", "Values", "TSKV", "LineAsString")):
        return "text/plain; charset=UTF-8"
    return _OCTETS


def _with_charset(name: str) -> str:
    return name if name == _OCTETS else f"{name}; charset=UTF-8"
