"""Time zones by their IANA names, from the data that the release brings: the same answers on every machine."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
_DATA: Final = resources.files("tzdata") / "zoneinfo"


@lru_cache(maxsize=1_024)
def zone_of(name: str) -> ZoneInfo | None:
    """The zone of a name such as ``Europe/Berlin``; None of anything that names none.

    NOTE: ``ZoneInfo(name)`` would read the machine's own data first, and answers would hang on where they are given.
    """
    if len(name) > 80 or not _NAME.fullmatch(name):
        return None
    try:
        with _DATA.joinpath(name).open("rb") as file:
            return ZoneInfo.from_file(file, key=name)
    except (OSError, ValueError):
        return None


def named_zone(name: str) -> ZoneInfo:
    """As :func:`zone_of`. Raises ``ValueError`` where there is none."""
    found = zone_of(name)
    if found is None:
        raise ValueError("write the IANA name of a time zone, such as Europe/Berlin")
    return found
