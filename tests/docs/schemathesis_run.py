"""Schemathesis over every documented door of running processes: ``python -m tests.docs.schemathesis_run --examples N``.

An installation of its own is made in a temporary folder and its collector, console and embedded ClickHouse are started.
Each answer must be one that the description names, in its form, and none may be a fault of the server.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import requests
import yaml
from click.testing import CliRunner

from analytics.config import OWNER, analytics_settings_at, embedded_passwords
from cli.__main__ import cli
from cli.supervise import ManagedProcess
from cli.up import LocalAddresses, programs_of
from tests.docs.http_doors import DOORS, Described
from tests.docs.typed import answers, ended
from tests.ports import free_port
from transport.config import load_installation

ROOT: Final = Path(__file__).resolve().parents[2]
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
METHODS: Final = frozenset({"get", "head", "options", "post"})
PHASES: Final = ("examples", "coverage", "fuzzing")
PATIENCE_S: Final = 60.0
SERVER_KEY: Final = "a key of this test's server, long enough"
ENDS_THE_SESSION: Final = "sign_out"


class Door(NamedTuple):
    """One described process that runs: where, and what a client that it lets in sends with each request."""

    name: str
    url: str
    described: Described
    headers: dict[str, str]


class Figures(NamedTuple):
    """What became of one door: how many answers of each status every operation gave, and what Schemathesis says."""

    door: str
    statuses: Mapping[str, Mapping[int, int]]
    failed: bool
    told: str

    @property
    def line(self) -> str:
        """The sums, on a line."""
        of_class = Counter[str]()
        for statuses in self.statuses.values():
            of_class.update({f"{status // 100}xx": count for status, count in statuses.items()})
        counts = ", ".join(f"{count} {name}" for name, count in sorted(of_class.items()))
        verdict = "answers outside the description" if self.failed else "every answer as described"
        return f"{self.door}: {len(self.statuses)} operations, {sum(of_class.values())} answers ({counts}), {verdict}"


@contextmanager
def running(home: Path, names: Sequence[str] = tuple(DOORS)) -> Iterator[list[Door]]:
    """Described processes of a new installation, each answering."""
    port = free_port((0, 1, 2, 3, 4))
    environment = {"SEGMA_ROOT": str(ROOT)}
    made = CliRunner(env=environment).invoke(
        cli, ["init", "--home", str(home), "--origin", "https://shop.example", "--json"]
    )
    assert made.exit_code == 0, made.output
    password = json.loads(made.stdout)["password"]
    give_server_key(home)
    addresses = LocalAddresses.at(port, shop=False)
    with ExitStack() as stack:
        for program in programs_of(home, load_installation(home / "segma.yaml"), addresses):
            if program.name in names:
                stack.callback(ended, _started(program, home))
        for name, answering in (("collector", "ready"), ("console", "health"), ("clickhouse", "ping")):
            if name in names:
                answers(f"{getattr(addresses, name)}/{answering}")
        made_for = {
            "collector": lambda: collector_door(addresses.collector),
            "console": lambda: console_door(addresses.console, password),
            "clickhouse": lambda: clickhouse_door(addresses.clickhouse or "", owner_password(home)),
        }
        yield [made_for[name]() for name in names]


def owner_password(home: Path) -> str:
    """What the embedded ClickHouse asks its owner for."""
    return embedded_passwords(analytics_settings_at(home))[OWNER]


def give_server_key(home: Path) -> None:
    """Let servers send events for the one site."""
    config = home / "segma.yaml"
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    content["workspaces"]["main"]["sites"]["site"]["server_key"] = {"file": "secrets/server"}
    (home / "secrets" / "server").write_text(f"{SERVER_KEY}\n", encoding="utf-8")
    (home / "secrets" / "server").chmod(0o600)
    config.write_text(yaml.safe_dump(content), encoding="utf-8")


def _started(program: ManagedProcess, home: Path) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    with (home / f"{program.name}.log").open("wb") as log:
        return subprocess.Popen(
            list(program.command),
            cwd=home,
            env={**os.environ, **program.environment, "PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def collector_door(url: str) -> Door:
    """The collector, asked by the site's pages and its server."""
    known = {"site": "main-site", "key": "main-site", "u": "https://shop.example/a"}
    headers = {"Origin": "https://shop.example", "Authorization": f"Bearer {SERVER_KEY}"}
    return Door("collector", url, with_values(DOORS["collector"](), known), headers)


def console_door(url: str, password: str) -> Door:
    """The console, asked by the pages of its first user."""
    cookie, csrf = signed_in(url, password)
    known = {"csrf": csrf, "workspace": "main", "account": "mailbox", "listener": "looked-twice"}
    described = without(with_values(DOORS["console"](), known), ENDS_THE_SESSION)
    return Door("console", url, described, {"Cookie": cookie, "Sec-Fetch-Site": "same-origin"})


def clickhouse_door(url: str, password: str) -> Door:
    """The embedded ClickHouse, asked by its owner."""
    headers = {"X-ClickHouse-User": OWNER, "X-ClickHouse-Key": password}
    return Door("clickhouse", url, DOORS["clickhouse"](), headers)


def signed_in(console: str, password: str) -> tuple[str, str]:
    """The session of the first user: its cookie, and what its forms carry."""
    with requests.Session() as session:
        form = {"name": "admin", "password": password, "next": "/w/main/people"}
        page = session.post(
            f"{console}/login", data=form, headers={"Sec-Fetch-Site": "same-origin"}, timeout=PATIENCE_S
        )
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert found, page.text[:500]
        return "; ".join(f"{name}={value}" for name, value in session.cookies.items()), found[1]


def with_values(described: Described, known: dict[str, str]) -> Described:
    """The description with values that this installation knows in place of any."""

    def filled(part: Any) -> Any:
        if isinstance(part, list):
            return [filled(each) for each in part]
        if not isinstance(part, dict):
            return part
        part = {name: filled(each) for name, each in part.items()}
        for name in known.keys() & part.get("properties", {}).keys():
            part["properties"][name] = {"type": "string", "enum": [known[name]]}
        if part.get("in") in {"path", "query"} and part.get("name") in known:
            part["schema"] = {"type": "string", "enum": [known[part["name"]]]}
        return part

    found: Described = filled(described)
    return found


def without(described: Described, operation: str) -> Described:
    """The description without one operation, and without streams, which never end."""
    paths = {}
    for path, item in described["paths"].items():
        kept = {method: each for method, each in item.items() if method == "parameters" or _ends(each, operation)}
        if kept.keys() - {"parameters"}:
            paths[path] = kept
    return {**described, "paths": paths}


def _ends(each: Described, operation: str) -> bool:
    streams = "text/event-stream" in each["responses"]["200"].get("content", {})
    return not streams and each["operationId"] != operation


def tried(door: Door, examples: int, folder: Path, phases: Sequence[str] = ("fuzzing",)) -> Figures:
    """Let Schemathesis ask a door, with so many examples for each operation at most."""
    described, report = folder / f"{door.name}.openapi.json", folder / f"{door.name}.ndjson"
    described.write_text(json.dumps(door.described), encoding="utf-8")
    words = [sys.executable, "-m", "schemathesis.cli", "run", str(described), "--url", door.url, "--no-color"]
    words += ["--checks", ",".join(CHECKS), "--phases", ",".join(phases), "--max-examples", str(examples)]
    words += ["--generation-deterministic", "--request-timeout", "120", "--warnings"]
    words += ["off", "--continue-on-failure", "--no-shrink", "--suppress-health-check", "all"]
    words += [word for name, value in door.headers.items() for word in ("-H", f"{name}:{value}")]
    done = subprocess.run(
        [*words, "--report", "ndjson", "--report-ndjson-path", str(report)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240 + examples * 30,
        check=False,
    )
    return Figures(door.name, statuses_in(report), done.returncode != 0, done.stdout + done.stderr)


def statuses_in(report: Path) -> dict[str, Counter[int]]:
    """How many answers of each status the report has, by operation; empty where there is no report."""
    found: dict[str, Counter[int]] = {}
    for line in report.read_text(encoding="utf-8").splitlines() if report.is_file() else ():
        if scenario := json.loads(line).get("ScenarioFinished"):
            record = scenario["recorder"]
            answered = [each["response"] for each in record["interactions"].values() if each["response"]]
            found.setdefault(record["label"], Counter()).update(each["status_code"] for each in answered)
    return found


def check_answers(door: Door, folder: Path) -> None:
    """Try each operation of a door, shortly, and print the figures.

    Raises:
        AssertionError: an answer is not as described, or an operation was not tried.
    """
    figures = tried(door, 1, folder)
    sys.stdout.write(f"{figures.line}\n")
    assert not figures.failed, figures.told
    wanted = sum(method in METHODS for item in door.described["paths"].values() for method in item)
    assert len(figures.statuses) == wanted


def main(words: Sequence[str]) -> int:
    """Try every door; exit status 1 where an answer was outside its description."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--examples", type=int, default=50, help="for each operation and phase, at most (50)")
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "home") as found:
        figures = [tried(door, asked.examples, Path(folder), PHASES) for door in found]
    for each in figures:
        sys.stdout.write(f"{each.told}\n" if each.failed else "")
    for each in figures:
        sys.stdout.write(f"{each.line}\n")
    return int(any(each.failed for each in figures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
