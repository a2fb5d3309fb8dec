"""The imitated Sympa as a program of its own: what runs its command line asks a door in this process.

A delivery process that is killed leaves the command that it had started running, as it would with the real one.
"""

from __future__ import annotations

import json
import socketserver
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.sinks.consent_sympa import Lists
from tests.sinks.simulator.sympa import ImitatedSympa

PROGRAM = """
import json, socket, sys
door = socket.socket(socket.AF_UNIX)
door.settimeout(60)
door.connect(sys.argv[1])
door.sendall(json.dumps([sys.argv[2:], sys.stdin.read()]).encode())
door.shutdown(socket.SHUT_WR)
code, said = json.loads(b"".join(iter(lambda: door.recv(65536), b"")))
sys.stderr.write(said)
sys.exit(code)
"""
MEMBERS = "SELECT list_subscriber, user_subscriber FROM subscriber_table ORDER BY 1, 2"
READ = "dump"


@dataclass
class Command:
    """One run of the command line. ``idle``: it was to change who is in a list, and changed nothing."""

    writes: bool
    idle: bool = False
    status: int = 0


class SympaDoor:
    """Has what a run with kills asks of a :class:`tests.sinks.simulator.server.Simulator`."""

    most_in_a_window = refused_for_quota = 0

    def __init__(self, home: Path, latency_s: float) -> None:
        self.sympa, self._latency_s = ImitatedSympa(home / "sympa"), latency_s
        self.world, self.dialect = Lists(self.sympa), self.sympa
        self.calls: list[Command] = []
        self.violations: list[str] = []
        self._at_once = 0
        self._lock = threading.Lock()
        program = home / "sympa.py"
        program.write_text(PROGRAM, "utf-8")
        self.command = (sys.executable, "-S", "-E", str(program), str(home / "door"))
        door = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 60

            def handle(self) -> None:
                words, given = json.loads(self.rfile.read())
                self.wfile.write(json.dumps(door.run(words, given)).encode())

        self._server = socketserver.ThreadingUnixStreamServer(str(home / "door"), Handler)
        self._server.daemon_threads, self._server.block_on_close = True, False
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def run(self, words: list[str], given: str) -> tuple[int, str]:
        """A command, one at a time, as long as a program takes before it does anything and after."""
        call = Command(writes=words[0] != READ)
        self.calls.append(call)
        self._at_once += 1
        time.sleep(self._latency_s)  # a program's own time
        try:
            with self._lock:
                before = self.sympa.database.execute(MEMBERS).fetchall()
                code, said = self.sympa.run(words, given)
                call.idle = call.writes and before == self.sympa.database.execute(MEMBERS).fetchall()
        except AssertionError as error:
            self.violations.append(str(error)[:200])
            code, said = 1, ""
        time.sleep(self._latency_s)
        self._at_once -= 1
        return code, said

    def writes(self) -> list[Command]:
        return [call for call in self.calls if call.writes]

    def options(self) -> dict[str, Any]:
        own = self.sympa.options
        return {
            "domain": own.domain,
            "owner": own.owner,
            "database": str(own.database),
            "lists": str(own.lists),
            "command": list(self.command),
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.sympa.close()
