"""The judge of requests: openapi-core against the vendors' own descriptions (``../shared/specs``), nothing of ours.

The folder is named by ``SEGMA_SPECS``; by default it is looked for beside the checkout. Where it is missing a test is
skipped with a sentence, and on CI it fails.
"""

from __future__ import annotations

import functools
import json
import os
import re
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

ROOT = Path(__file__).resolve().parents[3]
_judging = threading.Lock()
UNDESCRIBED = (
    (("listmonk", "PATCH"), r"/api/subscribers/\d+"),
    (("listmonk", "POST"), r"/api/subscribers/\d+/optin"),
    (("customerio", "GET"), r"/v1/customers"),
    (("customerio", "POST"), r"/v1/customers/attributes"),
    (("customerio", "GET"), r"/api/v1/accounts/region"),
    (("iterable", "GET"), r"/api/channels"),
    (("dotdigital", "GET"), r"/v2/data-fields"),
    (("dotdigital", "POST"), r"/v2/data-fields"),
    (("dotdigital", "GET"), r"/v2/account-info"),
    (("campaignmonitor", "GET"), r"/api/v3.3/clients/c+/suppressionlist.json"),
)
"""Calls that a description leaves out: the platform itself was seen to have them (listmonk 6.2), or its own reference
has them (Customer.io's `getPeopleEmail`, `getPeopleById`, `getRegion`, Iterable's `channels`,
Dotdigital's `get-account-information` and data fields, Campaign Monitor's suppression list, as of 2026-11-30)."""


def specs() -> Path:
    """The folder of descriptions; skips (fails on CI) where it is not there."""
    named = os.environ.get("SEGMA_SPECS")
    found = Path(named) if named else ROOT.parent / "shared" / "specs"
    if not (found / "README.md").exists():
        said = f"the email platforms' descriptions are not in {found}: name their folder in SEGMA_SPECS"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    return found


@functools.cache
def description(platform: str) -> OpenAPI:
    """A platform's description, strict: a body's property that it does not name is a mistake."""
    (path,) = (each for each in specs().glob("*.yaml") if each.stem.replace("-", "") == platform)
    document = yaml.load(path.read_text("utf-8"), Loader=_LOADER)
    seen: set[str] = set()
    for item in document["paths"].values():
        for operation in item.values():
            for media in operation.get("requestBody", {}).get("content", {}).values():
                _close(document, media["schema"], seen)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return OpenAPI.from_dict(document)


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _close(document: dict[str, Any], schema: dict[str, Any], seen: set[str]) -> None:
    """Refuse unnamed properties below a schema; composed objects stay open."""
    if "$ref" in schema:
        if schema["$ref"] not in seen:
            seen.add(schema["$ref"])
            target: Any = document
            for part in schema["$ref"][2:].split("/"):
                target = target[part]
            _close(document, target, seen)
        return
    if schema.get("properties") and not {"additionalProperties", "allOf", "anyOf", "oneOf"} & set(schema):
        schema["additionalProperties"] = False
    for sub in [*schema.get("properties", {}).values(), schema.get("items"), *schema.get("oneOf", [])]:
        if isinstance(sub, dict):
            _close(document, sub, seen)


class _Request:
    """The request protocol of openapi-core."""

    def __init__(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
        parts = urlsplit(target)
        self.host_url, self.path, self.method = "http://127.0.0.1", parts.path, method.lower()
        self.body = body or None
        self.content_type = headers.get("Content-Type", "")
        query: Any = ImmutableMultiDict(parse_qsl(parts.query, keep_blank_values=True))
        self.parameters = RequestParameters(query=query, header=Headers(dict(headers)), cookie=ImmutableMultiDict())


def verdict(platform: str, method: str, target: str, headers: Mapping[str, str], body: bytes) -> str | None:
    """What is wrong with a request; None: nothing."""
    api = description(platform)
    if any(each == (platform, method) and re.fullmatch(path, urlsplit(target).path) for each, path in UNDESCRIBED):
        return None
    try:
        with _judging, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            api.validate_request(_Request(method, target, headers, body))
    except Exception as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        details = getattr(cause, "schema_errors", None)
        told = "; ".join(each.message for each in details) if details else str(cause)
        return f"{platform} {method} {target}: {type(error).__name__}: {told} {json.dumps(body.decode())[:300]}"
    return None
