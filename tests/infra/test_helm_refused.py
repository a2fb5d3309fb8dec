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
        "clickhouse.url=http://history,clickhouse.passwordSecret=ch",
        "clickhouse.url=https://history:9440,clickhouse.passwordSecret=ch",
        "traces.endpoint=http://otel:4317/v1/traces",
        "kafka.replication=0",
        "clickhouse.user=",
        "clickhouse.database=my-history",
        "clickhouse.url=http://segma:secret@history:8123,clickhouse.passwordSecret=ch",
        "console.url=https://segma.example/console",
        "collector.trustedProxies={0.0.0.0/0}",
        "collector.trustedProxies={ingress}",
        "collector.forwardedHeader=x-real-ip",
        "flow.state.persistent=true",
        "files.secrets/main=text",
        "settings.SEGMA_KAFKA_GOON=text",
        "settings.SEGMA_KAFKA_SERVERS=text",
        "collector.url=t.shop.example",
        r"files.segma\.yaml=text",
        "files.a/../../b=text",
    ],
)
def test_values_that_cannot_be_are_refused(wrong: str) -> None:
    assert run("template", "segma", str(CHART), "--set", wrong).returncode != 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("clickhouse.url=http://ch:8123", "clickhouse.passwordSecret is not"),
        ("kafka.username=segma", "kafka.security is plaintext, which takes no name and password"),
        ("kafka.security=ssl,kafka.passwordSecret=kp", "kafka.security is ssl, which takes no name and password"),
        ("kafka.caSecret=ca", "kafka.security is plaintext, which takes no certificates"),
        ("kafka.certificateSecret=kc", "kafka.security is plaintext, which takes no certificates"),
        ("collector.workers=4", "collector.spool.size is 1Gi, and 4 workers keep up to 1073741824 bytes there"),
        ("collector.spool.size=250M,collector.workers=1", "collector.spool.size is 250M"),
        ("console.url=https://segma.example", "networkPolicy.consoleFrom lets nobody in"),
        ("flow.rescaleFrom=33", "there were never so many flow processes"),
        (r"files.listeners/a\.yaml=x,listeners.a\.yaml=y", "listeners/a.yaml is among `listeners` and among `files`"),
    ],
)
def test_values_that_could_not_work_are_refused_in_a_sentence(values: str, said: str) -> None:
    refused = run("template", "segma", str(CHART), "--set", values)
    assert refused.returncode != 0
    assert said in refused.stderr


@pytest.mark.parametrize(
    "values",
    [
        "clickhouse.url=http://ch:8123,clickhouse.passwordSecret=ch",
        "kafka.security=ssl,kafka.caSecret=ca,kafka.certificateSecret=kc",
        "collector.workers=4,collector.spool.size=1.5Gi",
        "console.url=https://segma.example,networkPolicy.consoleFrom.name=ingress",
        "console.url=https://segma.example,networkPolicy.enabled=false",
    ],
)
def test_what_was_wanting_makes_them_work(values: str) -> None:
    assert rendered(["--set", values])


def test_the_ports_of_what_is_called_are_open() -> None:
    servers = ["--set", r"kafka.servers=kafka:19092\,other:9092"]
    refused = run("template", "segma", str(CHART), *servers)
    assert "kafka.servers has the port 19092, and kafka.ports opens 9092, 9093 alone" in refused.stderr
    assert rendered([*servers, "--set", "kafka.ports={9092,19092}"])
    assert rendered([*servers, "--set", "networkPolicy.enabled=false"])
    assert rendered(["--set", "clickhouse.url=https://history/,clickhouse.passwordSecret=ch,clickhouse.ports={443}"])


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
        ("token_keys: {file: keys}", [], "a secret from keys: a pod has secrets/KEY alone"),
        ("token_keys: {env: KEYS}", [], "the environment variable KEYS, and the chart sets none"),
        ("login: {oidc: {scopes: [openid], client_secret: {env: OIDC}}}", [], "the environment variable OIDC"),
        ("a: [{b: {env: DEEP}}]", [], "the environment variable DEEP"),
        ("workspaces: {main: {actions: own.yaml}}", [], "own.yaml for the actions of main, which is not among `files`"),
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
