"""The chart, rendered by a real helm with values of a test's choosing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.infra.helm import helm

CHART = Path(__file__).resolve().parents[2] / "infra" / "helm" / "segma"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))


def configured_with(config: str) -> list[str]:
    return ["--set-json", f"config={json.dumps(config)}"]


FULL = [
    *configured_with(f"{VALUES['config']}      second: {{sink: file}}\n"),
    "--set",
    "collector.url=https://t.example,collector.trustedProxies={10.0.0.0/8},collector.workers=2,"
    "console.url=https://segma.example,networkPolicy.consoleFrom.name=ingress,"
    "clickhouse.url=http://ch:8123,clickhouse.passwordSecret=ch,kafka.security=sasl_ssl,kafka.username=segma,"
    "kafka.passwordSecret=kp,kafka.caSecret=kca,kafka.certificateSecret=kc,podMonitor.enabled=true,traces.endpoint=http://otel:4318/v1/traces,deliver.data.persistent=true,"
    "collector.autoscaling.enabled=false,flow.of=5,accounts={main/mailbox,main/,main/second}",
    "--set-string",
    r"listeners.welcome\.yaml=listener: welcome,files.actions\.yaml=wished: {},settings.SEGMA_KAFKA_GO_ON=true",
]
CASES = {
    "as it is": list[str](),
    "all of it": FULL,
    "to more flows": ["--set", "flow.of=5,flow.rescaleFrom=2"],
    "to fewer flows": ["--set", "flow.of=1,flow.rescaleFrom=3,networkPolicy.enabled=false"],
    "the least": [
        *configured_with("token_keys: {file: secrets/keys}"),
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


def pods(documents: list[Document]) -> Iterator[tuple[Document, Document]]:
    """Each workload with its pod's template."""
    for document in documents:
        if "template" in document.get("spec", {}):
            yield document, document["spec"]["template"]


def process_of(container: Document) -> list[str]:
    """What a container runs; of a shell, what it becomes."""
    command: list[str] = container["command"]
    return command[2].partition("exec ")[2].split() if command[0] == "sh" else command
