"""The manual as a site: ``./segma docs`` (Sphinx with MyST and Furo, docs/adr/0030)."""

from pathlib import Path

from sphinx.application import Sphinx

project = "Segma"
author = "the Segma authors"
html_title = "Segma"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
master_doc = "index"
exclude_patterns = ["notebooks", "build"]
myst_heading_anchors = 3
myst_enable_extensions = ["tasklist"]
# ClickHouse writes parameters into SQL as {name:Type}, which the highlighter does not know.
suppress_warnings = ["misc.highlighting_failure"]
html_theme = "furo"
html_static_path: list[str] = []
html_copy_source = False
html_show_sourcelink = False

ACCESSIBLE = {
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    '<th class="head"><p></p></th>': '<td class="head"></td>',
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
    '<aside class="sidebar-drawer"': '<aside aria-label="Pages" class="sidebar-drawer"',
    '<aside class="toc-drawer"': '<aside aria-label="On this page" class="toc-drawer"',
    '<div class="content-icon-container">': '<div aria-label="Theme" role="region" class="content-icon-container">',
    '<div id="search-results">': '<h1>Search</h1><div id="search-results">',
}
"""What the theme writes, and what readers without a mouse or without sight need instead (axe finds each)."""


def mend_pages(app: Sphinx, exception: Exception | None) -> None:
    """Write in each built page what :data:`ACCESSIBLE` says."""
    for path in Path(app.outdir).rglob("*.html") if exception is None else ():
        text = path.read_text(encoding="utf-8")
        for former, now in ACCESSIBLE.items():
            text = text if now in text else text.replace(former, now)
        path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Let Sphinx mend what it has built."""
    app.connect("build-finished", mend_pages)
