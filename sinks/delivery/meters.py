"""The metrics of a delivery process. Labels are closed sets: accounts of the installation, results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter, Gauge

from contracts.commands import Outcome, Result
from sinks.delivery.account_state import AccountStatus

_stopped: Final = Gauge(
    "segma_account_stopped", "1: the account waits for a person (a wrong key, too many moves, paused).", ["account"]
)
_away: Final = Gauge(
    "segma_account_away", "1: the platform has been away, or has asked to wait, for more than a minute.", ["account"]
)
_outcomes: Final = Counter("segma_account_outcomes", "Commands by what became of them.", ["account", "result"])


def watch_account(account: str, gate: AccountStatus) -> None:
    """Serve whether an account is in trouble. ``account``: workspace/account."""
    _stopped.labels(account).set_function(lambda: float(gate.stopped))
    _away.labels(account).set_function(lambda: float(gate.away))
    for result in Result:
        _outcomes.labels(account, str(result))  # from 0 on: the first moves of a process may all fail


def count_outcomes(account: str, outcomes: Iterable[Outcome]) -> None:
    """Count what became of commands."""
    for outcome in outcomes:
        _outcomes.labels(account, str(outcome.result)).inc()
