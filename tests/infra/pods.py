"""What a rendered chart describes, as processes on this machine: a pod is a folder, and an address on loopback.

A stand-in for a cluster that keeps to what the manifests say: the very commands, variables, mounts and probes. Hooks
run first; a StatefulSet's pods have their number and their claims, and those of another number or another template are
ended by SIGTERM; jobs run beside that and are tried again; a service leads to pods that are ready. A process is nobody
special: what is mounted read-only it cannot write.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

from tests.infra.unprivileged import as_a_user

ROOT: Final = Path(__file__).resolve().parents[2]
OURS: Final = re.compile(r"/(?:home|run)/segma(?=/)")
"""Below these an image of ours, and its manifests, have their files."""
START_S: Final = 120.0
"""How long a probe without a budget of its own is asked."""

Document = dict[str, Any]
Processes = MutableMapping[str, subprocess.Popen[bytes]]


@dataclass(frozen=True)
class Cluster:
    """What all pods share: where claims and logs lie, what Secrets hold, and the ConfigMaps that were applied."""

    folder: Path
    logs: Path
    secrets: Mapping[str, Mapping[str, bytes]]
    sdk: Path
    configs: dict[str, dict[str, str]] = field(default_factory=dict)

    def claim(self, name: str) -> Path:
        """The folder of a claim."""
        return self.folder / "claims" / name


class Pod:
    """One pod of a workload."""

    def __init__(
        self, cluster: Cluster, name: str, template: Document, address: str, claims: Mapping[str, str]
    ) -> None:
        self.cluster, self.name, self.template, self.address = cluster, name, template, address
        (self.container,) = template["spec"]["containers"]
        self._claims = claims
        self.folder = cluster.folder / "pods" / name
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def component(self) -> str:
        """Which of the chart's parts it belongs to."""
        return str(self.template["metadata"]["labels"]["app.kubernetes.io/component"])

    def start(self) -> subprocess.Popen[bytes]:
        """Start its container, on a disk of its own but for its claims."""
        for folder, _, _ in os.walk(self.folder):
            Path(folder).chmod(0o700)
        shutil.rmtree(self.folder, ignore_errors=True)
        for mount in self.container["volumeMounts"]:
            at = Path(self._here(mount["mountPath"]))
            self._mount(mount["name"], at)
            if mount.get("readOnly"):
                for folder, _, _ in os.walk(at, topdown=False):
                    Path(folder).chmod(0o550)
        return self.run_again()

    def run_again(self) -> subprocess.Popen[bytes]:
        """Start its container on what is there, as a kubelet restarts one that ended."""
        command = [self._here(each) for each in self.container["command"]]
        if command[0] == "sh":
            command[-1] = command[-1].replace("exec python ", f"exec {sys.executable} ")
        else:
            command[0] = sys.executable
        with (self.cluster.logs / f"{self.name}.log").open("ab") as output:
            self.process = subprocess.Popen(
                [*as_a_user(), *command],
                env=self._environment(),
                cwd=self.folder,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return self.process

    def tell_to_end(self) -> None:
        """Do as its manifest says before it, and then send a SIGTERM."""
        if (before := self.container.get("lifecycle", {}).get("preStop")) is not None:
            subprocess.run(before["exec"]["command"], check=True, timeout=START_S)
        assert self.process is not None
        self.process.terminate()

    def _here(self, text: str) -> str:
        return OURS.sub(lambda found: f"{self.folder}{found[0]}", text)

    def _environment(self) -> dict[str, str]:
        image = {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "SEGMA_SDK": str(self.cluster.sdk)}
        given = {each["name"]: self._value(each) for each in self.container["env"]}
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TMPDIR": str(self.folder)} | image | given

    def _value(self, variable: Document) -> str:
        if "valueFrom" in variable:
            path = variable["valueFrom"]["fieldRef"]["fieldPath"]
            assert path == "metadata.labels['apps.kubernetes.io/pod-index']", path
            return self.name.rpartition("-")[2]
        # Every interface of a pod is its one address here.
        return self.address if variable["value"] == "0.0.0.0" else self._here(variable["value"])

    def _mount(self, name: str, at: Path) -> None:
        at.parent.mkdir(parents=True, exist_ok=True)
        volumes = {each["name"]: each for each in self.template["spec"]["volumes"]}
        if name in self._claims:
            self.cluster.claim(self._claims[name]).mkdir(parents=True, exist_ok=True)
            at.symlink_to(self.cluster.claim(self._claims[name]))
        elif "persistentVolumeClaim" in volumes[name]:
            claim = self.cluster.claim(volumes[name]["persistentVolumeClaim"]["claimName"])
            assert claim.is_dir(), f"{self.name} waits for {claim.name}, which nobody made"
            at.symlink_to(claim)
        else:
            at.mkdir(parents=True, exist_ok=True)
            for path, data in self._files(volumes[name]):
                (at / path).parent.mkdir(parents=True, exist_ok=True)
                (at / path).write_bytes(data)
                (at / path).chmod(0o440)

    def _files(self, volume: Document) -> Iterator[tuple[str, bytes]]:
        if "secret" in volume:
            yield from self.cluster.secrets[volume["secret"]["secretName"]].items()
        for source in volume.get("projected", {}).get("sources", ()):
            if "configMap" in source:
                config = self.cluster.configs[source["configMap"]["name"]]
                yield from ((each["path"], config[each["key"]].encode()) for each in source["configMap"]["items"])
            else:
                secret, items = self.cluster.secrets[source["secret"]["name"]], source["secret"]["items"]
                given = [each for each in items if each["key"] in secret or not source["secret"].get("optional")]
                yield from ((each["path"], secret[each["key"]]) for each in given)

    def answers(self, kind: str) -> bool:
        """Whether a probe succeeds; one that there is not does."""
        probe = self.container.get(f"{kind}Probe")
        if probe is None:
            return True
        place = probe.get("httpGet") or probe["tcpSocket"]
        port = next(each["containerPort"] for each in self.container["ports"] if each["name"] == place["port"])
        try:
            headers = {each["name"]: each["value"] for each in place.get("httpHeaders", ())}
            answer = requests.get(f"http://{self.address}:{port}{place.get('path', '/')}", headers=headers, timeout=5)
        except requests.RequestException:
            return False
        return "tcpSocket" in probe or answer.ok

    def await_ready(self) -> None:
        """Return when its probes say that it has started and is ready; within the time that they give it."""
        probe = self.container.get("startupProbe", {})
        until = time.monotonic() + max(START_S, probe.get("periodSeconds", 1) * probe.get("failureThreshold", 1))
        while not (self.answers("startup") and self.answers("readiness")):
            assert self.process is not None
            assert self.process.poll() is None, f"{self.name} ended by itself: {self.said()}"
            assert time.monotonic() < until, f"{self.name} is not ready: {self.said()}"
            threading.Event().wait(0.1)

    def end(self) -> None:
        """Wait for the end of one that was told to, within its grace."""
        assert self.process is not None
        assert self.process.wait(self.template["spec"]["terminationGracePeriodSeconds"]) == 0, self.said()

    def said(self) -> str:
        """The end of its output."""
        return (self.cluster.logs / f"{self.name}.log").read_text()[-3_000:]


class Pods:
    """The workloads of one release. ``processes``: told what runs, by the pods' names."""

    def __init__(self, cluster: Cluster, processes: Processes) -> None:
        self._cluster, self._processes = cluster, processes
        self._running: dict[str, Pod] = {}
        # Others may use this machine's loopback for the same: each has a net of its own.
        self._net, self._hosts = f"127.{random.Random().randrange(64, 250)}", 0

    def ready(self, component: str) -> list[Pod]:
        """The pods of a part that are ready, in their order."""
        return [each for each in self._running.values() if each.component == component and each.answers("readiness")]

    def alive(self) -> None:
        """See that every pod runs, and is alive and ready by its own probes."""
        for pod in self._running.values():
            assert pod.process is not None
            assert pod.process.poll() is None, f"{pod.name} ended by itself: {pod.said()}"
            assert pod.answers("liveness"), pod.name
            assert pod.answers("readiness"), pod.name

    def upgrade(self, documents: Sequence[Document]) -> None:
        """Apply what was rendered, and return when all of it is ready (``--wait --wait-for-jobs``)."""

        def of_kind(kind: str) -> list[Document]:
            return [each for each in documents if each["kind"] == kind]

        self._cluster.configs.update({each["metadata"]["name"]: each["data"] for each in of_kind("ConfigMap")})
        for each in of_kind("PersistentVolumeClaim"):
            self._cluster.claim(each["metadata"]["name"]).mkdir(parents=True, exist_ok=True)
        hooks = [each for each in of_kind("Job") if "helm.sh/hook" in each["metadata"].get("annotations", {})]
        for job in sorted(hooks, key=lambda each: int(each["metadata"]["annotations"]["helm.sh/hook-weight"])):
            self._run(job, [])
        scalers = {each["spec"]["scaleTargetRef"]["name"]: each for each in of_kind("HorizontalPodAutoscaler")}
        wanted = {
            pod.name: pod
            for each in of_kind("StatefulSet") + of_kind("Deployment")
            for pod in self._pods_of(each, scalers)
        }
        ending = self._ended(wanted)
        for job in [each for each in of_kind("Job") if each not in hooks]:
            self._run(job, ending)
        for pod in ending:
            pod.end()
        self._start([pod for name, pod in wanted.items() if name not in self._running])

    def _pods_of(self, workload: Document, scalers: Mapping[str, Document]) -> Iterator[Pod]:
        name, spec = workload["metadata"]["name"], workload["spec"]
        count = spec["replicas"] if "replicas" in spec else scalers[name]["spec"]["minReplicas"]
        for index in range(count):
            pod = f"{name}-{index}"
            claims = {
                claim["metadata"]["name"]: f"{claim['metadata']['name']}-{pod}"
                for claim in spec.get("volumeClaimTemplates", ())
            }
            yield Pod(self._cluster, pod, spec["template"], self._address(), claims)

    def _address(self) -> str:
        self._hosts += 1
        return f"{self._net}.{self._hosts // 250}.{self._hosts % 250 + 1}"

    def _ended(self, wanted: Mapping[str, Pod]) -> list[Pod]:
        """Tell those to end that are not wanted any more, or not as they are."""
        ending = [
            pod for name, pod in self._running.items() if name not in wanted or wanted[name].template != pod.template
        ]
        for pod in ending:
            del self._running[pod.name], self._processes[pod.name]
            pod.tell_to_end()
        return ending

    def _start(self, pods: Sequence[Pod]) -> None:
        for pod in pods:
            self._processes[pod.name] = pod.start()
        for pod in pods:
            pod.await_ready()
            self._running[pod.name] = pod

    def _run(self, job: Document, ending: Sequence[Pod]) -> None:
        """Run a job until it succeeds; it may fail as long as pods are still at what it needs."""
        pod = Pod(self._cluster, job["metadata"]["name"], job["spec"]["template"], self._address(), {})
        process = pod.start()
        for each in ending:
            if process.wait(START_S) == 0:
                break
            each.end()
            process = pod.run_again()
        assert process.wait(START_S) == 0, pod.said()
