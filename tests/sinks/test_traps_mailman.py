"""The traps of GNU Mailman, one test a trap; ``python -m tests.sinks.guards`` takes each guard out in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.commands import Result
from sinks.base import Change, Done
from sinks.toolkit.consent import Seen
from sinks.toolkit.platform import One
from tests.sinks.beds import ServedBed
from tests.sinks.courier import Courier, command
from tests.sinks.simulator.server import Answer, Fault
from tests.sinks.trapped import ANNA, BEN, asked, bed, on

__all__ = ["bed"]
pytestmark = pytest.mark.slow


@on("mailman")
def test_mailman_already_there_and_already_gone_are_success(bed: ServedBed) -> None:
    bed.put(ANNA, "old")
    bed.put(BEN, "new")
    stranger = Answer(200, {"total_size": 0, "start": 0})
    bed.server.faults = [Fault("", path="POST /3.1/members/find", answer=stranger)]
    assert isinstance(asked(bed, add=("old",)), Done), "Mailman itself says 409"
    sink: Any = bed.sink()
    for _ in range(2):
        assert sink._platform.remove("old", [One(Change("c", "s", ANNA), ANNA, Seen(ANNA))]) == [None]


@on("mailman")
def test_mailman_sends_no_welcome_and_asks_for_no_confirmation(bed: ServedBed) -> None:
    asked(bed, add=("new",))
    (call,) = [each for each in bed.writes("/members") if not each.path.endswith("/find")]
    sent = call.form
    assert sent["send_welcome_message"] == "false"
    assert {sent["pre_verified"], sent["pre_confirmed"], sent["pre_approved"]} == {"true"}


@on("mailman")
def test_mailman_who_was_put_in_and_is_gone_has_left(bed: ServedBed, tmp_path: Path) -> None:
    courier = Courier(bed, tmp_path / "data")
    courier.send(command("news"))
    courier.deliver()
    bed.leave(ANNA, "news")
    courier.send(command("news"))
    courier.deliver()
    assert [each.result for each in courier.outcomes()] == [Result.APPLIED, Result.SKIPPED]
    assert bed.members("news") == set()
    courier.close()
