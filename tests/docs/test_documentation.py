"""Documentation is a test: what a user can meet is documented, and what is documented exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from analytics.config import AnalyticsSettings
from cli.__main__ import COMMANDS
from cli.compile import ROOMS
from collector.config import CollectorSettings
from console.config import ConsoleSettings
from contracts.actions import VOCABULARY
from contracts.installation import Account, Installation, Login, Oidc, SecretAt, Site, Workspace, check_installation
from contracts.reasons import Reason
from flows.config import FlowSettings
from flows.language.parse import parse_listeners
from sinks.config import SinkSettings
from sinks.registry import SINKS
from transport.config import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_reason_is_documented_as_it_explains_itself() -> None:
    documented = dict(
        re.findall(r"^\| `(\w+)` \| (.+) \|$", (ROOT / "docs/reasons.md").read_text("utf-8"), re.MULTILINE)
    )
    assert documented == {reason.value: reason.explanation for reason in Reason}


@pytest.mark.parametrize("model", [Installation, Workspace, Site, Account, SecretAt, Login, Oidc])
def test_every_field_of_the_installation_is_documented(model: type[Installation]) -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert [name for name in model.model_fields if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    "settings", [CollectorSettings, FlowSettings, SinkSettings, ConsoleSettings, AnalyticsSettings]
)
def test_every_setting_of_a_process_is_documented(settings: type[Settings]) -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    assert [name for name in settings.model_fields if f"`SEGMA_{name.upper()}`" not in text] == []


def test_every_documented_variable_is_a_setting() -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    known = {
        f"SEGMA_{name.upper()}"
        for settings in (CollectorSettings, FlowSettings, SinkSettings, ConsoleSettings, AnalyticsSettings)
        for name in settings.model_fields
    }
    assert set(re.findall(r"^\| `(SEGMA_\w+)`", text, re.MULTILINE)) == known


def test_the_example_configuration_is_valid() -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    installation = check_installation(yaml.safe_load(example), where="docs/configuration.md")
    assert installation.workspaces["demo"].accounts["mailbox"].sink in SINKS


def test_the_readmes_listener_is_one() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert parse_listeners([("README.md", example.encode())], known_actions=VOCABULARY)


def test_the_readme_names_every_room() -> None:
    rooms = [path.parent.name for path in ROOT.glob("*/__init__.py")]
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


def test_what_the_code_cites_is_a_section_of_the_page() -> None:
    """``SEMANTICS 3`` and ``DESIGN 6`` are sections of docs/semantics.md and docs/architecture.md."""
    pages = {"SEMANTICS": "semantics.md", "DESIGN": "architecture.md"}
    sections = {
        name: set(re.findall(r"^#{2,3} ([\d.]+?)\.? ", (ROOT / "docs" / page).read_text("utf-8"), re.MULTILINE))
        for name, page in pages.items()
    }
    cited = re.compile(r"\b(SEMANTICS|DESIGN) (\d+(?:\.\d+)?)")
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    found = [(name, number) for path in files for name, number in cited.findall(path.read_text("utf-8"))]
    assert len(found) > 20
    assert [each for each in found if each[1] not in sections[each[0]]] == []


def test_every_sentence_on_security_has_a_test_that_is_there() -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) > 30
    sentences = [each.split("\n\n")[0] for each in re.split(r"^\* ", text, flags=re.MULTILINE)[1:]]
    assert [each for each in sentences if "`tests/" not in each] == []
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert missing == []


# NOTE: extending.md shows how to make files that are not there; test_extending makes them.
PAGES = sorted(
    path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")] if path.name != "extending.md"
)


@pytest.mark.parametrize("page", PAGES)
def test_the_files_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(ROOMS)}|tests|bench|infra)/[\w/.-]+\.\w+)`", (ROOT / page).read_text("utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []
