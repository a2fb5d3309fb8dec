"""Reads values out of a platform's answer: typed, and refused where it is not of the documented form.

An answer that lacks a field is no answer: nothing may be taken from it, least of all "already so".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import structlog

from contracts.reasons import Reason
from sinks.base import Fate, Halt, Trouble

T = TypeVar("T")
MAX_PAGES: Final = 20_000
"""Pages of one reading, whatever the platform says of more: ten million people in pages of 500."""
TELL_EVERY: Final = 50
MISSHAPEN: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError)
"""What reading an answer of another form raises."""
log_line = structlog.get_logger("sinks")


class Unreadable(ValueError):
    """A field of an answer that is not there, or not of its documented type. ``name`` is the field's."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


def text(value: object, name: str) -> str:
    """A field that is a text or a number, as a text; never empty. Raises :class:`Unreadable`."""
    found = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        raise Unreadable(name)
    return str(found)


def words(value: object, name: str) -> str:
    """A field that is a text, possibly empty or null. Raises :class:`Unreadable`."""
    found = value.get(name) if isinstance(value, Mapping) else 0
    if not isinstance(found, str | None):
        raise Unreadable(name)
    return found or ""


def whole_number(value: object, name: str) -> int:
    """A field that is a whole number. Raises :class:`Unreadable`."""
    found = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, int):
        raise Unreadable(name)
    return found


def rows(value: object, name: str, *, null: bool = False) -> list[Mapping[str, Any]]:
    """A field that is a list of objects; ``null``: also where it is null. Raises :class:`Unreadable`."""
    found = value.get(name, 0) if isinstance(value, Mapping) else 0
    if found is None and null:
        return []
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise Unreadable(name)
    return found


def table(value: object, name: str, *, null: bool = False) -> Mapping[str, Any]:
    """A field that is an object; ``null``: also where it is null or absent. Raises :class:`Unreadable`."""
    found = value.get(name) if isinstance(value, Mapping) else 0
    if found is None and null:
        return {}
    if not isinstance(found, Mapping):
        raise Unreadable(name)
    return found


def one_of(value: object, name: str, known: Mapping[str, T]) -> T:
    """Return the meaning of a field's word. Raises :class:`Unreadable` for a word that is not known."""
    found = known.get(text(value, name))
    if found is None:
        raise Unreadable(name)
    return found


def unreadable(error: BaseException) -> Trouble:
    """The trouble of an answer that could not be read: of this person alone, asked again some times."""
    name = error.name if isinstance(error, Unreadable) else type(error).__name__
    return Trouble(Reason.WRONG_ANSWER, Fate.PASSING, f"not of the documented form: {name}")


def pages(read: Callable[[int], Sequence[T]], size: int) -> Iterator[T]:
    """Every item of the pages 0, 1, 2 …; ends with the first that is not full.

    Raises :class:`Halt` where the server gives a page again, or more of them than there can be: no reading goes on for
    ever because a platform would have it so.
    """
    former: Sequence[T] = ()
    for number in range(MAX_PAGES):
        found = read(number)
        if found and found == former:
            raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, "the same page again"))
        yield from found
        if len(found) < size:
            return
        former = found
        if number % TELL_EVERY == TELL_EVERY - 1:
            log_line.info("reading", pages=number + 1)
    raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, "pages without end"))


def linked_pages(read: Callable[[str], tuple[Sequence[T], str]]) -> Iterator[T]:
    """Every item of pages that each name the next, until one names none. Raises :class:`Halt` as :func:`pages`."""
    seen: set[str] = set()
    after = ""
    while True:
        found, after = read(after)
        yield from found
        if not after:
            return
        if after in seen or len(seen) > MAX_PAGES:
            raise Halt(Trouble(Reason.WRONG_ANSWER, Fate.AWAY, "the same page again"))
        seen.add(after)
        if len(seen) % TELL_EVERY == 0:
            log_line.info("reading", pages=len(seen))
