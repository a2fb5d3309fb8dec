"""``./segma`` finds a fitting Python, and says in one sentence if there is none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def python_of(directory: Path, name: str, version: str) -> None:
    """A stand-in that answers the executable's questions as a Python of this version would."""
    fits = version in {"3.11", "3.12"}
    path = directory / name
    path.write_text(
        "#!/bin/sh\n"
        f'case "$1" in --version) echo "Python {version}.0"; exit 0;; -c) exit {0 if fits else 1};; esac\n'
        f'echo "{name} {version} $*" >> "{directory}/asked"\n'
        "exit 7\n"
    )
    path.chmod(0o755)


def run(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{tmp_path}:/usr/bin:/bin"
    for tool in ("python3", "python3.11", "python3.12"):
        # What this machine has must not be found: a stand-in that does not fit takes its place.
        if not (tmp_path / tool).exists():
            python_of(tmp_path, tool, "3.14")
    return subprocess.run(
        ["/bin/sh", str(ROOT / "segma"), "doctor"],
        env={
            "PATH": path,
            "HOME": str(tmp_path),
            "PYENV_ROOT": str(tmp_path / "pyenv"),
            "SEGMA_VENV": str(tmp_path / "venv"),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_no_fitting_python_is_told_in_one_sentence(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        "segma: needs Python 3.11 or 3.12 (found: Python 3.14.0); install one, or set SEGMA_PYTHON."
    ]


@pytest.mark.parametrize("name", ["python3", "python3.11", "python3.12"])
def test_a_fitting_python_is_used_where_python3_is_not(tmp_path: Path, name: str) -> None:
    python_of(tmp_path, name, "3.12" if name != "python3.11" else "3.11")
    run(tmp_path)
    assert (tmp_path / "asked").read_text().startswith(f"{name} ")


def test_pyenvs_python_is_found(tmp_path: Path) -> None:
    directory = tmp_path / "pyenv" / "versions" / "3.12.9" / "bin"
    directory.mkdir(parents=True)
    python_of(directory, "python", "3.12")
    run(tmp_path)
    assert (directory / "asked").read_text().startswith("python 3.12 -m venv")


def test_a_wrong_choice_is_told(tmp_path: Path) -> None:
    python_of(tmp_path, "mine", "3.9")
    done = run(tmp_path, SEGMA_PYTHON=str(tmp_path / "mine"))
    assert done.returncode == 2
    assert "SEGMA_PYTHON is not a Python 3.11 or 3.12" in done.stderr


def test_the_executable_is_one() -> None:
    assert os.access(ROOT / "segma", os.X_OK)
