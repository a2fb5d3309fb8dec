"""The files of a home at work, whose ClickHouse may take merged parts away while they are looked through."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def paths_below(home: Path) -> Iterator[Path]:
    """Every file's path, in order; a folder that is gone by then holds none."""
    for folder, folders, names in os.walk(home):
        folders.sort()
        yield from (path for name in sorted(names) if (path := Path(folder, name)).is_file())


def files_below(home: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file with its bytes, less those that are gone by then."""
    for path in paths_below(home):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        yield path, data
