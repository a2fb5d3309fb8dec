"""What a person does with a browser, and what a test asks of it: the protocol that each engine speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol

Button = Literal["left", "middle", "right"]
Name = Literal["chromium", "firefox", "webkit"]

PATIENCE_S: Final = 60.0
"""How long a browser may take for one thing."""
START_PATIENCE_S: Final = 240.0
"""How long it may take to start: for the first time in a new profile, on a machine that does much else."""
WIDTH: Final = 1000
HEIGHT: Final = 800


class Tab(Protocol):
    """One tab. A selector is CSS; ``HOST >> INSIDE`` goes on in an open shadow root. Pixels are the page's."""

    def open(self, address: str) -> None:
        """Go to an address, and wait until the page has loaded."""

    def run(self, script: str, *arguments: object) -> Any:
        """Run an expression, or a function with these arguments; its value (of a promise: what it comes to)."""

    def until(self, script: str, *arguments: object) -> None:
        """Return once an expression, or a function of these arguments, is true."""

    def click(self, selector: str, button: Button = "left", at: tuple[int, int] | None = None) -> None:
        """Click where an element is: in its middle, or so far from its left upper corner."""

    def click_twice(self, first: str, second: str, pause_s: float) -> None:
        """Click two elements with a pause between them, whatever the page does meanwhile."""

    def hover(self, selector: str) -> None:
        """Move the mouse onto an element."""

    def move(self, x: int, y: int, steps: int = 1) -> None:
        """Move the mouse."""

    def button(self, *, down: bool) -> None:
        """Press the left button where the mouse is, or let it go."""

    def wheel(self, pixels: int) -> None:
        """Turn the wheel downwards where the mouse is."""

    def focus(self, selector: str) -> None:
        """Put the cursor into a field."""

    def press(self, *keys: str) -> None:
        """Press keys one after the other; ``Control+s`` is two held at once."""

    def hold(self, key: str, times: int) -> None:
        """Hold a key until it has repeated so often."""

    def type(self, text: str) -> None:
        """Type a text where the cursor is."""

    def back(self) -> None:
        """Go back in the history, as by the browser's button."""

    def sibling(self) -> Tab:
        """Another tab of the same person."""

    def close(self) -> None:
        """Close the tab, as a person does."""

    def close_window(self) -> None:
        """Close the window with all its tabs."""

    def crash(self) -> None:
        """Let the page's process die."""

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""


class Engine(Protocol):
    """A running browser, one for a whole run of tests."""

    name: Name

    def fresh(self) -> Tab:
        """A tab of a person who was never seen: nothing is kept, and what was open before is closed."""

    def version(self) -> str:
        """What it is called and its version."""

    def errors(self) -> list[str]:
        """What pages threw since the last fresh tab, where the driver tells it."""

    def stop(self) -> None:
        """End it and all that it started."""


FIND: Final = (
    "(selector) => selector.split(' >> ').reduce((root, part) => root && (root.shadowRoot ?? root).querySelector(part),"
    " document)"
)
"""The element of a selector, in the page."""

PLACE: Final = f"""(selector, at) => {{
  const element = ({FIND})(selector);
  if (!element) return null;
  const seen = element.getBoundingClientRect();
  if (seen.top < 0 || seen.bottom > innerHeight) element.scrollIntoView({{ block: "center", behavior: "instant" }});
  const {{ left, top, width, height }} = element.getBoundingClientRect();
  const [x, y] = at ?? [width / 2, height / 2];
  return [Math.round(left + x), Math.round(top + y)];
}}"""
"""Where to click on it; null where there is none."""

KEYS: Final[Mapping[str, str]] = {
    "Enter": "\ue007", "Space": " ", "Escape": "\ue00c", "Tab": "\ue004", "ArrowUp": "\ue013", "ArrowDown": "\ue015",
    "ArrowLeft": "\ue012", "ArrowRight": "\ue014", "Home": "\ue011", "End": "\ue010", "F2": "\ue032",
    "Control": "\ue009", "Shift": "\ue008", "Alt": "\ue00a",
}  # fmt: skip
"""WebDriver's names of keys that write no letter."""


def key_code(key: str) -> str:
    """WebDriver's name of a key."""
    return KEYS.get(key, key)


def is_function(script: str) -> bool:
    """Whether a script is a function, as the rows write them."""
    head = script.lstrip().removeprefix("async").lstrip()
    return (head.startswith("(") and "=>" in head.partition(")")[2][:4]) or head.startswith("function")
