"""The chart's job that moves the flows' states, run as it is rendered, on volumes that are folders here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.rescale.switch import Plan, rescale
from flows.state.recovery_dir import directory_of, locked
from tests.infra.chart import rendered
from tests.recovery.conftest import quick_disk
from tests.recovery.test_rescale import kept, stopped, store
from tests.recovery.test_rescale_volumes import held, spread

__all__ = ["quick_disk", "stopped", "store"]
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
INSIDE = "/home/segma"
VALUES = ["--set", "flow.of=3,flow.rescaleFrom=2"]


def run(container: dict[str, Any], disk: Path) -> subprocess.CompletedProcess[str]:
    """Run a container's command with its environment, with ``disk`` in place of the image's home."""
    command = [each.replace(INSIDE, str(disk)) for each in container["command"]]
    command[-1] = command[-1].replace("exec python ", f"exec {sys.executable} ")
    environment = {each["name"]: each["value"].replace(INSIDE, str(disk)) for each in container["env"]}
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "HOME": str(disk)}
    return subprocess.run(
        command, env=own | environment, cwd=disk, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_job_waits_for_flows_that_drain_and_moves_the_states_to_each_volume(store: Path) -> None:
    rescale(store, Plan(1, 2), lambda step: None)
    before, disk = kept(store, 2), store.with_name("disk")
    volumes = spread(store, disk / "volumes", 2, 3)
    documents = rendered(VALUES)
    (job,) = (each for each in documents if "rescale" in each["metadata"]["name"])
    (config,) = (each for each in documents if each["kind"] == "ConfigMap")
    (disk / "home").mkdir()
    (disk / "home" / "segma.yaml").write_text(config["data"]["segma.yaml"])
    (disk / "home" / "segma.yaml").chmod(0o440)
    (disk / "data").mkdir()
    (container,) = job["spec"]["template"]["spec"]["containers"]
    with locked(directory_of(volumes[1], 1, 2)):
        waited = run(container, disk)
    assert waited.returncode == 4, waited.stderr
    assert "another flow uses" in waited.stderr
    assert held(volumes, 2) == before
    done = run(container, disk)  # tried again in the same pod, whose own folder stays
    assert done.returncode == 0, done.stderr
    assert held(volumes, 3) == before
    assert not (disk / "data" / "home" / "home").exists(), "a try copies into a folder of its own"
