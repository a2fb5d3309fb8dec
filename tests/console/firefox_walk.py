"""The marketer's walk on the demo in a real Firefox, by keyboard and mouse: ``python -m tests.console.firefox_walk``.

Sign in; write a listener by the form alone; bring it to work; walk through the shop as Ada in storage of her own; watch
the move arrive; ask why; write the next version, by form and YAML, roll it back, pause, and go on. The same walk in
Chromium, with pictures: :mod:`tests.console.demo_walk`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from console.inbox import CAMPAIGN
from tests.console.demo_walk import LOOKS, NAME, STORY, demo
from tests.sdk.engines import Tab
from tests.sdk.engines.firefox import Firefox, FirefoxTab

OLD: Final = "(selector) => { document.querySelector(selector).dataset.old = 'yes'; }"
"""What is replaced when the server has answered."""
NEW: Final = (
    "(selector) => document.readyState === 'complete' && !!document.querySelector(selector + ':not([data-old])')"
)
HAS: Final = (
    "(selector, text) => [...document.querySelectorAll(selector)].some((each) => each.textContent.includes(text))"
)
CHOOSE: Final = """(selector, value) => {
  const field = document.querySelector(selector);
  field.value = value;
  field.dispatchEvent(new Event("change", { bubbles: true }));
}"""
SENT: Final = "performance.getEntriesByType('resource').some((each) => each.name.includes('/v1/beacons'))"


def marketer(home: Path) -> str:
    """Somebody who may write listeners; the password."""
    words = ["users", "add", "mara", "--role", "marketer", "--home", str(home), "--json"]
    made = subprocess.run([sys.executable, "-m", "cli", *words], check=True, capture_output=True, text=True)
    return str(json.loads(made.stdout)["password"])


def fill(tab: Tab, selector: str, text: str) -> None:
    """Type into a field, over what is there."""
    tab.until("(selector) => !!document.querySelector(selector)", selector)
    tab.run("(selector) => { document.querySelector(selector).select(); }", selector)
    tab.focus(selector)
    tab.type(text)


def follow(tab: Tab, cell: str, value: str) -> None:
    """Fill a cell in, or choose, and let the YAML follow."""
    field = f'[name="{cell}"]'
    tab.run(OLD, "#cells")
    if tab.run("(selector) => document.querySelector(selector).tagName === 'SELECT'", field):
        tab.run(CHOOSE, field, value)
    else:
        fill(tab, field, value)
        tab.press("Tab")
    tab.until(NEW, "#cells")


def press(tab: Tab, selector: str) -> None:
    """Press what leads to another page, and wait until it is there."""
    tab.until("(selector) => !!document.querySelector(selector)", selector)
    tab.run(OLD, "body")
    tab.click(selector)
    tab.until(NEW, "body")


def write(tab: Tab) -> None:
    """The story, by the form alone."""
    for place, value in STORY:
        if value:
            follow(tab, place, value)
        else:
            press(tab, place)
    tab.until("!!document.querySelector('.done')")


def note(tab: Tab, comment: str) -> None:
    """Write a comment at the YAML's end, by its editor, and leave it by Tab."""
    tab.until("!!document.querySelector('.cm-content') && document.getElementById('text').hidden")
    tab.click(".cm-content")
    tab.press("Control+End")
    tab.type(comment)
    tab.press("Tab")
    tab.until("!document.activeElement.closest('.cm-editor')")


def await_state(tab: Tab, console: str, state: str, version: int) -> None:
    """Look again until a version is in a state."""
    while True:
        tab.open(f"{console}/w/demo/listeners/{NAME}")
        if tab.run(HAS, f".lead:has(.state.{state})", str(version)):
            return


def shop_trip(firefox: Firefox, at: dict[str, str], person: str) -> None:
    """Somebody else, in storage of their own, opens the spring mail and looks at two products."""
    container = firefox.wire.ask("browser.createUserContext")["userContext"]
    tab = FirefoxTab(firefox, container, "tab")
    tab.open(f"{at['console']}/inbox")
    press(tab, "#enter")
    tab.click(f"a[data-person={person}]")
    tab.until(f"location.href.startsWith('{at['shop']}') && document.readyState === 'complete' && {SENT}")
    for path in LOOKS:
        tab.open(f"{at['shop']}{path}")
        tab.until(SENT)
    firefox.wire.ask("browser.removeUserContext", userContext=container)


def looked_up(tab: Tab, console: str, address: str, list_name: str) -> None:
    """The page of somebody whom the history has in a list by now."""
    why = f'a[href*="list={list_name}"]'
    while True:
        tab.open(f"{console}/w/demo/people")
        fill(tab, "[name=person]", address)
        press(tab, "#look-up")
        tab.until("!document.querySelector('[data-part]:not([data-loaded])')")
        if tab.run("(selector) => !!document.querySelector(selector)", why):
            press(tab, why)
            return


def walk(firefox: Firefox, at: dict[str, str], home: Path) -> None:
    """All of it, in order."""
    console, tab = at["console"], firefox.fresh()
    tab.open(f"{console}/w/demo/write")
    fill(tab, "[name=name]", "mara")
    fill(tab, "[name=password]", marketer(home))
    press(tab, "#sign-in")
    write(tab)
    assert CAMPAIGN in tab.run("document.getElementById('text').value")
    press(tab, "#to-work")
    press(tab, "#live")
    await_state(tab, console, "live", 1)
    tab.open(f"{console}/lists")
    shop_trip(firefox, at, "Ada")
    tab.until(HAS, "[data-list=warm]", "Ada")
    looked_up(tab, console, "ada@example.org", "warm")
    tab.until(HAS, ".words", "In warm since")
    assert "example.org" not in tab.run("location.href")
    tab.open(f"{console}/w/demo/write?listener={NAME}")
    note(tab, "# asked for by Mara")
    follow(tab, "s2.times", "3")
    assert "# asked for by Mara" in tab.run("document.querySelector('.cm-content').textContent")
    press(tab, "#save")
    press(tab, "#to-work")
    press(tab, "#live")
    await_state(tab, console, "live", 2)
    press(tab, 'a[href*="change=roll_back"]')
    press(tab, "#confirm")
    await_state(tab, console, "live", 3)
    press(tab, "#pause")
    press(tab, "#confirm")
    await_state(tab, console, "paused", 3)
    press(tab, "#resume")
    press(tab, "#confirm")
    await_state(tab, console, "live", 3)
    assert firefox.errors() == []


def main() -> None:
    """Run."""
    firefox = Firefox()
    try:
        with tempfile.TemporaryDirectory() as home, demo(Path(home)) as at:
            walk(firefox, at, Path(home))
    finally:
        firefox.stop()
    sys.stdout.write("walked\n")


if __name__ == "__main__":
    main()
