from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

from console.inbox import STORIES
from console.render import HERE, LANGUAGES, catalogue, environment, language_of, translator
from console.view import NAVIGATION
from console.writing.cells import LABELS
from contracts.rows import Act

TEMPLATES = sorted((HERE / "templates").glob("*.html"))
READ_ALOUD = ("title", "alt", "aria-label", "placeholder")
OURS = {"Segma", "YAML", "segma listeners apply"}
"""Names that are the same in every language."""


HANDLERS = (
    "account_pages", "change_pages", "company_doors", "desk", "doors", "dry_runs", "history", "list_pages",
    "listener_pages", "login_page", "people_pages",
    "person_changes", "record_pages", "site_pages", "trial_pages", "write_pages",
)  # fmt: skip
"""Modules whose sentences templates translate: every text of theirs that ends as a sentence does."""
IN_WORDS = "No event of this person"
"""Stands in place of a transcript, which is English."""
WORDS = {
    "coming",
    "shadow",
    "live",
    "paused",
    "ended",
    "event",
    "session",
    "match",
    "move",
    "answer",
    "import",
    *map(str, Act),
}
"""States of versions, what a timeline tells, and what users do."""


def said_in_code() -> set[str]:
    """Texts that the code hands to templates, which translate them."""
    stories = {text for each in STORIES for text in (each.subject, each.text, each.label)}
    choices = {text for each in LABELS.values() for text in each.values()}
    return (
        stories
        | choices
        | {text for _, text in NAVIGATION}
        | WORDS
        | {text for name in HANDLERS for text in sentences(name)}
    )


def sentences(module: str) -> Iterator[str]:
    """Texts of a module that are whole sentences, but docstrings and what is told to whoever reads its words."""
    tree = ast.parse((HERE / f"{module}.py").read_text("utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and id(node) not in docs else None
        if isinstance(text, str) and re.fullmatch(r"[A-Z].* .*\.", text) and not text.startswith(IN_WORDS):
            yield text


def said_in(template: Path) -> Iterator[str]:
    """Texts that a template asks a translation of."""
    tree = Environment(autoescape=True).parse(template.read_text("utf-8"))
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "_" and isinstance(call.args[0], nodes.Const):
            yield call.args[0].value


class PlainText(HTMLParser):
    """Collects what people read: text, and attributes that are read aloud."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in READ_ALOUD]


def untranslated(source: str) -> list[str]:
    """Words that stand in a template as they are."""
    reader = PlainText()
    reader.feed(re.sub(r"\{[{%#].*?[}%#]\}", "", source, flags=re.DOTALL))
    reader.close()
    return [
        text for found in reader.found for text in [found.strip()] if re.search("[A-Za-z]", text) and text not in OURS
    ]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_text_stands_in_a_template_as_it_is(template: Path) -> None:
    assert [each for each in untranslated(template.read_text("utf-8")) if each.strip("· ") not in OURS] == []


def test_untranslated_text_is_found() -> None:
    assert untranslated('<p title="Hello">{{ _("fine") }} not fine</p>') == ["Hello", "not fine"]


def spoken(script: str) -> list[str]:
    """Words, two or more, that a script would put on a page as they are."""
    code = re.sub(r"^ *//.*$", "", script, flags=re.MULTILINE)
    texts = (re.sub(r"\$\{.*?\}", "", found[1]) for found in re.finditer(r"""(?s)["'`](.*?)["'`]""", code))
    return [text for text in texts if re.fullmatch(r"[ \w·,.:%-]*[A-Za-z]{2,} [A-Za-z]{2,}[ \w·,.:%-]*", text)]


@pytest.mark.parametrize("name", ["console.js"])
def test_no_text_stands_in_a_script_as_it_is(name: str) -> None:
    assert spoken((HERE / "static" / name).read_text("utf-8")) == ["use strict"]


def test_untranslated_text_of_a_script_is_found() -> None:
    assert spoken('a = x ? "after its wait" : `${ms} ms after the event`') == [
        "after its wait", " ms after the event",
    ]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_a_catalogue_has_every_text_and_no_other(language: str) -> None:
    said = {text for template in TEMPLATES for text in said_in(template)} | said_in_code()
    assert set(catalogue(language)) == said


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_a_translation_fills_in_the_same_values(language: str) -> None:
    for text, translated in catalogue(language).items():
        assert sorted(re.findall(r"\{\w*\}", text)) == sorted(re.findall(r"\{\w*\}", translated)), text


def test_a_value_with_braces_is_a_value() -> None:
    assert translator("de")("Hello {name},", name="{x}") == "Guten Tag, {x},"


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("de-AT,en;q=0.5", "de"), ("fr, DE", "de"), ("", "en"), ("*", "en"), ("en-GB", "en"), ("x" * 9_999, "en")],
)
def test_the_browsers_first_language_that_there_is(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_compiles_and_escapes(language: str) -> None:
    made = environment(language)
    assert made.autoescape is True
    assert made.list_templates() == [path.name for path in TEMPLATES]
    for name in made.list_templates():
        made.get_template(name)
