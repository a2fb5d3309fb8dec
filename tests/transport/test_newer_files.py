"""Files that a newer release has written: refused in a sentence, and no byte of them is changed."""

from __future__ import annotations

import os
import sqlite3
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from contracts.codec import to_msgpack
from contracts.errors import ConfigError, UnknownTopic
from contracts.log import Outgoing
from contracts.topics import Topic
from transport import open_log
from transport.config import Settings
from transport.spool import LATER_FORM, Spool, check_spools

ROOT = Path(__file__).resolve().parents[2]
TOPIC = Topic("beacons", 1)
CONFIG = """
token_keys: {file: keys}
workspaces: {demo: {secret: {file: secret}, sites: {shop: {key: shop-key}}}}
"""


def frame(content: object) -> bytes:
    data = to_msgpack(content)
    return struct.pack("<II", len(data), zlib.crc32(data)) + data


OLD = frame(["beacons", b"k", b"v", None])
NEWER = {
    "another form": LATER_FORM + b"\x02" + OLD,
    "another form, and nothing else": LATER_FORM,
    "a further field": OLD + frame(["beacons", b"k", b"v", None, 1_800_000_000_000]),
    "a mapping": OLD + frame({"topic": "beacons", "schema": 2}) + OLD,
    "another type": frame(["beacons", "k", b"v", None]) + OLD,
}


@pytest.fixture(params=NEWER)
def newer(request: pytest.FixtureRequest) -> bytes:
    return NEWER[request.param]


@pytest.mark.parametrize("name", ["0.spool", "0.spool.aside"])
def test_a_newer_spool_is_refused_and_kept(tmp_path: Path, newer: bytes, name: str) -> None:
    spool = Spool(tmp_path / "0.spool", 1_000)
    spool.append([Outgoing("beacons", b"k", b"v")])
    spool.close()
    (tmp_path / name).write_bytes(newer)
    (tmp_path / "0.spool.drained").write_bytes(b"1 of 2")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for opens in (lambda: Spool(tmp_path / "0.spool", 1_000), lambda: check_spools(tmp_path)):
        with pytest.raises(ConfigError, match=rf"{name}: was written by a newer release; install that release"):
            opens()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("torn", [b"\0" * 40, OLD[:-1], OLD[:3], b"", OLD[:-1] + b"\xff"])
def test_what_a_crash_left_is_no_newer_release(tmp_path: Path, torn: bytes) -> None:
    # Blocks that a file system had not written yet read as zeros.
    path = tmp_path / "0.spool"
    path.write_bytes(OLD + torn)
    check_spools(tmp_path)
    Spool(path, 1_000).close()
    assert path.read_bytes() == OLD


def test_every_newer_spool_is_named_at_once(tmp_path: Path) -> None:
    for name in ("0.spool", "1.spool", "1.spool.aside"):
        (tmp_path / name).write_bytes(LATER_FORM + b"\x02")
    (tmp_path / "2.spool").write_bytes(OLD)
    with pytest.raises(ConfigError) as refused:
        check_spools(tmp_path)
    assert [Path(each.where).name for each in refused.value.problems] == ["0.spool", "1.spool", "1.spool.aside"]
    check_spools(tmp_path / "nowhere")


@pytest.mark.slow
def test_a_collector_says_so_and_ends(tmp_path: Path) -> None:
    (tmp_path / "segma.yaml").write_text(CONFIG)
    (tmp_path / "secret").write_text("s" * 40)
    (tmp_path / "keys").write_text(f"k1 {'ab' * 64}\n")
    (tmp_path / "sdk.js").write_text("//")
    spool = tmp_path / "data" / "spool" / "0.spool"
    spool.parent.mkdir(parents=True)
    spool.write_bytes(NEWER["a further field"])
    places = {"CONFIG": "segma.yaml", "DATA": "data", "SDK": "sdk.js"}
    settings = {f"SEGMA_{name}": str(tmp_path / place) for name, place in places.items()}
    done = subprocess.run(
        [sys.executable, "-m", "collector"],
        env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "0.spool: was written by a newer release" in done.stderr
    assert "Traceback" not in done.stderr
    assert spool.read_bytes() == NEWER["a further field"]


Change = Callable[[sqlite3.Connection], object]
SAYS_SO: list[Change] = [
    lambda file: file.execute("UPDATE meta SET value = '2' WHERE name = 'schema'"),
    lambda file: file.execute("UPDATE meta SET value = '2.1' WHERE name = 'schema'"),
    lambda file: file.executescript(
        "UPDATE meta SET value = '2' WHERE name = 'schema'; DROP TABLE heads; DROP TABLE positions;"
        "CREATE TABLE heads (partition INTEGER PRIMARY KEY, next_offset INTEGER, epoch INTEGER)"
    ),
]


@pytest.mark.parametrize("change", SAYS_SO)
def test_a_newer_topic_of_the_embedded_log_is_refused_and_kept(tmp_path: Path, change: Change) -> None:
    log = open_log(Settings(data=tmp_path))
    log.ensure([TOPIC])
    log.close()
    path = tmp_path / "log" / "beacons.db"
    with closing(sqlite3.connect(path)) as file, file:
        change(file)
    before = dumped(path)
    log = open_log(Settings(data=tmp_path))
    for asks in (lambda: log.ensure([TOPIC]), log.topics, lambda: log.topic_id("beacons"), lambda: log.end("beacons")):
        with pytest.raises(UnknownTopic, match="written by a newer release"):
            asks()
    log.close()
    assert dumped(path) == before


def dumped(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as file:
        return list(file.iterdump())
