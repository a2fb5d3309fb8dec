"""YAML bytes as a bounded tree with line numbers. Pure, and never a traceback: what cannot be read is a problem.

The meaning is that of YAML's safe loader, except that its traps are named instead of sprung: a bare ``no`` is not taken
for false, ``0755`` not for 493, ``1:30`` not for 90 and ``2026-01-01`` not for a date. Anchors, aliases, tags and merge
keys are refused, so a file never holds more than it shows. The bounds below keep the work that one file makes in
proportion to its bytes, and its memory far under 200 MB, whatever the bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from contracts.errors import Problem

MAX_FILE_BYTES: Final = 512 * 1024
MAX_NODES: Final = 50_000
"""Values in one file, keys counted."""
MAX_DEPTH: Final = 24
MAX_PROBLEMS: Final = 100
"""Of one file; more than that are one sentence."""
MAX_SCALAR: Final = 4_000
"""Characters of one value or name."""

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")


class Bad:
    """The value of something that has been reported already: readers pass it on in silence."""

    def __repr__(self) -> str:
        return "BAD"


BAD: Final = Bad()


@dataclass(slots=True, eq=False)
class YamlNode:
    """One value of the tree. ``line`` counts from 1; ``value`` is the scalar's, or BAD where it is a trap.

    Of ``items`` (a list) and ``pairs`` (a mapping) one is None, for a scalar both.
    """

    line: int
    parent: YamlNode | None = None
    key: str | int = ""
    value: Any = None
    text: str = ""
    items: list[YamlNode] | None = None
    pairs: list[tuple[YamlNode, YamlNode]] | None = None

    @property
    def field(self) -> str:
        """The dotted path from the document, list elements counted from 1: ``sequence[2].where.path``."""
        found = ""
        node: YamlNode | None = self
        while node is not None and node.parent is not None:
            found = joined(_part(node.key), found)
            node = node.parent
        return found

    def get(self, name: str) -> YamlNode | None:
        """The value of a name, of a mapping."""
        return next((value for key, value in self.pairs or () if key.value == name), None)


@dataclass(slots=True)
class Report:
    """The problems of one file."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    left_out: int = 0

    def add(self, line: int, name: str, found: str, wanted: str) -> None:
        """Note a problem; past :data:`MAX_PROBLEMS` they are only counted."""
        if not self.full:
            self.problems.append(Problem(f"{self.file}:{line}", name, _printable(found), _printable(wanted)))
        else:
            self.left_out += 1

    @property
    def full(self) -> bool:
        """Whether further problems are only counted."""
        return len(self.problems) >= MAX_PROBLEMS

    def refuse(self, node: YamlNode, found: str, wanted: str) -> Bad:
        """Note a problem of a node."""
        self.add(node.line, "" if self.full else node.field, found, wanted)
        return BAD

    def finished(self) -> list[Problem]:
        """All problems in the order of their lines, with a last one for those left out."""
        found = sorted(self.problems, key=lambda problem: int(problem.where.rpartition(":")[2]))
        if self.left_out:
            found.append(Problem(f"{self.file}:1", "", f"{self.left_out} more problems", "mend these first"))
        return found


def _part(key: str | int) -> str:
    return f"[{key}]" if isinstance(key, int) else shortened(key)


def joined(path: str, name: str) -> str:
    """A dotted path with one more part."""
    return f"{path}.{name}" if path and name and not name.startswith("[") else path + name


def shortened(text: str, limit: int = 60) -> str:
    """A text for a person: one line, printable, bounded."""
    clean = _printable(text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


def phrase(node: YamlNode) -> str:
    """Name a node's value for a message: a list, nothing, the text "x"."""
    if node.items is not None:
        return "a list"
    if node.pairs is not None:
        return "a mapping"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, bool):
        return "true" if node.value else "false"
    kind = "the text" if isinstance(node.value, str) else "the number"
    return f'{kind} "{shortened(node.text)}"' if kind == "the text" else f"{kind} {shortened(node.text)}"


def documents(data: bytes, report: Report, *, begins: str = "listener: its-name") -> list[YamlNode]:
    """The documents of a file; problems go into ``report``, and what is bad inside a document has the value BAD.

    ``begins``: how such a file begins, for the problem of an empty one.
    """
    text = _text(data, report)
    if text is None:
        return []
    builder = _Builder(report)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if not builder.take(event):
                return []
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # NOTE: the parser in Python, where libyaml is missing, raises the last two for escapes of no character.
        _refuse_syntax(text, error, report)
        return []
    if not builder.roots:
        report.add(1, "", "an empty file", f"begin with `{begins}`")
    return builder.roots


def _text(data: bytes, report: Report) -> str | None:
    if len(data) > MAX_FILE_BYTES:
        report.add(1, "", f"more than {MAX_FILE_BYTES} bytes", "split the file")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        report.add(line, "", f"the byte 0x{data[error.start]:02x}, which is no UTF-8", "save the file as UTF-8")
        return None
    if found := _FORBIDDEN.search(text):
        line = text.count("\n", 0, found.start()) + 1
        report.add(line, "", f"the character U+{ord(found[0]):04X}", "remove it: YAML has no control characters")
        return None
    return text


def _refuse_syntax(text: str, error: Exception, report: Report) -> None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line, mark.column) if mark else (0, 0)
    context, problem = getattr(error, "context", None) or "", getattr(error, "problem", None) or "bad bytes"
    lines = text.splitlines()
    shown = lines[line] if line < len(lines) else ""
    if "\t" in shown[: column + 1]:
        found, wanted = "a tab", "indent with spaces: YAML takes no tabs there"
    elif "alias" in context or "alphabetic or numeric" in problem:
        found, wanted = "a bare * or &, which YAML takes for an alias or anchor", 'write it in quotes: "*"'
    elif "mapping values are not allowed" in problem:
        found, wanted = "a second colon on the line", "indent it as a mapping, or put the text in quotes"
    else:
        found, wanted = f"YAML that does not parse ({problem})", "mind the indentation, colons and quotes"
    report.add(line + 1, "", found, wanted)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


@dataclass(slots=True)
class _Builder:
    """Makes the tree of the parser's events without recursion."""

    report: Report
    roots: list[YamlNode] = field(default_factory=list)
    stack: list[YamlNode] = field(default_factory=list)
    keys: list[YamlNode | None] = field(default_factory=list)
    nodes: int = 0

    def take(self, event: yaml.Event) -> bool:
        """Take one event; False where the file is refused."""
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self.stack.pop()
            self.keys.pop()
            return True
        if not isinstance(event, yaml.NodeEvent):
            return True
        node = YamlNode(_line(event))
        self.nodes += 1
        if not self._is_plain(event, node):
            return False
        if isinstance(event, yaml.ScalarEvent):
            node.text = event.value
            node.value = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node.items = []
        else:
            node.pairs = []
        self._place(node)
        if not isinstance(event, yaml.ScalarEvent):
            self.stack.append(node)
            self.keys.append(None)
        return True

    def _is_plain(self, event: Any, node: YamlNode) -> bool:
        refusal = self._refusal(event)
        if refusal is not None:
            self.report.add(node.line, self._field(), *refusal)
        return refusal is None

    def _refusal(self, event: Any) -> tuple[str, str] | None:
        """What was found and what would be right, where the whole file is refused for it."""
        if self.nodes > MAX_NODES:
            return f"more than {MAX_NODES} values", "split the file"
        if len(self.stack) >= MAX_DEPTH:
            return f"more than {MAX_DEPTH} levels", "nest less"
        quoted = "write the value {}; a text that begins with {} stands in quotes"
        if isinstance(event, yaml.AliasEvent):
            return f'the alias "*{shortened(str(event.anchor))}"', quoted.format("out", "*")
        if event.anchor is not None:
            return f'the anchor "&{shortened(str(event.anchor))}"', quoted.format("out", "&")
        if event.tag is not None and event.tag != "!":
            return f'the tag "{shortened(event.tag)}"', quoted.format("without a tag", "!")
        return None

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if len(text) > MAX_SCALAR:
            found = f"a text of {len(text)} characters"
            self.report.add(_line(event), self._field(), found, f"keep it to {MAX_SCALAR}")
            return BAD
        if not event.implicit[0]:
            return text
        for pattern, found, wanted in _TRAPS:
            if pattern.fullmatch(text):
                said = (found.format(text=text), wanted.format(text=text))
                self.report.add(_line(event), self._field(), *said)
                return BAD
        return _resolved(text)

    def _field(self) -> str:
        if not self.stack:
            return ""
        last, parent = self.keys[-1], self.stack[-1]
        if parent.items is not None:
            return joined(parent.field, _part(len(parent.items) + 1))
        return joined(parent.field, _part(last.text)) if last is not None else parent.field

    def _place(self, node: YamlNode) -> None:
        if not self.stack:
            self.roots.append(node)
            return
        parent, key = self.stack[-1], self.keys[-1]
        node.parent = parent
        if parent.items is not None:
            parent.items.append(node)
            node.key = len(parent.items)
        elif parent.pairs is not None and key is None:
            self.keys[-1] = node
            node.key = node.text
        elif parent.pairs is not None and key is not None:
            node.key, node.line = key.text, key.line  # what begins on the next line belongs to its name
            parent.pairs.append((key, node))
            self.keys[-1] = None


_TRAPS: Final[tuple[tuple[re.Pattern[str], str, str], ...]] = (
    (
        re.compile("yes|on", re.IGNORECASE),
        "a bare {text}, which YAML takes for true",
        'write "{text}" in quotes, or true',
    ),
    (
        re.compile("no|off", re.IGNORECASE),
        "a bare {text}, which YAML takes for false",
        'write "{text}" in quotes, or false',
    ),
    (
        re.compile(r"\d{4}-\d\d?-\d\d?([Tt\s].*)?"),
        "a bare {text}, which YAML takes for a date",
        'write "{text}" in quotes',
    ),
    (
        re.compile(r"[-+]?([1-9][0-9_]*(:[0-5]?[0-9])+|[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*)"),
        "a bare {text}, which YAML takes for a number to the base of 60",
        'write "{text}" in quotes',
    ),
    (
        re.compile(r"[-+]?(0[0-9_]+|0x[0-9a-fA-F_]+|0b[01_]+)"),
        "a bare {text}, which YAML may take for an octal or other number",
        'write "{text}" in quotes, or a number without a zero in front',
    ),
    (
        re.compile(r"[-+]?\d[\d,]*_[\d_,]*(\.[\d_]*)?"),
        "a bare {text}, which YAML takes for a number",
        'write "{text}" in quotes, or the number without _',
    ),
    (
        re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE),
        "a bare {text}, which YAML takes for no finite number",
        'write "{text}" in quotes, or a number',
    ),
    (
        re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+"),
        "a bare {text}, which some take for a number and some for a text",
        'write "{text}" in quotes, or the number without e',
    ),
    (re.compile("<<|="), "a bare {text}, which YAML takes for a merge", 'write "{text}" in quotes, or leave it out'),
)
"""Plain scalars that mean something else than they look like: (form, what was found, what would be right)."""

_INT = re.compile("[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)")
_BOOLS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


def _resolved(text: str) -> Any:
    """What a plain scalar that is no trap means."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        return int(text)  # MAX_SCALAR is below the 4,300 digits that Python converts
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
