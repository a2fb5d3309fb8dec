"""What a listener may say and hardly means: rests on opens, can never match, undoes another. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import Any, Final

from contracts.actions import ACTIONS
from flows.language.circles import circles
from flows.language.model import Condition, Do, Listener, Not, Reference, Response, Step
from flows.language.operators import OPERATORS
from flows.language.phrases import lasting
from flows.language.satisfiable import alternatives, can_coincide, contradiction, covers
from flows.language.words import Phrasing


class Rule(StrEnum):
    """What a finding is about."""

    OPENS_ONLY = "opens_only"
    NEVER_MATCHES = "never_matches"
    NEVER_TAKES_PART = "never_takes_part"
    UNDO_EACH_OTHER = "undo_each_other"
    MAY_BE_SKIPPED = "may_be_skipped"
    LOOKS_LIKE_REFERENCE = "looks_like_reference"
    OTHER_TYPE = "other_type"
    NO_EFFECT = "no_effect"
    NOTHING_DONE = "nothing_done"
    MOVES_IN_CIRCLES = "moves_in_circles"


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One thing worth a look. ``field`` is a path in the listener, as in the parser's problems."""

    listener: str
    rule: Rule
    field: str
    found: str
    wanted: str

    def __str__(self) -> str:
        place = f"{self.listener}: {self.field}" if self.field else self.listener
        return f"{place}: {self.found}; {self.wanted} ({self.rule})"


Remark = tuple[Rule, str, str, str]


def lint(listeners: Sequence[Listener]) -> list[LintFinding]:
    """Findings on each listener, then on pairs of them; by the listener's name."""
    found = [
        LintFinding(listener.name, *told)
        for listener in sorted(listeners, key=lambda each: (each.name, each.version))
        for check in _CHECKS
        for told in check(listener)
    ]
    return [*found, *_undoing(listeners), *_in_circles(listeners)]


def _in_circles(listeners: Sequence[Listener]) -> Iterator[LintFinding]:
    for listener, way in circles(listeners):
        through = " → ".join(way)
        found = f"its move is the reason for the next one, back to its own: {through}"
        wanted = "ask for more in one of them, such as an action of the person's own, or `repeat: once`"
        yield LintFinding(listener.name, Rule.MOVES_IN_CIRCLES, "then", found, wanted)


def steps_of(listener: Listener) -> list[Step]:
    """The steps that take events."""
    return [element for element in listener.sequence if isinstance(element, Step)]


def is_skippable(step: Step) -> bool:
    """Whether a match may do without it."""
    return step.optional or (step.sum is None and step.times.at_least == 0)


def _taken(step: Step) -> tuple[Condition, ...]:
    return step.all_of or ((step.condition,) if step.condition else ())


_OPENS: Final = frozenset({"email_opened", "email_delivered"})


def _opens_only(listener: Listener) -> Iterator[Remark]:
    needed = [step for step in steps_of(listener) if not is_skippable(step)]
    actions = {each.action for step in needed for part in _taken(step) for each in alternatives(part)}
    if "email_opened" in actions and actions <= _OPENS:
        found = "every step that must come is an open or a delivery of a mail"
        wanted = "ask for a click or a page as well: many mail programs open mails for nobody"
        yield Rule.OPENS_ONLY, "sequence", found, wanted


def _contradictions(listener: Listener) -> Iterator[Remark]:
    phrasing = Phrasing(listener)
    for step in steps_of(listener):
        if is_skippable(step):
            continue
        for condition in _taken(step):
            if found := contradiction(condition, phrasing):
                field = f"sequence[{step.number}].where"
                yield Rule.NEVER_MATCHES, field, f"no event fits: {found}", "leave one of them out"


def _windows(listener: Listener) -> Iterator[Remark]:
    for step in steps_of(listener):
        if step.after_ms is not None and step.within_ms is not None and step.after_ms >= step.within_ms:
            found = f"at least {lasting(step.after_ms)} and less than {lasting(step.within_ms)} after the event before"
            wanted = "an `after` shorter than `within`"
            if not is_skippable(step) and (_has_before(listener, step) or step.times.at_least > 1):
                yield Rule.NEVER_MATCHES, f"sequence[{step.number}].after", found, wanted
    least = _least_length(listener)
    if listener.within_ms is not None and least >= listener.within_ms:
        found = f"the steps' `after` add up to {lasting(least)}, and all must pass in less than "
        wanted = f"a `within` longer than {lasting(least)}"
        yield Rule.NEVER_MATCHES, "within", found + lasting(listener.within_ms), wanted


def _has_before(listener: Listener, element: Step | Not) -> bool:
    """Whether an event has surely been taken before this element's turn comes."""
    return any(step.number < element.number and not is_skippable(step) for step in steps_of(listener))


def _least_length(listener: Listener) -> int:
    """Milliseconds that surely pass from the first to the last event."""
    total, first = 0, True
    for step in steps_of(listener):
        if is_skippable(step):
            continue
        gaps = max(step.times.at_least if step.sum is None else 1, 1) - (1 if first else 0)
        total += (step.after_ms or 0) * (1 if step.all_of and not first else gaps)
        first = False
    return total


def _guarded(listener: Listener) -> Iterator[Remark]:
    """A ``not`` right before a step that it covers, and an ``until`` that covers its own step."""
    for guard, step in zip(listener.sequence, listener.sequence[1:], strict=False):
        if not isinstance(guard, Not) or not isinstance(step, Step) or is_skippable(step):
            continue
        # Around `all_of` it guards only until the first member: one that it spares may come first.
        if _has_before(listener, guard) and all(covers(guard.condition, condition) for condition in _taken(step)):
            found = "every event that fits this step is one that the `not` before it forbids"
            wanted = "narrow the `not`: it wins over the step"
            yield Rule.NEVER_MATCHES, f"sequence[{step.number}]", found, wanted
    for step in steps_of(listener):
        if step.until and step.condition and not is_skippable(step) and covers(step.until, step.condition):
            found = "every event that fits this step also fits its `until`"
            yield Rule.NEVER_MATCHES, f"sequence[{step.number}].until", found, "another `until`: it wins over the step"


def _distinct(listener: Listener) -> Iterator[Remark]:
    for step in steps_of(listener):
        if step.distinct_by is None or step.condition is None or is_skippable(step):
            continue
        for line in step.condition.where:
            known = OPERATORS[line.op]
            count = len(set(known.literals(line.operand))) if known.is_one_of else None
            if line.path == step.distinct_by and count is not None and count < step.times.at_least:
                found = f"{step.times.at_least} different values of {line.path}, of which `where` allows {count}"
                yield Rule.NEVER_MATCHES, f"sequence[{step.number}].distinct_by", found, "fewer times, or more values"


def _idle_ends(listener: Listener) -> Iterator[Remark]:
    """Last elements that no match needs: it is complete before them."""
    if isinstance(listener.sequence[-1], Not):
        return  # the wait restarts with each event that it takes
    steps = steps_of(listener)
    last_needed = next((number for number in range(len(steps) - 1, -1, -1) if not is_skippable(steps[number])), None)
    if last_needed is None:
        return
    for step in steps[last_needed + 1 :]:
        found = "a last step that may be skipped: the match is complete before it"
        yield Rule.NEVER_TAKES_PART, f"sequence[{step.number}]", found, "leave it out, or make it needed"
    last = steps[last_needed]
    if last.sum is None and not last.all_of and last.times.at_most != last.times.at_least:
        found = f"a last loop: the match is complete at {last.times.at_least}, and further events take no part"
        wanted = f"`times: {last.times.at_least}`, or a last `not` with `for` behind it"
        yield Rule.NEVER_TAKES_PART, f"sequence[{last.number}].times", found, wanted


def _skipped_references(listener: Listener) -> Iterator[Remark]:
    for at, condition in _every_condition(listener):
        for line in condition.lines():
            for reference in line.references:
                yield from _skipped(listener, reference, f"sequence[{at}].where.{line.path}", "fits nothing")
    for number, response in enumerate(listener.then, start=1):
        for name, template in (("to", response.to_list), ("from", response.from_list)):
            for part in template.parts if template else ():
                if isinstance(part, Reference):
                    field = f"then[{number}].{response.do}.{name}"
                    yield from _skipped(listener, part, field, "has no name")


def _skipped(listener: Listener, reference: Reference, field: str, then: str) -> Iterator[Remark]:
    step = listener.step(reference.step)
    if isinstance(step, Step) and is_skippable(step):
        found = f'"{step.key}" may be skipped, and then this {then}'
        yield Rule.MAY_BE_SKIPPED, field, found, "refer to a step that must come"


def _every_condition(listener: Listener) -> Iterator[tuple[int, Condition]]:
    for element in listener.sequence:
        for condition in element.conditions() if isinstance(element, Step) else (element.condition,):
            yield element.number, condition


_REFERENCE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)\..+")


def _looks_like_references(listener: Listener) -> Iterator[Remark]:
    names = {step.name for step in steps_of(listener) if step.name}
    for number, condition in _every_condition(listener):
        for line in condition.lines():
            found = _REFERENCE.fullmatch(line.operand) if isinstance(line.operand, str) else None
            operator = OPERATORS[line.op].correlated
            if operator and found and found[1] in names:
                field = f"sequence[{number}].where.{line.path}"
                said = f'the text "{line.operand}", which looks like a reference'
                yield Rule.LOOKS_LIKE_REFERENCE, field, said, f"{{{operator}: {line.operand}}}, if it is meant so"


_SAMPLES: Final = {action.name: action.sample for action in ACTIONS}


def _other_types(listener: Listener) -> Iterator[Remark]:
    """A value of another type than the action's own property has: it would never be equal."""
    for at, condition in _every_condition(listener):
        for each in alternatives(condition):
            sample = _SAMPLES.get(each.action or "", {})
            for line in (line for line in each.where if line.path in sample):
                wanted = _type(sample[line.path])
                for value in OPERATORS[line.op].literals(line.operand):
                    if _type(value) != wanted:
                        found = f"{_type(value)}, where the {line.path} of {each.action} is {wanted}"
                        right = f'"{value}", in quotes' if wanted == "a text" else f"{wanted}, without quotes"
                        yield Rule.OTHER_TYPE, f"sequence[{at}].where.{line.path}", found, right


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "a text" if isinstance(value, str) else "a number"


def _without_effect(listener: Listener) -> Iterator[Remark]:
    first = steps_of(listener)[0]
    alone = first.times.at_most == 1 and first.sum is None and not first.all_of
    for name, window in (("within", first.within_ms), ("after", first.after_ms)):
        if alone and window is not None:
            found = f"`{name}` on the first step, before which there is no event"
            yield Rule.NO_EFFECT, f"sequence[{first.number}].{name}", found, "put it on the next step"
    if not listener.then:
        yield Rule.NOTHING_DONE, "then", "no response", "say what a match does; without it, it is only written down"


_CHECKS: Final[tuple[Callable[[Listener], Iterator[Remark]], ...]] = (
    _opens_only,
    _contradictions,
    _windows,
    _guarded,
    _distinct,
    _idle_ends,
    _skipped_references,
    _looks_like_references,
    _other_types,
    _without_effect,
)


def _undoing(listeners: Sequence[Listener]) -> Iterator[LintFinding]:
    doing: dict[Effects, list[Listener]] = defaultdict(list)
    for listener in sorted(listeners, key=lambda each: (each.name, each.version)):
        for response in listener.then:
            doing[_effects(response)].append(listener)
    for effects, ones in [each for each in doing.items() if each[0]]:
        others = doing.get(frozenset((at, what, name, not put) for at, what, name, put in effects), [])
        for one, other in product(ones, others):
            # Each pair once. Versions of one listener are never live together.
            if one.name < other.name and _end_alike(one, other):
                yield _undone(one, other, effects)


def _undone(one: Listener, other: Listener, effects: Effects) -> LintFinding:
    number = next(at for at, response in enumerate(one.then, start=1) if _effects(response) == effects)
    found = f"`{other.name}` does the opposite, and one event can complete both"
    wanted = "let one of them ask for more, so that they cannot happen at once"
    return LintFinding(one.name, Rule.UNDO_EACH_OTHER, f"then[{number}]", found, wanted)


Effects = frozenset[tuple[str | None, str, str, bool]]


def _effects(response: Response) -> Effects:
    """(account, list or tag, its name, whether it is put on); a name made by the event is left out."""
    found = set()
    for template, put in ((response.to_list, True), (response.from_list, False)):
        if template is not None and all(isinstance(part, str) for part in template.parts):
            found.add((response.at, "list", template.text, put))
    if response.tag is not None:
        found.add((response.at, "tag", response.tag, response.do is Do.TAG))
    return frozenset(found)


def _end_alike(one: Listener, other: Listener) -> bool:
    """Whether the same event may be the last of both, and both end there or both wait from there."""
    if isinstance(one.sequence[-1], Not) is not isinstance(other.sequence[-1], Not):
        return False
    return any(can_coincide(left, right) for left in _last_taken(one) for right in _last_taken(other))


def _last_taken(listener: Listener) -> Iterator[Condition]:
    """The conditions of which the last event fits one."""
    for step in reversed(steps_of(listener)):
        yield from _taken(step)
        if not is_skippable(step):
            return
