"""``in_list``, ``not_in_list`` and ``has_tag``: in which lists a person is at an event (SEMANTICS 9). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

from flows.derived.membership import Standing
from flows.language.context import ParseContext
from flows.language.kinds import Text
from flows.language.model import Membership
from flows.language.responses import ACCOUNT, TAG
from flows.language.shape import Field, Given, Shape
from flows.language.source import BAD

Holds = Callable[[Collection[Standing]], bool]
_LIST: Final = Text("a list's name, exact or with *, such as newsletter or spring-*", r"[^\x00-\x1f{}]+", 200)
_AT: Final = Field("at", ACCOUNT, "The account.", required=True)


def _pair(kind: str) -> Callable[[Given, ParseContext], Any]:
    return lambda given, context: BAD if given.bad else (given[kind], given["at"])


_IN: Final = Shape(
    "in_list",
    (Field("list", _LIST, "The list's name, exact or with *.", required=True), _AT),
    _pair("list"),
)
_HAS: Final = Shape(
    "has_tag",
    (Field("tag", TAG, "The tag, exact or with *.", required=True), _AT),
    _pair("tag"),
)
MEMBERSHIPS: Final = (
    Field("in_list", _IN, "The person is in this list at the event."),
    Field("not_in_list", _IN, "The person is not in this list at the event, as far as Segma knows."),
    Field("has_tag", _HAS, "The person has this tag at the event."),
)
_KINDS: Final = (("in_list", "list", True), ("not_in_list", "list", False), ("has_tag", "tag", True))
SHAPES: Final = (_IN, _HAS)


def memberships_of(given: Given) -> tuple[Membership, ...]:
    """What a mapping asks of the person's lists and tags."""
    return tuple(
        Membership(kind, given[name][0], given[name][1], is_in) for name, kind, is_in in _KINDS if name in given
    )


def holds(asked: Membership) -> Holds:
    """Whether it is so, of somebody's lists and tags."""
    if "*" not in asked.name:
        one = (asked.at, asked.kind, asked.name)
        return lambda standing: (one in standing) is asked.is_in
    fits = re.compile(".*".join(map(re.escape, asked.name.split("*"))), re.DOTALL).fullmatch

    def any_fits(standing: Collection[Standing]) -> bool:
        found = any(at == asked.at and kind == asked.kind and fits(name) for at, kind, name in standing)
        return found is asked.is_in

    return any_fits


def contradict(asked: Iterable[Membership]) -> Membership | None:
    """The list that a person must be in and must not be in at once, where there is one."""
    every = tuple(asked)
    barred = [holds(each) for each in every if not each.is_in]
    for each in every:
        one = {(each.at, each.kind, each.name)}
        # What a glob asks for may be another list than what is barred.
        if each.is_in and "*" not in each.name and not all(free(one) for free in barred):
            return each
    return None


def in_words(asked: Membership) -> str:
    """``who is in the list "hot" at mailbox``."""
    if asked.kind == "tag":
        return f'who has the tag "{asked.name}" at {asked.at}'
    some = "a list" if "*" in asked.name else "the list"
    return f'who is {"in" if asked.is_in else "not in"} {some} "{asked.name}" at {asked.at}'
