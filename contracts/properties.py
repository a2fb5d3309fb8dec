"""Which JSON values an event may hold: one rule, asked wherever an event comes in. Every stage keeps what it lets in.

The bounds are those of what stands behind the doors: MessagePack (states, snapshots) has integers of 64 bits, JSON and
ClickHouse have finite numbers, UTF-8 has no half surrogate pairs, and every reader follows nesting on its stack.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from contracts.codec import MAX_DEPTH
from contracts.errors import BadInput
from contracts.reasons import Reason

MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**64 - 1
MAX_PROPERTIES_DEPTH: Final = MAX_DEPTH - 3
"""Of objects and lists, ``properties`` itself counted; the beacon, its list of events and the event stand around it."""
MAX_VALUES: Final = 2_000
"""Members and elements of one event, at every depth together."""
MAX_KEY_CHARS: Final = 256
MAX_EVENT_BYTES: Final = 32_768
"""Of one event as JSON text."""


def check_properties(properties: Mapping[str, Any]) -> None:
    """Pass properties that every stage can store, encode, load and show; Python values as a JSON reader makes them.

    Raises :class:`BadInput` (``bad_event``) with what is wrong, never with a name or a value that was found.

    >>> check_properties({"sku": "runner-42", "value": 89.0, "tags": ["trail"]})
    """
    left = MAX_VALUES
    # Level by level and not recursive: the depth is then a count, and no input can use the stack up.
    level: list[Any] = [properties]
    for _ in range(MAX_PROPERTIES_DEPTH):
        deeper: list[Any] = []
        for holder in level:
            left -= len(holder)
            if left < 0:
                raise _bad(f"more than {MAX_VALUES} values")
            _check_members(holder, deeper)
        if not deeper:
            return
        level = deeper
    raise _bad(f"nested deeper than {MAX_PROPERTIES_DEPTH} levels")


def _check_members(holder: Any, deeper: list[Any]) -> None:
    """Check an object's keys and values, or a list's elements; objects and lists among them go into ``deeper``."""
    if isinstance(holder, dict):
        for key in holder:
            # PERF: short, of ASCII and printed as it stands: such a name is settled without a call.
            if not (type(key) is str and len(key) <= MAX_KEY_CHARS and key.isascii() and key.isprintable()):
                _check_key(key)
        holder = holder.values()
    for value in holder:
        if isinstance(value, str):
            if not value.isascii():
                _check_text(value)
        elif isinstance(value, dict | list | tuple):
            deeper.append(value)
        else:
            _check_scalar(value)


def _check_key(key: object) -> None:
    if not isinstance(key, str):
        raise _bad("a key that is no text")
    if len(key) > MAX_KEY_CHARS:
        raise _bad(f"a key of more than {MAX_KEY_CHARS} characters")
    if "\0" in key:
        raise _bad("a key with the character U+0000")
    _check_text(key)


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _bad("half a surrogate pair") from None


def _check_scalar(value: object) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if not MIN_INTEGER <= value <= MAX_INTEGER:
            raise _bad("an integer beyond 64 bits")
    elif not isinstance(value, float):
        raise _bad("a value that JSON does not have")
    elif not math.isfinite(value):
        raise _bad("a number that is not finite")


def _bad(detail: str) -> BadInput:
    return BadInput(Reason.BAD_EVENT, detail)
