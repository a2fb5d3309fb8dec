"""The operators of ``where``: one table, and nothing else knows an operator by its own rules.

An :class:`Operator` says how its operand is read, when it holds, how it reads in English, and what is known of the
values that fit it. The parser, the machine, ``describe``, the published schema, the lint and what pages are asked to
capture are made from :data:`OPERATORS`: one more operator is one more line here, and a line in ``docs/listeners.md``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flows.language.context import ValueKind
from flows.language.kinds import Flag, ListOf, Scalar, Text
from flows.language.model import Op
from flows.language.operands import NUMBER, Ends, Pattern, Referred, compiled_regex
from flows.language.paths import frozen, is_number, same
from flows.language.phrases import listed

ValueCheck = Callable[[Any], bool]
"""Whether one value of the event fits."""
Span = tuple[float, float]
"""The least and the greatest number that fit."""
_NOTHING: Final[tuple[Any, ...]] = ()


def _no_literals(operand: Any) -> tuple[Any, ...]:
    return _NOTHING


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator, whole.

    ``name``: as it stands in a listener. ``operand``: the kind of its operand; None: not written by name.
    ``meaning``: completes "True when the value …". ``words``: the phrase behind the property, from the operand's words.
    ``check``: makes of a constant operand the check of one value; None where the operand is always a reference.
    ``compare``: of a value and the value that a reference leads to; None where no reference may stand, or where the
    machine itself correlates (``same_as``, ``shares_with``).
    """

    name: str
    operand: ValueKind | None
    meaning: str
    words: Callable[[Any], str]
    check: Callable[[Any], ValueCheck] | None = None
    compare: Callable[[Any, Any], bool] | None = None
    absent_fits: bool = False
    """Whether an event without the property fits too."""
    presence: Callable[[Any], Callable[[Sequence[Any]], bool]] | None = None
    """Instead of ``check``: looks at all values that the path leads to, none included."""
    literals: Callable[[Any], tuple[Any, ...]] = _no_literals
    """The values that it compares with as they are."""
    is_one_of: bool = False
    """Whether the value must be one of ``literals``."""
    asks_for: Callable[[Any], tuple[Any, ...]] = _no_literals
    """The values that a page is asked to capture (keys, letters, selectors, percentages)."""
    span: Callable[[Any], Span] | None = None
    """Of a comparison of numbers: between which a fitting one lies."""
    open_end: bool = False
    """Whether the end of ``span`` that the operand names does not fit itself."""
    texts_only: bool = False
    """Whether no number fits."""
    amount: str = ""
    """The phrase for an amount in ``session``, where it may stand there."""
    pair: bool = False
    """Whether the operand is two values, the least and the most."""
    correlated: str = ""
    """The operator that compares with an earlier step's value instead."""


def _one(operand: Any) -> tuple[Any, ...]:
    return (operand,)


def _several(operand: Any) -> tuple[Any, ...]:
    return tuple(operand)


def _equals(wanted: Any) -> ValueCheck:
    return lambda value: same(value, wanted)


def _not_equals(wanted: Any) -> ValueCheck:
    return lambda value: not same(value, wanted)


def _one_of(wanted: Any) -> ValueCheck:
    known = frozenset(frozen(each) for each in wanted)
    return lambda value: frozen(value) in known


def _none_of(wanted: Any) -> ValueCheck:
    known = frozenset(frozen(each) for each in wanted)
    return lambda value: frozen(value) not in known


def _glob(wanted: Any) -> ValueCheck:
    patterns = tuple(glob(each) for each in wanted if isinstance(each, str) and "*" in each)
    others = _one_of(tuple(each for each in wanted if not (isinstance(each, str) and "*" in each)))
    return lambda value: others(value) or (isinstance(value, str) and any(fits(value) for fits in patterns))


def glob(pattern: str) -> Callable[[str], bool]:
    """Whether a whole string is of this form; ``*`` stands for any text, slashes included. Linear in the string."""
    first, *middle = pattern.split("*")
    last = middle.pop() if middle else ""

    def fits(text: str) -> bool:
        if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return fits


def _between(ends: Any) -> ValueCheck:
    low, high = ends
    return lambda value: is_number(value) and low <= value <= high


def _lies_between(value: Any, ends: Any) -> bool:
    return is_number(value) and bool(ends[0] <= value <= ends[1])


def _starts_with(start: Any) -> ValueCheck:
    return lambda value: isinstance(value, str) and value.startswith(start)


def _ends_with(end: Any) -> ValueCheck:
    return lambda value: isinstance(value, str) and value.endswith(end)


def _contains(part: Any) -> ValueCheck:
    def check(value: Any) -> bool:
        if isinstance(value, str):
            return isinstance(part, str) and part in value
        return isinstance(value, list) and any(same(element, part) for element in value)

    return check


def _matches(pattern: Any) -> ValueCheck:
    search = compiled_regex(pattern).search
    return lambda value: isinstance(value, str) and search(value) is not None


def _exists(wanted: Any) -> Callable[[Sequence[Any]], bool]:
    return lambda values: any(value is not None for value in values) is wanted


def _differs(value: Any, other: Any) -> bool:
    return not same(value, other)


def _like(values: tuple[str, ...]) -> str:
    shown = listed(values, "or")
    return f"is like {shown}" if all("*" in each for each in values) else f"is or is like {shown}"


def _numbers(operand: Any) -> tuple[Any, ...]:
    return tuple(each for each in (operand if isinstance(operand, tuple) else (operand,)) if is_number(each))


def _compared(  # noqa: PLR0917
    name: str, meaning: str, amount: str, holds: Callable[[Any, Any], bool], span: Callable[[Any], Span], open_end: bool
) -> Operator:
    """A comparison of numbers."""

    def check(operand: Any) -> ValueCheck:
        return lambda value: is_number(value) and holds(value, operand)

    def compare(value: Any, other: Any) -> bool:
        return is_number(value) and is_number(other) and holds(value, other)

    words = amount.replace("{}", "{0}")
    return Operator(
        name,
        NUMBER,
        meaning,
        lambda operand: f"is {words.format(operand)}",
        check,
        compare,
        asks_for=_numbers,
        span=span,
        open_end=open_end,
        amount=amount,
    )


_INFINITY: Final = float("inf")
_SCALAR: Final = Scalar("a text, a number, true or false; for several, one_of")
SCALARS: Final = ListOf(Scalar(), "a list of values")
_PART: Final = Text("a text")

ALL: Final[tuple[Operator, ...]] = (
    Operator(
        Op.EQUALS,
        _SCALAR,
        "is that value; no coercion, case counts",
        lambda each: f"is {each}",
        _equals,
        literals=_one,
        is_one_of=True,
        asks_for=_one,
        amount="exactly {}",
        correlated=Op.SAME_AS,
    ),
    Operator(
        Op.ONE_OF,
        SCALARS,
        "is one of them",
        lambda each: f"is {listed(each, 'or')}",
        _one_of,
        literals=_several,
        is_one_of=True,
        asks_for=_several,
    ),
    Operator(
        Op.GLOB,
        None,
        "is like one of them; * stands for any text",
        _like,
        _glob,
        asks_for=lambda each: tuple(one for one in each if isinstance(one, str) and "*" not in one),
    ),
    Operator(
        Op.NOT_EQUALS,
        _SCALAR,
        "is not that value; a missing one fits too",
        lambda each: f"is not {each} (or is missing)",
        _not_equals,
        literals=_one,
        absent_fits=True,
        correlated=Op.DIFFERS_FROM,
    ),
    Operator(
        Op.NONE_OF,
        SCALARS,
        "is none of them; a missing one fits too",
        lambda each: f"is neither {listed(each, 'nor')} (or is missing)",
        _none_of,
        literals=_several,
        absent_fits=True,
    ),
    _compared(
        Op.AT_LEAST, "is a number, at least this", "at least {}", operator.ge, lambda each: (each, _INFINITY), False
    ),
    _compared("more_than", "is a number above this", "more than {}", operator.gt, lambda each: (each, _INFINITY), True),
    _compared(
        "at_most", "is a number, at most this", "at most {}", operator.le, lambda each: (-_INFINITY, each), False
    ),
    _compared(
        "less_than", "is a number below this", "less than {}", operator.lt, lambda each: (-_INFINITY, each), True
    ),
    Operator(
        "between",
        Ends(NUMBER),
        "is a number between the two, ends included",
        lambda each: f"is from {each[0]} to {each[1]}",
        _between,
        _lies_between,
        asks_for=_numbers,
        span=lambda each: (each[0], each[1]),
        amount="{} to {}",
        pair=True,
    ),
    Operator(
        "starts_with",
        _PART,
        "is a text that begins so",
        lambda each: f"begins with {each}",
        _starts_with,
        texts_only=True,
    ),
    Operator(
        "ends_with", _PART, "is a text that ends so", lambda each: f"ends with {each}", _ends_with, texts_only=True
    ),
    Operator(
        "contains",
        _SCALAR,
        "has this part (a text) or element (a list)",
        lambda each: f"has {each} in it",
        _contains,
        texts_only=True,
    ),
    Operator(
        "matches",
        Pattern(),
        "has a part of this form, in RE2 syntax",
        lambda each: f"fits the pattern {each}",
        _matches,
        texts_only=True,
    ),
    Operator(
        Op.EXISTS,
        Flag(),
        "is there and not null, or not",
        lambda each: "is given" if each == "true" else "is not given",
        presence=_exists,
    ),
    Operator(
        Op.SAME_AS,
        Referred(several=True),
        "is the value of an earlier step's event",
        lambda each: f"is the same as {each}",
    ),
    Operator(
        Op.DIFFERS_FROM,
        Referred(),
        "is another value than the earlier step's event has; both are there",
        lambda each: f"is another than {each}",
        compare=_differs,
    ),
    Operator(
        Op.SHARES_WITH,
        Referred(several=True),
        "is a list that shares an element with the earlier step's",
        lambda each: f"shares something with {each}",
    ),
)
"""Every operator, in the order in which the manual and the schema list them."""

OPERATORS: Final = {str(each.name): each for each in ALL}
"""Name → operator."""


def amounts() -> Iterable[Operator]:
    """The operators that compare an amount of ``session``: first comparisons, then the exact one, then ranges."""
    return sorted((each for each in ALL if each.amount), key=lambda each: (each.pair, each.span is None))
