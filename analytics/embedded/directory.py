"""The embedded ClickHouse's directory: owned by one process, closed to others, ready before the engine is."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import Final

from analytics.embedded.cage.grants import write_grants
from contracts.errors import AlreadyRunning

PRIVATE: Final = 0o700


class DataDirectory:
    """The directory at ``path``, locked until :meth:`close`.

    ``flock`` says who has it before the engine does, because the engine's own message names neither the path nor what
    to do. Raises :class:`AlreadyRunning` where another process has it.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
        path.chmod(PRIVATE)
        self.path = path.resolve()
        self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._lock)
            raise AlreadyRunning(
                f"the embedded ClickHouse in {path} is open in another process (pid {owner}); connect to its HTTP "
                "port, or stop it first"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        self.temporary = self.path / "tmp_files"
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir(mode=PRIVATE)
        self.grants = write_grants(self.path / "access")

    def close(self) -> None:
        """Let it go."""
        os.close(self._lock)
