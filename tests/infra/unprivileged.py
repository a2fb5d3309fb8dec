"""Root reads everything, so a process of root's is run without root's capabilities: it is then a user as any other."""

from __future__ import annotations

import os


def as_a_user(*, group: int | None = None) -> list[str]:
    """What to put in front of a command: the user who runs the tests, without capabilities, and in ``group``."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *(["--groups", str(group)] if group else [])]
