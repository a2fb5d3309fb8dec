"""``segma compile``: the compiled machine gives the answers of the source, and nothing needs a compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ANSWERS = """
import sys
from contracts import bodies, properties
from flows import recognise
from flows.machine import machine, program, tree
from flows.operators import device_group
from flows.subscriber import engine, reapply
for module in (bodies, device_group, engine, machine, program, properties, reapply, recognise, tree):
    assert module.__file__.endswith(".so"), module.__file__
from tests.flows import test_recognise
for wrong in test_recognise.WRONG:
    test_recognise.test_one_bad_event_of_a_beacon_is_refused_with_its_bytes_and_the_others_count(wrong)
test_recognise.test_history_is_two_hundred_events_of_a_day()
test_recognise.test_history_is_handed_over_before_the_event_that_told()
test_recognise.test_a_redirects_click_is_on_trial_until_the_quarantine_is_over()
from tests.properties import test_arrival_order, test_matcher_equals_brute_force, test_shared_beginnings
test_matcher_equals_brute_force.CASES_EACH = 600
test_arrival_order.COUNT = 150
test_shared_beginnings.ROUNDS = 20
test_matcher_equals_brute_force.test_the_machine_gives_the_brute_force_answer(101)
test_arrival_order.test_any_order_of_arrival_ends_with_the_ordered_answer()
test_arrival_order.test_deadlines_that_fired_too_early_are_corrected_by_late_events()
test_shared_beginnings.test_each_of_many_that_begin_alike_gives_the_brute_force_answer()
test_shared_beginnings.test_matches_values_and_dropped_runs_are_those_of_listeners_that_run_alone(2)
test_shared_beginnings.test_a_restart_at_every_index_changes_nothing_also_with_other_listeners()
print("the same answers")
"""


def run(code: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": f"{code}:{ROOT}", **environment}
    return subprocess.run([sys.executable, *command], env=own, capture_output=True, text=True, timeout=900, check=False)


@pytest.mark.compiler
@pytest.mark.slow
@pytest.mark.timeout(1_150)
def test_the_compiled_machine_gives_the_same_answers(tmp_path: Path) -> None:
    into = tmp_path / "native"
    done = run(ROOT, "-m", "cli", "compile", str(into))
    assert done.returncode == 0, done.stderr
    assert "compiled" in done.stderr
    answered = run(into, "-c", ANSWERS)
    assert answered.stdout.strip() == "the same answers", answered.stderr


def test_without_a_compiler_it_says_that_nothing_needs_one(tmp_path: Path) -> None:
    done = run(ROOT, "-m", "cli", "compile", str(tmp_path / "native"), PATH=str(tmp_path))
    assert done.returncode == 3
    assert "there is no C compiler; nothing needs one, the flow is slower without" in done.stderr
    assert not (tmp_path / "native").exists()


def test_without_pythons_headers_it_says_which_package_has_them(tmp_path: Path) -> None:
    compiler = tmp_path / "cc"
    compiler.touch(0o755)
    program = "import sysconfig; sysconfig.get_path = lambda *_: '/none'; from cli.__main__ import main; main()"
    done = run(ROOT, "-c", program, "compile", str(tmp_path / "native"), PATH=str(tmp_path))
    assert done.returncode == 3
    assert f"apt install python{sys.version_info.major}.{sys.version_info.minor}-dev" in done.stderr
    assert not (tmp_path / "native").exists()
