"""The parts that the tests of consent share: platforms' beds, a delivery at one, and how commands ended there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.commands import Outcome, Result
from tests.sinks.beds import ServedBed, imitated, served_bed
from tests.sinks.courier import Courier, log_beside

ANNA, BEN = "anna@example.org", "ben@example.org"
IMITATED = imitated()
WITH_FIELDS = imitated(lambda each: bool(each.token_field))
NUMBERED = imitated(lambda each: each.shows.numbers)
"""Where somebody who is made anew has another id than before."""
CONFIRMING = imitated(lambda each: bool(each.token_field) and (not each.shows.lists_are_left or bool(each.shows.asks)))
"""Where a person, or their membership, can wait for a confirmation, and has a field for the token."""


def bed_fixture() -> Any:
    """The fixture ``bed``: that of the platform which :func:`on` names."""

    @pytest.fixture(name="bed")
    def bed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServedBed]:
        made = served_bed(request.param, tmp_path / "bed")
        yield made
        made.close()

    return bed


def courier_fixture(*people: str) -> Any:
    """The fixture ``courier``: a delivery to the bed, with these people in the directory."""

    @pytest.fixture(name="courier")
    def courier(bed: ServedBed, tmp_path: Path) -> Iterator[Courier]:
        made = Courier(bed, tmp_path / "data", *people, log=log_beside(bed))
        yield made
        made.close()

    return courier


def on(*names: str) -> pytest.MarkDecorator:
    """The platforms on which a test runs."""
    return pytest.mark.parametrize("bed", names, indirect=True)


def last(courier: Courier) -> tuple[Result, str]:
    """How the last command ended."""
    outcome = courier.outcomes()[-1]
    return outcome.result, outcome.reason


def asked(courier: Courier, *given: Any) -> list[Outcome]:
    """How these commands end."""
    before = len(courier.outcomes())
    courier.send(*given)
    courier.deliver()
    return courier.outcomes()[before:]
