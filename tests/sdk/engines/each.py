"""Which case runs in which engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import pytest

from tests.sdk.engines.tab import Name

MARKERS: Final[Mapping[Name, str]] = {"chromium": "browser", "firefox": "firefox", "webkit": "webkit"}
"""Engine → the marker of tests that need it (``cli/needs.py``)."""


class Case(Protocol):
    """A row of a table of tests."""

    @property
    def name(self) -> str:
        """What it is about."""

    @property
    def left_out(self) -> Mapping[Name, str]:
        """Engine → why it does not run there."""


def in_engines(cases: Iterable[Case], builds: tuple[str, ...] = ()) -> list[Any]:
    """Parameters ``(case, engine)`` or ``(case, engine, build)``; outside Chromium only the first build runs."""
    return [
        pytest.param(case, engine, *build, id="-".join((case.name, engine, *build)), marks=getattr(pytest.mark, marker))
        for case in cases
        for engine, marker in MARKERS.items()
        if engine not in case.left_out
        for build in ([(each,) for each in (builds if engine == "chromium" else builds[:1])] if builds else [()])
    ]


def engines(*names: Name) -> pytest.MarkDecorator:
    """Run a test in these engines, each as its ``engine``."""
    marked = [pytest.param(name, marks=getattr(pytest.mark, MARKERS[name])) for name in names or tuple(MARKERS)]
    return pytest.mark.parametrize("engine", marked, indirect=True)
