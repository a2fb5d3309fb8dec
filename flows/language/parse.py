"""From YAML to checked listeners: the table of a listener, and all problems of all files at once. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from contracts.errors import ListenerError, Problem
from contracts.events import Trust
from flows.language.conditions import TRUST
from flows.language.context import ParseContext
from flows.language.elements import Elements, asked_of_steps, step_names
from flows.language.kinds import Choice, Duration, Either, Path, Text, Whole
from flows.language.memberships import MEMBERSHIPS, memberships_of
from flows.language.model import NOBODY, Listener, Not, Op, Reference, Repeat, Scope, Step, VariantName
from flows.language.responses import RESPONSES
from flows.language.shape import Field, Given, Shape
from flows.language.shares import Percent, Variants
from flows.language.source import BAD, Report, YamlNode, documents

MAX_VERSION: Final = 1_000_000_000
MAX_VARIABLES: Final = 4
"""Properties that ``same_as`` may refer to in one listener, ``per`` included: one machine for each combination."""

NAME: Final = Text("a name in kebab-case, such as basket-abandoned", "[a-z0-9]+(-[a-z0-9]+)*", 80)


def _cooldown(given: Given, context: ParseContext) -> Any:
    return BAD if given.bad else given["cooldown"]


COOLDOWN: Final = Shape(
    "cooldown",
    (Field("cooldown", Duration(), "Completions less than this after a match are ignored.", required=True),),
    _cooldown,
)


def _listener(given: Given, context: ParseContext) -> Any:
    _check_deadline(given, context)
    if given.get("sequence", BAD) is not BAD:
        _check_variables(given, context)
    _check_variants(given, context)
    return BAD if given.bad else _built(given)


def _check_deadline(given: Given, context: ParseContext) -> None:
    items = given.nodes["sequence"].items if "sequence" in given.nodes else None
    # A sequence of `not`s alone is told of otherwise.
    if not items or "within" in given.nodes or all(item.get("not") is not None for item in items):
        return
    if items[-1].get("not") is not None and items[-1].get("for") is None:
        context.refuse(items[-1], "a last `not` without `for`", "`for: 30m` on it, or `within` on the listener")
        given.spoiled = True


def _check_variables(given: Given, context: ParseContext) -> None:
    referred = {reference for element in given["sequence"] for reference in _referred(element)}
    if len(referred) + ("per" in given.nodes) > MAX_VARIABLES:
        found = f"`same_as` with {len(referred)} different properties" + (" and `per`" if "per" in given.nodes else "")
        given.refuse(context, "sequence", found, f"at most {MAX_VARIABLES} together")


def _check_variants(given: Given, context: ParseContext) -> None:
    """``only`` and ``{variant}`` name variants that the listener has."""
    if given.bad:
        return
    known = [name for name, _ in given.get("variants", ())]
    for response in given.get("then", ()):
        templates = [each for each in (response.to_list, response.from_list) if each is not None]
        if response.only is not None and response.only not in known:
            wanted = context.suggestion(response.only, known, "a variant of the listener's `variants`")
            given.refuse(context, "then", f"`only: {response.only}`, a variant that does not exist", wanted)
        if not known and any(isinstance(part, VariantName) for each in templates for part in each.parts):
            given.refuse(context, "then", "`{variant}` without `variants`", "`variants: {a: 50%, b: 50%}` beside it")


def _referred(element: Step | Not) -> Iterator[Reference]:
    conditions = element.conditions() if isinstance(element, Step) else (element.condition,)
    for condition in conditions:
        yield from (line.operand for line in condition.lines() if line.op == Op.SAME_AS)


def _built(given: Given) -> Listener:
    trust, repeat = given.get("trust"), given.get("repeat", Repeat.EVERY)
    memberships = memberships_of(given)
    return Listener(
        name=given["listener"],
        version=given.get("version", 1),
        sequence=tuple(asked_of_steps(each, trust=trust, memberships=memberships) for each in given["sequence"]),
        description=given.get("description", ""),
        within_ms=given.get("within"),
        scope=Scope(given.get("scope", Scope.SUBSCRIBER)),
        repeat=Repeat.COOLDOWN if isinstance(repeat, int) else Repeat(repeat),
        cooldown_ms=repeat if isinstance(repeat, int) else None,
        undo=given.get("on_retraction", "undo") == "undo",
        per=given.get("per"),
        trust=trust,
        memberships=memberships,
        max_lists=given.get("max_lists", 50),
        holdout=given.get("holdout", NOBODY),
        variants=given.get("variants", ()),
        then=given.get("then", ()),
    )


def with_default_trust(listener: Listener, trust: str) -> Listener:
    """The listener, asking for ``trust`` where it moves people and names none itself."""
    if not trust or trust == Trust.BROWSER or listener.trust is not None or not listener.then:
        return listener
    sequence = tuple(asked_of_steps(each, trust=trust) for each in listener.sequence)
    return dataclasses.replace(listener, trust=trust, sequence=sequence)


LISTENER: Final = Shape(
    "listener",
    (
        Field("listener", NAME, "Its unique name.", required=True),
        Field("version", Whole(1, MAX_VERSION), "Immutable once live; a change is a new number. Default: 1."),
        Field("description", Text("a text", r"(?s).*", 2_000), "What it is for, in words."),
        Field("sequence", Elements(), "The steps, in the order in which they must come.", required=True),
        Field("within", Duration(), "The whole sequence: first to last matched event, less than this."),
        Field("scope", Choice(("subscriber", "session")), "session: every step in one session. Default: subscriber."),
        Field(
            "repeat",
            Either("every, once or {cooldown: 7d}", Choice(("every", "once")), mapping=COOLDOWN),
            "How often a person may match. Default: every.",
        ),
        Field("on_retraction", Choice(("undo", "keep")), "When a match turns out not to hold. Default: undo."),
        Field("per", Path(), "A property: one machine for each of its values."),
        Field("trust", TRUST, "How sure it must be who sent each event."),
        *MEMBERSHIPS,
        Field("max_lists", Whole(1, 10_000), "Most lists that its templates may make. Default: 50."),
        Field("holdout", Percent(), "The share of all people whose matches are rows and nothing else."),
        Field("variants", Variants(), "Names with shares of all people, for `{variant}` and `only` in `then`."),
        Field("then", RESPONSES, "What a match does, in this order."),
    ),
    _listener,
    elsewhere={
        "name": "write `listener`",
        "steps": "write `sequence`",
        "actions": "what a match does is `then`; own actions stand in actions.yaml, beside this directory",
        "cooldown": "write `repeat: {cooldown: 7d}`",
    },
)


def parse_listeners(files: Sequence[tuple[str, bytes]], *, known_actions: Collection[str]) -> list[Listener]:
    """The listeners of these files, in their order. A file may hold several documents, one listener each.

    ``files``: (name as the person knows it, bytes). ``known_actions``: the vocabulary with the site's own. Raises
    :class:`ListenerError` with all problems of all files; then no listener is given.
    """
    listeners: list[Listener] = []
    problems: list[Problem] = []
    first: dict[tuple[str, int], str] = {}
    for name, data in files:
        report = Report(name)
        context = ParseContext(report, known_actions)
        for node in documents(data, report):
            listener = _read(node, context)
            if listener is BAD:
                continue
            _check_unique(listener, node, first, report)
            listeners.append(listener)
        problems.extend(report.finished())
    if problems:
        raise ListenerError(problems)
    return listeners


def _read(node: YamlNode, context: ParseContext) -> Any:
    context.steps = step_names(node.get("sequence"))
    return LISTENER.read(node, context)


def _check_unique(listener: Listener, node: YamlNode, first: dict[tuple[str, int], str], report: Report) -> None:
    at = node.get("listener") or node
    here, key = f"{report.file}:{at.line}", (listener.name, listener.version)
    if key in first:
        found = f'"{listener.name}" version {listener.version} a second time'
        report.refuse(at, found, f"another name or version: it stands at {first[key]} already")
    first.setdefault(key, here)
