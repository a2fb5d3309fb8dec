"""What an event must be to open a run, as far as a history can tell it by texts: more may fit, never less. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from flows.language.compile import actions_of
from flows.language.model import Condition, Op, Predicate

MAX_WAYS: Final = 64
"""Of one action; past it any event of the action counts."""


class Texts(NamedTuple):
    """A property's text is one of ``exact``, or begins with one of ``prefixes``."""

    name: str
    exact: tuple[str, ...]
    prefixes: tuple[str, ...] = ()


Way = tuple[Texts, ...]
"""All of it holds; nothing: any event."""
Starts = Mapping[str, Sequence[Way]]
"""Action → the ways in which an event of it may open a run, one of which holds."""


def starts_of(conditions: Iterable[Condition]) -> Starts | None:
    """Return by action what opens a run; None where any action may."""
    found: dict[str, dict[Way, None]] = {}
    for condition in conditions:
        for actions, way in _ways(condition):
            if actions is None:
                return None
            for action in actions:
                found.setdefault(action, {})[way] = None
    return {action: bounded(tuple(ways)) for action, ways in found.items()}


def bounded(ways: tuple[Way, ...]) -> tuple[Way, ...]:
    """Return the ways, or the one that any event fits, where one of them is that or where there are too many."""
    return ((),) if () in ways or len(ways) > MAX_WAYS else ways


def _ways(condition: Condition) -> Iterable[tuple[frozenset[str] | None, Way]]:
    """Yield the actions of each way in which an event fits, with what is asked of its texts."""
    own = tuple(texts for line in condition.where if (texts := _texts(line)) is not None)
    if not condition.any_of:
        return [(actions_of(condition), own)]
    return [(actions, (*own, *way)) for member in condition.any_of for actions, way in _ways(member)]


def _texts(line: Predicate) -> Texts | None:
    """Return what a line asks of a text; None where something else than a text may do."""
    if "." in line.path or "[]" in line.path:
        return None
    if line.op == Op.EQUALS:
        return Texts(line.path, (line.operand,)) if isinstance(line.operand, str) else None
    if line.op not in {Op.ONE_OF, Op.GLOB} or not all(isinstance(each, str) for each in line.operand):
        return None
    is_glob = line.op == Op.GLOB
    exact = tuple(each for each in line.operand if not (is_glob and "*" in each))
    prefixes = tuple(each.partition("*")[0] for each in line.operand if is_glob and "*" in each)
    return Texts(line.path, exact, prefixes) if all(prefixes) else None
