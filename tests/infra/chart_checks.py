"""What Kubernetes' schemas let pass of a rendered chart is checked here by allowing what is known."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator

from analytics.config import AnalyticsSettings
from cli.__main__ import COMMANDS
from collector.config import CollectorSettings
from console.config import ConsoleSettings
from flows.config import FlowSettings
from sinks.config import SinkSettings
from tests.infra.chart import Document, pods, process_of
from transport.config import Settings

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
SETTINGS: dict[str, tuple[type[Settings], ...]] = {
    "analytics": (AnalyticsSettings,),
    "cli": (AnalyticsSettings,),
    "collector": (CollectorSettings,),
    "console": (ConsoleSettings, AnalyticsSettings),
    "flows": (FlowSettings,),
    "sinks": (SinkSettings,),
}
"""Of each room what its processes read."""


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
            known = {f"SEGMA_{name.upper()}" for kind in SETTINGS[room] for name in kind.model_fields}
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


def told_no_more(documents: list[Document]) -> Iterator[str]:
    """Each secret is mounted where a setting names it, and nowhere else."""
    for workload, pod in pods(documents):
        for container in pod["spec"]["containers"]:
            named = {each["value"].rpartition("/")[0] for each in container["env"] if "/run/" in each.get("value", "")}
            given = {each["mountPath"] for each in container["volumeMounts"] if each["mountPath"].startswith("/run/")}
            if named != given:
                yield f"{workload['metadata']['name']} has {given} and reads {named}"
            if any(not each.get("readOnly") for each in container["volumeMounts"] if each["mountPath"] in given):
                yield f"{workload['metadata']['name']} may write its secrets"


def let_out(documents: list[Document]) -> Iterator[str]:
    """Whoever is told where ClickHouse is may reach it."""
    policies = {each["metadata"]["name"]: each["spec"] for each in documents if each["kind"] == "NetworkPolicy"}
    told = {
        pod["metadata"]["labels"]["app.kubernetes.io/component"]
        for _, pod in pods(documents)
        if "SEGMA_CLICKHOUSE_URL" in {each["name"] for each in pod["spec"]["containers"][0]["env"]}
    }
    if policies and told:
        (chosen,) = policies["segma-history"]["podSelector"]["matchExpressions"]
        if set(chosen["values"]) != told:
            yield f"{told} ask ClickHouse, and {chosen['values']} are let there"


def kept_up(documents: list[Document]) -> Iterator[str]:
    """What runs more than once is not emptied from its nodes at once."""
    kept = [each["spec"]["selector"] for each in documents if each["kind"] == "PodDisruptionBudget"]
    for each in documents:
        if each["kind"] == "StatefulSet" and each["spec"]["selector"] not in kept:
            yield f"{each['metadata']['name']} has no PodDisruptionBudget"


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
    told_no_more,
    let_out,
    kept_up,
    alone,
]
