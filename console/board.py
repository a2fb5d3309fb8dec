"""The listeners of the installation as the log holds them, and the changes that the console makes to them."""

from __future__ import annotations

import difflib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from contracts.errors import ListenerError
from contracts.log import Log
from contracts.versions import AT_WORK, NOTICE_MS, ListenerVersion, Pause, ended, pauses_of
from flows.language.describe import describe
from flows.language.model import Listener
from flows.versions.deployment import Versions, listener_of
from flows.versions.pausing import pausing, resuming
from flows.versions.promotion import promotion

_NAME: Final = re.compile(r'  \("[^"\n]+"\)$', re.MULTILINE)
_MEMBERS: Final = re.compile(r"(?:\n {7}- .+)+")
_MEMBERS_SHOWN: Final = 3
_BREAKS: Final = (
    (re.compile(r"person\n  \d+\. "), "person "),
    (re.compile(r"\n  \d+\. "), ", "),
    (re.compile(r"\nthen Segma\n  - "), ": Segma "),
    (re.compile(r"\n  - "), " and "),
)
"""Where a description begins a line, and what a sentence has there."""

Change = Callable[[Sequence[ListenerVersion], str, str, int], list[ListenerVersion]]
KEPT: Final = 2_000
"""Texts of versions that are held as read; the one that was needed longest ago goes."""


class Shown(NamedTuple):
    """One version as a page shows it."""

    version: ListenerVersion
    state: str
    text: str
    """What it does, in words; empty where this release cannot read it."""

    @property
    def is_at_work(self) -> bool:
        """Whether it is live, be it paused."""
        return self.state in AT_WORK

    @property
    def sentence(self) -> str:
        """What it does as one sentence, without its head, its steps' names and its terms."""
        _, _, body = self.text.partition("\n\n")
        does = _MEMBERS.sub(_among, _NAME.sub("", body.rpartition("\n\n")[0] or body))
        for break_, words in _BREAKS:
            does = break_.sub(words, does)
        return " ".join(does.split()) + "." if does.strip() else ""


class Board:
    """All versions, read on whenever they are asked for. Safe to share between threads."""

    def __init__(self, log: Log, actions: Mapping[str, frozenset[str]], now_ms: Callable[[], int]) -> None:
        """``actions``: each workspace's own. Raises :class:`LogUnavailable`."""
        self._versions, self._actions, self._now_ms = Versions(log), actions, now_ms
        self._lock = threading.Lock()
        self._read: OrderedDict[tuple[bytes, str, str], tuple[Listener | None, str]] = OrderedDict()

    def newest(self, workspace: str) -> list[Shown]:
        """Of each listener the version that is live, else the newest one, by name. Raises :class:`LogError`."""
        now_ms = self._now_ms()
        own: dict[str, list[ListenerVersion]] = {}
        for each in self.versions(workspace):
            own.setdefault(each.listener, []).append(each)
        # NOTE: only these texts are read: each costs milliseconds, and most versions are former ones.
        chosen = [at_work(own[name], now_ms) for name in sorted(own)]
        return [Shown(each, each.state(now_ms), self._parsed(each)[1]) for each in chosen]

    def of(self, workspace: str, listener: str) -> list[Shown]:
        """Every version of a listener, by number. Raises :class:`LogError`."""
        now_ms = self._now_ms()
        found = [each for each in self.versions(workspace) if each.listener == listener]
        found.sort(key=lambda each: each.version)
        return [Shown(each, each.state(now_ms), self._parsed(each)[1]) for each in found]

    def names(self, workspace: str) -> list[str]:
        """The names of a workspace's listeners, in order. Raises :class:`LogError`."""
        return sorted({each.listener for each in self.versions(workspace)})

    def versions(self, workspace: str) -> list[ListenerVersion]:
        """Every version of a workspace as the log has it. Raises :class:`LogError`."""
        with self._lock:
            self._versions.refresh()
            return [each for each in self._versions.known if each.workspace == workspace]

    def actions(self, workspace: str) -> frozenset[str]:
        """The workspace's own actions."""
        return self._actions.get(workspace, frozenset())

    def foreseen(self, workspace: str, listener: str, version: int) -> list[ListenerVersion]:
        """The records that :meth:`promote` would write now. Raises as it does."""
        return promotion(self.versions(workspace), workspace, listener, version, self._now_ms() + NOTICE_MS)

    def listener(self, workspace: str, name: str) -> Listener | None:
        """The version of a listener that is at work, as the flow reads it; None where there is none, or this release
        cannot read it. Raises :class:`LogError`.
        """
        found = [each for each in self.versions(workspace) if each.listener == name]
        return self._parsed(at_work(found, self._now_ms()))[0] if found else None

    def promote(self, workspace: str, listener: str, version: int) -> None:
        """As ``segma listeners promote``. Raises what :func:`promotion` raises, and :class:`LogError`."""
        with self._lock:
            self._versions.refresh()
            at_ms = self._versions.counts_from(self._now_ms())
            self._versions.write(promotion(self._versions.known, workspace, listener, version, at_ms))

    def end(self, workspace: str, listener: str) -> None:
        """As ``segma listeners remove``. Raises :class:`LogError`."""
        self._change(ended, workspace, listener)

    def pause(self, workspace: str, listener: str) -> None:
        """As ``segma listeners pause``. Raises what :func:`pausing` raises, and :class:`LogError`."""
        self._change(pausing, workspace, listener)

    def resume(self, workspace: str, listener: str) -> None:
        """As ``segma listeners resume``. Raises what :func:`resuming` raises, and :class:`LogError`."""
        self._change(resuming, workspace, listener)

    def pauses(self, workspace: str, listener: str) -> tuple[Pause, ...]:
        """When a listener was paused. Raises :class:`LogError`."""
        return pauses_of(each for each in self.versions(workspace) if each.listener == listener)

    def _change(self, change: Change, workspace: str, listener: str) -> None:
        with self._lock:
            self._versions.refresh()
            at_ms = self._versions.counts_from(self._now_ms())
            self._versions.write(change(self._versions.known, workspace, listener, at_ms))

    def close(self) -> None:
        """Let the reader go."""
        self._versions.close()

    def _parsed(self, version: ListenerVersion) -> tuple[Listener | None, str]:
        key = (version.key, version.text, version.trust)
        # NOTE: the lock is let go between two texts, so that no page waits for those of another.
        with self._lock:
            if key not in self._read:
                try:
                    found = listener_of(version, self._actions.get(version.workspace, frozenset()))
                    self._read[key] = (found, describe(found))
                except ListenerError:
                    self._read[key] = (None, "")
                while len(self._read) > KEPT:
                    self._read.popitem(last=False)
            self._read.move_to_end(key)
            return self._read[key]


def at_work(versions: Iterable[ListenerVersion], now_ms: int) -> ListenerVersion:
    """Of one listener's versions the live one, be it paused, else the newest."""
    newest_first = sorted(versions, key=lambda each: each.version, reverse=True)
    return next((each for each in newest_first if each.state(now_ms) in AT_WORK), newest_first[0])


def difference(before: Shown, after: Shown) -> list[str]:
    """What one version does otherwise than another: lines in words that went (-) and came (+)."""
    lines = difflib.unified_diff(before.text.splitlines()[1:], after.text.splitlines()[1:], lineterm="", n=0)
    return [line for line in lines if not line.startswith(("---", "+++", "@@")) and line.strip("+- ")]


def _among(lines: re.Match[str]) -> str:
    """The lines of things of which one or all count, in a row; of many the first."""
    each = [line.strip()[2:] for line in lines[0].strip().splitlines()]
    return f" ({'; '.join([*each[:_MEMBERS_SHOWN], *(['…'] if len(each) > _MEMBERS_SHOWN else [])])})"
