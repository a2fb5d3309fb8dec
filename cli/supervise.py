"""Starting, watching and stopping Segma's processes, by supervisor (the library): no loop of ours restarts anything.

A *home* is a directory with ``segma.yaml``; ``data/`` in it is everything written, ``run/`` the supervisor's own files,
``logs/`` a file a process. One installation runs in a home at a time: ``run/lock`` is held by ``flock``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests
import structlog
from supervisor.xmlrpc import SupervisorTransport

from contracts.errors import AlreadyRunning, SegmaError
from transport.private import PRIVATE_DIRECTORY, open_data

MAX_ENDS: Final = 4
"""A process that has ended so often before it was ready has failed. While it lives it is waited for, however long: on a
busy machine a first start takes minutes."""

TELL_EVERY_S: Final = 10.0
"""How often a start that takes long says what it waits for."""

STOP_TIMEOUT_S: Final = 30.0
"""Above the 10 s within which every process must drain, all at once, and what a local Kafka takes after them."""

MAX_SOCKET_PATH: Final = 100
"""Unix sockets' paths end at 104 bytes on macOS, 108 on Linux."""


class NotReady(SegmaError):
    """A process did not come up; the text names it and its log file."""


@dataclass(frozen=True, slots=True)
class ManagedProcess:
    """One process to keep running. ``ready``: a URL that answers 200, a question about its process id, or None: running
    is enough. ``first``: the others need it; it is started before them and stopped after them.
    """

    name: str
    command: Sequence[str]
    ready: str | Callable[[int], bool] | None = None
    environment: dict[str, str] = field(default_factory=dict)
    first: bool = False


@dataclass(frozen=True, slots=True)
class ProcessState:
    """The state of one process, as the supervisor reports it."""

    name: str
    state: str
    pid: int
    for_s: int
    log: str


class Supervised:
    """A running installation: what it runs, and how to restart or stop parts of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ended = threading.Event()
        """Set once the supervisor has ended, whoever asked it to. Only of what this process started."""

    @contextlib.contextmanager
    def _rpc(self) -> Iterator[Any]:
        with contextlib.closing(SupervisorTransport(None, None, f"unix://{socket_path(self.home)}")) as transport:
            yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def states(self) -> list[ProcessState]:
        """Every process; empty where nothing runs in this home."""
        try:
            with self._rpc() as rpc:
                infos = rpc.getAllProcessInfo()
        except (OSError, xmlrpc.client.Error):
            return []
        return [
            ProcessState(
                name=info["name"],
                state=info["statename"].lower(),
                pid=info["pid"],
                for_s=max(0, info["now"] - info["start"]) if info["pid"] else 0,
                log=info["stdout_logfile"],
            )
            for info in infos
        ]

    def pid(self, name: str) -> int:
        """The process id of a running program, 0 where it does not run now."""
        return next((state.pid for state in self.states() if state.name == name), 0)

    def shutdown(self) -> None:
        """Ask the supervisor to stop everything and end."""
        with contextlib.suppress(OSError, xmlrpc.client.Error), self._rpc() as rpc:
            rpc.shutdown()


def await_stopped(home: Path, patience_s: float) -> bool:
    """Wait until nothing of a home runs or holds it any more; whether that came within the patience."""
    until = time.monotonic() + patience_s
    while True:
        try:
            with only_one(home):
                return True
        except AlreadyRunning:
            if time.monotonic() > until:
                return False
        time.sleep(0.1)  # the supervisor has no call that waits for its end


def socket_path(home: Path) -> Path:
    """The supervisor's socket: in the home, or under a short name in the temporary directory where that is too long."""
    path = home.resolve() / "run" / "supervisor.sock"
    if len(str(path)) <= MAX_SOCKET_PATH:
        return path
    name = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"segma-{os.getuid()}-{name}.sock"


def running(home: Path) -> Supervised | None:
    """Return the supervisor that runs in this home, or None."""
    supervised = Supervised(home)
    return supervised if supervised.states() else None


@contextlib.contextmanager
def supervise(
    home: Path, programs: Sequence[ManagedProcess], *, say: Callable[[str], None] = lambda _: None
) -> Iterator[Supervised]:
    """Start the programs, wait until each is ready, and stop all of them at the end.

    Args:
        home: Where ``run/``, ``logs/`` and ``data/`` are, or are made.
        programs: What to run.
        say: Told what is ready and, now and then, what is still waited for.

    Raises:
        AlreadyRunning: this home has a running installation.
        NotReady: a program cannot be started, or ended :data:`MAX_ENDS` times before it was ready, or the supervisor
            was stopped from elsewhere. Everything is stopped again.
    """
    for name in ("run", "logs", "data"):
        (home / name).mkdir(parents=True, exist_ok=True, mode=PRIVATE_DIRECTORY)
    open_data(home / "data")
    with only_one(home), _sigterm_unwinds():
        _write_configuration(home, programs)
        daemon = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "-c", "run/supervisord.conf"],
            cwd=home,
            # NOTE: the working directory is another than ours: a relative path in PYTHONPATH would lead elsewhere.
            env={**os.environ, "PYTHONPATH": _absolute(os.environ.get("PYTHONPATH", ""))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # NOTE: a session of its own, so that Ctrl-C reaches us alone and the stop goes in order.
            start_new_session=True,
        )
        supervised = Supervised(home)
        threading.Thread(target=_watch, args=(daemon, supervised.ended), daemon=True).start()
        try:
            with _unheard():
                _await_ready(supervised, programs, say)
            yield supervised
        finally:
            _stop(daemon, supervised)


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Log nothing that clients in this process meet while what they ask only starts: what is waited for is told."""
    former = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(wrapper_class=former)


@contextlib.contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    """Let SIGTERM end what runs inside as Ctrl-C does, so that what was started is stopped, while it starts too."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _absolute(path: str) -> str:
    return os.pathsep.join(os.path.abspath(part) for part in path.split(os.pathsep)) if path else ""


def _watch(daemon: subprocess.Popen[bytes], ended: threading.Event) -> None:
    daemon.wait()
    ended.set()


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the home: nothing of it runs or starts meanwhile. Raises :class:`AlreadyRunning`."""
    with (home / "run" / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            states = Supervised(home).states()
            names = ", ".join(f"{state.name} ({state.state}, pid {state.pid})" for state in states) or "it is starting"
            raise AlreadyRunning(f"Segma already runs in {home}: {names}. `segma down` stops it.") from None
        if states := Supervised(home).states():
            # NOTE: a supervisor whose starter was killed: it holds no lock of ours, but it runs.
            names = ", ".join(f"{state.name} (pid {state.pid})" for state in states)
            raise AlreadyRunning(f"Segma still runs in {home}: {names}. `segma down` stops it.")
        yield


def _stop(daemon: subprocess.Popen[bytes], supervised: Supervised) -> None:
    if supervised.ended.is_set():
        return
    started = [state.pid for state in supervised.states() if state.pid]  # once told to stop it answers no more
    daemon.send_signal(signal.SIGTERM)
    if not supervised.ended.wait(STOP_TIMEOUT_S):
        daemon.kill()
        supervised.ended.wait()
        # NOTE: nobody restarts or stops them any more, so none may go on alone. Each leads a group of its own.
        for pid in started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


def _await_ready(supervised: Supervised, programs: Sequence[ManagedProcess], say: Callable[[str], None]) -> None:
    waiting = {program.name: program for program in programs}
    lives: dict[str, set[int]] = {}
    next_word = time.monotonic() + TELL_EVERY_S
    while waiting:
        states = {state.name: state for state in supervised.states()}
        for name in [name for name, program in waiting.items() if _is_ready(program, states.get(name))]:
            say(f"{name} is ready")
            del waiting[name]
        for name in waiting:
            state = states.get(name)
            if state is not None and state.pid:
                lives.setdefault(name, set()).add(state.pid)
            if (state is not None and state.state == "fatal") or len(lives.get(name, ())) > MAX_ENDS:
                raise NotReady(_post_mortem(supervised.home, name))
        if not waiting:
            return
        if supervised.ended.is_set():
            raise NotReady(f"stopped while {', '.join(waiting)} was starting; see {supervised.home / 'logs'}")
        if time.monotonic() > next_word:
            next_word += TELL_EVERY_S
            say(f"still waiting for {', '.join(_described(name, states.get(name)) for name in waiting)}")
        supervised.ended.wait(0.1)  # the supervisor has no call that waits for a change


def _described(name: str, state: ProcessState | None) -> str:
    return f"{name} ({state.state}, {state.for_s} s)" if state is not None else f"{name} (not started yet)"


def _is_ready(program: ManagedProcess, state: ProcessState | None) -> bool:
    if state is None or state.state not in ("running", "starting"):
        return False
    if program.ready is None:
        return state.state == "running"
    if not isinstance(program.ready, str):
        return program.ready(state.pid)
    try:
        return bool(requests.get(program.ready, timeout=1).ok)
    except requests.RequestException:
        return False


def _post_mortem(home: Path, name: str) -> str:
    log = home / "logs" / f"{name}.log"
    try:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    except OSError:
        last = []
    return f"{name} did not start; the end of {log}: {last[0] if last else '(empty)'}"


def _write_configuration(home: Path, programs: Sequence[ManagedProcess]) -> None:
    """Write ``run/supervisord.conf`` and a script a program.

    No path stands in the supervisor's file, for in it a percent sign, a quote, ``;`` and ``#`` mean something: it runs
    in the home and finds everything from there. What a path may hold is quoted once, in the script, for the shell.
    """
    run = home / "run"
    for program in programs:
        script = run / f"{program.name}.sh"
        script.touch(mode=0o600)
        script.write_text(_script(program), encoding="utf-8")
    (run / "supervisord.conf").write_text(_configuration(home, programs), encoding="utf-8")


def _script(program: ManagedProcess) -> str:
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(program.environment.items())]
    return "\n".join([*lines, f"exec {shlex.join(program.command)}", ""])


def _configuration(home: Path, programs: Sequence[ManagedProcess]) -> str:
    name = hashlib.sha256(str(home.resolve() / "run").encode()).hexdigest()[:8]
    lines = [
        "[supervisord]",
        "logfile=logs/supervisor.log",
        "pidfile=run/supervisord.pid",
        f"identifier=segma-{name}",
        "silent=true",
        "umask=077",
        "[unix_http_server]",
        f"file={os.path.relpath(socket_path(home), home.resolve())}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    if others := [program.name for program in programs if not program.first]:
        # NOTE: the supervisor stops group after group, and all of a group at once.
        lines += ["[group:segma]", f"programs={','.join(others)}", "priority=999"]
    for program in programs:
        lines += [
            f"[program:{program.name}]",
            f"command=/bin/sh run/{program.name}.sh",
            f"priority={1 if program.first else 999}",
            f"stdout_logfile=logs/{program.name}.log",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=2",
            "redirect_stderr=true",
            "autostart=true",
            # NOTE: any end is restarted: Bytewax ends with 1 or -6 for the same cause (DESIGN 7), and a clean end of
            # one process while the others go on is no state that a person asked for.
            "autorestart=true",
            "startsecs=1",
            "startretries=20",
            "stopsignal=TERM",
            "stopwaitsecs=12",
            "killasgroup=true",
        ]
    return "\n".join(lines) + "\n"
