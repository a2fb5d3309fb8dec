"""YAML text to a tree that remembers lines: what the parser of listeners reads instead of PyYAML's values.

PyYAML scans; the tree is ours, because a listener needs what a value no longer has: the line, whether a scalar was
quoted, doubled keys. It is built from events, without recursion, and everything is bounded: size, nodes, depth;
aliases and tags are refused. The traps of YAML 1.1 (``no`` is false, ``010`` is 8, ``1:30`` is 90) are named instead of
sprung.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from segma.contracts.errors import Problem

MAX_FILE_BYTES: Final = 256 * 1024
"""A listener has a few hundred bytes; a generated file with hundreds of them still fits."""
MAX_NODES: Final = 50_000
MAX_DEPTH: Final = 16
"""A listener needs eight levels (sequence, step, any_of three deep, where, property, operator)."""
MAX_SCALAR: Final = 2_000

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)?\.[0-9]+([eE][-+]?[0-9]+)?|[-+]?(0|[1-9][0-9]*)\.?[eE][-+]?[0-9]+")
_NULL = {"", "~", "null", "Null", "NULL"}
_TRAPS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"(?i)y|yes|on"), "YAML reads it as true"),
    (re.compile(r"(?i)n|no|off"), "YAML reads it as false"),
    (re.compile(r"[-+]?0[0-7_]+"), "YAML reads it as an octal number"),
    (re.compile(r"[-+]?0x[0-9a-fA-F_]+"), "YAML reads it as a hexadecimal number"),
    (re.compile(r"[-+]?0b[01_]+"), "YAML reads it as a binary number"),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), "YAML reads it as a number to the base of 60"),
    (re.compile(r"[-+]?[0-9][0-9]*_[0-9_]*(\.[0-9_]*)?"), "YAML drops the underscores of a number"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?"), "YAML reads it as a date"),
    (re.compile(r"(?i)[-+]?\.inf|\.nan"), "YAML reads it as a number that no event has"),
    (re.compile(r"[-+]?[0-9]+\."), "YAML reads it as a number"),
    (re.compile(r"0[0-9]+"), "it looks like a number with a leading zero"),
    (re.compile(r"[<=]{1,2}"), "YAML gives it a meaning of its own"),
)


@dataclass(slots=True)
class Scalar:
    """A single value. ``value``: str, int, float, bool or None; ``trap``: what YAML would have made of it."""

    line: int
    text: str
    value: Any
    trap: str = ""


@dataclass(slots=True)
class Items:
    """A list."""

    line: int
    nodes: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Fields:
    """A mapping, in the file's order. A doubled key keeps its first value and is a problem of its own."""

    line: int
    entries: dict[str, tuple[int, Node]] = field(default_factory=dict)
    waiting: tuple[int, str] | None = None
    """While it is being built: the key whose value comes next."""


Node = Scalar | Items | Fields


def phrase(node: Node) -> str:
    """What was found, for an error: short, safe, recognisable."""
    if isinstance(node, Items):
        return "a list"
    if isinstance(node, Fields):
        return "a mapping"
    if node.value is None and not node.trap:
        return "nothing"
    shown = node.text if len(node.text) <= 40 else node.text[:37] + "…"
    return f"`{shown}`"


def read_documents(name: str, data: bytes) -> tuple[list[Fields], list[Problem]]:
    """The documents of a file that are mappings, and what is wrong with it. ``name`` stands in the problems."""
    builder = _Builder(name)
    if len(data) > MAX_FILE_BYTES:
        return [], [Problem(name, "", f"{len(data)} bytes", f"at most {MAX_FILE_BYTES} bytes a file")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return [], [Problem(f"{name}:{line}", "", "bytes that are not UTF-8", "save the file as UTF-8")]
    try:
        builder.build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        builder.problems.append(Problem(f"{name}:{line}", "", _yaml_fault(error), "write valid YAML"))
    except (yaml.YAMLError, ValueError) as error:
        builder.problems.append(Problem(name, "", _reader_fault(error), "write plain text"))
    except _TooMuch as error:
        builder.problems.append(error.problem)
    return builder.documents, builder.problems


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _yaml_fault(error: yaml.MarkedYAMLError) -> str:
    return f"not YAML ({error.problem or error.context})"


def _reader_fault(error: Exception) -> str:
    return f"a character that YAML forbids ({str(error).splitlines()[0]})"


class _TooMuch(Exception):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class _Builder:
    """Builds the trees from PyYAML's events, with its own stack."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self.documents: list[Fields] = []
        self._stack: list[Items | Fields] = []
        self._nodes = 0

    def build(self, events: Iterator[yaml.Event]) -> None:
        for event in events:
            line = event.start_mark.line + 1 if event.start_mark else 0
            if isinstance(event, yaml.AliasEvent):
                self._refuse(line, f"the alias `*{event.anchor}`", "write it out: aliases are not read")
            elif isinstance(event, yaml.NodeEvent):
                self._node(event, line)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._stack.pop()

    def _refuse(self, line: int, found: str, wanted: str) -> None:
        raise _TooMuch(Problem(f"{self.name}:{line}", "", found, wanted))

    def _node(self, event: Any, line: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._refuse(line, f"more than {MAX_NODES} values", "split the file")
        if event.anchor is not None:
            self._refuse(line, f"the anchor `&{event.anchor}`", "write it out: anchors are not read")
        if event.tag is not None and event.tag != "!":
            self._refuse(line, f"the tag `{event.tag}`", "leave it out: tags are not read")
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event, line)
        else:
            node = Items(line) if isinstance(event, yaml.SequenceStartEvent) else Fields(line)
        self._place(node)
        if not isinstance(node, Scalar):
            self._stack.append(node)
            if len(self._stack) > MAX_DEPTH:
                self._refuse(line, f"more than {MAX_DEPTH} levels", "nest less deeply")

    def _scalar(self, event: Any, line: int) -> Scalar:
        text: str = event.value
        if len(text) > MAX_SCALAR:
            self._refuse(line, f"a text of {len(text)} characters", f"at most {MAX_SCALAR} characters")
        plain = event.implicit[0]
        return _plain_scalar(line, text) if plain else Scalar(line, text, text)

    def _place(self, node: Node) -> None:
        if not self._stack:
            if isinstance(node, Fields):
                self.documents.append(node)
            elif not (isinstance(node, Scalar) and node.value is None):
                self.problems.append(
                    Problem(f"{self.name}:{node.line}", "", phrase(node), "start with `listener: name`")
                )
            return
        parent = self._stack[-1]
        if isinstance(parent, Items):
            parent.nodes.append(node)
        elif parent.waiting is None:
            parent.waiting = self._key(node)
        else:
            line, key = parent.waiting
            parent.waiting = None
            if key in parent.entries:
                first = parent.entries[key][0]
                self.problems.append(
                    Problem(f"{self.name}:{line}", key, f"a second `{key}`", f"keep one: the first is in line {first}")
                )
            else:
                parent.entries[key] = (line, node)

    def _key(self, node: Node) -> tuple[int, str]:
        if not isinstance(node, Scalar):
            self._refuse(node.line, f"{phrase(node)} as a field's name", "a name")
            raise AssertionError  # _refuse does not return
        if not isinstance(node.value, str) or node.trap:
            trap = f" ({node.trap})" if node.trap else ""
            self.problems.append(
                Problem(f"{self.name}:{node.line}", node.text, f"the name `{node.text}`{trap}", f'write "{node.text}"')
            )
        return node.line, node.text


def _plain_scalar(line: int, text: str) -> Scalar:
    """An unquoted scalar. The YAML 1.2 core is taken; what YAML 1.1 reads otherwise is a trap."""
    if text in _NULL:
        return Scalar(line, text, None)
    if text.lower() in {"true", "false"}:
        return Scalar(line, text, text.lower() == "true")
    if _INT.fullmatch(text) and len(text) <= 18:
        return Scalar(line, text, int(text))
    if _FLOAT.fullmatch(text):
        return Scalar(line, text, float(text))
    for pattern, meaning in _TRAPS:
        if pattern.fullmatch(text):
            return Scalar(line, text, text, meaning)
    return Scalar(line, text, text)
