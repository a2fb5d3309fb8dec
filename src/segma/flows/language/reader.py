"""Reading a tree at the door: each value is taken or noted as a problem, and reading goes on.

A :class:`Spot` is a node, where it stands and what it is called; its readers return the value, or None after noting
what is wrong. So all errors of all files come at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from segma.contracts.errors import Problem
from segma.contracts.installation import duration_ms
from segma.flows.language.grammar import MAX_DURATION_MS
from segma.flows.language.tree import Fields, Items, Node, Scalar, phrase

DURATION_WANTED = "one whole number above zero and one unit: 250ms, 10s, 30m, 2h or 7d"


class Sheet:
    """Where problems are collected; ``actions``: the known ones."""

    def __init__(self, file: str, actions: Collection[str]) -> None:
        self.file = file
        self.actions = actions
        self.problems: list[Problem] = []

    def note(self, line: int, field: str, found: str, wanted: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(f"{self.file}:{line}", field, found, wanted))


def suggestion(found: str, known: Collection[str]) -> str:
    """``did you mean `x`?``, or an empty text where nothing is near."""
    near = difflib.get_close_matches(found[:80], sorted(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""


class Entry(NamedTuple):
    """One entry of a mapping: its name, and its value's spot."""

    name: str
    spot: Spot


@dataclass(frozen=True, slots=True)
class Spot:
    """A node with its place: ``path`` is dotted, lists in brackets from 1: ``sequence[2].where.value``."""

    sheet: Sheet
    node: Node
    path: str
    line: int

    def bad(self, wanted: str, found: str | None = None) -> None:
        """Note that this value is wrong."""
        trap = f" ({self.node.trap}; quote it)" if isinstance(self.node, Scalar) and self.node.trap else ""
        self.sheet.note(self.line, self.path, (found or phrase(self.node)) + trap, wanted)

    def entries(self, known: Collection[str] | None, wanted: str) -> list[Entry] | None:
        """The entries of a mapping. Names that are not ``known`` (None: any) are noted and left out."""
        if not isinstance(self.node, Fields):
            self.bad(wanted)
            return None
        found = []
        for name, (line, node) in self.node.entries.items():
            spot = Spot(self.sheet, node, f"{self.path}.{name}" if self.path else name, line)
            if known is not None and name not in known:
                hint = suggestion(name, known) or f"known here: {', '.join(sorted(known))}"
                self.sheet.note(line, spot.path, f"the unknown field `{name}`", hint)
            else:
                found.append(Entry(name, spot))
        return found

    def items(self, wanted: str, *, most: int, least: int = 1) -> list[Spot] | None:
        """The elements of a list of ``least`` to ``most``."""
        if not isinstance(self.node, Items):
            self.bad(wanted)
            return None
        nodes = self.node.nodes
        if not least <= len(nodes) <= most:
            self.bad(f"{least} to {most} of them", f"{len(nodes)} elements")
            return None
        return [
            Spot(self.sheet, node, f"{self.path}[{number}]", node.line) for number, node in enumerate(nodes, start=1)
        ]

    def scalar(self, wanted: str) -> Any | None:
        """A text, a number or a boolean; traps of YAML are refused."""
        node = self.node
        if not isinstance(node, Scalar) or node.value is None or node.trap:
            self.bad(wanted)
            return None
        return node.value

    def text(self, wanted: str) -> str | None:
        """A text that is not empty."""
        value = self.node.value if isinstance(self.node, Scalar) and not self.node.trap else None
        if not isinstance(value, str) or not value.strip():
            self.bad(wanted)
            return None
        return value

    def whole(self, wanted: str, *, least: int, most: int) -> int | None:
        """A whole number within bounds."""
        value = self.node.value if isinstance(self.node, Scalar) else None
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.bad(wanted)
            return None
        return value

    def number(self, wanted: str) -> float | int | None:
        """A number."""
        value = self.node.value if isinstance(self.node, Scalar) else None
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            self.bad(wanted)
            return None
        return value

    def flag(self) -> bool:
        """``true`` or ``false``; False where it is neither."""
        value = self.node.value if isinstance(self.node, Scalar) else None
        if not isinstance(value, bool):
            self.bad("true or false")
            return False
        return value

    def duration(self, wanted: str = DURATION_WANTED) -> int | None:
        """Milliseconds of ``250ms, 10s, 30m, 2h, 7d``."""
        node = self.node
        if isinstance(node, Scalar) and isinstance(node.value, str) and not node.trap:
            try:
                value = duration_ms(node.value)
            except ValueError:
                self.bad(wanted)
                return None
            if value <= MAX_DURATION_MS:
                return value
            self.bad("at most 3650d")
            return None
        self.bad(wanted)
        return None

    def one_of(self, known: Sequence[str]) -> str | None:
        """One of a few words."""
        value = self.node.value if isinstance(self.node, Scalar) else None
        if not isinstance(value, str) or value not in known:
            self.bad(f"one of {', '.join(known)}")
            return None
        return value


def tried(values: Iterator[Any]) -> list[Any] | None:
    """All of them, or None if any is None. Every one is read, so that every problem is noted."""
    found = list(values)
    return None if any(value is None for value in found) else found
