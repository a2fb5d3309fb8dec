"""``segma listeners pause`` and ``resume``: a listener that moves nobody for a time, and keeps its runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from cli.deploy import print_versions, versions_of, workspace_of, workspace_option
from cli.output import Exit, fail, out
from cli.up import home_option, json_option
from contracts.versions import ListenerVersion
from flows.versions.pausing import NotPausable, pausing, resuming
from transport.config import load_installation, wall_clock_ms

Change = Callable[[Sequence[ListenerVersion], str, str, int], list[ListenerVersion]]


@click.command("pause")
@click.argument("listener")
@home_option
@workspace_option
@json_option
def pause_command(listener: str, home: Path, workspace: str | None, as_json: bool) -> None:
    """Pause LISTENER: it goes on following people, and what completes from now on moves nobody.

    Its runs, `repeat` and sessions go on as ever; each match is a row, `listener_paused`. None of it is made good after
    `segma listeners resume`.
    """
    _change(pausing, listener, home, workspace, f"{listener} is paused already", as_json=as_json)


@click.command("resume")
@click.argument("listener")
@home_option
@workspace_option
@json_option
def resume_command(listener: str, home: Path, workspace: str | None, as_json: bool) -> None:
    """Let a paused LISTENER go on: what completes from now on moves people again."""
    _change(resuming, listener, home, workspace, f"{listener} is not paused", as_json=as_json)


def _change(change: Change, listener: str, home: Path, workspace: str | None, nothing: str, *, as_json: bool) -> None:
    installation = load_installation(home / "segma.yaml")
    name = workspace_of(installation, workspace)
    with versions_of(home, installation) as versions:
        at_ms = versions.counts_from(wall_clock_ms())
        try:
            written = change(versions.known, name, listener, at_ms)
        except NotPausable as error:
            fail(str(error), Exit.PROBLEMS)
        versions.write(written)
    print_versions(written, at_ms, as_json=as_json)
    if not as_json and not written:
        out.print(nothing, markup=False)
