"""The marketer's walk on the demo, in a real Chromium: ``python -m tests.console.demo_walk``.

Sign in; write a listener by the form alone; see whom it would have moved; bring it to work; walk through the shop as
Ada in another window; watch the move arrive; ask why; roll back; record the story on the shop. Half a minute.
``python -m tests.console.pictures`` keeps the pictures that it takes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from playwright.sync_api import expect, sync_playwright

from cli.browser import find_browser
from console.inbox import CAMPAIGN
from tests.ports import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

ROOT = Path(__file__).resolve().parents[2]
NAME = "spring-warm"
LOOKS = ("/products/runner", "/products/trail")
PATIENCE_MS = 120_000
WAIT = "8s"
"""How long the walk's listener waits for a purchase: the story's 30 minutes are for people who have them."""
VIEW: Final[ViewportSize] = {"width": 1_000, "height": 420}
SCREEN: Final[ViewportSize] = {"width": VIEW["width"], "height": 800}
MOST_PX: Final = 1_250
"""How much of a long page a picture shows."""
STORY = (
    ("listener", NAME),
    ("s1.w1.property", "campaign"),
    ("s1.w1.value", CAMPAIGN),
    ("#add-step", ""),
    ("s2.w1.property", "path"),
    ("s2.w1.value", "/products/*"),
    ("s2.times", "2"),
    ("#add-step", ""),
    ("s3.kind", "not"),
    ("s3.action", "product_bought"),
    ("[value=follow]", ""),
    ("s3.for", WAIT),
    ("#save", ""),
)
"""The listener by the form: a cell and what goes into it, or the button that is pressed."""


@contextmanager
def demo(home: Path) -> Iterator[dict[str, str]]:
    """The demo at work, and its addresses."""
    base = free_port((0, 1, 2, 3, 4, 10, 11))
    command = [sys.executable, "-m", "cli", "demo", "--json", "--home", str(home), "--port-base", str(base)]
    environment = {**os.environ, "SEGMA_ROOT": str(ROOT), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            addresses: dict[str, str] = json.loads(process.stdout.readline())["addresses"]
            yield addresses
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def shop_trip(browser: Browser, at: dict[str, str], person: str) -> None:
    """Somebody opens the spring mail and looks at two products."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{at['console']}/inbox")
    page.click("#enter")
    with page.expect_response("**/v1/beacons"):
        page.click(f"a[data-person={person}]")
    for path in LOOKS:
        with page.expect_response("**/v1/beacons"):
            page.goto(f"{at['shop']}{path}")
    context.close()


def follow(page: Page, cell: str, value: str) -> None:
    """Fill a cell in, or choose, and let the YAML follow."""
    place = page.locator(f'[name="{cell}"]')
    with page.expect_response("**/write"):
        if place.evaluate("element => element.tagName") == "SELECT":
            place.select_option(value)
        else:
            place.fill(value)
            place.press("Tab")
    page.wait_for_function("document.readyState === 'complete'")


def press(page: Page, selector: str) -> None:
    """Press a button of the form, which sends it."""
    page.click(selector)
    page.wait_for_load_state("load")


def write(page: Page) -> None:
    """The story, by the form alone."""
    for place, value in STORY:
        if value:
            follow(page, place, value)
        else:
            press(page, place)
    page.locator(".done").wait_for()


def suggested(page: Page) -> None:
    """Begin a line of the second step in the YAML below a wrong one; nothing of it is saved."""
    page.locator(".cm-line", has_text="times:").click()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type("within: soon")
    page.locator(".cm-lintRange-error").wait_for()
    page.keyboard.press("Enter")
    page.keyboard.type("tr")
    page.locator(".cm-completionInfo").wait_for()


def record(browser: Browser, page: Page, at: dict[str, str]) -> None:
    """The story once more, by doing it on the shop; only what nobody does is left to the form."""
    page.goto(f"{at['console']}/w/demo/record")
    page.fill("[name=url]", f"{at['shop']}/")
    page.fill("[name=campaign]", CAMPAIGN)
    page.click("#record")
    link = page.locator("#open").get_attribute("href")
    context = browser.new_context()
    visit = context.new_page()
    for address in (link, *(f"{at['shop']}{path}" for path in LOOKS)):
        with visit.expect_response("**/v1/beacons"):
            visit.goto(str(address))
    page.locator(".life li", has_text=LOOKS[-1]).first.wait_for()
    context.close()
    page.click("#choose")
    page.locator("#make").wait_for()  # the list of what was recorded is whole then
    for label in page.locator("label.check").all():
        wanted = "email_clicked" in label.inner_text() or "page_viewed path: /products/" in label.inner_text()
        label.locator("input").set_checked(wanted)
    page.click("#make")
    steps = [page.locator(f'[name="s{number}.w1.value"]').input_value() for number in (1, 2, 3)]
    assert steps == [CAMPAIGN, *LOOKS], steps
    follow(page, "listener", f"{NAME}-recorded")
    press(page, "#add-step")
    follow(page, "s4.kind", "not")
    follow(page, "s4.action", "product_bought")
    press(page, "[value=follow]")
    follow(page, "s4.for", WAIT)
    press(page, "#save")
    page.locator(".done").wait_for()


def bring_to_work(page: Page, console: str) -> None:
    """Live at once, and wait until it is."""
    page.click("#to-work")
    page.click("#live")
    await_state(page, console)


def await_state(page: Page, console: str, version: int = 1) -> None:
    """Look again until a version is live."""
    while True:
        page.goto(f"{console}/w/demo/listeners/{NAME}")
        if page.locator(f".lead:has(.state.live):has-text('{version}')").count():
            return


def walk(browser: Browser, at: dict[str, str], folder: Path) -> Page:
    """All of it in order, up to the record, and the page; pictures go into ``folder``."""
    console = at["console"]
    shop_trip(browser, at, "Ben")  # the history's one person
    page = browser.new_context(viewport=VIEW, device_scale_factor=2).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{console}/w/demo/write")
    page.click("#enter")
    page.goto(f"{console}/w/demo/write")
    write(page)
    picture(page, folder, "write")
    try_out(page)
    bring_to_work(page, console)
    page.goto(f"{console}/lists")
    shop_trip(browser, at, "Ada")
    page.locator("[data-list=warm] >> text=Ada").wait_for()
    picture(page, folder, "move")
    ask_why(page, console)
    picture(page, folder, "why")
    page.goto(f"{console}/w/demo/listeners")
    page.locator("svg.line").first.wait_for()
    picture(page, folder, "listeners")
    edit(page, console, folder)
    roll_back(page, console, folder)
    return page


def picture(page: Page, folder: Path, name: str) -> None:
    """Keep a picture of the page, once all of its parts are there."""
    expect(page.locator("[data-part]:not([data-loaded])")).to_have_count(0, timeout=PATIENCE_MS)
    high = min((page.locator("body").bounding_box() or {"height": VIEW["height"]})["height"], MOST_PX)
    seen = {"x": 0, "y": 0, "width": VIEW["width"], "height": max(high, VIEW["height"])}
    page.screenshot(path=folder / f"console-{name}.png", full_page=True, clip=seen)  # type: ignore[arg-type]


def try_out(page: Page) -> None:
    """See whom the listener would have moved, and go back to its form."""
    page.click("#trial")
    page.click("#try")
    page.locator("#outcome").wait_for()
    page.click("text=To its form")
    page.locator("#to-work").wait_for()


def ask_why(page: Page, console: str) -> None:
    """Ask why Ada is in the list."""
    page.goto(f"{console}/w/demo/people")
    page.fill("[name=person]", "ada@example.org")
    page.click("#look-up")
    page.locator("text=Why warm?").first.click()
    page.locator(".words >> text=In warm since").wait_for()


def edit(page: Page, console: str, folder: Path) -> None:
    """See what the editor suggests, with a picture, and bring a second version to work."""
    page.goto(f"{console}/w/demo/write?listener={NAME}")
    page.set_viewport_size(SCREEN)
    suggested(page)
    # NOTE: a picture of more than the screen would change its size, and what is suggested would go.
    page.screenshot(path=folder / "console-editor.png")
    page.set_viewport_size(VIEW)
    page.goto(f"{console}/w/demo/write?listener={NAME}")
    follow(page, "s2.times", "3")
    press(page, "#save")
    bring_to_work(page, console)
    await_state(page, console, 2)


def roll_back(page: Page, console: str, folder: Path) -> None:
    """Take the second version back; the first comes again as the third."""
    page.locator("text=Roll back to version 1").click()
    picture(page, folder, "roll-back")
    page.click("#confirm")
    await_state(page, console, 3)


def main() -> None:
    """Run."""
    executable = find_browser()
    assert executable, "this walk needs Chromium: see `segma doctor`"
    with tempfile.TemporaryDirectory() as home, demo(Path(home)) as at, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        record(browser, walk(browser, at, Path(home)), at)
        browser.close()
    sys.stdout.write("walked\n")


if __name__ == "__main__":
    main()
