"""Values of the chart that could not work: refused in a sentence, before anything is applied."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.infra.chart import CHART, VALUES, Document, configured_with, rendered, run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "wrong",
    [
        "flow.of=0",
        "flow.of=33",
        "flow.rescaleFrom=2",
        "flow.rescaleFrom=two",
        "flow.partitions=3",
        "accounts={mailbox}",
        "kafka.security=tls",
        "kafka.security=sasl_ssl",
        "collector.resources.limits.memory=lots",
        "image.pullPolicy=Sometimes",
        "kafka.servers=kafka",
        "console.url=segma.example",
        "collector.resources.limits.memory=512m",
        "flow.resources.requests.memory=1024",
        "flow.state.size=10gi",
        "collector.resources.requests.cpu=null",
        "kafka.servers=kafka:9092\\,other:19092",
        "clickhouse.url=http://history",
        "clickhouse.url=https://history:9440",
        "traces.endpoint=http://otel:4317/v1/traces",
    ],
)
def test_values_that_cannot_be_are_refused(wrong: str) -> None:
    assert run("template", "segma", str(CHART), "--set", wrong).returncode != 0


def test_the_ports_of_what_is_called_are_open() -> None:
    servers = ["--set", r"kafka.servers=kafka:19092\,other:9092"]
    refused = run("template", "segma", str(CHART), *servers)
    assert "kafka.servers has the port 19092, and kafka.ports opens 9092, 9093 alone" in refused.stderr
    assert rendered([*servers, "--set", "kafka.ports={9092,19092}"])
    assert rendered([*servers, "--set", "networkPolicy.enabled=false"])
    assert rendered(["--set", "clickhouse.url=https://history/,clickhouse.ports={443}"])


def leaves(values: Document, path: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{path}{name}"
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{name}.")


def test_no_value_of_the_chart_can_be_taken_away_and_leave_a_hole() -> None:
    nothing_asks = ["imagePullSecrets", "nodeSelector", "tolerations", "networkPolicy.metricsFrom.", "storageClassName"]
    nothing_asks += [".persistent", ".resources.requests.", ".resources.limits."]
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    for path in leaves(VALUES):
        if not any(each in path for each in nothing_asks):
            *above, name = path.split(".")
            part = schema
            for each in above:
                part = part["properties"][each]
                part = schema["definitions"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
            assert name in part["required"], path
    refused = run("template", "segma", str(CHART), "--set", "kafka.prefix=null")
    assert refused.returncode != 0
    assert "prefix" in refused.stderr


@pytest.mark.parametrize(
    ("config", "accounts", "said"),
    [
        ("workspaces: {main: {accounts: {a: {}, b: {}}}}", ["main/a"], "config has the account main/b"),
        ("workspaces: {main: {accounts: {a: {}}}}", ["main/a", "main/b"], "`accounts` has main/b"),
        ("workspaces: {main: {accounts: {a: {}}}}", ["main/a", "shop/"], "`accounts` has shop/"),
        ("workspaces: [main", [], "config is no mapping of YAML"),
        ("- main", [], "config is no mapping of YAML"),
        ("token_keys: {file: secrets/keys/first}", [], "no folders"),
    ],
)
def test_a_configuration_whose_moves_nobody_would_deliver_is_refused(
    config: str, accounts: list[str], said: str
) -> None:
    given = [*configured_with(config), "--set-json", f"accounts={json.dumps(accounts)}", "--set", "flow.of=1"]
    refused = run("template", "segma", str(CHART), *given)
    assert refused.returncode != 0
    assert said in refused.stderr


@pytest.mark.parametrize("name", ["7", "1segma", "seg.ma"])
def test_a_release_whose_services_could_have_no_name_is_refused(name: str) -> None:
    refused = run("template", name, str(CHART))
    assert refused.returncode != 0
    assert "the release's name" in refused.stderr


def test_flows_of_a_configuration_that_names_no_partitions_are_bounded_too() -> None:
    config = [*configured_with("token_keys: {file: secrets/keys}"), "--set-json", "accounts=[]"]
    assert run("template", "segma", str(CHART), *config, "--set", "flow.of=4").returncode == 0
    refused = run("template", "segma", str(CHART), *config, "--set", "flow.of=5")
    assert "flow.of is 5 and config has 4 partitions" in refused.stderr
