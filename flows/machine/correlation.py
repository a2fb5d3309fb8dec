"""Correlations: a listener's runs for each combination of correlated values, made when a value is first seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contracts.codec import replaced
from contracts.events import Event
from flows.language.compile import Key
from flows.language.paths import frozen
from flows.machine.compiled import CompiledListener
from flows.machine.runs import Correlation, Run

RunKey = tuple[tuple[int, int, str], Key]
"""A first event and the correlated values that the run has met: what the bound on runs counts."""


def correlations_for(
    tables: CompiledListener, correlations: Sequence[Correlation], event: Event
) -> Sequence[Correlation]:
    """Add a correlation for each combination of values that the event shows for the first time.

    A value not seen before is one that every correlation without a value (None) stands for: its own are copies.
    """
    if not (tables.hears is None or event.action in tables.hears):
        return correlations
    for values, variable in tables.sources:
        known = {correlation.key[variable] for correlation in correlations}
        for value in sorted({frozen(each) for each in values(event.properties) if each is not None} - known):
            correlations = [
                *correlations,
                *(
                    _keyed(correlation, variable, value)
                    for correlation in correlations
                    if correlation.key[variable] is None
                ),
            ]
            known.add(value)
    return correlations


def shown_values(tables: CompiledListener, event: Event) -> set[str]:
    """The values of a listener's only variable that the event shows."""
    if not (tables.hears is None or event.action in tables.hears):
        return set()
    return {frozen(value) for values, _ in tables.sources for value in values(event.properties) if value is not None}


def without_idle(correlations: Sequence[Correlation], variables: int) -> Sequence[Correlation]:
    """Drop the correlations of values that are again as if they had never been seen."""
    for variable in range(variables):
        unseen = {
            _keyed(correlation, variable, None).key: correlation
            for correlation in correlations
            if correlation.key[variable] is None
        }
        telling = {
            correlation.key[variable]
            for correlation in correlations
            if (twin := unseen[_keyed(correlation, variable, None).key]).runs != correlation.runs
            or twin.seen != correlation.seen
        }
        correlations = [
            correlation
            for correlation in correlations
            if correlation.key[variable] is None or correlation.key[variable] in telling
        ]
    return correlations


def bounded(
    tables: CompiledListener, correlations: Sequence[Correlation], max_runs: int
) -> tuple[Sequence[Correlation], int]:
    """At most ``max_runs`` different pairs of first event and correlated values; the oldest go first."""
    if sum(len(correlation.runs) for correlation in correlations) <= max_runs:
        return correlations, 0
    pairs = sorted(
        {_pair(tables, run, correlation.key) for correlation in correlations for run in correlation.runs}, key=_order
    )
    gone = set(pairs[: max(len(pairs) - max_runs, 0)])
    if not gone:
        return correlations, 0
    return [
        replaced(
            correlation, runs=tuple(run for run in correlation.runs if _pair(tables, run, correlation.key) not in gone)
        )
        for correlation in correlations
    ], len(gone)


def _pair(tables: CompiledListener, run: Run, key: Key) -> RunKey:
    met = {variable for reference, variable in tables.scope.variables.items() if run.taken & 1 << reference.step}
    if tables.per:
        met.add(tables.variables - 1)
    return run.start, tuple(value if index in met else None for index, value in enumerate(key))


def _order(pair: RunKey) -> tuple[Any, ...]:
    """By first event, then by values with the unseen first."""
    start, values = pair
    return (start, tuple((value is not None, value or "") for value in values))


def _keyed(correlation: Correlation, variable: int, value: str | None) -> Correlation:
    return replaced(correlation, key=(*correlation.key[:variable], value, *correlation.key[variable + 1 :]))
