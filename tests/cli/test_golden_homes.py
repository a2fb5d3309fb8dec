"""Homes that earlier builds began: this build goes on with what was under way in them, and repeats no move.

``12064ba.backup`` and ``0.1.0.backup``: of that commit and of that release, by ``segma up``, stopped, and packed by
``segma backup``. In each Ann has looked at shoes, and Bob has looked and added a pair; whoever adds what they looked at
is put into ``hot``.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.cli.test_up import beacon, done, send, up
from tests.e2e.test_demo import free_base

pytestmark = [pytest.mark.alone, pytest.mark.slow]

HOMES = sorted((Path(__file__).parent / "golden_homes").glob("*.backup"))
PATIENCE_S = 60.0


@pytest.mark.parametrize("flows", [1, 3], ids=["as many flows", "more flows at once"])
@pytest.mark.parametrize("backup", HOMES, ids=lambda path: path.stem)
def test_what_was_under_way_goes_on(backup: Path, flows: int, tmp_path: Path) -> None:
    home = tmp_path / "home"
    done(home, "restore", str(backup))
    # Builds of before let others read the data: a start refuses that, in a sentence with this command.
    for path in [home / "data", *(home / "data").rglob("*")]:
        path.chmod(path.stat().st_mode & 0o700)
    token = json.loads(done(home, "link", "demo", "ann@shop.example", "--url", "http://shop.test/", "--json"))["token"]
    hot = home / "data" / "lists" / "demo" / "mailbox" / "hot.txt"
    assert hot.read_text().split() == ["bob@shop.example"]
    if flows != 1:
        done(home, "flow", "rescale", "--from", "1", "--to", str(flows))
    with up(home, free_base(), "--flows", str(flows)) as (_, addresses):
        send(
            addresses, beacon(9, "product_added", token=token, device="device-of-ann", properties={"category": "shoes"})
        )
        until = time.monotonic() + PATIENCE_S
        while "ann@" not in hot.read_text():
            assert time.monotonic() < until
            time.sleep(0.05)
    changed = [json.loads(line)["changed"] for line in (hot.parent / "calls.ndjson").read_text().splitlines()]
    assert changed == [["+hot"], ["+hot"]]
    assert sorted(hot.read_text().split()) == ["ann@shop.example", "bob@shop.example"]
