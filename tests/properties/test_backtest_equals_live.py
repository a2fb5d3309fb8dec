"""A back-test is what the flow emitted: over random installations, and asked of a real ClickHouse (SEMANTICS 9)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from contracts.actions import PROFILE_CHANGED
from contracts.membership import LIST_JOINED
from contracts.reasons import Reason
from contracts.rows import MatchRow
from flows.backtest.replay import replay
from flows.backtest.subject import Subject
from tests.properties.past import WORKSPACE, Installation, arrivals_of, emitted, installation, live, recorded


def subjects(made: Installation) -> dict[str, Subject]:
    names = sorted({each.listener.name for each in made.deployed})
    return {
        name: Subject(
            WORKSPACE,
            [each for each in made.deployed if each.listener.name == name],
            made.terms._replace(cap_moves=0),
        )
        for name in names
    }


def capped(rows: Sequence[MatchRow]) -> list[tuple[int, str]]:
    return [(row.log_time_ms, row.match_id) for row in rows if row.reason == Reason.CAPPED]


@pytest.mark.parametrize("block", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_over_random_installations(block: int, tmp_path: Path) -> None:
    matches = retractions = over = asking = paused = 0
    for number in range(160):
        made = installation(Random(block * 160 + number))
        written = live(made, tmp_path / str(number))
        rows = recorded(written)
        for name, subject in subjects(made).items():
            by_person = arrivals_of(rows, subject.actions, subject.heard)
            for who in ("s_one", "s_two", "a_nobody"):
                told, commands = emitted(written, name, who)
                own = by_person.get(who)
                found = replay(subject, own, made.until_ms, capped=capped(told)) if own else None
                assert (found.rows if found else []) == told, (block, number, name, who)
                assert (found.commands if found else []) == commands, (block, number, name, who)
                matches += len(told)
                asking += len(told) * bool(subject.heard and subject.heard & {PROFILE_CHANGED, LIST_JOINED})
                over += len(capped(told))
                paused += sum(row.reason == Reason.LISTENER_PAUSED for row in told)
                retractions += sum(row.kind == "retraction" for row in told)
    assert matches > 70
    assert retractions > 0
    assert over > 0
    assert paused > 5
    assert asking > 5
