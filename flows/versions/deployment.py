"""Listeners from the log: which versions were ever applied, and how a directory of files is applied.

The topic ``listeners`` is the truth. The files beside ``segma.yaml`` are what is applied at start; ``segma listeners``
applies, promotes and removes at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from contracts.actions import known_actions
from contracts.codec import json_reader, replaced, to_json
from contracts.errors import BadRecord, ListenerError, LogError, LogUnavailable, Problem
from contracts.log import Log, Outgoing, Record
from contracts.reading import CompactedTable, now_in
from contracts.topics import LISTENERS
from contracts.versions import NOTICE_MS, ListenerVersion, promoted
from flows.language.files import listener_files, load_actions, read_files
from flows.language.model import Listener
from flows.language.parse import parse_listeners, with_default_trust
from flows.subscriber.engine import WorkspaceEngine
from flows.subscriber.generations import Deployed

_read: Final[Callable[[bytes], ListenerVersion]] = json_reader(ListenerVersion)
REFRESH_MS: Final = 100
"""How far the log time moves before the log is asked for listeners again: far less than the notice given."""
log_line = structlog.get_logger("flows")


class Versions:
    """All versions that the log holds, as far as it has been read."""

    def __init__(self, log: Log) -> None:
        self._log = log
        # PERF: not strict, for the flow asks ten times a second.
        self._table = CompactedTable(log, LISTENERS, _read, strict=False, unreadable=_tell_unreadable)

    @property
    def known(self) -> list[ListenerVersion]:
        """By key."""
        return [self._table.values[key] for key in sorted(self._table.values)]

    def refresh(self, timeout_s: float = 0.0) -> bool:
        """Read on; whether there was anything new."""
        return self._table.refresh(timeout_s)

    def counts_from(self, clock_ms: int) -> int:
        """The log time from which on counts what is written now: the notice behind a clock, and behind all that the
        log has given by now. By a clock that is slow it would count for what was decided otherwise. Raises
        :class:`LogError`.
        """
        return now_in(self._log, clock_ms) + NOTICE_MS

    def write(self, versions: Sequence[ListenerVersion]) -> None:
        """Write versions and wait until they are stored. Raises :class:`LogError`."""
        publisher = self._log.publisher()
        try:
            for outcome in publisher.publish([Outgoing(LISTENERS, each.key, to_json(each)) for each in versions]):
                if isinstance(outcome, LogError):
                    raise outcome
        finally:
            publisher.close()
        self._table.read_to_end()

    def close(self) -> None:
        """Let the reader go."""
        self._table.close()


def _tell_unreadable(record: Record, error: BadRecord) -> None:
    log_line.error("listener_unreadable", key=record.key.decode(errors="replace"), detail=str(error))


def listener_of(version: ListenerVersion, actions: Iterable[str]) -> Listener:
    """The listener of a version, by the workspace's own actions and the version's, with the trust that the workspace
    asked for when it was applied. Raises :class:`ListenerError`.
    """
    where = version.key.decode()
    own = {*actions, *version.actions}
    found = parse_listeners([(where, version.text.encode())], known_actions=known_actions(own))
    for listener in found:
        if (listener.name, listener.version) == (version.listener, version.version):
            return with_default_trust(listener, version.trust)
    raise ListenerError([Problem(where, "listener", "a text without this version", "the file that it stands in")])


def versions_in(place: Path, actions_file: Path, workspace: str, trust: str = "") -> list[ListenerVersion]:
    """The versions in a directory (or a file), as they would be applied. Raises :class:`ListenerError`.

    ``trust``: what the workspace asks for where a listener names none.
    """
    own = load_actions(actions_file)
    actions = tuple(sorted(own))
    problems: list[Problem] = []
    files = read_files(listener_files(place), problems)
    if problems:
        raise ListenerError(problems)
    found = []
    for path, data in files:
        for listener in parse_listeners([(path, data)], known_actions=known_actions(own)):
            name, number, text = listener.name, listener.version, data.decode()
            found.append(ListenerVersion(workspace, name, number, text, 0, actions=actions, trust=trust))
    return found


def to_apply(
    known: Sequence[ListenerVersion], given: Iterable[ListenerVersion], actions: Iterable[str]
) -> tuple[list[ListenerVersion], list[Problem]]:
    """The given versions that the log does not hold, and those that it holds with another meaning."""
    own = list(actions)
    there = {each.key: each for each in known}
    new, problems = [], []
    for each in given:
        before = there.get(each.key)
        if before is None:
            new.append(each)
        elif before.text != each.text and listener_of(before, own) != listener_of(each, own):
            problems.append(
                Problem(
                    f"{each.listener}@{each.version}",
                    "version",
                    "another text than that which was applied: a version never changes",
                    "a higher version number",
                )
            )
    return new, problems


def first_applied(
    known: Sequence[ListenerVersion], given: Iterable[ListenerVersion], at_ms: int
) -> list[ListenerVersion]:
    """What to write at a start for files that were never applied: the newest of each listener is live at once.

    Where the workspace never had a listener, it is live for all that the log holds.
    """
    newest: dict[str, ListenerVersion] = {}
    for each in sorted(given, key=lambda version: version.version):
        newest[each.listener] = each
    written = []
    for each in newest.values():
        own = [version for version in known if version.workspace == each.workspace]
        higher = any(version.listener == each.listener and version.version > each.version for version in own)
        if not higher:
            from_ms = at_ms if own else 0
            written.extend(promoted(own, replaced(each, shadow_from_ms=from_ms), from_ms))
    return written


class Deployments:
    """Keeps the workspaces' listeners as the log says."""

    def __init__(
        self,
        versions: Versions,
        engines: Mapping[str, WorkspaceEngine],
        actions: Mapping[str, frozenset[str]],
        tell: Callable[[Mapping[str, Sequence[Listener]]], bool] = lambda at_work: True,
        hear: Callable[[str, frozenset[str]], None] = lambda workspace, actions: None,
    ) -> None:
        """Take the listeners that the log holds now.

        ``tell``: called with the listeners at work, shadows included, whenever they change; False: again later.
        ``hear``: called with a workspace and the own actions that its versions name.
        """
        self._versions = versions
        self._tell = tell
        self._hear = hear
        self._told = True
        self._engines = engines
        self._actions = actions
        self._asked_ms = 0
        self._parsed: dict[tuple[bytes, str, str], Listener | None] = {}
        self._deploy()

    def refresh(self, log_time_ms: int) -> None:
        """Take over what was applied, promoted or removed since."""
        if log_time_ms - self._asked_ms < REFRESH_MS:
            return
        self._asked_ms = log_time_ms
        try:
            changed = self._versions.refresh()
        except LogUnavailable:
            return  # whoever cannot read this cannot read events either
        if changed or not self._told:
            self._deploy()

    def _deploy(self) -> None:
        at_work: dict[str, list[Listener]] = {}
        for workspace, engine in self._engines.items():
            found: list[Deployed] = []
            for each in self._versions.known:
                listener = self._parse(each) if each.workspace == workspace else None
                if listener is not None:
                    times = each.shadow_from_ms, each.live_from_ms, each.until_ms
                    past = each.past_from_ms, each.past_until_ms
                    found.append(Deployed(listener, *times, each.backfilled, *past, each.pauses))
            engine.deploy(found)
            versions = [each for each in self._versions.known if each.workspace == workspace]
            self._hear(workspace, frozenset(name for each in versions for name in each.actions))
            at_work[workspace] = [each.listener for each in found if each.until_ms is None]
        self._told = self._tell(at_work)

    def _parse(self, version: ListenerVersion) -> Listener | None:
        """The listener; None, and a line in the log, where this release cannot read it."""
        key = (version.key, version.text, version.trust)
        if key not in self._parsed:
            try:
                self._parsed[key] = listener_of(version, self._actions[version.workspace])
            except ListenerError as error:
                log_line.error("listener_unusable", version=version.key.decode(), problems=str(error))
                self._parsed[key] = None
        return self._parsed[key]
