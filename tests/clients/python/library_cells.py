"""The clients that are Python's libraries. Each is a class whose methods are the cells."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from cell_checks import GIVEN, PORT, TEXT, check, check_fails, check_rows


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


def _rows_of(table: Any) -> Iterable[Iterable[Any]]:
    """The rows of an Arrow table; maps as dictionaries."""
    names = [field.name for field in table.schema if str(field.type).startswith("map")]
    for row in table.to_pylist():
        yield [dict(value) if name in names else value for name, value in row.items()]
