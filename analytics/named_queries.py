"""The named queries: SQL files with a head that says what they answer and which parameters they take.

Parameters reach ClickHouse as parameters (``{name:Type}``), never as text in the SQL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any, Final

from contracts.errors import ConfigError, Problem

_PARAM = re.compile(r"-- (\w+) ([\w(), ']+?)(?: = ([^:]*))?: (.+)")
_AGO = re.compile(r"-(\d{1,5})([dhm])")
_MOST_OF: Final = {"UInt32": 100_000_000}
_AGO_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. ``default`` None: it must be given."""

    name: str
    type: str
    default: str | None
    meaning: str

    @property
    def is_instant(self) -> bool:
        """Whether it is a point in time."""
        return self.type.startswith("DateTime64")


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A query that answers one question."""

    name: str
    question: str
    parameters: tuple[Parameter, ...]
    sql: str

    def bound(self, given: Mapping[str, str], *, workspace: str, now_ms: int) -> dict[str, Any]:
        """The parameters with defaults filled in. Raises :class:`ConfigError` with every problem.

        An instant to come is now: whoever asks beyond it would get what is not known yet as what has not happened.
        """
        problems = [
            Problem(self.name, name, "no such parameter", f"known: {', '.join(each.name for each in self.parameters)}")
            for name in given
            if name not in {each.name for each in self.parameters}
        ]
        bound: dict[str, Any] = {"workspace": workspace}
        for each in self.parameters:
            text = given.get(each.name, each.default)
            if text is None:
                problems.append(Problem(self.name, each.name, "is missing", f"{each.name}=… ({each.meaning})"))
                continue
            try:
                bound[each.name] = _known(text, now_ms) if each.is_instant else _value(text, each.type)
            except ValueError as error:
                problems.append(Problem(self.name, each.name, f"{text[:60]!r}: {error}", each.meaning))
        if problems:
            raise ConfigError(problems)
        return bound


@cache
def named_queries() -> dict[str, NamedQuery]:
    """Every named query by its name."""
    folder = resources.files("analytics") / "queries"
    found = {}
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        name = file.name.removesuffix(".sql")
        if name == file.name:
            continue
        text = file.read_text("utf-8")
        head = [line for line in text.splitlines() if line.startswith("-- ")]
        parameters = tuple(
            Parameter(match[1], match[2], match[3], match[4]) for line in head[1:] if (match := _PARAM.fullmatch(line))
        )
        sql = "\n".join(line for line in text.splitlines() if not line.startswith("-- "))
        found[name] = NamedQuery(name, head[0].removeprefix("-- "), parameters, sql)
    return found


def instant(text: str, now_ms: int) -> datetime:
    """``now``, ``-7d``, ``-12h``, ``-30m``, or ISO 8601 (UTC where it says nothing else). Raises ``ValueError``."""
    now = datetime.fromtimestamp(now_ms / 1_000, UTC)
    if text == "now":
        return now
    try:
        if ago := _AGO.fullmatch(text):
            return now - timedelta(**{_AGO_UNITS[ago[2]]: int(ago[1])})
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise ValueError("an instant before the year 1 or after 9999") from None
    except ValueError:
        raise ValueError("no instant: now, -7d, or 2026-04-01T12:00:00") from None


def _known(text: str, now_ms: int) -> datetime:
    return min(instant(text, now_ms), instant("now", now_ms))


def _value(text: str, kind: str) -> str | int:
    if not kind.startswith("UInt"):
        return text
    most = _MOST_OF.get(kind, 10_000)
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > most:
        raise ValueError(f"no whole number up to {most}")
    return int(text)
