"""What a single event must be: the tables of ``where``, ``session`` and conditions.

A value beside a property is a plain value, a list, or a mapping of operators; each becomes
:class:`~flows.language.model.Predicate` lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import re2

from contracts.events import Trust
from flows.language.compile import compiled_regex
from flows.language.context import ParseContext, Schema, ValueKind, checked_path
from flows.language.kinds import Choice, Duration, Either, Flag, Lazy, ListOf, Number, Scalar, Text, Whole
from flows.language.model import Condition, Op, Predicate, Reference
from flows.language.shape import Field, Given, Shape, names_of
from flows.language.source import BAD, YamlNode, phrase

MAX_PATTERN: Final = 500
"""Characters of a ``matches``."""
MAX_PATTERNS: Final = 100
"""Different ``matches`` in one file: compiling one takes up to 5 ms."""
MAX_LINES: Final = 50
"""Of a ``where``."""

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
class KnownAction:
    """An action of the vocabulary or of ``actions.yaml``, or ``"*"``."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """The action."""
        found = Text("an action, such as page_viewed", longest=100).read(node, context)
        if found is BAD or found == "*" or found in context.known_actions:
            return found
        wanted = context.suggestion(
            found, context.known_actions, "an action of `segma actions`, or declare it in actions.yaml"
        )
        return context.refuse(node, f'the unknown action "{found}"', wanted)

    def schema(self) -> Schema:
        """A string: a site's own actions are not known to the schema."""
        return {"type": "string", "pattern": r"^(\*|[a-z][a-z0-9_]*)$"}


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


_NUMBER: Final = Either(_NUMBER_OR_REFERENCE, scalar=_NumberOrReference())
_PLAIN: Final = Scalar("a text, a number, true or false; for several, one_of")
_PLAINS: Final = ListOf(Scalar(), "a list of values")
_PART: Final = Text("a text")

OPERATORS: Final[Mapping[str, tuple[ValueKind, str]]] = {
    Op.EQUALS: (_PLAIN, "is that value; no coercion, case counts"),
    Op.ONE_OF: (_PLAINS, "is one of them"),
    Op.NOT_EQUALS: (_PLAIN, "is not that value; a missing one fits too"),
    Op.NONE_OF: (_PLAINS, "is none of them; a missing one fits too"),
    Op.AT_LEAST: (_NUMBER, "is a number, at least this"),
    Op.MORE_THAN: (_NUMBER, "is a number above this"),
    Op.AT_MOST: (_NUMBER, "is a number, at most this"),
    Op.LESS_THAN: (_NUMBER, "is a number below this"),
    Op.BETWEEN: (Ends(_NUMBER), "is a number between the two, ends included"),
    Op.STARTS_WITH: (_PART, "is a text that begins so"),
    Op.ENDS_WITH: (_PART, "is a text that ends so"),
    Op.CONTAINS: (_PLAIN, "has this part (a text) or element (a list)"),
    Op.MATCHES: (Pattern(), "has a part of this form, in RE2 syntax"),
    Op.EXISTS: (Flag(), "is there and not null, or not"),
    Op.SAME_AS: (Referred(several=True), "is the value of an earlier step's event"),
    Op.DIFFERS_FROM: (Referred(), "is another value than the earlier step's event has; both are there"),
    Op.SHARES_WITH: (Referred(several=True), "is a list that shares an element with the earlier step's"),
}
"""Operator → (kind of its operand, when it holds)."""


def _operators(given: Given, context: ParseContext) -> Any:
    if not given.nodes and not given.spoiled:
        return context.refuse(given.node, "an empty mapping", "an operator, such as {at_least: 50}")
    return tuple((Op(name), value) for name, value in given.items())


OPERATOR: Final = Shape(
    "operators",
    tuple(Field(str(name), kind, f"True when the value {meaning}.") for name, (kind, meaning) in OPERATORS.items()),
    _operators,
    elsewhere={
        "not": "write `not_equals` or `none_of`",
        "in": "write `one_of`",
        "like": "write a value with *, `contains` or `matches`",
    },
)


@dataclass(frozen=True, slots=True)
class _Short:
    """A plain value, or a list of them; a string with ``*`` is a glob."""

    many: bool = False

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        found = (_PLAINS if self.many else Scalar()).read(node, context)
        if found is BAD:
            return BAD
        values = found if self.many else (found,)
        if any(isinstance(value, str) and "*" in value for value in values):
            return ((Op.GLOB, values),)
        return ((Op.ONE_OF, values),) if self.many else ((Op.EQUALS, found),)

    def schema(self) -> Schema:
        return (_PLAINS if self.many else Scalar()).schema()


_TEST: Final = Either(
    "a value, a list of values, or an operator; for absence {exists: false}", _Short(), _Short(many=True), OPERATOR
)


@dataclass(frozen=True, slots=True)
class Where:
    """Property → value, list or operators."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """Predicates, in the order of the file."""
        if node.value is BAD:
            return BAD
        if node.pairs is None:
            return context.refuse(node, phrase(node), 'a mapping from properties to values: {path: "/shoes/*"}')
        if len(node.pairs) > MAX_LINES:
            return context.refuse(node, f"{len(node.pairs)} properties", f"at most {MAX_LINES}")
        given, lines = Given(node), list[Predicate]()
        for name, value in names_of(node, context, given):
            path = checked_path(value, name, context) if len(name) <= 200 else _too_long(value, name, context)
            tests = _TEST.read(value, context)
            if path is BAD or tests is BAD:
                given.spoiled = True
            else:
                lines.extend(Predicate(path, op, operand) for op, operand in tests)
        return BAD if given.bad else tuple(lines)

    def schema(self) -> Schema:
        """An object of any names."""
        return {"$ref": "#/$defs/where"}

    def definition(self) -> Schema:
        """See :meth:`schema`."""
        return {"type": "object", "additionalProperties": _TEST.schema()}


def _too_long(node: YamlNode, name: str, context: ParseContext) -> Any:
    return context.refuse(node, f"a name of {len(name)} characters", "at most 200")


def _comparisons(kind: ValueKind) -> tuple[Field, ...]:
    names = (Op.AT_LEAST, Op.MORE_THAN, Op.AT_MOST, Op.LESS_THAN, Op.EQUALS)
    pair = Field(str(Op.BETWEEN), Ends(kind), "Between the two, ends included.")
    return (*(Field(str(name), kind, f"{name} this.".replace("_", " ").capitalize()) for name in names), pair)


def _session(given: Given, context: ParseContext) -> Any:
    if not given.nodes and not given.spoiled:
        return context.refuse(given.node, "an empty mapping", "{duration: {at_least: 3m}} or {events: {at_least: 5}}")
    return tuple(
        Predicate(path, op, operand) for path, tests in given.items() if tests is not BAD for op, operand in tests
    )


DURATIONS: Final = Shape("durations", _comparisons(Duration()), _operators)
COUNTS: Final = Shape("counts", _comparisons(Whole(0, 1_000_000)), _operators)
SESSION: Final = Shape(
    "session",
    (
        Field("duration", DURATIONS, "From the session's first event to this one."),
        Field("events", COUNTS, "Events in the session, this one included."),
    ),
    _session,
)

TRUST: Final = Choice(tuple(level.value for level in Trust))
WHERE: Final = Where()

BESIDE: Final = (
    Field("where", WHERE, "What the event's properties must be; all lines must hold."),
    Field("session", SESSION, "What the session must be, up to and including the event."),
    Field("trust", TRUST, "How sure it must be who sent the event: at least this."),
)
"""What may stand beside an action, ``any_of``, ``all_of`` or ``not``."""


def condition_of(given: Given) -> Condition:
    """The condition of a mapping with ``action`` or ``any_of``, and with what stands beside."""
    if "any_of" in given:
        return narrowed(Condition(any_of=given["any_of"]), **beside(given))
    return Condition(action=given["action"], **beside(given))


def beside(given: Given) -> dict[str, Any]:
    """What stands beside the action, ``any_of``, ``all_of`` or ``not``."""
    return {
        "where": given.get("where", ()),
        "session": given.get("session", ()),
        "trust": given.get("trust"),
    }


def narrowed(
    condition: Condition,
    *,
    where: tuple[Predicate, ...] = (),
    session: tuple[Predicate, ...] = (),
    trust: str | None = None,
) -> Condition:
    """The condition with more asked of it: pushed into each member of ``any_of``."""
    if condition.any_of:
        members = tuple(narrowed(each, where=where, session=session, trust=trust) for each in condition.any_of)
        return replace(condition, any_of=members)
    return replace(
        condition,
        where=(*condition.where, *where),
        session=(*condition.session, *session),
        trust=_stronger(condition.trust, trust),
    )


def _stronger(one: str | None, other: str | None) -> str | None:
    levels: Iterable[str] = (level for level in (one, other) if level is not None)
    return max(levels, key=lambda level: Trust(level).level, default=None)


def _condition(given: Given, context: ParseContext) -> Any:
    return BAD if given.bad else condition_of(given)


@dataclass(frozen=True, slots=True)
class _Bare:
    """An action's name alone, as a condition."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        found = KnownAction().read(node, context)
        return BAD if found is BAD else Condition(action=found)

    def schema(self) -> Schema:
        return KnownAction().schema()


CONDITION: Final[ValueKind] = Either(
    "an action, or a condition: a mapping with action or any_of, and where, session, trust",
    scalar=_Bare(),
    mapping=Lazy(lambda: CONDITION_SHAPE),
)
CONDITIONS: Final = ListOf(CONDITION, "a list of conditions", most=100)

CONDITION_SHAPE: Final[Shape] = Shape(
    "condition",
    (
        Field("action", KnownAction(), 'The event\'s action; "*" for any.'),
        Field("any_of", CONDITIONS, "The event fits one of these."),
        *BESIDE,
    ),
    _condition,
    one_of=("action", "any_of"),
    elsewhere={"all_of": "all_of belongs to a step: a single event cannot be several"},
)
