"""Blocks of the format Native, framed as the revision of a client's protocol asks.

The engine writes and reads blocks without a head, as ClickHouse does for clients of no revision. Newer ones put a head
before each block, a byte behind each column's type, and the time zone into the type of a plain ``DateTime``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from analytics.embedded.engine import EngineError, engine_error

TIME_ZONES: Final = 54_337
CUSTOM_SERIALIZATION: Final = 54_454
HEAD: Final = b"\x01\x00\x02\xff\xff\xff\xff\x00"
"""``is_overflows`` 0, ``bucket_num`` -1, and the end of the block's own fields."""

_PLAIN_DATETIME: Final = b"\x08DateTime"
_WIDTHS: Final[Mapping[str, int]] = {
    **{f"{sign}Int{bits}": bits // 8 for sign in ("", "U") for bits in (8, 16, 32, 64, 128, 256)},
    "Bool": 1,
    "Enum8": 1,
    "Enum16": 2,
    "Float32": 4,
    "Float64": 8,
    "BFloat16": 2,
    "Date": 2,
    "Date32": 4,
    "DateTime": 4,
    "DateTime64": 8,
    "Time": 4,
    "Time64": 8,
    "UUID": 16,
    "IPv4": 4,
    "IPv6": 16,
    "Nothing": 1,
    "Decimal32": 4,
    "Decimal64": 8,
    "Decimal128": 16,
    "Decimal256": 32,
}
_GEOMETRY: Final[Mapping[str, str]] = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "Polygon": "Array(Ring)",
    "MultiLineString": "Array(LineString)",
    "MultiPolygon": "Array(Polygon)",
}
_INDEX_WIDTHS: Final = (1, 2, 4, 8)


def needs_types(block: bytes, revision: int) -> bool:
    """Whether a block may hold a plain ``DateTime`` whose time zone the client wants."""
    return revision >= TIME_ZONES and _PLAIN_DATETIME in block


def framed(block: bytes, revision: int, types: Sequence[str] = ()) -> bytes:
    """Frame the engine's blocks for a client of ``revision`` (0: as they are).

    Args:
        block: one block, whole.
        revision: ``client_protocol_version``.
        types: the columns' full types, where :func:`needs_types` says so.

    Raises:
        EngineError: a column is of a type whose length cannot be told (48).
    """
    if not revision:
        return block
    if revision < CUSTOM_SERIALIZATION and not types:
        return HEAD + block
    return b"".join(_rewritten(block, revision, types))


def framed_all(blocks: bytes, revision: int) -> bytes:
    """Frame several blocks that came as one. Raises :class:`EngineError` as :func:`framed`."""
    return b"".join(_rewritten(blocks, revision, ())) if revision else blocks


def unframed(data: bytes, revision: int) -> bytes:
    """Take a client's framing away, if there is any.

    Raises :class:`EngineError` where the data end in the middle of a block.
    """
    if not revision or not data.startswith(HEAD):
        # NOTE: ClickHouse's own HTTP interface reads blocks without heads whatever the revision; Go sends them so.
        return data
    out, at = list[bytes](), 0
    try:
        while at < len(data):
            if data[at : at + len(HEAD)] != HEAD:
                raise _unreadable("a block does not begin with its head")
            at = _copied(data, at + len(HEAD), out, revision)
    except IndexError:
        raise _unreadable("it ends in the middle of a block") from None
    return b"".join(out)


def _rewritten(data: bytes, revision: int, types: Sequence[str]) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        yield HEAD
        begun = at
        columns, at = _varint(data, at)
        rows, at = _varint(data, at)
        yield data[begun:at]
        for number in range(columns):
            begun = at
            _, at = _text(data, at)
            yield data[begun:at]
            name, at = _text(data, at)
            full = types[number] if types else name
            yield _written(full if name == "DateTime" else name)
            if revision >= CUSTOM_SERIALIZATION:
                yield b"\x00"
            begun = at
            at = _after(data, at, name, rows) if rows else at
            yield data[begun:at]


def _copied(data: bytes, at: int, out: list[bytes], revision: int) -> int:
    begun = at
    columns, at = _varint(data, at)
    rows, at = _varint(data, at)
    out.append(data[begun:at])
    for _ in range(columns):
        begun = at
        _, at = _text(data, at)
        name, at = _text(data, at)
        out.append(data[begun:at])
        if revision >= CUSTOM_SERIALIZATION:
            if data[at]:
                raise _unreadable("a column has a serialization of its own")
            at += 1
        begun = at
        at = _after(data, at, name, rows) if rows else at
        if at > len(data):
            raise IndexError
        out.append(data[begun:at])
    return at


def _after(data: bytes, at: int, name: str, rows: int) -> int:
    """The place behind a column's data: its prefixes, then its values."""
    return _values(data, at + 8 * _dictionaries(name), name, rows)


def _dictionaries(name: str) -> int:
    return name.count("LowCardinality(")


def _values(data: bytes, at: int, name: str, rows: int) -> int:  # noqa: PLR0911, PLR0912
    outer, inner = _split(name)
    if outer in _WIDTHS:
        return at + _WIDTHS[outer] * rows
    match outer:
        case "String":
            return _strings(data, at, rows)
        case "FixedString":
            return at + int(inner[0]) * rows
        case "Decimal":
            return at + _decimal_width(int(inner[0])) * rows
        case "Nullable":
            return _values(data, at + rows, inner[0], rows)
        case "Array":
            return _array(data, at, inner[0], rows)
        case "Map":
            return _array(data, at, f"Tuple({inner[0]}, {inner[1]})", rows)
        case "Nested":
            return _array(data, at, f"Tuple({', '.join(inner)})", rows)
        case "Tuple":
            for each in inner:
                at = _values(data, at, _unnamed(each), rows)
            return at
        case "LowCardinality":
            return _low_cardinality(data, at, inner[0]) if rows else at
        case "SimpleAggregateFunction":
            return _values(data, at, inner[1], rows)
    if outer in _GEOMETRY:
        return _values(data, at, _GEOMETRY[outer], rows)
    if outer.startswith("Interval"):
        return at + 8 * rows
    raise engine_error(48, f"The type {name[:100]} cannot be framed for this client's revision", "NOT_IMPLEMENTED")


def _strings(data: bytes, at: int, rows: int) -> int:
    # PERF: the one loop that runs once a value.
    for _ in range(rows):
        length = data[at]
        at += 1
        if length > 127:
            length &= 127
            shift = 7
            while (more := data[at]) > 127:
                length |= (more & 127) << shift
                shift += 7
                at += 1
            length |= more << shift
            at += 1
        at += length
    return at


def _array(data: bytes, at: int, name: str, rows: int) -> int:
    if not rows:
        return at
    total = int.from_bytes(data[at + 8 * rows - 8 : at + 8 * rows], "little")
    return _values(data, at + 8 * rows, name, total)


def _low_cardinality(data: bytes, at: int, name: str) -> int:
    flags = int.from_bytes(data[at : at + 8], "little")
    keys = int.from_bytes(data[at + 8 : at + 16], "little")
    outer, inner = _split(name)
    at = _values(data, at + 16, inner[0] if outer == "Nullable" else name, keys)
    indexes = int.from_bytes(data[at : at + 8], "little")
    return at + 8 + indexes * _INDEX_WIDTHS[flags & 3]


def _decimal_width(precision: int) -> int:
    return next(width for most, width in ((9, 4), (18, 8), (38, 16), (76, 32)) if precision <= most)


def _split(name: str) -> tuple[str, list[str]]:
    """``Map(String, Array(Int8))``: ``Map`` and its arguments."""
    outer, bracket, rest = name.partition("(")
    if not bracket:
        return outer, []
    parts, depth, begun, quoted = list[str](), 0, 0, False
    rest = rest[:-1]
    for place, letter in enumerate(rest):
        if letter == "'" and rest[place - 1 : place] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += (letter == "(") - (letter == ")")
            if letter == "," and not depth:
                parts.append(rest[begun:place].strip())
                begun = place + 1
    return outer, [*parts, rest[begun:].strip()]


_ELEMENT = re.compile(r"(?:`(?:[^`\\]|\\.)*`|[A-Za-z_]\w*) (?=[A-Za-z])(.*)", re.DOTALL)


def _unnamed(element: str) -> str:
    """The type of a tuple's element, which may have a name before it."""
    found = _ELEMENT.fullmatch(element)
    return found[1] if found else element


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _text(data: bytes, at: int) -> tuple[str, int]:
    length, at = _varint(data, at)
    return data[at : at + length].decode("utf-8", "replace"), at + length


def _written(text: str) -> bytes:
    data = text.encode()
    return _number(len(data)) + data


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def _unreadable(why: str) -> EngineError:
    return engine_error(33, f"Cannot read all data of the format Native: {why}", "CANNOT_READ_ALL_DATA")
