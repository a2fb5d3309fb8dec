"""Whether the log keeps its records for as long as the listeners look back: a lost state is made from them again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from contracts.errors import ConfigError, Problem
from contracts.installation import Installation
from contracts.log import Log
from contracts.topics import BEACONS, EVENTS, LISTENERS
from flows.language.files import load_actions, load_listeners
from flows.language.model import Listener, Not, Step
from flows.language.phrases import lasting
from flows.versions.deployment import Versions, listener_of

OwnedListeners = Iterable[tuple[str, Listener]]
"""Workspace and listener."""


def reach_ms(listener: Listener) -> int:
    """How far back a listener may look when it completes, as far as its durations say; 0 where none bounds it."""
    steps = [each for each in listener.sequence if isinstance(each, Step)]
    guards = [each.for_ms or 0 for each in listener.sequence if isinstance(each, Not)]
    between = sum(step.within_ms or step.after_ms or 0 for step in steps)
    return (listener.within_ms or between) + max(guards, default=0)


def too_long(listeners: OwnedListeners, retention_ms: int) -> list[str]:
    """The listeners that look back further than a topic keeps its records (0: for ever), in words."""
    return [
        f"{workspace}/{listener.name} looks {lasting(reach_ms(listener))} back, {lasting(retention_ms)} are kept"
        for workspace, listener in listeners
        if 0 < retention_ms <= reach_ms(listener)
    ]


def listeners_at_work(log: Log, installation: Installation, *, beside: Path) -> list[tuple[str, Listener]]:
    """Those in the files, and those that the log holds and that are not ended. Raises :class:`ListenerError`."""
    found: dict[tuple[str, str, int], Listener] = {}
    actions: dict[str, frozenset[str]] = {}
    for name, workspace in installation.workspaces.items():
        actions_file, directory = beside.parent / workspace.actions, beside.parent / workspace.listeners
        actions[name] = load_actions(actions_file)
        for listener in load_listeners(directory, actions_file) if directory.exists() else []:
            found[name, listener.name, listener.version] = listener
    if any(topic.name == LISTENERS for topic in log.topics()):
        found |= _in_the_log(log, actions)
    return [(key[0], listener) for key, listener in sorted(found.items())]


def _in_the_log(log: Log, actions: Mapping[str, frozenset[str]]) -> dict[tuple[str, str, int], Listener]:
    versions = Versions(log)
    try:
        return {
            (each.workspace, each.listener, each.version): listener_of(each, actions[each.workspace])
            for each in versions.known
            if each.until_ms is None and each.workspace in actions
        }
    finally:
        versions.close()


def check_retention(log: Log, installation: Installation, *, beside: Path) -> None:
    """Hold the log's retention against the listeners. Raises :class:`ConfigError`."""
    kept = {topic.name: topic.retention_ms for topic in log.topics()}
    listeners = listeners_at_work(log, installation, beside=beside)
    problems = [
        Problem(str(beside), f"retention of {topic}", text, "keep the log for longer, or shorten the listener")
        for topic in (BEACONS, EVENTS)
        for text in too_long(listeners, kept.get(topic, 0))
    ]
    if problems:
        raise ConfigError(problems)
