"""The operands of operators: references, pairs, patterns, numbers that may be references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import re2

from flows.language.context import ParseContext, Schema, ValueKind
from flows.language.kinds import Either, ListOf, Number, Text
from flows.language.model import Reference
from flows.language.source import BAD, YamlNode, phrase

MAX_PATTERN: Final = 500
"""Characters of a ``matches``."""
MAX_PATTERNS: Final = 100
"""Different ``matches`` in one file: compiling one takes up to 5 ms."""
REGEX_MEMORY_BYTES: Final = 1 << 20
"""RE2's bound for one compiled pattern; a pattern that needs more is refused when it is read."""

_NUMBER_OR_REFERENCE = "a number, or step.property of an earlier step"


@dataclass(frozen=True, slots=True)
class Referred:
    """``step.property`` of an earlier step. ``several``: the path may go through ``[]``."""

    several: bool = False

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """A :class:`Reference`."""
        wanted = "step.property of an earlier step, such as looked.category"
        found = Text(wanted, r"[^.]+\..+", 300).read(node, context)
        if found is not BAD and "[]" in found and not self.several:
            return context.refuse(node, phrase(node), "a property with one value: [] goes with same_as and shares_with")
        return BAD if found is BAD else context.reference(node, found)

    def schema(self) -> Schema:
        """A string with a dot."""
        return {"type": "string", "pattern": r"^[^.]+\..+$"}


@dataclass(frozen=True, slots=True)
class Ends:
    """``[a, b]`` with a at most b."""

    kind: ValueKind
    wanted: str = "a list of two: [least, most]"

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """Both ends."""
        found = ListOf(self.kind, self.wanted, 2, 2).read(node, context)
        if found is BAD or any(isinstance(end, Reference) for end in found) or found[0] <= found[1]:
            return found
        return context.refuse(node, "the greater end first", "[least, most]")

    def schema(self) -> Schema:
        """An array of two."""
        return ListOf(self.kind, self.wanted, 2, 2).schema()


@dataclass(frozen=True, slots=True)
class Pattern:
    """RE2 syntax, bounded in length and in memory."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """The pattern's text."""
        found = Text("a pattern in RE2 syntax", longest=MAX_PATTERN).read(node, context)
        if found is BAD or found in context.patterns:
            return found
        if len(context.patterns) >= MAX_PATTERNS:
            return context.refuse(node, f"more than {MAX_PATTERNS} different patterns", "spread them over more files")
        context.patterns.add(found)
        try:
            compiled_regex(found)
        except re2.error as error:
            said = error.args[0] if error.args else b""
            reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
            return context.refuse(node, f"a pattern that RE2 refuses ({reason})", "a pattern in RE2 syntax")
        return found

    def schema(self) -> Schema:
        """A string."""
        return {"type": "string", "minLength": 1, "maxLength": MAX_PATTERN}


@dataclass(frozen=True, slots=True)
class _NumberOrReference:
    def read(self, node: YamlNode, context: ParseContext) -> Any:
        if isinstance(node.value, str):
            if "." not in node.value:
                return context.refuse(node, phrase(node), _NUMBER_OR_REFERENCE)
            return Referred().read(node, context)
        return Number().read(node, context)

    def schema(self) -> Schema:
        return {"anyOf": [Number().schema(), Referred().schema()]}


NUMBER: Final = Either(_NUMBER_OR_REFERENCE, scalar=_NumberOrReference())


def compiled_regex(pattern: str) -> Any:
    """The RE2 program of a pattern, bounded in memory. Raises ``re2.error``."""
    options = re2.Options()
    options.max_mem = REGEX_MEMORY_BYTES
    options.log_errors = False
    return re2.compile(pattern, options=options)
