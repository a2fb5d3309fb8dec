"""Visits that end in every way, in three engines: what share of their events arrives, and what travels twice.

``./segma bench visits`` drives Chromium, Firefox and WebKitGTK against a real collector, once at its own pace and once
with 0.3 s for each answer. A visit opens a page, presses a button and ends after a time by chance: by a link, by going
back, the tab or the window closed, the app left for another (the page is hidden and hears nothing more), a crash. One
person makes all visits of a run, as a shop's customer does, and looks in once more at the end. It prints the share of
events that arrived, how many were counted twice, and how many stood in the log twice. ``--hasty``: nobody stays for a
second.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.table import Table

from cli.browser import find_browser
from tests.sdk.door import Door
from tests.sdk.engines import Engine, Tab
from tests.sdk.engines.chromium import Chromium
from tests.sdk.engines.firefox import Firefox, FirefoxTab
from tests.sdk.engines.webkit import WebKit
from tests.sdk.stage import RealCollector, StaticSite, serve_builds, tag
from tests.sdk.visit import device_of

NEEDS: Final = ("system_browser", "firefox", "webkit")
SLOW_S: Final = 0.3
STAYS_S: Final = (0.6, 0.9, 1.3, 2.0)
"""How long somebody stays behind the button: by chance."""
HASTY_S: Final = (0.0, 0.1, 0.4, 0.8)
"""Too short for a slow collector's answer: what a page ended with is sent again by the next one's last words."""
LIMITS: Final = {"arrived": 0.99, "counted twice": 0, "twice on the wire": 0.02}
SETTLED_S: Final = 5.0
"""Nothing more comes when the last page has been open for so long."""
TOLD: Final = ("page_viewed", "button_clicked", "page_closed")
ENDS: Final[dict[str, tuple[str, ...]]] = {
    "chromium": ("link", "back", "tab", "hidden", "crash"),
    "firefox": ("link", "back", "tab", "window", "hidden"),
    "webkit": ("link", "back", "tab", "hidden"),
}
"""Of the others: a window of Playwright's is its tab, WebKit's driver knows windows alone, and but for Chromium nothing
makes a page crash."""
PAGE: Final = """<!doctype html><title>Page</title><script>
window.asleep = false;
for (const kind of ["pagehide", "visibilitychange"]) {
  addEventListener(kind, (event) => { if (window.asleep) event.stopImmediatePropagation(); }, true);
}
</script>%s<body><button id="press">Press</button> <a id="away" href="/page?next">Away</a></body>"""
LEAVE_THE_APP: Final = """() => {
  for (const [name, value] of [["hidden", true], ["visibilityState", "hidden"]]) {
    Object.defineProperty(Document.prototype, name, { get: () => value, configurable: true });
  }
  document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
  window.asleep = true;
}"""


@dataclass(slots=True)
class Run:
    """What one engine did at one collector."""

    engine: str
    pace: str
    ends: Counter[str] = field(default_factory=Counter)
    expected: Counter[str] = field(default_factory=Counter)
    arrived: Counter[str] = field(default_factory=Counter)
    extra: int = 0
    sent: int = 0
    again: int = 0

    def share(self) -> float:
        """Of the events that a page told, those that arrived."""
        return self.arrived.total() / self.expected.total()

    def over(self) -> list[str]:
        """The limits that it breaks."""
        found = {
            "arrived": self.share() < LIMITS["arrived"],
            "counted twice": self.extra > LIMITS["counted twice"],
            "twice on the wire": self.again > LIMITS["twice on the wire"] * self.sent,
        }
        return [name for name, is_broken in found.items() if is_broken]


def ended(tab: Tab, how: str, stay_s: float) -> Tab:
    """End a visit; the tab of the next one. A link's page is stayed at as long as the first."""
    if how == "link":
        tab.click("#away")
        tab.until("location.search === '?next' && !!window.segma && !!window.segma.v")
        time.sleep(stay_s)
        return tab
    if how == "back":
        tab.back()
        tab.until("location.pathname === '/start'")
        return tab
    following = tab.sibling()
    if how == "hidden":
        tab.run(LEAVE_THE_APP)
    if how == "crash":
        tab.crash()
    elif how == "window" or (how == "hidden" and isinstance(tab, FirefoxTab)):
        # NOTE: of a tab that is put by without a word the browser is told, not the page.
        tab.close_window()
    else:
        tab.close()
    return following


def visited(engine: Engine, site: StaticSite, collector: RealCollector, run: Run, stays: list[float]) -> None:
    """Make the visits of one person, each so long, and count what came of them."""
    tab = engine.fresh()
    device = ""
    for number, stay_s in enumerate(stays):
        how = ENDS[engine.name][number % len(ENDS[engine.name])]
        tab.open(f"{site.url}/start")
        tab.open(f"{site.url}/page?{number}")
        tab.until("!!window.segma && !!window.segma.v")
        device = device or device_of(tab)
        tab.click("#press")
        time.sleep(stay_s)
        tab = ended(tab, how, stay_s)
        run.ends[how] += 1
        pages = 1 + (how == "link")
        run.expected.update({"page_viewed": pages, "button_clicked": 1, "page_closed": pages})
    tab.open(f"{site.url}/page?last")
    until = time.monotonic() + SETTLED_S
    while time.monotonic() < until:
        collector.look(0.2)
        tab.run("0")
    run.expected["page_viewed"] += 1
    count(run, collector, device)


def count(run: Run, collector: RealCollector, device: str) -> None:
    """What stands in the log of this device."""
    mine = [each for each in collector.stored if each.beacon.device == device and each.action in TOLD]
    told = Counter(each.action for each in mine)
    run.arrived.update({name: min(told[name], run.expected[name]) for name in TOLD})
    run.extra += sum(max(0, told[name] - run.expected[name]) for name in TOLD)
    times = [number for (whose, _), number in collector.times.items() if whose == device]
    run.sent += len(times)
    run.again += sum(number - 1 for number in times)


@contextmanager
def driven(name: str, site: StaticSite) -> Iterator[Engine]:
    """A running engine."""
    with ExitStack() as stack:
        made: Engine
        if name == "chromium":
            playwright = stack.enter_context(sync_playwright())
            browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
            stack.callback(browser.close)
            made = Chromium(browser)
        else:
            made = Firefox() if name == "firefox" else WebKit(site.url)
        stack.callback(made.stop)
        yield made


def measured(name: str, stays: list[float]) -> list[Run]:
    """An engine's visits at a fast and at a slow collector."""
    site = StaticSite()
    serve_builds(site)
    runs = []
    with tempfile.TemporaryDirectory() as work, driven(name, site) as engine:
        collector = RealCollector(Path(work), [site.url])
        door = Door(collector.url)
        site.put("/start", "<!doctype html><title>Start</title>")
        site.put("/page", PAGE % tag("minified", door.url))
        for pace, seconds in (("fast", 0.0), ("slow", SLOW_S)):
            door.answers_after_s = seconds
            run = Run(engine.version(), pace)
            print(f"{engine.version()}, {pace} collector", file=sys.stderr)
            visited(engine, site, collector, run, stays)
            runs.append(run)
            print(json.dumps(as_fields(run)), file=sys.stderr)
        door.stop()
        collector.stop()
    site.stop()
    return runs


def shown(runs: list[Run]) -> Table:
    """The runs as a table."""
    table = Table("engine", "collector", "visits", "arrived", "counted twice", "twice on the wire", "over", box=None)
    for run in runs:
        wire = f"{run.again} of {run.sent}"
        arrived = f"{run.share():.3f} ({run.arrived.total()} of {run.expected.total()})"
        over = ", ".join(run.over())
        table.add_row(run.engine, run.pace, str(run.ends.total()), arrived, str(run.extra), wire, over)
    return table


def as_fields(run: Run) -> dict[str, Any]:
    """A run for machines."""
    return {
        "engine": run.engine, "collector": run.pace, "ends": run.ends, "expected": run.expected, "arrived": run.arrived,
        "counted_twice": run.extra, "sent": run.sent, "twice_on_the_wire": run.again, "over": run.over(),
    }  # fmt: skip


@click.command()
@click.option("--visits", default=200, show_default=True, help="Visits of each engine at each collector.")
@click.option("--engine", "engines", multiple=True, type=click.Choice(list(ENDS)), help="Only these engines.")
@click.option("--hasty", is_flag=True, help="Nobody stays for a second.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(visits: int, engines: tuple[str, ...], hasty: bool, seed: int, as_json: bool) -> None:
    """Visit and print; exit 1 where a limit is broken."""
    stays = random.Random(seed).choices(HASTY_S if hasty else STAYS_S, k=visits)
    runs = [run for name in engines or tuple(ENDS) for run in measured(name, stays)]
    if as_json:
        click.echo(json.dumps([as_fields(run) for run in runs], indent=1))
    else:
        Console().print(shown(runs))
    sys.exit(any(run.over() for run in runs))


if __name__ == "__main__":
    main()
