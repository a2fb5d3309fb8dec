"""A topic as the brokers show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from contracts.topics import Topic


class Described(NamedTuple):
    """A topic as it is: its shape, how many brokers keep it (the fewest of its partitions), its settings by name."""

    shape: Topic
    copies: int
    settings: Mapping[str, str]


class Seen(NamedTuple):
    """A topic as the brokers' metadata show it. ``led``: every partition has a leader."""

    partitions: int
    copies: int
    led: bool


def seen_of(partitions: Sequence[Any]) -> Seen:
    """What the client's metadata of a topic's partitions come to."""
    led = all(each.leader >= 0 for each in partitions)
    return Seen(len(partitions), min([len(each.replicas) for each in partitions], default=-1), led)


def unseen(names: Iterable[str], seen: Mapping[str, Seen], *, led: bool) -> list[str]:
    """Those of these topics that the metadata do not show yet, or, with ``led``, not with every leader; in order."""
    return sorted(name for name in names if name not in seen or (led and not seen[name].led))


def described_of(name: str, seen: Seen, settings: Mapping[str, str]) -> Described:
    """A topic of its metadata and of its settings."""
    compacted = "compact" in settings["cleanup.policy"]
    retention_ms = 0 if compacted else max(int(settings["retention.ms"]), 0)
    return Described(Topic(name, seen.partitions, retention_ms, compacted), seen.copies, settings)
