"""Conditions compiled once to closures.

A compiled condition (:class:`Test`) has two halves. ``plain`` looks at the event and its session alone: every
correlated line counts as true there, so it is also what *described* means (SEMANTICS 3). ``tied`` looks at the run and
its scope too, and is None where the condition has no correlation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Final, Protocol

from contracts.actions import fitting
from contracts.events import Event, Trust
from contracts.membership import IMPORT, MEMBERSHIP, SESSION_ENDED
from flows.derived.membership import NOWHERE
from flows.derived.sessions import ProfiledSession, Session
from flows.language.hours import counts_at
from flows.language.memberships import holds
from flows.language.model import Condition, Hours, Membership, Op, Predicate, Reference
from flows.language.operators import OPERATORS, ValueCheck
from flows.language.paths import Values, frozen, is_number, values_at

MADE: Final = MEMBERSHIP | {SESSION_ENDED}
"""Actions that ``"*"`` does not stand for."""
PlainCheck = Callable[[Event, Session], bool]


class Memory(Protocol):
    """What a run remembers for correlations."""

    @property
    def noted(self) -> tuple[Any, ...]:
        """Per reference of the listener: the value at the last event of that step; None where there is none."""

    @property
    def taken(self) -> int:
        """Bit n is set when step number n has taken an event."""


Key = tuple[str | None, ...]
"""The scope's values, one per variable, frozen; None where none was seen yet."""
TiedCheck = Callable[[Event, Session, Memory, Key], bool]


@dataclass(frozen=True, slots=True)
class ReferenceNumbers:
    """How a listener's references are numbered: ``notes`` in a run's memory, ``variables`` in its key."""

    notes: Mapping[Reference, int]
    variables: Mapping[Reference, int]


@dataclass(frozen=True, slots=True)
class Test:
    """A compiled condition.

    ``number``: its place in its listener, for remembering the answer during one event. ``actions``: those an event must
    have to fit (None: any). ``text``: a property and the text it must be, where the condition says so, for an index.
    """

    number: int
    actions: frozenset[str] | None
    text: tuple[str, str] | None
    plain: PlainCheck
    tied: TiedCheck | None


def compile_condition(condition: Condition, scope: ReferenceNumbers, number: int, zone: tzinfo = UTC) -> Test:
    """Compile one condition of a listener. ``zone``: the workspace's, for hours."""
    plain, tied = _halves(condition, scope, zone, named=frozenset())
    return Test(number, actions_of(condition), _text_of(condition), plain, tied)


def _text_of(condition: Condition) -> tuple[str, str] | None:
    for line in condition.where:
        if line.op == Op.EQUALS and isinstance(line.operand, str) and "." not in line.path and "[]" not in line.path:
            return (line.path, line.operand)
    return None


def actions_of(condition: Condition) -> frozenset[str] | None:
    """The actions of events that may fit; None where any may."""
    if condition.action == "*":
        return None
    if condition.action is not None:
        return frozenset(fitting(condition.action))
    found: set[str] = set()
    for member in condition.any_of:
        actions = actions_of(member)
        if actions is None:
            return None
        found |= actions
    return frozenset(found)


def _halves(
    condition: Condition, scope: ReferenceNumbers, zone: tzinfo, *, named: frozenset[str]
) -> tuple[PlainCheck, TiedCheck | None]:
    named |= {line.path for line in condition.where}
    checks: list[PlainCheck] = []
    ties: list[TiedCheck] = []
    for line in condition.where:
        if line.references:
            ties.append(_tie(line, scope))
        else:
            checks.append(_line(line))
    checks.extend(_session_line(line) for line in condition.session)
    if condition.trust is not None:
        checks.append(_trusts(condition.trust))
    checks.extend(_happens(hours, zone) for hours in condition.hours)
    checks.extend(_known(line) for line in condition.profile)
    checks.extend(_stands(asked) for asked in condition.memberships)
    if condition.action is not None:
        checks.insert(0, _acts(condition.action, named=named))
    else:
        plain, tied = _any_of(condition.any_of, scope, zone, named=named)
        checks.append(plain)
        if tied is not None:
            ties.append(tied)
    return _all_plain(checks), _all_tied(_all_plain(checks), ties)


def _all_plain(checks: Sequence[PlainCheck]) -> PlainCheck:
    if len(checks) == 1:
        return checks[0]
    if len(checks) == 2:
        first, second = checks
        return lambda event, session: first(event, session) and second(event, session)
    every = tuple(checks)
    return lambda event, session: all(check(event, session) for check in every)


def _all_tied(plain: PlainCheck, ties: Sequence[TiedCheck]) -> TiedCheck | None:
    if not ties:
        return None
    every = tuple(ties)
    return lambda event, session, run, key: (
        plain(event, session) and all(tie(event, session, run, key) for tie in every)
    )


def _any_of(
    members: Sequence[Condition], scope: ReferenceNumbers, zone: tzinfo, *, named: frozenset[str]
) -> tuple[PlainCheck, TiedCheck | None]:
    halves = tuple(_halves(member, scope, zone, named=named) for member in members)

    def plain(event: Event, session: Session) -> bool:
        return any(half(event, session) for half, _ in halves)

    def tied(event: Event, session: Session, run: Memory, key: Key) -> bool:
        return any(half(event, session) if tie is None else tie(event, session, run, key) for half, tie in halves)

    return plain, tied if any(tie is not None for _, tie in halves) else None


def _acts(action: str, *, named: frozenset[str]) -> PlainCheck:
    if action == "*":
        if "machine" in named:
            return lambda event, session: event.action not in MADE
        return lambda event, session: event.action not in MADE and not _by_machine(event)
    if action in MEMBERSHIP and "by" not in named:
        # SEMANTICS 9: what an import brings fits only a step that names `by`.
        return lambda event, session: event.action == action and event.properties.get("by") != IMPORT
    if action == "email_opened" and "machine" not in named:
        return lambda event, session: event.action == "email_opened" and not _by_machine(event)
    actions = fitting(action)
    if len(actions) == 1:
        return lambda event, session: event.action == action
    return lambda event, session: event.action in actions


def _by_machine(event: Event) -> bool:
    # SEMANTICS 7: an open by a machine fits only a step that names `machine` in its `where`.
    return event.action == "email_opened" and event.properties.get("machine") is True


def _stands(asked: Membership) -> PlainCheck:
    check = holds(asked)
    return lambda event, session: check(session.standing if isinstance(session, ProfiledSession) else NOWHERE)


def _trusts(least: str) -> PlainCheck:
    level = Trust(least).level
    return lambda event, session: event.trust.level >= level


def _happens(hours: Hours, zone: tzinfo) -> PlainCheck:
    def happens(event: Event, session: Session) -> bool:
        own = session.zone if isinstance(session, ProfiledSession) else None
        return counts_at(hours, event.occurred_at_ms, zone if own is None else own)

    return happens


def _known(line: Predicate) -> PlainCheck:
    values, op = values_at(line.path), OPERATORS[line.op]
    presence = op.presence(line.operand) if op.presence is not None else None
    check = None if presence is not None else _check(line.op, line.operand)

    def known(event: Event, session: Session) -> bool:
        found = values(session.fields) if isinstance(session, ProfiledSession) else ()
        if check is None:
            return presence is not None and presence(found)
        return any(check(value) for value in found) or (op.absent_fits and not found)

    return known


def _session_line(line: Predicate) -> PlainCheck:
    check = _check(line.op, line.operand)
    if line.path == "duration":
        return lambda event, session: check(session.duration_ms)
    return lambda event, session: check(session.events)


def _line(line: Predicate) -> PlainCheck:
    values = values_at(line.path)
    op, operand = line.op, line.operand
    presence = OPERATORS[op].presence
    if presence is not None:
        fits = presence(operand)
        return lambda event, session: fits(values(event.properties))
    check = _check(op, operand)
    if OPERATORS[op].absent_fits:

        def absent_too(event: Event, session: Session) -> bool:
            found = values(event.properties)
            return not found or any(check(value) for value in found)

        return absent_too
    if "." not in line.path and "[]" not in line.path:
        path = line.path
        if op == Op.EQUALS and isinstance(operand, str):
            # PERF: the commonest line; two strings need no look at their types.
            return lambda event, session: event.properties.get(path) == operand
        return lambda event, session: path in event.properties and check(event.properties[path])
    return lambda event, session: any(check(value) for value in values(event.properties))


def _check(op: str, operand: Any) -> ValueCheck:
    check = OPERATORS[op].check
    assert check is not None  # noqa: S101
    return check(operand)


def _tie(line: Predicate, scope: ReferenceNumbers) -> TiedCheck:
    values = values_at(line.path)
    if line.op == Op.SAME_AS:
        return _same_as(values, line.operand, scope)
    if line.op == Op.SHARES_WITH:
        return _shares_with(values, line, scope)
    resolve = _resolver(line.operand, scope)
    compare = OPERATORS[line.op].compare
    assert compare is not None  # noqa: S101

    def tied(event: Event, session: Session, run: Memory, key: Key) -> bool:
        operand = resolve(run)
        return operand is not None and any(
            value is not None and compare(value, operand) for value in values(event.properties)
        )

    return tied


def _same_as(values: Values, reference: Reference, scope: ReferenceNumbers) -> TiedCheck:
    # SEMANTICS 3: correlation by `same_as` is scope. The machine of value x takes x at both ends, so nothing of the
    # run need be read but that the step referred to was not skipped.
    variable, bit = scope.variables[reference], 1 << reference.step

    def tied(event: Event, session: Session, run: Memory, key: Key) -> bool:
        wanted = key[variable]
        return (
            wanted is not None
            and bool(run.taken & bit)
            and any(value is not None and frozen(value) == wanted for value in values(event.properties))
        )

    return tied


def _shares_with(values: Values, line: Predicate, scope: ReferenceNumbers) -> TiedCheck:
    note, collected = scope.notes[line.operand], "[]" in line.path

    def tied(event: Event, session: Session, run: Memory, key: Key) -> bool:
        other = run.noted[note]
        found = list(values(event.properties))
        own = found if collected else found[0] if found else None
        if not isinstance(own, list) or not isinstance(other, (list, tuple)):
            return False
        known = {frozen(value) for value in other}
        return any(frozen(value) in known for value in own)

    return tied


def _resolver(operand: Any, scope: ReferenceNumbers) -> Callable[[Memory], Any]:
    if isinstance(operand, Reference):
        note = scope.notes[operand]
        return lambda run: run.noted[note]
    ends = tuple(_resolver(each, scope) if isinstance(each, Reference) else _constant(each) for each in operand)

    def both(run: Memory) -> Any:
        pair = tuple(end(run) for end in ends)
        return pair if all(is_number(each) for each in pair) else None

    return both


def _constant(value: Any) -> Callable[[Memory], Any]:
    return lambda run: value
