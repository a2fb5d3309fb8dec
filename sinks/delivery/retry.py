"""How long the loop waits before it asks again (by tenacity), and what it makes of several answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import tenacity

from sinks.base import Answer, Fate, Marks, Trouble

FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 30.0
log_line = structlog.get_logger("sinks")


def patiently(ask: Callable[[], Trouble | None], *, halted: Callable[[], bool], wait: Callable[[float], None]) -> None:
    """Ask until nothing is in the way or the account halts; growing waits, and the platform's where it is longer."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda trouble: trouble is not None),
        stop=lambda state: halted(),
        wait=_longer_of_asked(tenacity.wait_exponential_jitter(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)),
        sleep=wait,
        before_sleep=_log_wait,
        retry_error_callback=lambda state: None,
    )
    retrying(ask)


def with_earlier(earlier: Marks, answer: Answer) -> Answer:
    """An answer that also tells what earlier attempts had changed."""
    return answer._replace(changed=(*earlier, *answer.changed))


def worse_of(one: Trouble | None, other: Trouble) -> Trouble:
    """Of two troubles of one attempt the one that decides what comes next, with the longer wait."""
    if one is None:
        return other
    order = (Fate.PASSING, Fate.AWAY, Fate.FATAL)
    worse = max(one, other, key=lambda each: order.index(each.fate))
    return worse._replace(wait_s=max(one.wait_s, other.wait_s))


def _log_wait(state: tenacity.RetryCallState) -> None:
    trouble = state.outcome.result() if state.outcome is not None else None
    if isinstance(trouble, Trouble):
        wait_s = round(state.upcoming_sleep, 1)
        log_line.warning("waiting", reason=str(trouble.reason), answer=trouble.answer, wait_s=wait_s)


def _longer_of_asked(wait: tenacity.wait.wait_base) -> Callable[[tenacity.RetryCallState], float]:
    """Our own wait, or the platform's where that is longer."""

    def seconds(state: tenacity.RetryCallState) -> float:
        trouble = state.outcome.result() if state.outcome is not None else None
        asked = trouble.wait_s if isinstance(trouble, Trouble) else 0.0
        return max(wait(state), asked)

    return seconds
