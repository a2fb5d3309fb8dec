"""A listener as a value: what the parser makes of a YAML document and everything else reads.

Durations are integer milliseconds, steps are numbered from 1 in the sequence with the ``not``s counted, defaults are
filled in, ``where``/``session``/``trust`` that stood beside ``any_of`` or ``all_of`` are pushed into each member.
Everything is frozen and compares by value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final

NOBODY: Final = Fraction(0)
"""The part of all people who are held out of most listeners."""


class Op(StrEnum):
    """The operators that a rule of the language itself names; all stand in :mod:`flows.language.operators`."""

    EQUALS = "equals"
    ONE_OF = "one_of"
    NOT_EQUALS = "not_equals"
    NONE_OF = "none_of"
    GLOB = "glob"
    """Not written by name: the short form's string with ``*``, or a list of which at least one has it
    (then ``operand`` is a tuple of values, and each string with a ``*`` in it is a glob)."""
    AT_LEAST = "at_least"
    EXISTS = "exists"
    SAME_AS = "same_as"
    DIFFERS_FROM = "differs_from"
    SHARES_WITH = "shares_with"


@dataclass(frozen=True, slots=True)
class Reference:
    """``step.property`` of an earlier step: the step's number and the property's path."""

    step: int
    path: str


@dataclass(frozen=True, slots=True)
class Predicate:
    """One line of a ``where``: a path into the properties, an operator, and a constant or a reference.

    Operands: EQUALS, NOT_EQUALS a scalar; ONE_OF, NONE_OF, GLOB a tuple; BETWEEN a pair; EXISTS a bool; MATCHES the
    pattern's text; SAME_AS, DIFFERS_FROM, SHARES_WITH a :class:`Reference`; the numeric ones a number or a reference
    (BETWEEN: each of the pair). One property with two operators is two predicates.
    """

    path: str
    op: str
    operand: Any

    @property
    def references(self) -> tuple[Reference, ...]:
        """The references in the operand."""
        parts = self.operand if isinstance(self.operand, tuple) else (self.operand,)
        return tuple(part for part in parts if isinstance(part, Reference))


@dataclass(frozen=True, slots=True)
class Hours:
    """From ``start`` to before ``end``, minutes of the local day, on ``days`` (0 is Monday, in order).

    Where ``end`` is earlier it goes over midnight, and a day is the one on which it began.
    """

    start: int
    end: int
    days: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Membership:
    """Whether the person is in a list, or has a tag (``kind``), of an account. ``name``: exact, or with ``*``."""

    kind: str
    name: str
    at: str
    is_in: bool = True


@dataclass(frozen=True, slots=True)
class Condition:
    """What a single event must be: the action *or* any of the nested conditions, and all the rest.

    ``action`` is ``"*"`` for any. Exactly one of ``action`` and ``any_of`` is given. ``session``: predicates with the
    paths ``duration`` (milliseconds) and ``events``, judged on the session up to and including the event. ``trust``: at
    least that (``browser``, ``token``, ``server``; None asks nothing). The listener's own is already folded into what
    its steps take; a ``not`` and an ``until`` ask for what they say themselves. ``hours``: when it must happen; all of
    them hold, by local time. ``profile``: what must be known of the person then. ``memberships``: in which lists they
    must be then, and in which not. The listener's own are folded into its steps, as its trust is.
    """

    action: str | None = None
    any_of: tuple[Condition, ...] = ()
    where: tuple[Predicate, ...] = ()
    session: tuple[Predicate, ...] = ()
    trust: str | None = None
    hours: tuple[Hours, ...] = ()
    profile: tuple[Predicate, ...] = ()
    memberships: tuple[Membership, ...] = ()

    def lines(self) -> Iterator[Predicate]:
        """All lines, those of nested conditions included."""
        yield from self.where
        for member in self.any_of:
            yield from member.lines()


@dataclass(frozen=True, slots=True)
class Times:
    """How often a step is taken: from ``at_least`` (0 or more) to ``at_most`` (None: no end)."""

    at_least: int = 1
    at_most: int | None = 1

    @property
    def once(self) -> bool:
        """Whether this is an ordinary step, no loop."""
        return self.at_least == 1 and self.at_most == 1


@dataclass(frozen=True, slots=True)
class Sum:
    """Instead of times: fitting events with a number at ``of`` are taken until their sum reaches ``at_least``."""

    of: str
    at_least: float | int


@dataclass(frozen=True, slots=True)
class Step:
    """A step that takes events: one condition, or ``all_of`` (then ``condition`` is None)."""

    number: int
    name: str | None
    condition: Condition | None = None
    all_of: tuple[Condition, ...] = ()
    times: Times = Times()
    distinct_by: str | None = None
    until: Condition | None = None
    sum: Sum | None = None
    optional: bool = False
    next: bool = False
    within_ms: int | None = None
    after_ms: int | None = None

    @property
    def key(self) -> str:
        """How evidence calls it: its name, or its number."""
        return self.name or str(self.number)

    def conditions(self) -> tuple[Condition, ...]:
        """Every condition of the step, ``until`` included."""
        return tuple(each for each in (self.condition, *self.all_of, self.until) if each is not None)


@dataclass(frozen=True, slots=True)
class Not:
    """A guard. ``for_ms`` only on a first or last one; ``ever`` (``for: ever``) only on a first one."""

    number: int
    condition: Condition
    name: str | None = None
    for_ms: int | None = None
    ever: bool = False


class Scope(StrEnum):
    """Whether all matched steps must lie in one session."""

    SUBSCRIBER = "subscriber"
    SESSION = "session"


class Repeat(StrEnum):
    """How often a subscriber may match."""

    EVERY = "every"
    ONCE = "once"
    COOLDOWN = "cooldown"


@dataclass(frozen=True, slots=True)
class VariantName:
    """``{variant}`` in a list's name: the name of the person's variant."""


@dataclass(frozen=True, slots=True)
class Template:
    """A list's name: literal text and what is filled in, in turn, as it was written in ``text``.

    ``parts`` holds strings, :class:`Reference` and :class:`VariantName`; a name without braces is one string.
    """

    text: str
    parts: tuple[str | Reference | VariantName, ...]

    @property
    def is_made(self) -> bool:
        """Whether events make the name."""
        return any(isinstance(part, Reference) for part in self.parts)


class Do(StrEnum):
    """What one line of ``then`` does."""

    MOVE = "move"
    ADD = "add"
    REMOVE = "remove"
    TAG = "tag"
    UNTAG = "untag"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Response:
    """One line of ``then``; fields that do not belong to its verb are None."""

    do: Do
    at: str | None = None
    to_list: Template | None = None
    from_list: Template | None = None
    tag: str | None = None
    url: str | None = None
    only: str | None = None
    """The variant whose people alone it is for; None: for all."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One listener, whole and checked."""

    name: str
    version: int
    sequence: tuple[Step | Not, ...]
    description: str = ""
    within_ms: int | None = None
    scope: Scope = Scope.SUBSCRIBER
    repeat: Repeat = Repeat.EVERY
    cooldown_ms: int | None = None
    undo: bool = True
    """``on_retraction``: undo (True) or keep (False)."""
    per: str | None = None
    trust: str | None = None
    memberships: tuple[Membership, ...] = ()
    """Asked of each step's event; folded into the steps."""
    max_lists: int = 50
    holdout: Fraction = NOBODY
    """The part of all people whose matches are rows and nothing else."""
    variants: tuple[tuple[str, Fraction], ...] = ()
    """Name and part of 1, in code-point order of the names; empty: none."""
    then: tuple[Response, ...] = ()

    def step(self, number: int) -> Step | Not:
        """The element of this number (from 1)."""
        return self.sequence[number - 1]

    def lines(self) -> Iterator[Predicate]:
        """Every line of every ``where``, in the sequence's order."""
        for element in self.sequence:
            for condition in element.conditions() if isinstance(element, Step) else (element.condition,):
                yield from condition.lines()
