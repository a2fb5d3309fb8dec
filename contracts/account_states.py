"""The state of every account, as the log holds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from contracts.accounts import AccountState
from contracts.codec import json_reader
from contracts.log import Log
from contracts.reading import CompactedTable
from contracts.topics import ACCOUNTS, away_key

_read_state: Final[Callable[[bytes], AccountState]] = json_reader(AccountState)


def read_states(log: Log) -> dict[tuple[str, str], AccountState]:
    """The state of every account that was ever stopped or is away: (workspace, account) → state. Stopped goes first."""
    table = CompactedTable(log, ACCOUNTS, _read_state)
    found = table.values
    table.close()
    away = {each: state for each, state in found.items() if each == away_key(state.workspace, state.account)}
    own = {(state.workspace, state.account): state for each, state in found.items() if each not in away}
    alerts = {(state.workspace, state.account): state for state in away.values()}
    return own | {name: state for name, state in alerts.items() if name not in own or not own[name].stopped}
