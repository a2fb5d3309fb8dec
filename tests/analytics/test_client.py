"""clickhouse-connect, unchanged, against the embedded server: each line of the table in ``docs/analytics.md``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import clickhouse_connect.dbapi
import pandas
import pyarrow
import pytest
import sqlalchemy
from clickhouse_connect.driver.exceptions import DatabaseError, ProgrammingError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

from tests.analytics.embedded import Embedded

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "analytics.md"
TABLE = "CREATE TABLE {} (number UInt64, word String) ENGINE = MergeTree ORDER BY number"


@pytest.fixture
def client(embedded: Embedded, database: str) -> Iterator[Any]:
    made = embedded.client()
    made.command(f"CREATE DATABASE {database}")
    made.database = database
    try:
        yield made
    finally:
        made.close()
        # NOTE: by a session of its own: of a stream the server may be ending the last answer still.
        with embedded.client() as owner:
            owner.command(f"DROP DATABASE {database}")


Check = Callable[[Any, Embedded], None]
CHECKS: dict[str, Check] = {}


def feature(name: str) -> Callable[[Check], Check]:
    def noted(check: Check) -> Check:
        CHECKS[name] = check
        return check

    return noted


@feature("`query`, rows")
def _(client: Any, _embedded: Embedded) -> None:
    assert client.query("SELECT number, toString(number) FROM numbers(3)").result_rows == [(0, "0"), (1, "1"), (2, "2")]
    assert client.query("SELECT 1 WHERE 0").result_rows == []


@feature("`query`, server-side parameters")
def _(client: Any, _embedded: Embedded) -> None:
    nasty = "it's; DROP TABLE x --\n\t\\ \0 “é”"
    asked = client.query(
        "SELECT {s:String}, {n:Int64}, {l:Array(String)}", parameters={"s": nasty, "n": -5, "l": ["'"]}
    )
    assert asked.result_rows == [(nasty, -5, ["'"])]


@feature("`query`, client-side parameters")
def _(client: Any, _embedded: Embedded) -> None:
    assert client.query("SELECT %s, %s", parameters=("a'b", 7)).result_rows == [("a'b", 7)]


@feature("`query`, settings")
def _(client: Any, _embedded: Embedded) -> None:
    def threads(**options: Any) -> int:
        value: int = client.query("SELECT getSetting('max_threads')", **options).result_rows[0][0]
        return value

    before = threads()
    assert threads(settings={"max_threads": 1}) == 1
    assert threads() == before


@feature("`query`, large SQL in the body")
def _(client: Any, _embedded: Embedded) -> None:
    assert client.query(f"SELECT length('{'x' * 200_000}')").result_rows == [(200_000,)]


@feature("`query`, types")
def _(client: Any, _embedded: Embedded) -> None:
    sql = (
        "SELECT toDateTime64('2026-10-24 12:00:00.123', 3, 'UTC'), toDecimal64(1.25, 2), [1, NULL], map('a', 1), "
        "('x', 2), toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0'), toIPv4('10.0.0.1'), CAST('b', 'Enum(\\'b\\' = 1)'), "
        "toLowCardinality('low'), NULL, true, inf"
    )
    (row,) = client.query(sql).result_rows
    assert row[0] == datetime(2026, 10, 24, 12, 0, 0, 123_000)  # noqa: DTZ001 - the driver gives it so
    assert [str(row[1]), row[2], row[3], row[4]] == ["1.25", [1, None], {"a": 1}, ("x", 2)]
    assert [str(row[5]), str(row[6]), *row[7:]] == [
        "61f0c404-5cb3-11e7-907b-a6006ad3dba0",
        *("10.0.0.1", "b", "low", None, True, float("inf")),
    ]


@feature("`query_np`, `query_df`, `query_arrow`")
def _(client: Any, _embedded: Embedded) -> None:
    sql = "SELECT number, toString(number) AS word FROM numbers(100000)"
    assert len(client.query_np(sql)) == 100_000
    frame = client.query_df(sql)
    assert frame["number"].sum() == 4_999_950_000
    table = client.query_arrow(sql)
    assert isinstance(table, pyarrow.Table)
    assert (table.num_rows, table.column_names) == (100_000, ["number", "word"])


@feature("streams: rows, columns, blocks, frames, Arrow")
def _(client: Any, _embedded: Embedded) -> None:
    sql = "SELECT number FROM numbers(1000000)"
    with client.query_rows_stream(sql) as rows:
        assert sum(1 for _ in rows) == 1_000_000
    with client.query_column_block_stream(sql) as blocks:
        assert sum(len(block[0]) for block in blocks) == 1_000_000
    with client.query_df_stream(sql) as frames:
        assert sum(len(frame) for frame in frames) == 1_000_000
    with client.query_arrow_stream(sql) as batches:
        assert sum(batch.num_rows for batch in batches) == 1_000_000


@feature("a stream left early, and the next query")
def _(client: Any, _embedded: Embedded) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(100000000)") as blocks:
        next(iter(blocks))
    assert client.command("SELECT 1") == 1


@feature("an error in the middle of a stream")
def _(client: Any, _embedded: Embedded) -> None:
    sql = "SELECT throwIf(number = 2000000) FROM numbers(5000000) SETTINGS max_block_size = 10000"
    seen = list[int]()

    def read() -> None:
        with client.query_row_block_stream(sql) as blocks:
            seen.extend(len(block) for block in blocks)

    with pytest.raises(StreamFailureError, match="FUNCTION_THROW_IF"):
        read()
    assert sum(seen) <= 2_000_000


@feature("`raw_query`, `raw_stream` in any format")
def _(client: Any, _embedded: Embedded) -> None:
    assert client.raw_query("SELECT 1 AS x", fmt="JSONEachRow") == b'{"x":1}\n'
    assert client.raw_query("SELECT number FROM numbers(200000)", fmt="Parquet")[:4] == b"PAR1"
    json = client.raw_query("SELECT number FROM numbers(200000)", fmt="JSONCompact")
    assert json.count(b'"meta"') == 1
    assert sum(len(piece) for piece in client.raw_stream("SELECT number FROM numbers(10)", fmt="CSV")) == 20


@feature("`insert`, native blocks")
def _(client: Any, _embedded: Embedded) -> None:
    client.command(TABLE.format("native"))
    words = [[number, f"'{number};\n\n\\"] for number in range(150_000)]
    assert client.insert("native", words, column_names=["number", "word"]).written_rows == 150_000
    assert client.query("SELECT number, word FROM native ORDER BY number").result_rows == [tuple(row) for row in words]


@feature("`insert_df`, `insert_arrow`")
def _(client: Any, _embedded: Embedded) -> None:
    client.command(TABLE.format("frames"))
    client.insert_df("frames", pandas.DataFrame({"number": [1, 2], "word": ["a", "b"]}))
    client.insert_arrow("frames", pyarrow.table({"number": [3], "word": ["c"]}))
    assert client.query("SELECT * FROM frames ORDER BY number").result_rows == [(1, "a"), (2, "b"), (3, "c")]


@feature("`raw_insert`: bytes, a file, compressed")
def _(client: Any, _embedded: Embedded) -> None:
    client.command(TABLE.format("raw"))
    client.raw_insert(
        "raw", insert_block=b'{"number":1,"word":"a\\n\\n"}\n\n{"number":2,"word":"b"}', fmt="JSONEachRow"
    )
    client.raw_insert("raw", column_names=["number", "word"], insert_block=BytesIO(b"3,c\n4,d\n"), fmt="CSV")
    from lz4.frame import compress

    client.raw_insert("raw", insert_block=compress(b"5\te\n"), fmt="TSV", compression="lz4")
    rows = client.query("SELECT * FROM raw ORDER BY number").result_rows
    assert rows == [(1, "a\n\n"), (2, "b"), (3, "c"), (4, "d"), (5, "e")]


@feature("`command`: DDL, `INSERT … VALUES`, `INSERT … SELECT`, data")
def _(client: Any, _embedded: Embedded) -> None:
    client.command(TABLE.format("ddl"))
    client.command("INSERT INTO ddl VALUES (1, 'a;\n\nb'), (2, 'FORMAT Native')")
    client.command("INSERT INTO ddl SELECT number + 10, 'x FORMAT CSV' FROM numbers(2)")
    client.command("INSERT INTO ddl FORMAT CSV", data="3,c\n")
    client.command("ALTER TABLE ddl ADD COLUMN more UInt8 DEFAULT 7")
    assert client.command("SELECT sum(number), sum(more) FROM ddl") == ["27", "35"]
    assert client.query("SELECT word FROM ddl WHERE number = 1").result_rows == [("a;\n\nb",)]


@feature("insert tokens (`insert_deduplication_token`)")
def _(client: Any, _embedded: Embedded) -> None:
    client.command(f"{TABLE.format('tokens')} SETTINGS non_replicated_deduplication_window = 100")
    for token in ("a", "a", "b"):
        client.insert("tokens", [[1, "x"]], settings={"insert_deduplication_token": token})
    assert client.command("SELECT count() FROM tokens") == 2


@feature("compression: lz4, zstd, gzip, deflate, none")
def _(client: Any, embedded: Embedded) -> None:
    client.command(TABLE.format("packed"))
    for number, name in enumerate(("lz4", "zstd", "gzip", False)):
        with embedded.client(compress=name, database=client.database) as other:
            other.insert("packed", [[number, "x" * 1_000]] * 1_000)
            assert other.query("SELECT count() FROM packed").result_rows == [((number + 1) * 1_000,)]
            assert len(other.query("SELECT word FROM packed").result_rows) == (number + 1) * 1_000


@feature("sessions: temporary tables, `SET`, one question at a time")
def _(client: Any, embedded: Embedded) -> None:
    client.command("CREATE TEMPORARY TABLE mine (x UInt8)")
    client.command("INSERT INTO mine VALUES (3)")
    client.command("SET max_threads = 3")
    assert client.query("SELECT x, getSetting('max_threads') FROM mine").result_rows == [(3, 3)]
    with embedded.client() as other, pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        other.query("SELECT * FROM mine")
    with (
        embedded.client(session_id=client.get_client_setting("session_id")) as same,
        client.query_row_block_stream("SELECT number FROM numbers(30000000)") as blocks,
    ):
        next(iter(blocks))
        with pytest.raises(DatabaseError, match="373"):
            same.command("SELECT 1")


@feature("external data")
def _(client: Any, _embedded: Embedded) -> None:
    data = ExternalData(
        file_name="people.csv", data=b"1,ann\n2,ben\n", fmt="CSV", structure=["id UInt8", "name String"]
    )
    assert client.query("SELECT name FROM people WHERE id = 2", external_data=data).result_rows == [("ben",)]


@feature("errors with ClickHouse's codes")
def _(client: Any, _embedded: Embedded) -> None:
    wrong = {
        "SELECT * FROM nowhere": (60, "UNKNOWN_TABLE"),
        "SELEC 1 FRM": (62, "SYNTAX_ERROR"),
        "SELECT nothing FROM system.one": (47, "UNKNOWN_IDENTIFIER"),
        "SELECT {a:String}": (456, "UNKNOWN_QUERY_PARAMETER"),
        "SELECT throwIf(1)": (395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        "SELECT 1; SELECT 2": (62, "SYNTAX_ERROR"),
    }
    for sql, (code, name) in wrong.items():
        with pytest.raises(DatabaseError) as told:
            client.query(sql)
        assert (told.value.code, told.value.name) == (code, name), sql
    with pytest.raises(DatabaseError, match="UNKNOWN_SETTING"):
        client.command("SELECT 1", settings={}) and client.command("SET no_such_setting = 1")


@feature("progress and summary headers")
def _(client: Any, embedded: Embedded) -> None:
    answer = client.http.request(
        "POST",
        f"{embedded.url}/?send_progress_in_http_headers=1&wait_end_of_query=1",
        headers=client.headers,
        body=b"SELECT sum(sipHash64(number)) FROM numbers(30000000)",
    )
    progress = answer.headers.getlist("X-ClickHouse-Progress")
    assert progress
    assert all('"read_rows"' in each for each in progress)
    assert '"total_rows_to_read":"30000000"' in progress[-1]
    assert '"written_rows":"0"' in answer.headers["X-ClickHouse-Summary"]


@feature("`LIMIT 0` for the columns alone")
def _(client: Any, _embedded: Embedded) -> None:
    assert client.query("SELECT 1 AS a, 'x' AS b LIMIT 0").column_names == ("a", "b")


@feature("`ping`, `server_version`, `server_tz`")
def _(client: Any, _embedded: Embedded) -> None:
    assert client.ping()
    assert re.match(r"\d+\.\d+", client.server_version)
    assert client.server_tz is not None


@feature("DB-API")
def _(client: Any, embedded: Embedded) -> None:
    connection = clickhouse_connect.dbapi.connect(
        host="127.0.0.1", port=embedded.port, username="segma", password=embedded.passwords["segma"]
    )
    cursor = connection.cursor()
    cursor.execute("SELECT number FROM numbers(%(many)s)", {"many": 3})
    assert cursor.fetchall() == [(0,), (1,), (2,)]
    connection.close()


@feature("SQLAlchemy")
def _(client: Any, embedded: Embedded) -> None:
    address = f"clickhousedb://segma:{embedded.passwords['segma']}@127.0.0.1:{embedded.port}/{client.database}"
    client.command(TABLE.format("alchemy"))
    engine = sqlalchemy.create_engine(address)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("INSERT INTO alchemy VALUES (1, 'a')"))
        assert connection.execute(sqlalchemy.text("SELECT word FROM alchemy")).fetchall() == [("a",)]
        found = sqlalchemy.inspect(connection).get_columns("alchemy")
    assert [column["name"] for column in found] == ["number", "word"]
    frame = pandas.read_sql("SELECT number FROM alchemy", engine)
    assert list(frame["number"]) == [1]
    engine.dispose()


@feature("ids of queries, and `KILL QUERY` of one's own")
def _(client: Any, _embedded: Embedded) -> None:
    assert client.query("SELECT 1", settings={"query_id": "mine"}).query_id == "mine"
    assert client.command("KILL QUERY WHERE query_id = 'mine'") == ""


@feature("instants with a time zone")
def _(client: Any, _embedded: Embedded) -> None:
    at = "'2026-07-01 00:00:00'"
    sql = f"SELECT toDateTime({at}, 'Europe/Berlin'), toDateTime64({at}, 3, 'Asia/Tokyo')"
    (row,) = client.query(sql).result_rows
    assert [str(each) for each in row] == ["2026-07-01 00:00:00+02:00", "2026-07-01 00:00:00+09:00"]


@feature("not: `queryID()`")
def _(client: Any, _embedded: Embedded) -> None:
    assert client.query("SELECT queryID()", settings={"query_id": "mine"}).result_rows != [("mine",)]


@feature("not: roles")
def _(client: Any, _embedded: Embedded) -> None:
    with pytest.raises(DatabaseError, match="NOT_IMPLEMENTED"):
        client.query("SELECT 1", settings={"role": "reader"})


@feature("not: users and grants in SQL")
def _(client: Any, _embedded: Embedded) -> None:
    with pytest.raises(DatabaseError, match="ACCESS_DENIED"):
        client.command("CREATE USER ann IDENTIFIED BY 'x'")


@feature("binary parameters (SQL that is not UTF-8)")
def _(client: Any, _embedded: Embedded) -> None:
    assert client.command("SELECT hex($x$)", parameters={"$x$": b"a\xff"}) == "61FF"


@feature("not: Brotli")
def _(client: Any, embedded: Embedded) -> None:
    answer = client.http.request(
        "POST", embedded.url, headers={**client.headers, "Content-Encoding": "br"}, body=b"SELECT 1"
    )
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (501, "48")


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_the_feature(name: str, client: Any, embedded: Embedded) -> None:
    CHECKS[name](client, embedded)


def test_the_document_and_these_tests_name_the_same_features() -> None:
    text = DOCUMENT.read_text("utf-8")
    part = text.split("## clickhouse-connect", 1)[1].split("\n## ", 1)[0]
    documented = [row.split("|")[1].strip() for row in part.splitlines() if row.startswith("| ")]
    assert sorted(documented[1:]) == sorted(CHECKS)


def test_two_threads_cannot_share_one_session(client: Any) -> None:
    client._backend._active_session = client.get_client_setting("session_id")
    try:
        with pytest.raises(ProgrammingError, match="concurrent"):
            client.query("SELECT 1")
    finally:
        client._backend._active_session = None
