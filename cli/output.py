"""Output of commands: results on standard output (JSON on demand), all else on standard error.

What stands in events, dead letters and files was written by strangers. Nothing of it steers the terminal: :data:`out`,
:data:`err` and :func:`print_json` show control characters as escapes, and read no markup.
"""

from __future__ import annotations

import os
import re
import sys
from enum import IntEnum
from typing import Any, Final, NoReturn

from rich.console import Console
from rich.text import Text

from contracts.codec import to_builtins, to_json
from contracts.errors import AlreadyRunning, ConfigError, LogError, SegmaError
from contracts.plurals import counted


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

STEERING: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb]"
)
"""Control characters but the tab and the line feed, signs that turn the direction of writing, and halves of pairs."""
_STEERING_BYTES: Final = re.compile(
    rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]|\xef\xbf[\xb9-\xbb]"
)
"""The same in UTF-8, less what JSON escapes by itself."""


def visible(text: str) -> str:
    """A text as a terminal may be given it: what would steer it is shown as an escape."""
    return STEERING.sub(lambda sign: sign[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str) -> str:
    """As :func:`visible`, with line feeds and tabs shown too: a record cannot look like two."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def as_typed(text: str) -> str:
    """A text that names commands of ours, as whoever reads it can type them: ``./segma`` where it was called so."""
    return text.replace("`segma ", f"`{os.environ.get('SEGMA_CALLED', 'segma')} ")


class SafeConsole(Console):
    """A console that reads no markup in strings and shows what would steer a terminal. Style comes as :class:`Text`."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Every string on its way out, cells of tables among them."""
        return super().render_str(visible(as_typed(text)), **options)


_STYLE: Final[dict[str, Any]] = {"soft_wrap": True, "highlight": False, "markup": False, "emoji": False}
out = SafeConsole(width=None if sys.stdout.isatty() else WIDTH_IN_A_FILE, **_STYLE)
err = SafeConsole(stderr=True, **_STYLE)


def json_line(value: object) -> bytes:
    """One line of JSON in which nothing steers a terminal; it means the same."""
    data = to_json(value)
    return _STEERING_BYTES.sub(lambda sign: b"\\u%04x" % ord(sign[0].decode()), data) + b"\n"


def print_json(value: object) -> None:
    """One line of JSON on standard output."""
    sys.stdout.buffer.write(json_line(to_builtins(value)))
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
        fail(f"{counted(len(error.problems), 'problem')} in the settings or files above", Exit.USAGE)
    fail(str(error), Exit.USAGE)
