"""Why somebody is in a list, in words: the answers of the queries ``why`` and ``attempts`` as sentences. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any


def why_in_words(list_name: str, stays: Sequence[dict[str, Any]], attempts: Sequence[dict[str, Any]]) -> list[str]:
    """The newest stay as a sentence with its evidence; of nobody's stay, what was tried."""
    lines = []
    for stay in stays:
        span = f"since {moment(stay['valid_from'])}"
        if stay["valid_to"] is not None:
            span = f"from {moment(stay['valid_from'])} until {moment(stay['valid_to'])}"
        state = "In" if stay["valid_to"] is None else "Was in"
        if stay["came_by"] == "import":
            lines.append(f"{state} {list_name} {span}: an import of {stay['account']} saw them there.")
            continue
        origin = f", out of {stay['from_list']}" if stay["from_list"] and stay["from_list"] != list_name else ""
        taken_back = " (an earlier move was taken back)" if stay["undoes"] else ""
        lines.append(
            f"{state} {list_name} {span}: {stay['listener']} version {stay['listener_version']} matched at "
            f"{moment(stay['matched_at'])}{origin}{taken_back}."
        )
        lines += _evidence(stay["evidence"])
        lines.append(
            f"  {stay['account']} answered at {moment(stay['answered_at'])}: {stay['result']} {stay['answer']}"
        )
    if lines:
        return lines
    if not attempts:
        return [f"Never in {list_name}: no import saw them there, and no listener asked for it."]
    newest = attempts[0]
    what = f"{newest['result']}{' (' + newest['reason'] + ')' if newest['reason'] else ''}"
    asked = f"{newest['listener']} asked for `{newest['verb']}` at {moment(newest['matched_at'])}"
    return [
        f"Not in {list_name}: {asked}: {what}.",
        *_evidence(newest["evidence"]),
    ]


def moment(at: datetime) -> str:
    """An instant for a person: UTC, to the millisecond."""
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _evidence(evidence: Sequence[tuple[str, str, datetime, str]]) -> list[str]:
    return [f"  {step}: {action} at {moment(at)} ({event_id})" for step, action, at, event_id in evidence]
