"""docs/tutorials/marketer.md: its words stand on the console's pages, its listener and its links are right.

``python -m tests.console.demo_walk`` does the steps themselves, in a real browser, and makes the pictures.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from contracts.actions import VOCABULARY
from flows.language.parse import parse_listeners
from flows.replay.examples import failures, parse_examples

ROOT = Path(__file__).resolve().parents[2]
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
