"""Which values an event may hold: every codec keeps what the rule lets in, and a refusal does not tell the value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.beacons import SentEvent, read_event
from contracts.codec import json_reader, msgpack_reader, to_json, to_msgpack
from contracts.errors import BadInput
from contracts.events import Event
from contracts.properties import MAX_EVENT_BYTES, MAX_KEY_CHARS, MAX_PROPERTIES_DEPTH, MAX_VALUES, check_properties
from contracts.reasons import Reason


def text_of(properties: str) -> bytes:
    """An event whose properties are this JSON text."""
    return f'{{"event_id": "e1", "action": "page_viewed", "occurred_at_ms": 1, "properties": {properties}}}'.encode()


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    return '{"a": ' + opening * levels + closing * levels + "}"


@pytest.mark.parametrize(
    "properties",
    [
        '{"order": 99999999999999999999}',
        '{"order": 18446744073709551616}',
        '{"order": -9223372036854775809}',
        '{"a": {"b": [1, {"c": 18446744073709551616}]}}',
        '{"a": ' + "9" * 310 + "}",
        '{"a": ' + "9" * 5_000 + "}",
        '{"a": 1e400}',
        '{"a": -1e400}',
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": "\\ud83d"}',
        '{"a": "\\ude00"}',
        '{"a": "\\ud83d\\ud83d"}',
        '{"\\ud83d": 1}',
        '{"\\u0000": 1}',
        '{"a": {"\\u0000": 1}}',
        json.dumps({"k" * (MAX_KEY_CHARS + 1): 1}),
        json.dumps({"a": list(range(MAX_VALUES))}),
        json.dumps({str(number): 1 for number in range(MAX_VALUES + 1)}),
        json.dumps({"a": "x" * MAX_EVENT_BYTES}),
        nested(MAX_PROPERTIES_DEPTH),
        '{"a": ' + '{"a":' * MAX_PROPERTIES_DEPTH + "1" + "}" * MAX_PROPERTIES_DEPTH + "}",
        "[]",
        "null",
    ],
)
def test_an_event_that_a_later_stage_could_not_keep_is_a_bad_event(properties: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_event(text_of(properties))
    assert caught.value.reason is Reason.BAD_EVENT
    assert "999" not in str(caught.value)


@pytest.mark.parametrize(
    "properties",
    [
        "{}",
        '{"a": 18446744073709551615, "b": -9223372036854775808, "c": 1.7976931348623157e308, "d": 5e-324, "e": -0.0}',
        '{"a": "\\ud83d\\ude00", "größe": "товар", "": "", "b.c": null, "d": [true, [], {}]}',
        '{"a": "\\u0000 is text"}',
        json.dumps({"k" * MAX_KEY_CHARS: 1}),
        json.dumps({"a": list(range(MAX_VALUES - 1))}),
        nested(MAX_PROPERTIES_DEPTH - 1),
    ],
)
def test_what_is_within_the_bounds_is_kept_as_it_came(properties: str) -> None:
    assert read_event(text_of(properties)).properties == json.loads(properties)


@pytest.mark.parametrize("name", ["event_id", "action"])
def test_a_lines_end_is_no_part_of_a_name(name: str) -> None:
    event = {"event_id": "e1", "action": "page_viewed", "occurred_at_ms": 1}
    with pytest.raises(BadInput):
        read_event(json.dumps({**event, name: f"{event[name]}\n"}).encode())


@pytest.mark.parametrize("value", [{"a": b"\x00"}, {"a": object()}, {1: 2}, {"a": "\ud800"}, {"\udfff": 1}])
def test_what_is_no_json_at_all_is_refused_too(value: Any) -> None:
    with pytest.raises(BadInput):
        check_properties(value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
INTEGERS = st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**19, 10**400])


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(max_size=8), VALUES | INTEGERS | st.floats(), max_size=5))
def test_what_the_rule_lets_in_every_codec_keeps(properties: dict[str, Any]) -> None:
    try:
        check_properties(properties)
    except BadInput:
        return
    sent = SentEvent("e1", "page_viewed", 1, properties=properties)
    assert read_event(to_json(sent)).properties == properties
    event = Event("shop", "s_1", "e1", "page_viewed", 1, properties=properties)
    assert msgpack_reader(Event)(to_msgpack(event)) == event
    assert json_reader(Event)(to_json(event)) == event
