"""Virtual environments of the clients, outside of the project's own: each from a list of pinned packages, made once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
CACHE: Final = ROOT / ".segma" / "clients"


def made(name: str, requirements: Path) -> Path:
    """The Python of the environment ``name``; made where there is none of these requirements yet.

    Raises :class:`subprocess.CalledProcessError` where a package cannot be had.
    """
    folder, digest = CACHE / name, hashlib.sha256(requirements.read_bytes()).hexdigest()
    python, stamp = folder / "bin" / "python", folder / ".made-of"
    if not stamp.is_file() or stamp.read_text("ascii") != digest:
        uv = Path(sys.prefix) / "bin" / "uv"
        if uv.is_file():
            _run(str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
            install = [str(uv), "pip", "install", "--quiet", "--python", str(python)]
        else:
            venv.create(folder, clear=True, with_pip=True)
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(*install, "-r", str(requirements))
        stamp.write_text(digest, "ascii")
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
