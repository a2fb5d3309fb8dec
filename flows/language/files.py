"""Reading listeners and a site's own actions from the disk: the only I/O of the language."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from contracts.actions import known_actions
from contracts.errors import ListenerError, Problem
from flows.language.context import ParseContext, Schema
from flows.language.kinds import Either, ListOf, Text
from flows.language.model import Listener
from flows.language.parse import parse_listeners
from flows.language.shape import Field, Given, Shape, names_of
from flows.language.source import BAD, MAX_FILE_BYTES, Report, YamlNode, documents

INSTALLATION: Final = "segma.yaml"
TEST_ENDINGS: Final = (".test.yaml", ".test.yml")
_NAME: Final = Text("an action: snake_case, in the past tense, such as quiz_finished", "[a-z][a-z0-9_]*", 100)


@dataclass(frozen=True, slots=True)
class _Meanings:
    """Names with what they mean."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        given = Given(node)
        names = [_NAME.read(key, context) for key, _ in node.pairs or ()]
        names_of(node, context, given)
        return BAD if given.bad or any(name is BAD for name in names) else tuple(names)

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": {"type": "string"}}


def _declared(given: Given, context: ParseContext) -> Any:
    return BAD if given.bad else given["actions"]


_WANTED: Final = "a list of actions, or a mapping from actions to what they mean"
_OWN: Final = Either(_WANTED, items=ListOf(_NAME, _WANTED, least=0), mapping=_Meanings())
_ACTIONS: Final = Shape("actions", (Field("actions", _OWN, "The site's own actions.", required=True),), _declared)


def listener_files(directory: Path) -> list[Path]:
    """The listeners' files of a directory by name, without their tests (``*.test.yaml``); of a file, itself."""
    if not directory.is_dir():
        return [directory]
    found = [path for ending in ("*.yaml", "*.yml") for path in directory.glob(ending)]
    return sorted(path for path in found if not path.name.endswith(TEST_ENDINGS))


def load_listeners(directory: Path, actions_file: Path) -> list[Listener]:
    """The newest version of each listener in a directory (or in one file), by name.

    ``actions_file`` may be absent. Raises :class:`ListenerError` with every problem of every file.
    """
    return newest(load_versions(directory, actions_file))


def load_versions(directory: Path, actions_file: Path) -> list[Listener]:
    """As :func:`load_listeners`, but every version, in the order of the files."""
    if (directory / INSTALLATION).is_file():
        wanted = f"the folder of its listeners, such as {directory / 'listeners'}"
        raise ListenerError([Problem(str(directory), "", f"a home, for {INSTALLATION} is there", wanted)])
    problems: list[Problem] = []
    own: frozenset[str] = frozenset()
    try:
        own = load_actions(actions_file)
    except ListenerError as error:
        problems.extend(error.problems)
    files = read_files(listener_files(directory), problems)
    found: list[Listener] = []
    try:
        found = parse_listeners(files, known_actions=known_actions(own))
    except ListenerError as error:
        problems.extend(error.problems)
    if problems:
        raise ListenerError(problems)
    return found


def newest(listeners: Iterable[Listener]) -> list[Listener]:
    """Of each name the highest version, by name."""
    found: dict[str, Listener] = {}
    for listener in sorted(listeners, key=lambda each: each.version):
        found[listener.name] = listener
    return [found[name] for name in sorted(found)]


def load_actions(actions_file: Path) -> frozenset[str]:
    """A site's own actions; none where the file is absent.

    The file holds ``actions:`` with a list of names, or with names and what they mean. Raises :class:`ListenerError`
    with every problem.
    """
    if not actions_file.exists():
        return frozenset()
    problems: list[Problem] = []
    found: set[str] = set()
    for name, data in read_files([actions_file], problems):
        report = Report(name)
        for node in documents(data, report, begins="actions:"):
            names = _ACTIONS.read(node, ParseContext(report, ()))
            found.update(() if names is BAD else names)
        problems.extend(report.finished())
    if problems:
        raise ListenerError(problems)
    return frozenset(found)


def read_files(paths: Iterable[Path], problems: list[Problem]) -> list[tuple[str, bytes]]:
    """The names and bytes of files; each that cannot be read is a problem more."""
    found = []
    for path in paths:
        try:
            with path.open("rb") as file:
                # One byte more than is taken tells that it is too large.
                found.append((str(path), file.read(MAX_FILE_BYTES + 1)))
        except OSError as error:
            problems.append(Problem(str(path), "", f"a file that cannot be read ({error.strerror})", "a readable file"))
    return found
