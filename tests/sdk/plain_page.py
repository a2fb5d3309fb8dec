"""A page with the script in its head and whatever a test puts beside it."""

from __future__ import annotations

from tests.sdk.stage import StaticSite, serve_builds, tag

PAGE = "<!doctype html><html><head><meta charset='utf-8'><title>Page</title>{head}</head><body>{body}</body></html>"


def put(
    site: StaticSite, collector: str, body: str = "", *, before: str = "", after: str = "", attributes: str = ""
) -> str:
    serve_builds(site)
    head = before + tag("minified", collector, attributes) + after
    return site.put("/page", PAGE.format(head=head, body=body))
