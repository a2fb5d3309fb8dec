"""The analyst's cage: allow lists, grants and the kernel's walls, each asked with harmless input of our own."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from analytics.clickhouse import ClickHouse
from analytics.embedded.cage import landlock
from analytics.embedded.cage.structure import read_structure, read_types
from analytics.embedded.engine import EngineError
from tests.analytics.embedded import Embedded

CANARY = "canary-7f3a9e"


class Walk:
    """Canaries on the disk and a port that nobody may call; asks as the analyst, and counts."""

    def __init__(self, embedded: Embedded) -> None:
        self.embedded = embedded
        self.files = [embedded.home / "data" / "secret.txt", embedded.home / "data" / "clickhouse" / "secret.txt"]
        for path in self.files:
            path.write_text(f"{CANARY}\n")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.calls = list[str]()
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()
        self.before = self._there()
        self._session = requests.Session()
        self._session.auth = ("analyst", embedded.passwords["analyst"])

    def _listen(self) -> None:
        while True:
            try:
                connection, address = self.listener.accept()
            except OSError:
                return
            self.calls.append(str(address))
            connection.close()

    def _there(self) -> set[str]:
        """Names outside of what the engine keeps for itself."""
        folders = (self.embedded.home, self.embedded.home / "data", self.embedded.home / "data" / "clickhouse")
        return {str(path) for folder in folders for path in folder.iterdir()}

    def ask(self, sql: str, **url: str) -> requests.Response:
        answer = self._session.post(self.embedded.url, data=sql, params=url, timeout=60)
        assert CANARY not in answer.text, sql
        assert self.embedded.passwords["segma"] not in answer.text, sql
        return answer

    def end(self) -> None:
        self.listener.close()
        assert self.calls == []
        assert self._there() == self.before
        for path in self.files:
            assert path.read_text() == f"{CANARY}\n"
            path.unlink()

    def arguments(self) -> list[str]:
        """What might lead somewhere: a file, an address, another database, a statement."""
        url = f"http://127.0.0.1:{self.port}/x"
        outside, inside = map(str, self.files)
        return [
            f"'{outside}'",
            f"'{inside}', 'LineAsString', 'x String'",
            f"'{url}', 'LineAsString'",
            f"'127.0.0.1:{self.port}', 'elsewhere', 'secrets', 'u', 'p'",
            "elsewhere.secrets",
            "'elsewhere', 'secrets'",
            "'SELECT * FROM elsewhere.secrets'",
        ]


@pytest.fixture(scope="module")
def walk(embedded: Embedded, story: ClickHouse) -> Iterator[Walk]:
    with embedded.client() as owner:
        owner.command("CREATE DATABASE elsewhere")
        owner.command("CREATE TABLE elsewhere.secrets (x String) ENGINE = Memory")
        owner.command(f"INSERT INTO elsewhere.secrets VALUES ('{CANARY}')")
        made = Walk(embedded)
        try:
            yield made
        finally:
            made.end()
            owner.command("DROP DATABASE elsewhere")


def _names(embedded: Embedded, sql: str) -> list[str]:
    with embedded.client() as owner:
        return [str(name) for (name,) in owner.query(sql).result_rows]


def _some(values: list[str], number: int) -> list[str]:
    """One of the values, another one each time; all of them where ``SEGMA_CAGE_WALK=all`` says so."""
    return values if os.environ.get("SEGMA_CAGE_WALK") == "all" else [values[number % len(values)]]


def test_no_function_reaches_anything(walk: Walk, capsys: pytest.CaptureFixture[str]) -> None:
    names = _names(walk.embedded, "SELECT name FROM system.functions ORDER BY name")
    tried = refused = 0
    for number, name in enumerate(names):
        for argument in _some(walk.arguments(), number):
            tried += 1
            refused += walk.ask(f"SELECT `{name}`({argument})", max_execution_time="2").status_code == 403
    assert len(names) > 1_500
    assert refused > 150
    with capsys.disabled():
        print(f"\n{len(names)} functions, {tried} statements, {refused} not allowed")


def test_no_table_function_reaches_anything(walk: Walk, capsys: pytest.CaptureFixture[str]) -> None:
    names = _names(walk.embedded, "SELECT name FROM system.table_functions ORDER BY name")
    forms = ("SELECT * FROM {}({}) LIMIT 1", "DESCRIBE TABLE {}({})", "EXPLAIN SELECT * FROM {}({})")
    more = (
        "SELECT 1 IN {}({})",
        "INSERT INTO FUNCTION {}({}) VALUES ('x')",
        "SELECT * FROM view(SELECT * FROM {}({}))",
    )
    tried = 0
    for number, name in enumerate(names):
        for place, form in enumerate((*forms, *more)):
            for argument in _some(walk.arguments(), number + place):
                tried += 1
                answer = walk.ask(form.format(name, argument), max_execution_time="2")
                allowed = name in {
                    "numbers",
                    "numbers_mt",
                    "generateSeries",
                    "generate_series",
                    "view",
                    "null",
                    "format",
                }
                assert allowed or answer.status_code == 403 or (answer.status_code == 400 and "SYNTAX" in answer.text)
    with capsys.disabled():
        print(f"\n{len(names)} table functions, {tried} statements")


def test_no_engine_is_to_be_had(walk: Walk, capsys: pytest.CaptureFixture[str]) -> None:
    names = _names(walk.embedded, "SELECT name FROM system.table_engines ORDER BY name")
    for name in names:
        for kind in ("TABLE", "TEMPORARY TABLE"):
            answer = walk.ask(f"CREATE {kind} segma.x (x String) ENGINE = {name}('{walk.files[0]}')")
            assert answer.headers["X-ClickHouse-Exception-Code"] in {"164", "62"}
    with capsys.disabled():
        print(f"\n{len(names)} engines, {2 * len(names)} statements")


def test_no_setting_leads_out(walk: Walk, capsys: pytest.CaptureFixture[str]) -> None:
    names = _names(walk.embedded, "SELECT name FROM system.settings ORDER BY name")
    taken = [name for name in names if walk.ask("SELECT 1", **{name: str(walk.files[0])}).ok]
    for name in names[:: 1 if os.environ.get("SEGMA_CAGE_WALK") == "all" else 10]:
        assert not walk.ask(f"SELECT 1 SETTINGS {name} = '{walk.files[0]}'").ok, name
    assert not [name for name in taken if any(word in name for word in ("path", "schema", "url", "template"))], taken
    with capsys.disabled():
        print(f"\n{len(names)} settings, {len(taken)} taken as a text: {taken}")


STATEMENTS = """
ALTER TABLE segma.event_rows DELETE WHERE 1; ALTER USER default IDENTIFIED BY 'x'; ANALYZE TABLE segma.event_rows
ATTACH TABLE segma.x FROM 'FILE' (x String) ENGINE = File(CSV); BACKUP DATABASE segma TO File('FILE')
CHECK TABLE segma.event_rows; CREATE DATABASE x ENGINE = Filesystem('FILE'); CREATE FUNCTION f AS x -> file(x)
CREATE DICTIONARY d (x String) PRIMARY KEY x; CREATE NAMED COLLECTION c AS a = 1; CREATE VIEW v AS SELECT 1
CREATE USER u; SHOW TABLES INTO OUTFILE 'FILE'; DESCRIBE segma.events INTO OUTFILE 'FILE'
EXISTS segma.events INTO OUTFILE 'FILE'; EXPLAIN SELECT 1 INTO OUTFILE 'FILE'
SHOW CREATE segma.events INTO OUTFILE 'FILE'
CREATE MATERIALIZED VIEW v ENGINE = Memory AS SELECT 1; DELETE FROM segma.event_rows WHERE 1; DETACH DATABASE segma
DESCRIBE FILESYSTEM CACHE 'x'; DROP DATABASE segma; EXCHANGE TABLES a AND b; EXECUTE AS default SELECT 1
EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:PORT', 'a', 'b', 'c', 'd') PARTITION BY tuple(); GRANT ALL ON *.* TO default
INSERT INTO segma.event_rows SELECT * FROM segma.event_rows; INSERT INTO segma.event_rows FROM INFILE 'FILE' FORMAT CSV
MOVE USER a TO b; OPTIMIZE TABLE segma.event_rows; PARALLEL WITH SELECT 1; RENAME TABLE a TO b; REVOKE ALL ON *.* FROM x
RESTORE DATABASE segma FROM File('FILE'); SELECT 1 INTO OUTFILE 'FILE'; SELECT 1 INTO OUTFILE 'FILE' APPEND FORMAT CSV
SET ROLE NONE; SET readonly = 0; SYSTEM RELOAD CONFIG; SYSTEM SHUTDOWN; SYSTEM FLUSH LOGS; TRUNCATE DATABASE segma
UNDROP TABLE x; UPDATE segma.event_rows SET site = 'x' WHERE 1; USE elsewhere; SHOW GRANTS; SHOW PROCESSLIST
WATCH segma.x; BEGIN TRANSACTION; COMMIT; ROLLBACK; SET TRANSACTION SNAPSHOT 1; SHOW CREATE TABLE elsewhere.secrets
SELECT * FROM elsewhere.secrets; SELECT 1 IN elsewhere.secrets; SELECT * FROM `elsewhere`.`secrets`
WITH x AS (SELECT * FROM elsewhere.secrets) SELECT * FROM x; SELECT (SELECT x FROM elsewhere.secrets LIMIT 1)
SELECT * FROM segma.events JOIN elsewhere.secrets ON 1; SELECT * FROM merge('elsewhere', 'secrets')
SELECT * FROM `FILE`; SELECT * FROM 'FILE'; SELECT * APPLY(x -> file(x)) FROM a
SELECT * APPLY file FROM (SELECT 'FILE')
SELECT * REPLACE (file(x) AS x) FROM (SELECT 'FILE' AS x); SELECT arrayMap(file, ['FILE']); SELECT FILE('FILE')
SELECT arrayMap(x -> `file`(x), ['FILE']); SELECT joinGet('elsewhere.secrets', 'x', 1); SELECT * FROM system.processes
SELECT dictGet('elsewhere.secrets', 'x', 1); SELECT hasColumnInTable('127.0.0.1:PORT', 'a', 'b', 'c')
SELECT * FROM system.disks; SELECT * FROM system.query_log; SELECT * FROM system.stack_trace
SELECT formatRow('Template', 1); SELECT 1 FORMAT Template; SELECT 1 FORMAT AvroConfluent; SELECT 1 FORMAT Protobuf
EXPLAIN AST optimize = 1 SELECT * FROM url('http://127.0.0.1:PORT/', CSV); DESCRIBE url('http://127.0.0.1:PORT/')
EXISTS TABLE elsewhere.secrets; SHOW TABLES FROM elsewhere; SHOW DATABASES INTO OUTFILE 'FILE'
SELECT `a
       Function count`, file('FILE') AS `b\\n`
"""


def test_no_statement_leads_out(walk: Walk, capsys: pytest.CaptureFixture[str]) -> None:
    texts = STATEMENTS.replace("FILE'", f"{walk.files[0]}'").replace("`FILE`", f"`{walk.files[0]}`")
    texts = texts.replace("PORT", str(walk.port)).replace("\n", ";").replace("`a;       Func", "`a\n       Func")
    statements = [text.strip() for text in texts.split(";") if text.strip()]
    for sql in statements:
        answer = walk.ask(sql)
        assert answer.headers["X-ClickHouse-Exception-Code"] in {"62", "164", "175", "497"}, (sql, answer.text)
    with capsys.disabled():
        print(f"\n{len(statements)} statements")


def test_another_database_is_refused_and_not_ignored(walk: Walk) -> None:
    for where in ("elsewhere", "nowhere"):
        answer = walk.ask("SELECT currentDatabase()", database=where)
        assert answer.headers["X-ClickHouse-Exception-Code"] == "497"
    assert walk.ask("SELECT currentDatabase()").text == "segma\n"
    assert walk.ask("SELECT count() > 0 FROM columns", database="information_schema").text == "1\n"
    assert walk.ask("SELECT * FROM one", database="system").text == "0\n"
    assert walk.ask("SELECT * FROM processes", database="system").status_code == 403


NAMES_OF_ANOTHER = """
SHOW DATABASES; SHOW COLUMNS FROM secrets FROM elsewhere; SHOW COLUMNS FROM elsewhere.secrets
SHOW INDEX FROM secrets IN elsewhere; SELECT * FROM system.tables; SELECT * FROM system.columns
SELECT * FROM system.databases; SELECT * FROM system.parts; SELECT * FROM system.parts_columns
SELECT word FROM system.completions; SELECT * FROM information_schema.tables
SELECT * FROM INFORMATION_SCHEMA.COLUMNS; SELECT * FROM information_schema.schemata
SELECT * FROM view(SELECT * FROM system.tables); WITH a AS (SELECT * FROM system.columns) SELECT * FROM a
SELECT a.* FROM system.tables AS a JOIN system.tables AS b USING (uuid)
SELECT arrayStringConcat(groupArray(create_table_query)) FROM system.tables
SELECT (SELECT any(name) FROM system.tables WHERE name LIKE 'ven%')
"""


def test_the_engines_own_tables_tell_nothing_of_another_database(walk: Walk) -> None:
    """Neither its tables' names, nor their columns and statements: by no form of a question."""
    with walk.embedded.client() as owner:
        owner.command("CREATE TABLE elsewhere.vendors (venom String) ENGINE = MergeTree ORDER BY venom")
        owner.command("INSERT INTO elsewhere.vendors VALUES ('x')")
        assert owner.query("SELECT count() FROM system.parts WHERE database = 'elsewhere'").result_rows == [(1,)]
    for sql in (each.strip() for line in NAMES_OF_ANOTHER.splitlines() for each in line.split(";") if each.strip()):
        told = walk.ask(sql)
        assert told.ok, (sql, told.text)
        assert not any(word in told.text for word in ("elsewhere", "vendors", "venom")), sql
    assert walk.ask("SHOW COLUMNS FROM event_rows LIKE 'site'").text.startswith("site\t")
    assert not walk.ask("SELECT name FROM system.databases", additional_table_filters="{}").ok
    assert not walk.ask("SELECT name FROM system.databases SETTINGS additional_table_filters = {}").ok


@pytest.mark.parametrize(
    "structure",
    [
        "x String DEFAULT 1",
        "x String MATERIALIZED file('a')",
        "x String) ENGINE = Memory AS SELECT 1 --",
        "x String, INDEX i x TYPE minmax",
        "x Strin",
        "x AggregateFunction(sum, Int8)",
        "x String CODEC(NONE)",
        "x String COMMENT 'a'",
        "x String; y String",
        "String",
        "x",
        "",
        ",",
        "x Array(Array(",
        "x Enum8('a' = file)",
        "x DateTime(now())",
        "x Tuple(" * 30 + "a String" + ")" * 30,
    ],
)
def test_a_structure_is_names_and_types(structure: str, walk: Walk) -> None:
    with pytest.raises(EngineError):
        read_structure(structure)
    url = {"query": "SELECT 1", "t_structure": structure, "t_format": "TSV"}
    auth = ("analyst", walk.embedded.passwords["analyst"])
    files = {"t": ("t", b"1\n")}
    answer = requests.post(walk.embedded.url, params=url, files=files, auth=auth, timeout=60)
    assert answer.headers["X-ClickHouse-Exception-Code"] == "36"


def test_structures_that_clients_send_are_taken(walk: Walk) -> None:
    texts = (
        "id UInt8, name String",
        "`a b` Nullable(DateTime64(3, 'UTC')), c LowCardinality(Nullable(String))",
        "x Map(String, Array(Tuple(a Int8, b Decimal(10, 2)))), e Enum8('a''b' = -1, 'c' = 2), f FixedString(3)",
    )
    assert [len(read_structure(text)) for text in texts] == [2, 2, 3]
    assert [column.name for column in read_types("UInt8, Array(String)")] == ["`_1`", "`_2`"]
    auth = ("analyst", walk.embedded.passwords["analyst"])
    url = {"query": "SELECT * FROM t ORDER BY ALL", "t_structure": texts[1], "t_format": "CSV"}
    files = {"t": ("t", b"2026-01-02 03:04:05,x\n\\N,\\N\n")}
    answer = requests.post(walk.embedded.url, params=url, files=files, auth=auth, timeout=60)
    assert answer.text == "2026-01-02 03:04:05.000\tx\n\\N\t\\N\n"


@pytest.mark.parametrize("fmt", ["Values", "Template", "Protobuf", "CapnProto", "Regexp", "AvroConfluent", "MySQLDump"])
def test_data_come_in_formats_that_run_nothing(fmt: str, walk: Walk) -> None:
    auth = ("analyst", walk.embedded.passwords["analyst"])
    url = {"query": "SELECT * FROM t", "t_structure": "x String", "t_format": fmt}
    files = {"t": ("t", f"(file('{walk.files[0]}'))".encode())}
    answer = requests.post(walk.embedded.url, params=url, files=files, auth=auth, timeout=60)
    assert (answer.status_code, CANARY in answer.text) == (403, False)


def test_the_owner_reaches_no_file_and_no_address_either(walk: Walk) -> None:
    """Beyond the lists: the engine's grants, and beyond these the kernel."""
    with walk.embedded.client() as owner:
        for source in (f"file('{walk.files[0]}', LineAsString)", f"url('http://127.0.0.1:{walk.port}/', CSV)"):
            assert CANARY not in _error(owner, f"SELECT * FROM {source}")
        if landlock.abi():
            assert CANARY not in _error(owner, f"SELECT file('{walk.files[0]}')")


def _error(client: Any, sql: str) -> str:
    try:
        return str(client.raw_query(sql))
    except Exception as error:
        return str(error)


def test_the_kernel_holds_the_process(embedded: Embedded) -> None:
    assert embedded.process is not None
    status = Path(f"/proc/{embedded.process.pid}/status").read_text()
    if not landlock.abi():
        assert "landlock_unavailable" in (embedded.home / "server.log").read_text()
        return
    assert "NoNewPrivs:\t1" in status


def test_the_directory_is_closed_to_others(embedded: Embedded) -> None:
    data = embedded.home / "data"
    assert (data / "clickhouse").stat().st_mode & 0o777 == 0o700
    for name in ("clickhouse.lock", "clickhouse-segma.password", "clickhouse-analyst.password"):
        assert (data / name).stat().st_mode & 0o777 == 0o600
