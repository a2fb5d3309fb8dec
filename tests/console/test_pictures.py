"""No picture of the manual is older than the page that it shows, and each is shown somewhere."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from tests.console.pictures import FILM, NOTE, PAGES, ROOT, digest, made_of

DOCS = ROOT / "docs"
MOST_BYTES = 800_000


@pytest.mark.parametrize("name", PAGES)
def test_a_picture_is_as_new_as_its_page(name: str) -> None:
    noted = json.loads(NOTE.read_text(encoding="utf-8"))
    assert noted[name] == digest(name), f"docs/{name} may be old: look, and run python -m tests.console.pictures"


def test_a_change_of_a_page_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(FILM)
    monkeypatch.setitem(PAGES, FILM, PAGES[FILM][:-1])
    assert digest(FILM) != before


def test_what_a_page_takes_in_counts_too() -> None:
    found = made_of("console-listeners.png")
    assert {"listeners.html", "base.html", "macros.html"} <= {each.rpartition("/")[2] for each in found}
    assert {"console.css", "console.js"} <= {each.rpartition("/")[2] for each in found}


def test_every_picture_is_made_and_shown() -> None:
    assert {path.name for kind in ("png", "webp") for path in DOCS.glob(f"*.{kind}")} == set(PAGES)
    text = "".join(path.read_text("utf-8") for path in (ROOT / "README.md", *DOCS.glob("**/*.md")))
    assert [name for name in PAGES if f"{name})" not in text] == []


def test_the_film_is_small_and_goes_round() -> None:
    assert (DOCS / FILM).stat().st_size < MOST_BYTES
    with Image.open(DOCS / FILM) as film:
        assert film.format == "WEBP"
        assert getattr(film, "n_frames", 1) > 5
        assert film.info["loop"] == 0
        assert film.width > 2_000
