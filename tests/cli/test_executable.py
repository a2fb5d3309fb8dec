"""``./segma``: finds a fitting Python, makes ready what has changed, one call at a time; cheap where nothing has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.clone import copied

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "infra" / "setup"
NO_UV = "3.7"
"""Of a Python too old to get uv by: nothing is fetched."""


def python_of(directory: Path, name: str, version: str) -> None:
    """A stand-in that answers the executable's questions as a Python of this version would."""
    fits = version in {"3.11", "3.12"}
    gets_uv = version not in {NO_UV}
    path = directory / name
    path.write_text(
        "#!/bin/sh\n"
        f'case "$1$2" in --version) echo "Python {version}.0"; exit 0;;\n'
        f' *"(3, 8)"*) exit {0 if gets_uv else 1};; -c*"sys.exit"*) exit {0 if fits else 1};; -c*) exit 0;; esac\n'
        f'echo "{name} {version} $*" >> "{directory}/asked"\n'
        "exit 7\n"
    )
    path.chmod(0o755)


def run(tmp_path: Path, *, others: str = NO_UV, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{tmp_path}:/usr/bin:/bin"
    for tool in ("python3", "python3.11", "python3.12"):
        # What this machine has must not be found: a stand-in that does not fit takes its place.
        if not (tmp_path / tool).exists():
            python_of(tmp_path, tool, others)
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


@pytest.mark.parametrize(
    ("release", "advice"),
    [
        ("ID=debian\nVERSION_ID=12\n", "install it (sudo apt install python3 python3-venv)"),
        ("ID=debian\nVERSION_ID=13\n", "this Debian has no package of it, so install it by pyenv (pyenv install 3.12)"),
        ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=24.04\n", "install it (sudo apt install python3.12 python3.12-venv)"),
        ("ID=fedora\nVERSION_ID=43\n", "install it (sudo dnf install python3.12)"),
        ("ID=else\n", "install it by the package manager of this system, or by pyenv (pyenv install 3.12)"),
    ],
)
def test_no_fitting_python_is_told_in_one_sentence_with_what_to_type(tmp_path: Path, release: str, advice: str) -> None:
    (tmp_path / "os-release").write_text(release)
    done = run(tmp_path, SEGMA_OS_RELEASE=str(tmp_path / "os-release"))
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"segma: needs Python 3.11 or 3.12 with venv (found: Python 3.7.0); {advice}, or set SEGMA_PYTHON."
    ]


def test_where_uv_cannot_get_one_it_says_so(tmp_path: Path) -> None:
    # The stand-in makes no virtual environment, so there is no uv.
    clone = copied(tmp_path)
    for name in ("python3", "python3.11", "python3.12"):
        python_of(tmp_path, name, "3.13")
    done = subprocess.run(
        [str(clone / "segma"), "doctor"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    first, last = done.stderr.splitlines()
    assert first.startswith("segma: Python 3.13.0 does not fit (Bytewax has wheels for 3.11 and 3.12): getting Python")
    assert last.startswith("segma: needs Python 3.11 or 3.12 with venv (found: Python 3.13.0; uv could not get one); ")
    assert "python3 -m venv" not in done.stderr
    assert f"python3 3.13 -m venv {clone}/.segma/uv" in (tmp_path / "asked").read_text()


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


def test_every_requirement_is_pinned_by_hash() -> None:
    files = [*ROOT.glob("requirements*.txt"), *SETUP.glob("*.txt")]
    assert len(files) >= 7
    for path in files:
        text = path.read_text()
        assert "--generate-hashes" in text.splitlines()[1], path
        for block in re.split(r"\n(?=\w)", text)[1:]:
            assert "==" in block, path
            assert "--hash=sha256:" in block, (path, block)


@pytest.mark.parametrize("script", ["segma", "infra/setup/first-use.sh", "infra/kafka/kafka"])
def test_the_scripts_are_plain_posix_shell(script: str) -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), "-x", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
