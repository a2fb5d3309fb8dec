"""The package ``segma`` of an installed wheel: puts the rooms on Python's path and runs the command line.

A wheel holds this file as ``segma/__init__.py`` and the rooms beside it in ``segma/rooms/``, so nothing of ours stands
at the top of site-packages but ``segma`` (docs/adr/0012). In a checkout ``./segma`` does what this file does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    """Run the command line, with the rooms first on the path of this process and of those that it starts."""
    rooms = str(Path(__file__).resolve().parent / "rooms")
    sys.path.insert(0, rooms)
    behind = os.environ.get("PYTHONPATH")
    os.environ["PYTHONSAFEPATH"] = "1"  # a folder called `flows` where somebody works is not ours
    os.environ["PYTHONPATH"] = f"{rooms}{os.pathsep}{behind}" if behind else rooms

    from cli.__main__ import main as run  # noqa: PLC0415 - the path above makes it importable

    run()
