"""Reading listeners and a workspace's own actions from files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from segma.contracts.actions import known_actions
from segma.contracts.errors import ListenerError, Problem
from segma.flows.language.model import Listener
from segma.flows.language.parse import parse_listeners
from segma.flows.language.reader import Sheet, Spot
from segma.flows.language.tree import Fields, read_documents

ACTION_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
MAX_ACTIONS = 5_000


def listener_files(directory: Path) -> list[Path]:
    """The listeners' files of a directory, without the examples (``*.test.yaml``), sorted by name."""
    return sorted(
        path
        for pattern in ("*.yaml", "*.yml")
        for path in directory.glob(pattern)
        if not path.name.endswith((".test.yaml", ".test.yml"))
    )


def load_listeners(directory: Path, actions_file: Path) -> list[Listener]:
    """The newest version of each listener in a directory (or the one file named instead of it).

    ``actions_file`` may be absent. Raises :class:`ListenerError` with every problem of every file.
    """
    problems: list[Problem] = []
    own: frozenset[str] = frozenset()
    try:
        own = load_actions(actions_file)
    except ListenerError as error:
        problems.extend(error.problems)
    if not directory.exists():
        raise ListenerError([*problems, Problem(str(directory), "", "is not there", "the listeners' directory")])
    paths = listener_files(directory) if directory.is_dir() else [directory]
    read = [_bytes_of(path, problems) for path in paths]
    files = [(name, data) for name, data in read if data is not None]
    found: list[Listener] = []
    try:
        found = parse_listeners(files, known_actions=known_actions(own))
    except ListenerError as error:
        problems.extend(error.problems)
    if problems:
        raise ListenerError(problems)
    return newest(found)


def newest(listeners: Iterable[Listener]) -> list[Listener]:
    """Of each name the highest version, sorted by name."""
    found: dict[str, Listener] = {}
    for listener in listeners:
        other = found.get(listener.name)
        if other is None or other.version < listener.version:
            found[listener.name] = listener
    return [found[name] for name in sorted(found)]


def _bytes_of(path: Path, problems: list[Problem]) -> tuple[str, bytes | None]:
    try:
        return str(path), path.read_bytes()
    except OSError as error:
        problems.append(Problem(str(path), "", f"cannot be read ({error.strerror})", "a file that can be read"))
        return str(path), None


def load_actions(path: Path) -> frozenset[str]:
    """A workspace's own actions: ``actions:`` with a list of names, or names with what they mean.

    An absent file declares none. Raises :class:`ListenerError`.
    """
    if not path.exists():
        return frozenset()
    problems: list[Problem] = []
    name, data = _bytes_of(path, problems)
    documents, faults = read_documents(name, data or b"")
    problems.extend(faults)
    found: set[str] = set()
    for document in documents:
        sheet = Sheet(name, ())
        for entry in Spot(sheet, document, "", document.line).entries(["actions"], "actions") or ():
            found |= _declared(entry.spot)
        problems.extend(sheet.problems)
    if problems:
        raise ListenerError(problems)
    return frozenset(found)


def _declared(spot: Spot) -> set[str]:
    wanted = "a name in the past tense, in snake_case, such as quiz_finished"
    if isinstance(spot.node, Fields):
        names = [(name, value) for name, value in spot.entries(None, "") or ()]
    else:
        items = spot.items("a list of names", least=0, most=MAX_ACTIONS) or []
        names = [(item.text(wanted) or "", item) for item in items]
    for name, at in names:
        if name and not ACTION_NAME.fullmatch(name):
            at.bad(wanted, f"`{name[:60]}`")
    return {name for name, _ in names if name}
