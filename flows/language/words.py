"""The language in English: actions, durations, values and conditions as phrases. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from contracts.actions import ACTIONS
from flows.language.model import Condition, Listener, Op, Predicate, Reference

PHRASES: Final[Mapping[str, str]] = {"*": "do anything", **{action.name: action.phrase for action in ACTIONS}}
"""Action → what a person does, as it stands behind "to"."""

_UNITS: Final = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"), (1, "millisecond"))
_SHORT: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"))
_IRREGULAR: Final = {"do": "does", "have": "has"}


def bare(action: str) -> str:
    """What a person does, as it stands behind "to"; of a site's own action its name."""
    return PHRASES.get(action, f"do {action}")


def third(phrase: str) -> str:
    """The phrase for "the person ...": views a page, presses a key."""
    verb, gap, rest = phrase.partition(" ")
    if verb in _IRREGULAR:
        verb = _IRREGULAR[verb]
    elif verb.endswith(("s", "sh", "ch", "x")):
        verb += "es"
    elif verb.endswith("y") and verb[-2] not in "aeiou":
        verb = verb[:-1] + "ies"
    else:
        verb += "s"
    return verb + gap + rest


def lasting(milliseconds: int) -> str:
    """A duration in the largest unit that is whole: ``30 minutes``."""
    size, unit = next(each for each in _UNITS if milliseconds % each[0] == 0)
    count = milliseconds // size
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def exact(milliseconds: int) -> str:
    """A time as it is written in files: ``90s``."""
    size, unit = next((each for each in _SHORT if milliseconds % each[0] == 0), (1, "ms"))
    return f"{milliseconds // size}{unit}" if milliseconds else "0s"


def listed(parts: Iterable[str], word: str) -> str:
    """``a, b or c``."""
    found = list(parts)
    return f" {word} ".join(filter(None, (", ".join(found[:-1]), found[-1]))) if found else ""


def value(given: Any) -> str:
    """A value as it is written."""
    return json.dumps(given, ensure_ascii=False)


def property_words(path: str) -> str:
    """``items[].sku`` as ``the sku of any of the items``."""
    if "[]" not in path:
        return f"the {path}"
    parts = [f"any of the {part.replace('[]', '')}" if "[]" in part else f"the {part}" for part in path.split(".")]
    return " of ".join(reversed(parts))


class Phrasing:
    """Phrases of one listener: references are told by the steps' names."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def reference(self, reference: Reference) -> str:
        """``the category of "looked"``."""
        element = self._listener.step(reference.step)
        return f'{property_words(reference.path)} of "{element.name or reference.step}"'

    def condition(self, condition: Condition, conjugated: Callable[[str], str] = str) -> str:
        """What a person does, ``conjugated`` or bare."""
        if condition.any_of:
            return listed((self.condition(member, conjugated) for member in condition.any_of), "or")
        return self.act(condition, conjugated) + self.beside(condition)

    def act(self, condition: Condition, conjugated: Callable[[str], str] = str) -> str:
        """What a person does, with the lines of ``where`` alone."""
        said = conjugated(bare(condition.action or "*"))
        lines = [self.line(line) for line in condition.where]
        return f"{said} where {listed(lines, 'and')}" if lines else said

    def beside(self, condition: Condition) -> str:
        """What is asked of the session and of the trust; of that only what the listener does not ask anyway."""
        said = ""
        if condition.session:
            said += f", in a visit {listed((self.session(line) for line in condition.session), 'and')}"
        if condition.trust != self._listener.trust:
            said += _TRUST.get(condition.trust or "", "")
        return said

    def line(self, line: Predicate) -> str:
        """One line of a ``where``."""
        return f"{property_words(line.path)} {_OPERATORS[line.op](self._operand(line.operand))}"

    def _operand(self, operand: Any) -> Any:
        if isinstance(operand, tuple):
            return tuple(self._operand(part) for part in operand)
        if isinstance(operand, Reference):
            return self.reference(operand)
        return value(operand)

    def session(self, line: Predicate) -> str:
        """One line of a ``session``."""
        as_words: Callable[[Any], str] = lasting if line.path == "duration" else str
        ends = line.operand if isinstance(line.operand, tuple) else (line.operand,)
        amount = _AMOUNTS[line.op].format(*(as_words(end) for end in ends))
        return f"of {amount}" if line.path == "duration" else f"of {amount} events"


_TRUST: Final = {"token": ", proven by a mail's link or the server", "server": ", told by the server"}

_AMOUNTS: Final[Mapping[Op, str]] = {
    Op.AT_LEAST: "at least {}",
    Op.MORE_THAN: "more than {}",
    Op.AT_MOST: "at most {}",
    Op.LESS_THAN: "less than {}",
    Op.EQUALS: "exactly {}",
    Op.BETWEEN: "{} to {}",
}


def _like(values: tuple[str, ...]) -> str:
    shown = listed(values, "or")
    return f"is like {shown}" if all("*" in each for each in values) else f"is or is like {shown}"


_OPERATORS: Final[Mapping[Op, Callable[[Any], str]]] = {
    Op.EQUALS: lambda operand: f"is {operand}",
    Op.ONE_OF: lambda operand: f"is {listed(operand, 'or')}",
    Op.NOT_EQUALS: lambda operand: f"is not {operand} (or is missing)",
    Op.NONE_OF: lambda operand: f"is neither {listed(operand, 'nor')} (or is missing)",
    Op.GLOB: _like,
    Op.AT_LEAST: lambda operand: f"is at least {operand}",
    Op.MORE_THAN: lambda operand: f"is more than {operand}",
    Op.AT_MOST: lambda operand: f"is at most {operand}",
    Op.LESS_THAN: lambda operand: f"is less than {operand}",
    Op.BETWEEN: lambda operand: f"is from {operand[0]} to {operand[1]}",
    Op.STARTS_WITH: lambda operand: f"begins with {operand}",
    Op.ENDS_WITH: lambda operand: f"ends with {operand}",
    Op.CONTAINS: lambda operand: f"has {operand} in it",
    Op.MATCHES: lambda operand: f"fits the pattern {operand}",
    Op.EXISTS: lambda operand: "is given" if operand == "true" else "is not given",
    Op.SAME_AS: lambda operand: f"is the same as {operand}",
    Op.DIFFERS_FROM: lambda operand: f"is another than {operand}",
    Op.SHARES_WITH: lambda operand: f"shares something with {operand}",
}
