"""What the chart renders."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.init import init_command
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
from tests.infra.chart_checks import SETTINGS, faults

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


def test_what_init_writes_is_an_installation_of_the_chart(tmp_path: Path) -> None:
    init_command.main(["--home", str(tmp_path), "--origin", "https://shop.example"], standalone_mode=False)
    documents = rendered(["--set-file", f"config={tmp_path / 'segma.yaml'}"])
    assert faults(documents) == []
    assert secret_keys(documents) == {each.name for each in (tmp_path / "secrets").iterdir()}


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
    odd = ["--set-string", "secretName=123,kafka.security=ssl,kafka.caSecret=1e3,flow.state.storageClassName=true"]
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


def test_the_readmes_command_makes_the_rules_an_object_of_the_operators() -> None:
    readme = (CHART.parent / "README.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^\$ (\(printf .*PrometheusRule.*\)) \| kubectl apply -f -$", readme, re.MULTILINE)
    made = subprocess.run(["sh", "-c", command], cwd=CHART.parents[2], capture_output=True, text=True, check=True)
    rule, rules = yaml.safe_load(made.stdout), CHART.parents[1] / "prometheus" / "segma.rules.yaml"
    assert rule["kind"] == "PrometheusRule"
    assert rule["spec"] == yaml.safe_load(rules.read_text(encoding="utf-8"))


def test_only_secrets_that_count_are_asked_for() -> None:
    commented = f"{VALUES['config']}# once: {{file: secrets/old}}\n"
    assert secret_keys(rendered(configured_with(commented))) == {"token-keys", "main", "console-users.json"}


def secret_keys(documents: list[Document]) -> set[str]:
    """The keys of the Secret that pods ask for."""
    return {
        each["key"]
        for _, pod in pods(documents)
        for volume in pod["spec"]["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
        for each in source.get("secret", {}).get("items", ())
    }


def container_of(documents: list[Document], name: str) -> Document:
    """The container of a workload."""
    (found,) = (pod["spec"]["containers"][0] for each, pod in pods(documents) if each["metadata"]["name"] == name)
    return dict(found)


def environment_of(documents: list[Document], name: str) -> dict[str, str]:
    """The variables of a workload that have a value of their own."""
    return {each["name"]: each["value"] for each in container_of(documents, name)["env"] if "value" in each}


def test_the_console_has_its_users_from_the_secret_if_it_has_any_and_nobody_else_has_them() -> None:
    found = {
        each["metadata"]["name"]: source["secret"].get("optional")
        for each, pod in pods(rendered([]))
        for source in pod["spec"]["volumes"][0]["projected"]["sources"]
        if "console-users.json" in json.dumps(source)
    }
    assert found == {"segma-console": True}


@pytest.mark.parametrize("part", ["console", "loader", "migrate"])
def test_who_asks_the_history_knows_where_it_is(part: str) -> None:
    env = environment_of(rendered(FULL), f"segma-{part}")
    assert env["SEGMA_CLICKHOUSE_URL"] == "http://ch:8123"
    assert env["SEGMA_CLICKHOUSE_PASSWORD_FILE"] == "/run/segma/clickhouse/password"


def test_a_proxy_may_come_to_the_console_where_one_is_named() -> None:
    def let_in(*values: str) -> object:
        (found,) = (
            each["spec"]
            for each in rendered(list(values))
            if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == "segma-console"
        )
        return found.get("ingress")

    assert let_in() is None
    proxies = {"namespaceSelector": {"matchLabels": {"name": "ingress"}}}
    opened = [{"from": [proxies], "ports": [{"protocol": "TCP", "port": 8401}]}]
    assert let_in("--set", "networkPolicy.consoleFrom.name=ingress") == opened


def test_collectors_believe_the_proxies_that_are_named() -> None:
    assert "SEGMA_TRUSTED_PROXIES" not in environment_of(rendered([]), "segma-collector")
    given = ["--set", "collector.trustedProxies={10.0.0.0/8,fd00::/8},collector.forwardedHeader=forwarded"]
    env = environment_of(rendered(given), "segma-collector")
    assert (env["SEGMA_TRUSTED_PROXIES"], env["SEGMA_FORWARDED_HEADER"]) == ("10.0.0.0/8,fd00::/8", "forwarded")


def test_a_service_that_is_reached_from_outside_shows_the_visitors_addresses() -> None:
    def service(*values: str) -> Document:
        documents = rendered([word for each in values for word in ("--set-string", each)])
        (found,) = (
            each for each in documents if each["kind"] == "Service" and each["metadata"]["name"] == "segma-collector"
        )
        return found

    assert "externalTrafficPolicy" not in service()["spec"]  # Kubernetes refuses it there
    outside = service("collector.service.type=LoadBalancer", "collector.service.annotations.kind=nlb")
    assert outside["spec"]["externalTrafficPolicy"] == "Local"
    assert outside["metadata"]["annotations"] == {"kind": "nlb"}


def test_a_collector_goes_on_while_visitors_are_still_sent_to_it() -> None:
    documents = rendered([])
    (grace,) = {pod["spec"]["terminationGracePeriodSeconds"] for _, pod in pods(documents)}
    (_, seconds) = container_of(documents, "segma-collector")["lifecycle"]["preStop"]["exec"]["command"]
    assert int(seconds) + 10 <= grace  # within ten seconds every process drains


def test_an_account_that_writes_to_its_disk_has_one() -> None:
    accounts = "{main: {accounts: {mailbox: {sink: file}, shop: {sink: mailchimp}}}}"
    config = configured_with(f"token_keys: {{file: secrets/keys}}\npartitions: 4\nworkspaces: {accounts}")
    documents = rendered([*config, "--set", "accounts={main/mailbox,main/shop,main/}"])
    assert faults(documents) == []
    claims = [each["metadata"]["name"] for each in documents if each["kind"] == "PersistentVolumeClaim"]
    assert claims == ["segma-deliver-main-mailbox"]


def test_a_rollback_brings_the_configuration_of_then_along() -> None:
    (config,) = (each for each in rendered([]) if each["kind"] == "ConfigMap")
    hooks = {"pre-install", "pre-upgrade", "pre-rollback"}
    assert set(config["metadata"]["annotations"]["helm.sh/hook"].split(",")) == hooks


def test_further_files_lie_where_the_configuration_looks_for_them() -> None:
    files = {"actions.yaml": "wished: {}\n", "shop/listeners/a.yaml": "listener: a\n"}
    documents = rendered(["--set-json", f"files={json.dumps(files)}"])
    assert faults(documents) == []
    (config,) = (each["data"] for each in documents if each["kind"] == "ConfigMap")
    for _, pod in pods(documents):
        items = pod["spec"]["volumes"][0]["projected"]["sources"][0]["configMap"]["items"]
        placed = {each["path"]: config[each["key"]] for each in items if each["path"] != "segma.yaml"}
        assert placed == files


def test_the_monitor_has_the_labels_by_which_it_is_chosen() -> None:
    documents = rendered(["--set", "podMonitor.enabled=true,podMonitor.labels.release=prometheus"])
    (monitor,) = (each for each in documents if each["kind"] == "PodMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


@pytest.mark.parametrize("workers", [1, 3])
def test_every_worker_of_a_collector_is_scraped(workers: int) -> None:
    documents = rendered(["--set", f"collector.workers={workers},podMonitor.enabled=true"])
    (monitor,) = (each for each in documents if each["kind"] == "PodMonitor")
    named = {each["name"]: each["containerPort"] for each in container_of(documents, "segma-collector")["ports"]}
    scraped = [named[each["port"]] for each in monitor["spec"]["podMetricsEndpoints"]]
    assert scraped == list(range(9100, 9100 + workers))
    (closed,) = (each["spec"] for each in documents if each["metadata"]["name"] == "segma-closed")
    assert closed["ingress"][0]["ports"] == [{"protocol": "TCP", "port": 9100, "endPort": 9099 + workers}]


NOT_IN_A_CLUSTER = {
    "SEGMA_CLICKHOUSE_MEMORY_BYTES",  # of the embedded ClickHouse
    "SEGMA_CLICKHOUSE_PORT",
    "SEGMA_CLICKHOUSE_QUERY_S",
    "SEGMA_COLLECTOR_PORT",  # a container's ports are its own
    "SEGMA_CONSOLE_PORT",
    "SEGMA_CONSOLE_SHOP_PORT",  # the demo's
    "SEGMA_MIGRATIONS",  # the image's
    "SEGMA_PROXY_PROTOCOL",  # no probe begins with a PROXY header
    "SEGMA_SDK",
}


def test_every_setting_is_the_charts_or_may_be_given() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    given = set(schema["properties"]["settings"]["propertyNames"]["enum"])
    own = {each["name"] for _, pod in pods(rendered(FULL)) for each in pod["spec"]["containers"][0]["env"]}
    known = {f"SEGMA_{name.upper()}" for kinds in SETTINGS.values() for kind in kinds for name in kind.model_fields}
    assert given | own | NOT_IN_A_CLUSTER == known
    assert given & own == {"SEGMA_KAFKA_GO_ON"}  # as FULL says
    assert not NOT_IN_A_CLUSTER & (given | own)


def test_the_console_shows_the_address_by_which_browsers_reach_the_collector() -> None:
    assert environment_of(rendered(FULL), "segma-console")["SEGMA_COLLECTOR_URL"] == "https://t.example"
