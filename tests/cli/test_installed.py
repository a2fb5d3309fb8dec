"""An installed wheel: away from its checkout, with nothing of ours at the top of site-packages but ``segma``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.analytics.embedded import Embedded

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
ASK = """
import json
from analytics.config import AnalyticsSettings
from analytics.migrate import read_migrations
from analytics.named_queries import named_queries
print(json.dumps([[each.digest for each in read_migrations(AnalyticsSettings().migrations)], sorted(named_queries())]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory as site-packages would be: the wheel, unpacked, beside a module called ``analytics``."""
    directory = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*build, "-w", str(directory), str(ROOT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = directory.glob("*.whl")
    site = directory / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "analytics").mkdir()
    (site / "analytics" / "__init__.py").write_text("WHOSE = 'Segment'\n")
    return site


def run(site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """``segma COMMAND`` as the wheel's entry point runs it, from a folder that is not the checkout."""
    names = {name: value for name, value in os.environ.items() if not name.startswith(("SEGMA_", "PYTHONPATH"))}
    start = [sys.executable, "-c", "import sys, segma; sys.argv[0] = 'segma'; segma.main()", *command]
    return subprocess.run(
        start, cwd=site.parent, env={**names, "PYTHONPATH": str(site)}, capture_output=True, text=True, check=False
    )


def test_nothing_of_ours_stands_at_the_top_but_one_name(installed: Path) -> None:
    assert {path.name.partition("-")[0] for path in installed.iterdir()} == {"segma", "analytics"}


def test_the_commands_work_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    helped = run(installed, "--help")
    assert helped.returncode == 0, helped.stderr
    assert "listeners" in helped.stdout
    home = tmp_path / "home"
    made = run(installed, "init", "--home", str(home), "--origin", "https://shop.example")
    assert made.returncode == 0, made.stderr
    (home / "bought.yaml").write_text(
        "listener: bought\nsequence: [{action: product_bought}]\nthen: [{add: {to: buyers, at: mailbox}}]\n"
    )
    checked = run(installed, "listeners", "check", str(home / "bought.yaml"))
    assert checked.returncode == 0, checked.stderr


def test_the_sql_is_in_the_wheel(installed: Path) -> None:
    rooms = str(installed / "segma" / "rooms")
    asked = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=installed.parent,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": f"{rooms}:{installed}"},
    )
    assert asked.returncode == 0, asked.stderr
    digests, names = json.loads(asked.stdout)
    assert len(digests) == len(list((ROOT / "infra" / "clickhouse").glob("*.sql")))
    assert {f"{name}.sql" for name in names} == {each.name for each in (ROOT / "analytics/queries").glob("*.sql")}


def test_migrate_brings_a_history_up_to_date_by_the_wheels_own_sql(installed: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    made = run(installed, "init", "--home", str(home), "--origin", "https://shop.example")
    assert made.returncode == 0, made.stderr
    server = Embedded(home, PYTHONPATH=str(installed / "segma" / "rooms"), PYTHONSAFEPATH="1")
    server.start()
    try:
        first, again = (run(installed, "migrate", "--home", str(home), "--json") for _ in range(2))
        assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
        asked = server.client(database="segma")
        tables = {name for (name,) in asked.query("SHOW TABLES").result_rows}
        asked.close()
    finally:
        server.stop()
    numbers = list(range(1, 1 + len(list((ROOT / "infra" / "clickhouse").glob("*.sql")))))
    assert numbers
    assert [json.loads(done.stdout)["applied"] for done in (first, again)] == [numbers, []]
    assert {"events", "matches"} <= tables


def test_somebody_elses_module_of_the_same_name_is_still_theirs(installed: Path) -> None:
    asked = [sys.executable, "-c", "import segma, analytics; print(analytics.WHOSE)"]
    told = subprocess.run(
        asked, cwd=installed, env={"PYTHONPATH": str(installed)}, capture_output=True, text=True, check=True
    )
    assert told.stdout == "Segment\n"
