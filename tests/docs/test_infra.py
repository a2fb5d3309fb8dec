"""What stands in ``infra/`` names what exists."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

import yaml

from analytics.config import AnalyticsSettings
from collector.config import CollectorSettings
from console.config import ConsoleSettings
from flows.config import FlowSettings
from sinks.config import SinkSettings

INFRA = Path(__file__).resolve().parents[2] / "infra"
COMPOSE = yaml.safe_load((INFRA / "compose.yaml").read_text(encoding="utf-8"))


def test_every_service_runs_a_module_of_ours_with_settings_that_exist() -> None:
    known = {
        f"SEGMA_{name.upper()}"
        for kind in (CollectorSettings, FlowSettings, SinkSettings, AnalyticsSettings, ConsoleSettings)
        for name in kind.model_fields
    }
    ours = {name: service for name, service in COMPOSE["services"].items() if "command" in service}
    assert set(ours) >= {"collector", "flow-0", "flow-1", "deliver-mailbox", "loader", "console"}
    for service in ours.values():
        assert importlib.util.find_spec(service["command"][2]) is not None
        assert set(service["environment"]) <= known
        mounted = {volume.partition(":")[0] for volume in service["volumes"]} - {"./home"}
        assert mounted <= set(COMPOSE["volumes"])
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
    indexes = [service["environment"]["SEGMA_FLOW_INDEX"] for name, service in ours.items() if name.startswith("flow-")]
    assert indexes == [str(number) for number in range(len(indexes))]


def test_the_image_sets_settings_that_exist() -> None:
    text = (INFRA / "Dockerfile").read_text(encoding="utf-8")
    known = {f"SEGMA_{name.upper()}" for name in CollectorSettings.model_fields}
    assert set(re.findall(r"SEGMA_\w+", text)) <= known


def test_the_containers_and_the_script_run_the_same_kafka() -> None:
    pom = (INFRA / "kafka" / "pom.xml").read_text(encoding="utf-8")
    version = COMPOSE["services"]["kafka"]["image"].partition(":")[2]
    assert f"<version>{version}</version>" in pom


def test_the_script_says_how_it_is_used() -> None:
    done = subprocess.run([str(INFRA / "kafka" / "kafka")], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "kafka run DIR [PORT]" in done.stdout
