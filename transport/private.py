"""The data folder is its owner's alone: addresses lie in it."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from contracts.errors import ConfigError, Problem

PRIVATE_DIRECTORY: Final = 0o700
PRIVATE_FILE: Final = 0o600
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
LOG: Final = "log"
"""The folder of the embedded log's topics, the directory of people among them, in the data folder."""


def keep_files_private() -> int:
    """Let this process make files and folders for its owner alone from now on; the mask that it had."""
    return os.umask(OTHERS)


def open_data(data: Path) -> Path:
    """The data folder, made if missing, for its owner alone.

    A folder in which no process has worked yet is made private. Raises :class:`ConfigError` where one in use is open to
    others, with the command that mends it.
    """
    if not data.exists():
        data.mkdir(parents=True, mode=PRIVATE_DIRECTORY)
    if not _is_used(data) and _is_open(data):
        _close(data)
    wide = [path for path in _looked_at(data) if _is_open(path)]
    if wide:
        raise ConfigError([_problem(data, wide[0])])
    return data


def _is_used(data: Path) -> bool:
    return any((data / name).is_dir() for name in (LOG, "recovery", "kafka"))


def _looked_at(data: Path) -> Iterator[Path]:
    """Yield the paths that a start checks: the folder, whose mode guards all below it, and where the addresses lie."""
    yield data
    if (data / LOG).is_dir():
        yield data / LOG
        yield from sorted((data / LOG).glob("*.db*"))


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & OTHERS)
    except FileNotFoundError:  # SQLite took its own file away
        return False


def _close(data: Path) -> None:
    try:
        data.chmod(PRIVATE_DIRECTORY)
    except PermissionError:
        wanted = "choose one that is its own: SEGMA_DATA, below this one"
        raise ConfigError([Problem(str(data), "", "is open to others and belongs to another user", wanted)]) from None


def _problem(data: Path, wide: Path) -> Problem:
    mode = stat.S_IMODE(wide.stat().st_mode)
    command = f"chmod -R go-rwx {shlex.quote(str(data.resolve()))}"
    return Problem(
        str(wide), "", f"is open to others (mode {mode:04o}), and people's addresses lie there", f"`{command}`"
    )
