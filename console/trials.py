"""Listeners tried over the history: ``segma backtest`` in a process of its own, looked at while it runs."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Final

from console.commands import Commands, lines_of

AT_ONCE: Final = 2
"""Trials that run at the same time; others wait."""
TIMEOUT_S: Final = 600
KEPT: Final = 50
"""Answers that are held; the oldest go."""
SINCE: Final = "-30d"
SHOWN_PEOPLE: Final = 50


class Stage(StrEnum):
    """How far a trial is."""

    WAITS = "waits"
    RUNS = "runs"
    DONE = "done"
    FAILED = "failed"
    TOO_LONG = "too long"


@dataclass
class Trial:
    """One trial. ``subject``: what was tried, for a person; ``answer``: that of the command, once it is there."""

    subject: str
    begun_ms: int
    stage: Stage = Stage.WAITS
    done: int = 0
    of: int = 0
    answer: dict[str, Any] = field(default_factory=dict)
    people: list[str] = field(default_factory=list)
    detail: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return not self.ended.is_set()


class Trials:
    """The newest trial of each listener. Safe to share between threads."""

    def __init__(self, commands: Commands, now_ms: Callable[[], int], timeout_s: float = TIMEOUT_S) -> None:
        """``timeout_s``: after which one is ended; the same again goes on where it stood."""
        self._commands, self._now_ms, self._timeout_s = commands, now_ms, timeout_s
        self._threads = ThreadPoolExecutor(AT_ONCE, "trial")
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], Trial] = OrderedDict()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def of(self, workspace: str, listener: str) -> Trial | None:
        """The newest trial of a listener; None: there is none, or it was long ago."""
        with self._lock:
            return self._known.get((workspace, listener))

    def begin(self, workspace: str, listener: str, subject: str, text: str) -> Trial:
        """Try a version (``NAME@VERSION``), or a text that is called ``subject``; one that is open goes on instead."""
        with self._lock:
            former = self._known.get((workspace, listener))
            if former is not None and former.is_open:
                return former
            trial = self._known[workspace, listener] = Trial(subject, self._now_ms())
            self._known.move_to_end((workspace, listener))
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        self._threads.submit(self._run, trial, workspace, listener, text)
        return trial

    def close(self) -> None:
        """End what runs. What it has done is kept by the command itself."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _run(self, trial: Trial, workspace: str, listener: str, text: str) -> None:
        try:
            with tempfile.TemporaryDirectory() as folder:
                self._tried(trial, workspace, listener, text, Path(folder))
        except OSError as error:
            trial.detail, trial.stage = f"segma backtest: {type(error).__name__}", Stage.FAILED
        finally:
            trial.ended.set()

    def _tried(self, trial: Trial, workspace: str, listener: str, text: str, folder: Path) -> None:
        file, people, answer = folder / f"{listener}.yaml", folder / "people.ndjson", folder / "answer.json"
        file.write_text(text, encoding="utf-8")
        options = ("--since", SINCE, "--people", str(people), "--progress", "--processes", "1", "--json")
        words = self._commands.words(
            "backtest", str(file) if text else trial.subject, *options, workspace=workspace
        )  # fmt: skip
        with answer.open("wb") as out:
            process = self._started(words, out)
            ended = self._watched(trial, process)
        if ended or process.returncode:
            trial.stage = Stage.TOO_LONG if ended else Stage.FAILED
            return
        trial.answer = next(lines_of(answer.read_bytes()), {})
        trial.people = _people(people)
        trial.stage = Stage.DONE if trial.answer else Stage.FAILED

    def _started(self, words: list[str], out: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE)
        with self._lock:
            self._running.add(process)
            if self._closed:
                process.kill()
        return process

    def _watched(self, trial: Trial, process: subprocess.Popen[bytes]) -> bool:
        """Follow a process to its end; whether its time was over before."""
        over = threading.Event()

        def end() -> None:
            over.set()
            process.kill()

        trial.stage, timer = Stage.RUNS, threading.Timer(self._timeout_s, end)
        timer.start()
        try:
            with process:
                for line in process.stderr or ():
                    _heard(trial, line)
        finally:
            timer.cancel()
            with self._lock:
                self._running.discard(process)
        return over.is_set()


def _heard(trial: Trial, line: bytes) -> None:
    """Take a line of the command's standard error: its progress, or what is wrong."""
    try:
        told = json.loads(line)
        trial.done, trial.of = int(told["done"]), int(told["of"])
    except (ValueError, TypeError, KeyError):
        trial.detail = line.decode(errors="replace").strip()[:1_000] or trial.detail


def _people(path: Path) -> list[str]:
    """The first people of a file of lines of JSON."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        found = lines_of(b"".join(islice(file, SHOWN_PEOPLE)))
        return [str(each["subscriber"]) for each in found if "subscriber" in each]
