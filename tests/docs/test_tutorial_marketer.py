"""docs/tutorials/marketer.md: its words stand on the console's pages, its listener and its links are right.

``python -m tests.console.demo_walk`` does the steps themselves, in a real browser.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from console.write_pages import NEW
from console.writing.merge import form_in, merged, reshaped
from contracts.actions import VOCABULARY
from flows.language.parse import parse_listeners
from flows.replay.examples import failures, parse_examples

ROOT = Path(__file__).resolve().parents[2]
FILLED_IN = (
    ({"listener": "spring-warm", "s1.w1.property": "campaign", "s1.w1.value": "spring-*"}, "add_step"),
    ({"s2.w1.property": "path", "s2.w1.value": "/products/*", "s2.times": "2"}, "add_step"),
    ({"s3.kind": "not", "s3.action": "product_bought"}, "follow"),
    ({"s3.for": "30m"}, "follow"),
)
"""What step 1 of the page says to write into the form's cells, and the button that is pressed then."""
PAGE = (ROOT / "docs" / "tutorials" / "marketer.md").read_text(encoding="utf-8")


def test_every_word_in_bold_stands_on_a_page_of_the_console() -> None:
    catalogue = yaml.safe_load((ROOT / "console" / "catalogues" / "de.yaml").read_text("utf-8"))
    words = [re.sub(r"\\\{\w+\\\}", ".+", re.escape(key)) for key in catalogue]
    bold = [each for each in re.findall(r"\*\*(.+?)\*\*", PAGE) if each != "bold"]
    assert len(bold) > 20
    assert [each for each in bold if not any(re.fullmatch(word, each) for word in words)] == []


def test_its_listener_does_what_its_examples_say() -> None:
    listener, examples = re.findall(r"```yaml (?:listener|examples)\n(.*?)```", PAGE, re.DOTALL)
    listeners = parse_listeners([("marketer.md", listener.encode())], known_actions=VOCABULARY)
    for example in parse_examples("marketer.md", examples.encode(), known_actions=VOCABULARY):
        assert failures(listeners, example) == [], example.name


def test_its_links_are_those_of_the_platforms_table() -> None:
    table = (ROOT / "docs" / "sinks.md").read_text(encoding="utf-8")
    fields = re.findall(r"#sgm=([^`]+)`", PAGE)
    assert len(fields) == 5
    assert [each for each in fields if f"`{each}`" not in table] == []


def test_the_form_writes_the_text_that_the_page_shows() -> None:
    (shown,) = re.findall(r"```yaml listener\n(.*?)```", PAGE, re.DOTALL)
    text = NEW.format(account="mailbox")
    for cells, then in FILLED_IN:
        form = form_in(text)
        assert cells.keys() <= form.cells.keys()
        assert [each for name, each in cells.items() if not name.endswith("kind") and f"`{each}`" not in PAGE] == []
        text = reshaped(merged(text, form, {**form.cells, **cells}), then, 0, "mailbox")
    assert text == shown
