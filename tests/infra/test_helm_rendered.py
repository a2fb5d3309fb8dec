"""What the chart renders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from contracts.installation import check_installation
from tests.infra.chart import (
    CASES,
    CHART,
    FULL,
    VALUES,
    Document,
    StrictLoader,
    configured_with,
    pods,
    process_of,
    rendered,
    run,
)
from tests.infra.chart_checks import faults

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=CASES)
def documents(request: pytest.FixtureRequest) -> list[Document]:
    return rendered(CASES[request.param])


def test_helm_finds_nothing_to_say() -> None:
    done = run("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_rendered_is_whole(documents: list[Document]) -> None:
    assert faults(documents) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_the_console_asks_every_worker_of_every_collector(workers: int) -> None:
    documents = {
        (each["kind"], each["metadata"]["name"]): each for each in rendered(["--set", f"collector.workers={workers}"])
    }
    service = documents["Service", "segma-collector-metrics"]
    assert service["spec"]["clusterIP"] == "None"
    pod = documents["Deployment", "segma-console"]["spec"]["template"]["spec"]["containers"][0]
    env = {each["name"]: each["value"] for each in pod["env"]}
    ports = range(9100, 9100 + workers)
    urls = [f"http://{service['metadata']['name']}:{port}/metrics" for port in ports]
    assert env["SEGMA_COLLECTOR_METRICS_URLS"] == ",".join(urls)
    opened = {"protocol": "TCP", "port": ports[0], "endPort": ports[-1]}
    collector = documents["StatefulSet", "segma-collector"]["spec"]["selector"]
    console = documents["Deployment", "segma-console"]["spec"]["selector"]
    egress = documents["NetworkPolicy", "segma-console"]["spec"]
    assert (egress["podSelector"], egress["egress"]) == (
        console,
        [{"to": [{"podSelector": collector}], "ports": [opened]}],
    )
    ingress = documents["NetworkPolicy", "segma-collector"]["spec"]
    assert ingress["podSelector"] == collector
    assert {"from": [{"podSelector": console}], "ports": [opened]} in ingress["ingress"]


def test_all_of_it_is_there() -> None:
    names = {each["metadata"]["name"] for each in rendered(FULL)}
    parts = {"collector", "flow", "loader", "console", "topics", "migrate", "deliver-main-mailbox"}
    assert {f"segma-{part}" for part in parts} <= names
    assert {"segma-deliver-main-webhooks", "segma-deliver-main-second"} <= names


def test_the_installation_of_the_example_is_one() -> None:
    installation = check_installation(yaml.safe_load(VALUES["config"]), where="values.yaml")
    own = {f"{name}/{account}" for name, each in installation.workspaces.items() for account in each.accounts}
    assert set(VALUES["accounts"]) == own


def test_no_two_accounts_have_one_delivery() -> None:
    long = "a-very-long-name-that-goes-on-and-on-to"
    own = {
        "a": ["b-c", "b_c", "b", "b-", "webhooks", "b--c"],
        "a-b": ["c", "b"],
        long: [f"{long}1", f"{long}2"],
    }
    accounts = [f"{workspace}/{name}" for workspace, names in own.items() for name in ["", *names]]
    config: Document = {"workspaces": {each: {"accounts": {name: {} for name in names}} for each, names in own.items()}}
    given = ["--set-json", f"accounts={json.dumps(accounts)}", "--set", "flow.of=1,deliver.data.persistent=true"]
    documents = rendered([*configured_with(yaml.safe_dump(config)), *given])
    assert faults(documents) == []
    asked = [process_of(pod["spec"]["containers"][0])[-1] for _, pod in pods(documents)]
    assert set(accounts) <= set(asked)


def test_what_reads_as_another_kind_of_value_stays_text() -> None:
    odd = ["--set-string", "secretName=123,kafka.caSecret=1e3,flow.state.storageClassName=true"]
    done = run("template", "true", str(CHART), *odd, "--set", "podMonitor.enabled=true")
    assert done.returncode == 0, done.stderr
    for document in yaml.load_all(done.stdout, StrictLoader):
        for name, text in texts(document or {}):
            assert isinstance(text, str), f"{document['metadata']['name']}: {name} is {text!r}"


def texts(part: Any) -> Iterator[tuple[str, object]]:
    """What Kubernetes takes as text alone."""
    named = {"name", "secretName", "storageClassName", "value", "claimName", "key", "path"}
    if isinstance(part, list):
        for each in part:
            yield from texts(each)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name in {"labels", "matchLabels", "data"}:
                yield from value.items()
            elif name in named and not isinstance(value, dict):
                yield name, value
            yield from texts(value)


def test_the_monitors_job_is_one_that_the_rules_ask_for() -> None:
    (monitor,) = (each for each in rendered(["--set", "podMonitor.enabled=true"]) if each["kind"] == "PodMonitor")
    (label,) = {pod["metadata"]["labels"][monitor["spec"]["jobLabel"]] for _, pod in pods(rendered([]))}
    rules = yaml.safe_load((CHART.parents[1] / "prometheus" / "segma.rules.yaml").read_text(encoding="utf-8"))
    (down,) = (each for group in rules["groups"] for each in group["rules"] if each.get("alert") == "SegmaProcessDown")
    asked = re.search(r'job=~"([^"]+)"', down["expr"])
    assert asked is not None
    assert re.fullmatch(asked[1], label)


def test_only_secrets_that_count_are_asked_for() -> None:
    commented = f"{VALUES['config']}# once: {{file: secrets/old}}\n"
    keys = {
        each["key"]
        for _, pod in pods(rendered(configured_with(commented)))
        for volume in pod["spec"]["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
        for each in source.get("secret", {}).get("items", ())
    }
    assert keys == {"token-keys", "main"}
    none = rendered([*configured_with("token_keys: {env: KEYS}"), "--set-json", "accounts=[]"])
    assert '"secret":' not in json.dumps([pod["spec"]["volumes"][0] for _, pod in pods(none)])
