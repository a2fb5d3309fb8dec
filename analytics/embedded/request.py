"""One HTTP request to the embedded ClickHouse, as checked values."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from analytics.config import ANALYST
from analytics.embedded.cage.structure import Column, read_structure, read_types
from analytics.embedded.engine import engine_error, text_of

LOCAL_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})

MAX_QUERY_ID: Final = 200

TRANSPORT: Final = frozenset(
    {
        "query",
        "database",
        "default_format",
        "session_id",
        "session_timeout",
        "session_check",
        "query_id",
        "quota_key",
        "buffer_size",
        "wait_end_of_query",
        "client_protocol_version",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "enable_http_compression",
        "http_zlib_compression_level",
        "cancel_http_readonly_queries_on_client_close",
        "stacktrace",
        "compress",
        "decompress",
        "close_session",
    }
)
"""Parameters that are about the request, not settings of the engine."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORMAT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_EXTERNAL = re.compile(r"(\w+)_(format|structure|types)")


@dataclass(frozen=True, slots=True)
class ExternalTable:
    """A table that came with the query."""

    name: str
    columns: tuple[Column, ...]
    format: str
    data: bytes


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """What was query, but for the body."""

    user: str
    sql: str
    database: str = ""
    format: str = "TabSeparated"
    params: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    session: str = ""
    session_timeout_s: int = 60
    session_check: bool = False
    close_session: bool = False
    query_id: str = ""
    wait_end: bool = False
    progress: bool = False
    framed: bool = False
    """The answer in ClickHouse's compressed format."""
    framed_body: bool = False
    """The body likewise."""
    revision: int = 0
    """Of the client's protocol: how blocks of the format Native are framed."""
    encoding_wanted: bool = False
    readonly: bool = False
    externals: tuple[ExternalTable, ...] = ()


def url_fields(query_string: bytes) -> list[tuple[str, str]]:
    """Return a URL's fields. Values may be any bytes, as SQL's literals; :func:`raw` gives them back."""
    pairs = [part.partition(b"=") for part in query_string.replace(b"+", b" ").split(b"&") if part]
    return [(text_of(unquote_to_bytes(name)), text_of(unquote_to_bytes(value))) for name, _, value in pairs]


def check_host(host: str, port: int) -> None:
    """A page of a foreign site that resolves to loopback may not ask (DNS rebinding)."""
    name, _, number = host.rpartition(":") if ":" in host.rpartition("]")[2] else (host, "", "")
    if name.lower() not in LOCAL_HOSTS or number not in {"", str(port)}:
        raise engine_error(497, "This Host is not served here: use 127.0.0.1 or localhost", "ACCESS_DENIED")


def user_of(headers: Mapping[str, str], url: Mapping[str, str], passwords: Mapping[str, str]) -> str:
    """Who asks: by Basic authorization or ClickHouse's own headers; wrong or absent: an error of 516."""
    if "password" in url or "user" in url:
        raise _no_entry("name and password belong into the headers: a URL ends in logs")
    user, password = headers.get("x-clickhouse-user", ""), headers.get("x-clickhouse-key", "")
    scheme, _, coded = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(coded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise _no_entry("the authorization does not decode") from None
    expected = passwords.get(user, "")
    if not hmac.compare_digest(password.encode(), expected.encode()) or not expected:
        raise _no_entry("the user does not exist or the password is wrong")
    return user


def read_request(
    user: str, method: str, url: Iterable[tuple[str, str]], headers: Mapping[str, str], form: Mapping[str, str]
) -> QueryRequest:
    """Check the URL's (and a form's) fields. Raises :class:`EngineError`."""
    fields = {**dict(url), **form}
    if fields.pop("role", ""):
        raise engine_error(48, "`role` is not spoken by the embedded server", "NOT_IMPLEMENTED")
    externals = {name: value for name, value in fields.items() if _EXTERNAL.fullmatch(name) and value}
    params = {name.removeprefix("param_"): value for name, value in fields.items() if name.startswith("param_")}
    settings = {
        name: value
        for name, value in fields.items()
        if name not in TRANSPORT and not name.startswith("param_") and not _is_external(name, externals, headers)
    }
    fmt = headers.get("x-clickhouse-format") or fields.get("default_format") or "TabSeparated"
    if not _FORMAT_NAME.fullmatch(fmt):
        raise engine_error(73, f"Unknown format {fmt[:40]!r}", "UNKNOWN_FORMAT")
    return QueryRequest(
        user=user,
        sql=fields.get("query", ""),
        database=headers.get("x-clickhouse-database", "") or fields.get("database", ""),
        format=fmt,
        params=params,
        settings=settings,
        session=fields.get("session_id", "")[:200],
        session_timeout_s=_whole(fields, "session_timeout", 60, most=3_600),
        session_check=fields.get("session_check", "") == "1",
        close_session=fields.get("close_session", "") == "1",
        query_id=_query_id(fields.get("query_id", "") or headers.get("x-clickhouse-query-id", "")),
        wait_end=fields.get("wait_end_of_query", "") == "1",
        progress=fields.get("send_progress_in_http_headers", "") == "1",
        framed=fields.get("compress", "") == "1",
        framed_body=fields.get("decompress", "") == "1",
        revision=_whole(fields, "client_protocol_version", 0, most=10**9),
        encoding_wanted=fields.get("enable_http_compression", "") == "1",
        readonly=user == ANALYST or method in {"GET", "HEAD"},
    )


def external_tables(files: Mapping[str, bytes], url: Mapping[str, str]) -> tuple[ExternalTable, ...]:
    """The tables that came as files of a form, with their ``NAME_structure`` (or ``_types``) and ``NAME_format``."""
    found = []
    for name, data in files.items():
        structure, types = url.get(f"{name}_structure", ""), url.get(f"{name}_types", "")
        if not _NAME.fullmatch(name) or not (structure or types):
            raise engine_error(36, f"The external table {name[:40]!r} has no structure", "BAD_ARGUMENTS")
        columns = read_structure(structure) if structure else read_types(types)
        found.append(ExternalTable(name, columns, url.get(f"{name}_format", "TabSeparated"), data))
    return tuple(found)


def _query_id(text: str) -> str:
    if len(text) > MAX_QUERY_ID or not (text.isascii() and text.isprintable()):
        raise engine_error(36, f"`query_id` is up to {MAX_QUERY_ID} printable ASCII characters", "BAD_ARGUMENTS")
    return text


def _is_external(name: str, externals: Mapping[str, str], headers: Mapping[str, str]) -> bool:
    return name in externals and headers.get("content-type", "").startswith("multipart/")


def _whole(fields: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    text = fields.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) > most:
        raise engine_error(36, f"`{name}` is a whole number up to {most}", "BAD_ARGUMENTS")
    return int(text)


def _no_entry(why: str) -> Exception:
    return engine_error(516, f"Authentication failed: {why}", "AUTHENTICATION_FAILED")
