"""One client of the door's fuzz: draws requests, sends them, and knows how many rows its table must have."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import random
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Final, NamedTuple
from urllib.parse import urlencode

import lz4.frame
from backports import zstd

from analytics.embedded.encodings import Framer, Unframer
from tests.analytics.embedded import Embedded

PATIENCE_S: Final = 30.0
PACKED: Final[dict[str, Callable[[bytes], bytes]]] = {
    "": lambda data: data,
    "identity": lambda data: data,
    "gzip": lambda data: gzip.compress(data, 1),
    "deflate": zlib.compress,
    # NOTE: with checksums: without one a flipped bit may say the same row twice, and nobody can tell.
    "zstd": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
    "lz4": lambda data: lz4.frame.compress(data, content_checksum=True),
}
UNPACKED: Final[dict[str, Callable[[bytes], bytes]]] = {
    "": lambda data: data,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": zstd.decompress,
    "lz4": lz4.frame.decompress,
}
WRITTEN: Final[dict[str, Callable[[int], bytes]]] = {
    "CSV": lambda value: b"%08d\n" % value,
    "TSV": lambda value: b"%08d\n" % value,
    "JSONEachRow": lambda value: b'{"x":%d}\n' % value,
    "RowBinary": lambda value: value.to_bytes(4, "little"),
    "Values": lambda value: b"(%d)," % value,
}
READ: Final = ("TabSeparated", "CSV", "JSONEachRow", "JSONCompactEachRow", "JSONCompact", "RowBinary")
HARMLESS: Final = ("max_threads", "max_block_size", "max_execution_time", "extremes", "wait_end_of_query", "stacktrace")
ODD: Final = ("", "0", "1", "-1", "x", "1e9", "18446744073709551616", "ä", "'", "\\", "\u202e", "%00", "a" * 3_000)
QUERIES: Final = (
    "SELECT count() FROM {table}",
    "SELECT sum(number) FROM numbers(1000)",
    "SELECT x FROM {table} ORDER BY x LIMIT 3 FORMAT JSON",
    "SELECT number, toString(number) FROM numbers(20000) FORMAT Native",
    "DESCRIBE TABLE {table}",
    "SHOW TABLES",
    "EXPLAIN SELECT 1",
    "SELECT throwIf(number = 70000) FROM numbers(100000) FORMAT CSV",
    "SET max_threads = 1",
    "KILL QUERY WHERE query_id = 'never'",
)


TRANSPORT: Final = (
    *("database", "session_id", "session_timeout", "session_check", "query_id", "default_format", "compress"),
    *(
        "decompress",
        "client_protocol_version",
        "enable_http_compression",
        "close_session",
        "role",
        "param_a",
        "quota_key",
    ),
)
HEADERS: Final = (
    *("Content-Encoding", "Accept-Encoding", "X-ClickHouse-Database", "X-ClickHouse-Format", "X-ClickHouse-Query-Id"),
    *("Content-Type", "Range", "Expect", "Cookie", "Referer", "X-ClickHouse-User", "If-None-Match", "Connection"),
)


class Answer(NamedTuple):
    """An answer, or none (status 0: the connection ended)."""

    status: int
    headers: dict[str, str]
    body: bytes


class Seen:
    """What all clients have seen."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def note(self, name: str) -> None:
        with self._lock:
            self.counts[name] += 1

    def fault(self, kind: str, what: str) -> None:
        with self._lock:
            self.counts[kind] += 1
            self.wrong.append(f"{kind}: {what}")


class Client:
    """One client with a table of its own; ``rows`` is the model: the sum of what has been written, and how many."""

    def __init__(self, server: Embedded, seed: int, number: int, seen: Seen) -> None:
        self._server, self._seed, self._number, self._seen = server, seed, number, seen
        self._random = random.Random()
        self._connection = self._connect()
        self.table, self.count, self.sum = f"fuzz.t{number}", 0, 0
        self.ask(f"CREATE TABLE {self.table} (x UInt32) ENGINE = MergeTree ORDER BY x")
        self._kinds: tuple[tuple[int, Callable[[], str]], ...] = (
            (5, self._insert),
            (5, self._count),
            (3, self._odd),
            (2, self._session),
            (2, self._analyst),
            (1, self._external),
            (1, self._never_ended),
            (1, self._left_early),
        )

    def run(self, tries: Iterable[int]) -> None:
        """Run the tries of these numbers."""
        weights = [weight for weight, _ in self._kinds]
        for number in tries:
            self._random.seed(f"{self._seed}/{self._number}/{number}")
            ((_, kind),) = self._random.choices(self._kinds, weights)
            began = time.monotonic()
            name = kind.__name__.strip("_")
            try:
                fault = kind()
            except TimeoutError:
                fault = "no answer"
                self._connection.close()
                self._connection = self._connect()
            took_s = time.monotonic() - began
            self._seen.note(f"tried {name}")
            if fault:
                self._seen.fault("wrong", f"client {self._number}, try {number}, {name}: {fault}")
            if took_s > PATIENCE_S:
                self._seen.fault("slow", f"client {self._number}, try {number}, {name}: {took_s:.0f} s")

    def close(self) -> None:
        """End the connection, and look a last time whether what is there is what must be."""
        if self._there() != (self.count, self.sum):
            self._seen.fault("wrong", f"at the end of {self.table}")
        self._connection.close()

    # ---- kinds of tries; each says what was wrong, or nothing

    def _insert(self) -> str:
        draw = self._random
        fmt = draw.choice(tuple(WRITTEN))
        values = [draw.randrange(10**6) for _ in range(draw.choice((0, 1, 2, 50, 3_000)))]
        data = b"".join(map(WRITTEN[fmt], values))
        head = f"INSERT INTO {self.table} FORMAT {fmt}" if fmt != "Values" else f"INSERT INTO {self.table} VALUES"
        harm = draw.choice(("", "", "", "cut", "doubled", "flipped"))
        if harm == "doubled":
            data, values = data * 2, values * 2
        encoding, framed = draw.choice(tuple(PACKED)), draw.random() < 0.2
        url: dict[str, str] = {"query": head} if draw.random() < 0.7 else {}
        body = data if url else f"{head}\n".encode() + data
        packed = PACKED[encoding](Framer().compress(body) if framed else body)
        if framed:
            url["decompress"] = "1"
        if harm in {"cut", "flipped"} and not packed:
            harm = ""
        if harm == "cut":
            packed = packed[: draw.randrange(len(packed))]
        elif harm == "flipped":
            place = draw.randrange(len(packed))
            packed = packed[:place] + bytes([packed[place] ^ 1 << draw.randrange(8)]) + packed[place + 1 :]
        answer = self._send("POST", {**url, **self._some_session()}, packed, {"Content-Encoding": encoding})
        return self._judge_insert(answer, values, exact=harm in {"", "doubled"})

    def _judge_insert(self, answer: Answer, values: list[int], *, exact: bool) -> str:
        """An insert is whole or not there; of a damaged one what the server says it wrote is what is there."""
        count, total = self._there()
        wrote = count - self.count
        before, self.count, before_sum, self.sum = self.count, count, self.sum, total
        if answer.status != 200:
            if wrote:
                return f"status {answer.status}, and yet {wrote} rows"
            if exact and values and not self._told(answer, {373}):
                return f"a good insert was refused: {answer.body[:200]!r}"
            return ""
        said = int(json.loads(answer.headers.get("x-clickhouse-summary", "{}")).get("written_rows", -1))
        if said != wrote:
            return f"it said {said} rows and wrote {wrote}"
        if exact and (wrote, total - before_sum) != (len(values), sum(values)):
            return f"{wrote} rows of {len(values)}, before {before}"
        return "more rows than were sent" if wrote > len(values) else ""

    def _count(self) -> str:
        draw = self._random
        fmt, encoding = draw.choice(READ), draw.choice(tuple(UNPACKED))
        sql, url = f"SELECT count() AS c, sum(x) AS s FROM {self.table}", dict[str, str]()
        where = draw.random() < 0.3
        if where:
            sql += " WHERE x < {bound:UInt64}"
            url["param_bound"] = str(2**32)
        if draw.random() < 0.5:
            url["default_format"] = fmt
        else:
            sql += f" FORMAT {fmt}"
        if encoding:
            url["enable_http_compression"] = "1"
        framed = draw.random() < 0.2
        if framed:
            url["compress"] = "1"
        for name in draw.sample(HARMLESS[:1] + HARMLESS[3:5], draw.randrange(3)):
            url[name] = "1"
        cut = draw.randrange(len(sql)) if draw.random() < 0.3 else 0
        method = draw.choice(("GET", "POST"))
        if method == "GET":
            url["query"], body = sql, b""
        elif cut and sql[cut - 1].isspace():
            url["query"], body = sql[:cut], sql[cut:].encode()
        else:
            body = sql.encode()
        answer = self._send(method, {**url, **self._some_session()}, body, {"Accept-Encoding": encoding})
        if answer.status != 200:
            return "" if self._told(answer, {373}) else f"{answer.status} {answer.body[:200]!r}"
        data = UNPACKED[answer.headers.get("content-encoding", "")](answer.body)
        if framed:
            data = b"".join(Unframer().pieces(data))
        found = read_pair(data, fmt)
        return "" if found == (self.count, self.sum) else f"{found}, and not {(self.count, self.sum)}"

    def _odd(self) -> str:
        draw = self._random
        method = draw.choice(("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"))
        sql = draw.choice(QUERIES).format(table=self.table)
        if draw.random() < 0.4:
            place = draw.randrange(len(sql))
            sql = draw.choice((sql[:place], sql[place:], sql * 2, f"{sql[:place]} {sql[place:]}", sql.upper()))
        url = {name: draw.choice(ODD) for name in draw.sample((*HARMLESS, *TRANSPORT), draw.randrange(4))}
        if draw.random() < 0.5:
            url["query"] = sql
        headers = {
            name: draw.choice((*ODD[:8], "gzip", "lz4", "Native", "chunked")) for name in draw.sample(HEADERS, 2)
        }
        headers = {name: value.encode("utf-8").decode("latin-1") for name, value in headers.items()}
        body = sql.encode() if draw.random() < 0.7 else draw.randbytes(draw.randrange(200))
        if sql.upper().lstrip().startswith(("SET", "KILL")):
            url.pop("session_id", None)
        answer = self._send(method, url, body if method not in {"GET", "HEAD"} else b"", headers)
        return f"status {answer.status}: {answer.body[:300]!r}" if answer.status == 500 else ""

    def _session(self) -> str:
        """A temporary table in a session holds what was put there, and is gone with it."""
        draw = self._random
        session = {"session_id": f"s{self._number}-{draw.randrange(10**9)}", "session_timeout": "5"}
        rows = draw.randrange(1, 500)
        made = self._send("POST", session, b"CREATE TEMPORARY TABLE own (x UInt32) ENGINE = Memory")
        put = self._send("POST", {**session, "query": "INSERT INTO own FORMAT CSV"}, b"7\n" * rows)
        ends = {**session, "close_session": "1"}
        asked = self._send("POST", {**ends, "database": "fuzz"}, b"SELECT count() FROM own")
        after = self._send("POST", session | {"session_check": "1"}, b"SELECT 1")
        if (made.status, put.status, asked.body, after.status) != (200, 200, b"%d\n" % rows, 404):
            return f"{rows} rows: {made.status} {put.status} {asked.body[:200]!r} {after.status}"
        return ""

    def _analyst(self) -> str:
        draw = self._random
        rows = draw.randrange(1, 100_000)
        sql = f"SELECT count(), sum(number) FROM numbers({rows})"
        if draw.random() < 0.3:
            sql = f"INSERT INTO {self.table} VALUES (1)"
        answer = self._send("POST", self._some_session(), sql.encode(), user="analyst")
        if sql.startswith("INSERT"):
            if answer.status == 200 or self._there()[0] != self.count:
                return "the analyst wrote"
        elif answer.status != 200:
            return "" if self._told(answer, {373, 202}) else f"{answer.status} {answer.body[:200]!r}"
        elif answer.body != b"%d\t%d\n" % (rows, rows * (rows - 1) // 2):
            return f"{answer.body[:100]!r} of {rows}"
        return ""

    def _external(self) -> str:
        draw = self._random
        rows, mark = draw.randrange(0, 300), "----fuzz"
        disposition = 'Content-Disposition: form-data; name="e"; filename="e"\r\n'
        part = f"--{mark}\r\n{disposition}Content-Type: application/octet-stream\r\n\r\n".encode()
        body = part + b"5\n" * rows + f"\r\n--{mark}--\r\n".encode()
        cut = draw.random() < 0.2
        if cut:
            body = body[: draw.randrange(len(body))]
        url = {"query": "SELECT count() FROM e", "e_structure": "x UInt32", "e_format": "CSV", **self._some_session()}
        headers = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        user = draw.choice(("segma", "analyst"))
        answer = self._send("POST", url, body, headers, user=user)
        if answer.status == 200 and answer.body != b"%d\n" % rows:
            return f"{answer.body[:100]!r} of {rows}, cut: {cut}"
        if answer.status != 200 and not cut and rows and not self._told(answer, {373, 202}):
            return f"{answer.status} {answer.body[:200]!r}"
        return ""

    def _never_ended(self) -> str:
        """A body that announces more than it brings inserts nothing."""
        draw = self._random
        data = b"7\n" * draw.randrange(1, 3_000)
        path = "/?" + urlencode({"query": f"INSERT INTO {self.table} FORMAT CSV"})
        chunked = draw.random() < 0.5
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._server.port}\r\nAuthorization: {self._basic('segma')}\r\n"
        )
        head += "Transfer-Encoding: chunked\r\n\r\n" if chunked else f"Content-Length: {len(data) + 5}\r\n\r\n"
        body = b"%x\r\n%b\r\n" % (len(data), data) if chunked else data
        with closing(self._connect()) as connection:
            connection.connect()
            connection.sock.sendall(head.encode() + body)
        count, total = self._there()
        if (count, total) != (self.count, self.sum):
            self.count, self.sum = count, total
            return "a body that never ended was inserted"
        return ""

    def _left_early(self) -> str:
        draw = self._random
        body = b"SELECT number FROM numbers(300000) FORMAT " + draw.choice((b"CSV", b"Native", b"JSON"))
        with closing(self._connect()) as connection:
            connection.request("POST", "/", body, {"Authorization": self._basic(draw.choice(("segma", "analyst")))})
            if draw.random() < 0.7:
                connection.getresponse().read(draw.randrange(1, 100_000))
        return ""

    # ---- how they ask

    def ask(self, sql: str) -> bytes:
        """The answer to a plain query. Raises AssertionError where it is an error."""
        answer = self._send("POST", {}, sql.encode())
        if not answer.status:
            # NOTE: the server ended a connection that had been idle for long, as this query came.
            answer = self._send("POST", {}, sql.encode())
        assert answer.status == 200, answer
        return answer.body

    def _there(self) -> tuple[int, int]:
        count, total = self.ask(f"SELECT count(), sum(x) FROM {self.table}").split()
        return int(count), int(total)

    def _told(self, answer: Answer, codes: set[int]) -> bool:
        return int(answer.headers.get("x-clickhouse-exception-code", "0")) in codes

    def _some_session(self) -> dict[str, str]:
        """Now and then a session; of a few names, which other clients have too: who comes second is refused (373)."""
        draw = self._random
        return {"session_id": f"shared{draw.randrange(4)}"} if draw.random() < 0.15 else {}

    def _basic(self, user: str) -> str:
        return "Basic " + base64.b64encode(f"{user}:{self._server.passwords[user]}".encode()).decode()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=PATIENCE_S)

    def _send(
        self, method: str, url: dict[str, str], body: bytes, headers: dict[str, str] | None = None, user: str = "segma"
    ) -> Answer:
        given = {"Authorization": self._basic(user), **{key: value for key, value in (headers or {}).items() if value}}
        path = "/?" + urlencode(url) if url else "/"
        for left in (1, 0):
            try:
                self._connection.request(method, path, body, given)
                response = self._connection.getresponse()
                answer = Answer(
                    response.status, {key.lower(): value for key, value in response.headers.items()}, response.read()
                )
                self._seen.note(f"answered {answer.status}")
                return answer
            except (http.client.HTTPException, ConnectionError, BrokenPipeError, ValueError):
                self._connection.close()
                self._connection = self._connect()
                if not left or method != "GET":
                    break
        self._seen.note("answered by an end")
        return Answer(0, {}, b"")


def read_pair(data: bytes, fmt: str) -> tuple[int, int]:
    """The count and the sum in an answer."""
    if fmt == "RowBinary":
        return int.from_bytes(data[:8], "little"), int.from_bytes(data[8:16], "little")
    if fmt.startswith("JSON"):
        found = json.loads(data)
        row = found["data"][0] if fmt == "JSONCompact" else found
        pair = (row["c"], row["s"]) if isinstance(row, dict) else row
        return int(pair[0]), int(pair[1])
    count, total = data.replace(b",", b"\t").split()
    return int(count), int(total)
