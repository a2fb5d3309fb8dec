"""The manual builds as a site without a warning, and its pages ask no other host for anything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.docs import built

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
    assert [page for page in pages if page.name != "index" and not (site / page / "index.html").is_file()] == []


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
