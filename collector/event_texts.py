"""A beacon's JSON text parted into its events, so that one that no reader takes does not cost the others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

# NOTE: the possessive repetitions never try again, and a text that does not end is one token: the scan is linear.
_TOKENS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[\[\]{},:]', re.DOTALL)
_OPENING: Final = frozenset({b"[", b"{"})
_CLOSING: Final = frozenset({b"]", b"}"})


class Parts(NamedTuple):
    """A beacon's text: up to and with the bracket of its ``events``, the events' own texts, and from the bracket on."""

    head: bytes
    events: list[bytes]
    tail: bytes

    def holding(self, events: Sequence[bytes]) -> bytes:
        """The beacon's text with these events."""
        return self.head + b",".join(events) + self.tail


def parts_of(body: bytes) -> Parts | None:
    """The parts of a beacon's text, whatever its events hold; None where it has no list of events that ends.

    >>> parts_of(b'{"site":"k","events":[{"a":NaN},{}]}').events
    [b'{"a":NaN}', b'{}']
    """
    tokens = _TOKENS.finditer(body)
    start = _start_of_events(tokens)
    if start is None:
        return None
    events, begin, depth = [], start, 0
    for token in tokens:
        sign = token[0]
        if sign in _OPENING:
            depth += 1
        elif depth and sign in _CLOSING:
            depth -= 1
        elif not depth and sign in {b",", b"]"}:
            events.append(body[begin : token.start()].strip())
            begin = token.end()
            if sign == b"]":
                return Parts(body[:start], events, body[token.start() :])
    return None


def _start_of_events(tokens: Iterator[re.Match[bytes]]) -> int | None:
    """Where the list ``events`` of the outermost object begins."""
    depth, before = 0, (b"", b"")
    for token in tokens:
        sign = token[0]
        if sign == b"[" and depth == 1 and before == (b'"events"', b":"):
            return token.end()
        if sign in _OPENING:
            depth += 1
        elif sign in _CLOSING:
            depth -= 1
        before = (before[1], sign)
    return None
