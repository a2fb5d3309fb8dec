"""Mappings with known names: the tables of the language, read and said as JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flows.language.context import ParseContext, Schema, ValueKind
from flows.language.source import BAD, YamlNode, joined, phrase, shortened


@dataclass(frozen=True, slots=True)
class Field:
    """One name of a shape. ``meaning`` is a sentence for the schema, and with it for editors."""

    name: str
    kind: ValueKind
    meaning: str
    required: bool = False


class Given(dict[str, Any]):
    """What a mapping gave: name → value, BAD where it was bad; ``node`` and ``nodes`` say where."""

    def __init__(self, node: YamlNode) -> None:
        super().__init__()
        self.node = node
        self.nodes: dict[str, YamlNode] = {}
        self.spoiled = False
        """Whether a name was bad: unknown, twice, or not allowed beside another."""

    @property
    def bad(self) -> bool:
        """Whether any name or value was bad."""
        return self.spoiled or any(value is BAD for value in self.values())

    def refuse(self, context: ParseContext, name: str, found: str, wanted: str) -> None:
        """Note a problem with a name that is there."""
        context.refuse(self.nodes[name], found, wanted)
        self.spoiled = True


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A mapping with known names. ``one_of``: exactly one of these must be there. ``build`` makes the value.

    ``build`` gets every value (BAD included) and may note problems; where any value is BAD its result is not used.
    ``elsewhere``: name → a hint, for names that belong to another place.
    """

    name: str
    fields: tuple[Field, ...]
    build: Callable[[Given, ParseContext], Any]
    one_of: tuple[str, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """The value that ``build`` makes."""
        if node.value is BAD:
            return BAD
        if node.pairs is None:
            names = ", ".join(each.name for each in self.fields)
            return context.refuse(node, phrase(node), f"a mapping with {names}")
        given = self._given(node, context)
        made = self.build(given, context)
        return BAD if given.bad else made

    def _given(self, node: YamlNode, context: ParseContext) -> Given:
        given = Given(node)
        known = {each.name: each for each in self.fields}
        for name, value in names_of(node, context, given):
            if name not in known:
                hint = self.elsewhere.get(name) or context.suggestion(name, known, "known here")
                context.refuse(value, f'the unknown field "{shortened(name)}"', hint)
                given.spoiled = True
            else:
                given.nodes[name] = value
        for each in self.fields:
            if each.name in given.nodes:
                given[each.name] = each.kind.read(given.nodes[each.name], context)
            elif each.required:
                context.report.add(node.line, _under(node, each.name), "nothing", f"`{each.name}` is needed")
                given[each.name] = BAD
        self._check_one_of(given, context)
        return given

    def _check_one_of(self, given: Given, context: ParseContext) -> None:
        there = [name for name in self.one_of if name in given.nodes]
        if self.one_of and len(there) != 1:
            found = f"{' and '.join(there)} together" if there else f"none of {', '.join(self.one_of)}"
            if not given.spoiled or there:
                context.refuse(given.node, found, "exactly one of " + ", ".join(self.one_of))
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


def names_of(node: YamlNode, context: ParseContext, given: Given) -> list[tuple[str, YamlNode]]:
    """The pairs of a mapping whose names are texts, each once; other names are problems."""
    found: dict[str, YamlNode] = {}
    for key, value in node.pairs or ():
        if key.value is BAD:
            given.spoiled = True
        elif not isinstance(key.value, str):
            quoted = f', in quotes: "{key.text}"' if key.text else ""
            context.report.add(key.line, node.field, f"{phrase(key)} as a name", f"a text{quoted}")
            given.spoiled = True
        elif key.value in found:
            first = found[key.value].line
            where = _under(node, key.value)
            found_twice = f'"{shortened(key.value)}" a second time'
            context.report.add(key.line, where, found_twice, f"it stands at line {first} already")
            given.spoiled = True
        else:
            found[key.value] = value
    return list(found.items())


def _under(node: YamlNode, name: str) -> str:
    return joined(node.field, shortened(name))
