"""Whether an event can exist that fits a condition. Pure, and careful: it says no only where it is sure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from contracts.actions import fitting
from contracts.events import Event, Trust
from flows.derived.sessions import Session
from flows.language.compile import MADE, ReferenceNumbers, compile_condition
from flows.language.hours import can_meet, hours_in_words
from flows.language.memberships import contradict, in_words
from flows.language.model import Condition, Op, Predicate
from flows.language.operators import OPERATORS
from flows.language.words import Phrasing

_SESSION: Final = Session("", 0, 0, 1)


def contradiction(condition: Condition, phrasing: Phrasing) -> str:
    """Two lines that no event can fit at once, in words; empty where none is known."""
    if condition.any_of:
        found = [contradiction(member, phrasing) for member in condition.any_of]
        return found[0] if all(found) else ""
    for path in dict.fromkeys(line.path for line in condition.where):
        lines = [line for line in condition.where if line.path == path]
        if "[]" not in path and not _some_value_fits(lines):
            return " and ".join(phrasing.line(line) for line in lines)
    for path in dict.fromkeys(line.path for line in condition.profile):
        lines = [line for line in condition.profile if line.path == path]
        if "[]" not in path and not _some_value_fits(lines):
            return "a person of whom " + " and ".join(phrasing.line(line) for line in lines)
    for path in dict.fromkeys(line.path for line in condition.session):
        lines = [line for line in condition.session if line.path == path]
        least = Predicate(path, Op.AT_LEAST, 1 if path == "events" else 0)
        if not _span([*lines, least]):
            return "a visit " + " and ".join(phrasing.session(line) for line in lines)
    if not can_meet(condition.hours):
        return " and ".join(hours_in_words(hours) for hours in condition.hours)
    barred = contradict(condition.memberships)
    return f"somebody {in_words(barred)}, and who must not be in it" if barred else ""


def covers(wider: Condition, narrower: Condition) -> bool:
    """Whether every event that fits ``narrower`` surely fits ``wider``."""
    if wider.any_of:
        return any(covers(member, narrower) for member in wider.any_of) or wider == narrower
    if narrower.any_of:
        return all(covers(wider, member) for member in narrower.any_of)
    acts = wider.action == narrower.action or narrower.action in fitting(wider.action or "")
    acts = acts or (wider.action == "*" and narrower.action not in MADE)
    # An open by a machine fits only where `machine` is named: then the narrower one may fit what the wider does not.
    machines = any(line.path == "machine" for line in narrower.where)
    lines = set(wider.where) <= set(narrower.where) and set(wider.session) <= set(narrower.session)
    lines = lines and set(wider.hours) <= set(narrower.hours) and set(wider.profile) <= set(narrower.profile)
    lines = lines and set(wider.memberships) <= set(narrower.memberships)
    return acts and not machines and lines and _level(wider) <= _level(narrower)


def can_coincide(one: Condition, other: Condition) -> bool:
    """Whether one event may fit both, as far as can be told."""
    return any(
        _same_action(left, right) and not _clash(left, right)
        for left in alternatives(one)
        for right in alternatives(other)
    )


def alternatives(condition: Condition) -> tuple[Condition, ...]:
    """The conditions of which one must fit, without nesting."""
    if not condition.any_of:
        return (condition,)
    return tuple(found for member in condition.any_of for found in alternatives(member))


def _same_action(one: Condition, other: Condition) -> bool:
    if "*" in {one.action, other.action}:
        return not {one.action, other.action} & MADE
    return bool(set(fitting(one.action or "")) & set(fitting(other.action or "")))


def _clash(one: Condition, other: Condition) -> bool:
    # References are of their own listener each, so only what is constant can clash.
    lines = [line for line in (*one.where, *other.where) if not line.references and "[]" not in line.path]
    paths = {line.path for line in lines}
    values_meet = all(_some_value_fits([line for line in lines if line.path == path]) for path in paths)
    return not (values_meet and can_meet((*one.hours, *other.hours)))


def _level(condition: Condition) -> int:
    return Trust(condition.trust).level if condition.trust else 0


def _some_value_fits(lines: Sequence[Predicate]) -> bool:
    """Whether some value, or none at all, fits these lines of one property; True where it cannot be told."""
    constant = [line for line in lines if not line.references]
    if any(line.op == Op.EXISTS and line.operand is False for line in constant):
        return all(OPERATORS[line.op].absent_fits or (line.op == Op.EXISTS and line.operand is False) for line in lines)
    named = [_named(line) for line in constant]
    values = next((found for found in named if found is not None), None)
    if values is not None:
        return any(_fits(value, constant) for value in values)
    numeric = [line for line in constant if OPERATORS[line.op].span is not None]
    if numeric:
        return not any(OPERATORS[line.op].texts_only for line in constant) and _span(numeric)
    return True


def _named(line: Predicate) -> tuple[Any, ...] | None:
    """The values of which it must be one, where the line says so."""
    known = OPERATORS[line.op]
    return known.literals(line.operand) if known.is_one_of else None


def _fits(value: Any, lines: Sequence[Predicate]) -> bool:
    condition = compile_condition(Condition("*", where=tuple(lines)), ReferenceNumbers({}, {}), 0)
    event = Event("", "", "", "page_viewed", 0, properties={lines[0].path: value})
    return condition.plain(event, _SESSION)


def _span(lines: Iterable[Predicate]) -> bool:
    """Whether a number lies in all of these ranges. Ends that touch count, unless one leaves its end out."""
    low, high = float("-inf"), float("inf")
    open_ends = set()
    for line in lines:
        below, above = _ends(line)
        low, high = max(low, below), min(high, above)
        if OPERATORS[line.op].open_end:
            open_ends.add(line.operand)
    return low < high or (low == high and low not in open_ends)


def _ends(line: Predicate) -> tuple[float, float]:
    span = OPERATORS[line.op].span
    return (line.operand, line.operand) if span is None else span(line.operand)
