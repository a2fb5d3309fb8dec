"""An imitated platform, as every suite must know it to run over it: the only place that says so is its own module.

A module of this folder that imitates a platform has ``IMITATIONS``: name → :class:`Imitation`. Conformance, consent,
random histories, kills, spoilt answers and the benchmark take theirs from :func:`imitations`. Its ``GUARDS`` are the
lines of the sink that keep a trap shut, each with its test (:mod:`tests.sinks.guards`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

from tests.sinks.consent_knowledge import Shows

WHOLE: Final = Shows(lists_are_left=False, leavings=True, removals=True, other_lists=False, numbers=True)
"""What most platforms show: people leave the platform as a whole, and it says so."""


class Imitation(NamedTuple):
    """One imitation. ``dialect`` makes it, ``options`` are its account's, ``shows`` what can be known of people there.

    ``token_field``: the field that tokens are written to, empty where there is none; ``stands_for_all``: somebody can
    be there and have left altogether; ``bounces``: it shows who bounced; ``paged``: it gives a list in pages;
    ``members_show_leaving``: a reading of a list shows who left. ``moves_a_second``: about how many the benchmark
    prepares for; 0: it is not measured.
    """

    dialect: Callable[[], Any]
    options: dict[str, Any]
    shows: Shows = WHOLE
    token_field: str = "segma_token"
    stands_for_all: bool = True
    bounces: bool = True
    paged: bool = True
    members_show_leaving: bool = True
    moves_a_second: int = 0


class Guard(NamedTuple):
    """In ``sinks/<file>``: ``there`` is the guard, ``without`` what stands instead when it is out."""

    test: str
    file: str
    there: str
    without: str


@cache
def imitations() -> Mapping[str, Imitation]:
    """Every imitation of this folder by name, in the order of the modules' names."""
    found: dict[str, Imitation] = {}
    for module in _modules():
        found |= getattr(module, "IMITATIONS", {})
    return found


def guards() -> Iterator[Guard]:
    """The guards that stand beside their imitation."""
    for module in _modules():
        yield from getattr(module, "GUARDS", ())


def _modules() -> Iterator[ModuleType]:
    for each in pkgutil.iter_modules([str(Path(__file__).parent)]):
        yield importlib.import_module(f"{__package__}.{each.name}")
