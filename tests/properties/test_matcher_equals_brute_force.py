"""The machine against a matcher written from the contract alone (SEMANTICS), over generated listeners and streams."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.properties import brute_force as brute_force_module
from tests.properties.case import by_machine, cases
from tests.properties.coverage import NEVER_DECIDES, PARTS, deciding, parts_of
from tests.properties.generate import GAP_MS
from tests.properties.oracle import brute_force

SEEDS = (1, 2, 3, 4)
CASES_EACH = 6_000


def test_the_brute_force_matcher_has_at_most_120_lines() -> None:
    source = Path(brute_force_module.__file__).read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 120


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_machine_gives_the_brute_force_answer(seed: int) -> None:
    matched = 0
    for case in cases(seed, CASES_EACH):
        expected = brute_force(case.listener, case.events, gap_ms=GAP_MS, end_ms=case.end_ms)
        matched += bool(expected)
        assert by_machine(case.listener, case.events, case.end_ms) == expected, (case.data, case.events, case.end_ms)
    assert matched > CASES_EACH / 5, "most cases match nothing: the generator has lost its aim"


@pytest.mark.slow
def test_the_cases_cover_every_part_of_the_language() -> None:
    counted: Counter[str] = Counter()
    for case in cases(SEEDS[0], CASES_EACH):
        counted.update(parts_of(case.data))
    assert {part for part in PARTS if counted[part] < 5} == set()


@pytest.mark.slow
def test_every_part_of_the_language_decides_some_answer() -> None:
    missing = set(PARTS - NEVER_DECIDES)
    for case in cases(SEEDS[1], 40_000):
        if not missing:
            break
        if parts_of(case.data) & missing:
            missing -= deciding(case)
    assert missing == set()
