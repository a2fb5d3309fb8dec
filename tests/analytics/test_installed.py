"""What an installed package needs of the history is in it: the numbered SQL and the named queries, with no setting."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ASK = """
import json
from analytics.config import AnalyticsSettings
from analytics.migrate import read_migrations
from analytics.named_queries import named_queries
print(json.dumps([[each.digest for each in read_migrations(AnalyticsSettings().migrations)], sorted(named_queries())]))
"""


def test_a_package_away_from_its_checkout_has_the_sql(tmp_path: Path) -> None:
    """Built by the project's own build (what it puts into ``build_lib`` is what a wheel holds), run from elsewhere."""
    checkout, built = tmp_path / "checkout", tmp_path / "built"
    checkout.mkdir()
    for name in ("pyproject.toml", "README.md", "requirements.in"):
        shutil.copy(ROOT / name, checkout)
    shutil.copytree(ROOT / "infra" / "clickhouse", checkout / "infra" / "clickhouse")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", checkout / "src", symlinks=True, ignore=ignored)
    build = [sys.executable, "-W", "ignore", "-c", "import setuptools; setuptools.setup()", "--quiet"]
    done = subprocess.run(
        [*build, "build", "--build-lib", built], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shutil.rmtree(checkout)
    asked = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(built)},
    )
    assert asked.returncode == 0, asked.stderr
    digests, names = json.loads(asked.stdout)
    assert len(digests) == len(list((ROOT / "infra" / "clickhouse").glob("*.sql")))
    assert {f"{name}.sql" for name in names} == {each.name for each in (ROOT / "analytics" / "queries").glob("*.sql")}
