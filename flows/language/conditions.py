"""What a single event must be: the tables of ``where``, ``session`` and conditions.

A value beside a property is a plain value, a list, or a mapping of operators; each becomes
:class:`~flows.language.model.Predicate` lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from contracts.events import Trust
from flows.language.context import ParseContext, Schema, ValueKind, checked_path
from flows.language.hours import HOURS, hours_of
from flows.language.kinds import Choice, Duration, Either, Lazy, ListOf, Scalar, Text, Whole
from flows.language.memberships import MEMBERSHIPS, memberships_of
from flows.language.model import Condition, Hours, Membership, Op, Predicate
from flows.language.operands import Ends
from flows.language.operators import ALL, OPERATORS, SCALARS, amounts
from flows.language.shape import Field, Given, Shape, names_of
from flows.language.source import BAD, YamlNode, phrase

MAX_LINES: Final = 50
"""Of a ``where``."""


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


def _operators(given: Given, context: ParseContext) -> Any:
    if not given.nodes and not given.spoiled:
        return context.refuse(given.node, "an empty mapping", "an operator, such as {at_least: 50}")
    return tuple((OPERATORS[name].name, value) for name, value in given.items())


OPERATOR: Final = Shape(
    "operators",
    tuple(Field(str(each.name), each.operand, f"True when the value {each.meaning}.") for each in ALL if each.operand),
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
        found = (SCALARS if self.many else Scalar()).read(node, context)
        if found is BAD:
            return BAD
        values = found if self.many else (found,)
        if any(isinstance(value, str) and "*" in value for value in values):
            return ((Op.GLOB, values),)
        return ((Op.ONE_OF, values),) if self.many else ((Op.EQUALS, found),)

    def schema(self) -> Schema:
        return (SCALARS if self.many else Scalar()).schema()


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


WHERE: Final = Where()


@dataclass(frozen=True, slots=True)
class Profile:
    """Field → value, list or operators, as ``where``; without references."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """Predicates, in the order of the file."""
        found = WHERE.read(node, context)
        if found is BAD:
            return BAD
        if not found:
            return context.refuse(node, "an empty mapping", "fields of the profile: {country: DE}")
        tied = next((line for line in found if line.references), None)
        if tied is None:
            return found
        return context.refuse(node, f"a reference beside `{tied.path}`", "values: a profile is compared with no step")

    def schema(self) -> Schema:
        """As ``where``."""
        return WHERE.schema()


def _too_long(node: YamlNode, name: str, context: ParseContext) -> Any:
    return context.refuse(node, f"a name of {len(name)} characters", "at most 200")


def _comparisons(kind: ValueKind) -> tuple[Field, ...]:
    return tuple(
        Field(str(each.name), Ends(kind), "Between the two, ends included.")
        if each.pair
        else Field(str(each.name), kind, f"{each.name} this.".replace("_", " ").capitalize())
        for each in amounts()
    )


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

BESIDE: Final = (
    Field("where", WHERE, "What the event's properties must be; all lines must hold."),
    Field("session", SESSION, "What the session must be, up to and including the event."),
    Field("trust", TRUST, "How sure it must be who sent the event: at least this."),
    *HOURS,
    Field("profile", Profile(), "What must be known of the person at the event; all lines must hold."),
    *MEMBERSHIPS,
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
        "hours": hours_of(given),
        "profile": given.get("profile", ()),
        "memberships": memberships_of(given),
    }


def narrowed(
    condition: Condition,
    *,
    where: tuple[Predicate, ...] = (),
    session: tuple[Predicate, ...] = (),
    trust: str | None = None,
    hours: tuple[Hours, ...] = (),
    profile: tuple[Predicate, ...] = (),
    memberships: tuple[Membership, ...] = (),
) -> Condition:
    """The condition with more asked of it: pushed into each member of ``any_of``."""
    if condition.any_of:
        members = tuple(
            narrowed(
                each, where=where, session=session, trust=trust, hours=hours, profile=profile, memberships=memberships
            )
            for each in condition.any_of
        )
        return replace(condition, any_of=members)
    return replace(
        condition,
        where=(*condition.where, *where),
        session=(*condition.session, *session),
        trust=_stronger(condition.trust, trust),
        hours=(*condition.hours, *hours),
        profile=(*condition.profile, *profile),
        memberships=(*condition.memberships, *memberships),
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
