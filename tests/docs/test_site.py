"""The manual builds as a site without a warning, and its pages ask no other host for anything."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.docs import built

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    into = tmp_path_factory.mktemp("site")
    done = built(ROOT, into)
    assert done.returncode == 0, done.stderr
    return into


def test_every_page_of_the_manual_is_in_the_site(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in ROOT.glob("docs/**/*.md")}
    assert [page for page in pages if not (site / page).with_suffix(".html").is_file()] == []


def test_the_site_can_be_read_without_a_server(site: Path) -> None:
    """A browser shows a folder that a link of a file leads to, and not the page in it."""
    for page in site.rglob("*.html"):
        links = re.findall(r'href="([^"#?]*)[^"]*"', page.read_text("utf-8"))
        files = [link for link in links if link and "://" not in link and not link.startswith("mailto:")]
        assert [link for link in files if not (page.parent / link).is_file()] == [], page


def test_no_page_needs_another_host(site: Path) -> None:
    wanted = re.compile(
        r"""<(?:script|img|link|iframe)[^>]+(?:src|href)=["'](?:https?:)?//[^"']+|@import\s|url\(https?:"""
    )
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(files) > 20
    assert [(path.name, found[0]) for path in files if (found := wanted.findall(path.read_text("utf-8")))] == []


def test_a_link_to_an_anchor_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    pages = tmp_path / "docs"
    pages.mkdir()
    (pages / "conf.py").write_text((ROOT / "docs" / "conf.py").read_text("utf-8"))
    (pages / "index.md").write_text("# A\n\n[there](#nowhere)\n")
    done = built(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert "nowhere" in done.stderr


LOOKED_AT = (
    "index.html",
    "tutorials/first-row.html",
    "reference/http.html",
    "reference/tables.html",
    "reference/actions.html",
    "comparison.html",
    "sdk.html",
    "search.html?q=listener",
)
"""A page of each kind: the first, a tutorial with code, made from the code, wide tables, a long one, the search."""


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's word
        pass


@pytest.fixture
def served(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join(30)


def barriers(page: Page) -> list[str]:
    """What axe finds on the page that is open, and whether it is wider than the screen."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page)
    told = [f"{page.url}: {each['id']}: {each['nodes'][0]['html'][:200]}" for each in found.response["violations"]]
    wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return [*told, *([f"{page.url}: wider than the screen"] if wide else [])]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1_200), ("dark", 360)])
def test_no_page_has_a_barrier(browser: Browser, served: str, scheme: str, width: int) -> None:
    found: list[str] = []
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})  # type: ignore[arg-type]
    page = context.new_page()
    for path in LOOKED_AT:
        page.goto(f"{served}{path}")
        found += barriers(page)
    context.close()
    assert found == []
