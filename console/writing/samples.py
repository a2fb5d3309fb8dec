"""A sample of events to try a listener on: made of what its steps ask for, read as its own tests have them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

import yaml

from console.writing.cells import Form, scalar
from contracts.actions import ACTIONS
from contracts.codec import replaced
from contracts.errors import ListenerError, Problem
from contracts.events import Event
from contracts.installation import duration_ms
from flows.replay.examples import parse_examples

MOST: Final = 200
"""Events of a sample."""
MOST_TIMES: Final = 20
"""Events that are made of a step that repeats."""
_EXAMPLE: Final = "examples:\n  - name: sample\n    expect: []\n    events:\n"
_INSIDE: Final = "examples[1]."
_KNOWN: Final = {action.name: action.sample for action in ACTIONS}
_AS_IT_IS: Final = frozenset({"at_least", "at_most", "starts_with", "ends_with", "contains"})
_BESIDE: Final = {"more_than": 1, "less_than": -1}


def sample_of(form: Form) -> str:
    """Events that fit the steps of a form, in their order, as far as its cells tell: a line each."""
    return "".join(
        f"- {yaml.safe_dump(each, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)}"
        for each in _events_of(form)
    )


def _events_of(form: Form) -> Iterator[dict[str, Any]]:
    at_s, cells = -1, form.cells
    for step in range(1, form.steps + 1):
        action = cells.get(f"s{step}.action", "")
        if not action or cells.get(f"s{step}.kind") == "not":
            continue
        wanted = _KNOWN.get(action, {}) | dict(_properties_of(form, step))
        wait_s = _seconds(cells.get(f"s{step}.after", "")) or 1
        times = cells.get(f"s{step}.times", "")
        for _ in range(min(int(times), MOST_TIMES) if times.isdecimal() and times.isascii() else 1):
            at_s = max(at_s + wait_s, 0)  # a step's `after` holds between its repetitions too
            yield {"at": f"{at_s}s", "event": action, **({"with": wanted} if wanted else {})}


def _properties_of(form: Form, step: int) -> Iterator[tuple[str, Any]]:
    """Property → a value that its test lets through; tests of which no value is plain are passed over."""
    for row in form.rows(step):
        name, test, text = (form.cells.get(f"s{step}.w{row}.{cell}", "") for cell in ("property", "test", "value"))
        value = scalar(text.partition(",")[0] if test == "any" else text)
        if not name or not text:
            continue
        if test in {"", "any"}:
            yield name, value.replace("*", "1") if isinstance(value, str) else value
        elif test in _AS_IT_IS:
            yield name, value
        elif test in _BESIDE and not isinstance(value, str):
            yield name, value + _BESIDE[test]


def _seconds(text: str) -> int:
    try:
        return -(-duration_ms(text) // 1_000)
    except ValueError:
        return 0


def as_events(text: str, actions: Collection[str], from_ms: int) -> list[Event]:
    """The events of a sample in order, the first instant of which is ``from_ms``. Raises :class:`ListenerError`."""
    inside = "".join(f"      {line}\n" for line in text.splitlines())
    try:
        found = parse_examples("sample", f"{_EXAMPLE}{inside}".encode(), known_actions=actions)
    except ListenerError as error:
        raise ListenerError([_as_written(each) for each in error.problems]) from None
    events = [event for example in found for event in example.events]
    if not 0 < len(events) <= MOST:
        raise ListenerError([Problem("sample", "events", f"{len(events)} events", f"1 to {MOST}")])
    return [replaced(event, occurred_at_ms=from_ms + event.occurred_at_ms) for event in events]


def _as_written(problem: Problem) -> Problem:
    """The problem as one of the sample alone, without what stands around it."""
    return Problem(problem.where, problem.field.removeprefix(_INSIDE) or "events", problem.found, problem.wanted)
