"""The elements of a sequence: steps that take events, and ``not``s (SEMANTICS 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from segma.flows.language.conditions import (
    Earlier,
    condition_of,
    read_action,
    read_condition,
    read_extras,
    read_members,
    read_path,
    spread,
)
from segma.flows.language.grammar import MAX_ALL_OF, MAX_TIMES, NOT, STEP, SUM, TIMES
from segma.flows.language.model import Condition, Not, Step, Sum, Times
from segma.flows.language.reader import Spot
from segma.flows.language.tree import Fields, Scalar

_ONE: Final = Times()
_TIMES_WANTED: Final = "a number, {exactly: n}, {at_least: n} or {between: [n, m]}"


def read_element(spot: Spot, number: int, earlier: Earlier) -> Step | Not | None:
    """One element: a mapping with ``not`` is a guard, any other a step."""
    if isinstance(spot.node, Fields) and "not" in spot.node.entries:
        return _read_not(spot, number, earlier)
    return _read_step(spot, number, earlier)


def _read_not(spot: Spot, number: int, earlier: Earlier) -> Not | None:
    before = len(spot.sheet.problems)
    fields = {entry.name: entry.spot for entry in spot.entries(NOT, "a `not`") or ()}
    value = fields["not"]
    condition: Condition | None
    if isinstance(value.node, Fields):
        condition = read_condition(value, earlier)
    else:
        action = read_action(value)
        condition = None if action is None else Condition(action=action)
    extras = read_extras(fields, earlier)
    for_ms, ever = _read_for(fields["for"]) if "for" in fields else (None, False)
    if condition is None or len(spot.sheet.problems) > before:
        return None
    return Not(number, spread(condition, extras), for_ms=for_ms, ever=ever)


def _read_for(spot: Spot) -> tuple[int | None, bool]:
    if isinstance(spot.node, Scalar) and spot.node.value == "ever":
        return None, True
    return spot.duration("a duration such as 30m (or `ever`, in front of the first step)"), False


def _read_step(spot: Spot, number: int, earlier: Earlier) -> Step | None:
    before = len(spot.sheet.problems)
    entries = spot.entries(STEP, "a step, such as {action: page_viewed}, or a `not`")
    if entries is None:
        return None
    fields = {entry.name: entry.spot for entry in entries}
    condition, all_of = _read_what(spot, fields, earlier)
    _check_companions(fields)
    step = Step(
        number,
        _name(fields),
        condition=condition,
        all_of=all_of,
        times=_read_times(fields["times"]) if "times" in fields else _ONE,
        distinct_by=read_path(fields["distinct_by"]) if "distinct_by" in fields else None,
        until=read_condition(fields["until"], earlier) if "until" in fields else None,
        sum=_read_sum(fields["sum"]) if "sum" in fields else None,
        optional=fields["optional"].flag() if "optional" in fields else False,
        next=fields["next"].flag() if "next" in fields else False,
        within_ms=fields["within"].duration() if "within" in fields else None,
        after_ms=fields["after"].duration() if "after" in fields else None,
    )
    if step.within_ms is not None and step.after_ms is not None and step.after_ms >= step.within_ms:
        fields["after"].bad("less than `within`, or no event can come in time")
    return step if len(spot.sheet.problems) == before else None


def _name(fields: Mapping[str, Spot]) -> str | None:
    # The form of a name was checked when all names were collected.
    node = fields["step"].node if "step" in fields else None
    return node.value if isinstance(node, Scalar) else None


def _read_what(
    spot: Spot, fields: Mapping[str, Spot], earlier: Earlier
) -> tuple[Condition | None, tuple[Condition, ...]]:
    """What the step takes: one condition, or the members of ``all_of``."""
    all_of = fields.get("all_of")
    if all_of is None:
        return condition_of(spot, fields, earlier), ()
    for other in ("action", "any_of"):
        if other in fields:
            all_of.bad(f"write either `all_of` or `{other}`", f"`all_of` beside `{other}`")
    extras = read_extras(fields, earlier)
    members = read_members(all_of, earlier, 0, least=2, most=MAX_ALL_OF)
    return None, tuple(spread(member, extras) for member in members or ())


def _check_companions(fields: Mapping[str, Spot]) -> None:
    """Which fields cannot stand beside which."""
    for name in ("times", "sum", "distinct_by", "until"):
        if "all_of" in fields and name in fields:
            fields[name].bad("leave it out: `all_of` takes one event for each member", f"`{name}` beside `all_of`")
    if "sum" in fields and "times" in fields:
        fields["sum"].bad("write either `times` or `sum`", "`sum` beside `times`")
    for name in ("distinct_by", "until"):
        if name in fields and "times" not in fields and "all_of" not in fields:
            fields[name].bad("`times` beside it: it belongs to a loop", f"`{name}` without `times`")


def _read_times(spot: Spot) -> Times:
    if not isinstance(spot.node, Fields):
        count = spot.whole(_TIMES_WANTED + f", from 1 to {MAX_TIMES}", least=1, most=MAX_TIMES) or 1
        return Times(count, count)
    entries = spot.entries(TIMES, _TIMES_WANTED) or []
    if len(spot.node.entries) != 1:
        spot.bad(_TIMES_WANTED, f"{len(spot.node.entries)} fields")
        return _ONE
    for name, value in entries:
        if name == "exactly":
            count = value.whole(f"a whole number from 1 to {MAX_TIMES}", least=1, most=MAX_TIMES) or 1
            return Times(count, count)
        if name == "at_least":
            return Times(value.whole(f"a whole number from 0 to {MAX_TIMES}", least=0, most=MAX_TIMES) or 0, None)
        return _read_between(value)
    return _ONE


def _read_between(spot: Spot) -> Times:
    ends = spot.items("two whole numbers, such as [2, 5]", least=2, most=2)
    if ends is None:
        return _ONE
    low, high = (end.whole(f"a whole number from 0 to {MAX_TIMES}", least=0, most=MAX_TIMES) for end in ends)
    if low is None or high is None:
        return _ONE
    if high < max(low, 1):
        spot.bad("the smaller number first, and the larger at least 1", f"`[{low}, {high}]`")
        return _ONE
    return Times(low, high)


def _read_sum(spot: Spot) -> Sum | None:
    entries = spot.entries(SUM, "{of: property, at_least: number}")
    if entries is None:
        return None
    fields = {entry.name: entry.spot for entry in entries}
    for name in SUM:
        if name not in fields:
            spot.bad("{of: property, at_least: number}", f"no `{name}`")
            return None
    of, least = read_path(fields["of"]), fields["at_least"].number("a number")
    return None if of is None or least is None else Sum(of, least)
