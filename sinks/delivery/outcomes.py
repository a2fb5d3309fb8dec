"""What a command's end is written as. Pure."""

from __future__ import annotations

from contracts.commands import Command, Outcome, Result
from contracts.reasons import Reason
from sinks.base import Answer, Done


def outcome_of(command: Command, answer: Answer, *, calls: int, at_ms: int) -> Outcome:
    """The outcome of a command that has its last answer."""
    if isinstance(answer, Done):
        result, reason = (Result.APPLIED if answer.changed else Result.ALREADY), ""
    elif answer.reason in {Reason.SUPERSEDED, Reason.UNSUBSCRIBED}:
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
    )
