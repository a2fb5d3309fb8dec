"""Three browsers behind one small protocol: Chromium by Playwright, Firefox by WebDriver BiDi, WebKitGTK by WebDriver.

What a page sent is read from the log behind the collector, never from the browser.
"""

from tests.sdk.engines.tab import Engine, Name, Tab

__all__ = ["Engine", "Name", "Tab"]
