"""The reference says what the code says, and none of it is stale."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from contracts.codec import json_reader, to_json
from contracts.events import Event
from contracts.topics import fixed_topics
from tests.docs.picture import PICTURE, TEXT, drawn
from tests.docs.reference import PAGES, WRITERS, meters

SLOW = {"tables.md": pytest.mark.slow}
"""The pages that need something at work: ClickHouse."""


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW.get(name, ())) for name in WRITERS])
def test_a_page_is_what_the_code_says_today(name: str) -> None:
    stands = (PAGES / name).read_text(encoding="utf-8")
    assert stands == WRITERS[name](), "run: python -m tests.docs.reference"


def test_no_page_is_left_that_nothing_writes() -> None:
    # NOTE: the SDK's page is written and held by TypeScript's own tool: `npm run check` in `js-sdk`.
    assert {path.name for path in PAGES.iterdir()} == {*WRITERS, "sdk.md"}


def test_the_picture_of_the_architecture_is_what_its_text_says() -> None:
    assert PICTURE.read_text(encoding="utf-8") == drawn(TEXT), "run: python -m tests.docs.picture"


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


def test_the_topics_are_described_as_asyncapi() -> None:
    # The schema of AsyncAPI 3.0.0 as the package @asyncapi/specs 6.11.1 (Apache-2.0) has it.
    schema = json.loads((Path(__file__).parent / "asyncapi-3.0.0.schema.json").read_text(encoding="utf-8"))
    described = json.loads((PAGES / "asyncapi.json").read_text(encoding="utf-8"))
    validator = Draft7Validator(schema)
    assert [error.message for error in validator.iter_errors(described)] == []
    assert list(validator.iter_errors({**described, "channels": {"events": {"messages": 1}}}))
    assert {topic.name for topic in fixed_topics()} | {"moves", "backfill"} == set(described["channels"])
    assert [name for name, channel in described["channels"].items() if not channel["messages"]] == []
    assert described["channels"]["moves"]["address"] == "moves.{workspace}.{account}"
    coded = {name: each["contentType"] for name, each in described["components"]["messages"].items()}
    assert {name for name, kind in coded.items() if kind == "application/msgpack"} == {"BeaconRecord", "DeadLetter"}
