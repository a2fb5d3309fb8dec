"""The reference says what the code says, and none of it is stale."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from contracts.codec import json_reader, to_json
from contracts.events import Event
from tests.docs.reference import PAGES, WRITERS, meters


@pytest.mark.parametrize("name", WRITERS)
def test_a_page_is_what_the_code_says_today(name: str) -> None:
    stands = (PAGES / name).read_text(encoding="utf-8")
    assert stands == WRITERS[name](), "run: python -m tests.docs.reference"


def test_no_page_is_left_that_nothing_writes() -> None:
    assert {path.name for path in PAGES.iterdir()} == set(WRITERS)


def test_every_metric_says_what_it_is_and_in_which_unit() -> None:
    found = list(meters())
    assert len({name for name, *_ in found}) == len({(name, kind) for name, kind, *_ in found}) > 10
    assert [name for name, kind, _, _ in found if kind == "counter" and not name.endswith("_total")] == []
    assert [name for name, _, _, text in found if len(text) < 5] == []


def test_a_record_of_the_log_fits_the_schema() -> None:
    schema = json.loads((PAGES / "records.json").read_text(encoding="utf-8"))
    validator = Draft202012Validator({"$ref": "#/$defs/Event", "$defs": schema["$defs"]})
    event = Event("demo", "s1", "e1", "page_viewed", 1_790_000_000_000, 3, properties={"path": "/"})
    written = to_json(event)
    assert json_reader(Event)(written) == event
    assert list(validator.iter_errors(json.loads(written))) == []
    assert list(validator.iter_errors({**json.loads(written), "occurred_at_ms": "now"}))
