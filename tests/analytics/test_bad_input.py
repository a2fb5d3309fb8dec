"""What must not get in, must not get lost, and must be told clearly."""

from __future__ import annotations

import base64
import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import lz4.frame
import pytest
import requests
from backports import zstd
from clickhouse_connect.driver.exceptions import DatabaseError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from analytics.clickhouse import ClickHouse
from tests.analytics.embedded import Embedded
from tests.analytics.story import ask, at

NASTY = ("'", "''; DROP TABLE event_rows; --", "\\", '"', "`", "{x:String}", "%s", "$$", "\n\t\r\0", "/* */", "é😀")


@pytest.fixture(scope="module")
def analyst(embedded: Embedded, story: ClickHouse) -> Iterator[Any]:
    client = embedded.client("analyst", database="segma")
    try:
        yield client
    finally:
        client.close()


FORBIDDEN = (
    "INSERT INTO membership_rows (workspace) VALUES ('x')",
    "DROP TABLE event_rows",
    "TRUNCATE TABLE event_rows",
    "ALTER TABLE event_rows DELETE WHERE 1",
    "CREATE TABLE mine (x UInt8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE mine (x UInt8)",
    "OPTIMIZE TABLE event_rows FINAL",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT file('/etc/passwd')",
    "SELECT `\\x66ile`('/etc/passwd')",
    "SELECT /* a */ file /* b */ ('/etc/passwd')",
    "SELECT * APPLY file FROM (SELECT '/etc/passwd')",
    "SELECT arrayMap(file, ['/etc/passwd'])",
    "SELECT arrayMap(path -> \"file\"(path), ['/etc/passwd'])",
    "WITH file('/etc/passwd') AS x SELECT length(x)",
    "EXPLAIN SELECT file('/etc/passwd')",
    "SELECT 1 FROM system.one WHERE file('/etc/passwd') LIKE 'root%'",
    "SELECT * FROM Python(reader)",
    "SELECT * FROM s3('https://bucket.s3.amazonaws.com/x', 'CSV')",
    "SELECT * FROM remote('127.0.0.1:1', 'system.one')",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM executable('id', 'TSV', 'x String')",
    "INSERT INTO FUNCTION file('out.csv') SELECT 1",
    "SELECT 1 INTO OUTFILE 'out.csv'",
    "SET readonly = 0",
    "SET max_memory_usage = 0",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS max_memory_usage = 0",
    "KILL QUERY WHERE 1",
    "SYSTEM SHUTDOWN",
    "USE system",
    "SELECT 1; DROP TABLE event_rows",
    "BACKUP TABLE event_rows TO Disk('a', 'b')",
    "ATTACH TABLE x",
    "GRANT ALL ON *.* TO analyst",
)


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_an_analyst_cannot(sql: str, analyst: Any, embedded: Embedded) -> None:
    before = analyst.query("SELECT count() FROM event_rows").result_rows
    with pytest.raises(DatabaseError) as told:
        analyst.raw_query(sql)
    assert told.value.code in {36, 62, 164, 175, 452, 497}, told.value
    assert "root:" not in str(told.value)
    assert analyst.query("SELECT count() FROM event_rows").result_rows == before


def test_a_function_cannot_be_named_by_a_parameter(analyst: Any) -> None:
    with pytest.raises(DatabaseError, match="ACCESS_DENIED"):
        analyst.query("SELECT arrayMap({f:Identifier}, ['/etc/passwd'])", parameters={"f": "file"})


def test_an_analyst_cannot_lift_a_limit_by_the_url(analyst: Any, embedded: Embedded) -> None:
    for name, value, code in (
        *(("readonly", "0", "164"), ("max_memory_usage", "0", "452"), ("max_execution_time", "0", "452")),
        *(("max_execution_time", "601", "452"), ("max_threads", "no", "72"), ("format_schema", "a:B", "164")),
        *(("format_template_row", "a", "164"), ("output_format_schema", "a", "164"), ("allow_ddl", "1", "164")),
        *(("input_format_record_errors_file_path", "a", "164"), ("max_execution_time", "nan", "452")),
    ):
        answer = _post(embedded, "analyst", "SELECT 1", {name: value})
        assert answer.headers["X-ClickHouse-Exception-Code"] == code, name


def test_an_analyst_may_ask_everything_else(analyst: Any) -> None:
    assert analyst.command("SELECT count() FROM events WHERE properties LIKE '%file%'") == 0
    assert analyst.query("SHOW TABLES LIKE 'events'").result_rows == [("events",)]
    assert analyst.query("DESCRIBE TABLE events").result_rows[0][0] == "workspace"
    assert analyst.query("EXISTS TABLE events").result_rows == [(1,)]
    assert analyst.query("(SELECT 1) UNION ALL (SELECT 2)").row_count == 2
    assert "ReadFrom" in str(analyst.query("EXPLAIN SELECT count() FROM event_rows WHERE workspace = 'x'").result_rows)
    assert analyst.query_df("SELECT subscriber FROM moves ORDER BY subscriber")["subscriber"].tolist() == ["ann", "ben"]


def test_an_analyst_is_bound_in_memory(analyst: Any) -> None:
    with pytest.raises(DatabaseError, match="MEMORY_LIMIT_EXCEEDED"):
        analyst.query("SELECT length(groupArray(toString(number))) FROM numbers(50000000)")


def test_nobody_comes_in_without_the_password(embedded: Embedded) -> None:
    right = embedded.passwords["segma"]
    attempts: list[tuple[dict[str, str], tuple[str, str] | None]] = [
        ({}, None),
        ({}, ("segma", "wrong")),
        ({}, ("segma", "")),
        ({}, ("nobody", "")),
        ({}, ("nobody", right)),
        ({}, ("analyst", right)),
        ({"X-ClickHouse-User": "segma", "X-ClickHouse-Key": "wrong"}, None),
        ({"Authorization": "Basic !!!"}, None),
        ({"Authorization": "Basic " + base64.b64encode(b"\xff\xfe").decode()}, None),
        ({"Authorization": "Bearer x"}, None),
    ]
    for headers, auth in attempts:
        answer = requests.post(embedded.url, data="SELECT 1", headers=headers, auth=auth, timeout=30)
        assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "516")
    by_url = requests.post(f"{embedded.url}/?user=segma&password={right}", data="SELECT 1", timeout=30)
    assert by_url.status_code == 403
    assert right not in by_url.text
    headers = {"X-ClickHouse-User": "segma", "X-ClickHouse-Key": right}
    assert requests.post(embedded.url, data="SELECT 1", headers=headers, timeout=30).text == "1\n"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost:1", "[::2]"]
)
def test_a_foreign_host_is_refused(host: str, embedded: Embedded) -> None:
    answer = _post(embedded, "segma", "SELECT 1", headers={"Host": host.format(port=embedded.port)})
    assert answer.status_code == 403
    assert "Host" in answer.text


def test_a_get_cannot_write(embedded: Embedded) -> None:
    auth = ("segma", embedded.passwords["segma"])
    answer = requests.get(embedded.url, params={"query": "CREATE DATABASE by_get"}, auth=auth, timeout=30)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "164")


def test_two_hundred_connections_are_all_answered(embedded: Embedded) -> None:
    answers = list[tuple[int, str]]()

    def one(number: int) -> None:
        user = "segma" if number % 2 else "analyst"
        answer = _post(embedded, user, f"SELECT sum(number) + {number} FROM numbers(1000000)")
        answers.append((answer.status_code, answer.text))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} == {200}
    assert sorted(int(text) for _, text in answers) == [499_999_500_000 + number for number in range(200)]


def test_a_body_that_is_not_of_its_encoding(embedded: Embedded) -> None:
    for name in ("lz4", "zstd", "gzip", "deflate"):
        answer = _post(embedded, "segma", "SELECT 1", headers={"Content-Encoding": name})
        assert answer.headers["X-ClickHouse-Exception-Code"] == "271", name


def test_a_small_body_that_unpacks_to_a_gigabyte_is_refused_early(embedded: Embedded) -> None:
    zeros = b" " * 2**27
    for name, packed in (
        ("zstd", zstd.compress(zeros)),
        ("gzip", gzip.compress(zeros, 1)),
        ("lz4", lz4.frame.compress(zeros)),
    ):
        answer = _post(embedded, "analyst", packed, headers={"Content-Encoding": name})
        assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "62"), name
        assert answer.text.startswith("Code: 62. DB::Exception: Max query size exceeded"), answer.text


def test_a_cut_or_garbled_insert_is_refused_and_the_server_goes_on(
    embedded: Embedded, history: ClickHouse, database: str
) -> None:
    for data in (b"\x02\x81\xff\x03", b"INTERNAL EXCEPTION WHILE SERIALIZING", b"\xff" * 1_000):
        answer = _post(embedded, "segma", data, {"query": f"INSERT INTO {database}.event_rows FORMAT Native"})
        assert answer.status_code == 400, answer.text
    assert history.rows("SELECT count() FROM event_rows") == [(0,)]
    assert _post(embedded, "segma", "SELECT 1").text == "1\n"


def test_a_second_process_is_told_who_has_the_path(embedded: Embedded) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "analytics", "server"],
        env=embedded.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert embedded.process is not None
    assert done.returncode == 1
    assert f"pid {embedded.process.pid}" in done.stderr
    assert "Traceback" not in done.stderr


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=some.one_of(some.sampled_from(NASTY), some.text(max_size=40)))
def test_no_text_is_more_than_a_text_to_a_named_query(text: str, history: ClickHouse) -> None:
    for name in ("members", "why", "timeline", "funnel", "conversion"):
        given_texts = {"list": text, "person": text, "listener": text, "action": text}
        wanted = {each: value for each, value in given_texts.items() if each in _parameters(name)}
        rows = ask(history, name, now_ms=at(30), **wanted)
        assert rows == [] or name == "conversion"
    assert history.rows("SELECT count() FROM event_rows") == [(0,)]


def _parameters(name: str) -> set[str]:
    from analytics.named_queries import named_queries

    return {each.name for each in named_queries()[name].parameters}


def _post(
    embedded: Embedded,
    user: str,
    data: str | bytes,
    params: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> requests.Response:
    auth = (user, embedded.passwords[user])
    return requests.post(embedded.url, data=data, params=params, headers=headers, auth=auth, timeout=120)
