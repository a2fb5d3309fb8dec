"""The manual as a site: ``./segma docs`` (Sphinx with MyST and Furo, docs/adr/0030)."""

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
