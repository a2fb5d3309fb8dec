"""``segma actions``: every action, with the markup that makes it, a sample event and a sample listener."""

from __future__ import annotations

import difflib
import json
from typing import Any

import click
from rich.text import Text

from cli.output import Exit, fail, out, print_json
from cli.up import json_option
from contracts.action import Action
from contracts.actions import ACTIONS
from contracts.membership import SESSION_ENDED


def how(action: Action) -> str:
    """In a few words: what this release needs to get the action."""
    if action.automatic:
        return "captured by the browser SDK from this markup"
    if action.markup:
        return "not captured by itself: sent by a call in the page"
    if action.name == SESSION_ENDED:
        return "sent by nobody: made by the flow"
    return f"not from a page, but from: {action.captured_from}"


def sample_event(action: Action) -> dict[str, Any]:
    """An event of this action as a client sends it (``contracts.beacons.SentEvent``)."""
    return {
        "event_id": f"sample-{action.name}",
        "action": action.name,
        "occurred_at_ms": 1_790_000_000_000,
        "properties": action.sample,
    }


def sample_listener(action: Action) -> str:
    """A listener's file that waits for this action."""
    name = action.name.replace("_", "-")
    where = f"\n    where: {action.where}" if action.where else ""
    return (
        f"listener: on-{name}\ndescription: {json.dumps(action.meaning)}\nsequence:\n"
        f"  - step: it\n    action: {action.name}{where}\n"
        f"then:\n  - add: {{to: {name}, at: mailbox}}\n"
    )


def in_full(action: Action) -> dict[str, Any]:
    """Everything that the command says of one action."""
    return {
        "action": action.name,
        "meaning": action.meaning,
        "how": how(action),
        "automatic": action.automatic,
        "markup": action.markup,
        "event": sample_event(action),
        "listener": sample_listener(action),
    }


def _print(action: Action) -> None:
    out.print(Text.assemble((action.name, "bold"), f"  {action.meaning}"))
    out.print(f"  {how(action)}", markup=False)
    if action.markup:
        out.print(f"  {action.markup}", markup=False)
    out.print(f"  event     {json.dumps(sample_event(action), ensure_ascii=False)}", markup=False)
    for number, line in enumerate(sample_listener(action).splitlines()):
        out.print(f"  {'listener' if number == 0 else '':<8}  {line}", markup=False)
    out.print()


def _chosen(name: str | None) -> list[Action]:
    if name is None:
        return list(ACTIONS)
    for action in ACTIONS:
        if action.name == name:
            return [action]
    near = difflib.get_close_matches(name, [action.name for action in ACTIONS], n=1)
    hint = f"; did you mean {near[0]}?" if near else "; `segma actions` lists them"
    fail(f"there is no action {name!r}{hint}", Exit.USAGE)


@click.command()
@click.argument("action", required=False)
@json_option
def actions_command(action: str | None, as_json: bool) -> None:
    """Every action (or one): what it means, the markup that makes it, a sample event, a sample listener."""
    for each in _chosen(action):
        if as_json:
            print_json(in_full(each))
        else:
            _print(each)
