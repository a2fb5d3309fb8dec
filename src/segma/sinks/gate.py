"""Whether an account may deliver, and to whom not: states and vetoes, followed live from their compacted topics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from segma.contracts.accounts import AccountState, Veto
from segma.contracts.codec import json_reader, to_json
from segma.contracts.errors import BadRecord
from segma.contracts.log import Consumer, Log, Outgoing
from segma.contracts.reasons import Reason
from segma.contracts.topics import ACCOUNTS, VETOES, account_key

_read_state: Final[Callable[[bytes], AccountState]] = json_reader(AccountState)
_read_veto: Final[Callable[[bytes], Veto]] = json_reader(Veto)


def read_states(log: Log) -> dict[tuple[str, str], AccountState]:
    """The state of every account that was ever stopped: (workspace, account) → state."""
    reader = log.reader(ACCOUNTS)
    found = {}
    for state in _values(reader, _read_state):
        found[state.workspace, state.account] = state
    reader.close()
    return found


class Gate:
    """The state and the vetoes of one account."""

    def __init__(self, log: Log, workspace: str, account: str, now_ms: Callable[[], int]) -> None:
        self._workspace, self._account, self._now_ms = workspace, account, now_ms
        self._states, self._vetoes_reader = log.reader(ACCOUNTS), log.reader(VETOES)
        self._state: AccountState | None = None
        self._vetoes: dict[bytes, Veto] = {}
        self._left: dict[str, dict[bytes, str]] = {}
        self.follow()

    @property
    def stopped(self) -> bool:
        """Whether nothing is to be delivered."""
        return self._state is not None and self._state.stopped

    @property
    def resumed_at_ms(self) -> int:
        """When a person let the account go on; 0: never."""
        return self._state.resumed_at_ms if self._state is not None else 0

    def follow(self) -> None:
        """Take in what has been told since."""
        for state in _values(self._states, _read_state):
            if (state.workspace, state.account) == (self._workspace, self._account):
                self._state = state
        prefix = account_key(self._workspace, self._account) + b"/"
        while records := self._vetoes_reader.poll(5_000):
            for record in records:
                if record.key.startswith(prefix):
                    self._take(record.key, record.value)

    def stop(self, reason: Reason, detail: str) -> Outgoing:
        """Stop here and now; the record that says so to everybody else."""
        self._state = AccountState(
            self._workspace,
            self._account,
            stopped=True,
            at_ms=self._now_ms(),
            reason=str(reason),
            detail=detail,
            resumed_at_ms=self.resumed_at_ms,
        )
        return Outgoing(ACCOUNTS, account_key(self._workspace, self._account), to_json(self._state))

    def vetoes(self, subscriber: str, lists: Sequence[str]) -> bool:
        """Whether the person may not be added to one of these lists."""
        left = self._left.get(subscriber, {}).values()
        return bool(lists) and any(name in {"", *lists} for name in left)

    def close(self) -> None:
        """Stop following."""
        self._states.close()
        self._vetoes_reader.close()

    def _take(self, key: bytes, value: bytes | None) -> None:
        former = self._vetoes.pop(key, None)
        if former is not None:
            self._left.get(former.subscriber, {}).pop(key, None)
        try:
            veto = _read_veto(value) if value is not None else None
        except BadRecord:
            return
        if veto is not None:
            self._vetoes[key] = veto
            self._left.setdefault(veto.subscriber, {})[key] = veto.list_name


def _values(reader: Consumer, read: Callable[[bytes], Any]) -> list[Any]:
    found = []
    while records := reader.poll(5_000):
        for record in records:
            try:
                if record.value is not None:
                    found.append(read(record.value))
            except BadRecord:
                continue
    return found
