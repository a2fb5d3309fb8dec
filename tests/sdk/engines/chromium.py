"""Chromium by Playwright."""

from __future__ import annotations

import contextlib
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Error, Page

from tests.sdk.engines.tab import HEIGHT, PATIENCE_S, WIDTH, Button, Name, Tab, is_function

PATIENCE_MS = PATIENCE_S * 1_000


class Chromium:
    """The suite's one Chromium. A person is one of its contexts."""

    name: Name = "chromium"

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._person: BrowserContext | None = None
        self._errors: list[str] = []

    def version(self) -> str:
        """Its version."""
        return f"Chromium {self._browser.version}"

    def fresh(self) -> Tab:
        """A tab of a context of its own."""
        self.leave()
        self._errors.clear()
        self._person = self._browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
        self._person.on("weberror", lambda error: self._errors.append(str(error.error)))
        return ChromiumTab(self._person.new_page())

    def errors(self) -> list[str]:
        """What pages threw since the last fresh tab."""
        return list(self._errors)

    def leave(self) -> None:
        """Close what is open."""
        if self._person is not None:
            self._person.close()
            self._person = None

    def stop(self) -> None:
        """Close what is open; the browser itself is the suite's."""
        self.leave()


class ChromiumTab:
    """A page of Playwright's."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self.page.is_closed()

    def open(self, address: str) -> None:
        """Go there."""
        self.page.goto(address)

    def run(self, script: str, *arguments: object) -> Any:
        """Run it."""
        if not is_function(script):
            return self.page.evaluate(script)
        return self.page.evaluate(f"(given) => ({script})(...given)", list(arguments))

    def until(self, script: str, *arguments: object) -> None:
        """Wait for it."""
        if not is_function(script):
            self.page.wait_for_function(script, timeout=PATIENCE_MS)
        else:
            given = list(arguments)
            self.page.wait_for_function(f"(given) => ({script})(...given)", arg=given, timeout=PATIENCE_MS)

    def click(self, selector: str, button: Button = "left", at: tuple[int, int] | None = None) -> None:
        """Click."""
        self.page.click(selector, button=button, position={"x": at[0], "y": at[1]} if at else None)

    def click_twice(self, first: str, second: str, pause_s: float) -> None:
        """Click, wait, click."""
        self.page.click(first)
        self.page.wait_for_timeout(pause_s * 1_000)
        self.page.click(second, no_wait_after=True)

    def hover(self, selector: str) -> None:
        """Move the mouse onto it."""
        self.page.hover(selector)

    def move(self, x: int, y: int, steps: int = 1) -> None:
        """Move the mouse."""
        self.page.mouse.move(x, y, steps=steps)

    def button(self, *, down: bool) -> None:
        """Press or let go."""
        (self.page.mouse.down if down else self.page.mouse.up)()

    def wheel(self, pixels: int) -> None:
        """Turn the wheel."""
        self.page.mouse.wheel(0, pixels)

    def focus(self, selector: str) -> None:
        """Put the cursor into it."""
        self.page.focus(selector)

    def press(self, *keys: str) -> None:
        """Press keys."""
        for key in keys:
            self.page.keyboard.press(key)

    def hold(self, key: str, times: int) -> None:
        """Hold a key."""
        for _ in range(times):
            self.page.keyboard.down(key)
        self.page.keyboard.up(key)

    def type(self, text: str) -> None:
        """Type."""
        self.page.keyboard.type(text)

    def back(self) -> None:
        """Go back."""
        self.page.go_back(wait_until="commit")

    def sibling(self) -> Tab:
        """Another page of the same context."""
        return ChromiumTab(self.page.context.new_page())

    def close(self) -> None:
        """Close the tab."""
        self.page.close(run_before_unload=False)

    def close_window(self) -> None:
        """Close all pages of the person."""
        self.page.context.close()

    def crash(self) -> None:
        """Let its process die."""
        with contextlib.suppress(Error):
            self.page.goto("chrome://crash")
