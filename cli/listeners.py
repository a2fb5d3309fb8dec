"""``segma listeners``: check, describe, lint, test, the language's JSON Schema, and the versions at work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from cli.deploy import apply_command, remove_command, versions_command
from cli.output import Exit, err, out, print_json
from cli.pauses import pause_command, resume_command
from cli.promote import promote_command
from contracts.actions import known_actions
from contracts.errors import ListenerError, Problem
from contracts.plurals import counted
from flows.language.describe import describe
from flows.language.files import TEST_ENDINGS, listener_files, load_actions, load_versions, newest
from flows.language.lint import lint
from flows.language.model import Listener
from flows.language.schema import schema_text
from flows.replay.examples import Example, failures, parse_examples

_PLACE: Final = click.argument(
    "place", type=click.Path(exists=True, path_type=Path), default=Path("listeners"), required=False
)
_ACTIONS: Final = click.option(
    "--actions",
    "actions_file",
    type=click.Path(path_type=Path),
    help="The site's own actions; else actions.yaml beside the listeners' directory.",
)
_JSON: Final = click.option("--json", "as_json", is_flag=True, help="A line of JSON for each thing said.")


@click.group()
def listeners_command() -> None:
    """Check, describe, lint and test listeners; bring them to work.

    PLACE is the directory of the listeners, or one file of it; without it, `listeners`. Exit codes: 0 well, 1 something
    is wrong with a listener, 2 usage.
    """


def _on_listeners(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command on listeners: its place, its site's actions and the form of its answer are options."""

    def register(command: Callable[..., None]) -> click.Command:
        return listeners_command.command(name)(_PLACE(_ACTIONS(_JSON(command))))

    return register


def _load(place: Path, actions_file: Path | None, *, as_json: bool) -> list[Listener]:
    try:
        return load_versions(place, actions_file or _actions_beside(place))
    except ListenerError as error:
        _tell_problems(error.problems, as_json=as_json)
        sys.exit(Exit.PROBLEMS)


def _tell_problems(problems: Sequence[Problem], *, as_json: bool) -> None:
    for problem in problems:
        if as_json:
            print_json(asdict(problem))
        else:
            err.print(str(problem), markup=False)
    if not as_json:
        err.print(f"segma: {counted(len(problems), 'problem')}", markup=False)


@_on_listeners("check")
def check_command(place: Path, actions_file: Path | None, as_json: bool) -> None:
    """Read every listener and say everything that is wrong: file, line, field, what is there, what would be right."""
    listeners = _load(place, actions_file, as_json=as_json)
    if as_json:
        for listener in listeners:
            print_json({"listener": listener.name, "version": listener.version})
    else:
        out.print(f"{counted(len(listeners), 'listener')}, all well", markup=False)


@_on_listeners("describe")
def describe_command(place: Path, actions_file: Path | None, as_json: bool) -> None:
    """Say in plain English what each listener does."""
    for listener in newest(_load(place, actions_file, as_json=as_json)):
        if as_json:
            print_json({"listener": listener.name, "version": listener.version, "text": describe(listener)})
        else:
            out.print(describe(listener), markup=False)


@_on_listeners("lint")
def lint_command(place: Path, actions_file: Path | None, as_json: bool) -> None:
    """Find what a listener says and hardly means: it can never match, rests on opens only, undoes another."""
    findings = lint(newest(_load(place, actions_file, as_json=as_json)))
    for finding in findings:
        if as_json:
            print_json(asdict(finding))
        else:
            out.print(str(finding), markup=False)
    if findings:
        sys.exit(Exit.PROBLEMS)
    if not as_json:
        out.print("nothing found", markup=False)


@_on_listeners("test")
def test_command(place: Path, actions_file: Path | None, as_json: bool) -> None:
    """Run the examples beside the listeners: NAME.test.yaml beside NAME.yaml."""
    _load(place, actions_file, as_json=as_json)  # all listeners first: a problem is told before any example runs
    known = known_actions(load_actions(actions_file or _actions_beside(place)))
    failed = run = 0
    for file in listener_files(place):
        beside = (file.with_name(file.stem + ending) for ending in TEST_ENDINGS)
        tests = next((path for path in beside if path.is_file()), None)
        listeners = newest(_load(file, actions_file or _actions_beside(place), as_json=as_json))
        for example in _examples(tests, known, as_json=as_json) if tests else ():
            said = failures(listeners, example)
            run, failed = run + 1, failed + bool(said)
            _tell_example(str(tests), example, said, as_json=as_json)
    if not as_json:
        out.print(f"{counted(run, 'example')}, {failed} failed", markup=False)
    if failed:
        sys.exit(Exit.PROBLEMS)


def _actions_beside(place: Path) -> Path:
    return (place if place.is_dir() else place.parent).absolute().parent / "actions.yaml"


def _examples(tests: Path, known: Collection[str], *, as_json: bool) -> list[Example]:
    try:
        return parse_examples(str(tests), tests.read_bytes(), known_actions=known)
    except ListenerError as error:
        _tell_problems(error.problems, as_json=as_json)
        sys.exit(Exit.PROBLEMS)


def _tell_example(file: str, example: Example, said: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"file": file, "line": example.line, "example": example.name, "failures": said})
        return
    for each in said:
        out.print(f"{file}:{example.line}: {example.name}: {each}", markup=False)


@listeners_command.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of the language, for editors."""
    sys.stdout.write(schema_text())


for command in (
    apply_command,
    pause_command,
    promote_command,
    remove_command,
    resume_command,
    versions_command,
):
    listeners_command.add_command(command)
