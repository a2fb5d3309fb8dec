"""Columns of an external table: read as names and types, and written anew, so that nothing else reaches the engine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from analytics.embedded.engine import EngineError, engine_error

_TOKEN: Final = re.compile(
    r"\s*(?:(`(?:[^`\\]|\\.)+`)|('(?:[^'\\]|\\.|'')*')|([A-Za-z_][A-Za-z0-9_]*)|(-?\d+)|([(),=]))"
)
MAX_DEPTH: Final = 20
TYPES: Final = frozenset(
    {
        *("String", "FixedString", "Bool", "UUID", "IPv4", "IPv6", "Date", "Date32", "DateTime", "DateTime32"),
        *("DateTime64", "Time", "Time64", "Float32", "Float64", "BFloat16", "Decimal", "Decimal32", "Decimal64"),
        *("Decimal128", "Decimal256", "Enum", "Enum8", "Enum16", "Array", "Tuple", "Map", "Nullable", "Nested"),
        *("LowCardinality", "Variant", "Dynamic", "JSON", "Nothing", "Point", "Ring", "Polygon", "MultiPolygon"),
        *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256)),
    }
)


class Column(NamedTuple):
    """A column: its name, and its type written anew."""

    name: str
    type: str


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at = text.rstrip(), 0

    def ended(self) -> bool:
        return self._at >= len(self._text)

    def token(self) -> str:
        found = _TOKEN.match(self._text, self._at)
        if not found:
            raise _bad()
        self._at = found.end()
        return found[0].strip()

    def peek(self) -> str:
        at = self._at
        try:
            return "" if self.ended() else self.token()
        finally:
            self._at = at

    def type(self, depth: int = 0) -> str:
        """A type: a name of the list, with arguments that are types, numbers, texts, or ``'text' = number``."""
        name = self.token()
        if name not in TYPES or depth > MAX_DEPTH:
            raise _bad()
        if self.peek() != "(":
            return name
        self.token()
        parts = list(self._arguments(depth))
        return f"{name}({', '.join(parts)})"

    def _arguments(self, depth: int) -> Iterator[str]:
        while True:
            if self.peek() == ")":
                self.token()
                return
            yield self._argument(depth)
            if (end := self.token()) == ")":
                return
            if end != ",":
                raise _bad()

    def _argument(self, depth: int) -> str:
        first = self.peek()
        if first.startswith("'") or first.lstrip("-").isdigit():
            text = self.token()
            if self.peek() != "=":
                return text
            self.token()
            if not (number := self.token()).lstrip("-").isdigit():
                raise _bad()
            return f"{text} = {number}"
        if first in TYPES:
            return self.type(depth + 1)
        # A named element of a Tuple or of Nested.
        return f"{_quoted(self.token())} {self.type(depth + 1)}"


def read_structure(text: str) -> tuple[Column, ...]:
    """Read ``name Type, …``. Raises :class:`EngineError` (36) for anything that is more than names and types."""
    reader, found = _Reader(text), list[Column]()
    while True:
        name = _quoted(reader.token())
        found.append(Column(name, reader.type()))
        if reader.ended():
            return tuple(found)
        if reader.token() != ",":
            raise _bad()


def read_types(text: str) -> tuple[Column, ...]:
    """Read ``Type, …``; the columns are ``_1``, ``_2``, …, as ClickHouse names them. Raises :class:`EngineError`."""
    reader, found = _Reader(text), list[Column]()
    while True:
        found.append(Column(f"`_{len(found) + 1}`", reader.type()))
        if reader.ended():
            return tuple(found)
        if reader.token() != ",":
            raise _bad()


def _quoted(token: str) -> str:
    if token.startswith("`"):
        return token
    if not (token[0].isalpha() or token[0] == "_"):
        raise _bad()
    return f"`{token}`"


def _bad() -> EngineError:
    return engine_error(36, "The structure of an external table is names and types, nothing else", "BAD_ARGUMENTS")
