"""A process that has everything loaded and forks a delivery process at every line on its input: a start in no time.

``python -m tests.recovery.zygote workspace/account``. It prints the new process's id; whoever asked kills it.
"""

from __future__ import annotations

import os
import sys
import threading

from sinks.__main__ import deliver_account
from sinks.config import SinkSettings
from transport.config import settings_of


def main(account: str) -> None:
    """Fork until the input ends."""
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            deliver_account(settings_of(SinkSettings), account, threading.Event())
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        os.waitpid(child, 0)
        sys.stdout.write("gone\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
