"""What listeners need of the pages: the keys, letters, selectors and percentages that they name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from contracts.actions import ASKED_FOR
from contracts.captures import CaptureValue
from flows.language.model import Condition, Listener, Predicate, Step
from flows.language.operators import OPERATORS

MAX_NAMED: Final = 200
"""Of one action: a page looks at each of them at every key or move."""

ANY: Final = "*"
"""Any element."""


def captures_of(listeners: Iterable[Listener]) -> dict[str, tuple[CaptureValue, ...]]:
    """Collect what the listeners name of each action, in order; an action that no listener asks for is absent.

    A condition that names nothing asks for the action as such: for any element (``*``) where elements can be named; of
    keys and letters for none, because only those that a listener names are captured. ``action: "*"`` asks for nothing:
    it takes what is captured anyway.
    """
    found: dict[str, set[CaptureValue]] = {}
    for listener in listeners:
        for condition in _conditions(listener):
            if condition.action in ASKED_FOR:
                asked_by = ASKED_FOR[condition.action].asked_by
                named = set(_named(condition, asked_by)) or ({ANY} if asked_by == ("selector",) else set())
                found.setdefault(condition.action, set()).update(named)
    return {
        action: tuple(sorted(found[action], key=lambda each: (isinstance(each, str), each))[:MAX_NAMED])
        for action in sorted(found)
    }


def _conditions(listener: Listener) -> Iterator[Condition]:
    for element in listener.sequence:
        for condition in element.conditions() if isinstance(element, Step) else (element.condition,):
            yield from _members(condition)


def _members(condition: Condition) -> Iterator[Condition]:
    yield condition
    for member in condition.any_of:
        yield from _members(member)


def _named(condition: Condition, asked_by: tuple[str, ...]) -> Iterator[CaptureValue]:
    for line in condition.where:
        if line.path in asked_by:
            yield from (value for value in _values(line) if not isinstance(value, bool))


def _values(line: Predicate) -> Iterator[CaptureValue]:
    yield from (each for each in OPERATORS[line.op].asks_for(line.operand) if isinstance(each, (str, int, float)))
