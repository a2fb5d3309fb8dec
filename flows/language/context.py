"""What every reader of the language is given, and what a reader is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flows.language.model import Reference
from flows.language.source import BAD, Report, YamlNode, shortened

Schema = dict[str, Any]


@dataclass(slots=True)
class ParseContext:
    """What readers know beside their node: where problems go, and the names around them.

    ``steps``: name → (number, whether it is a ``not``). ``here``: the number of the element being read; references lead
    only to lower ones. ``patterns``: those compiled so far in this file.
    """

    report: Report
    known_actions: Collection[str]
    steps: Mapping[str, tuple[int, bool]] = field(default_factory=dict)
    here: int = 0
    patterns: set[str] = field(default_factory=set)

    def suggestion(self, found: str, known: Collection[str], otherwise: str) -> str:
        """``did you mean "x"?`` where one is near, else what would be right, and what is known where that is short."""
        if self.report.full:
            return otherwise  # PERF: looking for near names is the dearest part of a problem that is only counted.
        near = difflib.get_close_matches(found[:60], sorted(known), n=1, cutoff=0.6)
        if near:
            return f'did you mean "{near[0]}"?'
        listed = ", ".join(sorted(known)) if 0 < len(known) <= 20 else ""
        return f"{otherwise}: {listed}" if listed else otherwise

    def refuse(self, node: YamlNode, found: str, wanted: str) -> Any:
        """Note a problem; BAD."""
        return self.report.refuse(node, found, wanted)

    def reference(self, node: YamlNode, text: str) -> Any:
        """``step.property`` of an earlier step, or BAD with a problem."""
        name, _, path = text.partition(".")
        number, is_not = self.steps.get(name, (0, False))
        if not number:
            known = [each for each, (at, guard) in self.steps.items() if at < self.here and not guard]
            wanted = self.suggestion(name, known, "the name of an earlier step")
            return self.refuse(node, f'"{shortened(name)}", a step that does not exist', wanted)
        if is_not:
            return self.refuse(node, f'a reference to "{name}", which is a `not`', "refer to a step that takes events")
        if number >= self.here:
            when = "the step itself" if number == self.here else "a later step"
            return self.refuse(node, f'a reference to "{name}", {when}', "refer to a step that comes earlier")
        return Reference(number, path) if checked_path(node, path, self) is not BAD else BAD


class ValueKind(Protocol):
    """A kind of value."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """The value, or BAD after the problem has been noted."""

    def schema(self) -> Schema:
        """The JSON Schema of what :meth:`read` takes."""


_PATH = re.compile(r"[^.\[\]]+(\[\])*(\.[^.\[\]]+(\[\])*)*")


def checked_path(node: YamlNode, path: str, context: ParseContext, *, several: bool = True) -> Any:
    """The path if it is one, else BAD with a problem."""
    if not _PATH.fullmatch(path):
        wanted = "a property, such as category, cart.total or items[].sku"
        return context.refuse(node, f'the path "{shortened(path)}"', wanted)
    if not several and "[]" in path:
        return context.refuse(node, f'the path "{shortened(path)}"', "a property with one value: no [] here")
    return path
