"""A thread that ends by an exception ends its process: what waits for it would wait for ever."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable

import structlog

log_line = structlog.get_logger("transport")


def end_with_any_thread(exit_process: Callable[[int], object] = os._exit) -> None:
    """From now on an exception that no thread catches is logged and ends the process with exit code 1.

    As ``kill -9`` would: nothing that was confirmed is lost, and whoever supervises the process starts it again.
    """

    def hook(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_type is SystemExit:
            return
        name = ended.thread.name if ended.thread is not None else ""
        where = traceback.extract_tb(ended.exc_traceback)[-3:]
        log_line.critical(
            "thread_ended",
            thread=name,
            error=ended.exc_type.__name__,
            # NOTE: the places, and not the text: that may hold what somebody sent.
            where=[f"{each.filename.rpartition('/')[2]}:{each.lineno} {each.name}" for each in where],
        )
        exit_process(1)

    threading.excepthook = hook
