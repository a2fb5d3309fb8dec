"""The HTTP doors of Segma's processes as OpenAPI: the collector's own description, the console's from the table of its
pages, the embedded ClickHouse's from the table of its errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import yaml

from analytics.embedded.server import STATUS
from cli import __version__
from collector import app as collector_app
from console.access.table import PAGES, Page

Described = dict[str, Any]

FORMS: Final[Mapping[str, Sequence[str]]] = {
    "sign_in": ("name", "password", "next"),
    "enter_demo": ("next",),
    "promote": ("version",),
    "roll_back": ("version",),
    "apply": ("live",),
    "try_out": ("version",),
    "rewrite": ("text", "base", "name", "token", "do"),
    "begin_recording": ("url", "campaign"),
    "look_up": ("person",),
    "link": ("url", "campaign", "redirect"),
    "filter_events": ("person", "action", "site"),
}
"""The fields of forms beside ``csrf``; ``rewrite`` takes those of its cells too, ``recorded`` one for each event."""
QUERIES: Final[Mapping[str, Sequence[str]]] = {
    "login": ("next",),
    "begin_oidc": ("next",),
    "end_oidc": ("state", "code", "iss", "error"),
    "confirm": ("change", "version"),
    "trial": ("goal", "within"),
    "write": ("listener",),
    "recording": ("choose",),
    "person": ("list", "listener"),
    "person_confirm": ("change",),
    "list_sizes": ("list", "at"),
    "events": ("person", "action", "site"),
    "live_events": ("person", "action", "site"),
}
WITH_PARTS: Final = frozenset(
    {"listeners", "listener", "trial", "write", "recording", "person", "person_confirm", "list_sizes", "sites"}
    | {"accounts", "audit"}
)
"""Pages of which a part can be asked for alone (``part``)."""
WORDS: Final = {
    400: "The form or its values are not those of this page.",
    401: "Nobody is signed in, or name and password do not fit together.",
    403: "The user's role does not allow it, no page of this console asks, or the company's login vouches for nobody.",
    404: "There is nothing of this name.",
    409: "Something else happened meanwhile, or the change was refused; the page says why.",
    429: "Too many tries to sign in.",
    500: "The change is at work, and its file could not be written.",
    503: "The log, the history, the users' file or the company's login is away.",
}
TEXT: Final = {"schema": {"type": "string"}}


def collector() -> Described:
    """What the collector serves as ``/openapi.json``."""
    text = (Path(collector_app.__file__).parent / "openapi.yaml").read_text(encoding="utf-8")
    described: Described = yaml.safe_load(text)
    return described


def console() -> Described:
    """Every page of the console's table."""
    paths: dict[str, Described] = {}
    for page in PAGES:
        path = re.sub(r":\w+}", "}", page.path)
        item = paths.setdefault(path, {})
        if names := re.findall(r"{(\w+)(?::(\w+))?}", page.path):
            item["parameters"] = [_in_path(name, kind) for name, kind in names]
        item[page.method.lower()] = _operation(page)
    refused = {
        str(status): {
            "description": words,
            "content": {"text/html": TEXT, **({"text/plain": TEXT} if status in {401, 404, 503} else {})},
        }
        for status, words in WORDS.items()
    }
    session = {"type": "apiKey", "in": "cookie", "name": "segma_session"}
    about = "Pages for browsers. Whoever is not signed in is led to /login; a form carries the session's `csrf`."
    made = _described("Segma console", about, paths, {"session": session})
    made["components"]["responses"] = refused
    return made


def _in_path(name: str, kind: str) -> Described:
    schema = {"type": "integer", "minimum": 0} if kind == "int" else {"type": "string"}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _operation(page: Page) -> Described:
    least = f"At least a {page.least.word}." if page.least is not None else "Open to everybody."
    made: Described = {"operationId": page.name, "summary": least, "responses": _answers(page)}
    made["security"] = [{"session": []}] if page.least is not None else []
    queries = [*QUERIES.get(page.name, ()), *(["part"] if page.name in WITH_PARTS else [])]
    if queries:
        made["parameters"] = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in queries]
    if page.method == "POST":
        fields = ["csrf", *FORMS.get(page.name, ())]
        form = {"type": "object", "properties": {name: {"type": "string"} for name in fields}}
        if page.least is not None:
            form["required"] = ["csrf"]
        form["additionalProperties"] = {"type": "string"}
        made["requestBody"] = {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": form}}}
    return made


def _answers(page: Page) -> dict[str, Described]:
    if page.name == "health":
        status = {"type": "object", "required": ["status"], "properties": {"status": {"const": "ok"}}}
        return {"200": {"description": "It lives.", "content": {"application/json": {"schema": status}}}}
    if page.path.startswith("/live/"):
        stream = {"description": "Changes, for as long as the session lives.", "content": {"text/event-stream": TEXT}}
        return {"200": stream, **{str(each): _refused(each) for each in (400, 401, 403, 503)}}
    kind = "application/json" if page.name == "export" else "text/html"
    answers = {"200": {"description": "The page.", "content": {kind: TEXT if kind == "text/html" else {"schema": {}}}}}
    place = {"Location": {"required": True, "schema": {"type": "string"}}}
    answers["303"] = {"description": "To the page to go on with.", "headers": place}
    return answers | {str(status): _refused(status) for status in WORDS}


def _refused(status: int) -> Described:
    return {"$ref": f"#/components/responses/{status}"}


def clickhouse() -> Described:
    """The embedded ClickHouse's one door, in two places."""
    fault: Described = {
        "description": "ClickHouse's text of the fault.",
        "headers": {"X-ClickHouse-Exception-Code": {"required": True, "schema": {"type": "string"}}},
        "content": {"text/plain": TEXT},
    }
    answers: dict[str, Described] = {
        "200": {"description": "The answer, in the format that was asked for; empty of a command."}
    }
    for status in sorted({400, *STATUS.values()}):
        answers[str(status)] = {**fault, "description": f"{HTTPStatus(status).phrase}, in ClickHouse's words."}
    asked = [
        {"name": "query", "in": "query", "schema": {"type": "string"}, "description": "SQL; a body goes on behind it."},
        {"name": "database", "in": "query", "schema": {"type": "string"}},
        {"name": "default_format", "in": "query", "schema": {"type": "string"}},
        {"name": "query_id", "in": "query", "schema": {"type": "string", "maxLength": 200}},
        {"name": "session_id", "in": "query", "schema": {"type": "string"}},
        {"name": "session_timeout", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 3600}},
        {"name": "wait_end_of_query", "in": "query", "schema": {"enum": ["0", "1"]}},
    ]
    body = {"content": {"text/plain": {"schema": {"type": "string"}}}}
    reads = {
        "summary": "Reads, and changes nothing; without `query` it says Ok.",
        "parameters": asked,
        "responses": answers,
    }
    asks = {
        "summary": "A statement in `query` and the body.",
        "parameters": asked,
        "requestBody": body,
        "responses": answers,
    }
    ping = {"summary": "Says Ok.", "responses": {"200": {"description": "Ok.", "content": {"text/plain": TEXT}}}}
    paths = {
        "/": {"get": {**reads, "operationId": "read"}, "post": {**asks, "operationId": "ask"}},
        "/ping": {"get": {**ping, "operationId": "ping", "security": []}},
    }
    about = (
        "ClickHouse's HTTP interface over the embedded engine, on loopback; docs/analytics.md says what of it there is."
    )
    made = _described("Segma's embedded ClickHouse", about, paths, {"password": {"type": "http", "scheme": "basic"}})
    return made | {"security": [{"password": []}]}


def _described(title: str, about: str, paths: Described, schemes: Described) -> Described:
    info = {"title": title, "version": __version__, "description": about}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"securitySchemes": schemes}}


DOORS: Final = {"collector": collector, "console": console, "clickhouse": clickhouse}
