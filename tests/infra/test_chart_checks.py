"""Each check of the chart finds the fault that it is for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.chart import CASES, FULL, Document, rendered
from tests.infra.chart_checks import faults

pytestmark = pytest.mark.slow


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


def policy_of(documents: list[Document], name: str) -> Any:
    """What a network policy says."""
    return next(
        each["spec"] for each in documents if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == name
    )


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
        change("segma-loader/spec/template/spec/containers/0/volumeMounts/6/mountPath", "/run/segma/other"),
        change("segma-loader/spec/template/spec/containers/0/volumeMounts/6/readOnly", False),
        lambda documents: documents.remove(next(each for each in documents if each["kind"] == "PodDisruptionBudget")),
        lambda documents: policy_of(documents, "segma-history")["podSelector"]["matchExpressions"][0]["values"].pop(),
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
