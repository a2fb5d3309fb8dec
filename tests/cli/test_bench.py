"""``segma bench``: every measurement can be found, and says what it measures."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.bench import bench_command, benches

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMA_ROOT", str(ROOT))


def test_each_measurement_is_listed_with_a_sentence() -> None:
    result = CliRunner().invoke(bench_command, [])
    assert result.exit_code == 0
    assert {"collector", "flow", "match", "sdk", "race"} <= set(benches(ROOT))
    assert [name for name, sentence in benches(ROOT).items() if not sentence or name not in result.output] == []


def test_a_measurement_is_run_with_its_own_options(capfd: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(bench_command, ["match", "--help"])
    assert result.exit_code == 0
    assert "--listeners" in capfd.readouterr().out


def test_an_unknown_measurement_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(bench_command, ["nothing"])
    assert result.exit_code == 2


def test_an_installed_package_says_where_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEGMA_ROOT", str(tmp_path))
    assert CliRunner().invoke(bench_command, []).exit_code == 2
