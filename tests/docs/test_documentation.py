"""Documentation is a test: what a user can meet is documented, and what is documented exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from segma.cli.__main__ import COMMANDS
from segma.contracts.installation import Account, Installation, SecretAt, Site, Workspace
from segma.contracts.reasons import Reason

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_reason_is_documented_as_it_explains_itself() -> None:
    documented = dict(
        re.findall(r"^\| `(\w+)` \| (.+) \|$", (ROOT / "docs/reasons.md").read_text("utf-8"), re.MULTILINE)
    )
    assert documented == {reason.value: reason.explanation for reason in Reason}


@pytest.mark.parametrize("model", [Installation, Workspace, Site, Account, SecretAt])
def test_every_field_of_the_installation_is_documented(model: type[Installation]) -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert [name for name in model.model_fields if f"`{name}`" not in text] == []


def test_the_readme_names_every_room() -> None:
    rooms = [path.parent.name for path in (ROOT / "src/segma").glob("*/__init__.py")]
    rooms += ["js-sdk", "infra", "bench", "listeners", "tests"]
    assert [room for room in rooms if f"`{room}/`" not in README] == []


def test_the_readme_names_every_command() -> None:
    assert [name for name in COMMANDS if f"segma {name}" not in README] == []


@pytest.mark.parametrize(
    "page", sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [link for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) if "://" not in link]
    assert [link for link in targets if not (ROOT / page.parent / link).exists()] == []
