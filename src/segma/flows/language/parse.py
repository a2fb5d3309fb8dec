"""YAML files to listeners: the door of the language. All problems of all files come at once.

Never raises anything but :class:`ListenerError`, whatever the bytes; time and memory are bounded by the bounds of
:mod:`segma.flows.language.tree` and :mod:`segma.flows.language.grammar`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from segma.contracts.errors import ListenerError, Problem
from segma.flows.language.conditions import Earlier, read_path, stronger
from segma.flows.language.grammar import (
    DEFAULT_MAX_LISTS,
    LISTENER,
    LISTENER_NAME,
    MAX_NAME,
    MAX_SAME_AS,
    MAX_STEPS,
    STEP_NAME,
)
from segma.flows.language.model import Condition, Listener, Not, Op, Repeat, Scope, Step
from segma.flows.language.reader import Sheet, Spot
from segma.flows.language.responses import read_then
from segma.flows.language.steps import read_element
from segma.flows.language.tree import Fields, Scalar, read_documents

Element = Step | Not
_NAME_WANTED: Final = f"a name in kebab-case of at most {MAX_NAME} characters, such as basket-abandoned"


def parse_listeners(files: Sequence[tuple[str, bytes]], *, known_actions: Collection[str]) -> list[Listener]:
    """The listeners of some files, in the files' order. Each file: its name (for errors) and its bytes.

    Raises :class:`ListenerError` with every problem of every file: file and line, field, what was found, what would be
    right.
    """
    problems: list[Problem] = []
    found: list[Listener] = []
    places: dict[tuple[str, int], str] = {}
    for name, data in files:
        documents, faults = read_documents(name, data)
        problems.extend(faults)
        if not documents and not faults:
            problems.append(Problem(name, "", "no listener", "start with `listener: name`"))
        for document in documents:
            sheet = Sheet(name, known_actions)
            listener = _read_listener(Spot(sheet, document, "", document.line))
            problems.extend(sheet.problems)
            if listener is None:
                continue
            line = document.entries["listener"][0]
            first = places.setdefault((listener.name, listener.version), f"{name}:{line}")
            if first == f"{name}:{line}":
                found.append(listener)
            else:
                same = f"`{listener.name}` in version {listener.version} again"
                problems.append(
                    Problem(f"{name}:{line}", "listener", same, f"another name or version: {first} has this one")
                )
    if problems:
        order = {name: number for number, (name, _) in enumerate(files)}
        raise ListenerError(sorted(problems, key=lambda problem: _position(problem, order)))
    return found


def _position(problem: Problem, order: Mapping[str, int]) -> tuple[int, int]:
    name, _, line = problem.where.rpartition(":")
    return (order.get(name, -1), int(line)) if name in order and line.isdigit() else (order.get(problem.where, -1), 0)


def _read_listener(spot: Spot) -> Listener | None:
    before = len(spot.sheet.problems)
    entries = spot.entries(LISTENER, "a listener") or []
    fields = {entry.name: entry.spot for entry in entries}
    for required in ("listener", "sequence"):
        if required not in fields and isinstance(spot.node, Fields) and required not in spot.node.entries:
            spot.sheet.note(spot.line, required, f"no `{required}`", LISTENER[required].meaning.rstrip(".").lower())
    name = _name(fields["listener"]) if "listener" in fields else None
    sequence = _read_sequence(fields["sequence"], fields) if "sequence" in fields else None
    version = fields["version"].whole("a whole number from 1", least=1, most=10**9) if "version" in fields else 1
    description = fields["description"].text("a text") if "description" in fields else ""
    within_ms = fields["within"].duration() if "within" in fields else None
    scope = fields["scope"].one_of([each.value for each in Scope]) if "scope" in fields else None
    repeat, cooldown_ms = _repeat(fields["repeat"]) if "repeat" in fields else (Repeat.EVERY, None)
    retraction = fields["on_retraction"].one_of(["undo", "keep"]) if "on_retraction" in fields else "undo"
    per = read_path(fields["per"]) if "per" in fields else None
    trust = fields["trust"].one_of(["browser", "token", "server"]) if "trust" in fields else None
    max_lists = DEFAULT_MAX_LISTS
    if "max_lists" in fields:
        max_lists = fields["max_lists"].whole("a whole number from 1 to 10000", least=1, most=10_000) or 0
    named = _names(sequence or [])
    then = read_then(fields["then"], Earlier(named, named)) if "then" in fields else ()
    if len(spot.sheet.problems) > before or name is None or sequence is None or version is None:
        return None
    listener = Listener(
        name=name,
        version=version,
        sequence=tuple(_trusting(element, trust) for element in sequence),
        description=description or "",
        within_ms=within_ms,
        scope=Scope(scope or Scope.SUBSCRIBER),
        repeat=repeat,
        cooldown_ms=cooldown_ms,
        undo=retraction == "undo",
        per=per,
        trust=trust,
        max_lists=max_lists,
        then=then,
    )
    return listener if _bounded(listener, fields["sequence"]) else None


def _name(spot: Spot) -> str | None:
    text = spot.text(_NAME_WANTED)
    if text is not None and (len(text) > MAX_NAME or not re.fullmatch(LISTENER_NAME, text)):
        spot.bad(_NAME_WANTED)
        return None
    return text


def _repeat(spot: Spot) -> tuple[Repeat, int | None]:
    if isinstance(spot.node, Fields):
        entries = spot.entries(["cooldown"], "every, once, or {cooldown: 7d}") or []
        if not entries and not spot.node.entries:
            spot.bad("every, once, or {cooldown: 7d}", "an empty mapping")
        for entry in entries:
            return Repeat.COOLDOWN, entry.spot.duration()
        return Repeat.EVERY, None
    known = ("every", "once")
    if not isinstance(spot.node, Scalar) or spot.node.value not in known:
        spot.bad("every, once, or {cooldown: 7d}")
        return Repeat.EVERY, None
    return Repeat(spot.node.value), None


def _read_sequence(spot: Spot, fields: Mapping[str, Spot]) -> list[Element] | None:
    items = spot.items("a list of steps", most=MAX_STEPS)
    if items is None:
        return None
    every = _step_names(items)
    before: dict[str, int] = {}
    found: list[Element | None] = []
    for number, item in enumerate(items, start=1):
        element = read_element(item, number, Earlier(dict(before), every))
        found.append(element)
        if isinstance(element, Step) and element.name is not None:
            before[element.name] = number
    elements = [element for element in found if element is not None]
    if len(elements) < len(found):
        return None
    return elements if _fitting_together(spot, items, elements, fields) else None


def _step_names(items: Sequence[Spot]) -> dict[str, int]:
    """Names and numbers of all steps; a name given twice, or badly formed, is noted."""
    every: dict[str, int] = {}
    for number, item in enumerate(items, start=1):
        if not isinstance(item.node, Fields) or "step" not in item.node.entries:
            continue
        line, node = item.node.entries["step"]
        spot = Spot(item.sheet, node, f"{item.path}.step", line)
        name = spot.text("a name, such as looked")
        if name is None:
            continue
        if not re.fullmatch(STEP_NAME, name):
            spot.bad("a lower-case name of letters, digits, - and _, such as looked")
        elif name in every:
            spot.bad(f"another name: step {every[name]} is called so", f"a second step `{name}`")
        else:
            every[name] = number
    return every


def _names(sequence: Sequence[Element]) -> dict[str, int]:
    return {each.name: each.number for each in sequence if isinstance(each, Step) and each.name is not None}


def _fitting_together(
    spot: Spot, items: Sequence[Spot], elements: Sequence[Element], fields: Mapping[str, Spot]
) -> bool:
    """What only the whole sequence can tell: where ``not``s stand, and what they then need."""
    steps = [element.number for element in elements if isinstance(element, Step)]
    if not steps:
        spot.bad("at least one step beside the `not`s", "no step")
        return False
    before = len(spot.sheet.problems)
    for element, item in zip(elements, items, strict=True):
        if isinstance(element, Not):
            _check_not(element, item, steps, is_final=element.number == len(elements), windowed="within" in fields)
    return len(spot.sheet.problems) == before


def _check_not(guard: Not, item: Spot, steps: Sequence[int], *, is_final: bool, windowed: bool) -> None:
    timed = guard.for_ms is not None or guard.ever
    at = _field(item, "for")
    if guard.number < steps[0]:
        if not timed:
            item.bad(
                "`for: T`, or `for: ever`, beside a `not` in front of the first step", "a first `not` without `for`"
            )
    elif guard.number < steps[-1]:
        if timed:
            at.bad("leave `for` out: it stands only beside a first or the last `not`", "`for` between two steps")
    elif guard.ever:
        at.bad("a duration: `ever` stands only in front of the first step")
    elif timed and not is_final:
        at.bad("leave `for` out: of several last `not`s only the final one has it", "`for` before the final `not`")
    elif is_final and not timed and not windowed:
        item.bad("`for: T` beside the last `not`, or `within` on the listener", "a last `not` without `for`")


def _field(item: Spot, name: str) -> Spot:
    if isinstance(item.node, Fields) and name in item.node.entries:
        line, node = item.node.entries[name]
        return Spot(item.sheet, node, f"{item.path}.{name}", line)
    return item


def _trusting(element: Element, trust: str | None) -> Element:
    """Fold the listener's trust into each step. A ``not`` asks for what it says itself: an absence is not weakened."""
    if trust is None or isinstance(element, Not):
        return element

    def folded(condition: Condition) -> Condition:
        return replace(condition, trust=stronger(condition.trust, trust))

    return replace(
        element,
        condition=None if element.condition is None else folded(element.condition),
        all_of=tuple(folded(member) for member in element.all_of),
    )


def _bounded(listener: Listener, sequence: Spot) -> bool:
    """``same_as`` keeps a machine per combination of values: the properties referred to are bounded."""
    referred = {line.operand for line in listener.lines() if line.op is Op.SAME_AS}
    count = len(referred) + (1 if listener.per else 0)
    if count > MAX_SAME_AS:
        sequence.bad(
            f"at most {MAX_SAME_AS} properties that `same_as` and `per` refer to", f"{count} properties referred to"
        )
        return False
    return True
