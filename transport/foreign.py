"""Reads the SQLite database of another program: never written, and waited for while that program writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from contracts.errors import SegmaError

PATIENCE_S: Final = 30.0

Ask = Callable[..., list[Any]]
"""Asks one query with its values; the rows. Raises :class:`ForeignDatabaseAway`."""


class ForeignDatabaseAway(SegmaError):
    """The database is not there, is none, or stays locked. Its text is the kind of error alone."""


@contextmanager
def reading(path: Path) -> Iterator[Ask]:
    """A database to ask, opened for reading alone. Raises :class:`ForeignDatabaseAway`, as each question does."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE_S)) as database:
            yield lambda query, *values: database.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise ForeignDatabaseAway(type(error).__name__) from None
