"""What stands in ``infra/`` names what exists."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

import prometheus_client
import yaml

from analytics.config import AnalyticsSettings
from cli.compile import ROOMS
from collector.config import CollectorSettings
from console.config import ConsoleSettings
from flows.config import FlowSettings
from sinks.config import SinkSettings

INFRA = Path(__file__).resolve().parents[2] / "infra"
_spec = importlib.util.spec_from_file_location("health", INFRA / "health.py")
assert _spec is not None
assert _spec.loader is not None
health = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(health)
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


def test_who_asks_the_history_knows_where_it_is_and_waits_for_it() -> None:
    asking = {name for name, each in COMPOSE["services"].items() if "clickhouse" in each.get("secrets", ())}
    assert asking == {"loader", "console"}
    for service in (COMPOSE["services"][name] for name in asking):
        assert service["environment"]["SEGMA_CLICKHOUSE_URL"] == "http://clickhouse:8123"
        assert service["environment"]["SEGMA_CLICKHOUSE_PASSWORD_FILE"] == "/run/secrets/clickhouse"
        assert set(service["depends_on"]) == {"kafka", "clickhouse"}


def test_our_containers_may_write_their_data_and_nothing_else() -> None:
    for name, service in COMPOSE["services"].items():
        if "build" in service:
            assert (service["read_only"], service["tmpfs"], service["cap_drop"]) == (True, ["/tmp"], ["ALL"]), name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            (home,) = (each for each in service["volumes"] if each.startswith("./home:"))
            assert home.endswith(":ro") == (name != "console"), name


def test_the_image_sets_settings_that_exist() -> None:
    text = (INFRA / "Dockerfile").read_text(encoding="utf-8")
    known = {f"SEGMA_{name.upper()}" for name in CollectorSettings.model_fields}
    assert set(re.findall(r"SEGMA_\w+", text)) - {"SEGMA_UID", "SEGMA_GID"} <= known


def stages() -> list[list[str]]:
    """The Dockerfile's instructions, stage by stage, a line each."""
    text = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", (INFRA / "Dockerfile").read_text(encoding="utf-8")))
    found: list[list[str]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("FROM "):
            found.append([])
        found[-1].append(line)
    return found


def copied(stage: list[str]) -> list[str]:
    """What a stage takes from the checkout."""
    lines = [line.split()[1:-1] for line in stage if line.startswith("COPY ")]
    return [word for words in lines if not words[0].startswith("--from") for word in words]


def test_what_the_image_copies_is_in_the_repository_and_every_room_is_in_it() -> None:
    root = INFRA.parent
    tracked = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout.split()
    for source in (name for stage in stages() for name in copied(stage)):
        assert any(name == source or name.startswith(f"{source}/") for name in tracked), source
    _, rooms, *_ = stages()
    assert set(copied(rooms)) >= {*ROOMS, "infra/clickhouse"}


def test_the_last_stage_has_what_a_deployment_needs_and_nothing_to_build_with() -> None:
    sdk, rooms, sbom, last = stages()
    assert sdk[0] == "FROM node:24-bookworm-slim AS sdk"
    assert "RUN python -m cli compile /rooms" in rooms
    assert "COPY --from=rooms /rooms ./" in last
    assert "COPY --from=sdk /sdk/dist ./sdk" in last  # the sets and the loader too
    assert {"COPY --from=sdk /sbom ./sbom", "COPY --from=sbom /sbom ./sbom"} <= set(last)
    assert [line for line in sbom if "-r requirements.txt" in line] == [
        line for line in last if "-r requirements.txt" in line
    ], "it is asked of the packages that the image gets"
    assert not re.search(r"apt-get|gcc|npm|node", " ".join(last))
    assert {each[0].split()[1] for each in (rooms, sbom, last)} == {"python:3.12-slim-bookworm"}  # one Python for all
    installs = [line for stage in stages() for line in stage if "pip install" in line]
    assert all("--require-hashes --only-binary :all:" in line for line in installs)
    users = [number for number, line in enumerate(last) if line == "USER segma"]
    assert [line for line in last[users[0] :] if not line.startswith(("USER", "ENV", "HEALTHCHECK"))] == []
    assert any(line.startswith("HEALTHCHECK") for line in last)


def test_the_images_user_is_who_wrote_the_secrets() -> None:
    for service in (each for each in COMPOSE["services"].values() if "build" in each):
        assert set(service["build"]["args"]) == {"SEGMA_UID", "SEGMA_GID"}
    *_, last = stages()
    made = next(line for line in last if "useradd" in line)
    assert '--uid "$SEGMA_UID" --gid "$SEGMA_GID"' in made
    # Of the mounted folders the first mount of a volume takes owner and mode.
    mounted = {volume.split(":")[1] for each in COMPOSE["services"].values() for volume in each.get("volumes", ())}
    ours = {path for path in mounted if path.startswith("/home/segma")}
    assert ours == set(re.search(r"install -d .* -m 700 (.*)", made)[1].split())  # type: ignore[index]


def test_the_health_check_asks_each_process_where_it_answers() -> None:
    assert health.url_of(["python", "-m", "collector", ""], {}) == "http://127.0.0.1:8400/ready"
    assert health.url_of(["python", "-m", "console"], {"SEGMA_CONSOLE_PORT": "9"}) == "http://127.0.0.1:9/health"
    assert health.url_of(["python", "-m", "flows"], {}) is None
    loader = ["python", "-m", "analytics", "loader"]
    assert health.url_of(loader, {"SEGMA_LOADER_METRICS_PORT": "8"}) == "http://127.0.0.1:8/metrics"
    assert health.url_of(["python", "-m", "flows"], {"SEGMA_FLOW_METRICS_PORT": "7"}) == "http://127.0.0.1:7/metrics"
    for service in (each for each in COMPOSE["services"].values() if "build" in each):
        assert service["command"][2] in {*health.PORTS, "analytics"}
    with prometheus_client.start_http_server(0, "127.0.0.1")[0] as server:
        port = server.server_address[1]
        assert health.healthy(f"http://127.0.0.1:{port}/metrics")
        server.shutdown()
    assert not health.healthy(f"http://127.0.0.1:{port}/metrics")


def test_the_containers_and_the_script_run_the_same_kafka() -> None:
    pom = (INFRA / "kafka" / "pom.xml").read_text(encoding="utf-8")
    version = COMPOSE["services"]["kafka"]["image"].partition(":")[2]
    assert f"<version>{version}</version>" in pom


def test_the_script_says_how_it_is_used() -> None:
    done = subprocess.run([str(INFRA / "kafka" / "kafka")], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "kafka run DIR [PORT]" in done.stdout
