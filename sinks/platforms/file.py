"""An account whose lists are files: one address a line, written atomically. The platform of a laptop.

``<directory>/<list>.txt`` is the platform's own data, so addresses stand there. ``calls.ndjson`` beside them is its
journal: every change with what it changed, by subscriber id, without an address.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from contracts.codec import to_json
from contracts.reasons import Reason
from contracts.tokens import normalised_address
from sinks.base import (
    Answer,
    Change,
    Done,
    Fate,
    Marks,
    Member,
    NoSuchList,
    PlatformError,
    Right,
    Tell,
    Traits,
    Trouble,
    nobody,
)
from sinks.toolkit.consent import Seen, Strangers, leavings_of, verdict
from sinks.toolkit.list_sink import is_address
from sinks.toolkit.options import Around, Kind
from sinks.toolkit.work import joinings_of

_LIST_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")
"""Names that are files everywhere: no separators, no leading dot."""


class FileOptions(BaseModel):
    """The options of a file account."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: str | None = None
    """Where the lists are; by default under the installation's data."""
    delay_ms: int = Field(default=0, ge=0, le=10_000)
    """How long each change takes: to see what a slow platform does."""


def make(options: FileOptions, around: Around) -> FileSink:
    """The sink of an account."""
    directory = Path(options.directory) if options.directory else around.data / "lists" / around.name
    strangers = Strangers.NEVER if around.strangers == Strangers.NEVER else Strangers.ADD
    return FileSink(directory, delay_ms=options.delay_ms, pause=around.pause, strangers=strangers)


class FileSink:
    """See the module."""

    traits = Traits(batch=1, shows_all=True)

    def __init__(
        self,
        directory: Path,
        *,
        delay_ms: int,
        pause: Callable[[float], None],
        strangers: Strangers = Strangers.ADD,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._delay_s, self._pause = directory, delay_ms / 1_000, pause
        self._strangers = strangers

    def apply(self, changes: Sequence[Change], tell: Tell = nobody) -> list[Answer]:
        """See :meth:`sinks.base.Sink.apply`."""
        refused = {change.change_id: self._looked(change) for change in changes}
        told = {each: found for each, found in refused.items() if not isinstance(found, Trouble)}
        tell({each: marks for each, marks in told.items() if marks})
        return [
            found if isinstance(found := refused[change.change_id], Trouble) else self._apply(change)
            for change in changes
        ]

    def _looked(self, change: Change) -> Marks | Trouble:
        """What a change is about to alter, or why nothing of it may be done."""
        try:
            return self._refusal(change) or self._marks(change)
        except (OSError, UnicodeDecodeError) as error:
            return _away(error)

    def _refusal(self, change: Change) -> Trouble | None:
        """Why nothing of a change may be done; None: nothing is in the way."""
        if not is_address(change.address):
            return Trouble(Reason.BAD_ADDRESS, Fate.LASTING)
        if any(self._path(name) is None for name in (*change.add, *change.remove)):
            return Trouble(Reason.BAD_LIST_NAME, Fate.LASTING)
        seen = self._seen(change)
        leavings = leavings_of(change, seen, self._exists)
        reason = verdict(change, seen, leavings, self._strangers)
        if reason is None:
            return None
        return Trouble(reason, Fate.LASTING, leavings=tuple(leavings), joinings=joinings_of(change, seen))

    def _seen(self, change: Change) -> Seen:
        """The person as the files show them: in which of all lists they are. An address is all there is."""
        address = normalised_address(change.address)
        lists = frozenset(each.stem for each in self._directory.glob("*.txt") if self._has(each.stem, address))
        return Seen(address, lists=lists, elsewhere=False, never_there=not lists and not change.met)

    def _exists(self, name: str) -> bool:
        path = self._path(name)
        return path is not None and path.exists()

    def members(self, list_name: str) -> Iterator[Member]:
        """See :meth:`sinks.base.Sink.members`."""
        path = self._path(list_name)
        if path is None or not path.exists():
            raise NoSuchList(list_name, sorted(each.stem for each in self._directory.glob("*.txt")))
        try:
            people = self._read(path)
        except (OSError, UnicodeDecodeError) as error:
            raise PlatformError(_away(error)) from None
        yield from map(Member, people)

    def rights(self) -> Iterator[Right]:
        """Whether the directory can be written to."""
        yield Right("writing files", os.access(self._directory, os.W_OK), str(self._directory.name))

    def close(self) -> None:
        """Do nothing: a file sink holds no resources."""

    def _marks(self, change: Change) -> Marks:
        """Return the places that the change will alter."""
        address = normalised_address(change.address)
        put = [f"+{name}" for name in change.add if not self._has(name, address)]
        return (*put, *(f"-{name}" for name in change.remove if self._has(name, address)))

    def _apply(self, change: Change) -> Answer:
        if self._delay_s:
            self._pause(self._delay_s)
        address = normalised_address(change.address)
        try:
            leavings = tuple(leavings_of(change, self._seen(change), self._exists))
            changed = [f"+{name}" for name in change.add if self._put(name, address, member=True)]
            changed += [f"-{name}" for name in change.remove if self._put(name, address, member=False)]
            self._note(change, changed)
            joined = joinings_of(change, self._seen(change))
        except (OSError, UnicodeDecodeError) as error:
            return _away(error)
        return Done(tuple(changed), "written" if changed else "already so", leavings, joined)

    def _path(self, name: str) -> Path | None:
        return self._directory / f"{name}.txt" if _LIST_NAME.fullmatch(name) else None

    def _read(self, path: Path) -> list[str]:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]

    def _has(self, name: str, address: str) -> bool:
        path = self._path(name)
        return path is not None and path.exists() and address in map(normalised_address, self._read(path))

    def _put(self, name: str, address: str, *, member: bool) -> bool:
        """Make it so; True if it was not."""
        path = self._directory / f"{name}.txt"
        lines = self._read(path) if path.exists() else []
        others = [line for line in lines if normalised_address(line) != address]
        if member == (len(others) < len(lines)) and path.exists():
            return False
        if not member and not path.exists():
            return False
        self._write(path, sorted([*others, address] if member else others))
        return True

    def _write(self, path: Path, lines: Sequence[str]) -> None:
        """Replace a file at once: a crash leaves the old one or the new one."""
        temporary = path.with_suffix(".new")
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _note(self, change: Change, changed: Sequence[str]) -> None:
        """A line a command; what commands that go together have changed stands with the newest."""
        ids = change.commands or (change.change_id,)
        lines = [{"change_id": each, "subscriber": change.subscriber, "changed": list[str]()} for each in ids]
        lines[-1]["changed"] = list(changed)
        with (self._directory / "calls.ndjson").open("ab") as file:
            file.write(b"".join(to_json(line) + b"\n" for line in lines))


def _away(error: OSError | UnicodeDecodeError) -> Trouble:
    if isinstance(error, UnicodeDecodeError):
        return Trouble(Reason.WRONG_ANSWER, Fate.AWAY, "a list is no UTF-8 text")
    return Trouble(Reason.UNREACHABLE, Fate.AWAY, error.strerror or "I/O error")


KIND: Final = Kind(FileOptions, make)
