"""How commands speak: results on standard output (JSON on demand), everything else on standard error."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import Final, NoReturn

from rich.console import Console

from contracts.codec import to_builtins, to_json
from contracts.errors import AlreadyRunning, ConfigError, LogError, SegmaError


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    PROBLEMS = 1
    """The command ran and found something wrong (a listener's mistake, a failed test, a difference)."""
    USAGE = 2
    """Wrong options, unreadable files, settings that cannot be used."""
    UNAVAILABLE = 3
    """The log, a port or a platform is not there now."""
    ALREADY_RUNNING = 4


WIDTH_IN_A_FILE: Final = 160
"""Columns where there is no terminal: a table that is read later in a log or a file is not cut to 80."""

out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else WIDTH_IN_A_FILE)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def print_json(value: object) -> None:
    """One line of JSON on standard output."""
    sys.stdout.buffer.write(to_json(to_builtins(value)) + b"\n")
    sys.stdout.buffer.flush()


def fail(message: str, code: Exit) -> NoReturn:
    """Say one sentence on standard error and end with ``code``."""
    err.print(f"segma: {message}", markup=False)
    sys.exit(code)


def fail_on(error: SegmaError) -> NoReturn:
    """End with the sentence and the exit code of an error of ours."""
    if isinstance(error, AlreadyRunning):
        fail(str(error), Exit.ALREADY_RUNNING)
    if isinstance(error, LogError):
        fail(str(error), Exit.UNAVAILABLE)
    if isinstance(error, ConfigError):
        for problem in error.problems:
            err.print(f"  {problem}", markup=False)
        fail(f"{len(error.problems)} problem(s) in the settings or files above", Exit.USAGE)
    fail(str(error), Exit.USAGE)
