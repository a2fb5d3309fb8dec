"""Paths into an event's properties: ``category``, ``cart.total``, ``items[].sku`` (SEMANTICS 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from contracts.codec import to_json

Values = Callable[[Mapping[str, Any]], Sequence[Any]]
"""The values at a path: none where it leads nowhere, several where it goes through ``[]``."""

_NOTHING: Final[tuple[Any, ...]] = ()
_EXACT_FLOAT: Final = 2**53


def values_at(path: str) -> Values:
    """Compile a path. A property whose own name is the whole path wins over going into objects."""
    if "." not in path and "[]" not in path:
        return lambda properties: (properties[path],) if path in properties else _NOTHING
    parts = _parts(path)

    def found(properties: Mapping[str, Any]) -> Sequence[Any]:
        if path in properties:
            return (properties[path],)
        values: list[Any] = [properties]
        for part in parts:
            values = _stepped(values, part)
        return values

    return found


def _parts(path: str) -> list[str | None]:
    """Names to go into; None goes into each element of a list."""
    parts: list[str | None] = []
    for part in path.split("."):
        name = part.rstrip("[]")
        if name:
            parts.append(name)
        parts.extend([None] * part.count("[]"))
    return parts


def _stepped(values: list[Any], part: str | None) -> list[Any]:
    if part is None:
        return [element for value in values if isinstance(value, list) for element in value]
    return [value[part] for value in values if isinstance(value, dict) and part in value]


def frozen(value: Any) -> str:
    """A text that two values share exactly if they are the same value: no coercion, but 1 and 1.0 are one number."""
    if type(value) is str:
        return "=" + value
    return to_json(_plain_numbers(value)).decode()


def _plain_numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_FLOAT:
        return int(value)
    if isinstance(value, list):
        return [_plain_numbers(element) for element in value]
    if isinstance(value, dict):
        return {name: _plain_numbers(element) for name, element in value.items()}
    return value


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same: ``"50"`` is not ``50``, ``true`` is not ``1``."""
    if type(left) is type(right) and not isinstance(left, (list, dict)):
        return bool(left == right)
    return frozen(left) == frozen(right)


def is_number(value: Any) -> bool:
    """Whether it is a number; a boolean is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
