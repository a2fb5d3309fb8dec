"""The kinds of values that the language is made of. Each reads a node of a file, and says itself as JSON Schema.

The tables of :mod:`segma.flows.language.shapes` are built of these; the parser and the published schema are both made
from them, so they cannot part.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from segma.contracts.installation import duration_ms
from segma.flows.language.model import Reference
from segma.flows.language.source import BAD, Node, Report, joined, shortened, told

MAX_DURATION_MS: Final = 3_650 * 86_400_000
"""Ten years: a window no log outlives."""
MAX_EXACT: Final = 2**53 - 1
"""The greatest whole number that every JSON reader carries exactly."""

Schema = dict[str, Any]


@dataclass(slots=True)
class Reading:
    """What readers know beside their node: where problems go, and the names around them.

    ``steps``: name → (number, whether it is a ``not``). ``here``: the number of the element being read; references lead
    only to lower ones. ``patterns``: those compiled so far in this file.
    """

    report: Report
    known_actions: Collection[str]
    steps: Mapping[str, tuple[int, bool]] = field(default_factory=dict)
    here: int = 0
    patterns: set[str] = field(default_factory=set)

    def refuse(self, node: Node, found: str, wanted: str) -> Any:
        """Note a problem; BAD."""
        return self.report.refuse(node, found, wanted)

    def reference(self, node: Node, text: str) -> Any:
        """``step.property`` of an earlier step, or BAD with a problem."""
        name, _, path = text.partition(".")
        number, is_not = self.steps.get(name, (0, False))
        if not number:
            known = [each for each, (at, guard) in self.steps.items() if at < self.here and not guard]
            wanted = suggestion(name, known, "the name of an earlier step")
            return self.refuse(node, f'"{shortened(name)}", a step that does not exist', wanted)
        if is_not:
            return self.refuse(node, f'a reference to "{name}", which is a `not`', "refer to a step that takes events")
        if number >= self.here:
            when = "the step itself" if number == self.here else "a later step"
            return self.refuse(node, f'a reference to "{name}", {when}', "refer to a step that comes earlier")
        return Reference(number, path) if checked_path(node, path, self) is not BAD else BAD


class Kind(Protocol):
    """A kind of value."""

    def read(self, node: Node, reading: Reading) -> Any:
        """The value, or BAD after the problem has been noted."""

    def schema(self) -> Schema:
        """The JSON Schema of what :meth:`read` takes."""


def suggestion(found: str, known: Collection[str], otherwise: str) -> str:
    """``did you mean "x"?`` where one is near, and what is known where that is short."""
    near = difflib.get_close_matches(found[:60], sorted(known), n=1, cutoff=0.6)
    if near:
        return f'did you mean "{near[0]}"?'
    listed = ", ".join(sorted(known)) if 0 < len(known) <= 20 else ""
    return f"{otherwise}: {listed}" if listed else otherwise


@dataclass(frozen=True, slots=True)
class Text:
    """A text of one form. ``wanted`` says the form in words."""

    wanted: str
    pattern: str = r"(?s).+"
    longest: int = 1_000

    def read(self, node: Node, reading: Reading) -> Any:
        """The text."""
        if node.value is BAD:
            return BAD
        if not isinstance(node.value, str):
            return reading.refuse(node, told(node), self.wanted + _in_quotes(node))
        if len(node.value) > self.longest:
            return reading.refuse(node, f"a text of {len(node.value)} characters", f"at most {self.longest}")
        if not re.fullmatch(self.pattern, node.value):
            return reading.refuse(node, told(node), self.wanted)
        return node.value

    def schema(self) -> Schema:
        """A string."""
        found: Schema = {"type": "string", "maxLength": self.longest}
        if self.pattern == r"(?s).+":
            return {**found, "minLength": 1}
        return {**found, "pattern": f"^{self.pattern}$"}


def _in_quotes(node: Node) -> str:
    scalar = node.items is None and node.pairs is None and node.value is not None
    return f', in quotes: "{node.text}"' if scalar and len(node.text) <= 60 else ""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number."""

    least: int
    most: int

    @property
    def wanted(self) -> str:
        """In words."""
        return f"a whole number from {self.least} to {self.most}"

    def read(self, node: Node, reading: Reading) -> Any:
        """The number."""
        if node.value is BAD:
            return BAD
        whole = isinstance(node.value, int) and not isinstance(node.value, bool)
        if not whole or not self.least <= node.value <= self.most:
            return reading.refuse(node, told(node), self.wanted)
        return node.value

    def schema(self) -> Schema:
        """An integer."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number that JSON carries exactly; with ``positive``, above zero."""

    positive: bool = False

    def read(self, node: Node, reading: Reading) -> Any:
        """The number."""
        if node.value is BAD:
            return BAD
        if isinstance(node.value, bool) or not isinstance(node.value, (int, float)):
            return reading.refuse(node, told(node), "a number" + (" above zero" if self.positive else ""))
        if not math.isfinite(node.value) or abs(node.value) > MAX_EXACT:
            return reading.refuse(node, told(node), f"a number of at most {MAX_EXACT}")
        if self.positive and node.value <= 0:
            return reading.refuse(node, told(node), "a number above zero")
        return node.value

    def schema(self) -> Schema:
        """A number."""
        return {"type": "number", **({"exclusiveMinimum": 0} if self.positive else {})}


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration, in milliseconds."""

    wanted: str = "a whole number above zero and one unit: 250ms, 10s, 30m, 2h or 7d"

    def read(self, node: Node, reading: Reading) -> Any:
        """Milliseconds."""
        if node.value is BAD:
            return BAD
        if not isinstance(node.value, str):
            return reading.refuse(node, told(node), self.wanted)
        try:
            found = duration_ms(node.value)
        except ValueError:
            return reading.refuse(node, told(node), self.wanted)
        if found > MAX_DURATION_MS:
            return reading.refuse(node, told(node), "at most ten years: 3650d")
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

    def read(self, node: Node, reading: Reading) -> Any:
        """The word."""
        if node.value is BAD:
            return BAD
        if not isinstance(node.value, str):
            return reading.refuse(node, told(node), self.wanted)
        if node.value not in self.words:
            return reading.refuse(node, told(node), suggestion(node.value, self.words, "one of"))
        return node.value

    def schema(self) -> Schema:
        """An enumeration."""
        return {"enum": list(self.words)}


@dataclass(frozen=True, slots=True)
class Flag:
    """``true`` or ``false``."""

    def read(self, node: Node, reading: Reading) -> Any:
        """The flag."""
        if node.value is BAD or isinstance(node.value, bool):
            return node.value
        return reading.refuse(node, told(node), "true or false")

    def schema(self) -> Schema:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain value: a text, a number, true or false."""

    wanted: str = "a text, a number, true or false"

    def read(self, node: Node, reading: Reading) -> Any:
        """The value."""
        if node.value is BAD:
            return BAD
        if node.value is None:
            return reading.refuse(node, told(node), self.wanted)
        if isinstance(node.value, str):
            return Text(self.wanted, r"(?s).*").read(node, reading)
        return node.value if isinstance(node.value, bool) else Number().read(node, reading)

    def schema(self) -> Schema:
        """A scalar."""
        return {"type": ["string", "number", "boolean"]}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of one kind, as a tuple."""

    kind: Kind
    wanted: str
    least: int = 1
    most: int = 1_000

    def read(self, node: Node, reading: Reading) -> Any:
        """The values."""
        if node.value is BAD:
            return BAD
        if node.items is None:
            return reading.refuse(node, told(node), self.wanted)
        if not self.least <= len(node.items) <= self.most:
            size = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
            found = f"a list of {len(node.items)}" if node.items else "an empty list"
            return reading.refuse(node, found, f"{self.wanted}, {size} of them")
        found_values = tuple(self.kind.read(item, reading) for item in node.items)
        return BAD if any(value is BAD for value in found_values) else found_values

    def schema(self) -> Schema:
        """An array."""
        return {"type": "array", "items": self.kind.schema(), "minItems": self.least, "maxItems": self.most}


@dataclass(frozen=True, slots=True)
class Path:
    """A path to a property: ``category``, ``cart.total`` and, with ``several``, ``items[].sku``."""

    several: bool = False

    def read(self, node: Node, reading: Reading) -> Any:
        """The path."""
        found = Text("the name of a property", longest=200).read(node, reading)
        return BAD if found is BAD else checked_path(node, found, reading, several=self.several)

    def schema(self) -> Schema:
        """A string."""
        return {"type": "string", "minLength": 1, "maxLength": 200}


_PATH = re.compile(r"[^.\[\]]+(\[\])*(\.[^.\[\]]+(\[\])*)*")


def checked_path(node: Node, path: str, reading: Reading, *, several: bool = True) -> Any:
    """The path if it is one, else BAD with a problem."""
    if not _PATH.fullmatch(path):
        wanted = "a property, such as category, cart.total or items[].sku"
        return reading.refuse(node, f'the path "{shortened(path)}"', wanted)
    if not several and "[]" in path:
        return reading.refuse(node, f'the path "{shortened(path)}"', "a property with one value: no [] here")
    return path


@dataclass(frozen=True, slots=True)
class Lazy:
    """A kind that is defined later: for what holds itself."""

    kind: Callable[[], Kind]

    def read(self, node: Node, reading: Reading) -> Any:
        """As the kind does."""
        return self.kind().read(node, reading)

    def schema(self) -> Schema:
        """As the kind does."""
        return self.kind().schema()


@dataclass(frozen=True, slots=True)
class Either:
    """One kind for scalars, another for lists, another for mappings; None where that is not allowed."""

    wanted: str
    scalar: Kind | None = None
    items: Kind | None = None
    mapping: Kind | None = None

    def read(self, node: Node, reading: Reading) -> Any:
        """As the kind that fits the node's form does."""
        if node.value is BAD:
            return BAD
        kind = self.items if node.items is not None else self.mapping if node.pairs is not None else self.scalar
        if kind is None or (kind is self.scalar and node.value is None):
            return reading.refuse(node, told(node), self.wanted)
        return kind.read(node, reading)

    def schema(self) -> Schema:
        """Any of them."""
        return {"anyOf": [kind.schema() for kind in (self.scalar, self.items, self.mapping) if kind is not None]}


@dataclass(frozen=True, slots=True)
class Field:
    """One name of a shape. ``meaning`` is a sentence for the schema, and with it for editors."""

    name: str
    kind: Kind
    meaning: str
    required: bool = False


class Given(dict[str, Any]):
    """What a mapping gave: name → value, BAD where it was bad; ``node`` and ``nodes`` say where."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node
        self.nodes: dict[str, Node] = {}
        self.spoiled = False
        """Whether a name was bad: unknown, twice, or not allowed beside another."""

    @property
    def bad(self) -> bool:
        """Whether any name or value was bad."""
        return self.spoiled or any(value is BAD for value in self.values())

    def refuse(self, reading: Reading, name: str, found: str, wanted: str) -> None:
        """Note a problem with a name that is there."""
        reading.refuse(self.nodes[name], found, wanted)
        self.spoiled = True


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A mapping with known names. ``one_of``: exactly one of these must be there. ``build`` makes the value.

    ``build`` gets every value (BAD included) and may note problems; where any value is BAD its result is not used.
    ``elsewhere``: name → a hint, for names that belong to another place.
    """

    name: str
    fields: tuple[Field, ...]
    build: Callable[[Given, Reading], Any]
    one_of: tuple[str, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def read(self, node: Node, reading: Reading) -> Any:
        """The value that ``build`` makes."""
        if node.value is BAD:
            return BAD
        if node.pairs is None:
            names = ", ".join(each.name for each in self.fields)
            return reading.refuse(node, told(node), f"a mapping with {names}")
        given = self._given(node, reading)
        made = self.build(given, reading)
        return BAD if given.bad else made

    def _given(self, node: Node, reading: Reading) -> Given:
        given = Given(node)
        known = {each.name: each for each in self.fields}
        for name, value in names_of(node, reading, given):
            if name not in known:
                hint = self.elsewhere.get(name) or suggestion(name, known, "known here")
                reading.refuse(value, f'the unknown field "{shortened(name)}"', hint)
                given.spoiled = True
            else:
                given.nodes[name] = value
        for each in self.fields:
            if each.name in given.nodes:
                given[each.name] = each.kind.read(given.nodes[each.name], reading)
            elif each.required:
                reading.report.add(node.line, _under(node, each.name), "nothing", f"`{each.name}` is needed")
                given[each.name] = BAD
        self._check_one_of(given, reading)
        return given

    def _check_one_of(self, given: Given, reading: Reading) -> None:
        there = [name for name in self.one_of if name in given.nodes]
        if self.one_of and len(there) != 1:
            found = f"{' and '.join(there)} together" if there else f"none of {', '.join(self.one_of)}"
            if not given.spoiled or there:
                reading.refuse(given.node, found, "exactly one of " + ", ".join(self.one_of))
            given.spoiled = True

    def schema(self) -> Schema:
        """A reference to the definition."""
        return {"$ref": f"#/$defs/{self.name}"}

    def definition(self) -> Schema:
        """An object without other names."""
        found: Schema = {
            "type": "object",
            "additionalProperties": False,
            "properties": {each.name: {**each.kind.schema(), "description": each.meaning} for each in self.fields},
        }
        required = [each.name for each in self.fields if each.required]
        if required:
            found["required"] = required
        if self.one_of:
            found["oneOf"] = [{"required": [name]} for name in self.one_of]
        return found


def names_of(node: Node, reading: Reading, given: Given) -> list[tuple[str, Node]]:
    """The pairs of a mapping whose names are texts, each once; other names are problems."""
    found: dict[str, Node] = {}
    for key, value in node.pairs or ():
        if key.value is BAD:
            given.spoiled = True
        elif not isinstance(key.value, str):
            quoted = _in_quotes(key)
            reading.report.add(key.line, node.field, f"{told(key)} as a name", f"a text{quoted}")
            given.spoiled = True
        elif key.value in found:
            first = found[key.value].line
            where = _under(node, key.value)
            found_twice = f'"{shortened(key.value)}" a second time'
            reading.report.add(key.line, where, found_twice, f"it stands at line {first} already")
            given.spoiled = True
        else:
            found[key.value] = value
    return list(found.items())


def _under(node: Node, name: str) -> str:
    return joined(node.field, shortened(name))
