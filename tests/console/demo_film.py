"""The film of the demo in README.md: what Ada does on her phone on the left, the console on the right, as it changes.

``python -m tests.console.pictures`` makes it with the other pictures.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

SCALE: Final = 2
"""Pixels of the film for one of a page: sharp on a screen of today."""
LEFT, RIGHT, HEIGHT, BAR, CAPTION = 380, 640, 660, 34, 52
AIR: Final = 14
"""Above what the console shows."""
PRODUCT: Final = "/products/runner"
LISTENER: Final = "basket-abandoned"
WAIT_S: Final = 15
"""How long the demo's listener of that name waits for a purchase."""
READ_MS, PRESSED_MS, SECOND_MS, LAST_MS = 2_600, 900, 260, 6_000
QUALITY: Final = 80
INK, PAPER, BARS, ACCENT = "#ffffff", "#1c2333", "#2b344a", "#2f5bea"

Box = tuple[float, float, float, float]
"""Left, top, right, bottom on a page."""


class Scene(NamedTuple):
    """What is told, and what stands on both pages then."""

    words: str
    left: bytes
    right: bytes
    ms: int = READ_MS
    pressed: Box | None = None
    """Where the phone is touched."""
    new: Box | None = None
    """What is new in the console."""
    waited: float = 0
    """The part of the wait that is over."""


def opened(browser: Browser, width: int, url: str) -> Page:
    """A window of its own in the demo."""
    view = {"width": width, "height": 2 * HEIGHT}
    page = browser.new_context(viewport=view, device_scale_factor=SCALE).new_page()  # type: ignore[arg-type]
    page.set_default_timeout(120_000)
    page.goto(url)
    page.click("#enter")
    page.goto(url)
    return page


class Stage:
    """Both windows, and the scenes that are played in them."""

    def __init__(self, browser: Browser, at: dict[str, str]) -> None:
        """``at``: the demo's addresses."""
        self.console, self.shop = at["console"], at["shop"]
        self.phone = opened(browser, LEFT, f"{self.console}/inbox")
        self.desk = opened(browser, RIGHT, f"{self.console}/lists")
        self._top = self.desk.locator("section").first

    def scene(self, words: str, *, new: Locator | None = None, pressed: Locator | None = None) -> Scene:
        """What is seen now; of ``pressed`` and ``new`` that it is pressed, or has come."""
        if new is not None:
            new.wait_for()
        in_front = urlsplit(self.phone.url)[1:3] == urlsplit(f"{self.shop}/")[1:3]
        above = 0.0 if in_front else upper(self.phone.locator("main"))
        top = upper(self._top) - AIR
        return Scene(
            words,
            shot(self.phone, above),
            shot(self.desk, top),
            PRESSED_MS if pressed is not None else READ_MS,
            place(pressed, above),
            place(new, top),
        )

    def told(self, selector: str) -> None:
        """Press on the phone, and wait until Segma has heard of it."""
        with self.phone.expect_response("**/v1/beacons"):
            self.phone.click(selector)

    def ask_why(self) -> None:
        """Look Ada up, and let the console say why she is in the list."""
        self.desk.goto(f"{self.console}/w/demo/people")
        self.desk.fill("[name=person]", "ada@example.org")
        self.desk.click("#look-up")
        self.desk.locator(f"text=Why {LISTENER}?").first.click()
        words = self.desk.locator(".words", has_text="since")
        words.wait_for()
        expect(self.desk.locator("[data-part]:not([data-loaded])")).to_have_count(0, timeout=120_000)
        self._top = self.desk.locator("h2", has_text=f"Why: {LISTENER}")

    def listed(self, name: str, person: str) -> Locator:
        """A person in a list."""
        return self.desk.locator(f"[data-list={name}] >> text={person}")


def scenes(stage: Stage) -> Iterator[Scene]:
    """Ada follows her link, fills the basket and leaves it; each scene waits until what it tells has come."""
    phone = stage.phone
    words = "The spring mail is out. Everybody who gets it is in the list newsletter."
    yield stage.scene(words, new=stage.listed("newsletter", "Ada"))
    yield stage.scene(words, pressed=phone.locator("a[data-person=Ada]"))
    stage.told("a[data-person=Ada]")
    yield stage.scene("Ada follows her link: she is known from here on, without a login.")
    yield stage.scene("Ada follows her link: she is known from here on, without a login.", pressed=card(phone))
    stage.told(f"a[href='{PRODUCT}']")
    yield stage.scene("She looks at a shoe, and is in a list of those who do.", new=stage.listed("viewed-shoes", "Ada"))
    yield stage.scene("She puts it into the basket …", pressed=phone.locator(".add"))
    stage.told(".add")
    left = stage.scene("… and leaves it there.")
    yield left
    yield from (
        left._replace(words=f"… and leaves it there. {second} s", ms=SECOND_MS, waited=second / WAIT_S)
        for second in range(1, WAIT_S + 1)
    )
    gone = "She did not buy: moved from newsletter to basket-abandoned, by itself."
    yield stage.scene(gone, new=stage.listed(LISTENER, "Ada"))._replace(ms=LAST_MS)
    stage.ask_why()
    yield stage.scene("Why is she in that list? What she did, and what the platform answered.")._replace(ms=LAST_MS)


def upper(seen: Locator) -> float:
    """Where something begins on its page."""
    return (seen.bounding_box() or {"y": 0.0})["y"]


def card(phone: Page) -> Locator:
    """The product in the shop's front page."""
    return phone.locator(f"a[href='{PRODUCT}']")


def shot(page: Page, top: float) -> bytes:
    """A window's part of the film, from ``top`` on."""
    width = (page.viewport_size or {"width": LEFT})["width"]
    return page.screenshot(clip={"x": 0, "y": top, "width": width, "height": HEIGHT})


def place(seen: Locator | None, top: float) -> Box | None:
    """Where something stands in a window's part of the film."""
    box = seen.bounding_box() if seen is not None else None
    if box is None:
        return None
    return box["x"], box["y"] - top, box["x"] + box["width"], box["y"] - top + box["height"]


def drawn(scene: Scene) -> Image.Image:
    """One picture of the film."""
    wide, high = LEFT + 1 + RIGHT, BAR + HEIGHT + CAPTION
    picture = Image.new("RGB", (SCALE * wide, SCALE * high), PAPER)
    pen = ImageDraw.Draw(picture, "RGBA")
    for name, side, width, seen in (
        ("Ada's phone", 0, LEFT, scene.left),
        ("Segma's console", LEFT + 1, RIGHT, scene.right),
    ):
        picture.paste(Image.open(io.BytesIO(seen)).convert("RGB"), (SCALE * side, SCALE * BAR))
        pen.rectangle(scaled((side, 0, side + width, BAR)), fill=BARS)
        write(pen, (side + width / 2, BAR / 2), name, 15)
    if scene.pressed is not None:
        x, y = (scene.pressed[0] + scene.pressed[2]) / 2, (scene.pressed[1] + scene.pressed[3]) / 2 + BAR
        pen.ellipse(scaled((x - 20, y - 20, x + 20, y + 20)), fill="#1c233366", outline=INK, width=2 * SCALE)
    if scene.new is not None:
        left, top, right, bottom = scene.new
        around = scaled((LEFT + left - 7, BAR + top - 1, LEFT + right + 9, BAR + bottom + 1))
        pen.rounded_rectangle(around, 6 * SCALE, fill="#2f5bea22", outline=ACCENT, width=2 * SCALE)
    write(pen, (wide / 2, high - CAPTION / 2), scene.words, 20)
    if scene.waited:
        pen.rectangle(scaled((0, high - 5, wide * scene.waited, high)), fill=ACCENT)
    return picture


def scaled(box: Box) -> Box:
    """A place on the film, in its pixels."""
    left, top, right, bottom = box
    return left * SCALE, top * SCALE, right * SCALE, bottom * SCALE


def write(pen: ImageDraw.ImageDraw, middle: tuple[float, float], words: str, size: int) -> None:
    """Words around a place."""
    font = ImageFont.load_default(size * SCALE)
    pen.text((middle[0] * SCALE, middle[1] * SCALE), words, fill=INK, font=font, anchor="mm")


def write_film(browser: Browser, at: dict[str, str], path: Path) -> None:
    """Film the demo, which has just begun, as an animated WebP that goes round."""
    played = list(scenes(Stage(browser, at)))
    first, *others = [drawn(each) for each in played]
    shown = [each.ms for each in played]
    first.save(path, save_all=True, append_images=others, duration=shown, loop=0, quality=QUALITY, method=6)
