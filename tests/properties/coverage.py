"""Which parts of the language a generated listener has, and which of them decide its answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contracts.errors import ListenerError
from flows.language.operators import ALL
from tests.properties.case import Case
from tests.properties.generate import GAP_MS, Data, parsed
from tests.properties.oracle import brute_force

PARTS = frozenset(
    {
        *("any_of", "all_of", "any action", "where", "session", "trust", "times", "sum", "optional", "next", "within"),
        *("after", "distinct_by", "until", "step", "scope", "repeat once", "repeat cooldown", "per", "listener within"),
        *("listener trust", "first not", "first not ever", "not between", "last not for", "last not within"),
        *("several last nots", "exactly", "at_least", "between", "glob", "list", "dotted path", "[] path"),
        *(f"operator {op}" for op in (str(each.name) for each in ALL if each.operand)),
        *("times number", "times at_least 0", "not with a condition", "reference in between", "version"),
    }
)
"""Every part of SEMANTICS 1 that matching can depend on. ``then`` and ``on_retraction`` come after it."""

NEVER_DECIDES = frozenset({"step", "version"})
"""Names only; they change identities and evidence, not what matches."""


def parts_of(data: Data) -> set[str]:
    """The parts that a listener's document has."""
    found = set(_listener_parts(data))
    elements = data.get("sequence", [])
    steps = [index for index, element in enumerate(elements) if "not" not in element] or [len(elements)]
    last_nots = 0
    for index, element in enumerate(elements):
        found |= set(_fields(element))
        if "not" not in element:
            continue
        if isinstance(element["not"], dict):
            found.add("not with a condition")
        if index < steps[0]:
            found.add("first not ever" if element.get("for") == "ever" else "first not")
        elif index < steps[-1]:
            found.add("not between")
        else:
            last_nots += 1
            if index == len(elements) - 1:
                found.add("last not for" if "for" in element else "last not within")
    if last_nots > 1:
        found.add("several last nots")
    return found & PARTS


def _listener_parts(data: Data) -> Iterator[str]:
    names = {"within": "listener within", "trust": "listener trust"}
    yield from (names.get(name, name) for name in data)
    repeat = data.get("repeat")
    if repeat is not None:
        yield "repeat once" if repeat == "once" else "repeat cooldown"


def _fields(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for element in node:
            yield from _fields(element)
    if not isinstance(node, dict):
        return
    for name, value in node.items():
        yield name
        if name == "where":
            for path, line in value.items():
                yield from _line(path, line)
        elif name == "times":
            yield from _times(value)
        elif name == "action" and value == "*":
            yield "any action"
        elif name not in {"session", "sum", "for"}:
            yield from _fields(value)


def _line(path: str, line: Any) -> Iterator[str]:
    if "[]" in path:
        yield "[] path"
    elif "." in path:
        yield "dotted path"
    if isinstance(line, dict):
        yield from (f"operator {op}" for op in line)
        if any(isinstance(end, str) for end in line.get("between", ())):
            yield "reference in between"
    else:
        values = line if isinstance(line, list) else [line]
        yield "glob" if any(isinstance(value, str) and "*" in value for value in values) else "operator equals"
        if isinstance(line, list):
            yield "list"


def _times(value: Any) -> Iterator[str]:
    if isinstance(value, int):
        yield "times number"
        return
    yield from value
    if value.get("at_least") == 0:
        yield "times at_least 0"


def deciding(case: Case) -> set[str]:
    """The parts without which the listener, read again, gives another answer for this stream.

    Where leaving a part out leaves no listener, it is not counted.
    """
    with_all = _ids(case, case.data)
    found: set[str] = set()
    for smaller in without_one(case.data):
        gone = parts_of(case.data) - parts_of(smaller)
        if gone and gone - found and _ids(case, smaller) not in {None, with_all}:
            found |= gone
    return found


def _ids(case: Case, data: Data) -> tuple[tuple[str, ...], ...] | None:
    try:
        listener = parsed(data)
    except ListenerError:
        return None
    answers = brute_force(listener, case.events, gap_ms=GAP_MS, end_ms=case.end_ms)
    return tuple((*ids, str(at_ms)) for _, _, ids, at_ms in answers)


def without_one(node: Any) -> Iterator[Any]:
    """The document with one field or element less, anywhere in it."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield {other: each for other, each in node.items() if other != name}
            for smaller in without_one(value):
                yield {**node, name: smaller}
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield node[:index] + node[index + 1 :]
            for smaller in without_one(value):
                yield [*node[:index], smaller, *node[index + 1 :]]
