"""The part of ``segma doctor`` on the collector's doors: sites that no page reaches, tokens of nobody known."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from typing import Any, Final

from contracts.beacons import BeaconRecord
from contracts.codec import msgpack_reader
from contracts.errors import BadRecord
from contracts.log import Log
from contracts.plurals import counted
from contracts.reading import unread
from contracts.reasons import Reason
from contracts.rows import DeadLetter
from contracts.topics import BEACONS, DEAD_LETTERS

NEWEST: Final = 2_000
"""Records of each partition that are looked at, from the end."""
MANY: Final = 20
SHARE: Final = 0.1
"""So many tokens, and such a share of the beacons that brought one, are no accident: a merge field is not filled."""

_read_beacon: Final[Callable[[bytes], BeaconRecord]] = msgpack_reader(BeaconRecord)
_read_letter: Final[Callable[[bytes], DeadLetter]] = msgpack_reader(DeadLetter)


def door_warnings(log: Log) -> list[tuple[str, str, str]]:
    """Return the faults at the doors, by the newest records: subject, finding, remedy."""
    beacons = [each for each in newest(log, BEACONS, _read_beacon) if each.site]
    letters = list(newest(log, DEAD_LETTERS, _read_letter))
    return [*_unreached(beacons, letters), *_unknown_tokens(beacons)]


def newest(log: Log, topic: str, read: Callable[[bytes], Any]) -> Iterator[Any]:
    """Yield the newest records of a topic that can be read, :data:`NEWEST` of each partition at most."""
    reader, oldest = log.reader(topic), log.start(topic)
    try:
        for partition, end in log.end(topic).items():
            reader.seek(partition, max(end - NEWEST, oldest[partition]))
        for record in unread(reader):
            if record.value is not None and not record.is_tick:
                try:
                    yield read(record.value)
                except BadRecord:
                    continue
    finally:
        reader.close()


def _unreached(beacons: list[BeaconRecord], letters: list[DeadLetter]) -> Iterator[tuple[str, str, str]]:
    """The sites of which nothing is stored, and whose pages are refused for their origin."""
    reached = {(each.workspace, each.site) for each in beacons}
    refused: dict[tuple[str, str], list[str]] = {}
    for each in letters:
        if each.reason == Reason.WRONG_ORIGIN and (each.workspace, each.site) not in reached:
            refused.setdefault((each.workspace, each.site), []).append(each.detail)
    for (workspace, site), origins in sorted(refused.items()):
        found = (
            f"only ever wrong_origin: {counted(len(origins), 'beacon')}, the newest from {origins[-1] or 'no origin'}"
        )
        yield f"site {workspace}/{site}", found, "add the origin of its pages to the site's `origins` in segma.yaml"


def _unknown_tokens(beacons: list[BeaconRecord]) -> Iterator[tuple[str, str, str]]:
    """The sites to which many come with a token that is not believed."""
    brought = collections.Counter(
        (each.workspace, each.site) for each in beacons if each.token_problem or each.token_issued_at_s
    )
    problems = collections.Counter(
        (each.workspace, each.site, each.token_problem) for each in beacons if each.token_problem
    )
    for (workspace, site, problem), count in sorted(problems.items()):
        if count >= MANY and count > SHARE * brought[workspace, site]:
            found = f"{problem}: {count} of {counted(brought[workspace, site], 'beacon')} with a token"
            yield (
                f"tokens of {workspace}/{site}",
                found,
                "`segma query tokens` names the campaigns",
            )
