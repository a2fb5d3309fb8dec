"""The parts that the tests of platforms' traps share: a platform's bed, one change asked of it, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.reasons import Reason
from sinks.base import Answer, Change, Fate, Trouble
from tests.sinks.beds import ServedBed, served_bed

ANNA, BEN = "anna@example.org", "ben@example.org"


@pytest.fixture
def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServedBed]:
    """The bed of each platform that a test's :func:`on` names."""
    made = served_bed(request.param, tmp_path / "bed")
    yield made
    made.close()


def on(*names: str) -> pytest.MarkDecorator:
    """Run a test on these platforms."""
    return pytest.mark.parametrize("bed", names, indirect=True)


def bed_fixture(platform: str) -> Any:
    """The fixture ``bed`` of a file about one platform."""

    @pytest.fixture(name="bed")
    def bed(tmp_path: Path) -> Iterator[ServedBed]:
        made = served_bed(platform, tmp_path / "bed")
        yield made
        made.close()

    return bed


def asked(bed: ServedBed, *, address: str = ANNA, **more: Any) -> Answer:
    """The answer to one change."""
    (answer,) = bed.sink().apply([Change("c1", "s_1", address, **more)])
    return answer


def fate(answer: Answer) -> Fate | None:
    """How to go on after a change that was not carried out; None: it was."""
    return answer.fate if isinstance(answer, Trouble) else None


def trouble(answer: object) -> tuple[Reason, Fate] | None:
    """Why a change was not carried out, and how to go on; None: it was."""
    return (answer.reason, answer.fate) if isinstance(answer, Trouble) else None


def missing_rights(bed: ServedBed, denied: str) -> set[str]:
    """The rights that a check finds missing where one part of the interface is denied; it changes nothing."""
    bed.put(ANNA, "news")
    bed.dialect.denied = {denied}
    tried = {each.name: each.works for each in bed.sink().rights()}
    assert (set(bed.world.people), len(bed.world.lists)) == ({ANNA}, 1)
    return {name for name, works in tried.items() if works is False}
