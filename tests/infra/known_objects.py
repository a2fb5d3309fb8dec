"""The little of a Kubernetes API that a chart's ``lookup`` asks: a server that knows some objects, and their kinds."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

KINDS = {
    "apps/v1": {"Deployment": "deployments", "StatefulSet": "statefulsets"},
    "autoscaling/v2": {"HorizontalPodAutoscaler": "horizontalpodautoscalers"},
    "batch/v1": {"Job": "jobs"},
    "networking.k8s.io/v1": {"NetworkPolicy": "networkpolicies"},
    "policy/v1": {"PodDisruptionBudget": "poddisruptionbudgets"},
    "v1": {"ConfigMap": "configmaps", "PersistentVolumeClaim": "persistentvolumeclaims", "Service": "services"},
}
"""Group and version → kind → its name in a path."""
VERSION = {"major": "1", "minor": "35", "gitVersion": "v1.35.0"}
NOT_FOUND = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}


@contextlib.contextmanager
def knowing(objects: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Serve these objects, as a release ``segma`` made them in the namespace ``default``; the server's address."""
    answers = dict(_discovery())
    for each in objects:
        group, plural = each["apiVersion"], KINDS[each["apiVersion"]][each["kind"]]
        answers[f"{_root(group)}/namespaces/default/{plural}/{each['metadata']['name']}"] = _made(each)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0])
            body = json.dumps(NOT_FOUND if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _made(each: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object with the marks by which Helm knows what is its own."""
    labels = each["metadata"].get("labels", {}) | {"app.kubernetes.io/managed-by": "Helm"}
    owner = {"meta.helm.sh/release-name": "segma", "meta.helm.sh/release-namespace": "default"}
    marks = {"labels": labels, "annotations": owner, "namespace": "default"}
    return {**each, "metadata": {**each["metadata"], **marks}}


def _discovery() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What a client asks first: which groups there are, and which kinds each has."""
    yield "/version", VERSION
    yield "/api", {"kind": "APIVersions", "versions": ["v1"]}
    groups = []
    for group, kinds in KINDS.items():
        name, _, version = group.rpartition("/")
        if name:
            found = {"groupVersion": group, "version": version}
            groups.append({"name": name, "versions": [found], "preferredVersion": found})
        resources = [
            {"name": plural, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": ["get"]}
            for kind, plural in kinds.items()
        ]
        yield (
            _root(group),
            {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": resources},
        )
    yield "/apis", {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _root(group: str) -> str:
    return f"/apis/{group}" if "/" in group else f"/api/{group}"
