"""Answers in ArrowStream: block by block, and one stream for whoever reads them."""

from __future__ import annotations

from typing import Any

import pyarrow
import pytest
import requests

from tests.analytics.embedded import PATIENCE_S, Embedded

MANY = (
    "SELECT number, toString(number) AS s, [number] AS a, toDateTime64(number, 3, 'UTC') AS t, "
    "toLowCardinality(toString(number % 3)) AS l, if(number % 2 = 0, NULL, number) AS n FROM numbers(200000)"
)


@pytest.fixture(autouse=True)
def database_of_the_history(embedded: Embedded) -> None:
    embedded.history("segma").close()  # other tests of this server drop it, and an analyst asks there


def answer_of(embedded: Embedded, sql: str, user: str = "analyst", **more: str) -> requests.Response:
    login = (user, embedded.passwords[user])
    asked = {"default_format": "ArrowStream", **more}
    return requests.post(embedded.url, sql, params=asked, auth=login, timeout=PATIENCE_S)


def table_of(answer: requests.Response) -> Any:
    assert answer.ok, answer.text
    return pyarrow.ipc.open_stream(answer.content).read_all()


def test_many_blocks_are_one_stream(embedded: Embedded) -> None:
    answer = answer_of(embedded, f"{MANY} ORDER BY number")
    table = table_of(answer)
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert table.column("number").to_pylist() == list(range(200_000))
    assert table.column("l").to_pylist() == [str(number % 3) for number in range(200_000)]
    assert table.column("n").to_pylist()[:4] == [None, 1, None, 3]


def test_no_row_leaves_the_columns(embedded: Embedded) -> None:
    table = table_of(answer_of(embedded, f"{MANY} WHERE number > 200000"))
    assert (table.num_rows, table.column_names) == (0, ["number", "s", "a", "t", "l", "n"])
    assert table_of(answer_of(embedded, "SELECT {a:UInt8} AS x WHERE x = 6", param_a="5")).column_names == ["x"]


def test_dictionaries_come_as_one_of_the_whole_answer(embedded: Embedded) -> None:
    wanted = {"output_format_arrow_low_cardinality_as_dictionary": "1"}
    answer = answer_of(embedded, MANY, **wanted)
    (column,) = [table_of(answer).column("l")]
    assert len({tuple(chunk.dictionary.to_pylist()) for chunk in column.chunks}) == 1
    sql = f"{MANY} SETTINGS output_format_arrow_low_cardinality_as_dictionary = 1"
    by_statement = answer_of(embedded, sql, "segma")
    assert "Transfer-Encoding" not in by_statement.headers
    assert table_of(by_statement).column("l").to_pylist() == column.to_pylist()


def test_an_error_in_mid_stream_ends_no_stream(embedded: Embedded) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        answer_of(embedded, "SELECT number, throwIf(number = 700000) FROM numbers(1000000)")
