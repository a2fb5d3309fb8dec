"""The boxes of a listener with correlated values: made when a value is first seen, dropped when they add nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contracts.codec import replaced
from contracts.events import Event
from flows.language.compile import Key
from flows.language.paths import frozen
from flows.machine.compiled import Tables
from flows.machine.runs import Box, Run

Pair = tuple[tuple[int, int, str], Key]
"""A first event and the correlated values that the run has met: what the bound on runs counts."""


def boxes_for(tables: Tables, boxes: Sequence[Box], event: Event) -> Sequence[Box]:
    """The boxes, with one more for each combination of values that the event shows for the first time.

    A value that was not seen is one that every box without a value (None) stands for, so its boxes are copies.
    """
    if not (tables.hears is None or event.action in tables.hears):
        return boxes
    for values, variable in tables.sources:
        known = {box.key[variable] for box in boxes}
        for value in sorted({frozen(each) for each in values(event.properties) if each is not None} - known):
            boxes = [*boxes, *(_keyed(box, variable, value) for box in boxes if box.key[variable] is None)]
            known.add(value)
    return boxes


def shown_values(tables: Tables, event: Event) -> set[str]:
    """The values of a listener's only variable that the event shows."""
    if not (tables.hears is None or event.action in tables.hears):
        return set()
    return {frozen(value) for values, _ in tables.sources for value in values(event.properties) if value is not None}


def without_idle(boxes: Sequence[Box], variables: int) -> Sequence[Box]:
    """Without the boxes of values that are again as if they had never been seen."""
    for variable in range(variables):
        unseen = {_keyed(box, variable, None).key: box for box in boxes if box.key[variable] is None}
        telling = {
            box.key[variable]
            for box in boxes
            if (twin := unseen[_keyed(box, variable, None).key]).runs != box.runs or twin.seen != box.seen
        }
        boxes = [box for box in boxes if box.key[variable] is None or box.key[variable] in telling]
    return boxes


def bounded(tables: Tables, boxes: Sequence[Box], max_runs: int) -> tuple[Sequence[Box], int]:
    """At most ``max_runs`` different pairs of first event and correlated values; the oldest go first."""
    if sum(len(box.runs) for box in boxes) <= max_runs:
        return boxes, 0
    pairs = sorted({_pair(tables, run, box.key) for box in boxes for run in box.runs}, key=_order)
    gone = set(pairs[: max(len(pairs) - max_runs, 0)])
    if not gone:
        return boxes, 0
    return [
        replaced(box, runs=tuple(run for run in box.runs if _pair(tables, run, box.key) not in gone)) for box in boxes
    ], len(gone)


def _pair(tables: Tables, run: Run, key: Key) -> Pair:
    met = {variable for reference, variable in tables.scope.variables.items() if run.taken & 1 << reference.step}
    if tables.per:
        met.add(tables.variables - 1)
    return run.start, tuple(value if index in met else None for index, value in enumerate(key))


def _order(pair: Pair) -> tuple[Any, ...]:
    """By first event, then by values with the unseen first."""
    start, values = pair
    return (start, tuple((value is not None, value or "") for value in values))


def _keyed(box: Box, variable: int, value: str | None) -> Box:
    return replaced(box, key=(*box.key[:variable], value, *box.key[variable + 1 :]))
