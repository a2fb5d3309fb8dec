"""The table of DESIGN 2, read from the source: who may import whom, and who may touch clock, environment and chance."""

from __future__ import annotations

import ast
import graphlib
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

FLOORS = {
    "analytics": [
        ["clickhouse", "event_rows"],
        ["config", "tables", "named_queries", "lift", "old_parts", "why"],
        ["embedded", "erase", "migrate", "columns", "recorded"],
        ["loader"],
        ["__main__"],
    ],
    "cli": [
        ["doors", "home", "output", "root", "supervise", "importing", "flow_readiness", "backups"],
        ["browser", "compile", "docs", "java", "match", "push", "__main__"],
        [
            "explain",
            "history_findings",
            "without_command",
            "paused_listeners",
            "installed",
            "local_kafka",
            "needs",
            "backtesting",
        ],
        ["backfilling", "bench", "check", "consent", "up"],
        ["accounts", "actions", "deadletters", "deploy", "flow", "history", "links", "users"],
        ["init"],
        ["backtest", "backup", "lift", "pauses", "people", "promote", "rebuild", "reconcile", "runs", "tail", "topics"],
        ["doctor", "forget", "listeners"],
        ["drive"],
        ["demo"],
    ],
    "collector": [
        [
            "sites",
            "scanners",
            "bodies",
            "codings",
            "bursts",
            "event_texts",
            "intake",
            "proxies",
            "topic_follower",
            "notices",
            "shares",
            "signatures",
            "stored_events",
            "traced",
        ],
        ["platforms", "pipeline", "platform_ids", "capture_requests", "config", "front"],
        ["core"],
        ["beacons", "mail", "hooks"],
        ["app"],
        ["__main__"],
    ],
    "console": [
        ["meters"],
        [
            "access",
            "audit",
            "board",
            "commands",
            "config",
            "headers",
            "history",
            "inbox",
            "markup",
            "newest_events",
            "person_events",
            "recordings",
            "render",
            "site_loads",
            "static_files",
            "writing",
        ],
        ["picture", "trials", "tryout", "view"],
        ["login_page", "watch"],
        ["changes", "company_doors", "desk", "doors"],
        ["dry_runs", "list_pages", "live_pages", "person_changes", "record_pages"],
        ["account_pages", "change_pages", "listener_pages", "people_pages", "site_pages", "write_pages"],
        ["trial_pages"],
        ["app"],
        ["shop"],
        ["__main__"],
    ],
    "flows": [
        ["derived"],
        ["language"],
        ["machine"],
        ["state"],
        ["subscriber"],
        ["devices", "versions", "counts", "replay"],
        ["recognise", "backtest"],
        ["operators"],
        ["config", "rescale"],
        ["dataflow"],
        ["__main__"],
    ],
    "sinks": [["base"], ["toolkit"], ["platforms"], ["registry"], ["config"], ["delivery"], ["__main__"]],
    "transport": [["config", "spool", "private", "threads", "foreign", "traces"], ["embedded", "kafka"], ["__init__"]],
}
"""Of each room that has sub-rooms: what stands on which floor, the ground first. An import goes down, or stays in its
sub-room."""

ONLY_IN = {
    "msgspec": "contracts",
    "cryptography": "contracts",
    "confluent_kafka": "transport",
    "opentelemetry": "transport",
    "sqlite3": "transport",
    "falcon": "collector",
    "bytewax": "flows",
    "clickhouse_connect": "analytics",
    "chdb": "analytics",
    "scipy": "analytics",
    "argon2": "console",
    "authlib": "console",
    "jinja2": "console",
    "joserfc": "console",
}
BESIDES = {("sqlite3", "flows/rescale/bytewax_store.py"), ("joserfc", "sinks/platforms/ghost.py")}
"""Bytewax's own file, which nobody else can write; and the token of each call to a platform that takes nothing else."""

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
        elif first in ONLY_IN and room != ONLY_IN[first] and (first, str(path.relative_to(ROOT))) not in BESIDES:
            found.append(f"{path.name}:{line}: {first} belongs to {ONLY_IN[first]} alone")
    return found


def place_of(room: str, name: str) -> str:
    """The sub-room of a module's name, or its own name where it stands in the room itself."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == room else "__init__"


def climbs(room: str, path: Path, source: str) -> list[str]:
    """The imports of a file that lead upwards, or sideways out of its sub-room, by :data:`FLOORS`."""
    floor = {place: number for number, places in enumerate(FLOORS[room]) for place in places}
    floor.setdefault("__init__", -1)  # it holds a version at most, and imports nothing
    here = place_of(room, ".".join(path.relative_to(ROOT).with_suffix("").parts))
    found = []
    for line, name in imported(ast.parse(source)):
        if name.partition(".")[0] == room:
            there = place_of(room, name)
            if there != here and floor[there] >= floor[here]:
                found.append(f"{path.name}:{line}: {here} imports {name}")
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


@pytest.mark.parametrize("room", sorted(FLOORS))
def test_a_sub_room_imports_only_from_below(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    inside = [path for path in files if path != ROOT / room / "__init__.py" or room == "transport"]
    assert [each for path in inside for each in climbs(room, path, path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("room", sorted(FLOORS))
def test_every_sub_room_and_file_has_a_floor(room: str) -> None:
    there = {path.parent.name for path in (ROOT / room).glob("*/__init__.py")}
    there |= {path.stem for path in (ROOT / room).glob("*.py") if path.stem != "__init__"}
    assert there | ({"__init__"} if room == "transport" else set()) == {
        place for places in FLOORS[room] for place in places
    }


def test_every_room_with_sub_rooms_is_in_the_table() -> None:
    assert {path.parents[1].name for room in MAY_IMPORT for path in (ROOT / room).glob("*/__init__.py")} == set(FLOORS)


def modules_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_no_import_goes_in_a_circle() -> None:
    known = {modules_of(path): path for path in FILES}
    leads: dict[str, set[str]] = {}
    for name, path in known.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # What is imported inside a function is there when it is asked for, long after all modules are.
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        targets = set[str]()
        for node in top:
            if isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
            else:
                targets |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
        leads[name] = {target for target in targets if target in known and target != name}
    assert list(graphlib.TopologicalSorter(leads).static_order())  # raises CycleError, which names the circle


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("flows/machine/x.py", "from flows.operators import lag"),
        ("flows/state/x.py", "import flows.replay.explain"),
        ("sinks/toolkit/x.py", "from sinks.registry import SINKS"),
        ("transport/kafka/x.py", "from transport.embedded import store"),
    ],
)
def test_the_floors_can_be_missed(place: str, source: str) -> None:
    assert len(climbs(place.partition("/")[0], ROOT / place, source)) == 1


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


def test_every_file_of_tests_has_a_name_of_its_own() -> None:
    # Folders of tests are no packages: of two files of one name pytest collects neither.
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted({name for name in names if names.count(name) > 1}) == []
