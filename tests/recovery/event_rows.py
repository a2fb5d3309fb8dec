"""The rows of events that the judge holds beside what people did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from contracts.codec import json_reader
from contracts.log import Record
from contracts.membership import IMPORT
from contracts.rows import EventRow, Row

_read_row = json_reader(Row)


def done_by_people(records: Iterable[Record]) -> Iterator[EventRow]:
    """The rows of events in some records, without what the import of the people tells of their lists."""
    for record in records:
        row = _read_row(record.value) if record.value else None
        if isinstance(row, EventRow) and row.event.properties.get("by") != IMPORT:
            yield row
