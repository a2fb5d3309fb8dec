"""The parts of a listener read naively, from SEMANTICS 1 and 7 alone: what fits, what is complete, what may be skipped.

Shares nothing with the compiled language: no closures, no RE2, no index.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple

from contracts.actions import fitting
from contracts.codec import replaced
from contracts.events import Event
from flows.language.model import Condition, Hours, Membership, Op, Predicate, Reference, Step

MADE = {"list_joined", "list_left", "tag_added", "tag_removed", "session_ended"}


class Seen(NamedTuple):
    """An event, its session up to and including it (of what extends none the one that is open; none: empty), the time
    on the person's clock, and what is known of them.
    """

    event: Event
    session: list[Event]
    local: datetime
    known: dict[str, Any]
    standing: frozenset[tuple[str, str, str]] = frozenset()
    """Account, kind and name of the lists that the person is in, and of their tags."""
    news: bool = True
    """Of a joining or leaving: whether it is one."""


Events = Sequence[tuple[Event, int]]
"""The events taken so far with the numbers of their steps."""
Key = Mapping[Reference, str | None]
"""The machine's value of each property that ``same_as`` refers to."""


class Run(NamedTuple):
    """``taken``: (index in the stream, index of the step); ``slot``: the pending step, or the steps' number while the
    last ``not`` is awaited; ``filled``: members of a pending ``all_of``.
    """

    taken: tuple[tuple[int, int], ...] = ()
    slot: int = 0
    filled: frozenset[int] = frozenset()


def home(seen: Seen) -> Any:
    """What an event's session is told from others by."""
    return seen.session[0] if seen.session else seen.event


def rank(run: Run) -> tuple[Any, ...]:
    """The oldest first event, the most events, the earliest events, the earliest steps."""
    return (run.taken[0][0], -len(run.taken), [index for index, _ in run.taken], [slot for _, slot in run.taken])


LEVEL = {"browser": 0, "token": 1, "server": 2}
NUMERIC: dict[str, Callable[[Any, Any], bool]] = {
    "at_least": lambda value, other: bool(value >= other),
    "more_than": lambda value, other: bool(value > other),
    "at_most": lambda value, other: bool(value <= other),
    "less_than": lambda value, other: bool(value < other),
    "between": lambda value, ends: bool(ends[0] <= value <= ends[1]),
}


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def ident(value: Any) -> str:
    return repr(float(value)) if is_number(value) else json.dumps(value)


def idents(values: Sequence[Any]) -> set[str]:
    return {ident(value) for value in values if value is not None}


def _glob(pattern: Any, value: Any) -> bool:
    if not (isinstance(pattern, str) and "*" in pattern):
        return ident(pattern) == ident(value)
    regex = ".*".join(map(re.escape, pattern.split("*")))
    return isinstance(value, str) and re.fullmatch(regex, value, re.DOTALL) is not None


PLAIN: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda value, other: ident(value) == ident(other),
    "not_equals": lambda value, other: ident(value) != ident(other),
    "one_of": lambda value, others: ident(value) in map(ident, others),
    "none_of": lambda value, others: ident(value) not in map(ident, others),
    "glob": lambda value, patterns: any(_glob(pattern, value) for pattern in patterns),
    "starts_with": lambda value, other: isinstance(value, str) and value.startswith(other),
    "ends_with": lambda value, other: isinstance(value, str) and value.endswith(other),
    "contains": lambda value, other: (
        (isinstance(value, str) and isinstance(other, str) and other in value)
        or (isinstance(value, list) and ident(other) in map(ident, value))
    ),
    "matches": lambda value, other: isinstance(value, str) and re.search(other, value) is not None,
    "differs_from": lambda value, other: value is not None and ident(value) != ident(other),
    "shares_with": lambda value, other: (
        isinstance(value, list) and isinstance(other, list) and bool({*map(ident, value)} & {*map(ident, other)})
    ),
}


def values(properties: Any, path: str) -> list[Any]:
    if path in properties:
        return [properties[path]]
    found = [properties]
    for part in path.replace("[]", ".[]").split("."):
        if part == "[]":
            found = [element for value in found if isinstance(value, list) for element in value]
        else:
            found = [value[part] for value in found if isinstance(value, dict) and part in value]
    return found


def _referred(operand: Any, taken: Events) -> Any:
    if not isinstance(operand, Reference):
        return operand
    there = [values(event.properties, operand.path) for event, step in taken if step == operand.step]
    if not there:
        return None
    return there[-1] if "[]" in operand.path else (there[-1] or [None])[0]


def line_holds(line: Predicate, event: Event, taken: Events, key: Key) -> bool:
    found, operand = values(event.properties, line.path), line.operand
    if line.op == Op.EXISTS:
        return any(value is not None for value in found) is operand
    if line.op == Op.SAME_AS:
        return any(step == operand.step for _, step in taken) and key[operand] in idents(found)
    if line.references:
        pair = isinstance(operand, tuple)
        operand = tuple(_referred(each, taken) for each in operand) if pair else _referred(operand, taken)
        if operand is None:
            return False
        if line.op in NUMERIC and not all(map(is_number, operand if pair else [operand])):
            return False
        if line.op == Op.SHARES_WITH:
            return PLAIN["shares_with"](found if "[]" in line.path else (found or [None])[0], operand)
    if line.op in {Op.NOT_EQUALS, Op.NONE_OF} and not found:
        return True
    if line.op in NUMERIC:
        return any(is_number(value) and NUMERIC[line.op](value, operand) for value in found)
    return any(PLAIN[line.op](value, operand) for value in found)


def is_within(hours: Hours, local: datetime) -> bool:
    """Looks for a day among those named whose window the time lies in."""
    for began in (local.date(), local.date() - timedelta(days=1)):
        start = datetime.combine(began, time()) + timedelta(minutes=hours.start)
        end = datetime.combine(began, time()) + timedelta(minutes=hours.end)
        end += timedelta(days=1) if end < start else timedelta()
        if began.weekday() in hours.days and start <= local.replace(tzinfo=None) < end:
            return True
    return False


def fits(
    condition: Condition,
    seen: Seen,
    taken: Events,
    key: Key,
    *,
    described: bool = False,
    named: frozenset[str] = frozenset(),
) -> bool:
    """``described``: correlated lines count as true. ``named``: the properties that outer conditions ask for."""
    event, session, local, known, standing, news = seen
    named = named | {line.path for line in condition.where}
    if event.provisional or event.verdict.startswith("machine") or not news:
        return False
    if condition.action is not None:
        if event.action in MADE and (
            condition.action == "*" or (event.properties.get("by") == "import" and "by" not in named)
        ):
            return False
        if condition.action != "*" and event.action not in fitting(condition.action):
            return False
        if event.action == "email_opened" and event.properties.get("machine") is True and "machine" not in named:
            return False
    elif not any(fits(each, seen, taken, key, described=described, named=named) for each in condition.any_of):
        return False
    lasted = session[-1].occurred_at_ms - session[0].occurred_at_ms if session else 0
    said = {"duration": lasted, "events": len(session)}
    return (
        all(is_within(hours, local) for hours in condition.hours)
        and all(line_holds(line, replaced(event, properties=known), taken, key) for line in condition.profile)
        and (condition.trust is None or LEVEL[event.trust] >= LEVEL[condition.trust])
        and all((described and line.references) or line_holds(line, event, taken, key) for line in condition.where)
        and all(is_in(each, standing) is each.is_in for each in condition.memberships)
        and all(NUMERIC[line.op](said[line.path], line.operand) for line in condition.session)
    )


def is_in(asked: Membership, standing: frozenset[tuple[str, str, str]]) -> bool:
    return any(at == asked.at and kind == asked.kind and _glob(asked.name, name) for at, kind, name in standing)


def fillable(
    step: Step, filled: frozenset[int], seen: Seen, taken: Events, mine: Sequence[Event], key: Key
) -> list[int]:
    """The members of a step (0 where it is one condition) that an event could fill; ``mine``: those it has."""
    properties = seen[0].properties
    if any(value not in idents(values(properties, ref.path)) for ref, value in key.items() if ref.step == step.number):
        return []
    if step.distinct_by:
        known = {mark for event in mine for mark in idents(values(event.properties, step.distinct_by))}
        marks = idents(values(properties, step.distinct_by))
        if not marks or marks & known:
            return []
    if step.sum and not any(map(is_number, values(properties, step.sum.of))):
        return []
    conditions = enumerate(step.all_of or step.conditions()[:1])
    return [member for member, each in conditions if member not in filled and fits(each, seen, taken, key)]


def is_loop(step: Step) -> bool:
    return not step.all_of and (step.sum is not None or not step.times.once)


def is_complete(step: Step, events: Sequence[Event]) -> bool:
    """Whether a step with these events may be left."""
    if step.all_of:
        return len(events) == len(step.all_of)
    if step.sum:
        numbers = [number for event in events for number in values(event.properties, step.sum.of) if is_number(number)]
        return bool(sum(numbers) >= step.sum.at_least)
    return len(events) >= step.times.at_least


def takes_more(step: Step, events: Sequence[Event]) -> bool:
    if step.all_of or step.sum:
        return not is_complete(step, events)
    return step.times.at_most is None or len(events) < step.times.at_most


def ahead(steps: Sequence[Step], slot: int) -> Iterator[int]:
    """The slots reachable from one that is complete; their number is the end."""
    for index in range(slot + 1, len(steps)):
        yield index
        if not steps[index].optional and (steps[index].sum or steps[index].times.at_least > 0):
            return
    yield len(steps)
