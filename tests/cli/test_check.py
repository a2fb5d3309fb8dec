"""``segma test``: what it needs is in one table, brought or named; what it runs, and where."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cli import needs
from cli.check import ALONE, BROWSERS, SLOW, Check, checks, run_checks
from cli.needs import NEEDS, Need

ROOT = Path(__file__).resolve().parents[2]


def need(name: str, *, marker: str = "broker", has: list[str], comes: bool) -> Need:
    """A need that is there when its name is in ``has``, and whose bringing succeeds or ends the command."""

    def bring() -> object:
        if not comes:
            raise SystemExit(3)
        has.append(name)
        return name

    return Need(name, marker, lambda: name in has, bring, f"get {name}")


def test_what_can_be_brought_is_brought_and_the_rest_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    has = ["here"]
    table = tuple(need(name, has=has, comes=name != "never") for name in ("here", "comes", "never"))
    other = need("other", marker="browser", has=has, comes=True)
    monkeypatch.setattr(needs, "NEEDS", (*table, other))
    assert [each.name for each in needs.unmet(frozenset({"broker"}))] == ["comes", "never"]
    assert [each.name for each in needs.lacking(frozenset({"broker"}))] == ["never"]
    assert has == ["here", "comes"]


@pytest.mark.slow
def test_every_need_has_a_marker_that_pytest_knows_and_a_command_to_type() -> None:
    known = subprocess.run(
        [sys.executable, "-m", "pytest", "--markers"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for each in NEEDS:
        assert f"@pytest.mark.{each.marker}:" in known
        assert each.command
    assert {each.marker for each in NEEDS} - {"system_browser"} <= set(SLOW.split(" or "))


def fake(directory: Path, name: str, text: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    ("uid", "sudo", "asked"), [(0, "exit 1", True), (1_000, "exit 0", True), (1_000, "exit 1", False)]
)
def test_packages_are_installed_where_that_may_be_done_unasked(
    uid: int, sudo: str, asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, "apt-get", f'echo "$*" >>{tmp_path}/asked')
    fake(tmp_path, "sudo", f'{sudo.replace("exit 0", "shift; exec")} "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert needs.by_package("gcc", "libc6-dev") is asked
    if asked:
        install = (tmp_path / "asked").read_text().splitlines()[-1]
        assert install.startswith("install -y")
        assert install.endswith("gcc libc6-dev")
    else:
        assert not (tmp_path / "asked").exists()


def test_every_test_is_run_once_and_the_fast_ones_need_nothing() -> None:
    selections = [step.command[-1] for step in checks(ROOT, fast=False) if "pytest" in step.command]
    assert selections == [f"not ({BROWSERS}) and not {ALONE}", f"({BROWSERS}) and not {ALONE}", ALONE]
    for steps in checks(ROOT, fast=False), checks(ROOT, fast=True):
        assert {other.name for step in steps for other in step.beside} == {"typescript", "mypy"}
    (fast,) = [step.command[-2] for step in checks(ROOT, fast=True) if "pytest" in step.command]
    assert fast == f"not ({SLOW})"


KEEPS = """
import pathlib, sys, one_module
kept = pathlib.Path(one_module.__cached__)
sys.exit(kept.is_relative_to(sys.argv[1]) or not kept.is_file())
"""


def test_bytecode_is_kept_for_the_run_where_none_may_be_kept_beside_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one_module.py").touch()
    keeping = Check("keeps", [sys.executable, "-c", KEEPS, str(tmp_path)], tmp_path, {"PYTHONPATH": str(tmp_path)})
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert run_checks([keeping]) == ["keeps"]
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert run_checks([keeping]) == []


def test_what_runs_beside_a_step_is_waited_for_told_and_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def saying(name: str, script: str, *beside: Check) -> Check:
        return Check(name, ["sh", "-c", script], tmp_path, beside=beside)

    os.mkfifo(tmp_path / "met")  # opened by neither before the other
    good, bad = saying("good", "echo came >met; echo good"), saying("bad", "echo bad >&2; exit 3")
    assert run_checks([saying("step", "cat met", good, bad), saying("last", "echo last")]) == ["bad"]
    assert capfd.readouterr().out.split() == ["came", "good", "bad", "last"]


@pytest.mark.slow
def test_a_test_whose_need_is_not_met_is_left_out_and_says_what_to_type(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import pytest\n\n\n@pytest.mark.browser\ndef test_it():\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml")]
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    environment |= {"SEGMA_BROWSER": str(tmp_path / "none"), "PYTHONPATH": str(ROOT)}
    for ci, code in ({}, 0), ({"CI": "true"}, 1):
        done = subprocess.run(
            [*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, env={**environment, **ci}, check=False
        )
        assert "needs a Chromium: sudo apt install chromium" in done.stdout
        assert done.returncode == code, done.stdout
