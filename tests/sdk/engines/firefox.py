"""Firefox by WebDriver BiDi over its own WebSocket: no driver beside the browser.

https://w3c.github.io/webdriver-bidi/ ; the profile is a folder of this run, the port is on loopback.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from websockets.sync.client import ClientConnection, connect

from tests.sdk.engines.tab import HEIGHT, PATIENCE_S, START_PATIENCE_S, WIDTH, Name, Tab, is_function
from tests.sdk.engines.wired import Act, WiredTab, keys, pressed

PROGRAMS: Final = ("firefox-esr", "firefox")
PREFERENCES: Final[dict[str, str | int | bool]] = {
    "media.autoplay.default": 0,
    "media.volume_scale": "0.0",
    "network.prefetch-next": False,
    "dom.disable_open_during_load": False,
    "dom.ipc.processPrelaunch.enabled": False,
    "toolkit.startup.max_resumed_crashes": -1,
    "browser.tabs.closeWindowWithLastTab": False,
    "signon.rememberSignons": True,
    "signon.autofillForms": True,
}
"""Beside those that Firefox sets for itself where it is driven: no first-run page, no update, no call home."""


def preferences(more: dict[str, str | int | bool]) -> str:
    """A profile's ``user.js``."""
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in {**PREFERENCES, **more}.items()]
    return "\n".join(lines) + "\n"


class Refused(Exception):
    """The browser says no to a command; ``args`` are its error code and its words."""


class Wire:
    """One BiDi session: a command at a time."""

    def __init__(self, address: str) -> None:
        self._stack = ExitStack()
        self._socket: ClientConnection = self._stack.enter_context(connect(f"{address}/session", max_size=None))
        self._numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command; its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        # NOTE: the first answers come when the browser has started, and some later ones when it has closed a tab.
        until = time.monotonic() + START_PATIENCE_S
        while True:
            answer = json.loads(self._socket.recv(timeout=max(0.0, until - time.monotonic())))
            if answer.get("id") == number:
                if answer["type"] == "error":
                    raise Refused(answer["error"], answer["message"])
                result: dict[str, Any] = answer["result"]
                return result
            if answer["type"] == "event":
                self.events.append(answer)

    def close(self) -> None:
        """Hang up."""
        self._stack.close()


class Firefox:
    """One process of Firefox without a screen. A person is one of its containers, with storage of their own."""

    name: Name = "firefox"

    def __init__(self, **more: str | int | bool) -> None:
        """``more``: preferences of the profile, with ``_`` for ``.``."""
        self._home = Path(tempfile.mkdtemp(prefix="segma-firefox-"))
        wanted = {name.replace("_", "."): value for name, value in more.items()}
        (self._home / "user.js").write_text(preferences(wanted))
        self._said = (self._home / "said").open("wb")
        program = next(path for name in PROGRAMS if (path := shutil.which(name)))
        self._process = subprocess.Popen(
            [program, "--headless", "--no-remote", "--profile", str(self._home), f"--width={WIDTH}",
             f"--height={HEIGHT}", "--remote-debugging-port=0", "--remote-allow-system-access", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=self._said,
            env={**os.environ, "HOME": str(self._home), "MOZ_CRASHREPORTER_DISABLE": "1"},
        )  # fmt: skip
        self._person = self._version = ""
        self.wire: Wire
        try:
            self._begin()
        except BaseException:
            self._end()
            raise

    def _begin(self) -> None:
        self.wire = Wire(self._address())
        self.tabs: set[str] = set()
        self._version = self.wire.ask("session.new", capabilities={})["capabilities"]["browserVersion"]
        self.wire.ask("session.subscribe", events=["log.entryAdded"])

    def _address(self) -> str:
        until = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < until and self._process.poll() is None:
            said = (self._home / "said").read_text(errors="replace")
            if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", said):
                return found[1]
            time.sleep(0.02)
        raise AssertionError((self._home / "said").read_text(errors="replace"))

    def version(self) -> str:
        """Its version."""
        return f"Firefox {self._version}"

    def fresh(self) -> Tab:
        """A tab of a container of its own."""
        if self._person:
            self.wire.ask("browser.removeUserContext", userContext=self._person)
        self.wire.events.clear()
        self._person = self.wire.ask("browser.createUserContext")["userContext"]
        return FirefoxTab(self, self._person, "tab")

    def save_login(self, origin: str, name: str, password: str) -> None:
        """Let its password manager know a login of a site, as if a person had saved it."""
        login = json.dumps([origin, origin, None, name, password, "", ""])
        made = "Cc['@mozilla.org/login-manager/loginInfo;1'].createInstance(Ci.nsILoginInfo)"
        added = f"const login = {made}; login.init(...{login}); return Services.logins.addLoginAsync(login);"
        self._within(f"(() => {{ {added} }})()")

    def forget_logins(self) -> None:
        """Empty its password manager."""
        self._within("Services.logins.removeAllLoginsAsync()")

    def _within(self, script: str) -> None:
        """Run a script in the browser's own window."""
        tree = self.wire.ask("browsingContext.getTree", **{"moz:scope": "chrome"})
        window = {"context": tree["contexts"][0]["context"]}
        script = f"Promise.resolve({script}).then(() => true)"
        answer = self.wire.ask("script.evaluate", expression=script, target=window, awaitPromise=True)
        assert answer["type"] == "success", answer

    def errors(self) -> list[str]:
        """What pages threw since the last fresh tab."""
        said = [each["params"] for each in self.wire.events if each["method"] == "log.entryAdded"]
        mine = [each for each in said if each["type"] == "javascript" and each["level"] == "error"]
        return [each["text"] for each in mine if _is_pages(each, self.tabs)]

    def stop(self) -> None:
        """End it."""
        try:
            self.wire.ask("browser.close")
            self.wire.close()
            self._process.wait(PATIENCE_S)
        finally:
            self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)
        self._said.close()
        shutil.rmtree(self._home, ignore_errors=True)


class FirefoxTab(WiredTab):
    """A browsing context."""

    def __init__(self, firefox: Firefox, person: str, kind: str) -> None:
        super().__init__()
        self._firefox, self._person = firefox, person
        self._ask = firefox.wire.ask
        self.context = self._ask("browsingContext.create", type=kind, userContext=person)["context"]
        firefox.tabs.add(self.context)

    def open(self, address: str) -> None:
        """Go there."""
        self._ask("browsingContext.navigate", context=self.context, url=address, wait="complete")

    def run(self, script: str, *arguments: object) -> Any:
        """Run it in the page."""
        given = json.dumps(json.dumps(list(arguments)))
        value = f"({script})(...JSON.parse({given}))" if is_function(script) else script
        answer = self._ask(
            "script.evaluate",
            expression=value,
            target={"context": self.context},
            awaitPromise=True,
            userActivation=False,
        )
        if answer["type"] == "exception":
            raise AssertionError(answer["exceptionDetails"]["text"])
        return _plain(answer["result"])

    def _perform(self, *sources: Act) -> None:
        self._ask("input.performActions", context=self.context, actions=list(sources))

    def back(self) -> None:
        """Go back."""
        self._ask("browsingContext.traverseHistory", context=self.context, delta=-1)

    def sibling(self) -> Tab:
        """Another tab in the same container."""
        return FirefoxTab(self._firefox, self._person, "tab")

    def close(self) -> None:
        """Close the tab."""
        self._closed = True
        self._perform(keys(*pressed("Control+w")))

    def close_window(self) -> None:
        """Close the window."""
        self._closed = True
        self._ask("browsingContext.close", context=self.context)

    def crash(self) -> None:
        """Firefox has no page for it in a driven profile."""
        raise NotImplementedError


def _is_pages(entry: dict[str, Any], tabs: set[str]) -> bool:
    """Whether an error comes from a page, not from a part of the browser that is written as one (its PDF viewer).

    That part's own errors come without a stack too, from the frame that it lives in.
    """
    frames = (entry.get("stackTrace") or {}).get("callFrames")
    if not frames:
        return (entry.get("source") or {}).get("context") in tabs
    return str(frames[0]["url"]).startswith(("http", "data"))


def _plain(value: dict[str, Any]) -> Any:
    """A remote value as Python's."""
    kind, content = value["type"], value.get("value")
    if kind == "array":
        return [_plain(each) for each in content or []]
    if kind == "object":
        return {name: _plain(each) for name, each in content or []}
    return content
