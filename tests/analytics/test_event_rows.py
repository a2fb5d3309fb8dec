"""Rows of events taken apart in bulk come to what each comes to by itself."""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping
from typing import Any

import pytest

from analytics.event_rows import LoadedEvent, LoadedEventRow, click_arrivals, copies, devices, property_columns
from analytics.loader import _READERS
from analytics.tables import TABLES, rows_of_all
from contracts.codec import Raw, replaced, to_json
from contracts.errors import BadRecord
from contracts.events import Event
from contracts.log import Record
from contracts.rows import EventRow
from contracts.tokens import anonymous_id
from contracts.topics import ROWS

EVENT = Event("demo", "ann", "e1", "page_viewed", 1_790_000_000_000, device="d1", partition=2, offset=7)


def read(properties: Mapping[str, Any] | bytes, **more: Any) -> LoadedEventRow:
    """The row as the loader reads it. ``properties``: a value, or the very bytes."""
    data = to_json(EventRow(replaced(EVENT, properties={"at": "here"}, **more)))
    told = properties if isinstance(properties, bytes) else to_json(properties)
    row: LoadedEventRow = _READERS[ROWS](data.replace(b'{"at":"here"}', told))
    return row


ODD: dict[str, dict[str, Any]] = {
    "nothing": {},
    "all": {"path": "/a", "campaign": "spring", "sku": "s", "category": "c", "value": 2.5, "else": [1, {"a": None}]},
    "a whole number": {"value": 7},
    "a large number": {"value": 10**25},
    "nothing told": {"path": None, "value": None},
    "other types": {"path": 5, "campaign": ["x"], "sku": True, "category": {"a": 1}, "value": "12"},
    "a truth": {"value": True, "path": "/b"},
    "signs": {"path": "\0é😀\u2028", "sku": 'a"b\\'},
    "brackets": {"path": '],[{"path":"/no"}', "value": -1},
}


def expected(properties: Mapping[str, Any]) -> tuple[Any, ...]:
    """What each column holds, said plainly."""
    words = [properties.get(name) for name in ("path", "campaign", "sku", "category")]
    value = properties.get("value")
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    return (*(word if isinstance(word, str) else "" for word in words), number)


@pytest.mark.parametrize("names", [[*ODD], *[[name] for name in ODD], ["all", "a whole number", "signs", "brackets"]])
def test_properties_have_their_columns_whatever_stands_beside_them(names: list[str]) -> None:
    found = property_columns([read(ODD[name]) for name in names])
    assert list(zip(*found[:-1], strict=True)) == [expected(ODD[name]) for name in names]
    assert [json.loads(text) for text in found[-1]] == [ODD[name] for name in names]


def test_properties_stay_the_bytes_that_the_flow_wrote() -> None:
    properties = [ODD[name] for name in ODD]
    assert property_columns([read(each) for each in properties])[-1] == list(map(to_json, properties))


@pytest.mark.parametrize("text", [b"5", b"null", b'["a"]', b'{"path":"\xff"}', b'{"else":"\xc3("}'])
def test_properties_that_are_no_object_of_text_are_refused_as_undecodable(text: bytes) -> None:
    with pytest.raises(BadRecord) as caught:
        property_columns([read({"path": "/a"}), read(text)])
    assert caught.value.reason == "undecodable"


def test_a_value_beyond_every_float_is_refused() -> None:
    with pytest.raises(OverflowError):
        property_columns([read({"value": 10**310})])


def test_the_loader_reads_every_field_of_an_event() -> None:
    row = read({"path": "/a"}, order=3, provisional=True, verdict="machine:x", site="shop", log_time_ms=9)
    assert isinstance(row, LoadedEventRow)
    assert set(LoadedEvent.__struct_fields__) == set(Event.__struct_fields__)
    assert set(LoadedEventRow.__struct_fields__) == set(EventRow.__struct_fields__)
    plain = replaced(EVENT, order=3, provisional=True, verdict="machine:x", site="shop", log_time_ms=9)
    names = [name for name in Event.__struct_fields__ if name != "properties"]
    assert [getattr(row.event, name) for name in names] == [getattr(plain, name) for name in names]
    assert isinstance(row.event.properties, Raw)


def test_devices_are_hashed_and_repetitions_numbered() -> None:
    rows = [read({}), read({}, device=""), replaced(read({}), reason="duplicate"), replaced(read({}), reason="late")]
    assert devices(rows) == ([anonymous_id("demo", "d1"), "", anonymous_id("demo", "d1"), anonymous_id("demo", "d1")],)
    ((first, second, again, late),) = copies(rows)
    assert (first, second, late) == (0, 0, 0)
    assert again % 2


def test_a_click_and_its_verdict_stand_beside_their_rows() -> None:
    click, verdict = read({}, provisional=True), read({}, verdict="machine:scanner")
    repeated = replaced(click, reason="duplicate")
    assert [len(click_arrivals(row)) for row in (read({}), click, verdict, repeated)] == [0, 1, 1, 0]
    records = [Record(ROWS, 0, number, 1, b"", b"") for number in range(3)]
    found = rows_of_all(LoadedEventRow, [read({}), click, verdict], records)
    assert [row.record.offset for row in found] == [0, 1, 2, 1, 2]
    assert {row.table for row in found} == {TABLES[EventRow].name}
    ((*_, arrival, judged),) = copies([row.value for row in found])
    assert arrival != judged
    assert {row.person for row in found} == {("demo", "ann")}


def test_reading_leaves_no_cycles_to_look_for() -> None:
    gc.collect()
    gc.disable()
    try:
        property_columns([read({"value": number}) for number in range(100)])
        assert gc.collect() == 0
    finally:
        gc.enable()
