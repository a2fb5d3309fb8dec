"""The syntax tree of a statement, as ClickHouse's own parser prints it (``EXPLAIN AST``): one node a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from analytics.embedded.engine import EngineError, engine_error

_LINE: Final = re.compile(r"( *)([A-Za-z][A-Za-z:]*)(.*?)( \(children (\d+)\))?")
_ALIAS: Final = re.compile(r" \(alias .*\)$")
_LITERAL: Final = re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL)
_ESCAPED_NAME: Final = re.compile(r'`[^`]*[\\\x00-\x1f]|"[^"]*[\\\x00-\x1f]')


class Node(NamedTuple):
    """One node: ``kind`` as in ``Function``, ``name`` what follows, ``parents`` the kinds above, the root first.

    ``position`` is its place among its siblings, ``above`` the name of the nearest function above it.
    """

    kind: str
    name: str
    parents: tuple[str, ...]
    position: int
    above: str


def literals_removed(canonical: str) -> str:
    """Return the statement with every string literal empty."""
    return _LITERAL.sub("''", canonical)


def check_names(canonical: str) -> None:
    """Refuse identifiers with a line feed or a backslash in them: they could draw nodes that are not there."""
    if _ESCAPED_NAME.search(literals_removed(canonical)):
        raise engine_error(497, "analyst: names with control characters or backslashes", "ACCESS_DENIED")


def nodes_of(tree: str) -> Iterator[Node]:
    """Yield the nodes of a tree, in the order of its lines. Raises :class:`EngineError` where a line is none."""
    path: list[tuple[str, str]] = []
    positions: list[int] = []
    for line in tree.splitlines():
        if not line:
            continue
        found = _LINE.fullmatch(line)
        depth = len(found[1]) if found else -1
        if found is None or depth > len(path):
            raise _unread()
        kind, name = found[2], _ALIAS.sub("", found[3]).strip()
        del path[depth:]
        positions[depth + 1 :] = []
        positions += [-1] * (depth + 1 - len(positions))
        positions[depth] += 1
        above = next((each for kind_above, each in reversed(path) if kind_above == "Function"), "")
        yield Node(kind, name, tuple(each for each, _ in path), positions[depth], above)
        path.append((kind, name))


def _unread() -> EngineError:
    return engine_error(497, "analyst: the statement's syntax tree is not understood", "ACCESS_DENIED")
