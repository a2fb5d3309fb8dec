"""A listener's own examples, ``NAME.test.yaml`` beside ``NAME.yaml``: read by a table, run by the machine. Pure.

::

Examples:
      - name: looks at two products and leaves
        events:
          - {at: 0s, event: email_clicked, with: {campaign: spring-sale}}
          - {at: 3s, event: page_viewed, with: {path: /products/a}}
          - {at: 5s, event: page_viewed, with: {path: /products/b}}
        until: 1m
        expect:
          - {steps: {clicked: 1, looked: [2, 3]}, at: 15s}

Times count from the example's start. An event is called by its number, or by its ``id``. ``expect: []`` is no match.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.actions import PROFILE_CHANGED
from contracts.errors import ListenerError
from contracts.events import Event, Trust
from contracts.time_zones import named_zone, zone_of
from flows.derived.sessions import DEFAULT_GAP_MS
from flows.language.conditions import KnownAction
from flows.language.context import ParseContext, Schema
from flows.language.kinds import Choice, Duration, Either, Flag, ListOf, Scalar, Text, Whole
from flows.language.model import Listener
from flows.language.phrases import exact
from flows.language.shape import Field, Given, Shape, names_of
from flows.language.source import BAD, Report, YamlNode, documents, phrase
from flows.machine.machine import Machine, Match
from flows.replay.ordered import replayed

MAX_EVENTS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Expected:
    """A match that must come. What is None is not looked at."""

    listener: str | None
    steps: dict[str, tuple[str, ...]] | None
    events: tuple[str, ...] | None
    at_ms: int | None


@dataclass(frozen=True, slots=True)
class Example:
    """Events of one person, in their order, and the matches they must give, in the order of completion."""

    name: str
    line: int
    events: tuple[Event, ...]
    until_ms: int | None
    session_gap_ms: int
    time_zone: str
    expect: tuple[Expected, ...]


@dataclass(frozen=True, slots=True)
class _Since:
    """A time since the example's start: ``0s``, or a duration."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        zero = node.value in ("0s", "0ms", "0m")
        return 0 if zero else Duration("a time since the start: 0s, 250ms, 10s, 30m, 2h or 7d").read(node, context)

    def schema(self) -> Schema:
        return {"type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$"}


@dataclass(frozen=True, slots=True)
class _Zone:
    """The IANA name of a time zone."""

    wanted: str = "the IANA name of a time zone, such as Europe/Berlin"

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        found = Text(self.wanted, longest=80).read(node, context)
        return context.refuse(node, phrase(node), self.wanted) if found is not BAD and not zone_of(found) else found

    def schema(self) -> Schema:
        return {"type": "string", "maxLength": 80}


@dataclass(frozen=True, slots=True)
class _Happened:
    """An action that there is; not ``"*"``."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        if node.value == "*":
            return context.refuse(node, phrase(node), "an action, such as page_viewed")
        return PROFILE_CHANGED if node.value == PROFILE_CHANGED else KnownAction().read(node, context)

    def schema(self) -> Schema:
        return KnownAction().schema()


@dataclass(frozen=True, slots=True)
class _Properties:
    """Any mapping: an event's properties."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        if node.pairs is None:
            return context.refuse(node, phrase(node), "properties, such as {path: /shoes}")
        given = Given(node)
        found = {name: _anything(value, context) for name, value in names_of(node, context, given)}
        return BAD if given.spoiled or any(value is BAD for value in found.values()) else found

    def schema(self) -> Schema:
        return {"type": "object"}


def _anything(node: YamlNode, context: ParseContext) -> Any:
    if node.pairs is not None:
        return _Properties().read(node, context)
    if node.items is not None:
        found = [_anything(item, context) for item in node.items]
        return BAD if any(value is BAD for value in found) else found
    return node.value


@dataclass(frozen=True, slots=True)
class _Called:
    """An event's number or its ``id``."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        if isinstance(node.value, int) and not isinstance(node.value, bool):
            return str(node.value)
        return Text("the number or the id of an event", longest=100).read(node, context)

    def schema(self) -> Schema:
        return {"type": ["string", "integer"]}


_CALLED: Final = Either("the number or the id of an event, or a list of them", _Called(), ListOf(_Called(), "a list"))


@dataclass(frozen=True, slots=True)
class _Steps:
    """Step → the events that it took."""

    def read(self, node: YamlNode, context: ParseContext) -> Any:
        if node.pairs is None:
            return context.refuse(node, phrase(node), "steps and their events, such as {clicked: 1, looked: [2, 3]}")
        found = {}
        for key, value in node.pairs:
            called = _CALLED.read(value, context)
            found[key.text] = called if isinstance(called, tuple) else (called,)
        return BAD if any(BAD in called for called in found.values()) else found

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": _CALLED.schema()}


def _values(given: Given, context: ParseContext) -> Any:
    return BAD if given.bad else dict(given)


def _expected(given: Given, context: ParseContext) -> Any:
    if given.bad:
        return BAD
    return Expected(given.get("listener"), given.get("steps"), given.get("events"), given.get("at"))


def _example(given: Given, context: ParseContext) -> Any:
    if given.bad:
        return BAD
    events = tuple(_event(number, each) for number, each in enumerate(given["events"], start=1))
    _check_names([event.event_id for event in events], given, context)
    gap_ms = given.get("session_gap", DEFAULT_GAP_MS)
    ordered = tuple(sorted(events, key=lambda event: event.place))
    zone = given.get("time_zone", "UTC")
    return Example(given["name"], given.node.line, ordered, given.get("until"), gap_ms, zone, given["expect"])


def _check_names(names: Sequence[str], given: Given, context: ParseContext) -> None:
    for name in sorted({name for name in names if names.count(name) > 1}):
        given.refuse(context, "events", f'two events called "{name}"', "an `id` of its own for each")
    for node, expected in zip(given.nodes["expect"].items or (), given["expect"], strict=True):
        called = [*(expected.events or ()), *(each for events in (expected.steps or {}).values() for each in events)]
        for name in sorted(set(called) - set(names)):
            context.refuse(node, f'"{name}", an event that does not exist', "the number or the id of an event")
            given.spoiled = True


def _event(number: int, given: dict[str, Any]) -> Event:
    return Event(
        workspace="example",
        subscriber="someone",
        event_id=given.get("id", str(number)),
        action=given["event"],
        occurred_at_ms=given["at"],
        order=given.get("order", number),
        properties=given.get("with", {}),
        trust=Trust(given.get("trust", "token")),
        stitched=given.get("stitched", False),
        provisional=given.get("provisional", False),
    )


_EVENT: Final = Shape(
    "event",
    (
        Field("at", _Since(), "When, since the example's start.", required=True),
        Field("event", _Happened(), "The action.", required=True),
        Field("with", _Properties(), "The event's properties."),
        Field("id", _Called(), "What `expect` calls it. Default: its number in the list."),
        Field("order", Whole(0, 1_000_000), "Its place among events at the same time. Default: its number."),
        Field("trust", Choice(tuple(level.value for level in Trust)), "Who sent it. Default: token."),
        Field("stitched", Flag(), "History from before the person was known."),
        Field("provisional", Flag(), "A click that may be a scanner's."),
    ),
    _values,
    elsewhere={"action": "write `event`", "where": "write `with`", "properties": "write `with`"},
)
_EXPECTED: Final = Shape(
    "expected",
    (
        Field("listener", Scalar(), "Which listener, where the file holds several."),
        Field("steps", _Steps(), "Each step's events."),
        Field("events", ListOf(_Called(), "a list of events"), "All events of the match, in order."),
        Field("at", _Since(), "When the match was complete."),
    ),
    _expected,
)
_EXAMPLE: Final = Shape(
    "example",
    (
        Field("name", Text("a sentence"), "What it shows.", required=True),
        Field("events", ListOf(_EVENT, "a list of events", 0, MAX_EVENTS), "What the person does.", required=True),
        Field("until", _Since(), "To when time passes after the last event."),
        Field("session_gap", Duration(), "A pause longer than this ends a session. Default: 30m."),
        Field("time_zone", _Zone(), "The workspace's. Default: UTC."),
        Field("expect", ListOf(_EXPECTED, "a list of matches", 0, MAX_EVENTS), "The matches, in order.", required=True),
    ),
    _example,
)
_FILE: Final = Shape(
    "examples",
    (Field("examples", ListOf(_EXAMPLE, "a list of examples"), "The examples.", required=True),),
    lambda given, context: BAD if given.bad else given["examples"],
)


def parse_examples(file: str, data: bytes, *, known_actions: Collection[str]) -> list[Example]:
    """The examples of one file. Raises :class:`ListenerError` with every problem."""
    report = Report(file)
    context = ParseContext(report, known_actions)
    found = [_FILE.read(node, context) for node in documents(data, report, begins="examples:")]
    if problems := report.finished():
        raise ListenerError(problems)
    return [example for examples in found for example in examples]


def matches_of(listeners: Sequence[Listener], example: Example) -> list[Match]:
    """What the machine makes of an example's events."""
    machine = Machine(listeners, zone=named_zone(example.time_zone))
    return replayed(machine, example.events, gap_ms=example.session_gap_ms, final_ms=example.until_ms).matches


def failures(listeners: Sequence[Listener], example: Example) -> list[str]:
    """The differences between an example's matches and those expected, in words; empty where there are none."""
    found = matches_of(listeners, example)
    return list(_differences(example.expect, found))


def _differences(expect: Sequence[Expected], found: Sequence[Match]) -> Iterator[str]:
    for number in range(max(len(expect), len(found))):
        if number >= len(found):
            yield f"match {number + 1} did not come"
        elif number >= len(expect):
            yield f"a match that was not expected: {_told(found[number])}"
        else:
            yield from (f"match {number + 1}: {said}" for said in _unlike(expect[number], found[number]))


def _unlike(expected: Expected, match: Match) -> Iterator[str]:
    steps = {step: tuple(event.event_id for event in events) for step, events in match.steps.items()}
    if expected.listener is not None and expected.listener != match.listener:
        yield f"listener {match.listener}, not {expected.listener}"
    if expected.steps is not None and expected.steps != steps:
        yield f"steps {_steps_told(steps)}, not {_steps_told(expected.steps)}"
    if expected.events is not None and expected.events != match.events:
        yield f"events {', '.join(match.events)}, not {', '.join(expected.events)}"
    if expected.at_ms is not None and expected.at_ms != match.matched_at_ms:
        yield f"at {exact(match.matched_at_ms)}, not {exact(expected.at_ms)}"


def _told(match: Match) -> str:
    steps = {step: tuple(event.event_id for event in events) for step, events in match.steps.items()}
    return f"{match.listener} at {exact(match.matched_at_ms)} with {_steps_told(steps)}"


def _steps_told(steps: dict[str, tuple[str, ...]]) -> str:
    return "{" + ", ".join(f"{step}: [{', '.join(events)}]" for step, events in steps.items()) + "}"
