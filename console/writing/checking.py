"""What is wrong with a listener's text, as ``segma listeners check`` says it: under which cell, in which line. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from console.writing.cells import STEP, Form, slots
from contracts.actions import known_actions
from contracts.errors import ListenerError, Problem
from contracts.versions import ListenerVersion
from flows.config import unknown_accounts
from flows.language.describe import describe
from flows.language.lint import lint
from flows.language.model import Listener
from flows.language.parse import parse_listeners
from flows.language.source import Report, documents
from flows.versions.deployment import to_apply

FILE: Final = "line"


class Terms(NamedTuple):
    """What a workspace's listeners are checked against. ``known``: the versions that were applied."""

    workspace: str
    actions: frozenset[str]
    accounts: Collection[str]
    known: Sequence[ListenerVersion]


class Mark(NamedTuple):
    """What is said of a line of the text. ``line`` counts from 1; ``grave``: it cannot be applied like this."""

    line: int
    said: str
    grave: bool


class Checked(NamedTuple):
    """``under``: by cell, what is wrong with it; ``others``: what is wrong elsewhere; ``remarks``: what is well formed
    and hardly meant; ``words``: what the listener does, where it can be read; ``marks``: all that is said, by line.
    """

    under: Mapping[str, str]
    others: Sequence[str]
    remarks: Sequence[str]
    words: str
    listener: Listener | None
    marks: Sequence[Mark] = ()

    @property
    def is_well(self) -> bool:
        """Whether the text could be applied."""
        return not self.under and not self.others and self.listener is not None


def checked(text: str, form: Form, terms: Terms) -> Checked:
    """Check a text whose form is ``form``."""
    try:
        found = parse_listeners([(FILE, text.encode())], known_actions=known_actions(terms.actions))
    except ListenerError as error:
        return _told(error.problems, form, _lines(text))
    problems = [problem for each in found for problem in _applied(text, each, terms)]
    lines = _lines(text)
    told, worth_a_look = _told(problems, form, lines), lint(found)
    remarks = [f"{each.field}: {each.found}; {each.wanted}" for each in worth_a_look]
    marks = [Mark(_line_of(each.field, lines), f"{each.found}; {each.wanted}", False) for each in worth_a_look]
    words = "\n".join(describe(each) for each in found)
    return Checked(told.under, told.others, remarks, words, found[0] if found else None, [*told.marks, *marks])


def _applied(text: str, listener: Listener, terms: Terms) -> list[Problem]:
    """What ``segma listeners apply`` would refuse of a listener that is well formed."""
    version = ListenerVersion(terms.workspace, listener.name, listener.version, text, 0)
    _, problems = to_apply([each for each in terms.known if each.key == version.key], [version], terms.actions)
    return [*problems, *unknown_accounts([listener], set(terms.accounts), Path(FILE))]


def _told(problems: Sequence[Problem], form: Form, lines: Mapping[str, int]) -> Checked:
    cells = _cells(form)
    under: dict[str, str] = {}
    others, marks = [], []
    for each in problems:
        cell = _cell_of(each.field, cells)
        said = f"{each.found}; {each.wanted}"
        file, _, line = each.where.rpartition(":")
        marks.append(Mark(int(line) if file == FILE else _line_of(each.field, lines), said, True))
        if cell:
            under[cell] = f"{under[cell]} · {said}" if cell in under else said
        else:
            others.append(str(each))
    return Checked(under, others, (), "", None, marks)


def _lines(text: str) -> Mapping[str, int]:
    """Path in the first listener of a text → its line; empty where the text is no YAML."""
    nodes = documents(text.encode(), Report(FILE))[:1]
    found: dict[str, int] = {}
    while nodes:
        node = nodes.pop()
        found[node.field] = node.line
        nodes += [*(node.items or ()), *(value for _, value in node.pairs or ())]
    return found


def _line_of(field: str, lines: Mapping[str, int]) -> int:
    """The line of the longest path that leads to a field; the first one, where none does."""
    while field and field not in lines:
        field = field[: max(field.rfind("."), field.rfind("["), 0)]
    return lines.get(field, 1)


def _cell_of(field: str, cells: Mapping[str, str]) -> str:
    """The cell of the longest path that leads to a field."""
    paths = [path for path in cells if field == path or field.startswith((f"{path}.", f"{path}["))]
    return cells[max(paths, key=len)] if paths else ""


def _cells(form: Form) -> Mapping[str, str]:
    """Path in the listener → cell."""
    given = form.cells
    found: dict[str, str] = {
        name: name for name in ("listener", "description", "version", "within", "repeat") if name in given
    }
    if "cooldown" in given:
        found["repeat.cooldown"] = "cooldown"
    for step in range(1, form.steps + 1):
        here, path = f"s{step}.", f"sequence[{step}]"
        found |= {f"{path}.{name}": here + name for name in STEP if here + name in given}
        if f"{here}action" in given:
            found |= {f"{path}.{kind}": f"{here}action" for kind in ("action", "not")} | {path: f"{here}action"}
        if f"{here}times" in given:
            found[f"{path}.times"] = f"{here}times"
        for row in form.rows(step):
            if name := given[f"{here}w{row}.property"]:
                found[f"{path}.where.{name}"] = f"{here}w{row}.value"
    for number in range(1, form.responses + 1):
        here, path = f"r{number}.", f"then[{number}]"
        if verb := given.get(f"{here}do"):
            found |= {f"{path}.{verb}.{entry}": here + cell for cell, entry in slots(verb).items()}
            found[path] = f"{here}to"
    return found
