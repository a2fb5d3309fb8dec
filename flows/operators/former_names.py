"""Names that older releases' recovery stores hold positions under.

Bytewax keeps states as pickles, and a pickle names the modules of its classes. Positions are bytes of ours since; a
store that was written before is read once more under the names of then.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from types import ModuleType
from typing import Final

from flows.operators import source, watermark

FORMER: Final[dict[str, ModuleType]] = {"segma.flows.source": source, "segma.flows.settling": watermark}


def know_former_names() -> None:
    """Let pickles of older releases find their classes where these are now."""
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module("segma")  # what an installed package calls itself, which stays what it is
    for package in ("segma", "segma.flows"):
        sys.modules.setdefault(package, ModuleType(package))
    for name, module in FORMER.items():
        sys.modules.setdefault(name, module)
