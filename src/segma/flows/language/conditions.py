"""Conditions: ``action``, ``any_of``, ``where``, ``session``, ``trust`` (SEMANTICS 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import re2

from segma.contracts.events import Trust
from segma.flows.language.compile import compiled_regex
from segma.flows.language.grammar import (
    CONDITION,
    MAX_LINES,
    MAX_MEMBERS,
    MAX_NESTING,
    MAX_PATTERN,
    MAX_VALUES,
    NUMERIC,
    OPERATORS,
    SESSION,
)
from segma.flows.language.model import Condition, Op, Predicate, Reference
from segma.flows.language.reader import Spot, suggestion
from segma.flows.language.tree import Fields, Items

MAX_PATH: Final = 200
_PATH_WANTED: Final = "a property's path, such as category, cart.total or items[].sku"


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a reference may name: the steps before it by name (name → number), and all names of the listener."""

    steps: Mapping[str, int]
    every: Mapping[str, int]


def read_condition(spot: Spot, earlier: Earlier, depth: int = 0) -> Condition | None:
    """A condition written as a mapping."""
    entries = spot.entries(CONDITION, "a condition, such as {action: page_viewed, where: {path: /shoes}}")
    if entries is None:
        return None
    return condition_of(spot, {entry.name: entry.spot for entry in entries}, earlier, depth)


def condition_of(spot: Spot, fields: Mapping[str, Spot], earlier: Earlier, depth: int = 0) -> Condition | None:
    """A condition of its fields; other fields are left alone."""
    extras = read_extras(fields, earlier)
    action, any_of = fields.get("action"), fields.get("any_of")
    if action is not None and any_of is not None:
        any_of.bad("write either `action` or `any_of`", "`any_of` beside `action`")
        return None
    if action is not None:
        name = read_action(action)
        return None if name is None else with_extras(Condition(action=name), extras)
    if any_of is not None:
        members = read_members(any_of, earlier, depth, most=MAX_MEMBERS)
        if members is None:
            return None
        return spread(Condition(any_of=tuple(members)), extras)
    spot.bad("`action: name`, or `any_of` with conditions", "no action")
    return None


def read_members(spot: Spot, earlier: Earlier, depth: int, *, most: int, least: int = 1) -> list[Condition] | None:
    """The members of ``any_of`` or ``all_of``; a name alone is a condition on that action."""
    if depth >= MAX_NESTING:
        spot.bad(f"at most {MAX_NESTING} levels of conditions")
        return None
    members = spot.items("a list of conditions", most=most, least=least)
    if members is None:
        return None
    read = [
        read_condition(member, earlier, depth + 1)
        if isinstance(member.node, (Fields, Items))
        else _action_alone(member)
        for member in members
    ]
    found = [condition for condition in read if condition is not None]
    return found if len(found) == len(read) else None


def _action_alone(spot: Spot) -> Condition | None:
    name = read_action(spot)
    return None if name is None else Condition(action=name)


def read_action(spot: Spot) -> str | None:
    """An action's name that is known, or ``*``."""
    name = spot.text('an action\'s name, or "*" for any')
    if name is None or name == "*" or name in spot.sheet.actions:
        return name
    hint = suggestion(name, spot.sheet.actions)
    spot.bad(f"{hint} Actions of your own are declared in actions.yaml".strip(), f"the unknown action `{name[:60]}`")
    return None


@dataclass(frozen=True, slots=True)
class Extras:
    """What stands beside an action: it holds for each member of an ``any_of`` or ``all_of``."""

    where: tuple[Predicate, ...] = ()
    session: tuple[Predicate, ...] = ()
    trust: str | None = None


def with_extras(condition: Condition, extras: Extras) -> Condition:
    """The condition with these lines too."""
    return replace(
        condition,
        where=condition.where + extras.where,
        session=condition.session + extras.session,
        trust=stronger(condition.trust, extras.trust),
    )


def spread(condition: Condition, extras: Extras) -> Condition:
    """The condition with these lines pushed into each member of an ``any_of``."""
    if condition.action is not None:
        return with_extras(condition, extras)
    return replace(condition, any_of=tuple(with_extras(member, extras) for member in condition.any_of))


def stronger(one: str | None, other: str | None) -> str | None:
    """The trust that asks for more."""
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda trust: Trust(trust).level)


def read_extras(fields: Mapping[str, Spot], earlier: Earlier) -> Extras:
    """``where``, ``session`` and ``trust``."""
    where, session, trust = fields.get("where"), fields.get("session"), fields.get("trust")
    return Extras(
        read_where(where, earlier) if where else (),
        read_session(session) if session else (),
        trust.one_of([each.value for each in Trust]) if trust else None,
    )


def read_where(spot: Spot, earlier: Earlier) -> tuple[Predicate, ...]:
    """The lines of a ``where``."""
    entries = spot.entries(None, "properties and what they must be, such as {category: shoes}")
    if entries is None:
        return ()
    if not 1 <= len(entries) <= MAX_LINES:
        spot.bad(f"1 to {MAX_LINES} properties", f"{len(entries)} properties")
        return ()
    found: list[Predicate] = []
    for name, value in entries:
        if is_path(name):
            found.extend(_read_line(name, value, earlier))
        else:
            value.bad(_PATH_WANTED, f"`{name[:60]}`")
    return tuple(found)


def is_path(text: str) -> bool:
    """Whether it can be a property's path."""
    parts = text.split(".")
    return len(text) <= MAX_PATH and all(
        part.removesuffix("[]").strip() == part.removesuffix("[]") != "" and "[" not in part.removesuffix("[]")
        for part in parts
    )


def read_path(spot: Spot) -> str | None:
    """A property's path."""
    text = spot.text(_PATH_WANTED)
    if text is not None and not is_path(text):
        spot.bad(_PATH_WANTED)
        return None
    return text


def _read_line(path: str, spot: Spot, earlier: Earlier) -> list[Predicate]:
    if isinstance(spot.node, Fields):
        entries = spot.entries([str(op) for op in OPERATORS], "operators")
        if entries == [] and not spot.node.entries:
            spot.bad("an operator, such as {at_least: 50}", "no operator")
        read = [read_operator(path, Op(name), value, earlier) for name, value in entries or ()]
        return [predicate for predicate in read if predicate is not None]
    if isinstance(spot.node, Items):
        values = _values(spot)
        if values is None:
            return []
        globs = any(isinstance(value, str) and "*" in value for value in values)
        return [Predicate(path, Op.GLOB if globs else Op.ONE_OF, values)]
    value = spot.scalar("a value, a list of values, or an operator (for a missing one: {exists: false})")
    if value is None:
        return []
    if isinstance(value, str) and "*" in value:
        return [Predicate(path, Op.GLOB, (value,))]
    return [Predicate(path, Op.EQUALS, value)]


def _values(spot: Spot) -> tuple[Any, ...] | None:
    items = spot.items("a list of values", most=MAX_VALUES)
    if items is None:
        return None
    values = [item.scalar("a text, a number, true or false") for item in items]
    return None if any(value is None for value in values) else tuple(values)


def read_operator(path: str, op: Op, spot: Spot, earlier: Earlier) -> Predicate | None:
    """One operator with its operand."""
    operand = _operand(op, spot, earlier)
    return None if operand is None else Predicate(path, op, operand)


_SCALAR_WANTED: Final = "a text, a number, true or false"


def _operand(op: Op, spot: Spot, earlier: Earlier) -> Any | None:
    read: Callable[[Spot, Earlier], Any] = _OPERANDS.get(op, _number_or_reference)
    return read(spot, earlier)


def _truth(spot: Spot) -> bool | None:
    value = spot.scalar("true or false")
    if value is not None and not isinstance(value, bool):
        spot.bad("true or false")
        return None
    return value


def _number_or_reference(spot: Spot, earlier: Earlier) -> Any | None:
    value = spot.scalar("a number, or step.property of an earlier step")
    if isinstance(value, str):
        return _reference(spot, earlier, lists=False)
    return None if value is None else spot.number("a number, or step.property of an earlier step")


def _between(spot: Spot, earlier: Earlier) -> tuple[Any, Any] | None:
    items = spot.items("two numbers, such as [10, 20]", least=2, most=2)
    if items is None:
        return None
    low, high = (_number_or_reference(item, earlier) for item in items)
    if low is None or high is None:
        return None
    if not isinstance(low, Reference) and not isinstance(high, Reference) and low > high:
        spot.bad("the smaller number first", f"`[{low}, {high}]`")
        return None
    return (low, high)


def _reference(spot: Spot, earlier: Earlier, *, lists: bool) -> Reference | None:
    text = spot.text("step.property of an earlier step")
    if text is None:
        return None
    return reference_of(spot, text, earlier, lists=lists)


def reference_of(spot: Spot, text: str, earlier: Earlier, *, lists: bool) -> Reference | None:
    """A reference's text, checked. ``lists``: whether its path may go through ``[]``."""
    step, dot, path = text.partition(".")
    if not dot or not is_path(path):
        spot.bad("step.property of an earlier step, such as looked.category", f"`{text[:60]}`")
        return None
    if step not in earlier.steps:
        if step in earlier.every:
            spot.bad("a step that comes before this one", f"the step `{step}`, which is not before this one")
        else:
            hint = suggestion(step, earlier.steps) or (
                f"named before this one: {', '.join(earlier.steps)}" if earlier.steps else "name an earlier step"
            )
            spot.bad(hint, f"the unknown step `{step[:60]}`")
        return None
    if "[]" in path and not lists:
        spot.bad("a single property: a list can only be compared by same_as and shares_with", f"`{text[:60]}`")
        return None
    return Reference(earlier.steps[step], path)


def _pattern(spot: Spot) -> str | None:
    text = spot.text("an RE2 pattern")
    if text is None:
        return None
    if len(text) > MAX_PATTERN:
        spot.bad(f"at most {MAX_PATTERN} characters", f"a pattern of {len(text)} characters")
        return None
    try:
        compiled_regex(text)
    except re2.error as error:
        fault = error.args[0].decode("utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else error
        spot.bad("a pattern of RE2's syntax, of moderate size", f"the pattern `{text[:40]}` ({fault})")
        return None
    return text


_OPERANDS: Final[Mapping[Op, Callable[[Spot, Earlier], Any]]] = {
    Op.EQUALS: lambda spot, earlier: spot.scalar(_SCALAR_WANTED),
    Op.NOT_EQUALS: lambda spot, earlier: spot.scalar(_SCALAR_WANTED),
    Op.CONTAINS: lambda spot, earlier: spot.scalar(_SCALAR_WANTED),
    Op.ONE_OF: lambda spot, earlier: _values(spot),
    Op.NONE_OF: lambda spot, earlier: _values(spot),
    Op.BETWEEN: _between,
    Op.STARTS_WITH: lambda spot, earlier: spot.text("a text"),
    Op.ENDS_WITH: lambda spot, earlier: spot.text("a text"),
    Op.MATCHES: lambda spot, earlier: _pattern(spot),
    Op.EXISTS: lambda spot, earlier: _truth(spot),
    Op.SAME_AS: lambda spot, earlier: _reference(spot, earlier, lists=True),
    Op.SHARES_WITH: lambda spot, earlier: _reference(spot, earlier, lists=True),
    Op.DIFFERS_FROM: lambda spot, earlier: _reference(spot, earlier, lists=False),
}
"""The others take a number or a reference."""


def read_session(spot: Spot) -> tuple[Predicate, ...]:
    """``session: {duration: {at_least: 3m}, events: {at_least: 5}}``."""
    entries = spot.entries(SESSION, "{duration: {at_least: 3m}} or {events: {at_least: 5}}")
    if entries is not None and not entries and isinstance(spot.node, Fields) and not spot.node.entries:
        spot.bad("{duration: {at_least: 3m}} or {events: {at_least: 5}}", "no condition")
    found: list[Predicate] = []
    for name, value in entries or ():
        lines = value.entries([*NUMERIC, Op.BETWEEN], "a comparison, such as {at_least: 5}")
        for op, operand in lines or ():
            read = _session_operand(operand, name, Op(op))
            if read is not None:
                found.append(Predicate(name, Op(op), read))
    return tuple(found)


def _session_operand(spot: Spot, name: str, op: Op) -> Any | None:
    if op is not Op.BETWEEN:
        return spot.duration() if name == "duration" else spot.whole("a whole number", least=0, most=10**9)
    ends = spot.items("two of them, such as [3m, 5m]", least=2, most=2)
    if ends is None:
        return None
    low, high = (
        end.duration() if name == "duration" else end.whole("a whole number", least=0, most=10**9) for end in ends
    )
    if low is None or high is None:
        return None
    if low > high:
        spot.bad("the smaller one first", "the larger one first")
        return None
    return (low, high)
