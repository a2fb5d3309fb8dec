"""What a command's end is written as. Pure."""

from __future__ import annotations

from typing import Final

from contracts.commands import Command, Outcome, Result
from contracts.reasons import Reason
from sinks.base import Answer, Done

VETOES: Final = frozenset(
    {
        Reason.GONE,
        Reason.COMPLAINED,
        Reason.BLOCKED,
        Reason.UNSUBSCRIBED,
        Reason.PENDING,
        Reason.ASKED,
        Reason.UNCLEAR,
        Reason.PAUSED,
        Reason.UNDELIVERABLE,
        Reason.UNKNOWN,
        Reason.ARCHIVED,
        Reason.COMPLIANCE,
        Reason.FORGOTTEN,
    }
)
"""Why a person may not be added: nothing was changed, and that is final for the command."""
NOT_DONE: Final = VETOES | {Reason.SUPERSEDED}


def outcome_of(command: Command, answer: Answer, *, calls: int, at_ms: int) -> Outcome:
    """The outcome of a command that has its last answer."""
    if isinstance(answer, Done):
        result, reason = (Result.APPLIED if answer.changed else Result.ALREADY), ""
    elif answer.reason in NOT_DONE:
        result, reason = Result.SKIPPED, str(answer.reason)
    else:
        result, reason = Result.FAILED, str(answer.reason)
    return Outcome(
        command_id=command.command_id,
        workspace=command.workspace,
        account=command.account,
        subscriber=command.subscriber,
        result=result,
        at_ms=at_ms,
        reason=reason,
        answer=answer.answer,
        changed=answer.changed,
        calls=calls,
        listener=command.listener,
        match_id=command.match_id,
        verb=command.verb,
        to_list=command.to_list,
        from_list=command.from_list,
        received_at_ms=command.received_at_ms,
        matched_at_ms=command.matched_at_ms,
        tag=command.tag,
        undoes=command.undoes,
        position=command.position,
        depth=command.depth,
        restates=command.restates,
        list_ids=dict(answer.list_ids),
        person=answer.number,
        backfill=command.backfill,
    )
