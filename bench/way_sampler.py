"""Run a module of a build as its process does, and tell at the end where its processor time went.

``python bench/way_sampler.py INTO MODULE``: writes seconds by place (``file:function``) as JSON. A timer of processor
time interrupts the main thread; each thread's time since then goes to where that thread is. Machine code has no place
of its own: its time goes to who called it. Nothing of the project is imported, so that any build can be run.
"""

from __future__ import annotations

import json
import runpy
import signal
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType
from typing import Final

EVERY_S: Final = 0.002


class Sampler:
    """Seconds of processor time by place."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._seen: dict[int, float] = {}

    def start(self) -> None:
        """Begin; for the main thread alone."""
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def stop(self) -> None:
        """End."""
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _sample(self, _: int, here: FrameType | None) -> None:
        own = threading.get_ident()
        for thread, frame in sys._current_frames().items():
            now = time.clock_gettime(time.pthread_getcpuclockid(thread))
            spent = now - self._seen.get(thread, now)
            self._seen[thread] = now
            code = (here or frame if thread == own else frame).f_code
            self.seconds[f"{code.co_filename}:{code.co_name}"] += spent


def main() -> None:
    """Run the module; whatever ends it, say what was found."""
    into, module, *words = sys.argv[1:]
    sampler = Sampler()
    sys.argv = [module, *words]
    sampler.start()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sampler.stop()
        Path(into).write_text(json.dumps(sampler.seconds), encoding="utf-8")


if __name__ == "__main__":
    main()
