"""``segma accounts``: which accounts deliver, which are stopped and why; stop one, let one go on, ask if it answers."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from cli.home import open_home
from cli.output import Exit, err, fail, out, print_json
from cli.up import home_option, json_option
from contracts.account_states import read_states, stopped_lanes
from contracts.accounts import AccountState, Fact, Veto, told_by_a_person
from contracts.codec import json_reader, replaced, to_json
from contracts.commands import Outcome
from contracts.errors import LogError
from contracts.log import Log, Outgoing
from contracts.plurals import counted
from contracts.reading import all_of
from contracts.reasons import Reason
from contracts.topics import ACCOUNTS, OUTCOMES, VETOES, account_key, backfill_topic, fact_key, lane_key, moves_topic
from sinks.base import NoSuchList, PlatformError, Sink
from sinks.delivery.leavings import Leavings, leavings_of_accounts
from sinks.registry import account_of, sink_of
from transport.config import wall_clock_ms

_read_outcome = json_reader(Outcome)


@click.group("accounts")
def accounts_command() -> None:
    """Look after the accounts at email platforms."""


@accounts_command.command("list")
@home_option
@json_option
def list_accounts(home: Path, as_json: bool) -> None:
    """List every account: its sink, its state, and its commands by their results.

    Ends with 1 where an account is stopped, or has been away for more than a minute.
    """
    _, installation, log = open_home(home)
    states, counts, lanes = read_states(log), _counts(log), stopped_lanes(log)
    rows = []
    for workspace, each in installation.workspaces.items():
        for name, own in each.accounts.items():
            state = states.get((workspace, name))
            asked = sum(sum(log.end(topic(workspace, name)).values()) for topic in (moves_topic, backfill_topic))
            row: dict[str, Any] = {
                "account": f"{workspace}/{name}",
                "sink": own.sink,
                "state": state_word(state),
            }
            row |= {"reason": state.reason if state else "", "detail": state.detail if state else ""}
            row["backfill"] = "stopped" if (workspace, name) in lanes else "goes on"
            unclear = {each: len(people) for each, people in _questions(log, workspace, name).items()}
            row |= {"unclear": unclear} if unclear else {}
            rows.append({**row, "commands": asked, **counts.get(f"{workspace}/{name}", {})})
    log.close()
    if as_json:
        for row in rows:
            print_json(row)
    else:
        table = Table("account", "sink", "state", "why", "commands", "outcomes", box=None, pad_edge=False)
        for row in rows:
            results = ", ".join(
                f"{row[name]} {name}" for name in ("applied", "already", "skipped", "failed") if name in row
            )
            behind = "back-fill stopped" if row["backfill"] == "stopped" else ""
            why = " ".join(each for each in (row["reason"], row["detail"], behind) if each)
            table.add_row(row["account"], row["sink"], row["state"], why, str(row["commands"]), results)
        out.print(table)
        for row in rows:
            for list_name, people in row.get("unclear", {}).items():
                out.print(
                    f"Gone from {list_name} of {row['account']} at once: {counted(people, 'person', 'people')}; see",
                    markup=False,
                )
                out.print(f"  segma accounts answer {row['account']} {list_name} left|removed", markup=False)
    if any(row["state"] != "delivers" for row in rows):
        raise SystemExit(Exit.PROBLEMS)


def state_word(state: AccountState | None) -> str:
    """``delivers``, ``stopped`` (a person must act) or ``away`` (it goes on trying)."""
    if state is None or not (state.stopped or state.reason):
        return "delivers"
    return "stopped" if state.stopped else "away"


def _counts(log: Log) -> dict[str, dict[str, int]]:
    """Account → result → how many commands."""
    found: dict[str, Counter[str]] = {}
    for record in all_of(log, OUTCOMES):
        if record.value is not None:
            found.setdefault(record.key.decode(), Counter())[str(_read_outcome(record.value).result)] += 1
    return {account: dict(counts) for account, counts in found.items()}


def _tell(home: Path, account: str, *, stopped: bool, detail: str, backfill: bool) -> None:
    _, installation, log = open_home(home)
    workspace, name, _ = account_of(installation, account)
    former = None if backfill else read_states(log).get((workspace, name))
    state = told_by_a_person(former, workspace, name, stopped=stopped, detail=detail, at_ms=wall_clock_ms())
    key = (lane_key if backfill else account_key)(workspace, name)
    log.publisher().publish([Outgoing(ACCOUNTS, key, to_json(state))])
    log.close()


_backfill_option = click.option("--backfill", is_flag=True, help="Only what waits behind the live commands.")


@accounts_command.command("pause")
@click.argument("account")
@click.option("--because", default="", help="Why, for whoever looks at it later.")
@_backfill_option
@home_option
def pause_account(account: str, because: str, backfill: bool, home: Path) -> None:
    """Stop ACCOUNT (workspace/account) before its next call. Its commands wait in the log."""
    _tell(home, account, stopped=True, detail=because, backfill=backfill)
    what, option = ("the back-fill of ", " --backfill") if backfill else ("", "")
    err.print(f"{what}{account} is paused; `segma accounts resume {account}{option}` lets it go on", markup=False)


@accounts_command.command("resume")
@click.argument("account")
@_backfill_option
@home_option
def resume_account(account: str, backfill: bool, home: Path) -> None:
    """Let ACCOUNT go on, whatever stopped it: a person, a wrong key, too many moves."""
    _tell(home, account, stopped=False, detail="", backfill=backfill)
    err.print(f"{'the back-fill of ' if backfill else ''}{account} delivers again", markup=False)


def _questions(log: Log, workspace: str, account: str) -> dict[str, list[Veto]]:
    """List → the people who are gone from it at once, of whom nobody has said why."""
    return leavings_of_accounts(all_of(log, VETOES)).get((workspace, account), Leavings()).questions()


@accounts_command.command("answer")
@click.argument("account")
@click.argument("list_name", metavar="LIST")
@click.argument("why", type=click.Choice(["left", "removed"]))
@home_option
def answer_question(account: str, list_name: str, why: str, home: Path) -> None:
    """Say why so many people are gone from LIST of ACCOUNT at once, which Segma cannot know (`unclear`).

    `left`: they left by themselves, and are not added again. `removed`: others took them out; they may be added.
    Ends with 1 where nothing was asked.
    """
    _, installation, log = open_home(home)
    with closing(log):
        workspace, name, _ = account_of(installation, account)
        asked = _questions(log, workspace, name).get(list_name, [])
        if not asked:
            fail(f"nothing is unclear of {list_name} of {account}", Exit.PROBLEMS)
        fact = Fact.LEFT if why == "left" else Fact.REMOVED
        reason = str(Reason.UNSUBSCRIBED) if fact is Fact.LEFT else ""
        answers = [replaced(each, fact=fact, reason=reason, source="customer") for each in asked]
        faults = log.publisher().publish([Outgoing(VETOES, fact_key(each), to_json(each)) for each in answers])
        for fault in faults:
            if isinstance(fault, LogError):
                raise fault
    err.print(f"{why} now: {counted(len(answers), 'person', 'people')} of {list_name}", markup=False)


def _lists_of(sink: Sink) -> tuple[str, ...]:
    try:
        next(sink.members(""), None)
    except NoSuchList as answer:
        return answer.known
    return ()


@accounts_command.command("check")
@click.argument("account")
@home_option
@json_option
def check_account(account: str, home: Path, as_json: bool) -> None:
    """Try each right that ACCOUNT's sink needs, and say what a move would cause. Changes nothing.

    Ends with 1 where the platform does not answer, or a right is missing.
    """
    config, installation, log = open_home(home)
    sink = sink_of(installation, account, data=home / "data", pause=time.sleep, config=config, log=log)
    try:
        known = _lists_of(sink)
        rights = list(sink.rights())
    except PlatformError as error:
        fail(f"{account} does not answer as it should: {error}", Exit.PROBLEMS)
    finally:
        sink.close()
        log.close()
    if as_json:
        print_json(
            {
                "account": account,
                "lists": list(known),
                "batch": sink.traits.batch,
                "tags": sink.traits.tags,
                "rights": [each._asdict() for each in rights],
            }
        )
    elif sink.traits.lists:
        out.print(f"{account} answers: {counted(len(known), 'list')}", markup=False)
    else:
        out.print(f"{account} has nothing to be read; its settings are well-formed", markup=False)
    words = {True: "works", False: "MISSING", None: "note"}
    for each in () if as_json else rights:
        out.print(f"  {words[each.works]:8} {each.name}{': ' + each.detail if each.detail else ''}", markup=False)
    if any(each.works is False for each in rights):
        raise SystemExit(Exit.PROBLEMS)
