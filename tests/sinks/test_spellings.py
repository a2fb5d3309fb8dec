"""People of an international domain, whom a platform knows by one spelling and the directory by the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.reasons import Reason
from sinks.base import Answer, Change, Done, Sink, Trouble
from tests.sinks.consent_bed import Fuse, sink_over
from tests.sinks.consent_platforms import PLATFORMS, READ
from tests.sinks.simulator.world import LEFT, World

UNICODE, ASCII = "ute@müller.example", "ute@xn--mller-kva.example"
SERVED = [name for name in READ if name not in {"file", "sympa"}]


class At:
    """A platform where lists are ``news`` and ``hot``, and a sink over it."""

    def __init__(self, platform: str, data: Path) -> None:
        kind = PLATFORMS[platform]
        self.dialect: Any = kind.dialect()
        self.world: Any = getattr(kind.dialect, "world", World)()
        for name in ("news", "hot"):
            self.world.made_list(name)
        around = {"now_ms": lambda: 1, "log": None, "strangers": "add"}
        self.sink: Sink = sink_over(self.dialect, self.world, Fuse(), kind.options, around=around, data=data)

    def change(self, address: str, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Answer:
        (answer,) = self.sink.apply([Change("c", "s", address, add, remove)])
        return answer


@pytest.fixture(params=SERVED)
def at(request: pytest.FixtureRequest, tmp_path: Path) -> At:
    return At(request.param, tmp_path)


@pytest.mark.parametrize(("there", "asked"), [(UNICODE, ASCII), (ASCII, UNICODE)])
def test_who_is_there_by_the_other_spelling_is_moved_and_made_no_second_time(at: At, there: str, asked: str) -> None:
    at.world.put(there, "news")
    assert isinstance(at.change(asked, add=("hot",), remove=("news",)), Done)
    assert (at.world.members("news"), at.world.members("hot")) == (set(), {there})
    assert list(at.world.people) == [there]


@pytest.mark.parametrize("at", [name for name in SERVED if name != "mailman"], indirect=True)
@pytest.mark.parametrize(("there", "asked"), [(UNICODE, ASCII), (ASCII, UNICODE)])
def test_who_left_by_the_other_spelling_is_added_to_nothing(at: At, there: str, asked: str) -> None:
    """Of Mailman, where whoever left is nowhere, by no spelling, there is nothing to see."""
    at.world.put(there, "news")
    at.world.person(there).standing = LEFT
    at.dialect.leave(at.world, there, "news")
    answer = at.change(asked, add=("news",))
    assert isinstance(answer, Trouble)
    assert answer.reason in {Reason.UNSUBSCRIBED, Reason.BLOCKED, Reason.COMPLIANCE}
    assert list(at.world.people) == [there]


def test_a_stranger_is_made_by_the_address_that_the_directory_has(at: At) -> None:
    at.change(UNICODE, add=("hot",))
    assert list(at.world.people) == [UNICODE]
