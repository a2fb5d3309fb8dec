"""The chart, rendered by a real helm: what Kubernetes' schemas let pass is checked here by allowing what is known."""

from __future__ import annotations

import copy
import importlib.util
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from analytics.config import AnalyticsSettings
from cli.__main__ import COMMANDS
from collector.config import CollectorSettings
from console.config import ConsoleSettings
from contracts.installation import check_installation
from flows.config import FlowSettings
from sinks.config import SinkSettings
from tests.infra.helm import helm
from transport.config import Settings

pytestmark = pytest.mark.slow

CHART = Path(__file__).resolve().parents[2] / "infra" / "helm" / "segma"
KINDS = {
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("batch/v1", "Job"),
    ("monitoring.coreos.com/v1", "PodMonitor"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("v1", "ConfigMap"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Service"),
}
"""A schema check passes a kind that it does not know, also one that is only misspelt."""
SETTINGS: dict[str, type[Settings]] = {
    "analytics": AnalyticsSettings,
    "cli": AnalyticsSettings,
    "collector": CollectorSettings,
    "console": ConsoleSettings,
    "flows": FlowSettings,
    "sinks": SinkSettings,
}
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


def configured_with(config: str) -> list[str]:
    return ["--set-json", f"config={json.dumps(config)}"]


FULL = [
    *configured_with(f"{VALUES['config']}      second: {{sink: file}}\n"),
    "--set",
    "clickhouse.url=http://ch:8123,clickhouse.passwordSecret=ch,kafka.security=sasl_ssl,kafka.username=segma,"
    "kafka.passwordSecret=kp,kafka.caSecret=kca,podMonitor.enabled=true,traces.endpoint=http://otel:4318/v1/traces,deliver.data.persistent=true,"
    "collector.autoscaling.enabled=false,flow.of=5,accounts={main/mailbox,main/,main/second}",
    "--set-string",
    r"listeners.welcome\.yaml=listener: welcome",
]
CASES = {
    "as it is": list[str](),
    "all of it": FULL,
    "to more flows": ["--set", "flow.of=5,flow.rescaleFrom=2"],
    "to fewer flows": ["--set", "flow.of=1,flow.rescaleFrom=3,networkPolicy.enabled=false"],
    "the least": [
        *configured_with("token_keys: {env: KEYS}"),
        *("--set", "console.enabled=false", "--set-json", "accounts=[]"),
    ],
}

Document = dict[str, Any]


class StrictLoader(yaml.SafeLoader):
    """YAML in which a key stands once: helm and the schemas take the last of two."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"{node.start_mark}: {twice} twice"
        return super().construct_mapping(node, deep)


def rendered(words: list[str]) -> list[Document]:
    done = run("template", "segma", str(CHART), *words)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.load_all(done.stdout, StrictLoader) if each]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(helm()), *words], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module", params=CASES)
def documents(request: pytest.FixtureRequest) -> list[Document]:
    return rendered(CASES[request.param])


def pods(documents: list[Document]) -> Iterator[tuple[Document, Document]]:
    """Each workload with its pod's template."""
    for document in documents:
        if "template" in document.get("spec", {}):
            yield document, document["spec"]["template"]


def faults(documents: list[Document]) -> list[str]:
    """What is wrong with a rendered chart."""
    return [f"{check.__name__}: {text}" for check in CHECKS for text in check(documents)]


def named_once(documents: list[Document]) -> Iterator[str]:
    names = [(each["kind"], each["metadata"]["name"]) for each in documents]
    yield from (f"{name} twice" for name in set(names) if names.count(name) > 1)
    for _, name in names:
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name):
            yield f"{name} is no name"


def of_known_kinds(documents: list[Document]) -> Iterator[str]:
    yield from (str(each) for each in {(each["apiVersion"], each["kind"]) for each in documents} - KINDS)


def selected(documents: list[Document]) -> Iterator[str]:
    labels = [pod["metadata"]["labels"] for _, pod in pods(documents)]
    for each in documents:
        selector = each.get("spec", {}).get("selector") or each.get("spec", {}).get("podSelector")
        if selector is None:
            continue
        wanted = selector.get("matchLabels", {}) if each["kind"] != "Service" else selector
        hits = [own for own in labels if wanted.items() <= own.items()]
        if not wanted or not hits:
            yield f"{each['kind']} {each['metadata']['name']} selects nothing"
        if each["kind"] in {"Deployment", "StatefulSet"} and hits != [each["spec"]["template"]["metadata"]["labels"]]:
            yield f"{each['metadata']['name']} selects the pods of others"


def mounted(documents: list[Document]) -> Iterator[str]:
    configs = {each["metadata"]["name"]: set(each["data"]) for each in documents if each["kind"] == "ConfigMap"}
    claims = {each["metadata"]["name"] for each in documents if each["kind"] == "PersistentVolumeClaim"}
    before, _ = moved(documents)
    claims |= {f"data-segma-flow-{index}" for index in range(before)}  # the StatefulSet made them
    for workload, pod in pods(documents):
        volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
        made = {each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", ())}
        mounts = {each["name"] for container in pod["spec"]["containers"] for each in container["volumeMounts"]}
        if mounts != set(volumes) | made or made & set(volumes):
            yield f"{workload['metadata']['name']} mounts {mounts}, has {set(volumes) | made}"
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume and volume["persistentVolumeClaim"]["claimName"] not in claims:
                yield f"{workload['metadata']['name']} claims what nobody makes"
            for source in volume.get("projected", {}).get("sources", ()):
                if "configMap" in source:
                    keys = {each["key"] for each in source["configMap"]["items"]}
                    if keys != configs.get(source["configMap"]["name"]):
                        yield f"{workload['metadata']['name']} takes {keys} of a config that has others"


def confined(documents: list[Document]) -> Iterator[str]:
    for workload, pod in pods(documents):
        name, spec = workload["metadata"]["name"], pod["spec"]
        if spec["automountServiceAccountToken"] is not False or not spec["securityContext"]["runAsNonRoot"]:
            yield f"{name} runs as who it need not be"
        for container in spec["containers"]:
            wanted = {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            if spec["securityContext"]["fsGroupChangePolicy"] != "OnRootMismatch":
                yield f"{name} would have its data opened to the group at each start"
            if container["securityContext"] != wanted:
                yield f"{name} may more than it must"
            if not container["resources"]["requests"] or "memory" not in container["resources"]["limits"]:
                yield f"{name} has no bounds"


def process_of(container: Document) -> list[str]:
    """What a container runs; of a shell, what it becomes."""
    command: list[str] = container["command"]
    return command[2].partition("exec ")[2].split() if command[0] == "sh" else command


def configured(documents: list[Document]) -> Iterator[str]:
    for workload, pod in pods(documents):
        for container in pod["spec"]["containers"]:
            python, flag, room, *words = process_of(container)
            if (python, flag) != ("python", "-m") or importlib.util.find_spec(f"{room}.__main__") is None:
                yield f"{container['command']} is no process of ours"
                continue
            if room == "cli" and words[0] not in COMMANDS:
                yield f"there is no command {words[0]}"
            given = [each["name"] for each in container["env"]]
            known = {f"SEGMA_{name.upper()}" for name in SETTINGS[room].model_fields}
            unknown = set(given) - known - {"SEGMA_METRICS_HOST"}
            if unknown or len(given) != len(set(given)):
                yield f"{workload['metadata']['name']} sets {unknown or given}"
            for each in container["env"]:
                path = each.get("value", "")
                roots = tuple(mount["mountPath"] for mount in container["volumeMounts"])
                if path.startswith("/") and not path.startswith(roots):
                    yield f"{each['name']} names {path}, which is not mounted"


def asked(documents: list[Document]) -> Iterator[str]:
    """Probes and services go to ports that are there, and to paths that the process answers."""
    for workload, pod in pods(documents):
        for container in pod["spec"]["containers"]:
            ports = {each["name"] for each in container.get("ports", ())}
            for probe in (container.get(f"{kind}Probe") for kind in ("startup", "readiness", "liveness")):
                place = (probe or {}).get("httpGet") or (probe or {}).get("tcpSocket")
                if place and (
                    place["port"] not in ports or place.get("path", "/health") not in {"/health", "/ready", "/metrics"}
                ):
                    yield f"{workload['metadata']['name']} is asked at {place}"
            if ports and "readinessProbe" not in container:
                yield f"{workload['metadata']['name']} is ready before it is"


def moved(documents: list[Document]) -> tuple[int, int]:
    """From how many flow processes to how many the states are moved; 0: they are not."""
    commands = (" ".join(process_of(each["spec"]["containers"][0])) for _, each in pods(documents))
    found = next(filter(None, (re.search(r"rescale --from (\d+) --to (\d+)", each) for each in commands)), None)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def given_each_volume(documents: list[Document]) -> Iterator[str]:
    """A job that moves states has the volume of each process under its number, and nobody works on them meanwhile."""
    before, after = moved(documents)
    if not before:
        return
    (job,) = (each for each in documents if each["kind"] == "Job" and "rescale" in each["metadata"]["name"])
    pod = job["spec"]["template"]["spec"]
    places = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
    found = {
        places.get(each["name"]): each["persistentVolumeClaim"]["claimName"]
        for each in pod["volumes"]
        if "persistentVolumeClaim" in each
    }
    own = process_of(pod["containers"][0])[-3].removesuffix("/{}/own")
    if found != {f"{own}/{index}": f"data-segma-flow-{index}" for index in range(max(before, after))}:
        yield f"the job has {found}"
    new = [
        each for each in documents if each["kind"] == "PersistentVolumeClaim" and "-flow-" in each["metadata"]["name"]
    ]
    if [each["metadata"]["name"] for each in new] != [f"data-segma-flow-{index}" for index in range(before, after)]:
        yield f"claims are made for {[each['metadata']['name'] for each in new]}"
    (flow,) = (each for each in documents if each["kind"] == "StatefulSet" and "-flow" in each["metadata"]["name"])
    (claim,) = flow["spec"]["volumeClaimTemplates"]
    if any(each["spec"] != claim["spec"] for each in new):
        yield "a new volume is not as those of the StatefulSet"
    if any(each["metadata"]["annotations"] != {"helm.sh/resource-policy": "keep"} for each in new):
        yield "the next upgrade removes a volume with its states"
    if (flow["spec"]["replicas"], claim["metadata"]["name"]) != (0, "data"):
        yield "flows run while their states are moved"


def indexed(documents: list[Document]) -> Iterator[str]:
    """There are as many flow processes as each of them believes, and each knows its own number."""
    for workload, pod in pods(documents):
        env = {each["name"]: each for each in pod["spec"]["containers"][0]["env"]}
        if "SEGMA_FLOW_OF" not in env:
            continue
        wanted = "0" if moved(documents)[0] else env["SEGMA_FLOW_OF"]["value"]
        if workload["kind"] != "StatefulSet" or str(workload["spec"]["replicas"]) != wanted:
            yield f"{workload['spec'].get('replicas')} flows, which believe {env['SEGMA_FLOW_OF']['value']}"
        field = env["SEGMA_FLOW_INDEX"].get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        if field != "metadata.labels['apps.kubernetes.io/pod-index']":
            yield "a flow's index is not its ordinal"


def alone(documents: list[Document]) -> Iterator[str]:
    """What must not run twice is ended before it is begun again."""
    for workload, pod in pods(documents):
        room = process_of(pod["spec"]["containers"][0])[2]
        spec = workload["spec"]
        if room in {"sinks", "analytics"} and (spec.get("replicas"), spec.get("strategy")) != (1, {"type": "Recreate"}):
            yield f"{workload['metadata']['name']} could run twice"


CHECKS: list[Callable[[list[Document]], Iterator[str]]] = [
    named_once,
    of_known_kinds,
    selected,
    mounted,
    confined,
    configured,
    asked,
    indexed,
    given_each_volume,
    alone,
]


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


@pytest.mark.parametrize("name", ["7", "1segma", "seg.ma"])
def test_a_release_whose_services_could_have_no_name_is_refused(name: str) -> None:
    refused = run("template", name, str(CHART))
    assert refused.returncode != 0
    assert "the release's name" in refused.stderr


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


def test_flows_of_a_configuration_that_names_no_partitions_are_bounded_too() -> None:
    config = [*configured_with("token_keys: {file: secrets/keys}"), "--set-json", "accounts=[]"]
    assert run("template", "segma", str(CHART), *config, "--set", "flow.of=4").returncode == 0
    refused = run("template", "segma", str(CHART), *config, "--set", "flow.of=5")
    assert "flow.of is 5 and config has 4 partitions" in refused.stderr


def change(path: str, value: object) -> Callable[[list[Document]], None]:
    """Set what stands at a path of the first collector or flow document that has it."""

    def apply(documents: list[Document]) -> None:
        kind, *steps = path.split("/")
        target: Any = next(
            each for each in documents if each["metadata"]["name"] == kind and "template" in each["spec"]
        )
        for step in steps[:-1]:
            target = target[int(step) if step.isdigit() else step]
        target[int(steps[-1]) if steps[-1].isdigit() else steps[-1]] = value

    return apply


@pytest.mark.parametrize(
    "breaks",
    [
        change("segma-flow/kind", "StatefullSet"),
        change("segma-flow/spec/replicas", 3),
        change("segma-collector/spec/selector/matchLabels", {"app.kubernetes.io/component": "flow"}),
        change("segma-collector/spec/volumeClaimTemplates/0/metadata/name", "spool"),
        change("segma-collector/spec/template/spec/containers/0/securityContext/readOnlyRootFilesystem", False),
        change("segma-collector/spec/template/spec/containers/0/env/0/name", "SEGMA_CONFIGURATION"),
        change("segma-collector/spec/template/spec/containers/0/readinessProbe/httpGet/path", "/alive"),
        change("segma-loader/spec/strategy", {"type": "RollingUpdate"}),
        change("segma-topics/spec/template/spec/containers/0/command/2", "exec python -m cli topic create"),
    ],
)
def test_each_check_finds_its_fault(breaks: Callable[[list[Document]], None]) -> None:
    documents = copy.deepcopy(rendered(FULL))
    breaks(documents)
    assert faults(documents)


RESCALE = "segma-flow-rescale-1"


@pytest.mark.parametrize(
    "breaks",
    [
        change("segma-flow/spec/replicas", 5),
        change("segma-flow/spec/volumeClaimTemplates/0/metadata/name", "state"),
        change("segma-flow/spec/volumeClaimTemplates/0/spec/accessModes", ["ReadWriteMany"]),
        change(f"{RESCALE}/spec/template/spec/volumes/4/persistentVolumeClaim/claimName", "data-segma-flow-0"),
        change(f"{RESCALE}/spec/template/spec/containers/0/volumeMounts/4/mountPath", "/home/segma/volumes/0"),
        change(f"{RESCALE}/spec/template/spec/containers/0/volumeMounts/7/name", "tmp"),
        lambda documents: documents.remove(next(each for each in documents if each["kind"] == "PersistentVolumeClaim")),
    ],
)
def test_each_check_of_a_rescale_finds_its_fault(breaks: Callable[[list[Document]], None]) -> None:
    documents = copy.deepcopy(rendered(CASES["to more flows"]))
    assert faults(documents) == []
    breaks(documents)
    assert faults(documents)
