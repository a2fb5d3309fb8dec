"""What the browser SDK costs a page in Firefox: synchronous milliseconds a click, beside the empty page and the peers.

``./segma bench sdk_firefox`` opens the pages of ``segma bench sdk`` in Debian's ``firefox-esr`` and prints, less the
empty page's of the same round, the mean of all clicks. Rounds alternate. Firefox throttles no processor, so its figures
stand beside the limit as they are; its clock is set to full precision.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from bench.sdk import EMPTY, LIMITS, OURS, built, serving
from tests.sdk.engines import Tab
from tests.sdk.engines.firefox import Firefox

NEEDS: Final = ("firefox",)
LIMIT_MS: Final = LIMITS["sync_ms"]
WARM: Final = 20
"""Clicks ahead of those that count: whatever is compiled or looked up at first."""


def click_ms(tab: Tab, url: str, clicks: int) -> float:
    """Synchronous milliseconds of one click on a page, the mean of one round."""
    tab.open(url)
    tab.until("!!window.tell")
    press(tab, WARM)
    tab.run("window.spent = 0, window.frames_ = [], true")
    press(tab, clicks)
    return float(tab.run("window.spent")) / clicks


def press(tab: Tab, times: int) -> None:
    """Click so many times, each behind the frame of the one before, as a person does."""
    for number in range(1, times + 1):
        tab.click("#press")
        tab.until(f"window.frames_.length >= {number}")


@click.command()
@click.option(
    "--clicks", type=click.IntRange(20), default=400, show_default=True, help="Of each page, over all rounds."
)
@click.option("--rounds", type=click.IntRange(1), default=4, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(clicks: int, rounds: int, as_json: bool) -> None:
    """Measure and print; exit 1 where Segma is over the limit."""
    firefox = Firefox(privacy_reduceTimerPrecision=False)
    try:
        with tempfile.TemporaryDirectory() as work:
            scripts = built(Path(work))
            found: dict[str, list[float]] = {name: [] for name in scripts}
            with serving(scripts) as server:
                for number in range(rounds):
                    for at, name in enumerate(scripts):
                        print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
                        found[name].append(click_ms(firefox.fresh(), f"{server.url}/{at}", clicks // rounds))
        version = firefox.version()
    finally:
        firefox.stop()
    costs = {
        name: statistics.mean(one - base for one, base in zip(each, found[EMPTY], strict=True))
        for name, each in found.items()
        if name != EMPTY
    }
    if as_json:
        print(json.dumps({"engine": version, "sync_ms": costs, "limit": LIMIT_MS}))
    else:
        table = Table(f"{version}, less the empty page", "sync_ms")
        for name, cost in costs.items():
            table.add_row(name, f"{cost:.3f}")
        table.add_row("limit", str(LIMIT_MS))
        Console().print(table)
    sys.exit(1 if costs[OURS] > LIMIT_MS else 0)


if __name__ == "__main__":
    main()
