"""Draws ``docs/architecture.svg`` from the text below: ``python -m tests.docs.picture``. A test compares the two."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

PICTURE: Final = Path(__file__).resolve().parents[2] / "docs" / "architecture.svg"
TEXT: Final = """
box browser      0 0 browser      | js-sdk
box collector    1 0 collector    | check, stamp, store
box recognise    2 0 recognise    | who is it?
box follow       3 0 follow       | sessions, listeners
box deliver      4 0 deliver      | one loop an account
box platform     5 0 email platform | lists, tags
box mails        0 1 mail, platforms | opens, clicks, webhooks
box letters      2 1 dead letters | each with a reason
box loader       3 1 loader       | rows, outcomes
box clickhouse   4 1 ClickHouse   | the history
box console      5 1 console      | why, lists, back-tests
line browser collector    beacon
line collector recognise  beacons
line recognise follow     events
line follow deliver       moves
line deliver platform     calls
line mails collector
line recognise letters
line follow loader
line deliver loader
line loader clickhouse    rows
line clickhouse console   SQL
"""
WIDTH, HEIGHT, ACROSS, DOWN, EDGE = 136, 56, 196, 120, 12
STYLE: Final = (
    "rect{fill:#f6f8fa;stroke:#57606a}text{font:14px sans-serif;fill:#1f2328;text-anchor:middle}"
    ".small{font-size:11px;fill:#57606a}line{stroke:#57606a;stroke-width:1.5;marker-end:url(#tip)}path{fill:#57606a}"
    "@media (prefers-color-scheme:dark){rect{fill:#161b22;stroke:#8b949e}text{fill:#e6edf3}.small{fill:#9ea7b1}"
    "line{stroke:#8b949e}path{fill:#8b949e}}"
)
ABOUT: Final = (
    "From the browser by the collector, recognise and follow to the delivery at an email platform; rows and outcomes"
    " go to ClickHouse, which the console asks."
)


class Box(NamedTuple):
    """A part, and where its upper left corner is."""

    x: int
    y: int
    title: str
    under: str


def drawn(text: str) -> str:
    """The picture that the text describes: a box or a line a row."""
    boxes: dict[str, Box] = {}
    parts: list[str] = []
    for row in filter(None, text.splitlines()):
        kind, one, rest = row.split(None, 2)
        if kind == "box":
            column, line, words = rest.split(None, 2)
            title, under = (each.strip() for each in words.split("|"))
            boxes[one] = Box(EDGE + int(column) * ACROSS, EDGE + int(line) * DOWN, title, under)
        else:
            other, _, label = rest.partition(" ")
            parts += line_between(boxes[one], boxes[other], label.strip())
    for box in boxes.values():
        middle = box.x + WIDTH // 2
        parts += [
            f'<rect x="{box.x}" y="{box.y}" width="{WIDTH}" height="{HEIGHT}" rx="6"/>',
            f'<text x="{middle}" y="{box.y + 24}">{escape(box.title)}</text>',
            f'<text class="small" x="{middle}" y="{box.y + 43}">{escape(box.under)}</text>',
        ]
    wide, high = EDGE * 2 + ACROSS * 5 + WIDTH, EDGE * 2 + DOWN + HEIGHT
    tip = '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" role="img" aria-label="{ABOUT}">',
        f"<style>{STYLE}</style>",
        f'<defs>{tip}<path d="M0 0L8 4L0 8z"/></marker></defs>',
    ]
    return "\n".join([*head, *parts, "</svg>", ""])


def line_between(one: Box, other: Box, label: str) -> list[str]:
    """An arrow between two boxes, along a row or from one row to the other, and what goes along it."""
    if one.y == other.y:
        start, end = (one.x + WIDTH, one.y + HEIGHT // 2), (other.x - 2, one.y + HEIGHT // 2)
    else:
        down = other.y > one.y
        aside = WIDTH // 4 * ((other.x > one.x) - (other.x < one.x))
        start = (one.x + WIDTH // 2 + aside, one.y + HEIGHT * down)
        end = (other.x + WIDTH // 2 - aside, other.y + HEIGHT * (not down) + (-2 if down else 2))
    lines = [f'<line x1="{start[0]}" y1="{start[1]}" x2="{end[0]}" y2="{end[1]}"/>']
    if label:
        lines.append(f'<text class="small" x="{(start[0] + end[0]) // 2}" y="{start[1] - 7}">{escape(label)}</text>')
    return lines


if __name__ == "__main__":
    PICTURE.write_text(drawn(TEXT), encoding="utf-8")
