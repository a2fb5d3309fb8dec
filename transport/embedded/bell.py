"""Waking readers in other processes: a named pipe per waiting reader, rung by every writer after a commit.

Nothing is lost if a ring is: a reader looks by itself every :data:`LOOK_MS`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
from pathlib import Path
from typing import Final

from transport.private import PRIVATE_DIRECTORY, PRIVATE_FILE

LOOK_MS: Final = 250
"""How long a reader relies on its bell alone."""

_numbers: Final = itertools.count()


class Bell:
    """The pipe of one reader of one topic."""

    def __init__(self, directory: Path) -> None:
        for each in (directory.parent, directory):
            each.mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIRECTORY)
        name = f"{os.getpid()}-{next(_numbers)}"
        self._path, hidden = directory / name, directory / f".{name}"
        # A bell of this name is left over from a process that had our id and was killed.
        hidden.unlink(missing_ok=True)
        os.mkfifo(hidden, PRIVATE_FILE)
        # NOTE: opened for both ends, so that it never reads as closed when the last writer is gone; and hung up where
        # it can be seen only then: a ringer takes down a bell that nobody has open.
        self._fd = os.open(hidden, os.O_RDWR | os.O_NONBLOCK)
        hidden.replace(self._path)
        # NOTE: `select` takes no descriptor above 1,023; a process with many topics, sockets and segments has such.
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def wait(self, timeout_s: float) -> bool:
        """Wait for a ring, at most so long; True if it rang. All rings until now count as one."""
        ready = bool(self._poll.poll(timeout_s * 1_000))
        if ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._fd, 65_536)
        return ready

    def close(self) -> None:
        """Take the bell down."""
        self._path.unlink(missing_ok=True)
        os.close(self._fd)


def ring(directory: Path) -> None:
    """Ring every bell of a topic; bells whose reader died are removed."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        if name.startswith("."):
            continue
        # PERF: a path of a text costs a tenth of a `Path`, and each commit rings.
        path = f"{directory}/{name}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            continue
        except OSError:
            # ENXIO: nobody has it open for reading, so its reader was killed.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            continue
        try:
            os.write(fd, b"!")
        except OSError:
            pass  # full: it has rung often enough
        finally:
            os.close(fd)
