"""Every broken rule is found by the generated cases: the comparison with the brute force can fail."""

from __future__ import annotations

import pytest

from flows.machine import machine as matcher
from tests.properties.case import Case, by_machine, cases
from tests.properties.generate import GAP_MS
from tests.properties.mutants import MUTANTS, mutated
from tests.properties.oracle import Answer, brute_force

SEED, COUNT = 1, 6_000


@pytest.fixture(scope="module")
def answered() -> list[tuple[Case, list[Answer]]]:
    """The cases of the comparison's first seed, with their right answers."""
    return [
        (case, brute_force(case.listener, case.events, gap_ms=GAP_MS, end_ms=case.end_ms))
        for case in cases(SEED, COUNT)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_the_cases_kill_the_mutant(
    name: str, answered: list[tuple[Case, list[Answer]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matcher, "ListenerProgram", mutated(name))
    assert any(by_machine(case.listener, case.events, case.end_ms) != answer for case, answer in answered), name
