"""The SDK's file as it is served: packed for whoever takes it, once for who has it already."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from collector.app import create_app
from collector.codings import coding_for
from collector.config import Bundle, Script, load_bundle
from tests.collector.door import Collector, got

SCRIPT = b"/* sdk */"
PACKED = {"br": b"packed with br", "gzip": b"packed with gzip"}


@pytest.fixture
def collector(tmp_path: Path) -> Collector:
    found = Collector(tmp_path)
    bundle = Bundle(Script(SCRIPT, PACKED), {"clicks": Script(b"/* clicks */")})
    found.core.bundle = bundle
    found.app = create_app(found.core)
    return found


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("GZip;Q=0.5 , BR ; q=0.4", "gzip"),
        ("br;q=0, gzip;q=0.001", "gzip"),
        ("x-gzip", "gzip"),
        ("*", "br"),
        ("*;q=0.5, br;q=0", "gzip"),
        ("br, *;q=0", "br"),
        ("br;q=0.5, identity", "identity"),
        ("br, identity;q=0", "br"),
        ("*;q=0", "identity"),
        ("deflate, zstd", "identity"),
        ("br;q=2, gzip;level=9", "identity"),
        ("brotli, xgzip", "identity"),
        ("", "identity"),
        (None, "identity"),
    ],
)
def test_the_coding_is_the_one_that_the_client_likes_best(accepted: str | None, coding: str) -> None:
    assert coding_for(accepted, ("br", "gzip")) == coding
    assert coding_for(accepted, ()) == "identity"


@pytest.mark.parametrize(
    ("accepted", "coding"), [("gzip, deflate, br, zstd", "br"), ("gzip", "gzip"), ("br;q=0", None), (None, None)]
)
@pytest.mark.parametrize("path", ["/sdk/segma.js", f"/sdk/{Script(SCRIPT).digest}/segma.js"])
def test_the_script_is_served_packed(collector: Collector, path: str, accepted: str | None, coding: str | None) -> None:
    result = got(collector, path, headers={"Accept-Encoding": accepted} if accepted else {})
    assert result.headers.get("Content-Encoding") == coding
    assert result.content == PACKED.get(coding or "", SCRIPT)
    assert result.headers["Vary"] == "Accept-Encoding"


def test_a_script_that_was_not_packed_is_served_as_it_is(collector: Collector) -> None:
    result = got(collector, "/sdk/segma.js", query_string="f=clicks", headers={"Accept-Encoding": "br"})
    assert (result.content, "Content-Encoding" in result.headers) == (b"/* clicks */", False)


def test_who_has_the_script_is_told_so(collector: Collector) -> None:
    tag = got(collector, "/sdk/segma.js", headers={"Accept-Encoding": "br"}).headers["ETag"]
    again = got(collector, "/sdk/segma.js", headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert again.headers["Cache-Control"] == "public, max-age=300"
    assert got(collector, "/sdk/segma.js", headers={"If-None-Match": 'W/"other"'}).content == SCRIPT


def test_only_what_was_packed_of_these_very_bytes_is_taken(tmp_path: Path) -> None:
    for folder in ("sets", "packed"):
        (tmp_path / folder).mkdir()
    (tmp_path / "segma.js").write_bytes(SCRIPT)
    (tmp_path / "sets" / "clicks.js").write_bytes(b"/* clicks */")
    digest = hashlib.sha256(SCRIPT).hexdigest()[:16]
    (tmp_path / "packed" / f"{digest}.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / "packed" / f"{hashlib.sha256(b'before').hexdigest()[:16]}.br").write_bytes(b"of another build")
    bundle = load_bundle(tmp_path / "segma.js")
    assert {coding: gzip.decompress(data) for coding, data in bundle.full.packed.items()} == {"gzip": SCRIPT}
    assert bundle.sets["clicks"].packed == {}
