"""The place of the project's checkout."""

from __future__ import annotations

import os
from pathlib import Path


def checkout() -> Path:
    """The checkout that ``./segma`` runs from, else the working directory."""
    return Path(os.environ.get("SEGMA_ROOT", ".")).resolve()
