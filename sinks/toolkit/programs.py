"""Runs a program of this machine for a sink: bounded, and without words of its own in an error."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from typing import NamedTuple

from contracts.reasons import Reason
from sinks.base import Fate, Halt, Trouble


class Ran(NamedTuple):
    """What a program said on standard error, and its exit code."""

    code: int
    said: str = ""


Run = Callable[[Sequence[str], str], Ran]
"""Runs one command of a program, with a text as its input."""


def program(command: Sequence[str], timeout_s: float) -> Run:
    """The program that these words start. A run raises :class:`Halt` where there is none, or where it does not end."""

    def run(words: Sequence[str], given: str) -> Ran:
        try:
            done = subprocess.run(
                [*command, *words], input=given.encode(), capture_output=True, timeout=timeout_s, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Halt(Trouble(Reason.UNREACHABLE, Fate.AWAY, f"the program: {type(error).__name__}")) from None
        return Ran(done.returncode, done.stderr.decode("utf-8", "replace"))

    return run
