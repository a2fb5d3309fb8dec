"""``segma backup`` and ``segma restore``: all that nobody could make again, in one file."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

import click

from cli import __version__
from cli.backups.archive import BLOCK, FORMAT, ArchiveWriter, Head, Part, read_archive, refused
from cli.backups.home_files import files_of, outside
from cli.backups.log_records import KEPT, batches, has_others, put_back
from cli.output import Exit, err, fail, out, print_json
from cli.supervise import only_one
from cli.up import home_option, json_option
from contracts.plurals import counted
from contracts.topics import topics_of
from transport import open_log
from transport.config import Settings, load_installation, settings_at, wall_clock_ms
from transport.private import PRIVATE_DIRECTORY

HOME: Final = "home"
TOPICS: Final = "topics"
OF_THE_LOG: Final = ("recovery", "kafka")
"""Folders of ``data`` that mean something beside one log only: a flow's stores, and a Kafka of the home's own."""


@click.command()
@home_option
@click.option(
    "--to", "target", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file to make."
)
@json_option
def backup_command(home: Path, target: Path, as_json: bool) -> None:
    """Save a home: settings, secrets, listeners, people, what was done, who left, and with the embedded log all else.

    Nothing may run in the home (`segma down`). A Kafka that is not the home's own may be at work: of it are kept the
    topics that hold what nobody could make again. The file holds addresses and secrets: keep it as you keep those.
    """
    load_installation(home / "segma.yaml")
    if target.exists():
        fail(f"{target} is there already; nothing was changed", Exit.USAGE)
    (home / "run").mkdir(exist_ok=True)
    unfinished = target.with_name(f".{target.name}.unfinished")
    settings, missing = settings_at(home), outside(home)
    head = Head(FORMAT, __version__, wall_clock_ms(), "kafka" if _is_foreign(settings) else HOME, tuple(missing))
    with only_one(home):
        try:
            with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                counts = _save(home, settings, file, head, {unfinished, target})
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(target)
        except OSError as error:
            fail(f"{target} cannot be made: {error}", Exit.USAGE)
        finally:
            unfinished.unlink(missing_ok=True)
    size = target.stat().st_size
    if as_json:
        print_json({"file": str(target), "bytes": size, "log": head.log, "outside": missing, **counts})
        return
    err.print(f"{target}: {counted(size, 'byte')}, {_said(counts)}")
    for each in missing:
        err.print(f"not in it, keep it elsewhere: the secret in {each}")


def _is_foreign(settings: Settings) -> bool:
    """Whether the log is a Kafka that is not the home's own."""
    return settings.log == "kafka" and not (settings.data / "kafka").is_dir()


def _save(home: Path, settings: Settings, file: IO[bytes], head: Head, besides: set[Path]) -> dict[str, int]:
    archive, counts = ArchiveWriter(file, head), Counter[str]()
    leave_out = {home / "data" / name for name in OF_THE_LOG} if head.log == "kafka" else set[Path]()
    with err.status("reading the home …") as status:
        for path in files_of(home, leave_out=frozenset(leave_out | besides)):
            _save_file(archive, path, f"{HOME}/{path.relative_to(home)}")
            counts["files"] += 1
        if head.log == "kafka":
            with closing(open_log(settings)) as log:
                for topic in KEPT:
                    for number, (length, part) in enumerate(batches(log, topic)):
                        archive.add(f"{TOPICS}/{topic}/{number:08}", part)
                        counts["records"] += length
                        status.update(f"reading {topic}: {counts['records']:,} records …")
    archive.close()
    return dict(counts)


def _save_file(archive: ArchiveWriter, path: Path, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        fail(f"{path} has a name that is not UTF-8, which a backup cannot keep; rename it", Exit.USAGE)
    if path.is_symlink():
        try:
            archive.add_link(name, os.readlink(path))
        except ValueError:
            fail(f"{path} is a link that leads out of the home; put what it leads to there instead", Exit.USAGE)
    elif path.is_dir():
        archive.add_folder(name, path.stat().st_mode & 0o777)
    else:
        with path.open("rb") as source:
            found = os.fstat(source.fileno())
            archive.add_file(name, source, found.st_size, found.st_mode & 0o777)


@click.command()
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@home_option
@click.option(
    "--log",
    "log_is",
    type=click.Choice(["empty", "kept"]),
    default="empty",
    show_default=True,
    help="Of a Kafka that is not the home's own: is it new and gets the saved records, or has it kept its own?",
)
@json_option
def restore_command(source: Path, home: Path, log_is: str, as_json: bool) -> None:
    """Make a home of a backup, in a directory that is empty or absent; all of it or nothing.

    Then look at what the time since has changed: `segma reconcile` for the lists, `segma forget` again for whoever was
    forgotten since, and never let the old installation run beside this one.
    """
    home = home.resolve()
    if home.exists() and any(home.iterdir()):
        fail(f"{home} is not empty; nothing was changed", Exit.USAGE)
    staging = home.parent / f".{home.name}.restoring"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        head, counts = _unpack(source, staging)
        if head.log == "kafka" and log_is == "empty":
            counts["records"] = _refill(staging)
        home.parent.mkdir(parents=True, exist_ok=True)
        (staging / HOME).rename(home)
    except OSError as error:
        fail(f"{home} cannot be made: {error}", Exit.USAGE)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    made_at = datetime.fromtimestamp(head.made_at_ms / 1_000, UTC).isoformat(timespec="seconds")
    if as_json:
        print_json({"home": str(home), "made_at": made_at, "log": head.log, "outside": list(head.outside), **counts})
        return
    out.print(f"{home} is as it was at {made_at}: {_said(counts)}")
    for line in _left(head, log_is):
        err.print(f"- {line}")


def _left(head: Head, log_is: str) -> Iterator[str]:
    """What a restored home does not have, and what is to be done about it."""
    for each in head.outside:
        yield f"put the secret in {each} back: it is in no backup"
    yield "what came after that instant is not in it: `segma reconcile` compares the lists"
    yield "whoever was forgotten since is known again: `segma forget` them again"
    if head.log == "kafka" and log_is == "empty":
        yield "the flow starts with no runs under way: what people had begun is not completed by what they do now"
        yield "events that were not yet in the history are not in it"


def _said(counts: dict[str, int]) -> str:
    words = {"files": "files and folders", "records": "records of the log"}
    return ", ".join(f"{counts[name]:,} {word}" for name, word in words.items() if name in counts)


def _unpack(source: Path, staging: Path) -> tuple[Head, dict[str, int]]:
    heads = list[Head]()
    counts = Counter[str]()
    staging.mkdir(parents=True, mode=PRIVATE_DIRECTORY)
    modes = list[tuple[Path, int]]()
    with source.open("rb") as file, err.status("unpacking …"):
        for part in read_archive(file, str(source), heads.append):
            path = staging / part.name
            if path.parent.resolve() != path.parent:
                raise refused(str(source), "holds a part below a link", "take another backup")
            path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIRECTORY)
            _write(part, path)
            if part.content is None and not part.target:
                modes.append((path, part.mode))
            counts["files"] += part.name.startswith(f"{HOME}/")
    for path, mode in reversed(modes):
        path.chmod(mode)
    return heads[0], dict(counts)


def _write(part: Part, path: Path) -> None:
    if part.target:
        path.symlink_to(part.target)
    elif part.content is None:
        path.mkdir(exist_ok=True, mode=PRIVATE_DIRECTORY)
    else:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            os.fchmod(file.fileno(), part.mode)
            while block := part.content.read(BLOCK):
                file.write(block)


def _refill(staging: Path) -> int:
    """Give a new Kafka the saved records; how many. What was cut off may be repeated: readers know repetitions."""
    home = staging / HOME
    settings, installation = settings_at(home), load_installation(home / "segma.yaml")
    count = 0
    with closing(open_log(settings)) as log, closing(log.publisher()) as publisher:
        log.ensure(topics_of(installation))
        for topic in KEPT:
            if has_others(log, topic, _saved(staging, topic)):
                fail(
                    f"the topic {settings.kafka_prefix}{topic} holds other records than the backup: it is not new. "
                    "Restore with `--log kept` to leave them as they are, or into another SEGMA_KAFKA_PREFIX",
                    Exit.USAGE,
                )
        for topic in KEPT:
            count += sum(put_back(publisher, topic, part) for part in _saved(staging, topic))
    return count


def _saved(staging: Path, topic: str) -> Iterator[bytes]:
    return (path.read_bytes() for path in sorted((staging / TOPICS / topic).glob("*")))
