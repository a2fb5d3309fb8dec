"""What the cells of Python's clients are given, and how they look at what came back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

GIVEN: Final[dict[str, Any]] = json.loads(os.environ["SEGMA_CELLS"])
"""``port``, ``passwords``, ``expected`` (the columns' values of each row as text), and the queries that are asked."""
PORT: Final = int(GIVEN["port"])
TEXT: Final = "it's \\ ä"


def told(value: Any) -> str:
    """A value as all clients tell it: instants as milliseconds, lists in brackets."""
    if value is None or value != value:
        return "null"
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "true" if value else "false"
    if isinstance(value, datetime) or hasattr(value, "timestamp"):
        whole = value if value.tzinfo else value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
        return str(round(whole.timestamp() * 1_000))
    if type(value).__name__ == "datetime64":
        return str(int(value.astype("datetime64[ms]").astype("int64")))
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}={told(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple) or type(value).__name__ in {"ndarray", "Series"}:
        if value and isinstance(value[0], tuple) and len(value[0]) == 2:
            return told(dict(value))
        return "[" + ",".join(told(each) for each in value) + "]"
    return str(value)


def check(found: object, wanted: object) -> None:
    """Raise where these differ."""
    if found != wanted:
        raise AssertionError(f"{str(found)[:300]} instead of {str(wanted)[:300]}")


def check_rows(rows: Iterable[Iterable[Any]]) -> None:
    """Raise where the rows of the table of types are others than those that were written."""
    check([[told(value) for value in row] for row in rows], GIVEN["expected"])


def check_fails(call: Callable[[], Any]) -> None:
    """Raise where a call gives an answer: the query ends with an error in its middle."""
    try:
        found = call()
    except Exception as error:
        if isinstance(error, AssertionError):
            raise
        return
    raise AssertionError(f"no error, but {str(found)[:100]}")
