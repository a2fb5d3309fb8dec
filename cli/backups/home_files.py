"""The files of a home that a backup keeps, and the secrets that it cannot."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

PASSING: Final = ("run", "logs", "data/log/bells")
"""Folders of what runs, by their place in a home: made anew at each start. Elsewhere a folder may have any name."""
CACHE: Final = "__pycache__"


def files_of(home: Path, *, leave_out: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield what a backup keeps of a home: folders, each before what is in it, plain files, and links.

    Args:
        home: The home.
        leave_out: Files and folders in it that are left out with all that they hold.
    """
    leave_out = leave_out | {home / place for place in PASSING}
    for folder, names, files in os.walk(home):
        here = Path(folder)
        linked = [name for name in names if (here / name).is_symlink()]
        names[:] = sorted(set(names) - set(linked) - {CACHE} - {each.name for each in leave_out if each.parent == here})
        yield from (here / name for name in names)
        for name in sorted([*files, *linked]):
            path = here / name
            if path not in leave_out and _is_kept(path):
                yield path


def _is_kept(path: Path) -> bool:
    """Whether it holds something: sockets do not, nor do the empty files that processes lock."""
    found = path.lstat()
    if stat.S_ISREG(found.st_mode):
        return path.suffix != ".lock" or found.st_size > 0
    return stat.S_ISLNK(found.st_mode)


def outside(home: Path) -> list[str]:
    """The secrets of ``segma.yaml`` that lie outside the home: variables, and files elsewhere."""
    inside = home.resolve()
    found = set[str]()
    for place in _places(yaml.safe_load((home / "segma.yaml").read_text("utf-8"))):
        if "env" in place:
            found.add(f"variable {place['env']}")
        elif not (inside / str(place["file"])).resolve().is_relative_to(inside):
            found.add(f"file {place['file']}")
    return sorted(found)


def _places(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping that says where a secret is: ``{file: …}`` or ``{env: …}`` and nothing else."""
    if isinstance(value, dict):
        if set(value) in ({"file"}, {"env"}):
            yield value
        else:
            for each in value.values():
                yield from _places(each)
    elif isinstance(value, list):
        for each in value:
            yield from _places(each)
