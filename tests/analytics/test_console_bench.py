"""What the bench of the console's pages makes and asks."""

from __future__ import annotations

import json
import subprocess
import sys

from bench.console import LEFT, addresses
from console.access.table import PAGES
from tests.analytics.embedded import ROOT

SMALL = {"people": 50, "listeners": 2, "days": 2, "events": 2_000, "matches": 40, "rounds": 1, "part-rounds": 1}


def test_every_page_that_is_read_is_asked_for() -> None:
    read = {page.name for page in PAGES if page.method == "GET" and not page.name.startswith("live_")}
    assert {name.partition("?")[0] for name in addresses()} == read - LEFT


def test_the_pages_of_a_small_installation_have_figures() -> None:
    words = [word for name, value in SMALL.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "bench.console", *words, "--json"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    figures = json.loads(ended.stdout or "null")
    assert figures, ended.stderr[-500:]
    pages = {each["name"]: each for each in figures["pages"]}
    assert set(pages) == set(addresses())
    page, as_of = (each for name, each in pages.items() if name.startswith("list_sizes"))
    assert (page["requests"], page["bytes"] > 1_000, page["cpu_ms"] > 0) == (4, True, True)
    assert [part["said"] for part in (*page["parts"], *as_of["parts"])] == ["", "", ""]
    assert all(part["bytes"] > 1_000 for part in as_of["parts"])
    assert 0 < figures["memory_mb"]["idle"] <= figures["memory_mb"]["most"]
