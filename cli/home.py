"""The home of an installation, opened: its file, its values, its log."""

from __future__ import annotations

from pathlib import Path

from contracts.errors import ConfigError, Problem
from contracts.installation import Installation, Workspace
from contracts.log import Log
from contracts.topics import topics_of
from transport import open_log
from transport.config import load_installation, settings_at


def open_home(home: Path) -> tuple[Path, Installation, Log]:
    """The installation's file, its values, and the log with every topic."""
    config = home / "segma.yaml"
    installation = load_installation(config)
    log = open_log(settings_at(home))
    log.ensure(topics_of(installation))
    return config, installation, log


def workspace_of(installation: Installation, name: str, config: Path) -> Workspace:
    """A workspace by name. Raises :class:`ConfigError`."""
    found = installation.workspaces.get(name)
    if found is None:
        known = ", ".join(installation.workspaces)
        raise ConfigError([Problem(str(config), "workspaces", f"no workspace `{name}`", f"known: {known}")])
    return found
