"""The pictures of the manual, from the running product: ``python -m tests.console.pictures``. A minute and a half.

``docs/pictures.json`` notes from which sources each was made: a test says which are old, since one of those changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Final

from jinja2 import Environment, meta
from PIL import Image
from playwright.sync_api import sync_playwright

from cli.browser import find_browser
from tests.console.demo_film import write_film
from tests.console.demo_walk import demo, walk

ROOT: Final = Path(__file__).resolve().parents[2]
NOTE: Final = ROOT / "docs" / "pictures.json"
CONSOLE: Final = ROOT / "console"
FILM: Final = "demo.webp"
PAGES: Final = {
    "console-listeners.png": ("listeners.html", "listeners_activity.html"),
    "console-write.png": ("write.html",),
    "console-editor.png": ("write.html",),
    "console-move.png": ("lists.html",),
    "console-why.png": ("person.html", "person_lists.html", "person_life.html", "words.html"),
    "console-roll-back.png": ("confirm.html",),
    FILM: ("inbox.html", "lists.html", "person.html", "words.html"),
}
"""The pictures in ``docs/``, each with the templates of the pages on it."""
OTHERS: Final = {
    FILM: (
        "console/inbox.py",
        "console/shop.py",
        "console/static/shop.css",
        "console/static/shop.js",
        "tests/console/demo_film.py",
    )
}
"""What else a picture is made of."""
STATIC: Final = re.compile(r"/static/([\w./-]+)")
FONTS: Final = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><include ignore_missing="yes">/etc/fonts/fonts.conf</include><dir>{folder}</dir><cachedir>{cache}</cachedir>
<selectfont><rejectfont><pattern><patelt name="family"><string>DejaVu Sans</string></patelt></pattern></rejectfont>
</selectfont>
</fontconfig>
"""
"""The system's fonts and those of npm's Chromium, without the one that servers fall back to."""


def named_in(template: str) -> set[str]:
    """A template, what it extends, imports and includes, and the scripts and styles of all these."""
    text = (CONSOLE / "templates" / template).read_text(encoding="utf-8")
    found = {f"console/templates/{template}", *(f"console/static/{name}" for name in STATIC.findall(text))}
    for other in meta.find_referenced_templates(Environment(autoescape=True).parse(text)):
        found |= named_in(str(other))
    return found


def made_of(picture: str) -> list[str]:
    """The files that say how a picture looks."""
    return sorted({*OTHERS.get(picture, ()), *(name for page in PAGES[picture] for name in named_in(page))})


def digest(picture: str) -> str:
    """What the files that a picture is made of hold now."""
    told = hashlib.sha256()
    for name in made_of(picture):
        told.update(name.encode() + b"\0" + (ROOT / name).read_bytes() + b"\0")
    return told.hexdigest()


def fonts(scratch: Path) -> dict[str, str]:
    """What tells the browser of fonts such as people have, where npm's Chromium has brought some."""
    for brought in (ROOT / ".segma" / "browser").glob("*/fonts"):
        path = scratch / "fonts.conf"
        path.write_text(FONTS.format(folder=brought, cache=scratch / "cache"), encoding="utf-8")
        return {"FONTCONFIG_FILE": str(path)}
    return {}


def lighten(path: Path) -> None:
    """Keep a picture of a page in a palette: a third of the bytes, and nobody sees it."""
    with Image.open(path) as seen:
        seen.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Make all pictures anew, and note what of."""
    executable = find_browser()
    assert executable, "the pictures need Chromium: see `segma doctor`"
    docs = NOTE.parent
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        environment: dict[str, str | float | bool] = {**os.environ, **fonts(Path(scratch))}
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"], env=environment)
        with tempfile.TemporaryDirectory() as home, demo(Path(home)) as at:
            write_film(browser, at, docs / FILM)
        with tempfile.TemporaryDirectory() as home, demo(Path(home)) as at:
            walk(browser, at, docs)
        browser.close()
    for name in PAGES:
        if name != FILM:
            lighten(docs / name)
    NOTE.write_text(json.dumps({name: digest(name) for name in PAGES}, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write("".join(f"docs/{name}\n" for name in PAGES))


if __name__ == "__main__":
    main()
