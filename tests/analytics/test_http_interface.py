"""What ClickHouse's own HTTP interface does, asked by hand: bodies, framings, sessions, ids, and clients that leave."""

from __future__ import annotations

import gzip
import io
import json
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lz4.frame
import pytest
import requests
from backports import zstd

from analytics.clickhouse import ClickHouse
from analytics.embedded.encodings import PIECE, Framer, Unframer
from analytics.embedded.engine import EngineError
from analytics.embedded.native import HEAD
from tests.analytics.embedded import PATIENCE_S, Embedded


class Door:
    """Requests by hand."""

    def __init__(self, embedded: Embedded, database: str) -> None:
        self.embedded, self.database = embedded, database

    def post(self, data: Any = b"", user: str = "segma", **more: Any) -> requests.Response:
        headers, method = more.pop("headers", {}), more.pop("method", "POST")
        files, stream = more.pop("files", None), more.pop("stream", False)
        where = {"database": self.database} if user == "segma" else {}
        return requests.request(
            method,
            self.embedded.url,
            data=data,
            params={**where, **more},
            headers=headers,
            files=files,
            stream=stream,
            auth=(user, self.embedded.passwords[user]),
            timeout=PATIENCE_S,
        )

    def text(self, sql: str | bytes, **more: Any) -> str:
        answer = self.post(sql, **more)
        assert answer.ok, answer.text
        return answer.text


@pytest.fixture
def door(embedded: Embedded, database: str) -> Iterator[Door]:
    made = Door(embedded, database)
    made.post(f"CREATE DATABASE {database}", database="default")
    made.text("CREATE TABLE t (x UInt32) ENGINE = MergeTree ORDER BY x")
    try:
        yield made
    finally:
        made.post(f"DROP DATABASE {database}", database="default")


def code(answer: requests.Response) -> str:
    return answer.headers.get("X-ClickHouse-Exception-Code", "")


@pytest.mark.parametrize(
    ("query", "body", "rows"),
    [
        ("INSERT INTO t VALUES", "(1), (2)", 2),
        ("INSERT INTO t", "VALUES (1)", 1),
        ("INSERT INTO t FORMAT CSV", "1\n2\n3\n", 3),
        ("INSERT INTO t FORMAT", "CSV\n7\n", 1),
        ("INSERT INTO t FORMAT JSONEachRow", '{"x": 1}\n{"x": 2}', 2),
        ("INSERT INTO t SELECT number FROM", "numbers(5)", 5),
        ("INSERT INTO t FORMAT CSV\n1", "2", 2),
        ("", "INSERT INTO t FORMAT TSV\n4\n", 1),
    ],
)
def test_the_parameter_and_the_body_are_one_query(query: str, body: str, rows: int, door: Door) -> None:
    answer = door.post(body, **({"query": query} if query else {}))
    assert answer.ok, answer.text
    assert door.text("SELECT count() FROM t") == f"{rows}\n"


def test_a_condition_in_the_body_is_heeded(door: Door) -> None:
    answer = door.post(" WHERE number > 7", query="SELECT count() FROM numbers(10)")
    assert answer.text == "2\n"
    assert door.post(b"", query="SELECT 3").text == "3\n"


PACKED = {
    "gzip": lambda data: gzip.compress(data, 1),
    "deflate": zlib.compress,
    "zstd": zstd.compress,
    "lz4": lz4.frame.compress,
}


@pytest.mark.parametrize("name", sorted(PACKED))
@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_a_cut_body_inserts_nothing(name: str, kept: float, door: Door) -> None:
    data = b"".join(b"%d\n" % number for number in range(400_000))
    whole = PACKED[name](data)
    cut = whole[: int(len(whole) * kept)] if kept < 0.99 else whole[:-1]
    answer = door.post(cut, query="INSERT INTO t FORMAT CSV", headers={"Content-Encoding": name})
    assert code(answer) == "271", answer.text
    assert door.text("SELECT count() FROM t") == "0\n"
    assert door.post(whole, query="INSERT INTO t FORMAT CSV", headers={"Content-Encoding": name}).ok
    assert door.text("SELECT count() FROM t") == "400000\n"


def test_bad_data_behind_many_good_blocks_insert_nothing(door: Door) -> None:
    good = b"abcd" * 4_000_000
    answer = door.post(good + b"x", query="INSERT INTO t FORMAT RowBinary")
    assert code(answer) == "33", answer.text
    assert door.text("SELECT count() FROM t") == "0\n"


@pytest.mark.parametrize(
    ("fmt", "said"),
    [
        ("TabSeparated", "text/tab-separated-values; charset=UTF-8"),
        ("CSV", "text/csv; charset=UTF-8; header=absent"),
        ("CSVWithNames", "text/csv; charset=UTF-8; header=present"),
        ("JSON", "application/json; charset=UTF-8"),
        ("JSONEachRow", "application/x-ndjson; charset=UTF-8"),
        ("Native", "application/octet-stream"),
        ("ArrowStream", "application/octet-stream"),
        ("Pretty", "text/plain; charset=UTF-8"),
    ],
)
def test_answers_say_what_they_are(fmt: str, said: str, door: Door) -> None:
    for answer in (door.post(f"SELECT 1 FORMAT {fmt}"), door.post("SELECT 1", default_format=fmt)):
        assert (answer.headers["Content-Type"], answer.headers["X-ClickHouse-Format"]) == (said, fmt)


def test_what_belongs_to_one_request_does_not_stay_in_its_session(door: Door) -> None:
    session = {"session_id": door.database}
    assert door.text("SELECT getSetting('max_result_rows')", max_result_rows="7", **session) == "7\n"
    assert door.text("SELECT getSetting('max_result_rows')", **session) == "0\n"
    assert door.text("SELECT currentDatabase()", **session, headers={"X-ClickHouse-Database": "system"}) == "system\n"
    assert door.text("SELECT currentDatabase()", **{**session, "database": ""}) == "default\n"
    door.text("SET max_result_rows = 9", **session)
    assert door.text("SELECT getSetting('max_result_rows')", **session, max_result_rows="7") == "7\n"
    assert door.text("SELECT getSetting('max_result_rows')", **session) == "9\n"
    url = {"query": "SELECT sum(a) FROM ext", "ext_structure": "a UInt8", "ext_format": "CSV", **session}
    for data in (b"1\n2\n", b"40\n"):
        assert door.post(None, files={"ext": ("ext", data)}, **url).text == f"{sum(map(int, data.split()))}\n"
    assert door.post("SELECT 1", **session, close_session="1").ok
    assert code(door.post("SELECT 1", **session, session_check="1")) == "372"


def test_an_analyst_in_a_session_lowers_limits_and_sends_tables(door: Door, story: ClickHouse) -> None:
    session = {"session_id": f"{door.database}-a"}
    for seconds in ("5", "9", "3"):
        sql = "SELECT getSetting('max_execution_time'), getSetting('readonly')"
        assert door.text(sql, user="analyst", max_execution_time=seconds, **session) == f"{seconds}\t1\n"
    url = {"query": "SELECT sum(a) FROM ext", "ext_structure": "a UInt8", "ext_format": "CSV"}
    for more in (session, session, {}):
        assert door.post(None, user="analyst", files={"ext": ("ext", b"1\n2\n")}, **url, **more).text == "3\n"


def test_native_blocks_are_framed_as_the_revision_asks(door: Door) -> None:
    sql = "SELECT toDateTime('2026-01-01 00:00:00', 'Europe/Berlin') AS a, toLowCardinality('x') AS b, [(1, 'y')] AS c"
    plain = door.post(f"{sql} FORMAT Native").content
    assert b"\x08DateTime\xf0" in plain
    head = door.post(f"{sql} FORMAT Native", client_protocol_version="54405").content
    assert head.startswith(HEAD + b"\x03\x01\x01a\x19DateTime('Europe/Berlin')")
    custom = door.post(f"{sql} FORMAT Native", client_protocol_version="54460").content
    assert custom.startswith(HEAD + b"\x03\x01\x01a\x19DateTime('Europe/Berlin')\x00")
    assert len(custom) == len(head) + 3
    json = door.post(
        'SELECT \'{"a": "2026-01-01T00:00:00+0000"}\'::JSON FORMAT Native', client_protocol_version="54405"
    )
    assert json.content.startswith(HEAD + b"\x01\x01")
    empty = door.post("SELECT 1 AS a WHERE 0 FORMAT Native", client_protocol_version="54405").content
    assert empty == b""


TYPES = (
    "number, toString(number), toNullable(number % 3 = 0 ? NULL : number), [number, 2], map('k', toString(number)), "
    "tuple(number, 'z' AS named), toLowCardinality(toString(number % 7)), [toLowCardinality(toNullable('v'))], "
    "toFixedString('abc', 3), toDecimal128(1.5, 3), toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0'), toIPv6('::1'), "
    "toDate32('2026-01-01'), now64(3), toDateTime(0, 'Asia/Tokyo'), CAST('a', 'Enum8(\\'a\\' = 1)'), true, "
    "repeat('ä', 300), (1.5, 2.5)::Point, [[(0., 1.)]]::Polygon, INTERVAL 1 DAY, [map('a', [(1, 'b')])], "
    "CAST([], 'Array(Array(LowCardinality(String)))'), CAST((1, 'x'), 'Tuple(a UInt8, `b c` LowCardinality(String))')"
)


@pytest.mark.parametrize("revision", ["54405", "54460"])
def test_every_type_goes_out_and_comes_in_at_every_revision(revision: str, door: Door) -> None:
    """What went out framed for a revision comes in framed so, and is the same table."""
    names = ", ".join(f"{part} AS c{place}" for place, part in enumerate(_parts(TYPES)))
    door.text(f"CREATE TABLE u ENGINE = Memory AS SELECT {names} FROM numbers(0)")
    framed = door.post(f"SELECT {names} FROM numbers(100) FORMAT Native", client_protocol_version=revision)
    assert framed.ok, framed.text
    answer = door.post(framed.content, query="INSERT INTO u FORMAT Native", client_protocol_version=revision)
    assert answer.ok, answer.text
    assert door.text("SELECT count(), sum(c0), any(c14) FROM u") == "100\t4950\t1970-01-01 09:00:00\n"
    cut = door.post(framed.content[:-5], query="INSERT INTO u FORMAT Native", client_protocol_version=revision)
    assert code(cut) == "33", cut.text
    assert door.text("SELECT count() FROM u") == "100\n"


def _parts(text: str) -> list[str]:
    parts, depth, quoted, begun = list[str](), 0, False, 0
    for place, letter in enumerate(text):
        quoted ^= letter == "'" and text[place - 1] != "\\"
        depth += 0 if quoted else (letter in "([") - (letter in ")]")
        if letter == "," and not depth and not quoted:
            parts.append(text[begun:place].strip())
            begun = place + 1
    return [*parts, text[begun:].strip()]


def test_a_type_that_cannot_be_framed_is_told_and_not_guessed(door: Door) -> None:
    answer = door.post("SELECT '{\"a\": 1}'::JSON AS a, 1 AS b FORMAT Native", client_protocol_version="54460")
    assert code(answer) == "48", answer.content


def test_a_format_in_a_literal_is_a_text(door: Door) -> None:
    for sql in ("SELECT ' FORMAT CSV'", "SELECT 'x FORMAT JSON SETTINGS a = 1'", "SELECT 1 AS ` FORMAT CSV`"):
        answer = door.post(sql)
        assert (answer.ok, answer.headers.get("X-ClickHouse-Format")) == (True, "TabSeparated"), sql
    assert door.text("SELECT ' FORMAT CSV' FORMAT JSONEachRow SETTINGS max_threads = 1").startswith("{")
    door.text("INSERT INTO t SELECT length(' FORMAT CSV')")
    assert door.text("SELECT x FROM t") == "11\n"


def test_blocks_in_clickhouses_own_compression_both_ways(door: Door) -> None:
    data = b"".join(b"%d\n" % number for number in range(300_000))
    packed = Framer().compress(data)
    query = {"query": "INSERT INTO t FORMAT CSV", "decompress": "1"}
    for bad, expected in ((packed[:-1], "271"), (packed[:40] + b"\0" + packed[41:], "40"), (b"x" * 100, "271")):
        assert code(door.post(bad, **query)) == expected
    assert door.text("SELECT count() FROM t") == "0\n"
    assert door.post(packed, **query).ok
    answer = door.post("SELECT x FROM t ORDER BY x FORMAT CSV", compress="1")
    assert b"".join(Unframer().pieces(answer.content)) == data
    both = door.post(Framer().compress(b"SELECT 5"), compress="1", decompress="1")
    assert b"".join(Unframer().pieces(both.content)) == b"5\n"
    coded = {"Accept-Encoding": "gzip"}
    twice = door.post("SELECT 5", compress="1", enable_http_compression="1", headers=coded)
    assert b"".join(Unframer().pieces(twice.content)) == b"5\n"


def test_frames_of_any_cut_are_read(door: Door) -> None:
    data = bytes(range(256)) * 9_000
    packed, reader = Framer().compress(data), Unframer()
    pieces = [piece for at in range(0, len(packed), 1_117) for piece in reader.pieces(packed[at : at + 1_117])]
    reader.finish()
    assert b"".join(pieces) == data
    assert len(pieces) == -(-len(data) // PIECE)
    assert list(reader.pieces(packed[:30])) == []
    with pytest.raises(EngineError, match="within a frame"):
        reader.finish()


def test_ids_are_the_clients_or_uuids_and_run_once(door: Door) -> None:
    assert len(door.post("SELECT 1").headers["X-ClickHouse-Query-Id"].split("-")) == 5
    assert door.post("SELECT 1", query_id="mine").headers["X-ClickHouse-Query-Id"] == "mine"
    sent = door.post("SELECT 1", headers={"X-ClickHouse-Query-Id": "theirs"})
    assert sent.headers["X-ClickHouse-Query-Id"] == "theirs"
    with endless(door, "twice") as ended:
        assert code(door.post("SELECT 1", query_id="twice")) == "216"
        assert door.post("KILL QUERY WHERE query_id = 'twice' ASYNC", user="analyst").text == ""
        assert door.post("KILL QUERY WHERE query_id = 'twice'").text.startswith("waiting\ttwice\tsegma")
        ended.wait(PATIENCE_S)
    assert door.post("SELECT 1", query_id="twice").ok


@contextmanager
def endless(door: Door, query_id: str, user: str = "segma") -> Iterator[threading.Event]:
    """A query without end under way; the event says that it has ended."""
    ended = threading.Event()
    sql = f"SELECT count(), '{query_id}' FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
    running = f"SELECT count() FROM system.processes WHERE query LIKE 'SELECT count(), \\'{query_id}\\'%'"

    def ask() -> None:
        answer = door.post(sql, user=user, query_id=query_id)
        assert code(answer) == "394"
        ended.set()

    thread = threading.Thread(target=ask)
    thread.start()
    awaited(lambda: door.text(running) == "1\n")
    try:
        yield ended
    finally:
        door.post(f"KILL QUERY WHERE query_id = '{query_id}'", user=user)
        thread.join(PATIENCE_S)
    assert ended.is_set()


def awaited(check: Any) -> None:
    until = time.monotonic() + PATIENCE_S
    while not check():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_an_analyst_ends_their_own_query(door: Door, story: ClickHouse) -> None:
    with endless(door, "own", "analyst") as ended:
        assert door.post("KILL QUERY WHERE query_id = 'own'", user="analyst").text.startswith("waiting")
        ended.wait(PATIENCE_S)
        assert ended.is_set()


def test_queries_whose_clients_left_lock_nobody_out(door: Door, story: ClickHouse) -> None:
    sql = "SELECT {} FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
    for number in range(9):
        with pytest.raises(requests.RequestException):
            requests.post(
                door.embedded.url,
                data=sql.format("number" if number % 2 else "count()"),
                auth=("analyst", door.embedded.passwords["analyst"]),
                timeout=(5, 0.3),
            )
    running = "SELECT count() FROM system.processes WHERE query LIKE '%1000000000000%' AND query NOT LIKE '%processes%'"
    awaited(lambda: door.text(running) == "0\n")
    assert door.text("SELECT 1", user="analyst") == "1\n"


def test_parameters_in_inserts_in_long_urls_and_in_forms(door: Door) -> None:
    door.text("INSERT INTO t VALUES ({a:UInt8}), ({b:UInt32})", param_a="5", param_b="7")
    assert door.text("SELECT sum(x) FROM t") == "12\n"
    door.text("WITH {a:UInt8} AS y INSERT INTO t (x) FORMAT CSV\n11\n12\n", param_a="5")
    assert door.text("SELECT sum(x) FROM t") == "35\n"
    door.post(b"\n\xff\xff\xff", query="INSERT INTO t FORMAT RowBinary", param_a="5")
    assert door.text("SELECT max(x), count() FROM t") == f"{0xFFFFFF0A}\t5\n"
    long = "x" * 100_000
    assert door.text("SELECT length({s:String})", param_s=long) == "100000\n"
    assert door.post(None, files={"query": (None, "SELECT {a:UInt8}"), "param_a": (None, "9")}).text == "9\n"


def test_bytes_that_are_no_utf_8_pass_as_they_are(door: Door) -> None:
    assert door.text(b"SELECT hex('a\xff'), hex('\xc3\xa4')") == "61FF\tC3A4\n"
    assert door.text("SELECT hex({s:String})", param_s=b"\xff\\t\xc3\xa4") == "FF09C3A4\n"
    assert door.post(query=b"SELECT hex('\xff'), hex('+')").text == "FF\t2B\n"
    assert door.text(b"SELECT hex('\xff')", user="analyst") == "FF\n"
    door.text(b"CREATE TABLE s (s String) ENGINE = Memory")
    door.text(b"INSERT INTO s VALUES ('\xfe')")
    door.text(b"INSERT INTO s FORMAT TSV\n\xfd", param_a="1")
    assert door.text("SELECT hex(groupConcat(s)) FROM (SELECT s FROM s ORDER BY s)") == "FDFE\n"
    refused = door.post(b"SELECT nothing_\xff FROM t")
    assert (code(refused), refused.status_code) == ("62", 400), refused.text
    assert "SYNTAX_ERROR" in refused.text


def test_the_summary_says_what_was_written(door: Door) -> None:
    for sql, rows in (("INSERT INTO t SELECT number FROM numbers(70)", 70), ("INSERT INTO t VALUES (1), (2)", 2)):
        assert json.loads(door.post(sql).headers["X-ClickHouse-Summary"])["written_rows"] == str(rows)


def test_statements_without_an_answer_name_no_format(door: Door) -> None:
    for sql in ("CREATE TABLE v (x UInt8) ENGINE = Memory", "SET max_threads = 1", "INSERT INTO t VALUES (1)"):
        answer = door.post(sql, enable_http_compression="1", headers={"Accept-Encoding": "gzip"})
        assert (answer.content, "X-ClickHouse-Format" in answer.headers) == (b"", False), sql
        assert "Content-Encoding" not in answer.headers
    empty = door.post("SELECT 1 WHERE 0", enable_http_compression="1", headers={"Accept-Encoding": "gzip"})
    assert (empty.content, "Content-Encoding" in empty.headers) == (b"", False)
    assert empty.headers["Keep-Alive"] == "timeout=30, max=9999"


def test_an_insert_from_input_is_told_to_be_unknown(door: Door) -> None:
    answer = door.post("1\n", query="INSERT INTO t SELECT x + 1 FROM input('x UInt32') FORMAT CSV")
    assert code(answer) == "48", answer.text
    assert io.StringIO(door.text("SELECT count() FROM t")).read() == "0\n"


def test_an_error_in_mid_stream_leaves_nothing_of_the_query_in_the_log(door: Door) -> None:
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        door.post("SELECT number, throwIf(number = 700000, 'canary-3f') FROM numbers(1000000) FORMAT CSV")
    assert door.text("SELECT 1") == "1\n"
    log = (door.embedded.home / "server.log").read_text()
    assert "AnswerCutShort" in log
    assert "canary-3f" not in log


def test_an_analysts_insert_is_refused_as_one(door: Door) -> None:
    for body in ("INSERT INTO t VALUES (1)", "INSERT INTO t FORMAT JSONEachRow", "INSERT INTO t SELECT 1"):
        assert code(door.post(body, user="analyst")) == "164", body


def test_what_go_sends_by_default(door: Door) -> None:
    """An analyst's compression by name, and blocks without heads whatever the revision."""
    framed = door.post("SELECT 1", user="analyst", network_compression_method="lz4", compress="1")
    assert (framed.status_code, b"".join(Unframer().pieces(framed.content))) == (200, b"1\n")
    block = b"\x01\x02\x01x\x06UInt32\x05\x00\x00\x00\x07\x00\x00\x00"
    answer = door.post(block, query="INSERT INTO t FORMAT Native", client_protocol_version="54460")
    assert answer.ok, answer.text
    assert door.text("SELECT sum(x), count() FROM t") == "12\t2\n"
