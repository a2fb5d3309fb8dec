"""The names of the language: one table that the parser, the JSON Schema and the documentation are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from segma.flows.language.model import Op

MAX_STEPS: Final = 50
"""Elements of a sequence, ``not``s counted: they are numbered in the bits of one integer of 64."""
MAX_MEMBERS: Final = 32
MAX_ALL_OF: Final = 8
"""Members of ``all_of``: every assignment of events to members is tried."""
MAX_LINES: Final = 64
MAX_VALUES: Final = 1_000
MAX_TIMES: Final = 1_000
"""Events of a bounded loop: all of them are evidence and are kept in the state."""
MAX_PATTERN: Final = 500
MAX_NAME: Final = 80
MAX_DURATION_MS: Final = 3_650 * 86_400_000
MAX_NESTING: Final = 4
MAX_RESPONSES: Final = 20
MAX_SAME_AS: Final = 4
"""Properties that ``same_as`` and ``per`` refer to in one listener: a machine is kept per combination of values."""
DEFAULT_MAX_LISTS: Final = 50

DURATION: Final = {"type": "string", "pattern": "^[0-9]{1,15}(ms|s|m|h|d)$"}
STEP_NAME: Final = "^[a-z][a-z0-9_-]{0,39}$"
LISTENER_NAME: Final = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
REFERENCE: Final = {"type": "string", "pattern": r"^[a-z][a-z0-9_-]{0,39}\..+$"}
_SCALAR: Final = {"type": ["string", "number", "boolean"]}
_NUMBER_OR_REFERENCE: Final = {"anyOf": [{"type": "number"}, REFERENCE]}


@dataclass(frozen=True, slots=True)
class Word:
    """A field's name: what it means (one sentence, for editors and the documentation) and its JSON Schema."""

    meaning: str
    schema: Mapping[str, Any]


def _at(name: str) -> Mapping[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


CONDITION: Final[Mapping[str, Word]] = {
    "action": Word('The action that fits, or "*" for any.', {"type": "string"}),
    "any_of": Word(
        "Conditions of which one must fit.",
        {"type": "array", "items": _at("condition"), "minItems": 1, "maxItems": MAX_MEMBERS},
    ),
    "where": Word("Lines on the event's properties; all must hold.", _at("where")),
    "session": Word("Conditions on the session up to and including the event.", _at("session")),
    "trust": Word("How sure the event must be at least.", {"enum": ["browser", "token", "server"]}),
}

STEP: Final[Mapping[str, Word]] = {
    "step": Word("A name, for evidence and references.", {"type": "string", "pattern": STEP_NAME}),
    **CONDITION,
    "all_of": Word(
        "Conditions that must all fit, each with an event of its own, in any order.",
        {"type": "array", "items": _at("condition"), "minItems": 2, "maxItems": MAX_ALL_OF},
    ),
    "times": Word("How often: a number, exactly, at_least, or between.", _at("times")),
    "distinct_by": Word("Each repetition must bring another value of this property.", {"type": "string"}),
    "until": Word("A condition that ends the wait for a further repetition.", _at("condition")),
    "sum": Word("Take events until the numbers of a property add up.", _at("sum")),
    "optional": Word("The step may be skipped.", {"type": "boolean"}),
    "next": Word("No other event that the listener describes may come between.", {"type": "boolean"}),
    "within": Word("Less than this after the event matched before it.", DURATION),
    "after": Word("At least this after the event matched before it.", DURATION),
}

NOT: Final[Mapping[str, Word]] = {
    "not": Word("An action or a condition that must not come here.", {"anyOf": [{"type": "string"}, _at("condition")]}),
    "where": CONDITION["where"],
    "session": CONDITION["session"],
    "trust": CONDITION["trust"],
    "for": Word(
        "How long it must not come; `ever` only in front of the first step.",
        {"anyOf": [DURATION, {"const": "ever"}]},
    ),
}

LISTENER: Final[Mapping[str, Word]] = {
    "listener": Word("A unique name in kebab-case.", {"type": "string", "pattern": LISTENER_NAME}),
    "version": Word("A new number for every change.", {"type": "integer", "minimum": 1}),
    "description": Word("What it is for, in words.", {"type": "string"}),
    "sequence": Word(
        "The row of actions.",
        {
            "type": "array",
            "items": {"anyOf": [_at("step"), _at("not")]},
            "minItems": 1,
            "maxItems": MAX_STEPS,
        },
    ),
    "within": Word("From the first to the last matched event, less than this.", DURATION),
    "scope": Word("Whether all steps must lie in one session.", {"enum": ["subscriber", "session"]}),
    "repeat": Word("How often a person may match.", _at("repeat")),
    "on_retraction": Word("Whether a match taken back undoes what it did.", {"enum": ["undo", "keep"]}),
    "per": Word("One machine for each value of this property.", {"type": "string"}),
    "trust": Word("How sure every step's events must be at least.", {"enum": ["browser", "token", "server"]}),
    "max_lists": Word(
        "Different lists that its templates may name.", {"type": "integer", "minimum": 1, "maximum": 10_000}
    ),
    "then": Word("What a match does.", {"type": "array", "items": _at("response"), "maxItems": MAX_RESPONSES}),
}

OPERATORS: Final[Mapping[Op, Word]] = {
    Op.EQUALS: Word("Is exactly this value.", _SCALAR),
    Op.ONE_OF: Word("Is one of these values.", {"type": "array", "items": _SCALAR, "minItems": 1}),
    Op.NOT_EQUALS: Word("Is not this value; a missing one is not either.", _SCALAR),
    Op.NONE_OF: Word("Is none of these; a missing one is not either.", {"type": "array", "items": _SCALAR}),
    Op.AT_LEAST: Word("A number, this or more.", _NUMBER_OR_REFERENCE),
    Op.MORE_THAN: Word("A number above this.", _NUMBER_OR_REFERENCE),
    Op.AT_MOST: Word("A number, this or less.", _NUMBER_OR_REFERENCE),
    Op.LESS_THAN: Word("A number below this.", _NUMBER_OR_REFERENCE),
    Op.BETWEEN: Word(
        "A number from the first to the second, both included.",
        {"type": "array", "items": _NUMBER_OR_REFERENCE, "minItems": 2, "maxItems": 2},
    ),
    Op.STARTS_WITH: Word("A text that starts so.", {"type": "string"}),
    Op.ENDS_WITH: Word("A text that ends so.", {"type": "string"}),
    Op.CONTAINS: Word("A text with this in it, or a list with this element.", _SCALAR),
    Op.MATCHES: Word("A text in which this RE2 pattern is found.", {"type": "string", "maxLength": MAX_PATTERN}),
    Op.EXISTS: Word("Is there and not null, or is not.", {"type": "boolean"}),
    Op.SAME_AS: Word("The same value as an earlier step's property.", REFERENCE),
    Op.DIFFERS_FROM: Word("Another value than an earlier step's property.", REFERENCE),
    Op.SHARES_WITH: Word("A list with an element of an earlier step's list.", REFERENCE),
}
"""Every operator that can be written; :attr:`Op.GLOB` is the short form's and has no name."""

NUMERIC: Final = (Op.AT_LEAST, Op.MORE_THAN, Op.AT_MOST, Op.LESS_THAN)

TIMES: Final[Mapping[str, Word]] = {
    "exactly": Word("This many.", {"type": "integer", "minimum": 1, "maximum": MAX_TIMES}),
    "at_least": Word("This many or more.", {"type": "integer", "minimum": 0, "maximum": MAX_TIMES}),
    "between": Word(
        "From the first to the second.",
        {
            "type": "array",
            "items": {"type": "integer", "minimum": 0, "maximum": MAX_TIMES},
            "minItems": 2,
            "maxItems": 2,
        },
    ),
}

SUM: Final[Mapping[str, Word]] = {
    "of": Word("The property with the number.", {"type": "string"}),
    "at_least": Word("What the numbers must add up to.", {"type": "number"}),
}

SESSION: Final[Mapping[str, Word]] = {
    "duration": Word("How long the session has lasted.", {"type": "object"}),
    "events": Word("How many events it has.", {"anyOf": [{"type": "integer"}, {"type": "object"}]}),
}

_LIST: Final = {"type": "string", "maxLength": 100}
_ACCOUNT: Final = {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,39}$"}

RESPONSES: Final[Mapping[str, Mapping[str, Word]]] = {
    "move": {
        "from": Word("The list to leave.", _LIST),
        "to": Word("The list to enter; made if missing.", _LIST),
        "at": Word("The account.", _ACCOUNT),
    },
    "add": {"to": Word("The list to enter; made if missing.", _LIST), "at": Word("The account.", _ACCOUNT)},
    "remove": {"from": Word("The list to leave.", _LIST), "at": Word("The account.", _ACCOUNT)},
    "tag": {"add": Word("The tag to set.", _LIST), "at": Word("The account.", _ACCOUNT)},
    "untag": {"remove": Word("The tag to take off.", _LIST), "at": Word("The account.", _ACCOUNT)},
    "webhook": {"url": Word("Where to call.", {"type": "string", "pattern": "^https?://"})},
}
