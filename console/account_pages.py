"""The pages of accounts: how each does, what was set aside, and what an engineer stops, lets go on and tries again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final

from starlette.responses import Response

from console.access.gate import Handler, Visit
from console.access.table import Role
from console.desk import Desk, back_to
from contracts.account_states import read_states
from contracts.accounts import told_by_a_person
from contracts.codec import msgpack_reader, to_json
from contracts.errors import BadRecord, LogError
from contracts.letter_commands import command_of, replay_of
from contracts.log import Outgoing
from contracts.rows import Act, DeadLetter
from contracts.topics import ACCOUNTS, DEAD_LETTERS, account_key

LOOKED_AT: Final = 500
"""The newest dead letters that are looked through; :data:`SHOWN` of the workspace's are shown."""
SHOWN: Final = 50

_read_letter = msgpack_reader(DeadLetter)


class AccountPages:
    """The handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def handlers(self) -> Mapping[str, Handler]:
        """By the names of the table."""
        return {
            "accounts": self._accounts,
            "pause": self._pause,
            "resume": self._resume,
            "replay": self._replay,
            "audit": self._audit,
        }

    async def _accounts(self, visit: Visit) -> Response:
        if visit.part == "health":
            told = await self._desk.history.ask("account_health", visit.workspace)
            return self._desk.view.page(visit, "account_health", told=told)
        try:
            states, letters = await asyncio.to_thread(self._seen, visit.workspace)
        except LogError as error:
            return self._desk.away(visit, error)
        declared = self._desk.workspaces[visit.workspace].accounts
        accounts = [(name, own.sink, states.get(name)) for name, own in declared.items()]
        may = visit.holds(Role.ENGINEER)
        return self._desk.view.page(visit, "accounts", accounts=accounts, letters=letters, may_change=may)

    def _seen(self, workspace: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The states of a workspace's accounts, and its newest dead letters."""
        states = {account: each for (own, account), each in read_states(self._desk.log).items() if own == workspace}
        return states, self._letters(workspace)

    def _letters(self, workspace: str) -> list[dict[str, Any]]:
        found = []
        first = self._desk.log.end(DEAD_LETTERS).get(0, 0) - LOOKED_AT
        for number, letter in self._letters_from(first, LOOKED_AT):
            command = command_of(letter)
            if workspace in {letter.workspace, command.workspace if command else ""}:
                found.append({"number": number, "letter": letter, "command": command})
        return found[::-1][:SHOWN]

    def _letters_from(self, first: int, count: int) -> list[tuple[int, DeadLetter]]:
        """So many dead letters from a number on; what cannot be read is passed over."""
        oldest = self._desk.log.start(DEAD_LETTERS).get(0, 0)
        if first >= self._desk.log.end(DEAD_LETTERS).get(0, 0):
            return []
        with closing(self._desk.log.reader(DEAD_LETTERS)) as reader:
            reader.seek(0, max(first, oldest))
            found = []
            for record in reader.poll(count):
                try:
                    found.append((record.offset, _read_letter(record.value or b"")))
                except BadRecord:
                    continue
            return found

    async def _pause(self, visit: Visit) -> Response:
        return await self._told(visit, Act.PAUSED, stopped=True)

    async def _resume(self, visit: Visit) -> Response:
        return await self._told(visit, Act.RESUMED, stopped=False)

    async def _told(self, visit: Visit, act: Act, *, stopped: bool) -> Response:
        account = visit.request.path_params["account"]
        if account not in self._desk.workspaces[visit.workspace].accounts:
            return self._desk.problem(visit, "There is nothing of this name.", 404)
        if answer := await self._desk.noted(visit, act, target=account):
            return answer
        try:
            await asyncio.to_thread(self._tell, visit.workspace, account, stopped)
        except LogError as error:
            return self._desk.away(visit, error)
        return back_to(visit, "accounts")

    def _tell(self, workspace: str, account: str, stopped: bool) -> None:
        former, at_ms = read_states(self._desk.log).get((workspace, account)), self._desk.now_ms()
        state = told_by_a_person(former, workspace, account, stopped=stopped, detail="", at_ms=at_ms)
        self._publish(Outgoing(ACCOUNTS, account_key(workspace, account), to_json(state)))

    async def _replay(self, visit: Visit) -> Response:
        number = visit.request.path_params["number"]
        try:
            found = await asyncio.to_thread(self._letters_from, number, 1)
            letter = next((each for at, each in found if at == number), None)
            command = command_of(letter) if letter is not None else None
            # NOTE: the number is of all workspaces' letters: what is another's is not there.
            if letter is None or command is None or command.workspace != visit.workspace:
                return self._desk.problem(visit, "There is no command of this number to be tried again.", 404)
            if answer := await self._desk.noted(visit, Act.REPLAYED, target=str(number)):
                return answer
            await asyncio.to_thread(self._publish, replay_of(letter, command))
        except LogError as error:
            return self._desk.away(visit, error)
        return back_to(visit, "accounts")

    def _publish(self, record: Outgoing) -> None:
        publisher = self._desk.log.publisher()
        try:
            (outcome,) = publisher.publish([record])
        finally:
            publisher.close()
        if isinstance(outcome, LogError):
            raise outcome

    async def _audit(self, visit: Visit) -> Response:
        if visit.part:
            told = await self._desk.history.ask("audit", visit.workspace)
            return self._desk.view.page(visit, "audit_rows", told=told)
        return self._desk.view.page(visit, "audit")
