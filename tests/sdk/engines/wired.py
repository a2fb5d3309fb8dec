"""A tab that is driven by WebDriver's actions, as both WebDriver and its successor BiDi write them."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any

from tests.sdk.engines.tab import FIND, PATIENCE_S, PLACE, Button, Tab, key_code

Act = dict[str, Any]

BUTTONS: dict[Button, int] = {"left": 0, "middle": 1, "right": 2}
POLL_S = 0.02


def pointer(*acts: Act) -> Act:
    """A source of what the mouse does."""
    return {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": list(acts)}


def keys(*acts: Act) -> Act:
    """A source of what the keyboard does."""
    return {"type": "key", "id": "keyboard", "actions": list(acts)}


def to(x: float, y: float) -> Act:
    """The mouse goes there."""
    return {"type": "pointerMove", "x": int(x), "y": int(y), "duration": 0}


def down(button: Button = "left") -> Act:
    """A button goes down."""
    return {"type": "pointerDown", "button": BUTTONS[button]}


def up(button: Button = "left") -> Act:
    """A button is let go."""
    return {"type": "pointerUp", "button": BUTTONS[button]}


def pressed(chord: str) -> list[Act]:
    """Keys that are held at once: down in their order, up in the opposite one."""
    held = [key_code(key) for key in (chord.split("+") if len(chord) > 1 else [chord])]
    return [
        *({"type": "keyDown", "value": key} for key in held),
        *({"type": "keyUp", "value": key} for key in reversed(held)),
    ]


class WiredTab(ABC):
    """What is the same for both protocols. Where the mouse is, is remembered: a button alone has no place there."""

    def __init__(self) -> None:
        self._mouse = (0, 0)
        self._closed = False

    @abstractmethod
    def run(self, script: str, *arguments: object) -> Any:
        """As of :class:`~tests.sdk.engines.tab.Tab`."""

    @abstractmethod
    def _perform(self, *sources: Act) -> None:
        """Do these actions, as if by hand."""

    @abstractmethod
    def sibling(self) -> Tab:
        """As of :class:`~tests.sdk.engines.tab.Tab`."""

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    def until(self, script: str, *arguments: object) -> None:
        """Return once it is true."""
        end = time.monotonic() + PATIENCE_S
        while not self.run(script, *arguments):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(POLL_S)

    def _place(self, selector: str, at: tuple[int, int] | None = None) -> tuple[int, int]:
        self.until(f"(selector) => !!({FIND})(selector)", selector)
        x, y = self.run(PLACE, selector, at)
        self._mouse = (x, y)
        return self._mouse

    def click(self, selector: str, button: Button = "left", at: tuple[int, int] | None = None) -> None:
        """Click."""
        self._perform(pointer(to(*self._place(selector, at)), down(button), up(button)))

    def click_twice(self, first: str, second: str, pause_s: float) -> None:
        """Click, wait, click."""
        one, other = self._place(first), self._place(second)
        pause = {"type": "pause", "duration": int(pause_s * 1_000)}
        self._perform(pointer(to(*one), down(), up(), pause, to(*other), down(), up()))

    def hover(self, selector: str) -> None:
        """Move the mouse onto it."""
        self._perform(pointer(to(*self._place(selector))))

    def move(self, x: int, y: int, steps: int = 1) -> None:
        """Move the mouse in a line."""
        left, top = self._mouse
        line = [to(left + (x - left) * step / steps, top + (y - top) * step / steps) for step in range(1, steps + 1)]
        self._mouse = (x, y)
        self._perform(pointer(*line))

    def button(self, *, down: bool) -> None:
        """Press or let go."""
        self._perform(pointer(to(*self._mouse), {"type": "pointerDown" if down else "pointerUp", "button": 0}))

    def wheel(self, pixels: int) -> None:
        """Turn the wheel."""
        x, y = self._mouse
        turn = {"type": "scroll", "x": x, "y": y, "deltaX": 0, "deltaY": pixels, "duration": 0}
        self._perform({"type": "wheel", "id": "wheel", "actions": [turn]})

    def focus(self, selector: str) -> None:
        """Put the cursor into it."""
        self.run(f"(selector) => ({FIND})(selector).focus()", selector)

    def press(self, *chords: str) -> None:
        """Press keys."""
        for chord in chords:
            self._perform(keys(*pressed(chord)))

    def hold(self, key: str, times: int) -> None:
        """Hold a key."""
        held = {"type": "keyDown", "value": key_code(key)}
        self._perform(keys(*([held] * times), {"type": "keyUp", "value": key_code(key)}))

    def type(self, text: str) -> None:
        """Type."""
        self._perform(keys(*(act for letter in text for act in pressed(letter))))
