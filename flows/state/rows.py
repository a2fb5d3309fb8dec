"""Rows of the changelog, and the state of a key that they make: a snapshot and the tail of inputs behind it.

What changes somebody is what came: the same inputs make the same of the same state (*live = replay*), so what came is
written, not the state that it made; whole states are written now and then. An input also depends on what it was applied
*under* (which listeners, which settings): that stands once, in a row without key, and the inputs name its number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from contracts.codec import Packed


class ChangelogRow(Packed, frozen=True):
    """A whole state, an input, or (without a key) what inputs are applied under.

    ``data`` None: the key was let go. ``due_ms``: log time, None where nothing waits. ``at_ms``: of an input the log
    time at which it was applied, of anything else None. ``under``: of an input the number of what it was applied under,
    of such a row its own.
    """

    key: str
    data: bytes | None
    due_ms: int | None
    at_ms: int | None = None
    under: int = 0


class Input(NamedTuple):
    """An input of a state at a log time. ``data`` empty: the time alone. ``under``: the pinned terms."""

    data: bytes
    at_ms: int
    under: bytes


class SnapshotAndTail(NamedTuple):
    """One key's state in the changelog: its snapshot (None: nothing), and the tail of inputs since, in order."""

    whole: bytes | None
    inputs: Sequence[Input]
    due_ms: int | None

    @property
    def size(self) -> int:
        """Bytes, its key aside."""
        return len(self.whole or b"") + sum(len(each.data) for each in self.inputs)


class _Growing:
    """A chain while its rows are read."""

    __slots__ = ("due_ms", "inputs", "whole")

    def __init__(self, whole: bytes | None) -> None:
        self.whole = whole
        self.inputs: list[Input] = []
        self.due_ms: int | None = None


def assembled(rows: Iterable[ChangelogRow]) -> dict[str, SnapshotAndTail]:
    """Assemble rows to the state of each key. A snapshot replaces all rows of its key before it."""
    under: dict[int, bytes] = {}
    found: dict[str, _Growing] = {}
    for row in rows:
        if not row.key:
            under[row.under] = row.data or b""
        elif row.data is None:
            found.pop(row.key, None)
        else:
            _grow(found, row, row.data, under)
    return {key: SnapshotAndTail(each.whole, tuple(each.inputs), each.due_ms) for key, each in found.items()}


def _grow(found: dict[str, _Growing], row: ChangelogRow, data: bytes, under: dict[int, bytes]) -> None:
    chain = found.get(row.key)
    if chain is None:
        chain = found[row.key] = _Growing(None)
    if row.at_ms is None:
        chain.whole, chain.inputs = data, []
    else:
        chain.inputs.append(Input(data, row.at_ms, under[row.under]))
    chain.due_ms = row.due_ms


def disassembled(chains: Iterable[tuple[str, SnapshotAndTail]], under: dict[bytes, int]) -> Iterator[ChangelogRow]:
    """Rows that make these states (:func:`assembled`). ``under``: the numbers given so far; it is added to."""
    for key, chain in chains:
        if chain.whole is not None:
            yield ChangelogRow(key, chain.whole, chain.due_ms)
        for each in chain.inputs:
            number = under.get(each.under)
            if number is None:
                number = under[each.under] = len(under)
                yield ChangelogRow("", each.under, None, None, number)
            yield ChangelogRow(key, each.data, chain.due_ms, each.at_ms, number)
