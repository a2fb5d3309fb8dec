"""The alerts: over metrics that exist, each with a runbook paragraph, each seen to fire, none in a day of peace."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.reference import meters
from tests.infra.promtool import promtool

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "infra" / "prometheus"
RULES = yaml.safe_load((HOME / "segma.rules.yaml").read_text(encoding="utf-8"))
TESTS = yaml.safe_load((HOME / "segma.test.yaml").read_text(encoding="utf-8"))
RULE_LIST: list[dict[str, Any]] = [rule for group in RULES["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULE_LIST if "alert" in rule}
FAULTS, _, PEACE = TESTS["tests"]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [str(promtool()), *words]
    return subprocess.run(command, cwd=HOME, capture_output=True, text=True, timeout=120, check=False)


def test_the_rules_are_sound_and_do_what_their_tests_say() -> None:
    checked = run("check", "rules", "segma.rules.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = run("test", "rules", "segma.test.yaml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_a_rule_that_does_not_fire_and_one_that_fires_for_a_moment_of_the_day_of_peace_are_found(
    tmp_path: Path,
) -> None:
    # The tool passes an alert of which no rule speaks: what is held here must be able to fail.
    rules, tests = ((HOME / f"segma.{name}.yaml").read_text(encoding="utf-8") for name in ("rules", "test"))
    away, stopped = "values: '0x700 1x5 0x700'", "segma_account_stopped == 1"
    assert away in tests
    assert stopped in rules
    # The platform is away for half an hour, at a time at which no alert is asked for by itself.
    (tmp_path / "segma.test.yaml").write_text(tests.replace(away, "values: '0x800 1x30 0x700'"))
    (tmp_path / "segma.rules.yaml").write_text(rules.replace(stopped, "segma_account_stopped == 2"))
    command = [str(promtool()), "test", "rules", "segma.test.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "SegmaAccountStopped" in said
    assert 'alertname="SegmaAccountAway", alertstate="firing"' in said


def test_every_alert_is_seen_to_fire_and_is_silent_in_a_day_of_peace() -> None:
    fired = {each["alertname"] for each in FAULTS["alert_rule_test"] if each["exp_alerts"]}
    assert fired == set(ALERTS)
    silent = {each["alertname"] for each in PEACE["alert_rule_test"] if not each["exp_alerts"]}
    assert silent == set(ALERTS)
    assert series(PEACE) >= series(FAULTS), "peace is of all that an alert asks"


def series(test: dict[str, Any]) -> set[str]:
    return {each["series"].partition("{")[0] for each in test["input_series"]}


def test_every_rule_asks_for_metrics_that_the_code_has() -> None:
    known = {name for name, *_ in meters()}
    known |= {f"{name}_bucket" for name in known} | {rule["record"] for rule in RULE_LIST if "record" in rule}
    for rule in RULE_LIST:
        asked = set(re.findall(r"\bsegma[_:][a-z0-9_:]+", rule["expr"]))
        assert asked <= known, rule
    assert series(FAULTS) - {"up"} <= known


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_leads_to_a_paragraph_of_the_runbook(alert: str) -> None:
    rule = ALERTS[alert]
    severity = rule["labels"]["severity"]
    assert severity in {"page", "ticket"}
    assert rule["annotations"]["runbook"] == f"docs/runbook.md#{alert.lower()}"
    paragraph = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").partition(f"\n## {alert}\n")[2]
    assert paragraph.strip().startswith(f"*{severity}.*"), "the runbook says how urgent it is"


def test_the_runbook_has_no_paragraph_of_an_alert_that_is_gone() -> None:
    titles = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert titles == list(ALERTS)
