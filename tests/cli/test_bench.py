"""``segma bench``: every measurement can be found, and says what it measures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from bench.builds import Build
from bench.way import beacons, stages
from cli import needs
from cli.bench import bench_command, benches, needs_of
from contracts.beacons import BeaconRecord
from contracts.codec import json_reader, msgpack_reader, to_json

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


def test_what_a_measurement_lacks_is_named_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    firefox = needs.Need("Firefox", "firefox", find=lambda: None, bring=lambda: False, command="sudo apt install fox")
    monkeypatch.setattr(needs, "NEEDS", (firefox,))
    result = CliRunner().invoke(bench_command, ["sdk_firefox"])
    assert result.exit_code == 3
    assert "sudo apt install fox" in result.output


@pytest.mark.parametrize("path", sorted((ROOT / "bench").glob("*.py")), ids=lambda path: path.stem)
def test_a_measurement_that_drives_a_browser_says_so(path: Path) -> None:
    drives = {"sync_playwright()": {"browser", "system_browser"}, "Firefox(": {"firefox"}, "WebKit(": {"webkit"}}
    text, said = path.read_text(encoding="utf-8"), needs_of(path)
    assert said <= {need.marker for need in needs.NEEDS}
    assert [words for words, markers in drives.items() if words in text and not said & markers] == []


def test_an_installed_package_says_where_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEGMA_ROOT", str(tmp_path))
    assert CliRunner().invoke(bench_command, []).exit_code == 2


@pytest.mark.parametrize(("folder", "package"), [("", ""), ("src/segma", "segma."), ("segma", "segma.")])
def test_the_way_is_measured_beside_builds_of_each_layout(tmp_path: Path, folder: str, package: str) -> None:
    there = tmp_path / folder / "flows"
    there.mkdir(parents=True)
    (there / "__main__.py").touch()
    assert Build.at("against", tmp_path).package == package


def test_what_is_no_checkout_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(click.BadParameter, match="no checkout of Segma"):
        Build.at("against", tmp_path)


@pytest.mark.parametrize(("load", "people"), [("first-touch", 2_400), ("sessions", 200), ("bot", 1)])
def test_each_load_of_the_way_has_its_events_and_people(load: str, people: int) -> None:
    read, body = msgpack_reader(BeaconRecord), json_reader(dict[str, Any])
    found = [read(record.value or b"") for record in beacons(load, 2_400)]
    events = [event for each in found for event in body(bytes(each.body))["events"]]
    assert len({event["event_id"] for event in events}) == len(events) == 2_400
    assert len({each.subscriber for each in found}) == people


def test_time_is_shared_out_by_where_it_went_and_starting_counts_for_nothing(tmp_path: Path) -> None:
    places = {"x/importlib/_bootstrap.py:load": 5.0, "x/contracts/codec.py:read": 1.0, "x/elsewhere.py:f": 3.0}
    (tmp_path / "places.json").write_bytes(to_json(places))
    assert stages(8.0, tmp_path / "places.json") == {"other": 6.0, "decode": 2.0}
