"""Settings of the flow, and what it makes of the installation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Self

import structlog
from pydantic import Field, model_validator

from contracts.actions import known_actions
from contracts.errors import ConfigError, ListenerError, Problem
from contracts.installation import Installation, Workspace
from contracts.log import Log
from flows.devices import Rules
from flows.language.files import load_actions, load_listeners
from flows.language.model import Listener
from flows.operators.logic import Shared
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.pinned_terms import Terms
from flows.versions.capture_requests import CaptureNotice
from flows.versions.deployment import Deployments, Versions, first_applied, to_apply, versions_in
from transport.config import Settings

log_line = structlog.get_logger("flows")


class FlowSettings(Settings):
    """``SEGMA_GROUPS`` and ``SEGMA_EPOCH_MS`` beside the shared ones."""

    groups: int = Field(default=16, ge=1, le=4_096)
    """Key groups of each partition: frozen with the recovery store."""
    epoch_ms: int = Field(default=1_000, ge=50, le=60_000)
    """How often the state is saved: what a crash repeats at most."""
    flow_index: int = Field(default=0, ge=0)
    """Which of the processes this is, from 0."""
    flow_of: int = Field(default=1, ge=1, le=1_024)
    """How many processes share the partitions."""
    flow_settle_ms: int = Field(default=10_000, ge=0, le=3_600_000)
    """How long what an outage may have kept back is awaited before an absence is believed."""
    flow_metrics_port: int = Field(default=0, ge=0, le=65_535)
    """Where its metrics are served; 0: nowhere."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.flow_index >= self.flow_of:
            raise ValueError("SEGMA_FLOW_INDEX counts from 0 and is less than SEGMA_FLOW_OF")
        return self


def check_share(index: int, of: int, partitions: int) -> None:
    """Raise :class:`ConfigError` where process ``index`` of ``of`` would own no partition."""
    if index >= partitions:
        found = f"process {index} of {of} would have nothing to do: there are {partitions} partitions, which are frozen"
        raise ConfigError([Problem("SEGMA_FLOW_OF", "", found, f"start at most {partitions} flow processes")])


def load_shared(installation: Installation, *, beside: Path) -> Shared:
    """Read every workspace's listeners and actions. Raises :class:`ListenerError` with every problem of all."""
    problems: list[Problem] = []
    rules: dict[str, Rules] = {}
    engines: dict[str, WorkspaceEngine] = {}
    for name, workspace in installation.workspaces.items():
        actions_file = beside.parent / workspace.actions
        directory = beside.parent / workspace.listeners
        try:
            listeners = load_listeners(directory, actions_file) if directory.exists() else []
            actions = frozenset(known_actions(load_actions(actions_file)))
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        rules[name] = Rules(actions, workspace.quarantine)
        engines[name] = WorkspaceEngine(
            name,
            listeners,
            terms=terms_of(workspace),
        )
        problems.extend(unknown_accounts(listeners, set(workspace.accounts), directory))
    if problems:
        raise ListenerError(problems)
    return Shared(rules, engines, installation.partitions)


def terms_of(workspace: Workspace) -> Terms:
    """What of a workspace's settings an answer depends on."""
    cap = (workspace.cap.moves, workspace.cap.within) if workspace.cap is not None else (0, 0)
    times = workspace.lateness, workspace.session_gap, workspace.max_delay, workspace.grace
    return Terms(*times, workspace.time_zone, *cap)


def with_listeners_of(
    log: Log,
    shared: Shared,
    installation: Installation,
    *,
    beside: Path,
    now_ms: int,
    first: bool = True,
    writes: bool = True,
) -> Shared:
    """Add the listeners that the log holds; listeners in the files that were never applied are applied first.

    ``first``: of several processes one brings new versions; all bring those of a workspace that never had any (they
    write the same). A file that would change a version is not taken; the log of the process says so. ``writes``: False
    only looks.
    """
    versions = Versions(log)
    actions: dict[str, frozenset[str]] = {}
    for name, workspace in installation.workspaces.items():
        actions_file, directory = beside.parent / workspace.actions, beside.parent / workspace.listeners
        actions[name] = load_actions(actions_file)
        known = [each for each in versions.known if each.workspace == name]
        if not writes or (known and not first) or not directory.exists():
            continue
        new, problems = to_apply(known, versions_in(directory, actions_file, name, workspace.trust), actions[name])
        for problem in problems:
            log_line.error("listener_not_applied", workspace=name, detail=str(problem))
        if new:  # else the log need not be asked for its time
            versions.write(first_applied(known, new, versions.counts_from(now_ms)))
    rules = dict(shared.rules)

    def hear(workspace: str, own: frozenset[str]) -> None:
        rules[workspace] = replace(rules[workspace], actions=rules[workspace].actions | own)

    deployments = Deployments(versions, shared.engines, actions, CaptureNotice(log).tell, hear)
    return replace(shared, rules=rules, refresh=deployments.refresh)


def unknown_accounts(listeners: list[Listener], accounts: set[str], directory: Path) -> list[Problem]:
    """What listeners move people at, of which the workspace has no account."""
    return [
        Problem(
            str(directory / listener.name),
            f"then[{number}].{response.do}.at",
            f"the unknown account `{response.at}`",
            f"one of {', '.join(sorted(accounts)) or 'none: declare it in segma.yaml'}",
        )
        for listener in listeners
        for number, response in enumerate(listener.then, 1)
        if response.at is not None and response.at not in accounts
    ]
