"""A copy of `./segma` and of what it is made ready from, whose Python and uv write down what they are asked."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "infra" / "setup"


# --- What is fresh, and who waits for whom: on a copy whose virtual environment only says what it was asked.


def copied(tmp_path: Path) -> Path:
    """The script and what it is made ready from, without the code."""
    clone = tmp_path / "clone"
    shutil.copytree(SETUP, clone / "infra" / "setup")
    for name in ("segma", "requirements.txt", "requirements-dev.txt", "requirements-drive.txt"):
        shutil.copy2(ROOT / name, clone / name)
    for room in ("analytics", "cli", "collector", "console", "contracts", "flows", "sinks", "transport"):
        (clone / room).mkdir()
        (clone / room / "code.py").write_text(f"ROOM = '{room}'\n")
    return clone


UV = """#!/bin/sh
echo "uv $*" >>"$ASKED"
[ ! -e "$ASKED.hold" ] || { : >"$ASKED.holds"; read -r _ <"$ASKED.hold"; }
exit "${UV_ENDS:-0}"
"""
PYTHON = """#!/bin/sh
case "$1" in
--version) echo "Python 3.11.0" ;;
-c) case "$2" in *pip-*) echo ;; esac ;;
-m) echo "$2 of $PYTHONPATH${PYTHONSAFEPATH:+ and nothing before it}: $*" >>"$ASKED"
    case "$2 $3" in "cli compile")
        [ ! -e "$ASKED.compiles" ] || read -r _ <"$ASKED.compiles"
        [ "${COMPILE_ENDS:-0}" = 0 ] || exit "$COMPILE_ENDS"
        mkdir -p "$4" ;;
    esac ;;
esac
"""


class Clone:
    """A copy of the script; Python and uv in its virtual environment are stand-ins that write down their arguments."""

    def __init__(self, root: Path) -> None:
        self.root, self.asked_file = root, root / "asked"
        binaries = root / ".venv" / "bin"
        binaries.mkdir(parents=True)
        for name, text in (("uv", UV), ("python", PYTHON)):
            (binaries / name).write_text(text)
            (binaries / name).chmod(0o755)

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """``./segma WORDS``, begun."""
        return subprocess.Popen(
            [str(self.root / "segma"), *words],
            env={"PATH": "/usr/bin:/bin", "ASKED": str(self.asked_file), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, **environment: str) -> list[str]:
        """``./segma WORDS``: what it said; it must end well."""
        process = self.start(*words, **environment)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        return said.splitlines()

    def asked(self) -> list[str]:
        """What Python and uv were asked since the last question, the look at pip's settings left out."""
        lines = self.asked_file.read_text().splitlines() if self.asked_file.exists() else []
        self.asked_file.unlink(missing_ok=True)
        return [line for line in lines if "pip config list" not in line]
