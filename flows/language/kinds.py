"""The kinds of values that the language is made of. Each reads a node of a file, and says itself as JSON Schema.

The tables of the language are built of these; the parser and the published schema are both made from the tables, so
they cannot part.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from contracts.installation import duration_ms
from flows.language.context import ParseContext, Schema, ValueKind, checked_path
from flows.language.source import BAD, YamlNode, phrase

MAX_DURATION_MS: Final = 3_650 * 86_400_000
"""Ten years: a window no log outlives."""
MAX_EXACT: Final = 2**53 - 1
"""The greatest whole number that every JSON reader carries exactly."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text of one form. ``wanted`` says the form in words."""

    wanted: str
    pattern: str = r"(?s).+"
    longest: int = 1_000

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """The text."""
        if node.value is BAD:
            return BAD
        if not isinstance(node.value, str):
            as_text = f', in quotes: "{node.text}"' if node.text and re.fullmatch(self.pattern, node.text) else ""
            return context.refuse(node, phrase(node), self.wanted + as_text)
        if len(node.value) > self.longest:
            return context.refuse(node, f"a text of {len(node.value)} characters", f"at most {self.longest}")
        if not re.fullmatch(self.pattern, node.value):
            return context.refuse(node, phrase(node), self.wanted)
        return node.value

    def schema(self) -> Schema:
        """A string."""
        found: Schema = {"type": "string", "maxLength": self.longest}
        if self.pattern in {r"(?s).+", r"(?s).*"}:
            return {**found, "minLength": 1} if self.pattern.endswith("+") else found
        return {**found, "pattern": f"^{self.pattern}$"}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number."""

    least: int
    most: int

    @property
    def wanted(self) -> str:
        """In words."""
        return f"a whole number from {self.least} to {self.most}"

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """The number."""
        if node.value is BAD:
            return BAD
        whole = isinstance(node.value, int) and not isinstance(node.value, bool)
        if not whole or not self.least <= node.value <= self.most:
            return context.refuse(node, phrase(node), self.wanted)
        return node.value

    def schema(self) -> Schema:
        """An integer."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number that JSON carries exactly; with ``positive``, above zero."""

    positive: bool = False

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """The number."""
        if node.value is BAD:
            return BAD
        if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
            return context.refuse(node, phrase(node), "a number" + (" above zero" if self.positive else ""))
        # Compared as it is: a whole number may be larger than any float.
        if not abs(node.value) <= MAX_EXACT:
            return context.refuse(node, phrase(node), f"a number of at most {MAX_EXACT}")
        if self.positive and node.value <= 0:
            return context.refuse(node, phrase(node), "a number above zero")
        return node.value

    def schema(self) -> Schema:
        """A number."""
        return {"type": "number", **({"exclusiveMinimum": 0} if self.positive else {})}


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration, in milliseconds."""

    wanted: str = "a whole number above zero and one unit: 250ms, 10s, 30m, 2h or 7d"

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """Milliseconds."""
        if node.value is BAD:
            return BAD
        if not isinstance(node.value, str):
            return context.refuse(node, phrase(node), self.wanted)
        try:
            found = duration_ms(node.value)
        except ValueError:
            return context.refuse(node, phrase(node), self.wanted)
        if found > MAX_DURATION_MS:
            return context.refuse(node, phrase(node), "at most ten years: 3650d")
        return found

    def schema(self) -> Schema:
        """A string with a unit."""
        return {"type": "string", "pattern": "^0*[1-9][0-9]*(ms|s|m|h|d)$", "description": self.wanted}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def wanted(self) -> str:
        """In words."""
        return " or ".join(filter(None, (", ".join(self.words[:-1]), self.words[-1])))

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """The word."""
        if node.value is BAD:
            return BAD
        if not isinstance(node.value, str):
            return context.refuse(node, phrase(node), self.wanted)
        if node.value not in self.words:
            return context.refuse(node, phrase(node), context.suggestion(node.value, self.words, "one of"))
        return node.value

    def schema(self) -> Schema:
        """An enumeration."""
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Flag:
    """``true`` or ``false``."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """The flag."""
        if node.value is BAD or isinstance(node.value, bool):
            return node.value
        return context.refuse(node, phrase(node), "true or false")

    def schema(self) -> Schema:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Scalar:
    """A plain value: a text, a number, true or false."""

    wanted: str = "a text, a number, true or false"

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """The value."""
        if node.value is BAD:
            return BAD
        if node.value is None:
            return context.refuse(node, phrase(node), self.wanted)
        if isinstance(node.value, str):
            return Text(self.wanted, r"(?s).*").read(node, context)
        return node.value if isinstance(node.value, bool) else Number().read(node, context)

    def schema(self) -> Schema:
        """A scalar."""
        return {"type": ["string", "number", "boolean"]}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of one kind, as a tuple."""

    kind: ValueKind
    wanted: str
    least: int = 1
    most: int = 1_000

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """The values."""
        if node.value is BAD:
            return BAD
        if node.items is None:
            return context.refuse(node, phrase(node), self.wanted)
        if not self.least <= len(node.items) <= self.most:
            size = "" if self.least == self.most else f", {self.least} to {self.most} of them"
            found = f"a list of {len(node.items)}" if node.items else "an empty list"
            return context.refuse(node, found, self.wanted + size)
        found_values = tuple(self.kind.read(item, context) for item in node.items)
        return BAD if any(value is BAD for value in found_values) else found_values

    def schema(self) -> Schema:
        """An array."""
        return {"type": "array", "items": self.kind.schema(), "minItems": self.least, "maxItems": self.most}


@dataclass(frozen=True, slots=True)
class Path:
    """A path to a property: ``category``, ``cart.total``, ``items[].sku``."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """The path."""
        found = Text("the name of a property", longest=200).read(node, context)
        return BAD if found is BAD else checked_path(node, found, context)

    def schema(self) -> Schema:
        """A string."""
        return {"type": "string", "minLength": 1, "maxLength": 200}


@dataclass(frozen=True, slots=True)
class Lazy:
    """A kind that is defined later: for what holds itself."""

    kind: Callable[[], ValueKind]

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """As the kind does."""
        return self.kind().read(node, context)

    def schema(self) -> Schema:
        """As the kind does."""
        return self.kind().schema()


@dataclass(frozen=True, slots=True)
class Either:
    """One kind for scalars, another for lists, another for mappings; None where that is not allowed."""

    wanted: str
    scalar: ValueKind | None = None
    items: ValueKind | None = None
    mapping: ValueKind | None = None

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """As the kind that fits the node's form does."""
        if node.value is BAD:
            return BAD
        kind = self.items if node.items is not None else self.mapping if node.pairs is not None else self.scalar
        if kind is None or (kind is self.scalar and node.value is None):
            return context.refuse(node, phrase(node), self.wanted)
        return kind.read(node, context)

    def schema(self) -> Schema:
        """Any of them."""
        return {"anyOf": [kind.schema() for kind in (self.scalar, self.items, self.mapping) if kind is not None]}
