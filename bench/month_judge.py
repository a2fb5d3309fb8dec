"""The judge of the simulated month of :mod:`bench.month`: is every event somewhere, are the lists right, is it flat."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Final, NamedTuple

import psutil

from bench.month_installation import Installation
from bench.month_outside import ACCEPTED, LATE, MATCHED, REFUSED
from cli.reconcile import compare
from contracts.codec import json_reader
from contracts.commands import Command, MatchPlace
from contracts.reading import unread
from contracts.topics import moves_topic
from sinks.base import Standing
from sinks.delivery.directory import Directory
from sinks.delivery.ledger import Ledger
from sinks.registry import sink_of

MOVES: Final = moves_topic("w", "mail")
FLAT: Final = 1.1
"""How much more the last third of the days may have than the middle one."""
LEAST_DAYS: Final = 9
"""Fewer days are not judged for being flat."""
_read_command = json_reader(Command)


class Sample(NamedTuple):
    """At the end of a day."""

    day: int
    resident_mb: float
    disk_mb: float
    files: int
    disk_of: dict[str, int]


def sample(world: Installation, day: int) -> Sample:
    """What the process holds now."""
    world.forget_calls()
    gc.collect()
    found = world.disk_bytes()
    files = len(os.listdir("/proc/self/fd"))
    return Sample(day, psutil.Process().memory_info().rss / 1e6, sum(found.values()) / 1e6, files, found)


def growth(values: Sequence[float]) -> float:
    """The last third over the middle one."""
    third = len(values) // 3
    return fmean(values[-third:]) / fmean(values[-2 * third : -third])


class Commands:
    """Every command that the flow gave, kept beside the installation's own files for as long as the run takes."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0
        path.touch()

    def follow(self, world: Installation) -> None:
        """Copy what came since, before retention takes it."""
        reader = world.log.reader(MOVES)
        reader.seek(0, self._offset)
        with self._path.open("ab") as file:
            for record in unread(reader):
                file.write((record.value or b"") + b"\n")
                self._offset = record.offset + 1
        reader.close()

    def wanted(self) -> dict[tuple[str, str], bool]:
        """(Person, list) → whether the newest match that stands wants them in; without any nothing is said."""
        claims: dict[tuple[str, str], dict[str, tuple[MatchPlace, bool]]] = {}
        seen = set[str]()
        with self._path.open("rb") as file:
            for line in file:
                command = _read_command(line)
                if command.command_id not in seen:
                    seen.add(command.command_id)
                    _claim(claims, command)
        return {place: max(held.values())[1] for place, held in claims.items() if held}


def _claim(claims: dict[tuple[str, str], dict[str, tuple[MatchPlace, bool]]], command: Command) -> None:
    for name, into in ((command.from_list, False), (command.to_list, True)):
        held = claims.setdefault((command.subscriber, name), {})
        if command.undoes:
            held.pop(command.undoes, None)
        elif command.restates and command.place is not None:
            if command.restates in held:
                held[command.restates] = command.place, into
        elif name and command.place is not None:
            held[command.command_id] = command.place, into


def conservation(world: Installation) -> dict[str, int]:
    """How many events were accepted, and what became of them; ``lost``: nothing."""
    kinds = Counter(world.books.events)
    found = Counter[str]()
    for bits, count in kinds.items():
        if bits & ACCEPTED:
            found["accepted"] += count
            found[
                "matched" if bits & MATCHED else "late" if bits & LATE else "dead_letters" if bits & REFUSED else "lost"
            ] += count
    return {name: found[name] for name in ("accepted", "matched", "late", "dead_letters", "lost")}


def drift(world: Installation, commands: Commands) -> dict[str, int]:
    """Who is in the wrong list, as ``segma reconcile`` says, and by the flow's commands against the platform itself."""
    ledger, directory = Ledger(world.log, "w", "mail"), Directory(world.log)
    sink = sink_of(
        world.installation,
        "w/mail",
        data=world.home / "judge",
        pause=lambda _: None,
        config=world.config,
        log=world.log,
    )
    by_address = {each.address: each.subscriber for each in directory.people("w")}
    wanted, found = commands.wanted(), Counter[str](reconcile=0, commands=0)
    lists = [each.name for each in world.platform.world.lists.values()]
    for name in lists:
        there = {by_address[each.address]: each.standing for each in sink.members(name)}
        told = compare(ledger.wanted(name), there, 0, ledger.left_behind(name))
        found["reconcile"] += len(told.missing) + len(told.left) + len(told.back) + len(told.behind)
        inside = {each for each, standing in there.items() if standing is not Standing.LEFT}
        # NOTE: everybody begins in the newsletter, and in nothing else.
        found["commands"] += sum(
            wanted.get((each, name), name == "newsletter") is not (each in inside) for each in world.subscribers
        )
    for part in (ledger, directory, sink):
        part.close()
    return dict(found) | {"wrongs": len(world.platform.world.wrongs)}
