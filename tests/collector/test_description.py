"""The description of the doors (``/openapi.json``) against them: each answer is one that it names, in its form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from collector import app as app_module
from tests.collector.door import NOW_MS, ORIGIN, Collector, got, token

DESCRIBED: Final = yaml.safe_load((Path(app_module.__file__).parent / "openapi.yaml").read_text("utf-8"))
METHODS: Final = ("get", "head", "options", "post")
OPERATIONS: Final = [
    (method, path) for path, item in DESCRIBED["paths"].items() for method in METHODS if method in item
]
PARTS: Final = ("{token}", "{digest}", "{key}", "{workspace}", "{account}", "{secret}")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
EVENT = {"event_id": "e1", "action": "page_viewed", "occurred_at_ms": NOW_MS, "properties": {"path": "/"}}
SOUND = {"site": "shop-key", "device": "d1", "subscriber": "s_a", "sent_at_ms": NOW_MS, "events": [EVENT]}
BODIES = st.one_of(
    st.fixed_dictionaries({}, optional={name: st.just(value) | JSON for name, value in SOUND.items()}).map(json.dumps),
    st.dictionaries(st.sampled_from([*SOUND, "token", "click", "asked", "deferred"]), JSON, max_size=2).map(
        lambda wrong: json.dumps(SOUND | wrong)
    ),
    st.just(json.dumps(SOUND)),
    JSON.map(json.dumps),
    st.text(max_size=40),
)
PLACES = st.sampled_from(["shop", "shop-key", "nobody", token(), token()[:-3], "x.gif", "a b", "é", "%00"]) | st.text(
    min_size=1, max_size=20
).filter(lambda text: "/" not in text and text not in {".", ".."})
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Origin": st.sampled_from([ORIGIN, "https://evil.example", "null"]),
        "Authorization": st.sampled_from(["Bearer server-secret", "Bearer x", "Basic x", ""]),
        "Content-Type": st.sampled_from(["application/json", "text/plain", "application/x-www-form-urlencoded", ""]),
        "Content-Encoding": st.sampled_from(["identity", "gzip", "br"]),
        "User-Agent": st.sampled_from(["Mozilla/5.0 (X11)", "Barracuda Sentinel"]),
    },
)
URLS = st.sampled_from(["https://shop.example/a?b=c#d", "https://evil.example/", "", "javascript:x", "//x"])


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Collector:
    """One collector for all requests of this file."""
    return Collector(tmp_path_factory.mktemp("door"))


def resolved(described: dict[str, Any]) -> dict[str, Any]:
    """A part of the description, where it is only named."""
    found: Any = DESCRIBED
    for part in described.get("$ref", "").split("/")[1:]:
        found = found[part]
    return found if "$ref" in described else described


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_one_that_the_description_names(door: Collector, method: str, path: str) -> None:
    answers = DESCRIBED["paths"][path][method]["responses"]

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
    @given(st.lists(PLACES, min_size=3, max_size=3), BODIES, HEADERS, URLS)
    def asked(places: list[str], body: str, headers: dict[str, str], url: str) -> None:
        target = path
        for name, value in zip(PARTS, places * 2, strict=True):
            target = target.replace(name, quote(value, safe=""))
        sent: dict[str, Any] = {"body": body.encode()} if method == "post" else {"params": {"u": url}}
        result = got(door, target, method=method.upper(), headers=headers, **sent)
        described = resolved(answers[str(result.status_code)])
        for kind, media in described.get("content", {}).items() if method != "head" else ():
            assert result.headers["content-type"].startswith(kind)
            if kind != "application/json":
                continue
            schema = media["schema"] | {"components": DESCRIBED["components"]}
            assert list(Draft202012Validator(schema).iter_errors(json.loads(result.text))) == []

    asked()
