"""Commands of ``segma`` that the console runs in processes of their own: they say what is refused, and why."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from contracts.errors import SegmaError

TIMEOUT_S: Final = 60


class CommandLost(SegmaError):
    """A command did not end in time, or could not be started."""


class Ended(NamedTuple):
    """How a command ended: its lines of JSON, and its sentences on standard error."""

    code: int
    lines: list[dict[str, Any]]
    said: str


class Commands:
    """The command line of this release, on this installation."""

    def __init__(self, command: Sequence[str], home: Path) -> None:
        """``command``: what starts it, without its words."""
        self._command, self._home = tuple(command), home

    def words(self, *words: str, workspace: str = "") -> list[str]:
        """The whole command, for a workspace of the installation; without one where its words name it."""
        own = ["--workspace", workspace] if workspace else []
        return [*self._command, *words, "--home", str(self._home), *own]

    def run(self, *words: str, workspace: str = "", timeout_s: float = TIMEOUT_S) -> Ended:
        """Run a command to its end. Raises :class:`CommandLost`."""
        try:
            ended = subprocess.run(
                self.words(*words, workspace=workspace),
                stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            raise CommandLost(f"segma {words[0]}: {type(error).__name__}") from None
        return Ended(ended.returncode, list(lines_of(ended.stdout)), ended.stderr.decode(errors="replace"))


def lines_of(output: bytes) -> Iterator[dict[str, Any]]:
    """Yield the objects of a command's lines of JSON; other lines are passed over."""
    for line in output.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found
