"""A person on a page, and what came of it in the log."""

from __future__ import annotations

from playwright.sync_api import Page

from contracts.tokens import stored_device
from tests.sdk.engines import Tab
from tests.sdk.engines.chromium import ChromiumTab
from tests.sdk.stage import SECRET, SITE, RealCollector, Stored


def tab_of(where: Page | Tab) -> Tab:
    """A tab of any engine; a page of Playwright's as one."""
    return ChromiumTab(where) if isinstance(where, Page) else where


def device_of(where: Page | Tab) -> str:
    """The device of a page, as it is stored."""
    return stored_device(SECRET, tab_of(where).run(f"localStorage.getItem('segma.{SITE}.device')"))


class Visit:
    """A page that somebody has landed on."""

    def __init__(self, where: Page | Tab, collector: RealCollector, address: str, *, loaded: bool = True) -> None:
        self.tab, self.collector = tab_of(where), collector
        self.tab.open(address)
        self.tab.until("!!window.segma && !!window.segma.track && !window.segma.q")
        self.device = device_of(self.tab)
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
            if not self.tab.closed:
                self.tab.run("0")  # Playwright answers a page's requests only while it is asked something
            return len(self.of(action)) >= count

        self.collector.wait_for(came)
        return self.of(action)

    def told(self, word: str) -> list[Stored]:
        """Everything that was told until now."""
        self.tab.run("(word) => segma.track(word)", word)
        self.wait_for(word)
        return self.mine()
