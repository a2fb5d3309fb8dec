"""The part of ``segma doctor`` on matches that moved nobody: how many, and why."""

from __future__ import annotations

import collections
from typing import Final

from cli.doors import newest
from contracts.codec import json_reader
from contracts.log import Log
from contracts.rows import MatchRow
from contracts.topics import ROWS

_read_match: Final = json_reader(MatchRow)
REMEDY: Final = (
    "docs/reasons.md says what each means; how often a person may be moved is `cap` in segma.yaml, and"
    " `segma explain --cap` says when a place is free again"
)


def matches_without_command(log: Log) -> list[tuple[str, str, str]]:
    """Return for each workspace how many of the newest matches are rows alone, by reason: subject, finding, remedy."""
    matches: collections.Counter[str] = collections.Counter()
    reasons: dict[str, collections.Counter[str]] = {}
    for row in newest(log, ROWS, _read_match):
        if row.kind == "match":
            matches[row.workspace] += 1
            if row.reason:
                reasons.setdefault(row.workspace, collections.Counter())[row.reason] += 1
    return [
        (f"matches of {workspace}", f"{_words(counts)} of the newest {matches[workspace]:,}: no command", REMEDY)
        for workspace, counts in sorted(reasons.items())
    ]


def _words(counts: collections.Counter[str]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
