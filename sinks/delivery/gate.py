"""Whether an account may be asked now: its outages, its stop, and the waits between attempts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from contracts.reasons import Reason
from sinks.base import Trouble
from sinks.delivery.account_state import AccountStatus
from sinks.delivery.journal import Journal

SLICE_S: Final = 5.0
"""A long wait is cut into such pieces: in between a person may have paused the account."""

log_line = structlog.get_logger("sinks")


class AccountGate:
    """Open while the account is neither stopped nor the process told to stop.

    ``pause`` waits for so many seconds; ``stopping`` says whether the process ends.
    """

    def __init__(
        self,
        status: AccountStatus,
        journal: Journal,
        account: str,
        *,
        pause: Callable[[float], None],
        stopping: Callable[[], bool],
    ) -> None:
        self._status, self._journal, self._account = status, journal, account
        self._pause, self._stopping = pause, stopping

    def halted(self) -> bool:
        """Return whether nothing may be asked any more; the account's state is read anew."""
        if self._stopping():
            return True
        self._journal.patiently(self._status.follow)
        return self._status.stopped

    def wait(self, seconds: float) -> None:
        """Wait in slices: a person may pause the account meanwhile."""
        while seconds > 0 and not self.halted():
            self._pause(min(seconds, SLICE_S))
            seconds -= SLICE_S

    def announce(self, worst: Trouble | None) -> None:
        """Publish that the account is away for long, or back."""
        told = self._status.seen(worst)
        if told and worst is not None and self._status.away:
            log_line.error("account_away", account=self._account, reason=str(worst.reason), detail=worst.answer)
        elif told:
            log_line.info("account_back", account=self._account)
        self._journal.send(told)

    def stop(self, reason: Reason, detail: str) -> None:
        """Stop the account and publish why; a person starts it again."""
        log_line.error("account_stopped", account=self._account, reason=str(reason), detail=detail)
        self._journal.send([self._status.stop(reason, detail)])
