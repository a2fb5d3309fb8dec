"""What a page of the manual names, the code has: commands with their options, metrics, actions, fields of the
installation.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Final

import click
import pytest
from pydantic import BaseModel

from cli.__main__ import COMMANDS
from contracts.actions import PROFILE_CHANGED, VOCABULARY
from contracts.installation import Account, Installation, SecretAt, Site, Workspace
from contracts.membership import MADE_ACTIONS
from tests.docs.reference import meters

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
    if "adr" not in path.parts
}
TYPED: Final = re.compile(r"(?:^\$ (?:\S*/)?|`(?:\./)?)segma ([a-z][^`\n]*)", re.MULTILINE)
"""A command line of ours, in a console block or between backticks."""
METRIC: Final = re.compile(r"`(segma_[a-z0-9_]+)(?:\{[^`]*\})?`")
NO_METRICS: Final = {"segma_token", "segma_tags"}
"""Fields at the platforms."""
SUFFIXES: Final = ("_bucket", "_sum", "_count")
ADDED: Final = {"wishlist_added"}
"""The action that extending.md adds."""
OWN_OPTIONS: Final = {"--help", "--version"}


def unknown(line: str) -> list[str]:
    """What of a command line of ours there is not: the command, one below it, or an option of the last of them."""
    words = line.replace("\\\n", " ").partition(" #")[0].split()
    if words[0] not in COMMANDS:
        return [words[0]]
    command: click.Command = getattr(import_module(COMMANDS[words[0]][0]), f"{words[0]}_command")
    rest = words[1:]
    while isinstance(command, click.Group) and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    if command.context_settings.get("ignore_unknown_options"):  # a measurement's own, or pytest's
        return []
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | OWN_OPTIONS
    asked = (re.match(r"--[a-z-]+", word.lstrip("[")) for word in " ".join(rest).split(" && ")[0].split())
    return [f"{words[0]} … {each[0]}" for each in asked if each and each[0] not in known]


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_that_a_page_names_are_there_with_their_options(page: str) -> None:
    lines = [line for line in TYPED.findall(PAGES[page]) if not re.match(r"[a-z-]+, version", line)]
    assert [(line, found) for line in lines if (found := unknown(line))] == []


def test_what_is_no_command_or_option_is_found() -> None:
    assert unknown("flow rescale --home x --from 2 --to 3") == []
    assert unknown("flow rescale --until 3") == ["flow … --until"]
    assert unknown("dance") == ["dance"]


def test_the_metrics_that_pages_name_are_told() -> None:
    told = {name for name, *_ in meters()}
    told |= {name + suffix for name, kind, *_ in meters() if kind == "histogram" for suffix in SUFFIXES}
    named = {(page, name) for page, text in PAGES.items() for name in METRIC.findall(text)}
    named = {(page, name) for page, name in named if name not in NO_METRICS}
    assert len(named) > 10
    assert sorted((page, name) for page, name in named if name not in told) == []


def test_the_fields_that_the_page_of_settings_names_are_there() -> None:
    text = PAGES["docs/configuration.md"]
    sections: dict[str, type[BaseModel]] = {
        "The installation": Installation,
        "A workspace": Workspace,
        "A site": Site,
        "An account": Account,
        "Where a secret is": SecretAt,
    }
    for title, model in sections.items():
        part = re.split(r"^#{2,3} ", text.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
        assert set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)) == set(model.model_fields), title


ACTION: Final = re.compile(
    r"(?:\b(?:action|not|all): |, event: |data-segma-action=\"|segma\.track\([\"']|action=)([a-z]+(?:_[a-z]+)+)\b"
)
"""An action in a listener, in examples, in markup, in a call of the SDK or as a parameter of a query."""
OWN_ACTIONS: Final = re.compile(r"^  ([a-z]+(?:_[a-z]+)+): [A-Z]", re.MULTILINE)
"""A site's own, in an ``actions.yaml`` of a page."""


def test_the_actions_that_pages_name_are_of_the_vocabulary() -> None:
    own = {name for text in PAGES.values() for name in OWN_ACTIONS.findall(text)} | ADDED | {PROFILE_CHANGED}
    named = {(page, name) for page, text in PAGES.items() for name in ACTION.findall(text)}
    assert len({name for _, name in named}) > 20
    assert sorted((page, name) for page, name in named if name not in VOCABULARY | own) == []


def test_the_table_of_actions_is_whole() -> None:
    part = PAGES["docs/architecture.md"].split("## 4. Actions\n", 1)[1].split("\n## ", 1)[0]
    cells = [line.split("|")[2] for line in part.splitlines() if line.startswith("| ")]
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} - {"progress"}
    assert named == VOCABULARY - {each.name for each in MADE_ACTIONS}
