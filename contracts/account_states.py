"""The state of every account, as the log holds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contracts.accounts import AccountState
from contracts.codec import json_reader
from contracts.log import Log
from contracts.reading import CompactedTable
from contracts.topics import ACCOUNTS, away_key, lane_key

_read_state: Final[Callable[[bytes], AccountState]] = json_reader(AccountState)


def read_states(log: Log) -> dict[tuple[str, str], AccountState]:
    """The state of every account that was ever stopped or is away: (workspace, account) → state. Stopped goes first."""
    found = {key: state for key, state in _all_states(log).items() if key != lane_key(state.workspace, state.account)}
    away = {each: state for each, state in found.items() if each == away_key(state.workspace, state.account)}
    own = {(state.workspace, state.account): state for each, state in found.items() if each not in away}
    alerts = {(state.workspace, state.account): state for state in away.values()}
    return own | {name: state for name, state in alerts.items() if name not in own or not own[name].stopped}


def stopped_lanes(log: Log) -> frozenset[tuple[str, str]]:
    """The accounts, by workspace and name, whose back-fill a person has stopped."""
    states = _all_states(log).items()
    lanes = [state for key, state in states if key == lane_key(state.workspace, state.account)]
    return frozenset((state.workspace, state.account) for state in lanes if state.stopped)


def _all_states(log: Log) -> dict[bytes, AccountState]:
    table = CompactedTable(log, ACCOUNTS, _read_state)
    found = table.values
    table.close()
    return found
