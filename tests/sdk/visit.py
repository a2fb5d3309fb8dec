"""A person on a page, and what came of it in the log."""

from __future__ import annotations

from playwright.sync_api import Page

from contracts.tokens import stored_device
from tests.sdk.stage import SECRET, SITE, RealCollector, Stored


def device_of(page: Page) -> str:
    """The device of a page, as it is stored."""
    return stored_device(SECRET, page.evaluate(f"localStorage.getItem('segma.{SITE}.device')"))


class Visit:
    """A page that somebody has landed on."""

    def __init__(self, page: Page, collector: RealCollector, address: str, *, loaded: bool = True) -> None:
        self.page, self.collector = page, collector
        page.goto(address)
        page.wait_for_function("!!window.segma && !window.segma.q")
        self.device = device_of(page)
        if loaded:
            self.wait_for("page_loaded")

    def mine(self) -> list[Stored]:
        """What is stored of this device."""
        return [each for each in self.collector.stored if each.beacon.device == self.device]

    def actions(self) -> list[str]:
        """Their actions, in the order in which they happened."""
        return [each.action for each in sorted(self.mine(), key=lambda each: each.event.order)]

    def of(self, action: str) -> list[Stored]:
        """Those of one action."""
        return [each for each in self.mine() if each.action == action]

    def wait_for(self, action: str, count: int = 1) -> list[Stored]:
        """The events of an action, once there are so many."""

        def came(_: list[Stored]) -> bool:
            if not self.page.is_closed():
                self.page.evaluate("0")  # the driver answers a page's requests only while it is asked something
            return len(self.of(action)) >= count

        self.collector.wait_for(came)
        return self.of(action)

    def told(self, word: str) -> list[Stored]:
        """Everything that was told until now."""
        self.page.evaluate("(word) => segma.track(word)", word)
        self.wait_for(word)
        return self.mine()
