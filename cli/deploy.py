"""``segma listeners apply``, ``remove`` and ``versions``: what is at work, from when on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click
from rich.table import Table

from cli.output import Exit, err, fail, out, print_json
from cli.up import home_option, json_option
from contracts.codec import replaced
from contracts.errors import ListenerError, Problem
from contracts.installation import Account, Installation
from contracts.plurals import counted
from contracts.topics import fixed_topics
from contracts.versions import ListenerVersion, ended, promoted
from flows.config import unknown_accounts
from flows.language.files import load_actions
from flows.language.model import Do, Listener
from flows.versions.deployment import Versions, listener_of, to_apply, versions_in
from sinks.registry import SINKS
from transport import open_log
from transport.config import load_installation, settings_at, wall_clock_ms

workspace_option = click.option(
    "--workspace", help="Of the installation's workspaces; needed where there are several of them."
)


@contextmanager
def versions_of(home: Path, installation: Installation) -> Iterator[Versions]:
    """The versions that the log of an installation holds."""
    log = open_log(settings_at(home))
    try:
        log.ensure(fixed_topics(installation.partitions))
        versions = Versions(log)
        yield versions
        versions.close()
    finally:
        log.close()


def workspace_of(installation: Installation, name: str | None) -> str:
    """The workspace that is meant. Ends the command where that is unclear."""
    names = list(installation.workspaces)
    if name is None and len(names) == 1:
        return names[0]
    if name not in names:
        fail(f"--workspace must be one of: {', '.join(names)}", Exit.USAGE)
    return name


@click.command("apply")
@click.argument("place", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--promote", is_flag=True, help="Make the new versions live at once; the versions before them end.")
@home_option
@workspace_option
@json_option
def apply_command(place: Path | None, promote: bool, home: Path, workspace: str | None, as_json: bool) -> None:
    """Bring listeners into the log: as shadows, whose matches are rows and move nobody, until they are promoted.

    PLACE is a directory or a file; without it, the workspace's own directory.
    """
    installation = load_installation(home / "segma.yaml")
    name = workspace_of(installation, workspace)
    own = installation.workspaces[name]
    actions_file = home / own.actions
    directory = place or home / own.listeners
    try:
        given = versions_in(directory, actions_file, name, own.trust)
    except ListenerError as error:
        _refuse(list(error.problems), as_json=as_json)
    actions = load_actions(actions_file)
    listeners = [listener_of(each, actions) for each in given]
    with versions_of(home, installation) as versions:
        new, problems = to_apply(versions.known, given, actions)
        problems += unknown_accounts(listeners, set(own.accounts), directory)
        problems += untaggable(listeners, own.accounts, directory)
        if problems:
            _refuse(problems, as_json=as_json)
        at_ms = versions.counts_from(wall_clock_ms())
        written = [replaced(each, shadow_from_ms=at_ms) for each in new]
        if promote:
            written = [change for each in written for change in promoted(versions.known, each, at_ms)]
        versions.write(written)
    print_versions(written, at_ms, as_json=as_json)
    if not as_json and not written:
        out.print("nothing new", markup=False)


def untaggable(listeners: Iterable[Listener], accounts: Mapping[str, Account], directory: Path) -> list[Problem]:
    """Return the problems of listeners that set tags at a platform without tags (SEMANTICS 8)."""
    able = ", ".join(name for name, kind in SINKS.items() if kind.tags)
    return [
        Problem(
            str(directory / listener.name),
            f"then.{response.do}",
            f"`{response.at}` is an account at {account.sink}, where people have no tags",
            f"a list instead (`add: {{to: {response.tag}, at: {response.at}}}`), or an account at one of {able}",
        )
        for listener in listeners
        for response in listener.then
        if response.do in {Do.TAG, Do.UNTAG}
        and (account := accounts.get(response.at or "")) is not None
        and account.sink in SINKS
        and not SINKS[account.sink].tags
    ]


@click.command("remove")
@click.argument("listener")
@home_option
@workspace_option
@json_option
def remove_command(listener: str, home: Path, workspace: str | None, as_json: bool) -> None:
    """End a listener: its runs are dropped, its history stays, nobody is moved back."""
    installation = load_installation(home / "segma.yaml")
    name = workspace_of(installation, workspace)
    with versions_of(home, installation) as versions:
        at_ms = versions.counts_from(wall_clock_ms())
        written = ended(versions.known, name, listener, at_ms)
        versions.write(written)
    if not written:
        fail(f"no version of {listener} is at work", Exit.PROBLEMS)
    print_versions(written, at_ms, as_json=as_json)


@click.command("versions")
@home_option
@workspace_option
@json_option
def versions_command(home: Path, workspace: str | None, as_json: bool) -> None:
    """Every version that was applied: coming, shadow, live, paused or ended, and since when."""
    installation = load_installation(home / "segma.yaml")
    name = workspace_of(installation, workspace)
    with versions_of(home, installation) as versions:
        known = [each for each in versions.known if each.workspace == name]
    now_ms = wall_clock_ms()
    if as_json:
        print_versions(known, now_ms, as_json=True)
        return
    names = ("listener", "version", "state", "shadow from", "live from", "until", "paused")
    table = Table(*names, box=None, pad_edge=False)
    for each in known:
        pauses = ", ".join(f"{_at(from_ms)} to {_at(until_ms) or 'now'}" for from_ms, until_ms in each.pauses)
        times = (_at(each.shadow_from_ms), _at(each.live_from_ms), _at(each.until_ms), pauses)
        table.add_row(each.listener, str(each.version), each.state(now_ms), *times)
    out.print(table)


def print_versions(written: list[ListenerVersion], at_ms: int, *, as_json: bool) -> None:
    """Print versions with their states as of a log time."""
    for each in written:
        if as_json:
            state = {"listener": each.listener, "version": each.version, "state": each.state(at_ms)}
            times = {name: getattr(each, name) for name in ("shadow_from_ms", "live_from_ms", "until_ms", "pauses")}
            print_json({**state, **times})
        else:
            out.print(f"{each.listener}@{each.version}  {each.state(at_ms)} from {_at(at_ms)}", markup=False)


def _at(at_ms: int | None) -> str:
    if at_ms is None:
        return ""
    return "the beginning" if at_ms == 0 else datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _refuse(problems: list[Problem], *, as_json: bool) -> NoReturn:
    for problem in problems:
        if as_json:
            print_json(asdict(problem))
        else:
            err.print(str(problem), markup=False)
    fail(f"{counted(len(problems), 'problem')}; nothing was applied", Exit.PROBLEMS)
