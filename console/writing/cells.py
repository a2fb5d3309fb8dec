"""A listener's form: the cells that a person fills in, read out of the YAML's tree. Pure.

A cell has a name such as ``s2.action`` (of step 2) or ``r1.to`` (of the first response) and a text. What the form
cannot show has no cell and stays in the YAML as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from flows.language.model import Do
from flows.language.operators import OPERATORS
from flows.language.source import BAD, Report, YamlNode, documents

Cells = dict[str, str]

HEAD: Final = ("listener", "description", "version", "within")
"""Cells of the listener itself, of which each is the entry of its name."""
STEP: Final = ("step", "within", "after", "for")
"""Cells of a step, of which each is the entry of its name."""
ENTRIES: Final = ("step", "action", "not", "where", "times", "within", "after", "for")
"""A step's entries as they usually stand."""
LISTENER: Final = ("listener", "version", "description", "sequence", "within", "repeat", "then")
LISTED: Final = ("any", "one_of", "none_of")
"""Tests against several values, with commas between."""
LABELS: Final[Mapping[str, Mapping[str, str]]] = {
    "kind": {"action": "did", "not": "did not"},
    "often": {"": "once", "at_least": "at least so often", "exactly": "exactly so often"},
    "repeat": {"": "every time", "every": "each time", "once": "once ever", "cooldown": "again after a while"},
    "do": {
        Do.MOVE: "moves them", Do.ADD: "adds them", Do.REMOVE: "removes them", Do.TAG: "sets a tag",
        Do.UNTAG: "takes a tag away",
    },
    "test": {
        "": "is, or is like (*)", "any": "is one of", "not_equals": "is not", "none_of": "is none of",
        "at_least": "is at least", "more_than": "is more than", "at_most": "is at most", "less_than": "is less than",
        "starts_with": "starts with", "ends_with": "ends with", "contains": "contains", "matches": "matches",
        "exists": "is there (true, false)", "same_as": "is the same as in step.property",
        "differs_from": "is another than in step.property",
    },
}  # fmt: skip
"""What the choices of the form are called. A test without a name: the value itself, or a form with ``*``; ``any``: one
of several such."""

_SLOTS: Final[Mapping[str, dict[str, str]]] = {
    Do.MOVE: {"from": "from", "to": "to"}, Do.ADD: {"to": "to"}, Do.REMOVE: {"from": "from"}, Do.TAG: {"to": "add"},
    Do.UNTAG: {"from": "remove"},
}  # fmt: skip


class Form(NamedTuple):
    """The cells, and how many steps and responses there are."""

    cells: Cells
    steps: int
    responses: int

    def kept(self, step: int) -> str:
        """What a step has in the YAML alone."""
        return self.cells.get(f"s{step}.kept", "")

    def rows(self, step: int) -> list[int]:
        """The numbers of a step's conditions."""
        row = re.compile(rf"s{step}\.w(\d+)\.property")
        return [int(found[1]) for name in self.cells if (found := row.fullmatch(name))]


def only_document(text: str, report: Report) -> YamlNode | None:
    """The listener of a text with one; None, and problems in the report, of any other."""
    nodes = documents(text.encode(), report)
    if len(nodes) > 1:
        report.add(nodes[1].line, "", "a second listener", "a file of its own: this form is for one")
        return None
    if nodes and nodes[0].pairs is None:
        report.add(nodes[0].line, "", "no mapping", "begin with `listener: its-name`")
        return None
    return nodes[0] if nodes else None


def form_of(node: YamlNode) -> Form:
    """What the form shows of a listener."""
    cells = {name: shown for name in HEAD if (shown := _entry(node, name)) is not None}
    cells |= _repeat(node.get("repeat"))
    steps, responses = _items(node, "sequence"), _items(node, "then")
    for number, each in enumerate(steps, 1):
        cells |= {f"s{number}.{name}": text for name, text in _step(each)}
    for number, each in enumerate(responses, 1):
        cells |= {f"r{number}.{name}": text for name, text in _response(each)}
    return Form(cells, len(steps), len(responses))


def meant(test: str, text: str) -> Any:
    """The value of a condition, as the YAML holds it."""
    if test in LISTED:
        values = [scalar(each.strip()) for each in text.split(",") if each.strip()]
        return values if test == "any" else {test: values}
    if test == "exists":
        return {test: text.strip().lower() not in {"false", "no"}}
    return {test: scalar(text)} if test else scalar(text)


def scalar(text: str) -> str | int | float | bool:
    """A text that looks like a number or like true is one; in double quotes it is a text all the same."""
    stripped = text.strip()
    if len(stripped) > 1 and stripped[0] == stripped[-1] == '"':
        return stripped[1:-1]
    if stripped in ("true", "false"):
        return stripped == "true"
    try:
        return int(stripped) if stripped.lstrip("-").isdecimal() and stripped.isascii() else _number(stripped)
    except ValueError:
        return text


def _number(text: str) -> float:
    if not text.isascii() or "e" in text.lower() or "n" in text.lower() or "_" in text:
        raise ValueError
    return float(text)


def in_cell(value: Any) -> str:
    """A plain value as a cell shows it: what :func:`scalar` reads as the same value."""
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    return f'"{text}"' if isinstance(value, str) and scalar(text) != text else text


def _items(node: YamlNode, name: str) -> Sequence[YamlNode]:
    found = node.get(name)
    return (found.items if found is not None else None) or ()


def _is_plain(node: YamlNode | None) -> bool:
    return node is not None and node.items is None and node.pairs is None and node.value is not BAD


def _entry(node: YamlNode, name: str) -> str | None:
    """An entry's text; None where it is no plain value."""
    found = node.get(name)
    if found is None:
        return ""
    return found.text if _is_plain(found) else None


def _repeat(node: YamlNode | None) -> Cells:
    if node is None:
        return {"repeat": "", "cooldown": ""}
    if _is_plain(node):
        return {"repeat": node.text, "cooldown": ""} if node.text in LABELS["repeat"] else {}
    cooldown = node.get("cooldown")
    plain = cooldown is not None and _is_plain(cooldown) and len(node.pairs or ()) == 1
    return {"repeat": "cooldown", "cooldown": cooldown.text} if plain and cooldown is not None else {}


def _step(node: YamlNode) -> Iterator[tuple[str, str]]:
    kind = "not" if node.get("not") is not None else "action"
    known = {*STEP, "action", "not", "where", "times"}
    kept = [key.text for key, _ in node.pairs or () if key.text not in known]
    if node.pairs is None:
        yield "kept", "…"
        return
    action = _entry(node, kind)
    if action is not None and not {"any_of", "all_of"} & set(kept):
        yield from (("kind", kind), ("action", action))
    elif action is None:
        kept.append(kind)
    for name in STEP:
        if (shown := _entry(node, name)) is not None:
            yield name, shown
    yield from _times(node.get("times"), kept)
    yield from _where(node.get("where"), kept)
    yield "kept", ", ".join(kept)


def _times(node: YamlNode | None, kept: list[str]) -> Iterator[tuple[str, str]]:
    if node is None:
        yield from (("often", ""), ("times", ""))
    elif _is_plain(node):
        yield from (("often", "exactly"), ("times", node.text))
    elif (
        node.pairs is not None
        and len(node.pairs) == 1
        and node.pairs[0][0].text in LABELS["often"]
        and _is_plain(node.pairs[0][1])
    ):
        yield from (("often", node.pairs[0][0].text), ("times", node.pairs[0][1].text))
    else:
        kept.append("times")


def _where(node: YamlNode | None, kept: list[str]) -> Iterator[tuple[str, str]]:
    """A row for each condition that the form can show, and an empty one."""
    if node is not None and node.pairs is None and node.value is not None:
        kept.append("where")
        return
    rows = (node.pairs if node is not None else None) or []
    last = 0
    for number, (key, value) in enumerate(rows, 1):
        test = _test(value)
        if test is None or not isinstance(key.value, str):
            kept.append(f"where.{key.text}")
            continue
        last = number
        yield from ((f"w{number}.property", key.text), (f"w{number}.test", test[0]), (f"w{number}.value", test[1]))
    empty = max(last, len(rows)) + 1
    yield from ((f"w{empty}.{name}", "") for name in ("property", "test", "value"))


def _test(node: YamlNode) -> tuple[str, str] | None:
    """A condition as its test and its value; None where the form has no such test."""
    if _is_plain(node):
        return None if node.value is None else ("", in_cell(node.value))
    if node.items is not None:
        return _several("any", node.items)
    (key, value), *more = node.pairs or [(YamlNode(0), node)]
    if more or key.text not in LABELS["test"] or key.text not in OPERATORS:
        return None
    if key.text in LISTED:
        return _several(key.text, value.items or ())
    return (key.text, in_cell(value.value)) if _is_plain(value) and value.value is not None else None


def _several(test: str, items: Sequence[YamlNode]) -> tuple[str, str] | None:
    shown = [in_cell(each.value) for each in items if _is_plain(each) and each.value is not None]
    fits = len(shown) == len(items) > 0 and not any("," in each or each != each.strip() for each in shown)
    return (test, ", ".join(shown)) if fits else None


def _response(node: YamlNode) -> Iterator[tuple[str, str]]:
    verb = next((key.text for key, _ in node.pairs or () if key.text in LABELS["do"]), None)
    given = node.get(verb) if verb is not None else None
    if verb is None or given is None or given.pairs is None or not all(_is_plain(each) for _, each in given.pairs):
        yield "kept", ", ".join(key.text for key, _ in node.pairs or ()) or "…"
        return
    names = slots(verb)
    known = {key.text: each.text for key, each in given.pairs}
    yield "do", verb
    for cell in ("from", "to", "at"):
        yield cell, known.get(names.get(cell, ""), "")


def slots(verb: str) -> Mapping[str, str]:
    """Which entry of a response each of its cells is."""
    return _SLOTS[verb] | {"at": "at"}
