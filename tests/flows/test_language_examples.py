"""The listeners in ``listeners/``: each has a test that holds, a golden description, and nothing to lint."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.actions import VOCABULARY
from contracts.errors import ListenerError
from flows.language.describe import describe
from flows.language.files import listener_files
from flows.language.lint import lint
from flows.language.model import Listener
from flows.language.parse import parse_listeners
from flows.language.phrases import PHRASES, lasting, third
from flows.replay.examples import failures, parse_examples

ROOT = Path(__file__).resolve().parents[2]
FILES = listener_files(ROOT / "listeners")
GOLDEN = Path(__file__).parent / "golden/language"


def listeners_of(file: Path) -> list[Listener]:
    return parse_listeners([(file.name, file.read_bytes())], known_actions=VOCABULARY)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_listeners_own_examples_hold(file: Path) -> None:
    tests = file.with_name(file.stem + ".test.yaml")
    examples = parse_examples(tests.name, tests.read_bytes(), known_actions=VOCABULARY)
    assert any(example.expect for example in examples)
    for example in examples:
        assert failures(listeners_of(file), example) == [], example.name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_description_is_golden(file: Path) -> None:
    (listener,) = listeners_of(file)
    assert listener.name == file.stem
    assert describe(listener) == (GOLDEN / f"{file.stem}.txt").read_text(encoding="utf-8")


def test_a_description_of_everything_at_once_is_golden() -> None:
    (listener,) = parse_listeners(
        [("x.yaml", (GOLDEN / "everything.yaml").read_bytes())], known_actions={*VOCABULARY, "quiz_finished"}
    )
    assert describe(listener) == (GOLDEN / "everything.txt").read_text(encoding="utf-8")


def test_the_examples_have_nothing_to_lint() -> None:
    assert lint([listener for file in FILES for listener in listeners_of(file)]) == []


def test_every_action_has_a_phrase() -> None:
    assert set(PHRASES) == VOCABULARY | {"*"}


def test_phrases_are_conjugated() -> None:
    assert [third(phrase) for phrase in ("press a key", "buy it", "copy it", "do it", "have it", "reach it")] == [
        "presses a key", "buys it", "copies it", "does it", "has it", "reaches it",
    ]  # fmt: skip


def test_durations_are_said_in_their_largest_whole_unit() -> None:
    assert [lasting(each) for each in (250, 1_000, 90_000, 3_600_000, 7 * 86_400_000)] == [
        "250 milliseconds", "1 second", "90 seconds", "1 hour", "7 days",
    ]  # fmt: skip


HEAD = "examples:\n  - name: a\n"
EVENTS = HEAD + "    events: [{at: 0s, event: page_viewed}]\n"
PROBLEMS = {
    "cases: []": [
        't:1: cases: the unknown field "cases"; known here: examples',
        "t:1: examples: nothing; `examples` is needed",
    ],
    EVENTS: ["t:2: examples[1].expect: nothing; `expect` is needed"],
    HEAD + "    events: [{at: 0, event: page_viewed}]\n    expect: []": [
        "t:3: examples[1].events[1].at: the number 0; a time since the start: 0s, 250ms, 10s, 30m, 2h or 7d"
    ],
    HEAD + "    events: [{at: 0s, action: page_viewed}]\n    expect: []": [
        't:3: examples[1].events[1].action: the unknown field "action"; write `event`',
        "t:3: examples[1].events[1].event: nothing; `event` is needed",
    ],
    HEAD + "    events: [{at: 0s, event: page_vewed}, {at: 0s, event: '*'}]\n    expect: []": [
        't:3: examples[1].events[1].event: the unknown action "page_vewed"; did you mean "page_viewed"?',
        't:3: examples[1].events[2].event: the text "*"; an action, such as page_viewed',
    ],
    HEAD + "    events: [{at: 0s, event: page_viewed, with: [a]}]\n    expect: []": [
        "t:3: examples[1].events[1].with: a list; properties, such as {path: /shoes}"
    ],
    HEAD + "    events: [{at: 0s, event: page_viewed, with: {a: [no, {b: 1:30}]}}]\n    expect: []": [
        't:3: examples[1].events[1].with.a[1]: a bare no, which YAML takes for false; write "no" in quotes, or false',
        "t:3: examples[1].events[1].with.a[2].b: a bare 1:30, which YAML takes for a number to the base of 60; "
        'write "1:30" in quotes',
    ],
    EVENTS + "    expect: [{steps: [a]}]": [
        "t:4: examples[1].expect[1].steps: a list; steps and their events, such as {clicked: 1, looked: [2, 3]}"
    ],
    EVENTS + "    expect: [{steps: {a: {b: 1}}}]": [
        "t:4: examples[1].expect[1].steps.a: a mapping; the number or the id of an event, or a list of them"
    ],
    HEAD + "    events: [{at: 0s, event: searched, id: x}, {at: 1s, event: searched, id: x}]\n    expect: []": [
        't:3: examples[1].events: two events called "x"; an `id` of its own for each'
    ],
    EVENTS + "    expect: [{steps: {a: 2}}]": [
        't:4: examples[1].expect[1]: "2", an event that does not exist; the number or the id of an event'
    ],
}


@pytest.mark.parametrize("text", PROBLEMS)
def test_problems_of_example_files_are_exact(text: str) -> None:
    with pytest.raises(ListenerError) as caught:
        parse_examples("t", text.encode(), known_actions=VOCABULARY)
    assert [str(problem) for problem in caught.value.problems] == PROBLEMS[text]


def test_what_came_otherwise_is_said_in_words() -> None:
    (listener,) = parse_listeners(
        [("x", b"listener: x\nsequence: [{step: a, action: page_viewed}]")], known_actions=VOCABULARY
    )
    text = EVENTS + "    expect: [{listener: y, steps: {b: 1}, events: [1], at: 90s}, {at: 2h}]\n"
    text += "  - name: b\n    events: [{at: 1500ms, event: page_viewed}]\n    expect: []\n"
    first, second = parse_examples("t", text.encode(), known_actions=VOCABULARY)
    assert failures([listener], first) == [
        "match 1: listener x, not y",
        "match 1: steps {a: [1]}, not {b: [1]}",
        "match 1: at 0s, not 90s",
        "match 2 did not come",
    ]
    assert failures([listener], second) == ["a match that was not expected: x at 1500ms with {a: [1]}"]
