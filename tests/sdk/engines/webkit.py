"""WebKitGTK's small browser by WebDriver, on a screen of its own (Xvfb).

https://www.w3.org/TR/webdriver2/ ; WebKitWebDriver makes a left click of every click: others go through the X server.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import requests

from tests.sdk.engines.tab import HEIGHT, PATIENCE_S, START_PATIENCE_S, WIDTH, Button, Name, Tab, is_function
from tests.sdk.engines.wired import Act, WiredTab
from tests.sdk.stage import free_port

PROGRAMS: Final = ("WebKitWebDriver", "Xvfb", "xdotool")
X_BUTTONS: Final[dict[Button, str]] = {"left": "1", "middle": "2", "right": "3"}


class Refused(Exception):
    """The driver says no to a command; ``args`` are its error code and its words."""


class Screen:
    """An X server without a screen, reachable on this machine alone."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self._process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x1024x24", "-nolisten", "tcp"],
            pass_fds=[writing],
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading) as said:
            self.name = f":{said.readline().strip()}"

    def do(self, *words: str) -> None:
        """Let xdotool do something there."""
        subprocess.run(["xdotool", *words], env={**os.environ, "DISPLAY": self.name}, check=True, timeout=PATIENCE_S)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(PATIENCE_S)


class WebKit:
    """One driver, one session, one browser. A person begins where the site's storage has been emptied."""

    name: Name = "webkit"

    def __init__(self, site: str) -> None:
        """``site``: the origin whose storage is emptied for each person; any page of it."""
        self._site = site
        self._http = requests.Session()
        self._start()

    def _start(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="segma-webkit-"))
        self.screen = Screen()
        port = free_port()
        self._process = subprocess.Popen(
            ["WebKitWebDriver", f"--port={port}", "--host=127.0.0.1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._environment(),
        )
        self._driver = f"http://127.0.0.1:{port}"
        self._await_ready()
        made = self._answer("POST", f"{self._driver}/session", {"capabilities": {"alwaysMatch": {}}})
        self._session = f"{self._driver}/session/{made['sessionId']}"
        self._version = made["capabilities"]["browserVersion"]
        self._first = self.ask("GET", "/window")

    def _environment(self) -> dict[str, str]:
        home = str(self._home)
        return {
            **os.environ,
            "DISPLAY": self.screen.name,
            "GDK_BACKEND": "x11",
            "HOME": home,
            "XDG_CACHE_HOME": home,
            "XDG_CONFIG_HOME": home,
            "XDG_DATA_HOME": home,
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "NO_AT_BRIDGE": "1",
            # NOTE: its sandbox needs namespaces that containers do not give; only pages of the tests are opened.
            "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",
        }

    def _await_ready(self) -> None:
        until = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < until:
            try:
                if self._http.get(f"{self._driver}/status", timeout=1).ok:
                    return
            except requests.RequestException:
                time.sleep(0.02)
        raise AssertionError("WebKitWebDriver does not answer")

    def _answer(self, method: str, address: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._http.request(method, address, json=body, timeout=PATIENCE_S).json()["value"]
        if isinstance(answer, dict) and "error" in answer:
            raise Refused(answer["error"], answer.get("message", ""))
        return answer

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """Give the session a command; its value."""
        return self._answer(method, self._session + path, body if method == "POST" else None)

    def version(self) -> str:
        """Its version."""
        return f"WebKitGTK {self._version}"

    def fresh(self) -> Tab:
        """A new window, with nothing in the site's storage; in a new browser where the last one has crashed since."""
        try:
            self._empty()
        except Refused:
            self._end()
            self._start()
        return WebKitTab(self, "window")

    def _empty(self) -> None:
        for handle in self.ask("GET", "/window/handles"):
            if handle != self._first:
                self.ask("POST", "/window", handle=handle)
                self.ask("DELETE", "/window")
        self.ask("POST", "/window", handle=self._first)
        self.ask("POST", "/url", url=f"{self._site}/nothing")
        self.ask("POST", "/execute/sync", script="localStorage.clear(); sessionStorage.clear()", args=[])

    def errors(self) -> list[str]:
        """What pages threw is not told by this driver."""
        return []

    def stop(self) -> None:
        """End all of it."""
        with contextlib.suppress(Refused):
            self._answer("DELETE", self._session)
        self._http.close()
        self._end()

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        self.screen.stop()
        shutil.rmtree(self._home, ignore_errors=True)


class WebKitTab(WiredTab):
    """A window's handle."""

    def __init__(self, webkit: WebKit, kind: str) -> None:
        super().__init__()
        self._webkit = webkit
        self.handle = webkit.ask("POST", "/window/new", type=kind)["handle"]
        self._ask("POST", "/window/rect", x=0, y=0, width=WIDTH, height=HEIGHT)

    def _ask(self, method: str, path: str, **body: Any) -> Any:
        self._webkit.ask("POST", "/window", handle=self.handle)
        return self._webkit.ask(method, path, **body)

    def open(self, address: str) -> None:
        """Go there."""
        self._ask("POST", "/url", url=address)

    def run(self, script: str, *arguments: object) -> Any:
        """Run it in the page."""
        value = f"({script})(...arguments[0])" if is_function(script) else f"(0, eval)({json.dumps(script)})"
        code = (
            "const done = arguments[arguments.length - 1];"
            "const failed = (error) => done({ error: String(error) });"
            f"try {{ Promise.resolve({value}).then((it) => done({{ it }}), failed); }}"
            "catch (error) { failed(error); }"
        )
        answer = self._ask("POST", "/execute/async", script=code, args=[list(arguments)])
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer.get("it")

    def _perform(self, *sources: Act) -> None:
        self._ask("POST", "/actions", actions=list(sources))

    def click(self, selector: str, button: Button = "left", at: tuple[int, int] | None = None) -> None:
        """Click; with another button than the left one by the X server."""
        if button == "left":
            super().click(selector, button, at)
            return
        x, y = self._place(selector, at)
        left, top = self.run("[screenX, screenY + outerHeight - innerHeight]")
        self._webkit.screen.do("mousemove", str(left + x), str(top + y), "click", X_BUTTONS[button])

    def back(self) -> None:
        """Go back."""
        self._ask("POST", "/back")

    def sibling(self) -> Tab:
        """Another tab in the same window."""
        return WebKitTab(self._webkit, "tab")

    def close(self) -> None:
        """Close the tab."""
        self._closed = True
        self._ask("DELETE", "/window")

    def close_window(self) -> None:
        """Close the window."""
        self.close()

    def crash(self) -> None:
        """Nothing in it lets a page crash."""
        raise NotImplementedError
