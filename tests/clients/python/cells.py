"""Python's clients against the embedded ClickHouse, a cell of the table at a time. Run by :mod:`tests.clients.table`,
in an environment of its own: ``python cells.py CLIENT``. Prints one line of JSON a cell.

Each client is a class whose methods are the cells; a method that is not there is nothing that the client has.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

CELLS: Final = ("connect", "metadata", "types", "parameters", "insert", "stream", "cancel", "mid_stream")
GIVEN: Final[dict[str, Any]] = json.loads(os.environ["SEGMA_CELLS"])
"""``port``, ``passwords``, ``expected`` (the columns' values of each row as text), and the queries that are asked."""
PORT: Final = int(GIVEN["port"])
TEXT: Final = "it's \\ ä"


def told(value: Any) -> str:
    """A value as all clients tell it: instants as milliseconds, lists in brackets."""
    if value is None or value != value:
        return "null"
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "true" if value else "false"
    if isinstance(value, datetime) or hasattr(value, "timestamp"):
        whole = value if value.tzinfo else value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
        return str(round(whole.timestamp() * 1_000))
    if type(value).__name__ == "datetime64":
        return str(int(value.astype("datetime64[ms]").astype("int64")))
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}={told(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple) or type(value).__name__ in {"ndarray", "Series"}:
        if value and isinstance(value[0], tuple) and len(value[0]) == 2:
            return told(dict(value))
        return "[" + ",".join(told(each) for each in value) + "]"
    return str(value)


def check(found: object, wanted: object) -> None:
    """Raise where these differ."""
    if found != wanted:
        raise AssertionError(f"{str(found)[:300]} instead of {str(wanted)[:300]}")


def check_rows(rows: Iterable[Iterable[Any]]) -> None:
    """Raise where the rows of the table of types are others than those that were written."""
    check([[told(value) for value in row] for row in rows], GIVEN["expected"])


def check_fails(call: Callable[[], Any]) -> None:
    """Raise where a call gives an answer: the query ends with an error in its middle."""
    try:
        found = call()
    except Exception as error:
        if isinstance(error, AssertionError):
            raise
        return
    raise AssertionError(f"no error, but {str(found)[:100]}")


class Connect:
    """clickhouse-connect."""

    def __init__(self, user: str) -> None:
        import clickhouse_connect

        self.user = user
        self.client = clickhouse_connect.get_client(
            host="127.0.0.1", port=PORT, username=user, password=GIVEN["passwords"][user], database="segma"
        )

    def connect(self) -> None:
        check(self.client.query("SELECT 1").result_rows, [(1,)])

    def metadata(self) -> None:
        names = [name for name, *_ in self.client.query("DESCRIBE TABLE cell_types").result_rows]
        check(names, GIVEN["columns"])

    def types(self) -> None:
        check_rows(self.client.query(GIVEN["select"]).result_rows)

    def parameters(self) -> None:
        sql = "SELECT {number:UInt32} + 1, {text:String}"
        check(self.client.query(sql, parameters={"number": 41, "text": TEXT}).result_rows, [(42, TEXT)])

    def insert(self) -> None:
        self.client.insert("cell_inserts", [[number, TEXT] for number in range(1_000)], ["x", "s"])

    def stream(self) -> None:
        with self.client.query_row_block_stream(GIVEN["stream"]) as blocks:
            check(sum(row[0] for block in blocks for row in block), GIVEN["sum"])

    def cancel(self) -> None:
        """Leave a query that would go on for ever."""
        import clickhouse_connect

        impatient = clickhouse_connect.get_client(
            host="127.0.0.1",
            port=PORT,
            username=self.user,
            password=GIVEN["passwords"][self.user],
            database="segma",
            send_receive_timeout=5,
            query_retries=0,
        )
        check_fails(lambda: impatient.query(GIVEN["endless"]))

    def mid_stream(self) -> None:
        check_fails(lambda: self.client.query(GIVEN["broken"]))


class Pandas(Connect):
    """Data frames of pandas."""

    def types(self) -> None:
        frame = self.client.query_df(GIVEN["select"])
        check_rows([row[column] for column in frame.columns] for _, row in frame.astype(object).iterrows())

    def insert(self) -> None:
        import pandas

        self.client.insert_df("cell_inserts", pandas.DataFrame({"x": range(1_000), "s": [TEXT] * 1_000}))

    def stream(self) -> None:
        with self.client.query_df_stream(GIVEN["stream"]) as frames:
            check(sum(int(frame["number"].sum()) for frame in frames), GIVEN["sum"])

    def mid_stream(self) -> None:
        check_fails(lambda: self.client.query_df(GIVEN["broken"]))


class Arrow(Connect):
    """Arrow's tables and streams of batches."""

    def types(self) -> None:
        check_rows(_rows_of(self.client.query_arrow(GIVEN["select"], use_strings=True)))

    def insert(self) -> None:
        import pyarrow as pa

        table = pa.table({"x": pa.array(range(1_000), pa.uint32()), "s": [TEXT] * 1_000})
        self.client.insert_arrow("cell_inserts", table)

    def stream(self) -> None:
        with self.client.query_arrow_stream(GIVEN["stream"]) as batches:
            check(sum(sum(batch.column(0).to_pylist()) for batch in batches), GIVEN["sum"])

    def mid_stream(self) -> None:
        def all_of_it() -> int:
            with self.client.query_arrow_stream(GIVEN["broken"]) as batches:
                return sum(batch.num_rows for batch in batches)

        check_fails(all_of_it)


class DbApi:
    """clickhouse-connect's DB-API."""

    def __init__(self, user: str) -> None:
        from clickhouse_connect import dbapi

        password = GIVEN["passwords"][user]
        self.connection = dbapi.connect(host="127.0.0.1", port=PORT, username=user, password=password, database="segma")

    def _rows(self, sql: str, parameters: Any = None) -> Any:
        cursor = self.connection.cursor()
        cursor.execute(sql, parameters)
        return cursor.fetchall()

    def connect(self) -> None:
        check(list(map(tuple, self._rows("SELECT 1"))), [(1,)])

    def metadata(self) -> None:
        cursor = self.connection.cursor()
        cursor.execute("SELECT * FROM cell_types LIMIT 0")
        check([each[0] for each in cursor.description], GIVEN["columns"])

    def types(self) -> None:
        check_rows(self._rows(GIVEN["select"]))

    def parameters(self) -> None:
        sql = "SELECT %(number)s + 1, %(text)s"
        check(list(map(tuple, self._rows(sql, {"number": 41, "text": TEXT}))), [(42, TEXT)])

    def insert(self) -> None:
        rows = [(number, TEXT) for number in range(1_000)]
        self.connection.cursor().executemany("INSERT INTO cell_inserts (x, s) VALUES", rows)

    def stream(self) -> None:
        cursor = self.connection.cursor()
        cursor.execute(GIVEN["stream"])
        total = 0
        while rows := cursor.fetchmany(10_000):
            total += sum(row[0] for row in rows)
        check(total, GIVEN["sum"])

    def mid_stream(self) -> None:
        check_fails(lambda: self._rows(GIVEN["broken"]))


class SqlAlchemy:
    """SQLAlchemy, by clickhouse-connect's dialect."""

    def __init__(self, user: str) -> None:
        import sqlalchemy

        self.sa = sqlalchemy
        password = quote(GIVEN["passwords"][user], safe="")
        self.engine = sqlalchemy.create_engine(f"clickhousedb://{user}:{password}@127.0.0.1:{PORT}/segma")

    def _rows(self, sql: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(self.sa.text(sql), parameters or {})]

    def connect(self) -> None:
        check(self._rows("SELECT 1"), [(1,)])

    def metadata(self) -> None:
        inspector = self.sa.inspect(self.engine)
        check("cell_types" in inspector.get_table_names(), True)
        check([column["name"] for column in inspector.get_columns("cell_types")], GIVEN["columns"])

    def types(self) -> None:
        table = self.sa.Table("cell_types", self.sa.MetaData(), autoload_with=self.engine)
        with self.engine.connect() as connection:
            check_rows(connection.execute(self.sa.select(table).order_by(table.c.u8.desc())))

    def parameters(self) -> None:
        check(self._rows("SELECT :number + 1, :text", {"number": 41, "text": TEXT}), [(42, TEXT)])

    def insert(self) -> None:
        table = self.sa.Table("cell_inserts", self.sa.MetaData(), autoload_with=self.engine)
        with self.engine.begin() as connection:
            connection.execute(table.insert(), [{"x": number, "s": TEXT} for number in range(1_000)])

    def stream(self) -> None:
        with self.engine.connect() as connection:
            found = connection.execution_options(stream_results=True).execute(self.sa.text(GIVEN["stream"]))
            check(sum(row[0] for row in found), GIVEN["sum"])

    def mid_stream(self) -> None:
        check_fails(lambda: self._rows(GIVEN["broken"]))


class Ibis:
    """ibis."""

    def __init__(self, user: str) -> None:
        import ibis

        password = GIVEN["passwords"][user]
        self.ibis = ibis
        self.backend = ibis.clickhouse.connect(
            host="127.0.0.1", port=PORT, user=user, password=password, database="segma"
        )

    def connect(self) -> None:
        check(self.backend.raw_sql("SELECT 1").result_rows, [(1,)])

    def metadata(self) -> None:
        check("cell_types" in self.backend.list_tables(), True)
        check(list(self.backend.table("cell_types").schema()), GIVEN["columns"])

    def types(self) -> None:
        table = self.backend.table("cell_types")
        check_rows(_rows_of(table.order_by(table.u8.desc()).to_pyarrow()))

    def parameters(self) -> None:
        """Literals, and a table that comes with the question."""
        table = self.ibis.memtable({"number": [41], "text": [TEXT]})
        found = self.backend.to_pyarrow(table.mutate(number=table.number + 1)).to_pylist()
        check(found, [{"number": 42, "text": TEXT}])

    def insert(self) -> None:
        import pandas

        self.backend.insert("cell_inserts", pandas.DataFrame({"x": range(1_000), "s": [TEXT] * 1_000}))

    def stream(self) -> None:
        batches = self.backend.sql(GIVEN["stream"]).to_pyarrow_batches()
        check(sum(sum(batch.column(0).to_pylist()) for batch in batches), GIVEN["sum"])

    def mid_stream(self) -> None:
        check_fails(lambda: self.backend.sql(GIVEN["broken"]).to_pyarrow())


class Connectorx:
    """connectorx, into frames of polars."""

    def __init__(self, user: str) -> None:
        password = quote(GIVEN["passwords"][user], safe="")
        self.uri = f"clickhouse://{user}:{password}@127.0.0.1:{PORT}/segma"

    def _frame(self, sql: str) -> Any:
        import polars

        return polars.read_database_uri(sql, self.uri, engine="connectorx")

    def connect(self) -> None:
        check(self._frame("SELECT 1 AS one").rows(), [(1,)])

    def types(self) -> None:
        check_rows(self._frame(GIVEN["select"]).rows())

    def stream(self) -> None:
        check(int(self._frame(GIVEN["stream"])["number"].sum()), GIVEN["sum"])

    def mid_stream(self) -> None:
        check_fails(lambda: self._frame(GIVEN["broken"]))


class Dbt:
    """dbt, by dbt-clickhouse over HTTP."""

    def __init__(self, user: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        (self.folder / "models").mkdir()
        target = {"type": "clickhouse", "driver": "http", "host": "127.0.0.1", "port": PORT, "user": user}
        target |= {"password": GIVEN["passwords"][user], "schema": "segma", "threads": 1}
        profile = {"segma": {"target": "dev", "outputs": {"dev": target}}}
        project = {"name": "cells", "profile": "segma", "version": "1.0", "config-version": 2}
        (self.folder / "profiles.yml").write_text(json.dumps(profile))
        (self.folder / "dbt_project.yml").write_text(json.dumps(project))
        model = "{{ config(materialized='table') }} SELECT number AS x FROM numbers({{ var('rows') }})"
        (self.folder / "models" / "cell_model.sql").write_text(model)

    def _dbt(self, *words: str) -> str:
        command = [str(Path(sys.executable).parent / "dbt"), "--no-use-colors", *words, "--profiles-dir", "."]
        environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stdout[-1_000:] + done.stderr[-500:])
        return done.stdout

    def connect(self) -> None:
        self._dbt("debug", "--connection")

    def metadata(self) -> None:
        self._dbt("compile", "--vars", "rows: 5")

    def parameters(self) -> None:
        check(
            "4242" in self._dbt("show", "--inline", "SELECT {{ var('rows') }} + 1 AS x", "--vars", "rows: 4241"), True
        )

    def insert(self) -> None:
        self._dbt("run", "--vars", "rows: 1000")


class Curl:
    """curl."""

    def __init__(self, user: str) -> None:
        self.user = user

    def _curl(self, sql: str, *options: str, data: bytes = b"", **url: str) -> str:
        where = "&".join(f"{name}={quote(value)}" for name, value in {"database": "segma", "query": sql, **url}.items())
        command = ["curl", "-sS", "--fail-with-body", "--data-binary", "@-", "--config", "-", *options]
        config = f'user = "{self.user}:{GIVEN["passwords"][self.user]}"\n'
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            command[command.index("@-")] = f"@{file.name}"
            done = subprocess.run(
                [*command, f"http://127.0.0.1:{PORT}/?{where}"],
                input=config.encode(),
                capture_output=True,
                check=False,
            )
        if done.returncode:
            raise RuntimeError((done.stdout[-500:] + done.stderr[-500:]).decode("utf-8", "replace"))
        return done.stdout.decode()

    def connect(self) -> None:
        check(self._curl("SELECT 1"), "1\n")

    def metadata(self) -> None:
        check([line.split("\t")[0] for line in self._curl("DESCRIBE TABLE cell_types").splitlines()], GIVEN["columns"])

    def types(self) -> None:
        text = self._curl(f"{GIVEN['select']} FORMAT JSONCompactEachRow", output_format_json_quote_64bit_integers="0")
        check_rows([_instants(row) for row in map(json.loads, text.splitlines())])

    def parameters(self) -> None:
        text = TEXT.replace("\\", "\\\\")
        found = self._curl("SELECT {n:UInt32} + 1, {t:String} FORMAT JSONCompactEachRow", param_n="41", param_t=text)
        check(json.loads(found), [42, TEXT])

    def insert(self) -> None:
        data = "".join(f"{json.dumps({'x': number, 's': TEXT})}\n" for number in range(1_000)).encode()
        self._curl("INSERT INTO cell_inserts FORMAT JSONEachRow", data=data)

    def stream(self) -> None:
        check(
            sum(map(int, self._curl(GIVEN["stream"], "--compressed", enable_http_compression="1").split())),
            GIVEN["sum"],
        )

    def cancel(self) -> None:
        check_fails(lambda: self._curl(GIVEN["endless"], "--max-time", "1"))

    def mid_stream(self) -> None:
        check_fails(lambda: self._curl(GIVEN["broken"]))


def _rows_of(table: Any) -> Iterable[Iterable[Any]]:
    """The rows of an Arrow table; maps as dictionaries."""
    names = [field.name for field in table.schema if str(field.type).startswith("map")]
    for row in table.to_pylist():
        yield [dict(value) if name in names else value for name, value in row.items()]


def _instants(row: list[Any]) -> list[Any]:
    def read(value: Any) -> Any:
        if isinstance(value, list):
            return [read(each) for each in value]
        if isinstance(value, str) and len(value) == 23 and value[4] == "-":
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        return value

    return [read(value) for value in row]


CLIENTS: Final[dict[str, Callable[[str], object]]] = {
    "clickhouse-connect": Connect,
    "pandas": Pandas,
    "arrow": Arrow,
    "dbapi": DbApi,
    "sqlalchemy": SqlAlchemy,
    "ibis": Ibis,
    "connectorx": Connectorx,
    "dbt": Dbt,
    "curl": Curl,
}


def main() -> None:
    """Run the cells of one client, as the owner and as the analyst."""
    for user in ("segma", "analyst"):
        try:
            client, fault = CLIENTS[sys.argv[1]](user), ""
        except Exception as error:
            client, fault = None, f"{type(error).__name__}: {error}"
        for cell in CELLS:
            step = getattr(client, cell, None)
            if client is not None and step is None:
                continue
            try:
                if step is not None:
                    step()
                said = fault
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            print(json.dumps({"cell": cell, "user": user, "said": said[:500]}), flush=True)


if __name__ == "__main__":
    main()
