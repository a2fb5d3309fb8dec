"""Tells the collectors what the listeners at work need of the pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import structlog

from contracts.captures import Captures
from contracts.codec import to_json
from contracts.errors import LogError
from contracts.log import Log, Outgoing
from contracts.topics import CAPTURES
from flows.language.captures import captures_of
from flows.language.model import Listener

log_line = structlog.get_logger("flows")


class CaptureNotice:
    """Writes what each workspace's listeners need, where it has changed; the newest record of a workspace counts.

    Every flow process writes the same. Where the log refuses it, it is written at the next :meth:`tell`.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._told: dict[str, Captures] = {}

    def tell(self, at_work: Mapping[str, Iterable[Listener]]) -> bool:
        """Tell what changed; False where the log did not take it."""
        now = {workspace: Captures(workspace, captures_of(listeners)) for workspace, listeners in at_work.items()}
        changed = [each for workspace, each in sorted(now.items()) if self._told.get(workspace) != each]
        if not changed:
            return True
        publisher = self._log.publisher()
        outcomes = publisher.publish([Outgoing(CAPTURES, each.workspace.encode(), to_json(each)) for each in changed])
        publisher.close()
        for each, outcome in zip(changed, outcomes, strict=True):
            if isinstance(outcome, LogError):
                log_line.warning("captures_not_told", workspace=each.workspace, error=str(outcome))
            else:
                self._told[each.workspace] = each
        return all(not isinstance(outcome, LogError) for outcome in outcomes)
