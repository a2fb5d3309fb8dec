"""Phrases: actions, durations, lists and values in English. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from contracts.actions import ACTIONS
from contracts.plurals import counted

PHRASES: Final[Mapping[str, str]] = {"*": "do anything", **{action.name: action.phrase for action in ACTIONS}}
"""Action → what a person does, as it stands behind "to"."""

_UNITS: Final = ((86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"), (1, "millisecond"))
_SHORT: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"))
_IRREGULAR: Final = {"do": "does", "have": "has"}


def bare(action: str) -> str:
    """The phrase of an action behind "to"; of a site's own action its name."""
    return PHRASES.get(action, f"do {action}")


def third(phrase: str) -> str:
    """The phrase for "the person ...": views a page, presses a key."""
    verb, gap, rest = phrase.partition(" ")
    if verb in _IRREGULAR:
        verb = _IRREGULAR[verb]
    elif verb.endswith(("s", "sh", "ch", "x")):
        verb += "es"
    elif verb.endswith("y") and verb[-2] not in "aeiou":
        verb = verb[:-1] + "ies"
    else:
        verb += "s"
    return verb + gap + rest


def lasting(milliseconds: int) -> str:
    """A duration in the largest unit that is whole: ``30 minutes``."""
    size, unit = next(each for each in _UNITS if milliseconds % each[0] == 0)
    count = milliseconds // size
    return counted(count, unit)


def exact(milliseconds: int) -> str:
    """A time as it is written in files: ``90s``."""
    size, unit = next((each for each in _SHORT if milliseconds % each[0] == 0), (1, "ms"))
    return f"{milliseconds // size}{unit}" if milliseconds else "0s"


def listed(parts: Iterable[str], word: str) -> str:
    """``a, b or c``."""
    found = list(parts)
    return f" {word} ".join(filter(None, (", ".join(found[:-1]), found[-1]))) if found else ""


def value(given: Any) -> str:
    """A value as it is written."""
    return json.dumps(given, ensure_ascii=False)


def property_words(path: str) -> str:
    """``items[].sku`` as ``the sku of any of the items``."""
    if "[]" not in path:
        return f"the {path}"
    parts = [f"any of the {part.replace('[]', '')}" if "[]" in part else f"the {part}" for part in path.split(".")]
    return " of ".join(reversed(parts))
