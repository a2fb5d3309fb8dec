"""The table of DESIGN 2, read from the source: who may import whom, and who may touch clock, environment and chance."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MAY_IMPORT = {
    "contracts": set[str](),
    "transport": {"contracts"},
    "collector": {"contracts", "transport"},
    "flows": {"contracts", "transport"},
    "sinks": {"contracts", "transport"},
    "analytics": {"contracts", "transport"},
    "console": {"contracts", "transport", "flows", "analytics"},
    "cli": {"contracts", "transport", "collector", "flows", "sinks", "analytics", "console"},
}

ONLY_IN = {
    "msgspec": "contracts",
    "cryptography": "contracts",
    "confluent_kafka": "transport",
    "sqlite3": "transport",
    "falcon": "collector",
    "bytewax": "flows",
    "clickhouse_connect": "analytics",
    "chdb": "analytics",
}

CHANCE = {"random", "secrets"}
CLOCK_AND_ENVIRONMENT = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "monotonic_ns"),
    ("time", "perf_counter"),
    ("time", "perf_counter_ns"),
    ("time", "sleep"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("date", "today"),
    ("os", "environ"),
    ("os", "getenv"),
    ("os", "urandom"),
    ("uuid", "uuid1"),
    ("uuid", "uuid4"),
}

FILES = sorted(path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import hides the room"
            yield node.lineno, node.module or ""


def trespasses(path: Path, source: str) -> list[str]:
    room, tree = room_of(path), ast.parse(source)
    found = []
    for line, name in imported(tree):
        first = name.partition(".")[0]
        if first in MAY_IMPORT and first != room and first not in MAY_IMPORT[room]:
            found.append(f"{path.name}:{line}: {room} imports {name}")
        elif first in ONLY_IN and room != ONLY_IN[first]:
            found.append(f"{path.name}:{line}: {first} belongs to {ONLY_IN[first]} alone")
    return found


def impurities(path: Path, source: str) -> list[str]:
    if path.name in ("__main__.py", "config.py") or room_of(path) == "cli":
        return []
    tree, found = ast.parse(source), []
    for line, name in imported(tree):
        if name.split(".")[0] in CHANCE:
            found.append(f"{path.name}:{line}: {name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if (owner, node.attr) in CLOCK_AND_ENVIRONMENT:
                found.append(f"{path.name}:{node.lineno}: {owner}.{node.attr}")
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (node.module, alias.name) in CLOCK_AND_ENVIRONMENT:
                    found.append(f"{path.name}:{node.lineno}: {node.module}.{alias.name}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_the_table_says(path: Path) -> None:
    assert trespasses(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_clock_environment_and_chance_arrive_as_arguments(path: Path) -> None:
    assert impurities(path, path.read_text(encoding="utf-8")) == []


def test_every_room_of_the_table_exists_and_no_other() -> None:
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert rooms == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("collector/x.py", "from flows import matcher"),
        ("contracts/x.py", "import transport"),
        ("sinks/x.py", "import collector.app"),
        ("flows/x.py", "import falcon.asgi"),
        ("cli/x.py", "import msgspec"),
    ],
)
def test_the_table_test_can_fail(place: str, source: str) -> None:
    assert len(trespasses(ROOT / place, source)) == 1


@pytest.mark.parametrize(
    "source",
    ["import random", "import time\ntime.time()", "from time import monotonic", "import os\nos.environ['x']"],
)
def test_the_purity_test_can_fail(source: str) -> None:
    assert len(impurities(ROOT / "flows/x.py", source)) == 1
    assert impurities(ROOT / "flows/config.py", source) == []
