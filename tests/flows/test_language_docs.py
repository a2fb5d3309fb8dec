"""``docs/listeners.md`` is run: its listeners are read, its examples hold, its tables name every field."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contracts.actions import VOCABULARY
from flows.language.elements import STEP
from flows.language.files import load_actions
from flows.language.lint import Rule
from flows.language.model import Listener
from flows.language.operators import ALL
from flows.language.parse import LISTENER, parse_listeners
from flows.language.responses import VERBS
from flows.replay.examples import failures, parse_examples

PAGE = (Path(__file__).resolve().parents[2] / "docs/listeners.md").read_text(encoding="utf-8")
BLOCKS = [(found[1], found[2]) for found in re.finditer(r"```yaml (\w+)\n(.*?)```", PAGE, re.DOTALL)]
LISTENERS = [number for number, (kind, _) in enumerate(BLOCKS) if kind == "listener"]


def listeners_at(number: int) -> list[Listener]:
    return parse_listeners([("docs", BLOCKS[number][1].encode())], known_actions=VOCABULARY)


@pytest.mark.parametrize("number", LISTENERS)
def test_a_listener_of_the_page_does_what_its_examples_say(number: int) -> None:
    listeners = listeners_at(number)
    assert len(listeners) == 1
    if BLOCKS[number + 1][0] == "examples":
        for example in parse_examples("docs", BLOCKS[number + 1][1].encode(), known_actions=VOCABULARY):
            assert failures(listeners, example) == [], example.name


def test_nearly_every_listener_of_the_page_has_examples() -> None:
    assert sum(kind == "examples" for kind, _ in BLOCKS) >= len(LISTENERS) - 1


def test_the_page_names_every_field_operator_and_verb() -> None:
    names = {each.name for shape in (LISTENER, STEP) for each in shape.fields}
    documented = set(re.findall(r"`(\w+)`", PAGE))
    assert names - documented == set()
    assert {str(each.name) for each in ALL if each.operand} - documented == set()
    assert {verb.name for verb in VERBS} - set(re.findall(r"- (\w+): \{", PAGE)) == set()


def test_the_pages_listeners_use_every_field_and_operator() -> None:
    text = "".join(block for kind, block in BLOCKS if kind == "listener")
    used = set(re.findall(r"(\w+):", text))
    assert {each.name for shape in (LISTENER, STEP) for each in shape.fields} - used == set()
    assert {str(each.name) for each in ALL if each.operand} - used == set()


def test_the_page_names_every_rule_of_the_lint() -> None:
    assert [rule for rule in Rule if f"| `{rule}` |" not in PAGE] == []


def test_the_actions_file_of_the_page_is_read(tmp_path: Path) -> None:
    file = tmp_path / "actions.yaml"
    file.write_text(next(block for kind, block in BLOCKS if kind == "actions"), encoding="utf-8")
    assert load_actions(file) == {"quiz_finished", "store_located"}
