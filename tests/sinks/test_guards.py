"""Every guard stands in the source and has its test; ``python -m tests.sinks.guards`` shows what each is worth."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sinks.guards import GUARDS, ROOT, shown
from tests.sinks.simulator.imitation import Guard

TRAPS = "".join(each.read_text("utf-8") for each in Path(__file__).parent.glob("test_traps*.py"))


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: f"{guard.file}-{guard.test}")
def test_a_guard_is_where_it_is_said_to_be_and_has_its_test(guard: Guard) -> None:
    assert (ROOT / "sinks" / guard.file).read_text("utf-8").count(guard.there) >= 1
    assert guard.test in TRAPS


@pytest.mark.slow
@pytest.mark.parametrize("guard", [GUARDS[1], GUARDS[15]], ids=lambda guard: guard.test)
def test_a_trap_is_not_survived_without_its_guard(guard: Guard) -> None:
    held, said = shown(guard)
    assert held, said
