"""Types a page of the manual: its files are written and its commands run, in order, and what they print is compared.

A file is a block below a line of its path in bold. A command is a line that begins with ``$ `` in a ``console`` block;
below it stands what it prints, where an ellipsis is any text, and one alone in its line any lines. A command with
``# Ctrl-C ends it`` goes on beside the others.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import requests
from click.testing import CliRunner

from cli.__main__ import cli

BLOCK: Final = re.compile(r"^(?:\*\*`(?P<path>[^`]+)`\*\*:\n\n)?```(?P<kind>[\w ]+)\n(?P<text>.*?)^```$", re.M | re.S)
GOES_ON: Final = "# Ctrl-C ends it"
PATIENCE_S: Final = 120.0
"""Where something goes on beside, what does not print yet what the page says is typed again for so long."""


class File(NamedTuple):
    """A file that the page tells to write."""

    path: str
    text: str


class Command(NamedTuple):
    """A line that the page tells to type, and what it prints; empty: the page does not say."""

    line: str
    prints: str


def steps(page: str) -> Iterator[File | Command]:
    """What a reader of the page does, in order."""
    for found in BLOCK.finditer(page):
        if found["path"]:
            yield File(found["path"], found["text"])
        elif found["kind"] == "console":
            for each in re.split(r"^\$ ", found["text"], flags=re.M)[1:]:
                line, _, prints = each.replace("\\\n", "").partition("\n")
                yield Command(line, prints.strip())


def fits(said: str, prints: str) -> bool:
    """Whether a command said what the page prints of it."""
    lines = [r"(?s:.*)" if line == "…" else re.escape(line).replace("…", ".*") for line in prints.splitlines()]
    said = "\n".join(line.rstrip() for line in said.strip().splitlines())
    return re.fullmatch("\n".join(lines), said) is not None


class Terminal:
    """Types in a folder. ``./segma`` runs in this process where it ends by itself: it need not start anew each time."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._environment = folder, {"SEGMA_CALLED": "./segma", **environment}
        self._stack = ExitStack()
        self._patience_s = 0.0

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def write(self, file: File) -> None:
        """Write a file of the page."""
        path = self._folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")

    def run(self, command: Command) -> str:
        """Type a command and wait until it says what the page prints; what it said.

        Raises:
            AssertionError: it ended badly, or says something else.
        """
        until = time.monotonic() + self._patience_s
        while True:
            code, said = self._once(command.line)
            if code == 0 and (not command.prints or fits(said, command.prints)):
                return said
            assert time.monotonic() < until, f"$ {command.line}\n{said}\n-- the page says --\n{command.prints}"
            time.sleep(0.5)  # as a reader types it again: it asks what others are bringing in

    def begin(self, command: Command) -> None:
        """Start what goes on until this terminal is closed."""
        process = subprocess.Popen(
            self._words(command.line.removesuffix(GOES_ON)),
            cwd=self._folder,
            env=dict(self._environment),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._stack.callback(ended, process)
        self._patience_s = PATIENCE_S

    def _once(self, line: str) -> tuple[int, str]:
        words = shlex.split(line, comments=True)
        if words[0] == "./segma" and words[1] != "tail":
            done = CliRunner(env=dict(self._environment)).invoke(cli, words[1:])
            return done.exit_code, done.output
        ran = subprocess.run(
            self._words(line),
            cwd=self._folder,
            env=dict(self._environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return ran.returncode, ran.stdout

    def _words(self, line: str) -> list[str]:
        words = shlex.split(line, comments=True)
        python = {"./segma": [sys.executable, "-m", "cli"], "python3": [sys.executable]}
        return [*python.get(words[0], [words[0]]), *words[1:]]


def ended(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def answers(url: str) -> None:
    """Wait until an address answers.

    Raises:
        AssertionError: it does not.
    """
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            if requests.get(url, timeout=5).ok:
                return
        except (requests.ConnectionError, requests.Timeout):
            pass
        assert time.monotonic() < until, f"{url} does not answer"
        time.sleep(0.2)  # a process in another terminal says nothing to this one
