"""The plan of a back-test on the disk: what is asked, up to when, the ranges of people. A killed one goes on there."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Final

from analytics.recorded import Asked, Range
from contracts.codec import Value, json_reader, to_json
from contracts.errors import BadRecord
from contracts.membership import MEMBERSHIP
from contracts.versions import ListenerVersion
from flows.backtest.subject import Subject, together
from flows.subscriber.generations import Deployed
from flows.subscriber.pinned_terms import Terms
from flows.versions.deployment import listener_of

VERSION: Final = 1
"""Of the files' form; another one is no plan of ours."""
BACKTESTS: Final = "backtests"
BACKFILLS: Final = "backfills"
"""Folders of the home's data: whoever was ended left there what it had worked out."""
RANGES: Final = "range-*.ndjson"


class Request(Value, frozen=True):
    """What is asked: the versions that are tested, and those they are compared with (none: nothing)."""

    workspace: str
    versions: tuple[ListenerVersion, ...]
    against: tuple[ListenerVersion, ...]
    terms: Terms
    actions: tuple[str, ...]
    since: str
    until: str
    alone: bool
    """Whether it is one version as if it had been live from the beginning."""
    form: int = VERSION

    @property
    def key(self) -> str:
        """The name of its folder: the same request goes on with the same work."""
        return hashlib.sha256(to_json(self)).hexdigest()[:16]

    def subjects(self) -> list[Subject]:
        """The tested one, and the one to compare with. Raises :class:`ListenerError`."""
        return [self._subject(versions) for versions in (self.versions, self.against) if versions]

    def _subject(self, versions: tuple[ListenerVersion, ...]) -> Subject:
        deployed = [
            Deployed(
                listener_of(each, self.actions),
                each.shadow_from_ms if each.past_from_ms is None else each.past_from_ms,
                each.live_from_ms,
                each.until_ms,
                each.backfilled,
                each.past_from_ms,
                each.past_from_ms,
                each.pauses,
            )
            for each in versions
        ]
        # Of versions that lived the history knows what was capped; one that never did counts its own moves.
        terms = self.terms if self.alone else self.terms._replace(cap_moves=0)
        return Subject(self.workspace, deployed, terms)


class Plan(Value, frozen=True):
    """A request with its end and its ranges, fixed for as long as the work takes."""

    request: Request
    until_ms: int
    since_ms: int
    ranges: tuple[Range, ...]
    gaps: tuple[date, ...] = ()
    """Days of which the history holds no event."""
    before_ms: int | None = None
    """Of a back-fill: the instant of log time before which an event must have come, and at which people are as is told.
    """
    states: bool = False
    """Of a back-fill: whether people's states are asked for, not who would be a member."""

    def asked(self, subjects: list[Subject]) -> Asked:
        """What is asked of the history; a back-fill looks at the lists that people joined and left as well."""
        asked = Asked(self.request.workspace, self.until_ms, *together(subjects))
        if self.before_ms is None or self.states:
            return asked
        sets = (None if each is None else each | MEMBERSHIP for each in (asked.actions, asked.heard))
        return Asked(*asked[:3], *sets)


_read_plan = json_reader(Plan)


class Work:
    """The folder of one request. Files come whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plan(self) -> Plan | None:
        """The plan that lies there; None: none, or none that can be read."""
        try:
            plan: Plan = _read_plan((self.folder / "plan.json").read_bytes())
        except (OSError, BadRecord):
            return None
        return plan

    def is_older(self, at_ms: int) -> bool:
        """Whether what lies there was begun before an instant."""
        try:
            return (self.folder / "plan.json").stat().st_mtime_ns < at_ms * 1_000_000
        except OSError:
            return False

    def begin(self, plan: Plan) -> None:
        """Put a plan there, and nothing else."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)
        self.write("plan.json", to_json(plan))

    def range_file(self, number: int) -> Path:
        """The file of a range's people."""
        return self.folder / f"range-{number:06}.ndjson"

    def missing(self, plan: Plan) -> list[int]:
        """The ranges that are not done yet."""
        return [number for number in range(len(plan.ranges)) if not self.range_file(number).exists()]

    def write(self, name: str, data: bytes) -> None:
        """Write a file that is there whole, or not at all."""
        draft = self.folder / f"{name}.{os.getpid()}.draft"
        draft.write_bytes(data)
        draft.replace(self.folder / name)

    def remove(self) -> None:
        """Remove it all."""
        shutil.rmtree(self.folder, ignore_errors=True)


def leave_out(data: Path, subscribers: Iterable[str]) -> None:
    """Take people out of all that was worked out and not told yet. ``data``: the home's."""
    names = [b'"%s"' % each.encode() for each in subscribers]
    for path in (each for folder in (BACKTESTS, BACKFILLS) for each in (data / folder).glob(f"*/{RANGES}")):
        lines = path.read_bytes().splitlines(keepends=True)
        left = [line for line in lines if not any(name in line for name in names)]
        if len(left) < len(lines):
            Work(path.parent).write(path.name, b"".join(left))
