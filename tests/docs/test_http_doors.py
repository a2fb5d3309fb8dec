"""The doors of running processes answer as they are described: a short run of ``tests.docs.schemathesis_run``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from console.access.table import PAGES
from tests.docs.http_doors import DOORS, FORMS, QUERIES
from tests.docs.schemathesis_run import Door, check_answers, running, tried

CONSOLE = Path(__file__).resolve().parents[2] / "console"


@pytest.mark.parametrize("name", DOORS)
def test_a_description_is_openapi(name: str) -> None:
    validate(DOORS[name]())


def test_the_fields_and_queries_are_those_that_the_pages_read() -> None:
    assert {*FORMS, *QUERIES} <= {page.name for page in PAGES}
    read: set[str] = set()
    for path in CONSOLE.glob("*_pages.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Name(id="query") | ast.Attribute(attr="form" | "query_params"), attr="get"
                    ),
                    args=[ast.Constant(value=str(name)), *_],
                ):
                    read.add(name)
    assert len(read) > 8
    described = {name for names in (*FORMS.values(), *QUERIES.values()) for name in names}
    assert read - described == set()


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Door]]:
    with running(tmp_path_factory.mktemp("doors") / "home", ("collector", "console")) as found:
        yield {door.name: door for door in found}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["collector", "console"])
def test_every_answer_is_as_described(name: str, doors: dict[str, Door], tmp_path: Path) -> None:
    check_answers(doors[name], tmp_path)


@pytest.mark.slow
def test_an_answer_that_is_not_described_is_noticed(doors: dict[str, Door], tmp_path: Path) -> None:
    wrong = {"/health": {"get": {"responses": {"200": {"description": "It answers 204."}}}}}
    collector = doors["collector"]
    figures = tried(collector._replace(described={**collector.described, "paths": wrong}), 1, tmp_path)
    assert figures.failed
    assert figures.statuses == {"GET /health": {204: 1}}
