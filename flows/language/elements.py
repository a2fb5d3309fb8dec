"""The elements of a sequence, steps and ``not``s: their tables, and the rules that hold between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from flows.language.conditions import (
    BESIDE,
    CONDITION,
    CONDITIONS,
    KnownAction,
    beside,
    condition_of,
    narrowed,
)
from flows.language.context import ParseContext, Schema
from flows.language.kinds import Duration, Either, Flag, ListOf, Number, Path, Text, Whole
from flows.language.model import Membership, Not, Step, Sum, Times
from flows.language.operands import Ends
from flows.language.shape import Field, Given, Shape
from flows.language.source import BAD, YamlNode, phrase

MAX_ELEMENTS: Final = 50
"""``not``s counted: a state holds their numbers as the bits of one integer of 64."""
MAX_TIMES: Final = 1_000
"""Events of a loop: all of them are evidence, and are kept in the state."""
MAX_ALL_OF: Final = 8
"""Every assignment of events to members is tried."""

STEP_NAME: Final = Text("a name of letters, digits, - and _ that begins with a letter", "[A-Za-z][A-Za-z0-9_-]*", 64)


def _times(given: Given, context: ParseContext) -> Any:
    if given.bad:
        return BAD
    if "between" in given:
        return Times(*given["between"])
    if "exactly" in given:
        return Times(given["exactly"], given["exactly"])
    return Times(given["at_least"], None)


@dataclass(frozen=True, slots=True)
class _Count:
    """``times: n``."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        if node.value == 0 and not isinstance(node.value, bool):
            wanted = "1 or more; for absence a `not`, for a step that may be skipped {at_least: 0}"
            return context.refuse(node, "the number 0, which takes no event", wanted)
        found = Whole(1, MAX_TIMES).read(node, context)
        return BAD if found is BAD else Times(found, found)

    def schema(self) -> Schema:
        return Whole(1, MAX_TIMES).schema()


@dataclass(frozen=True, slots=True)
class _Range:
    """``[n, m]``, m at least 1."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        found = Ends(Whole(0, MAX_TIMES)).read(node, context)
        if found is not BAD and found[1] == 0:
            return context.refuse(node, "[0, 0], which takes no event", "[0, 1] or more; for absence, a `not`")
        return found

    def schema(self) -> Schema:
        return Ends(Whole(0, MAX_TIMES)).schema()


TIMES_SHAPE: Final = Shape(
    "times",
    (
        Field("exactly", Whole(1, MAX_TIMES), "Exactly so often."),
        Field("at_least", Whole(0, MAX_TIMES), "So often or more; 0 lets the step be skipped."),
        Field("between", _Range(), "From least to most, ends included."),
    ),
    _times,
    one_of=("exactly", "at_least", "between"),
    elsewhere={"at_most": "write `between: [1, most]`"},
)
TIMES: Final = Either("how often: 2, {exactly: 2}, {at_least: 2} or {between: [2, 5]}", _Count(), mapping=TIMES_SHAPE)


def _sum(given: Given, context: ParseContext) -> Any:
    return BAD if given.bad else Sum(given["of"], given["at_least"])


SUM: Final = Shape(
    "sum",
    (
        Field("of", Path(), "The property whose numbers are added.", required=True),
        Field("at_least", Number(positive=True), "What the sum must reach.", required=True),
    ),
    _sum,
)

_LOOP_FIELDS: Final = ("times", "distinct_by", "until", "sum")


def _step(given: Given, context: ParseContext) -> Any:
    for name in ("distinct_by", "until"):
        if name in given.nodes and "times" not in given.nodes:
            given.refuse(context, name, f"`{name}` without `times`", "a `times` beside it")
    if "sum" in given.nodes and "times" in given.nodes:
        given.refuse(context, "sum", "`sum` and `times` together", "one of them: `sum` stands instead of `times`")
    if "all_of" in given.nodes:
        for name in _LOOP_FIELDS:
            if name in given.nodes:
                given.refuse(context, name, f"`{name}` on a step with `all_of`", "a step with action or any_of")
    return BAD if given.bad else _built_step(given, context)


def _built_step(given: Given, context: ParseContext) -> Step:
    members = tuple(narrowed(each, **beside(given)) for each in given.get("all_of", ()))
    return Step(
        number=context.here,
        name=given.get("step"),
        condition=None if members else condition_of(given),
        all_of=members,
        times=given.get("times", Times()),
        distinct_by=given.get("distinct_by"),
        until=given.get("until"),
        sum=given.get("sum"),
        optional=given.get("optional", False),
        next=given.get("next", False),
        within_ms=given.get("within"),
        after_ms=given.get("after"),
    )


_STEP_NAME: Final = Field("step", STEP_NAME, "Its name, for evidence and for references.")

STEP: Final = Shape(
    "step",
    (
        _STEP_NAME,
        Field("action", KnownAction(), 'The event\'s action; "*" for any.'),
        Field("any_of", CONDITIONS, "The event fits one of these."),
        Field(
            "all_of",
            ListOf(CONDITION, "a list of conditions", 1, MAX_ALL_OF),
            "An event for each of these, in any order.",
        ),
        *BESIDE,
        Field("times", TIMES, "How often; one event each time."),
        Field("distinct_by", Path(), "With times: every event has another value there."),
        Field("until", CONDITION, "With times: an event that fits this ends the wait for a further one."),
        Field("sum", SUM, "Instead of times: takes events until the numbers of a property reach a sum."),
        Field("optional", Flag(), "The step may be skipped."),
        Field("next", Flag(), "No other event that the listener describes may come in between."),
        Field("within", Duration(), "Less than this since the event matched before it."),
        Field("after", Duration(), "At least this since the event matched before it."),
    ),
    _step,
    one_of=("action", "any_of", "all_of"),
    elsewhere={"for": "`for` belongs to a `not`; a step has `within` and `after`", "name": "write `step`"},
)


@dataclass(frozen=True, slots=True)
class _For:
    """A duration, or ``ever``."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        if node.value == "ever":
            return "ever"
        return Duration("a duration such as 10s, 30m, 2h or 7d, or ever on a first `not`").read(node, context)

    def schema(self) -> Schema:
        return {"anyOf": [Duration().schema(), {"const": "ever"}]}


def _not(given: Given, context: ParseContext) -> Any:
    if given.bad:
        return BAD
    wait = given.get("for")
    return Not(
        number=context.here,
        condition=narrowed(given["not"], **beside(given)),
        name=given.get("step"),
        for_ms=None if wait == "ever" else wait,
        ever=wait == "ever",
    )


_ON_STEPS: Final = ("times", "distinct_by", "until", "sum", "optional", "next", "within", "after")

NOT: Final = Shape(
    "not",
    (
        _STEP_NAME,
        Field("not", CONDITION, "What must not come: an action or a condition.", required=True),
        *BESIDE,
        Field("for", _For(), "First or last in the sequence: how long it must not come; `ever` on a first one."),
    ),
    _not,
    elsewhere={
        **{name: f"`{name}` belongs to a step, not to a `not`" for name in _ON_STEPS},
        "action": "the action stands behind `not:`",
        "any_of": "write `not: {any_of: [...]}`",
        "all_of": "a `not` fits single events: write `not: {any_of: [...]}`",
    },
)


@dataclass(frozen=True, slots=True)
class Elements:
    """The list under ``sequence``."""

    wanted: str = "a list of steps, such as `- action: page_viewed`"

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        """Steps and ``not``s, numbered from 1."""
        if node.value is BAD:
            return BAD
        if node.items is None:
            return context.refuse(node, phrase(node), self.wanted)
        if not 1 <= len(node.items) <= MAX_ELEMENTS:
            found = f"a list of {len(node.items)}" if node.items else "an empty list"
            return context.refuse(node, found, f"{self.wanted}, 1 to {MAX_ELEMENTS} of them")
        found_elements = []
        for number, item in enumerate(node.items, start=1):
            context.here = number
            shape = NOT if item.get("not") is not None else STEP
            found_elements.append(shape.read(item, context))
        context.here = len(node.items) + 1
        good = _names_are_unique(node.items, context) & _places_are_right(node, context)
        return tuple(found_elements) if good and not any(each is BAD for each in found_elements) else BAD

    def schema(self) -> Schema:
        """An array of steps and ``not``s."""
        return {
            "type": "array",
            "items": {"if": {"required": ["not"]}, "then": NOT.schema(), "else": STEP.schema()},
            "minItems": 1,
            "maxItems": MAX_ELEMENTS,
        }


def step_names(sequence: YamlNode | None) -> dict[str, tuple[int, bool]]:
    """Name → (number, whether it is a ``not``), of a sequence that has not been checked yet."""
    found: dict[str, tuple[int, bool]] = {}
    for number, item in enumerate((sequence.items if sequence else None) or (), start=1):
        name = item.get("step")
        if name is not None and isinstance(name.value, str):
            found.setdefault(name.value, (number, item.get("not") is not None))
    return found


def _names_are_unique(items: Sequence[YamlNode], context: ParseContext) -> bool:
    good, seen = True, dict[str, int]()
    for item in items:
        name = item.get("step")
        if name is None or not isinstance(name.value, str):
            continue
        if name.value in seen:
            context.refuse(name, phrase(name), f"another name: the step at line {seen[name.value]} has this one")
            good = False
        seen.setdefault(name.value, name.line)
    return good


def _places_are_right(node: YamlNode, context: ParseContext) -> bool:
    items = node.items or []
    steps = [index for index, item in enumerate(items) if item.get("not") is None]
    if not steps:
        context.refuse(node, "only `not`s", "at least one step that takes an event")
        return False
    good = True
    for index, item in enumerate(items):
        if item.get("not") is not None:
            place = "first" if index < steps[0] else "between" if index < steps[-1] else "last"
            final = index == len(items) - 1
            good &= _for_is_right(item, place, context, final=final)
    return good


def _for_is_right(item: YamlNode, place: str, context: ParseContext, *, final: bool) -> bool:
    wait = item.get("for")
    if place == "first" and wait is None:
        context.refuse(item, "a first `not` without `for`", "`for: 7d`, or `for: ever`")
    elif wait is None:
        return True
    elif place == "between":
        context.refuse(wait, "`for` on a `not` between two steps", "no `for`: it guards until the next step")
    elif place == "last" and not final:
        context.refuse(wait, "`for` on a `not` that is not the final one", "`for` on the last `not` alone")
    elif place == "last" and wait.value == "ever":
        context.refuse(wait, "`for: ever` on a last `not`", "a duration: a wait must end")
    else:
        return True
    return False


def asked_of_steps(
    element: Step | Not, *, trust: str | None = None, memberships: tuple[Membership, ...] = ()
) -> Step | Not:
    """The element with what the listener asks folded in: of what a step takes. A ``not`` and an ``until`` ask for what
    they say themselves, so that an absence is not weakened.
    """
    if isinstance(element, Not):
        return element
    return replace(
        element,
        condition=narrowed(element.condition, trust=trust, memberships=memberships) if element.condition else None,
        all_of=tuple(narrowed(each, trust=trust, memberships=memberships) for each in element.all_of),
    )
