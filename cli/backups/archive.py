"""The form of a backup: a tar compressed by Zstandard, a head in front, and every part's digest at its end.

Parts have relative names. They are plain files, folders, and links that lead to a place below the same top folder:
devices, pipes and ways out are neither written nor read.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import tarfile
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import IO, Final, NamedTuple, Protocol

from backports import zstd

from contracts.codec import Value, json_reader, to_json
from contracts.errors import BadRecord, ConfigError, Problem

FORMAT: Final = 1
HEAD: Final = "segma-backup.json"
DIGESTS: Final = "digests.json"
BLOCK: Final = 1 << 20
_DAMAGED: Final = (tarfile.TarError, zstd.ZstdError, EOFError, BadRecord)


class Head(Value, frozen=True):
    """What a backup says of itself. ``log``: ``home`` (its files are in the home) or ``kafka`` (its records are here).

    ``outside`` names the secrets that a backup cannot hold: variables of the environment, files outside the home.
    """

    format: int
    version: str
    made_at_ms: int
    log: str
    outside: tuple[str, ...] = ()


class Readable(Protocol):
    """Something that bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes; none at the end."""


class Part(NamedTuple):
    """One part, to be read before the next is asked for. ``content``: of a file; ``target``: of a link."""

    name: str
    mode: int
    content: Readable | None = None
    target: str = ""


_read_head: Final = json_reader(Head)
_read_digests: Final = json_reader(dict[str, str])


class ArchiveWriter:
    """Writes a backup: the head first, then parts, then :meth:`close`. What was not closed is no backup."""

    def __init__(self, target: IO[bytes], head: Head) -> None:
        self._zstd = zstd.ZstdFile(target, "w")
        self._tar = tarfile.open(fileobj=self._zstd, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - by close
        self._digests: dict[str, str] = {}
        self._put(HEAD, to_json(head))

    def add(self, name: str, data: bytes) -> None:
        """Add a file from memory."""
        self.add_file(name, io.BytesIO(data), len(data), 0o600)

    def add_file(self, name: str, source: IO[bytes], size: int, mode: int) -> None:
        """Add ``size`` bytes of an open file."""
        hashing = _Hashing(source)
        self._tar.addfile(_member(name, mode, size=size), hashing)  # type: ignore[arg-type]  # it only reads
        self._digests[name] = hashing.digest.hexdigest()

    def add_folder(self, name: str, mode: int) -> None:
        """Add a folder."""
        self._tar.addfile(_member(name, mode, kind=tarfile.DIRTYPE))
        self._digests[name] = "folder"

    def add_link(self, name: str, target: str) -> None:
        """Add a link to a place below the same top folder. Raises :class:`ValueError` for one that leads elsewhere."""
        if not _stays_below(name, target):
            raise ValueError(target)
        member = _member(name, 0o777, kind=tarfile.SYMTYPE)
        member.linkname = target
        self._tar.addfile(member)
        self._digests[name] = f"link {target}"

    def close(self) -> None:
        """Write the digests and end the archive; the target stays open."""
        self._put(DIGESTS, to_json(self._digests))
        self._tar.close()
        self._zstd.close()

    def _put(self, name: str, data: bytes) -> None:
        self._tar.addfile(_member(name, 0o600, size=len(data)), io.BytesIO(data))


def _member(name: str, mode: int, *, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size = kind, mode, size
    return member


class _Hashing:
    """A file that is hashed as it is read."""

    def __init__(self, source: Readable) -> None:
        self._source, self.digest = source, hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self.digest.update(data)
        return data


def read_archive(source: IO[bytes], where: str, begin: Callable[[Head], None]) -> Iterator[Part]:
    """Yield a backup's parts in the order written, a folder before what is in it.

    Args:
        source: The backup.
        where: Its name, for errors.
        begin: Told the head, before the first part.

    Raises:
        ConfigError: this is no backup, one of a newer release, or a damaged one. Damage may be found at the end only:
            what was read before counts once the iterator has ended.
    """
    try:
        with zstd.ZstdFile(source, "r") as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
            yield from _parts(tar, where, begin)
    except _DAMAGED:
        raise refused(where, "is no backup, or a damaged one", "take another backup") from None


def _parts(tar: tarfile.TarFile, where: str, begin: Callable[[Head], None]) -> Iterator[Part]:
    seen: dict[str, str] = {}
    for number, member in enumerate(tar):
        content = tar.extractfile(member) if member.isreg() else None
        if number == 0:
            begin(_head(member.name, content, where))
        elif member.name == DIGESTS and content is not None:
            if _read_digests(content.read()) != seen:
                raise refused(where, "is damaged: a part is not what was saved", "take another backup")
            return
        elif not _is_fit(member):
            raise refused(where, "holds what no backup holds", "take another backup")
        elif content is None:
            seen[member.name] = f"link {member.linkname}" if member.issym() else "folder"
            yield Part(member.name, member.mode, target=member.linkname)
        else:
            hashing = _Hashing(content)
            yield Part(member.name, member.mode, hashing)
            while hashing.read(BLOCK):
                pass
            seen[member.name] = hashing.digest.hexdigest()
    raise refused(where, "is damaged: it ends early", "take another backup")


def _head(name: str, content: Readable | None, where: str) -> Head:
    if name != HEAD or content is None:
        raise refused(where, "is no backup of Segma's", "`segma backup` makes one")
    head: Head = _read_head(content.read(BLOCK))
    if head.format > FORMAT:
        raise refused(where, f"was made by a newer release ({head.version})", "restore it by that one")
    return head


def _is_fit(member: tarfile.TarInfo) -> bool:
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        return False
    return member.isreg() or member.isdir() or (member.issym() and _stays_below(member.name, member.linkname))


def _stays_below(name: str, target: str) -> bool:
    """Whether a link leads to a place below its own top folder, by its text."""
    top = name.partition("/")[0]
    led = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return not target.startswith("/") and led.startswith(f"{top}/")


def refused(where: str, wrong: str, mend: str) -> ConfigError:
    """The error about a file that cannot be restored."""
    return ConfigError([Problem(where, "", wrong, mend)])
