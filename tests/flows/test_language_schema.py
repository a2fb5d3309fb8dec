"""The published schema is the parser's own tables, and takes what the parser takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from contracts.actions import VOCABULARY
from contracts.errors import ListenerError
from flows.language.parse import parse_listeners
from flows.language.schema import listener_schema, schema_text

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for path in (ROOT / "listeners").glob("*.yaml") if not path.name.endswith(".test.yaml"))
VALIDATOR = Draft202012Validator(listener_schema())


def test_the_published_schema_is_up_to_date() -> None:
    assert (ROOT / "docs/listener.schema.json").read_text(encoding="utf-8") == schema_text(), (
        "run `segma listeners schema > docs/listener.schema.json`"
    )


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(listener_schema())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_example_is_valid(file: Path) -> None:
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        assert [error.message for error in VALIDATOR.iter_errors(document)] == []


STEP = {"action": "page_viewed"}
WRONG: dict[str, dict[str, Any]] = {
    "no sequence": {"listener": "x"},
    "an unknown field": {"listener": "x", "sequence": [STEP], "repet": "once"},
    "a name with capitals": {"listener": "X", "sequence": [STEP]},
    "a duration without a unit": {"listener": "x", "sequence": [STEP], "within": 30},
    "a step without an action": {"listener": "x", "sequence": [{"step": "a"}]},
    "two forms of a step": {"listener": "x", "sequence": [{**STEP, "any_of": ["searched"]}]},
    "times of 0": {"listener": "x", "sequence": [{**STEP, "times": 0}]},
    "times on a not": {"listener": "x", "sequence": [STEP, {"not": "searched", "times": 2, "for": "2m"}]},
    "an unknown operator": {"listener": "x", "sequence": [{**STEP, "where": {"a": {"atleast": 1}}}]},
    "a text that is to be a number": {"listener": "x", "sequence": [{**STEP, "where": {"a": {"at_least": "x"}}}]},
    "session without a unit": {"listener": "x", "sequence": [{**STEP, "session": {"duration": {"at_least": 3}}}]},
    "two verbs": {
        "listener": "x",
        "sequence": [STEP],
        "then": [{"tag": {"add": "a", "at": "b"}, "webhook": {"url": "https://a"}}],
    },
    "a move without from": {"listener": "x", "sequence": [STEP], "then": [{"move": {"to": "a", "at": "b"}}]},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_the_schema_refuses_the_parser_refuses(name: str) -> None:
    assert not VALIDATOR.is_valid(WRONG[name])
    with pytest.raises(ListenerError):
        parse_listeners([("x", yaml.safe_dump(WRONG[name]).encode())], known_actions=VOCABULARY)


def test_every_field_says_what_it_means() -> None:
    for name, definition in listener_schema()["$defs"].items():
        for field, schema in definition.get("properties", {}).items():
            assert schema["description"].endswith("."), f"{name}.{field}"
